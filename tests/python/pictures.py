"""Test pictures made from integers: the same on every machine."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def photo(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Return a smooth, coloured, slightly noisy picture."""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    channels = [
        (x * (3 + c) + y * (7 - 2 * c) + (x * y) // (11 + c) + (x * 7919 + y * 104729) % 13) for c in range(3)
    ]
    pixels = np.stack([np.where(v // 256 % 2 == 0, v % 256, 255 - v % 256) for v in channels], axis=-1)
    img = Image.fromarray(pixels.astype(np.uint8))
    if mode == "I":
        return Image.fromarray((pixels[..., 0] * 257).astype(np.int32))
    if mode == "I;16":
        return Image.fromarray((pixels[..., 0] * 257).astype(np.uint16))
    if mode == "RGBA":
        img.putalpha(Image.fromarray(pixels[..., 0].astype(np.uint8)))
        return img
    return img.convert(mode)


def real_data() -> Path:
    """Return the folder of real weights and pictures, or skip the test if there is none."""
    folder = Path(os.environ.get("RVISION_REAL_DATA") or Path(__file__).parents[3] / "shared" / "real")
    if not folder.is_dir():
        pytest.skip(f"no real weights and pictures at {folder}")
    return folder
