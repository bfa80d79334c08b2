"""Pictures as `dense` takes them: arrays that are prepared, or pictures with what prepares them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rvision.errors import ArgumentError, ShapeError
from rvision.nn._inputs import as_input
from rvision.transforms import functional as F
from rvision.transforms._pictures import is_pil, is_pixels, to_pil
from rvision.transforms._presets import ImageClassification

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["OVERFEAT_SIZES", "Scale", "prepared", "scaled"]

Scale = float | Sequence[int]

OVERFEAT_SIZES = ((245, 245), (281, 317), (317, 389), (389, 461), (425, 497), (461, 569))
"""Height and width of the six scales of OverFeat's table 5 (arXiv:1312.6229), for windows of 221 pixels."""


def as_picture(image: Any) -> Image | None:
    """Return a Pillow image, made of uint8 pixels (H, W) or (H, W, C) too, or None for what is prepared."""
    if is_pil(image):
        return image
    if is_pixels(image) or (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 2):
        return to_pil(image)
    return None


def prepared(
    image: Any, transform: Callable[[Any], Any] | None, picture: Image | None, where: str
) -> NDArray[np.float32]:
    """Return (C, H, W) float32: a picture prepared by `transform`, or an array that is prepared.

    Of a preset (`weights.transforms()`) the resizing and cropping is left out.
    """
    if picture is None:
        array = as_input(image, where)
        if array.ndim == 4 and array.shape[0] == 1:
            array = array[0]
        if array.ndim != 3:
            raise ShapeError(f"{where}: image: expected one picture (C, H, W), got shape {array.shape}")
        return array
    if transform is None:
        raise ArgumentError(
            f"{where}: a picture needs transform=, such as weights.transforms(); or give a prepared array "
            "(C, H, W) of float32"
        )
    if isinstance(transform, ImageClassification):
        transform = transform.normalized
    array = as_input(transform(picture), where)
    if array.ndim != 3 or array.shape[1:] != (picture.height, picture.width):
        raise ArgumentError(
            f"{where}: transform: expected it to keep the picture's size and return (C, {picture.height}, "
            f"{picture.width}), got {array.shape}; it must not resize or crop"
        )
    return array


def scaled(picture: Image, scale: Scale, where: str) -> Image:
    """Return a picture resized by a factor, or to (height, width)."""
    if isinstance(scale, int | float | np.number):
        if not 0 < scale < np.inf:
            raise ArgumentError(f"{where}: scales: expected factors above 0, got {scale!r}")
        size = [max(round(picture.height * float(scale)), 1), max(round(picture.width * float(scale)), 1)]
    else:
        size = [int(side) for side in scale]
        if len(size) != 2 or min(size) < 1:
            raise ArgumentError(f"{where}: scales: expected factors, or (height, width), got {scale!r}")
    if size == [picture.height, picture.width]:
        return picture
    return F.resize(picture, size)
