"""Errors of transforms end in the caller's line."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
import rvision
from rvision import dense, transforms
from rvision.transforms import functional as F
from rvision.weights import ResNet50_Weights

PACKAGE = str(Path(rvision.__file__).parent)
# Python 3.10 goes on to show the frame that shortens the traceback.
LEAST = 0 if sys.version_info >= (3, 11) else 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: transforms.ToTensor()("x"),
        lambda: transforms.Compose([transforms.Resize(8), transforms.ToTensor()])(3),
        lambda: transforms.Normalize([0.5], [0.0])(np.zeros((1, 2, 2), np.float32)),
        lambda: transforms.Resize(8)(np.zeros(3)),
        lambda: ResNet50_Weights.DEFAULT.transforms()(np.zeros((2, 2))),
        lambda: F.to_tensor("x"),
        lambda: F.resize(np.zeros(3), [8]),
        lambda: ResNet50_Weights.DEFAULT.top(np.zeros(3)),
        lambda: rvision.classify("resnet18", "nothing.png"),
        lambda: dense.Map(np.zeros((2, 1, 1), np.float32), (2, 2), (1, 1), (2, 2)).show(7),
    ],
)
def test_the_last_line_is_the_callers(call):
    with pytest.raises(Exception) as caught:
        call()
    entries = traceback.extract_tb(caught.value.__traceback__)
    assert sum(entry.filename.startswith(PACKAGE) for entry in entries) <= LEAST
