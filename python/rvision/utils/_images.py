"""Conversion of Pillow pictures, pixels and tensors to pictures to draw on, and of values to pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rvision.errors import ShapeError
from rvision.nn._inputs import as_array
from rvision.transforms._pictures import is_pil, is_pixels, to_pil, to_rgb

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["as_picture", "as_planes", "to_levels"]


def as_picture(image: Any, where: str) -> Image:
    """Return an image as a new Pillow picture in RGB, which may be drawn on.

    Parameters
    ----------
    image : PIL.Image.Image or array_like
        A picture; pixels, uint8 (H, W) or (H, W, 1, 3 or 4); or a tensor (C, H, W) of 1 or 3 channels, uint8
        or floats in [0, 1].
    where : str
        The called function, for messages.
    """
    if is_pil(image):
        rgb = to_rgb(image)
        return rgb.copy() if rgb is image else rgb
    planes = as_planes(image, where)
    pixels = to_levels(planes).transpose(1, 2, 0)
    return to_pil(pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2))


def as_planes(image: Any, where: str) -> NDArray[Any]:
    """Return an image as uint8 or float32 (1 or 3, H, W), with unchanged values.

    Raises
    ------
    ShapeError
        If it has another shape.
    TypeError
        If it is not a picture, or its values are neither uint8 nor floats.
    """
    if is_pil(image):
        return np.asarray(to_rgb(image)).transpose(2, 0, 1)
    array = as_array(image, where)
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise TypeError(f"{where}: expected uint8, or floats in [0, 1], got {array.dtype}")
    if is_pixels(array):
        return np.asarray(to_rgb(to_pil(array))).transpose(2, 0, 1)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.shape[0] not in (1, 3) or 0 in array.shape:
        raise ShapeError(
            f"{where}: expected a picture, uint8 pixels (H, W, 3), or a tensor (3, H, W) or (1, H, W), got "
            f"shape {array.shape} of {array.dtype}"
        )
    return array if array.dtype == np.uint8 else array.astype(np.float32)


def to_levels(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return floats in [0, 1] as 0 to 255, rounded and clipped (as `torchvision.utils.save_image`)."""
    if values.dtype == np.uint8:
        return values
    # NaN becomes black.
    return (np.nan_to_num(values.clip(0, 1)) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
