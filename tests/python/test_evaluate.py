"""rvision.evaluate: counting, and the sources of labels."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import models, nn
from rvision import transforms as T
from rvision._evaluate import labelled
from rvision._pictures import PictureError
from rvision.errors import ArgumentError
from rvision.weights import LeNet5_Weights

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)
COLOURS = ["red", "green", "blue"]


def strongest_channel(x: np.ndarray) -> np.ndarray:
    """A classifier of colours: (N, 3, H, W) to (N, 3)."""
    assert x.dtype == np.float32
    return x.mean(axis=(2, 3))


def save(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (6, 5)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def logits(*rows: list[float]) -> np.ndarray:
    """Return inputs of one pixel, whose means are these outputs."""
    return np.array(rows, np.float32)[:, :, None, None]


# --- counting ---


def test_counts_how_often_the_label_is_among_the_first():
    x = logits([3, 2, 1], [1, 3, 2], [1, 2, 3], [3, 2, 1])
    result = rvision.evaluate(strongest_channel, x, [0, 0, 1, 2], topk=(1, 2))
    assert result.n == 4
    assert result.hits == {1: 1, 2: 2}
    assert result.ranks.tolist() == [0, 2, 1, 2]
    assert result.accuracy() == 0.25
    assert result.error(2) == 0.5
    assert str(result) == (
        "4 pictures: top-1 accuracy 25.0 % (error 75.0 %), top-2 accuracy 50.0 % (error 50.0 %)"
    )


def test_equal_outputs_stand_in_their_order_as_argmax_has_them():
    x = logits([1, 1, 1])
    for label in range(3):
        assert rvision.evaluate(strongest_channel, x, [label]).ranks.tolist() == [label]


def test_outputs_that_are_not_numbers_are_never_right():
    nan = math.nan
    x = logits([nan, 2, 1], [nan, 2, 1], [nan, nan, nan])
    assert rvision.evaluate(strongest_channel, x, [0, 1, 2]).hits[1] == 0


def test_five_of_three_classes_is_not_counted():
    assert rvision.evaluate(strongest_channel, logits([3, 2, 1]), [0]).hits == {1: 1}


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_the_batch_size_does_not_matter(batch_size):
    rng = np.random.default_rng(1)
    x = rng.random((7, 3, 4, 4), np.float32)
    labels = rng.integers(0, 3, 7)
    expected = rvision.evaluate(strongest_channel, x, labels).ranks
    assert rvision.evaluate(strongest_channel, x, labels, batch_size=batch_size).ranks.tolist() == (
        expected.tolist()
    )


def test_a_module_is_evaluated():
    model = rvision.models.lenet5()
    x = np.random.default_rng(2).random((5, 1, 28, 28), np.float32)
    assert rvision.evaluate(model, x, model(x).argmax(1)).accuracy() == 1


def test_no_pictures_have_no_accuracy():
    result = rvision.evaluate(strongest_channel, np.empty((0, 3, 2, 2), np.float32), np.empty(0, int))
    assert result.n == 0
    assert math.isnan(result.accuracy())


# --- pictures ---


def test_files_pictures_and_pixels_are_prepared(tmp_path):
    sources = [
        save(tmp_path / "a.png", RED),
        Image.new("RGB", (9, 3), GREEN),
        np.full((8, 7, 3), BLUE, np.uint8),
    ]
    result = rvision.evaluate(strongest_channel, sources, [0, 1, 2], transforms=T.ToTensor())
    assert result.accuracy() == 1


def test_pictures_without_transforms_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"transforms=.*weights\.transforms\(\)"):
        rvision.evaluate(strongest_channel, [save(tmp_path / "a.png", RED)], [0])
    with pytest.raises(TypeError, match="arrays of uint8 need transforms"):
        rvision.evaluate(strongest_channel, np.zeros((1, 3, 4, 4), np.uint8), [0])


def test_a_picture_that_can_not_be_read(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture at all")
    sources = [save(tmp_path / "a.png", RED), tmp_path / "bad.png", save(tmp_path / "c.png", BLUE)]
    with pytest.raises(PictureError, match=r"bad\.png"):
        rvision.evaluate(strongest_channel, sources, [0, 1, 2], transforms=T.ToTensor())
    result = rvision.evaluate(
        strongest_channel, sources, [0, 1, 2], transforms=T.ToTensor(), skip_unreadable=True
    )
    assert (result.n, result.accuracy()) == (2, 1)
    assert [str(error) for error in result.unreadable] == [
        f"{tmp_path / 'bad.png'}: not a picture that Pillow can read"
    ]


# --- labels ---


def test_labels_must_belong_to_the_pictures():
    x = logits([3, 2, 1], [3, 2, 1])
    with pytest.raises(rvision.ArgumentError, match="2 pictures, but 1 labels"):
        rvision.evaluate(strongest_channel, x, [0])
    with pytest.raises(rvision.ArgumentError, match=r"label 3: the network has classes 0 to 2"):
        rvision.evaluate(strongest_channel, x, [0, 3])
    with pytest.raises(rvision.ArgumentError, match="label -1"):
        rvision.evaluate(strongest_channel, x, [0, -1])
    with pytest.raises(rvision.ArgumentError, match="whole numbers"):
        rvision.evaluate(strongest_channel, x, [0.5, 1.0])
    with pytest.raises(rvision.ArgumentError, match="got None"):
        rvision.evaluate(strongest_channel, x)


def test_a_network_that_is_no_classifier_is_refused():
    with pytest.raises(rvision.ArgumentError, match=r"expected \(2, classes\), got \(2, 3, 1, 1\)"):
        rvision.evaluate(lambda x: x, logits([1, 2, 3], [1, 2, 3]), [0, 0])


def test_class_folders_are_numbered_as_torchvisions_image_folder_does(tmp_path):
    for name, colour in (("a", RED), ("b", GREEN), ("c", BLUE)):
        save(tmp_path / name / "1.png", colour)
        save(tmp_path / name / "deeper" / "2.JPG", colour)
    (tmp_path / "a" / "notes.txt").write_text("not a picture")
    for categories in (None, ["x", "y", "z"]):
        result = rvision.evaluate(strongest_channel, tmp_path, transforms=T.ToTensor(), categories=categories)
        assert (result.n, result.accuracy()) == (6, 1)


def test_some_class_folders_are_told_by_name_or_number(tmp_path):
    save(tmp_path / "Dark_Blue" / "1.png", BLUE)
    save(tmp_path / "1" / "1.png", GREEN)
    given = labelled([tmp_path], categories=["red", "green", "dark blue"])
    assert given.labels.tolist() == [1, 2]


def test_folders_that_are_no_class_are_an_error(tmp_path):
    save(tmp_path / "red" / "1.png", RED)
    save(tmp_path / "crane" / "1.png", RED)
    with pytest.raises(
        rvision.ArgumentError, match=r"2 class folders.*4 classes.*'crane' stands for .*1 and 3"
    ):
        labelled([tmp_path], categories=["red", "crane", "blue", "crane"])
    with pytest.raises(rvision.ArgumentError, match="'crane' is none of them"):
        labelled([tmp_path], categories=COLOURS)


def test_a_folders_labels_csv(tmp_path):
    for name, colour in (("a.png", RED), ("it's blue, really.png", BLUE)):
        save(tmp_path / name, colour)
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerows(
            [["file", "class_index", "name"], ["a.png", 0, "red"], ["it's blue, really.png", 2, ""]]
        )
    assert rvision.evaluate(strongest_channel, tmp_path, transforms=T.ToTensor()).accuracy() == 1
    elsewhere = tmp_path / "other.csv"
    elsewhere.write_text("class_index,file\n1,a.png\n")
    result = rvision.evaluate(strongest_channel, tmp_path, elsewhere, transforms=T.ToTensor())
    assert (result.n, result.accuracy()) == (1, 0)


def test_files_with_a_csv(tmp_path, monkeypatch):
    a, b = save(tmp_path / "pictures" / "a.png", RED), save(tmp_path / "pictures" / "b.png", BLUE)
    labels = tmp_path / "labels.csv"
    labels.write_text("file,class_index\npictures/a.png,0\npictures/b.png,2\npictures/c.png,1\n")
    monkeypatch.chdir(tmp_path / "pictures")
    result = rvision.evaluate(strongest_channel, [b, Path("a.png")], labels, transforms=T.ToTensor())
    assert (result.n, result.accuracy()) == (2, 1)
    with pytest.raises(rvision.ArgumentError, match=r"d\.png: .*labels\.csv has no label for it"):
        labelled([a, tmp_path / "d.png"], labels)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,index\na,1\n", "expected columns file and class_index, found name, index"),
        ("file,class_index\na.png,cat\n", "line 2: class_index 'cat' is no number"),
        ("file,class_index\na.png\n", "line 2: class_index None is no number"),
        ("file,class_index\n", "no pictures in it"),
        ("", "found none"),
    ],
)
def test_a_csv_that_is_something_else(tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(rvision.ArgumentError, match=message):
        labelled([tmp_path])


def test_an_archive_of_arrays(tmp_path):
    images = np.stack([np.full((6, 6, 3), colour, np.uint8) for colour in (RED, GREEN, BLUE)])
    for name, array in (("last", images), ("first", np.moveaxis(images, -1, 1))):
        np.savez(tmp_path / f"{name}.npz", images=array, labels=[0, 1, 2])
        preset = T.ImageClassification(crop_size=6, resize_size=6)
        assert (
            rvision.evaluate(strongest_channel, tmp_path / f"{name}.npz", transforms=preset).accuracy() == 1
        )


def test_archives_that_are_something_else(tmp_path):
    np.savez(tmp_path / "other.npz", x=[1], y=[2])
    with pytest.raises(rvision.ArgumentError, match="expected arrays images and labels, found x, y"):
        labelled([tmp_path / "other.npz"])
    np.savez(tmp_path / "objects.npz", images=np.array([{}]), labels=[0])
    with pytest.raises(rvision.ArgumentError, match="plain arrays"):
        labelled([tmp_path / "objects.npz"])
    (tmp_path / "damaged.npz").write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(rvision.ArgumentError, match="plain arrays"):
        labelled([tmp_path / "damaged.npz"])


def test_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        labelled([tmp_path / "none.npz"])
    with pytest.raises(rvision.ArgumentError, match="labels are needed"):
        labelled([tmp_path / "a.png", tmp_path / "b.png"])
    with pytest.raises(rvision.ArgumentError, match="neither class folders nor"):
        labelled([tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(rvision.ArgumentError, match=r"empty: no pictures"):
        labelled([tmp_path])


# --- the reference's numbers ---


@pytest.mark.parametrize(
    ("network", "percent"), [("squeezenet1_0", 62.3), ("squeezenet1_1", 64.2), ("mobilenet_v2", 86.8)]
)
def test_real_weights_on_real_pictures(real_data, network, percent):
    weights = rvision.models.get_model_weights(network).IMAGENET1K_V1
    model = rvision.models.get_model(network, weights=real_data / f"{network}.pth")
    result = rvision.evaluate(model, real_data / "imagenet", transforms=weights.transforms())
    assert result.n == 53
    assert round(100 * result.accuracy(), 1) == percent


@pytest.mark.parametrize(
    ("network", "file", "shortcut", "percent"),
    [
        ("cifar10_resnet20", "cifar10_resnet20_optionA.pth", "A", 91.0),
        ("cifar10_resnet20", "cifar10_resnet20_tvkeys.pth", "B", 91.0),
        ("cifar10_resnet56", "cifar10_resnet56_tvkeys.pth", "B", 94.0),
    ],
)
def test_real_weights_on_real_arrays(real_data, network, file, shortcut, percent):
    model = rvision.models.get_model(network, shortcut=shortcut, weights=real_data / file)
    with np.load(real_data / "cifar10_test500.npz") as data:
        images, labels = data["images"] / np.float32(255), data["labels"]
    images = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])(images)
    result = rvision.evaluate(model, images, labels)
    assert round(100 * result.accuracy(), 1) == percent


def test_a_network_knows_how_pictures_are_prepared(tmp_path):
    digits, truth = rvision.dense.held_out_digits()
    weights = LeNet5_Weights.MNIST
    model = models.lenet5(weights=weights)
    wanted = rvision.evaluate(model, digits, truth, transforms=weights.transforms())
    found = rvision.evaluate(model, digits, truth)
    assert found.hits == wanted.hits
    assert found.categories == weights.meta["categories"]
    # Floats are what the network takes, as before.
    prepared = np.stack([weights.transforms()(digit) for digit in digits])
    assert rvision.evaluate(model, prepared, truth).hits == wanted.hits
    # An attribute says it too, and an argument overrules it.
    for digit, label in zip(digits[:40], truth[:40], strict=True):
        (tmp_path / f"number {label}").mkdir(exist_ok=True)
        Image.fromarray(digit).save(tmp_path / f"number {label}" / f"{len(list(tmp_path.rglob('*')))}.png")
    model = nn.Sequential(models.lenet5(weights=weights))
    with pytest.raises(TypeError, match=r"transforms=.*weights\.transforms\(\)"):
        rvision.evaluate(model, tmp_path)
    model.transforms = weights.transforms()
    model.categories = [f"number {label}" for label in range(10)]
    found = rvision.evaluate(model, tmp_path)
    assert found.accuracy() > 0.9
    assert "their names" in found.rule
    assert found.categories == model.categories
    with pytest.raises(ArgumentError, match="2 names"):
        rvision.evaluate(model, digits, truth, categories=["a", "b"])
