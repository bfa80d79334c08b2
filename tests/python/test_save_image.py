"""`rvision.utils.save_image`, bit for bit as torchvision's."""

from __future__ import annotations

import io

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision.utils import save_image


def test_values_are_rounded_to_levels(tmp_path):
    values = np.array([[[-1, 0, 0.5, 1, 2]]], np.float32).repeat(3, 0)
    save_image(values, tmp_path / "x.png")
    # floor(255 * 0.5 + 0.5) is 128.
    assert np.asarray(Image.open(tmp_path / "x.png"))[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    save_image(np.ones((2, 1, 2, 2), np.float32), tmp_path / "y.png", padding=1)
    grid = np.asarray(Image.open(tmp_path / "y.png"))
    assert grid.shape == (4, 7, 3) and grid[0].max() == 0 and grid[1, 1].tolist() == [255] * 3


def test_errors(tmp_path):
    with pytest.raises(rvision.ArgumentError, match="nrow"):
        save_image(np.ones((2, 3, 2, 2), np.float32), tmp_path / "x.png", nrow=0)
    with pytest.raises(FileNotFoundError):
        save_image(np.ones((3, 2, 2), np.float32), tmp_path / "none" / "x.png")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"nrow": 2, "padding": 3, "pad_value": 0.7},
        {"normalize": True},
        {"normalize": True, "scale_each": True},
        {"normalize": True, "value_range": (-1, 1.5)},
    ],
)
def test_it_is_torchvisions(torch, options):
    from torchvision import utils

    batch = np.random.default_rng(0).normal(0.4, 0.6, (5, 3, 7, 6)).astype(np.float32)
    for x in (batch, batch[:, :1], batch[0], batch[:1]):
        ours, theirs = io.BytesIO(), io.BytesIO()
        save_image(x, ours, format="PNG", **options)
        utils.save_image(torch.from_numpy(x), theirs, format="PNG", **options)
        assert ours.getvalue() == theirs.getvalue()
