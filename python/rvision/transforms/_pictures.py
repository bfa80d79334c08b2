"""What the transforms take for a picture, and how a picture becomes RGB."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from rvision.transforms._sizes import warn_of_channels_last

if TYPE_CHECKING:
    from PIL.Image import Image

_BANDS = (1, 3, 4)


def is_pil(obj: object) -> TypeGuard[Image]:
    """Return whether `obj` is a Pillow image, without importing Pillow if nobody has."""
    if "PIL.Image" not in sys.modules:
        return False
    # Not what lies in sys.modules: another thread may be importing it, and half of the module is missing. An
    # import statement waits for that thread.
    from PIL.Image import Image

    return isinstance(obj, Image)


def is_pixels(obj: object) -> TypeGuard[np.ndarray]:
    """Return whether `obj` is a decoded picture, uint8 of shape (H, W, 1, 3 or 4), rather than a tensor.

    A uint8 array that could be either, such as (3, 5, 3), is a tensor.
    """
    return (
        isinstance(obj, np.ndarray)
        and obj.dtype == np.uint8
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
    """Return a Pillow image as it is, pixels as a Pillow image, and anything else as an array (..., H, W).

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
    return array


def _as_array(obj: Any) -> np.ndarray:
    # Tensors of other libraries; a list or a path is a mistake that asarray would hide.
    if not hasattr(obj, "__array__"):
        raise TypeError(f"img should be a PIL Image or a numpy array. Got {type(obj)}")
    return np.asarray(obj)


def to_rgb(img: Image) -> Image:
    """Return a Pillow image in mode RGB, as it is if it is so already.

    Like ``img.convert("RGB")``, except for pictures of 16 bits a channel (modes I, I;16), which Pillow
    would clip to white: their values are scaled to 8 bits.
    """
    if img.mode == "RGB":
        return img
    if img.mode == "I" or img.mode.startswith("I;16"):
        levels = np.asarray(img).astype(np.int64)
        return to_pil(((levels.clip(0, 65535) + 128) // 257).astype(np.uint8)).convert("RGB")
    if img.mode == "P" and "transparency" in img.info:
        # The detour drops the transparency in silence; the colours are the palette's either way.
        return img.convert("RGBA").convert("RGB")
    return img.convert("RGB")
