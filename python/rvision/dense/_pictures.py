"""Pictures as `dense` takes them: arrays that are prepared, or pictures with what prepares them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rvision.errors import ArgumentError, ShapeError
from rvision.nn._inputs import as_array, as_input
from rvision.transforms import functional as F
from rvision.transforms._pictures import is_pil, is_pixels, to_pil
from rvision.transforms._presets import ImageClassification
from rvision.transforms._sizes import warn_of_channels_last

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "OVERFEAT_SIZES",
    "Scale",
    "Transform",
    "height_and_width",
    "prepared",
    "scaled",
    "scaled_size",
    "unprepared",
]

Scale = float | Sequence[int]
Transform = Callable[[Any], Any]

# How far floats may leave [0, 1]: what a product of roundings comes to, and far less than prepared values do.
_ROUNDING = 1e-4

OVERFEAT_SIZES = ((245, 245), (281, 317), (317, 389), (389, 461), (425, 497), (461, 569))
"""Height and width of the six scales of OverFeat's table 5 (arXiv:1312.6229), for windows of 221 pixels."""


def as_picture(image: Any) -> Image | None:
    """Return a Pillow image, made of uint8 pixels (H, W) or (H, W, C) too, or None for an array."""
    if is_pil(image):
        return image
    if is_pixels(image) or (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 2):
        return to_pil(image)
    return None


def unprepared(image: Any, transform: Transform | None, where: str) -> Image | NDArray[Any] | None:
    """Return what is to be prepared: a Pillow image, or with a transform an array (C, H, W) as it came.

    None stands for an array that is prepared: one of floats without a transform.
    """
    picture = as_picture(image)
    if picture is not None or transform is None:
        return picture
    array = as_array(image, where)
    picture = as_picture(array)
    return _single(array, where) if picture is None else picture


def height_and_width(picture: Image | NDArray[Any]) -> tuple[int, int]:
    """Return the size of what `unprepared` returned."""
    if isinstance(picture, np.ndarray):
        return picture.shape[-2], picture.shape[-1]
    return picture.height, picture.width


def prepared(image: Any, transform: Transform | None, where: str) -> NDArray[np.float32]:
    """Return (C, H, W) float32: what `transform` makes of a picture or an array, or a prepared array.

    Of a preset (`weights.transforms()`) the resizing and cropping is left out.

    Raises
    ------
    ArgumentError
        If a picture comes without a transform; if the transform returns another size; if floats that a preset
        is to prepare lie outside of [0, 1].
    ShapeError
        If it is not one picture.
    TypeError
        If it is no picture and no array of floats; of uint8 only with a transform.
    """
    picture = unprepared(image, transform, where)
    if picture is None:
        array = _single(as_input(image, where), where)
        warn_of_channels_last(array.shape)
        return array
    if transform is None:
        raise ArgumentError(
            f"{where}: a picture needs transform=, such as weights.transforms(); or give a prepared array "
            "(C, H, W) of float32"
        )
    if isinstance(transform, ImageClassification):
        _check_levels(picture, where)
        transform = transform.normalized
    size = height_and_width(picture)
    array = as_input(transform(picture), where)
    if array.ndim != 3 or array.shape[1:] != size:
        hint = (
            "; it is given the array (C, H, W), so leave it out if that is prepared"
            if isinstance(picture, np.ndarray)
            else ""
        )
        raise ArgumentError(
            f"{where}: transform: expected it to keep the picture's size and return (C, {size[0]}, "
            f"{size[1]}), got {array.shape}; it must not resize or crop{hint}"
        )
    return array


def _single(array: NDArray[Any], where: str) -> NDArray[Any]:
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3:
        raise ShapeError(f"{where}: image: expected one picture (C, H, W), got shape {array.shape}")
    return array


def _check_levels(picture: Image | NDArray[Any], where: str) -> None:
    """Raise if floats that a preset is to normalise cannot be a picture's, as those that it made cannot."""
    if not isinstance(picture, np.ndarray) or picture.dtype.kind != "f" or picture.size == 0:
        return
    low, high = float(picture.min()), float(picture.max())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise ArgumentError(
            f"{where}: transform: a preset prepares floats between 0 and 1, got {low:.4g} to {high:.4g}; "
            "leave transform out if the array is prepared, or divide by 255 what goes up to there"
        )


def scaled_size(size: tuple[int, int], scale: Scale, where: str) -> tuple[int, int]:
    """Return a height and width times a factor, or those that `scale` is."""
    if isinstance(scale, int | float | np.number):
        if not 0 < scale < np.inf:
            raise ArgumentError(f"{where}: scales: expected factors above 0, got {scale!r}")
        return max(round(size[0] * float(scale)), 1), max(round(size[1] * float(scale)), 1)
    sides = [int(side) for side in scale]
    if len(sides) != 2 or min(sides) < 1:
        raise ArgumentError(f"{where}: scales: expected factors, or (height, width), got {scale!r}")
    return sides[0], sides[1]


def scaled(picture: Image | NDArray[Any], scale: Scale, where: str) -> Image | NDArray[Any]:
    """Return a picture, or an array (C, H, W), resized by a factor, or to (height, width)."""
    before = height_and_width(picture)
    size = scaled_size(before, scale, where)
    if size == before:
        return picture
    resized: Image | NDArray[Any] = F.resize(picture, list(size))
    return resized
