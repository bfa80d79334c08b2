"""Examples in docstrings are run, where a picture.jpg is at hand."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import dense, models, nn, ops, transforms, utils
from rvision import weights as weights_module
from rvision.nn import functional as F

NAMES = [
    "F.max_pool2d",
    "F.interpolate",
    "nn.AvgPool2d",
    "nn.Softmax",
    "nn.Sigmoid",
    "nn.Sequential",
    "flatten",
    "nn.Dropout",
    "nn.Module",
    "load",
    "transforms.FiveCrop",
    "transforms.Grayscale",
    "models.get_model_weights",
    "models.get_model_builder",
    "convolutionize",
    "models.get_model",
    "models.get_weight",
    "models.list_models",
    "nn.AdaptiveAvgPool2d",
    "nn.BatchNorm2d",
    "nn.Conv2d",
    "nn.Flatten",
    "nn.Linear",
    "nn.MaxPool2d",
    "nn.ReLU",
    "F.conv2d",
    "F.relu",
    "F.softmax",
    "cat",
    "stack",
    "where",
    "save",
    "classify",
    "summary",
    "profile",
    "benchmark",
    "recommend",
    "evaluate",
    "fit_head",
    "Ensemble",
    "weights.WeightsEnum.top",
    "transforms.CenterCrop",
    "transforms.Compose",
    "transforms.Normalize",
    "transforms.Pad",
    "transforms.RandomCrop",
    "transforms.Resize",
    "transforms.TenCrop",
    "transforms.ToTensor",
    "ops.box_iou",
    "ops.nms",
    "utils.draw_bounding_boxes",
    "utils.make_grid",
]


def found(name: str):
    value = {"F": F, "weights": weights_module}.get(name.split(".")[0], rvision)
    for part in name.split(".")[1:] if name.split(".")[0] in ("F", "weights") else name.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("name", NAMES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RVISION_OFFLINE", "1")
    Image.linear_gradient("L").resize((64, 48)).convert("RGB").save("picture.jpg")
    known = {
        **{"rvision": rvision, "np": np, "Image": Image, "nn": nn, "F": F, "models": models},
        **{"transforms": transforms, "ops": ops, "utils": utils, "dense": dense},
    }
    text = found(name).__doc__
    test = doctest.DocTestParser().get_doctest(text, known, name, None, None)
    assert test.examples, f"{name} has no example"
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append)
    assert result.failed == 0, "".join(report)
