"""The transforms as functions (`torchvision.transforms.functional`).

A picture is a Pillow image, or a uint8 array (H, W, 1, 3 or 4), which is first converted to one. A
tensor is any other numpy array, of shape (..., C, H, W). Functions map pictures to pictures and
tensors to tensors; only `to_tensor`, `pil_to_tensor` and `to_pil_image` convert one to the other. Nothing is
changed in place unless requested.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision._frames import ends_at_caller, warn
from rvision._tensor import Tensor
from rvision.transforms._interpolation import PILLOW_FILTERS, InterpolationMode, interpolation_mode
from rvision.transforms._pictures import is_pil, picture_or_tensor, to_pil
from rvision.transforms._sizes import channels_last_hint, check_memory
from rvision.transforms._values import (
    convert_image_dtype,
    normalize,
    pil_to_tensor,
    rgb_to_grayscale,
    to_grayscale,
    to_pil_image,
    to_tensor,
)

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "InterpolationMode",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "five_crop",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "hflip",
    "normalize",
    "pad",
    "pil_to_tensor",
    "resize",
    "rgb_to_grayscale",
    "ten_crop",
    "to_grayscale",
    "to_pil_image",
    "to_tensor",
    "vflip",
]

_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


# ---- sizes ----


@ends_at_caller
def get_dimensions(img: Any) -> list[int]:
    """Return the channels, height and width of a picture or a tensor; (H, W) has one channel."""
    img = picture_or_tensor(img)
    if is_pil(img):
        return [len(img.getbands()), img.height, img.width]
    return [1 if img.ndim == 2 else img.shape[-3], *img.shape[-2:]]


@ends_at_caller
def get_image_size(img: Any) -> list[int]:
    """Return the width and the height of a picture or a tensor."""
    return get_dimensions(img)[:0:-1]


@ends_at_caller
def get_image_num_channels(img: Any) -> int:
    """Return the number of channels of a picture or a tensor."""
    return get_dimensions(img)[0]


@ends_at_caller
def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Return a crop's (height, width), from a pair or from one number for a square.

    Raises
    ------
    ValueError
        If there are more than two numbers.
    """
    if isinstance(size, Sequence):
        if len(size) not in (1, 2):
            raise ValueError("Please provide only two dimensions (h, w) for size.")
        return size[0], size[-1]
    return int(size), int(size)


def _resized(height: int, width: int, size: Sequence[int], max_size: int | None) -> tuple[int, int]:
    """Return the height and width to resize to; a single number in `size` is for the shorter side."""
    if len(size) == 2:
        return size[0], size[1]
    short, long = sorted((height, width))
    if short == 0:
        raise ValueError(f"Expected a picture of at least one pixel, got height {height} and width {width}")
    new_short, new_long = size[0], int(size[0] * long / short)
    if max_size is not None:
        if max_size <= new_short:
            raise ValueError(
                f"max_size = {max_size} must be strictly greater than the requested size for the smaller "
                f"edge size = {size[0]}"
            )
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_long, new_short) if width <= height else (new_short, new_long)


# ---- geometry ----


@ends_at_caller
def resize(
    img: Any,
    size: int | Sequence[int],
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """Resize a picture or a tensor with Pillow's filters.

    Parameters
    ----------
    img : PIL.Image.Image or numpy.ndarray
        Tensors are (..., H, W), of any number dtype; those other than uint8 are resized as float32.
    size : int or sequence of int
        One number: the length of the shorter side; the longer one becomes
        ``int(size * long / short)``. Two: the height and the width.
    interpolation : InterpolationMode or int
        The filter, or Pillow's number for it. It is antialiased (its support grows as the picture shrinks).
    max_size : int, optional
        A limit of the longer side, if `size` is one number: the shorter side may then become less
        than `size`.
    antialias : bool or None
        For compatibility with torchvision: filters are always antialiased.

    Raises
    ------
    ValueError
        If `size` has more than two numbers, or `max_size` is given with two, or is not above
        `size`.
    TypeError
        If `img` or `interpolation` is something else.
    """
    mode = interpolation_mode(interpolation)
    sizes = tuple(map(index, size)) if isinstance(size, Sequence) else (index(size),)
    if len(sizes) not in (1, 2):
        raise ValueError(
            f"Size must be an int or a 1 or 2 element tuple/list, not a {len(sizes)} element tuple/list"
        )
    if min(sizes) < 1:
        raise ValueError(f"Size must be at least 1, got {size}")
    if max_size is not None and len(sizes) == 2:
        raise ValueError("max_size should only be passed if size specifies the length of the smaller edge")
    img = picture_or_tensor(img)
    _, height, width = get_dimensions(img)
    new_height, new_width = _resized(height, width, sizes, max_size)
    if (height, width) == (new_height, new_width):
        return img
    _check_room("resize", img, max(new_height, 1), new_width)
    if min(new_height, new_width) < 1:
        raise ValueError(
            f"resize: max_size = {max_size} leaves nothing of a picture of height {height} and width {width}"
        )
    if antialias is False and mode.value in ("bilinear", "bicubic"):
        warn("Antialiasing is always applied; antialias=False is ignored.")
    if is_pil(img):
        if img.mode in ("I;16B", "I;16N"):
            # Pillow's filters handle their byte order wrongly.
            img = to_pil(pil_to_tensor(img)[0])
        return img.resize((new_width, new_height), PILLOW_FILTERS[mode])
    return _resize_tensor(img, (new_height, new_width), mode)


def _check_room(where: str, img: Image | np.ndarray, height: int, width: int) -> None:
    """Raise if a result of this height and width does not fit in memory."""
    height, width = max(height, 0), max(width, 0)
    if is_pil(img):
        # Pillow stores four bytes per pixel for all other modes.
        itemsize = 1 if img.mode in ("1", "L", "P") else 2 if img.mode.startswith("I;16") else 4
        check_memory(where, (height, width), itemsize)
    else:
        hint = channels_last_hint(img.shape)
        check_memory(where, (*img.shape[:-2], height, width), img.dtype.itemsize, hint)


def _resize_tensor(tensor: np.ndarray, size: tuple[int, int], mode: InterpolationMode) -> np.ndarray:
    height, width = tensor.shape[-2:]
    if mode in (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT):
        # For tensors torch takes pixel floor(i * scale); "exact" maps centre to centre, as in
        # Pillow.
        half = int(mode is InterpolationMode.NEAREST_EXACT)
        rows, columns = (
            (2 * np.arange(new) + half) * old // (2 * new)
            for new, old in zip(size, (height, width), strict=True)
        )
        return tensor[..., rows[:, None], columns]
    from PIL import Image

    working = np.uint8 if tensor.dtype == np.uint8 else np.float32
    planes = np.ascontiguousarray(tensor, dtype=working).reshape(-1, height, width)
    out = np.empty((len(planes), *size), working)
    for plane, place in zip(planes, out, strict=True):
        place[...] = Image.fromarray(plane).resize(size[::-1], PILLOW_FILTERS[mode])
    if np.issubdtype(tensor.dtype, np.integer) and tensor.dtype != np.uint8:
        limits = np.iinfo(tensor.dtype)
        out = np.rint(out).clip(limits.min, limits.max)
    return out.astype(tensor.dtype, copy=False).reshape(*tensor.shape[:-2], *size).view(Tensor)


@ends_at_caller
def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """Crop a window of a picture or a tensor; pixels outside it are zero.

    Parameters
    ----------
    img : PIL.Image.Image or numpy.ndarray
    top, left : int
        The window's corner; it may be outside.
    height, width : int
        The window's size.
    """
    img = picture_or_tensor(img)
    _check_room("crop", img, height, width)
    if is_pil(img):
        return img.crop((left, top, left + width, top + height))
    rows, columns = img.shape[-2:]
    inside = img[..., max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    before = min(max(-top, 0), height), min(max(-left, 0), width)
    after = max(top + height - max(rows, top), 0), max(left + width - max(columns, left), 0)
    if any(before + after):
        return _pad_tensor(inside, (before[1], before[0], after[1], after[0]), 0, "constant")
    return inside.copy()


@ends_at_caller
def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """Crop the centre of a picture or a tensor, padding smaller ones with zeros.

    Parameters
    ----------
    img : PIL.Image.Image or numpy.ndarray
    output_size : int or sequence of int
        (height, width), or one number for a square. The corner is ``int(round((H - height) / 2))``,
        with Python's rounding of halves to even.
    """
    new_height, new_width = pair(output_size)
    img = picture_or_tensor(img)
    _, height, width = get_dimensions(img)
    missing = max(new_height - height, 0), max(new_width - width, 0)
    if any(missing):
        border = missing[1] // 2, missing[0] // 2, (missing[1] + 1) // 2, (missing[0] + 1) // 2
        img = pad(img, border, fill=0)
        _, height, width = get_dimensions(img)
        if (height, width) == (new_height, new_width):
            return img
    top, left = round((height - new_height) / 2.0), round((width - new_width) / 2.0)
    return crop(img, top, left, new_height, new_width)


@ends_at_caller
def five_crop(img: Any, size: int | Sequence[int]) -> tuple[Any, Any, Any, Any, Any]:
    """Return the four corners and the centre of a picture or a tensor.

    Parameters
    ----------
    img : PIL.Image.Image or numpy.ndarray
    size : int or sequence of int
        (height, width) of each, or one number for squares.

    Returns
    -------
    tuple
        Top left, top right, bottom left, bottom right, centre.

    Raises
    ------
    ValueError
        If the picture is smaller than `size`.
    """
    crop_height, crop_width = pair(size)
    _, height, width = get_dimensions(img)
    if crop_width > width or crop_height > height:
        raise ValueError(
            f"Requested crop size {(crop_height, crop_width)} is bigger than input size {(height, width)}"
        )
    bottom, right = height - crop_height, width - crop_width
    corners = [crop(img, y, x, crop_height, crop_width) for y in (0, bottom) for x in (0, right)]
    return (*corners, center_crop(img, (crop_height, crop_width)))  # type: ignore[return-value]


@ends_at_caller
def ten_crop(img: Any, size: int | Sequence[int], vertical_flip: bool = False) -> tuple[Any, ...]:
    """Return `five_crop` of a picture or a tensor and of its mirror image, Krizhevsky et al.'s ten views.

    Parameters
    ----------
    img : PIL.Image.Image or numpy.ndarray
    size : int or sequence of int
        (height, width) of each, or one number for squares.
    vertical_flip : bool
        Whether to mirror top to bottom instead of left to right.

    Raises
    ------
    ValueError
        If the picture is smaller than `size`.
    """
    return five_crop(img, size) + five_crop((vflip if vertical_flip else hflip)(img), size)


@ends_at_caller
def hflip(img: Any) -> Any:
    """Mirror a picture or a tensor left to right."""
    img = picture_or_tensor(img)
    return _flip_pil(img, "FLIP_LEFT_RIGHT") if is_pil(img) else img[..., ::-1].copy()


@ends_at_caller
def vflip(img: Any) -> Any:
    """Mirror a picture or a tensor top to bottom."""
    img = picture_or_tensor(img)
    return _flip_pil(img, "FLIP_TOP_BOTTOM") if is_pil(img) else img[..., ::-1, :].copy()


def _flip_pil(img: Image, method: str) -> Image:
    from PIL.Image import Transpose

    return img.transpose(Transpose[method])


@ends_at_caller
def pad(
    img: Any,
    padding: int | Sequence[int],
    fill: float | Sequence[float] | None = 0,
    padding_mode: str = "constant",
) -> Any:
    """Pad a picture or a tensor with a border.

    Parameters
    ----------
    img : PIL.Image.Image or numpy.ndarray
    padding : int or sequence of int
        One width for all sides; two, for left/right and top/bottom; or left, top, right, bottom.
        Negative widths crop.
    fill : number or sequence of number
        The border's value, or one per channel for pictures.
    padding_mode : {"constant", "edge", "reflect", "symmetric"}
        The border's contents: `fill`, the outermost pixels, or the picture mirrored without or with
        these.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.
    """
    border = check_padding(padding, fill, padding_mode)
    img = picture_or_tensor(img)
    _, height, width = get_dimensions(img)
    _check_room("pad", img, height + border[1] + border[3], width + border[0] + border[2])
    if not is_pil(img):
        if isinstance(fill, Sequence):
            raise TypeError("Got inappropriate fill arg: one number for all channels of a tensor")
        return _pad_tensor(img, border, 0 if fill is None else fill, padding_mode)
    from PIL import Image, ImageOps

    palette = img.getpalette() if img.mode == "P" else None
    if padding_mode == "constant":
        out = ImageOps.expand(img, border=border, fill=_color(fill, img))
    else:
        pixels = np.asarray(img)
        planes = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        planes = _pad_tensor(planes, border, 0, padding_mode)
        out = Image.fromarray(np.ascontiguousarray(planes if pixels.ndim == 2 else planes.transpose(1, 2, 0)))
        if out.mode != img.mode and palette is None:
            # An array does not distinguish RGBA from CMYK.
            out = Image.frombytes(img.mode, out.size, out.tobytes())
    if palette is not None:
        out.putpalette(palette)
    return out


@ends_at_caller
def check_padding(padding: Any, fill: Any, padding_mode: str) -> tuple[int, int, int, int]:
    """Check the arguments of `pad`, and return the border as left, top, right, bottom."""
    if not isinstance(padding, int | np.integer | tuple | list):
        raise TypeError(f"Got inappropriate padding arg: {padding!r}")
    if fill is not None and not isinstance(fill, int | float | np.number | tuple | list):
        raise TypeError(f"Got inappropriate fill arg: {fill!r}")
    if padding_mode not in _PADDING_MODES:
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    widths = tuple(padding) if isinstance(padding, tuple | list) else (padding,)
    if len(widths) not in (1, 2, 4):
        raise ValueError(
            f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(widths)} element tuple"
        )
    left, top, right, bottom = widths * (4 // len(widths))
    return left, top, right, bottom


def _color(fill: float | Sequence[float] | None, img: Image) -> Any:
    """Return a fill value in Pillow's form for the image's mode."""
    bands = len(img.getbands())
    values = list(fill) if isinstance(fill, Sequence) else [0 if fill is None else fill]
    if len(values) == 1:
        values *= bands
    if len(values) != bands:
        raise ValueError(
            "The number of elements in 'fill' does not match the number of channels of the image "
            f"({len(values)} != {bands})"
        )
    color = tuple(values) if img.mode == "F" else tuple(int(v) for v in values)
    return color[0] if bands == 1 else color


def _pad_tensor(
    tensor: np.ndarray, border: tuple[int, int, int, int], fill: float, padding_mode: str
) -> np.ndarray:
    left, top, right, bottom = border
    height, width = tensor.shape[-2:]
    tensor = tensor[..., max(-top, 0) : height - max(-bottom, 0), max(-left, 0) : width - max(-right, 0)]
    widths = [(0, 0)] * (tensor.ndim - 2) + [(max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0))]
    if padding_mode == "constant":
        return np.pad(tensor, widths, constant_values=fill).view(Tensor)
    return np.pad(tensor, widths, mode=padding_mode).view(Tensor)  # type: ignore[call-overload]
