"""The example notebook: it is executed as a reader would, and its outputs are checked."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rvision
from PIL import Image

NOTEBOOK = Path(__file__).parents[2] / "examples" / "lecture7.ipynb"

pytestmark = pytest.mark.skipif(not NOTEBOOK.is_file(), reason="the examples are not beside the tests")


def test_it_is_committed_without_outputs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 20
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> SimpleNamespace:
    """Return the printed output and the pictures of each cell, by the cell's id."""
    nbclient = pytest.importorskip("nbclient", reason="needs the extra [examples]")
    nbformat = pytest.importorskip("nbformat", reason="needs the extra [examples]")
    pytest.importorskip("ipykernel", reason="needs the extra [examples]")
    pytest.importorskip("skimage", reason="needs the extra [examples]")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    folder = str(tmp_path_factory.mktemp("notebook"))
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    # Another folder is another place to look for a relative path; the package is the one that is tested.
    package = str(Path(rvision.__file__).resolve().parents[1])
    # An exception in a cell is raised here, with the cell and its traceback.
    client.execute(env={**os.environ, "PYTHONPATH": package})
    printed: dict[str, str] = {}
    shown: dict[str, list[Image.Image]] = {}
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        printed[cell.id] = "".join(out.text for out in outputs if out.output_type == "stream")
        shown[cell.id] = [
            Image.open(io.BytesIO(base64.b64decode(out.data["image/png"])))
            for out in outputs
            if out.output_type == "display_data"
        ]
    return SimpleNamespace(printed=printed, shown=shown)


# The first test that asks for it waits for the whole notebook.
@pytest.mark.timeout(900)
def test_networks_are_printed_with_their_shapes_and_costs(executed):
    printed = executed.printed
    assert "(0): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))" in printed["lenet5"]
    assert "(1, 16, 5, 5)" in printed["lenet5-shapes"]
    assert "61,706" in printed["lenet5-shapes"]
    assert "61,100,840 parameters, 714,188,480 multiply-adds" in printed["alexnet-costs"]
    assert "143,667,240 parameters" in printed["vgg"]
    assert len(re.findall(r"\d+\.\d$", printed["times"], re.MULTILINE)) == 5
    assert "last maps: (1, 1000, 6, 6)  averaged: (1, 1000)" in printed["nin"]
    assert "1,089,952" in printed["inception"]
    assert "346,720" in printed["inception"]
    for count in ("73,984", "1,180,672", "70,400", "11.51"):
        assert count in printed["resnet"]


@pytest.mark.timeout(900)
def test_both_normalisations_see_a_cat(executed):
    lines = executed.printed["top-15"].splitlines()
    assert len(lines) == 16
    for rank in (1, 2, 3):
        cats = re.findall(rf"#{rank} \(\d+\.\d\d\) (tabby|tiger cat|Egyptian cat)", lines[rank])
        assert len(cats) == 2, lines[rank]


@pytest.mark.timeout(900)
def test_layers_are_convolutionized(executed):
    before, after = executed.printed["layers"], executed.printed["convolutionized"]
    assert "(14): Linear(in_features=9216, out_features=4096, bias=True)" in before
    assert "(14): Conv2d(256, 4096, kernel_size=(6, 6), stride=(1, 1))" in after
    assert "Linear" not in after
    assert "Dropout" in after
    assert len(before.splitlines()) == len(after.splitlines())
    assert "below 1e-4" in executed.printed["map"]
    assert "(1, 1000, 3, 8)" in executed.printed["map"]
    assert re.search(r"alexnet_lecture +224 +355 +32", executed.printed["windows"])


@pytest.mark.timeout(900)
def test_finer_strides_and_scales(executed):
    assert "(10, 10, 20) equal to classifying every window: True" in executed.printed["stride"]
    interleaved, stride_1 = executed.printed["offsets"].splitlines()[-2:]
    assert interleaved.split(":")[1].split() == stride_1.split(":")[1].split()
    # Table 5 of the paper.
    maps = re.findall(r"at stride 36, (\(\d+, \d+\)) at stride 12", executed.printed["overfeat"])
    assert maps == ["(3, 3)", "(6, 9)", "(9, 15)", "(15, 21)", "(18, 24)", "(21, 30)"]
    assert "#1" in executed.printed["scales"]
    assert re.search(r"#1 \(\d+\.\d\d\) espresso$", executed.printed["scales"], re.MULTILINE)


@pytest.mark.timeout(900)
def test_the_three_forms_of_resnext_are_one_function(executed):
    assert executed.printed["resnext"].count("equal: True") == 3


@pytest.mark.timeout(900)
def test_heat_map_is_warm_where_the_cat_is(executed):
    (page,), (heat,) = executed.shown["page"], executed.shown["heat-map"]
    assert page.size == (900, 640)
    # Below the picture stands what its colours mean.
    assert heat.width == 900
    assert heat.height > 640
    heat = heat.crop((0, 0, *page.size))
    before, after = (np.asarray(picture.convert("RGB"), np.float32) for picture in (page, heat))
    assert "map: (1000, 27, 43)" in executed.printed["heat-map"]
    box = re.search(r"Egyptian cat +best in \((\d+), (\d+), (\d+), (\d+)\)", executed.printed["heat-map"])
    x0, y0, x1, y1 = map(int, box.groups())
    x, y = (x0 + x1) // 2, (y0 + y1) // 2
    # The best window's centre is on the cat and turns yellow; the lowest colour, between the things, is blue.
    assert 20 <= x < 320
    assert 30 <= y < 330
    warmth = (after - before)[..., 0] - (after - before)[..., 2]
    assert warmth[y - 8 : y + 8, x - 8 : x + 8].mean() > 0
    assert warmth[104:250, 400:540].mean() < 0


@pytest.mark.timeout(900)
def test_things_are_found_where_they_were_pasted(executed):
    found = re.findall(
        r"^(\w+(?: \w+)*) 0\.\d\d +\[ *([\d ]+)\]", executed.printed["detection"], re.MULTILINE
    )
    pasted = {
        "Egyptian cat": (20, 30, 320, 330),
        "espresso": (560, 60, 880, 380),
        "moped": (230, 350, 600, 600),
    }
    assert {name for name, _ in found} == pasted.keys()
    for name, box in found:
        x0, y0, x1, y1 = map(int, box.split())
        left, top, right, bottom = pasted[name]
        assert left <= (x0 + x1) / 2 <= right, name
        assert top <= (y0 + y1) / 2 <= bottom, name
    (drawn,) = executed.shown["detection"]
    assert drawn.size == (900, 640)


@pytest.mark.timeout(900)
def test_digits_are_read_and_found(executed):
    written, read = (line.split()[1:] for line in executed.printed["digits"].splitlines())
    assert len(written) == len(read) == 20
    assert sum(a == b for a, b in zip(written, read, strict=True)) >= 18
    on_page, found, right = map(int, re.findall(r"\d+", executed.printed["digit-page"]))
    assert on_page == 12
    assert right >= 10
    assert found - right <= 2
    (drawn,) = executed.shown["digit-page"]
    assert drawn.size == (768, 512)
