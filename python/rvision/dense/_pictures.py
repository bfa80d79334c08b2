"""Pictures as `dense` takes them: prepared arrays, or pictures with a transform."""

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
    "check_levels",
    "height_and_width",
    "prepared",
    "scaled",
    "scaled_size",
    "unprepared",
]

Scale = float | Sequence[int]
Transform = Callable[[Any], Any]

# How far floats may exceed [0, 1]: more than rounding errors, far less than prepared values.
_ROUNDING = 1e-4

OVERFEAT_SIZES = ((245, 245), (281, 317), (317, 389), (389, 461), (425, 497), (461, 569))
"""Height and width of the six scales of OverFeat's table 5 (arXiv:1312.6229), for windows of 221 pixels."""


def as_picture(image: Any) -> Image | None:
    """Return a Pillow image, also for uint8 pixels (H, W) or (H, W, C), or None for another array."""
    if is_pil(image):
        return image
    if is_pixels(image) or (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 2):
        return to_pil(image)
    return None


def unprepared(image: Any, transform: Transform | None, where: str) -> Image | NDArray[Any] | None:
    """Return the picture to prepare: a Pillow image, or with a transform an unchanged array (C, H, W).

    None means that the array is already prepared: floats without a transform.
    """
    picture = as_picture(image)
    if picture is not None or transform is None:
        return picture
    array = as_array(image, where)
    picture = as_picture(array)
    return _single(array, where) if picture is None else picture


def height_and_width(picture: Image | NDArray[Any]) -> tuple[int, int]:
    """Return the height and width of a result of `unprepared`."""
    if isinstance(picture, np.ndarray):
        return picture.shape[-2], picture.shape[-1]
    return picture.height, picture.width


def prepared(image: Any, transform: Transform | None, where: str) -> NDArray[np.float32]:
    """Return (C, H, W) float32: the result of `transform`, or an array that is already prepared.

    The resizing and cropping of a preset (`weights.transforms()`) is skipped.

    Raises
    ------
    ArgumentError
        If a picture is given without a transform; if the transform returns another size; if floats
        for a preset are outside [0, 1].
    ShapeError
        If it is not a single picture.
    TypeError
        If it is neither a picture nor an array of floats (or of uint8, with a transform).
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
        check_levels(picture, where)
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


def check_levels(picture: Any, where: str) -> None:
    """Raise if floats for a preset cannot be a picture's, such as ones that are normalised already."""
    if not isinstance(picture, np.ndarray) or picture.dtype.kind != "f" or picture.size == 0:
        return
    low, high = float(picture.min()), float(picture.max())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise ArgumentError(
            f"{where}: transform: a preset prepares floats between 0 and 1, got {low:.4g} to {high:.4g}; "
            "leave transform out if the array is prepared, or divide by 255 what goes up to there"
        )


def scaled_size(size: tuple[int, int], scale: Scale, where: str) -> tuple[int, int]:
    """Return a height and width times the factor `scale`, or `scale` itself if it is a size."""
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
