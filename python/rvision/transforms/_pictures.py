"""Recognition of pictures in transforms, and conversion of pictures to RGB."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from rvision._frames import warn
from rvision._tensor import Tensor
from rvision.errors import ArgumentError
from rvision.transforms._sizes import warn_of_channels_last

if TYPE_CHECKING:
    from PIL.Image import Image

_BANDS = (1, 3, 4)


def is_pil(obj: object) -> TypeGuard[Image]:
    """Return whether `obj` is a Pillow image, without importing Pillow if it is not yet imported."""
    if "PIL.Image" not in sys.modules:
        return False
    # Do not take the module from sys.modules: another thread may be importing it, so it may be
    # incomplete. An import statement waits for that thread.
    from PIL.Image import Image

    return isinstance(obj, Image)


def is_pixels(obj: object, dtype: type = np.uint8) -> TypeGuard[np.ndarray]:
    """Return whether `obj` is a decoded picture, uint8 of shape (H, W, 1, 3 or 4), rather than a tensor.

    A uint8 array that could be either, such as (3, 5, 3), is a tensor.
    """
    return (
        isinstance(obj, np.ndarray)
        and obj.dtype == dtype
        and obj.ndim == 3
        and obj.shape[2] in _BANDS
        and obj.shape[0] not in _BANDS
    )


def to_pil(pixels: np.ndarray) -> Image:
    """Return uint8 pixels (H, W) or (H, W, 1, 3 or 4) as a Pillow image."""
    from PIL import Image

    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(pixels))


def picture_or_tensor(obj: Any) -> Image | np.ndarray:
    """Return a Pillow image as it is, pixels as a Pillow image, and anything else as a tensor (..., H, W).

    Raises
    ------
    TypeError
        If it is none of these.
    """
    if is_pil(obj):
        return obj
    if is_pixels(obj):
        return to_pil(obj)
    array = obj if isinstance(obj, np.ndarray) else _as_array(obj)
    if array.ndim < 2:
        raise TypeError(f"Expected a picture or an array of shape (..., H, W), got shape {array.shape}")
    warn_of_channels_last(array.shape)
    return array if isinstance(array, Tensor) else array.view(Tensor)


def _as_array(obj: Any) -> np.ndarray:
    # Accept tensors of other libraries; a list or a path is a mistake that asarray would hide.
    if not hasattr(obj, "__array__"):
        raise TypeError(f"img should be a PIL Image or a numpy array. Got {type(obj)}{_what_to_do(obj)}")
    return np.asarray(obj)


def _what_to_do(obj: Any) -> str:
    """Return how to make a picture of something that is not one."""
    if isinstance(obj, str | os.PathLike):
        return "; open the file with PIL.Image.open"
    if isinstance(obj, list | tuple):
        return (
            "; pictures are prepared one by one: np.stack([preprocess(img) for img in pictures]) is a batch"
        )
    return ""


def is_deep(img: Image) -> bool:
    """Return whether a Pillow image has more than 8 bits per channel: modes I, I;16 of any byte order, F."""
    return img.mode in ("I", "F") or img.mode.startswith("I;16")


def eight_bits(img: Image) -> Image:
    """Convert a Pillow image of modes I, I;16 and F to mode L; return any other unchanged.

    The mode alone does not define white. This follows the table in `docs/pictures.md`:

    * I;16, and I of PNG and PPM files: 0 to 65,535;
    * I otherwise: 0 to 255 if no value is above 255 (with a warning), else 0 to 65,535;
    * F: 0 to 255, as in Pillow, or 0 to 1 if no value is above 1 (with a warning).

    Raises
    ------
    ArgumentError
        If values are out of range or NaN.
    """
    if not is_deep(img):
        return img
    values = np.asarray(img)
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    if img.mode == "F":
        # Filters may overshoot slightly.
        if not (low > -1 and high < 256):
            raise ArgumentError(
                f"a picture of mode F has values from {low} to {high}: expected 0 to 255, or 0 to 1; "
                "scale them first, such as Image.fromarray(np.asarray(img) * (255 / white))"
            )
        if not 0 < high <= 1:
            return img.convert("L")
        _warn(f"a picture of mode F with values up to {high:g} is taken for one of 0 to 1, not of 0 to 255")
        return to_pil(np.rint(values.clip(0, 1) * 255).astype(np.uint8))
    if low < 0 or high > 65535:
        raise ArgumentError(
            f"a picture of mode {img.mode} has values from {low} to {high}: expected 0 to 65535 or 0 to 255; "
            "scale them first, such as Image.fromarray((np.asarray(img) * (255 / white)).astype(np.uint8))"
        )
    # Pillow opens 16-bit PNG files (before version 11) and PGM files in mode I, scaled to 65,535.
    if img.mode == "I" and img.format not in ("PNG", "PPM") and high <= 255:
        if high > 0:
            _warn(
                f"a picture of mode I with values up to {high} is taken for one of 0 to 255, not 0 to 65535"
            )
        return to_pil(values.astype(np.uint8))
    return to_pil(from_sixteen_bits(values))


def from_sixteen_bits(values: np.ndarray) -> np.ndarray:
    """Return 0 to 65,535 as 0 to 255, rounded, with a warning if almost nothing is left of the values."""
    high = int(values.max()) if values.size else 0
    if 0 < high <= 255:
        _warn(
            f"a picture of 16 bits with values up to {high} of 65535 is next to black; "
            "if they are of 8 bits, give it as uint8"
        )
    return ((values.astype(np.int64) + 128) // 257).astype(np.uint8)


def to_rgb(img: Image) -> Image:
    """Convert a Pillow image to mode RGB, if it is not already.

    Like ``img.convert("RGB")``, except for pictures of more than 8 bits per channel (see
    `eight_bits`), which Pillow would clip to white or black, and those of premultiplied grey (La),
    which Pillow cannot convert.
    """
    if img.mode == "RGB":
        return img
    if is_deep(img):
        return eight_bits(img).convert("RGB")
    if img.mode == "La":
        return img.convert("LA").convert("RGB")
    if img.mode == "P" and "transparency" in img.info:
        # The detour drops the transparency without a warning; the colours are the palette's either
        # way.
        return img.convert("RGBA").convert("RGB")
    return img.convert("RGB")


def to_grey(img: Image) -> Image:
    """Convert a Pillow image to mode L, as ``img.convert("L")`` with the exceptions of `to_rgb`."""
    if img.mode in ("La", "LAB"):
        img = to_rgb(img)
    return eight_bits(img).convert("L")


def _warn(message: str) -> None:
    warn(message)
