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
IMAGE = r'<img style="max-width: 100%" src="data:image/png;base64,[\w+/=]+" alt="([^"]*)">'

pytestmark = pytest.mark.skipif(not NOTEBOOK.is_file(), reason="the examples are not beside the tests")


def test_it_is_committed_without_outputs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 20
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> SimpleNamespace:
    """Return the printed output, the pictures and their alternative texts of each cell, by the cell's id."""
    nbclient = pytest.importorskip("nbclient", reason="needs the extra [examples]")
    nbformat = pytest.importorskip("nbformat", reason="needs the extra [examples]")
    pytest.importorskip("ipykernel", reason="needs the extra [examples]")
    pytest.importorskip("matplotlib", reason="needs the extra [examples]")
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
    texts: dict[str, list[str]] = {}
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        printed[cell.id] = "".join(out.text for out in outputs if out.output_type == "stream")
        shown[cell.id] = [
            Image.open(io.BytesIO(base64.b64decode(out.data["image/png"])))
            for out in outputs
            if out.output_type == "display_data"
        ]
        texts[cell.id] = [
            re.fullmatch(IMAGE, out.data["text/html"])[1]
            for out in outputs
            if out.output_type == "display_data"
        ]
    return SimpleNamespace(printed=printed, shown=shown, texts=texts)


def photograph(name: str) -> Image.Image:
    """Return one of the photographs that the notebook uses."""
    import skimage

    return Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")


def uncovered(drawn: Image.Image, picture: Image.Image) -> float:
    """Return the share of a picture's pixels that a heat map over it leaves as they are."""
    on_top = np.asarray(drawn.convert("RGB").crop((0, 0, *picture.size)))
    return float((on_top == np.asarray(picture)).all(-1).mean())


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
    for count in ("73,984", "1,180,672", "70,400"):
        assert count in printed["resnet"]


@pytest.mark.timeout(900)
def test_every_picture_has_an_alternative_text(executed):
    texts = [text for cell in executed.texts.values() for text in cell]
    assert len(texts) >= 15
    assert all(len(text) > 40 and text.endswith(".") for text in texts)
    assert len(set(texts)) == len(texts)


@pytest.mark.timeout(900)
def test_learned_filters_are_drawn(executed):
    assert len(executed.shown["filters"]) == 2
    # AlexNet's are drawn too where its weights are at hand.
    assert len(executed.shown["colour-filters"]) in (1, 2)


@pytest.mark.timeout(900)
def test_augmentation(executed):
    # Tiles of 112 pixels, with two pixels between them and around them.
    assert executed.shown["augmentation"][0].size == (8 * 114 + 2, 116)
    assert executed.shown["colours"][0].size == (8 * 114 + 2, 2 * 114 + 2)
    assert executed.shown["ten-views"][0].size == (5 * 114 + 2, 2 * 114 + 2)
    # The principal directions and variances, from the singular values of the centred colours.
    names = ("chelsea.png", "coffee.png", "motorcycle_left.png")
    colours = np.concatenate([np.asarray(photograph(name)).reshape(-1, 3) for name in names]) / 255
    _, singular, directions = np.linalg.svd(colours - colours.mean(0), full_matrices=False)
    numbers = r"\( *([\d.-]+) +([\d.-]+) +([\d.-]+)\) +lambda ([\d.]+) +sigma ([\d.]+)"
    rows = [[float(value) for value in row] for row in re.findall(numbers, executed.printed["colours"])]
    assert len(rows) == 3
    for row, value, direction in zip(rows, singular, directions, strict=True):
        np.testing.assert_allclose(row[:3], direction * np.sign(direction[0]), atol=0.006)
        np.testing.assert_allclose(row[3], value**2 / (len(colours) - 1), atol=6e-5)
        np.testing.assert_allclose(row[4], value / np.sqrt(len(colours) - 1), atol=6e-4)
    printed = executed.printed["ten-views"]
    for name in ("Egyptian cat", "tiger cat", "tabby"):
        *views, averaged = map(float, re.search(rf"^{name} +([\d. ]+)$", printed, re.MULTILINE)[1].split())
        assert len(views) == 10
        assert averaged == pytest.approx(np.mean(views), abs=0.011)
    assert "dense.ten_crop does the same: True" in printed


@pytest.mark.timeout(900)
def test_maps_are_averaged(executed):
    assert "75 windows" in executed.printed["one-answer"]
    assert executed.printed["one-answer"].splitlines()[2].count(" cat") == 4
    printed = executed.printed["linear-first"]
    assert "98,304,000 multiply-adds for 24 positions" in printed
    assert "below 1e-5" in printed
    # With a rectifier between them the order matters.
    assert float(re.search(r"before the last two layers: ([\d.]+)", printed)[1]) > 0.005
    printed = executed.printed["class-map"]
    assert "(1000, 9, 14)" in printed
    assert "equal for all 1000 classes: True" in printed
    scores = re.findall(r"score +([\d.]+) +mean of its map +([\d.]+)", printed)
    assert len(scores) == 3
    assert all(float(score) == pytest.approx(float(mean), abs=0.002) for score, mean in scores)


@pytest.mark.timeout(900)
def test_auxiliary_classifiers(executed):
    printed = executed.printed["auxiliary"]
    assert re.findall(r"^(\w+) +\(1, 1000\)$", printed, re.MULTILINE) == [
        "logits", "aux_logits2", "aux_logits1",
    ]  # fmt: skip
    # By hand: 1 x 1 to 128 channels on 4 x 4, then 2048 to 1024 to 1000.
    for name, channels in (("aux1", 512), ("aux2", 528)):
        params = 128 * (channels + 1) + 1024 * (2048 + 1) + 1000 * (1024 + 1)
        work = 16 * 128 * channels + 1024 * 2048 + 1000 * 1024
        assert re.search(rf"{name} +{params:,} parameters +{work:,} multiply-adds", printed)


@pytest.mark.timeout(900)
def test_table_1_of_resnet(executed):
    rows = re.findall(r"^ResNet-(\d+) +(.*)$", executed.printed["resnet-table"], re.MULTILINE)
    counted = {int(depth): [float(value) for value in row.split()] for depth, row in rows}
    # Table 1 of arXiv:1512.03385.
    assert {depth: row[-1] for depth, row in counted.items()} == {
        18: 1.8, 34: 3.6, 50: 3.8, 101: 7.6, 152: 11.3,
    }  # fmt: skip
    # torchvision's "GFLOPS" of the published weights.
    assert {depth: row[1] for depth, row in counted.items()} == {
        18: 1.81, 34: 3.66, 50: 4.09, 101: 7.80, 152: 11.51,
    }  # fmt: skip
    for depth, (_, here, strided, like_paper, published) in counted.items():
        assert here - strided == pytest.approx(0.231 if depth >= 50 else 0, abs=0.011)
        assert like_paper == pytest.approx(published, abs=0.065)


@pytest.mark.timeout(900)
def test_an_ensemble_is_better_than_its_members(executed):
    printed = executed.printed["ensembles"]
    members = re.search(r"in percent: ([\d ]+)  mean ([\d.]+)", printed)
    errors = [int(error) for error in members[1].split()]
    assert len(errors) == 6
    assert float(members[2]) == pytest.approx(np.mean(errors), abs=0.051)
    for average in ("probs", "logprobs", "logits"):
        assert int(re.search(rf"average='{average}': +(\d+)", printed)[1]) < min(errors)
    # Both rank the classes by the mean of the logits.
    assert re.search(r"logprobs': +(\d+)", printed)[1] == re.search(r"average='logits': +(\d+)", printed)[1]


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
def test_family_tree_is_drawn(executed):
    assert len(executed.shown["tree"]) == 1
    (text,) = executed.texts["tree"]
    for relation in ("AlexNet is built on LeNet-5", "GoogLeNet on NiN", "ResNeXt on ResNet and GoogLeNet"):
        assert relation in text


@pytest.mark.timeout(900)
def test_heat_map_is_warm_where_the_cat_is(executed):
    (page,), (heat,) = executed.shown["page"], executed.shown["heat-map"]
    assert page.size == (900, 640)
    # Below the picture stands what its colours mean.
    assert heat.width == 900
    assert heat.height > 640
    heat = heat.crop((0, 0, *page.size))
    before, after = (np.asarray(picture.convert("RGB"), np.float32) for picture in (page, heat))
    # 27 x 43 windows inside the page, and seven more on each side until half a stride from its edges.
    assert "map: (1000, 41, 57)" in executed.printed["heat-map"]
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
def test_heat_maps_cover_their_pictures(executed):
    coffee, cat = photograph("coffee.png"), photograph("chelsea.png")
    # A pixel may happen to have the colour of the map.
    assert uncovered(executed.shown["heat-map"][0], executed.shown["page"][0].convert("RGB")) < 1e-3
    assert uncovered(executed.shown["scales"][0], coffee) < 1e-3
    assert uncovered(executed.shown["class-map"][0], cat.crop((0, 0, 448, 288))) < 1e-3


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
