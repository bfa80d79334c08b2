"""`rvision.classify` and `weights.top`: the most probable classes, by name."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import models, nn
from rvision import transforms as T
from rvision.errors import ArgumentError, ShapeError
from rvision.weights import LeNet5_Weights, ResNet50_Weights, ViT_H_14_Weights

COLOURS = ["red", "green", "<blue>"]
TENSOR = T.ToTensor()


def strongest_channel(x: np.ndarray) -> np.ndarray:
    """A classifier of colours: (N, 3, H, W) to (N, 3)."""
    return x.mean(axis=(2, 3))


def classified(pictures, **settings):
    return rvision.classify(
        strongest_channel, pictures, **{"transforms": TENSOR, "categories": COLOURS, **settings}
    )


@pytest.fixture
def folder(tmp_path):
    for name, colour in (("a.png", (255, 0, 0)), ("b.png", (0, 0, 255))):
        Image.new("RGB", (6, 5), colour).save(tmp_path / name)
    return tmp_path


# --- weights.top ---


def test_top_names_the_most_probable_classes():
    logits = np.full(1000, -np.inf, np.float32)
    logits[[258, 259, 0]] = np.log([6.0, 3.0, 1.0])
    top = ResNet50_Weights.DEFAULT.top(logits, k=2)
    assert [(row.name, row.index) for row in top] == [("Samoyed", 258), ("Pomeranian", 259)]
    assert [row.probability for row in top] == pytest.approx([0.6, 0.3], rel=1e-6)
    assert repr(top) == "[('Samoyed', 0.6, 258), ('Pomeranian', 0.3, 259)]"
    name, probability, index = top[0]
    assert (name, index, type(probability), type(top[0].index)) == ("Samoyed", 258, float, int)


def test_top_of_a_batch_is_a_list_for_each_picture():
    logits = np.eye(10, dtype=np.float32)[[3, 7]]
    rows = LeNet5_Weights.DEFAULT.top(logits, k=1)
    likely = math.e / (math.e + 9)
    assert rows == [[("3", pytest.approx(likely), 3)], [("7", pytest.approx(likely), 7)]]
    assert len(LeNet5_Weights.DEFAULT.top(logits[0], k=50)) == 10


def test_equal_outputs_are_in_order():
    assert [row.index for row in LeNet5_Weights.DEFAULT.top(np.zeros(10), k=3)] == [0, 1, 2]


def test_top_refuses_what_is_not_of_these_weights():
    with pytest.raises(ShapeError, match=r"expected \(1000,\) or \(N, 1000\).*got shape \(1, 10\)"):
        ResNet50_Weights.DEFAULT.top(np.zeros((1, 10)))
    with pytest.raises(ShapeError):
        LeNet5_Weights.DEFAULT.top(np.zeros((1, 2, 10)))
    with pytest.raises(ArgumentError, match="k must be an integer of at least 1"):
        LeNet5_Weights.DEFAULT.top(np.zeros(10), k=0)
    with pytest.raises(TypeError, match="numbers"):
        LeNet5_Weights.DEFAULT.top(np.array(["a"] * 10))
    swag = next((each for each in ViT_H_14_Weights if not each.meta["categories"]), None)
    if swag is not None:
        with pytest.raises(ArgumentError, match="no classes"):
            swag.top(np.zeros(1000))


def test_top_takes_torchs_outputs():
    torch = pytest.importorskip("torch")
    logits = torch.tensor([[0.0] * 9 + [2.0]], requires_grad=True)
    values, indices = torch.softmax(logits, 1).topk(1)
    [[best]] = LeNet5_Weights.DEFAULT.top(logits, k=1)
    assert (best.index, best.probability) == (indices.item(), pytest.approx(values.item(), rel=1e-6))


# --- classify ---


def test_files_folders_pictures_and_arrays(folder):
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    found = classified([folder, folder / "b.png", red, np.asarray(red)])
    assert [row.name for row in found] == ["red", "<blue>", "<blue>", "red", "red"]
    assert [row.index for row in found] == [0, 2, 2, 0, 0]
    assert found[0].source == folder / "a.png"
    assert found[0].probability == pytest.approx(math.e / (math.e + 2))
    assert [guess.name for guess in found[0].top] == ["red", "green", "<blue>"]
    assert [row.name for row in classified(str(folder))] == ["red", "<blue>"]
    assert [row.name for row in classified(np.stack([np.asarray(red)] * 3))] == ["red"] * 3
    assert len(classified(red, k=2)[0].top) == 2


def test_without_categories_classes_are_numbered():
    [row] = classified(Image.new("RGB", (4, 4), (0, 255, 0)), categories=None)
    assert (row.name, row.index) == ("class 1", 1)


def test_a_network_may_name_its_classes():
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.categories, model.transforms = COLOURS, TENSOR
    green = Image.new("RGB", (4, 4), (0, 255, 0))
    assert rvision.classify(model, green)[0].name == "green"
    assert rvision.classify(model, green, categories=["a", "b", "c"])[0].name == "b"
    # An attribute of this name may be something else.
    model.categories = {"red": 0}
    assert rvision.classify(model, green)[0].name == "class 1"
    map = rvision.dense.predict(model, TENSOR(green), 1, input_size=(3, 4, 4))
    assert map.categories is None
    model.categories = COLOURS
    map = rvision.dense.predict(model, TENSOR(green), 1, input_size=(3, 4, 4))
    assert map.best(1)[0].category == "green"


def test_it_is_a_table_as_text_and_in_html(folder):
    found = classified([folder / "a.png", Image.new("RGB", (300, 200), (0, 0, 255))], k=1)
    lines = repr(found).splitlines()
    assert lines[0].split() == ["picture", "class", "probability"]
    assert lines[2].split()[-4:] == [str(folder / "a.png"), "red", "57.6", "%"]
    assert lines[3].split() == ["picture", "1", "<blue>", "57.6", "%"]
    html = found._repr_html_()
    assert "&lt;blue&gt;" in html
    assert "<blue>" not in html
    assert html.count('src="data:image/png;base64,') == 2
    assert 'alt="picture 1" width="96" height="64"' in html


def test_a_long_result_is_cut_where_it_is_shown():
    found = classified([Image.new("RGB", (4, 4))] * 60, k=1)
    assert repr(found).endswith("... and 10 more")
    assert found._repr_html_().count("<img") == 50
    assert len(found[:2]) == 2


def test_rows_are_what_pandas_takes():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(classified([Image.new("RGB", (4, 4), (255, 0, 0))] * 2))
    assert list(frame.columns) == ["source", "name", "probability", "index", "top"]
    assert frame["name"].tolist() == ["red", "red"]


def test_a_network_knows_the_weights_that_it_was_built_with():
    digit = Image.new("L", (28, 28))
    model = models.lenet5(weights="DEFAULT")
    found = rvision.classify(model, digit)
    want = LeNet5_Weights.DEFAULT.top(model(LeNet5_Weights.DEFAULT.transforms()(digit)[None])[0])
    assert found[0].top == tuple(want)
    assert rvision.classify("lenet5", digit)[0].top == tuple(want)
    # After a change they may be others.
    model.load_state_dict(models.lenet5().state_dict())
    with pytest.raises(ArgumentError, match="give weights="):
        rvision.classify(model, digit)
    assert len(rvision.classify(model, digit, LeNet5_Weights.MNIST)[0].top) == 5


def test_an_ensembles_probabilities_stay_as_they_are():
    logits = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    ensemble = rvision.Ensemble([logits, logits], transforms=TENSOR)
    [row] = rvision.classify(ensemble, Image.new("RGB", (4, 4), (255, 0, 0)))
    assert row.probability == pytest.approx(math.e / (math.e + 2), rel=1e-6)


def test_mistakes_are_named(folder):
    with pytest.raises(FileNotFoundError, match=r"no\.png"):
        classified(folder / "no.png")
    (folder / "bad.png").write_text("no picture")
    with pytest.raises(OSError, match=r"bad\.png: not a picture"):
        classified(folder)
    with pytest.raises(ArgumentError, match="2 names, but the network has 3 classes"):
        classified(folder / "a.png", categories=["a", "b"])
    with pytest.raises(ArgumentError, match="at least one, got none"):
        classified([])
    with pytest.raises(TypeError, match="network or its name, got int"):
        rvision.classify(3, folder)
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        classified(np.full((3, 300, 300), 2.0, np.float32), transforms=ResNet50_Weights.DEFAULT.transforms())
