"""A grid of pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rvision.errors import ArgumentError, ShapeError
from rvision.nn._inputs import as_array
from rvision.transforms._pictures import is_pil, to_pil
from rvision.utils._images import as_planes, to_levels

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["make_grid"]


def make_grid(
    tensor: Any,
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Image:
    """Arrange pictures in a grid: `torchvision.utils.make_grid`, as a Pillow picture.

    Parameters
    ----------
    tensor : array_like or list
        (N, C, H, W) of 1 or 3 channels, uint8 or floats in [0, 1]; or pictures of the same size:
        Pillow pictures, uint8 (H, W, 3), tensors (C, H, W). A single picture is returned without
        padding.
    nrow : int
        Pictures per row.
    padding : int
        Pixels around each picture.
    normalize : bool
        Whether to scale values from black to white: `value_range`, or the smallest to the largest.
    value_range : (float, float), optional
        Smallest and largest value, with `normalize`; by default those of the pictures.
    scale_each : bool
        Whether to use each picture's own smallest and largest value, with `normalize`.
    pad_value : float
        The value between the pictures; 0 to 255 for uint8, 0 to 1 for floats.

    Returns
    -------
    PIL.Image.Image
        In RGB. Floats are rounded to 255 levels as in torchvision's `save_image`.

    Raises
    ------
    ShapeError
        If the pictures have different sizes.
    ArgumentError
        If there are no pictures; if `nrow`, `padding`, `value_range` or `pad_value` is out of
        range; or if `value_range` or `scale_each` is given without `normalize`, which torchvision
        ignores.

    Examples
    --------
    >>> utils.make_grid(np.zeros((4, 3, 8, 8), np.uint8), nrow=2).size
    (22, 22)
    """
    if nrow < 1:
        raise ArgumentError(f"make_grid: nrow must be 1 or more, got {nrow}")
    if padding < 0:
        raise ArgumentError(f"make_grid: padding must be 0 or more, got {padding}")
    if not normalize and (value_range is not None or scale_each):
        name = "scale_each" if value_range is None else "value_range"
        raise ArgumentError(f"make_grid: {name} spreads values, which only normalize=True does; add it")
    images = _stacked(tensor)
    if normalize:
        images = _normalized(images, value_range, scale_each)
    if len(images) > 1:
        images = _laid_out(images, nrow, padding, pad_value)[None]
    pixels = to_levels(images[0]).transpose(1, 2, 0)
    return to_pil(pixels if pixels.shape[2] == 3 else np.repeat(pixels, 3, axis=2))


def _stacked(tensor: Any) -> NDArray[Any]:
    """Return pictures as one array (N, C, H, W)."""
    where = "make_grid"
    if isinstance(tensor, list | tuple):
        planes = [as_planes(image, f"{where}: picture {i}") for i, image in enumerate(tensor)]
    elif is_pil(tensor):
        planes = [as_planes(tensor, where)]
    else:
        array = as_array(tensor, where)
        # A batch of decoded pixels.
        if (
            array.ndim == 4
            and array.dtype == np.uint8
            and array.shape[3] == 3
            and array.shape[1] not in (1, 3)
        ):
            array = array.transpose(0, 3, 1, 2)
        planes = [as_planes(image, where) for image in (array if array.ndim == 4 else array[None])]
    if not planes:
        raise ArgumentError(f"{where}: expected at least one picture, got none")
    kinds = {(image.shape, image.dtype) for image in planes}
    if len(kinds) > 1:
        found = ", ".join(sorted(f"{shape} of {dtype}" for shape, dtype in kinds))
        raise ShapeError(
            f"{where}: expected pictures of one size, channels and type, got {found}; resize them"
        )
    return np.stack(planes)


def _normalized(
    images: NDArray[Any], value_range: Sequence[float] | None, scale_each: bool
) -> NDArray[np.float32]:
    if images.dtype == np.uint8:
        images = images / np.float32(255)
    axes = (1, 2, 3) if scale_each else (0, 1, 2, 3)
    if value_range is None:
        low, high = images.min(axes, keepdims=True), images.max(axes, keepdims=True)
    else:
        if len(value_range) != 2 or not value_range[0] <= value_range[1]:
            raise ArgumentError(f"make_grid: value_range must be (smallest, largest), got {value_range!r}")
        low, high = np.float32(value_range[0]), np.float32(value_range[1])
    # A picture of one value has no range.
    return (images.clip(low, high) - low) / np.maximum(high - low, np.float32(1e-5))


def _laid_out(images: NDArray[Any], nrow: int, padding: int, pad_value: float) -> NDArray[Any]:
    count, channels, height, width = images.shape
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    down, across = height + padding, width + padding
    if images.dtype == np.uint8 and not 0 <= pad_value <= 255:
        raise ArgumentError(f"make_grid: pad_value must be in 0 to 255 for uint8, got {pad_value}")
    grid = np.full((channels, rows * down + padding, columns * across + padding), pad_value, images.dtype)
    for i, image in enumerate(images):
        top, left = i // columns * down + padding, i % columns * across + padding
        grid[:, top : top + height, left : left + width] = image
    return grid
