"""The transforms as functions (`torchvision.transforms.functional`).

A picture is a Pillow image, or a uint8 array (H, W, 1, 3 or 4), which is first turned into one. A tensor
is any other numpy array, of shape (..., C, H, W). Pictures give pictures, tensors give tensors; only
`to_tensor` and `pil_to_tensor` lead from one to the other. Nothing is changed in place unless asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision._frames import warn
from rvision.transforms._interpolation import PILLOW_FILTERS, InterpolationMode, interpolation_mode
from rvision.transforms._pictures import is_deep, is_pil, picture_or_tensor, to_grey, to_pil
from rvision.transforms._sizes import channels_last_hint, check_memory

if TYPE_CHECKING:
    from numpy.typing import DTypeLike
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
    "to_tensor",
    "vflip",
]

_PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


# ---- sizes ----


def get_dimensions(img: Any) -> list[int]:
    """Return the channels, height and width of a picture or a tensor; (H, W) has one channel."""
    img = picture_or_tensor(img)
    if is_pil(img):
        return [len(img.getbands()), img.height, img.width]
    return [1 if img.ndim == 2 else img.shape[-3], *img.shape[-2:]]


def get_image_size(img: Any) -> list[int]:
    """Return the width and the height of a picture or a tensor."""
    return get_dimensions(img)[:0:-1]


def get_image_num_channels(img: Any) -> int:
    """Return the number of channels of a picture or a tensor."""
    return get_dimensions(img)[0]


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Return a crop's (height, width), given so, or as one number for a square.

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


# ---- between pictures and tensors ----


def to_tensor(pic: Image | np.ndarray) -> np.ndarray:
    """Convert a picture to a tensor (C, H, W), 8-bit values to float32 between 0 and 1.

    Parameters
    ----------
    pic : PIL.Image.Image or numpy.ndarray
        An image, or an array (H, W) or (H, W, C). Values that are not 8-bit (modes I, I;16 and F, arrays of
        other dtypes) keep their dtype and are not scaled. Those of I;16 become int16, as in torchvision, so
        that 32,768 and more wrap to negative numbers; a warning says so. ``pil_to_tensor`` keeps them, and
        ``convert_image_dtype`` then scales them to 0 to 1.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If an array has not two or three dimensions.
    """
    if is_pil(pic):
        dtypes: dict[str, Any] = {"I": np.int32, "F": np.float32}
        dtype = np.int16 if pic.mode.startswith("I;16") else dtypes.get(pic.mode, np.uint8)
        array = np.array(pic, dtype)
        if dtype is np.int16 and (array < 0).any():
            warn(
                "to_tensor: values of 16 bits above 32767 wrap to negative numbers, as in torchvision; "
                "convert_image_dtype(pil_to_tensor(pic)) has them between 0 and 1",
            )
        if pic.mode == "1":
            array *= 255
    elif isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        array = pic
    else:
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    tensor = _channels_first(array)
    if tensor.dtype != np.uint8:
        return tensor
    return np.divide(tensor, np.float32(255), dtype=np.float32)


def pil_to_tensor(pic: Image) -> np.ndarray:
    """Convert a Pillow image to a tensor (C, H, W) of the same values and dtype (uint8 for 8-bit pictures).

    Raises
    ------
    TypeError
        If `pic` is not a Pillow image.
    """
    if not is_pil(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    array = np.array(pic)
    # Pictures of mode I;16B have their bytes the other way round.
    return _channels_first(array.astype(array.dtype.newbyteorder("="), copy=False))


def convert_image_dtype(image: np.ndarray, dtype: DTypeLike = np.float32) -> np.ndarray:
    """Convert a tensor to another dtype and scale its values: a dtype's white stays white.

    White is 1 for floats and bool, and the largest number for integers: 255 for uint8, 65,535 for uint16
    (`torchvision.transforms.functional.convert_image_dtype`).

    Parameters
    ----------
    image : numpy.ndarray
        Of any shape.
    dtype : dtype_like

    Raises
    ------
    TypeError
        If one of the dtypes is neither of floats nor of integers.
    ValueError
        If floats are to become integers that float32 does not hold.
    """
    target = np.dtype(dtype)
    if not isinstance(image, np.ndarray):
        raise TypeError(f"Input img should be Tensor Image. Got {type(image)}")
    if image.dtype.kind not in "fiub" or target.kind not in "fiub":
        raise TypeError(f"Expected dtypes of floats or integers, got {image.dtype} and {target}")
    if image.dtype == target:
        return image
    if image.dtype.kind == "f":
        if target.kind == "f":
            return image.astype(target)
        if target.itemsize > (2 if image.dtype.itemsize < 8 else 4):
            raise ValueError(f"The cast from {image.dtype} to {target} cannot be performed safely.")
        # Just below the next number, so that 1 becomes white and all numbers have an equal share.
        scaled = image * image.dtype.type(_white(target) + 1 - 1e-3)
        return scaled.astype(target) if target.kind == "b" else scaled.astype(np.int64).astype(target)
    ours = _white(image.dtype)
    if target.kind == "f":
        return np.divide(image, target.type(ours), dtype=target)
    theirs = _white(target)
    if ours > theirs:
        return (image // ((ours + 1) // (theirs + 1))).astype(target)
    return image.astype(target) * target.type((theirs + 1) // (ours + 1))


def _white(dtype: np.dtype[Any]) -> int:
    return 1 if dtype.kind == "b" else int(np.iinfo(dtype).max)


def _channels_first(array: np.ndarray) -> np.ndarray:
    # A copy: the caller's pixels may change later, or be read-only.
    return array[None].copy() if array.ndim == 2 else np.array(array.transpose(2, 0, 1), order="C")


def normalize(
    tensor: np.ndarray, mean: Sequence[float], std: Sequence[float], inplace: bool = False
) -> np.ndarray:
    """Subtract a mean from each channel and divide by a standard deviation.

    Parameters
    ----------
    tensor : numpy.ndarray
        Floats of shape (..., C, H, W).
    mean, std : sequence of float
        One value a channel, or one for all.
    inplace : bool
        Change `tensor` itself.

    Raises
    ------
    TypeError
        If `tensor` is not an array of floats.
    ValueError
        If it has fewer than three dimensions or another number of channels, or a deviation is zero.
    """
    if not isinstance(tensor, np.ndarray):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    if not np.issubdtype(tensor.dtype, np.floating):
        raise TypeError(
            f"Input tensor should be a float tensor. Got {tensor.dtype}. "
            "transforms.ToTensor() makes one of a picture."
        )
    if tensor.ndim < 3:
        raise ValueError(
            f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = {tensor.shape}"
        )
    shift, scale = _per_channel("mean", mean, tensor), _per_channel("std", std, tensor)
    if (scale == 0).any():
        raise ValueError(
            f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero."
        )
    out = np.subtract(tensor, shift, out=tensor if inplace else None)
    return np.divide(out, scale, out=out)


def _per_channel(name: str, values: Sequence[float], tensor: np.ndarray) -> np.ndarray:
    array = np.asarray(values, dtype=tensor.dtype)
    if array.ndim == 1 and array.size not in (1, tensor.shape[-3]):
        hint = channels_last_hint(tensor.shape)
        if not hint and tensor.ndim == 3 and tensor.shape[1] in (1, 3, 4):
            hint = "; ToTensor() takes (H, W, C), and this one was perhaps given (C, H, W)"
        raise ValueError(f"{name} has {array.size} values for a tensor of {tensor.shape[-3]} channels{hint}")
    return array.reshape(-1, 1, 1) if array.ndim == 1 else array


# ---- geometry ----


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
        One number: the length of the shorter side, the longer becoming ``int(size * long / short)``. Two: the
        height and the width.
    interpolation : InterpolationMode or int
        The filter, or Pillow's number for it. It is antialiased (its support grows as the picture shrinks).
    max_size : int, optional
        A limit to the longer side, where `size` is one number: the shorter then becomes less than `size`.
    antialias : bool or None
        Here for torchvision's signature: filters are antialiased, always.

    Raises
    ------
    ValueError
        If `size` has more than two numbers, or `max_size` goes with two, or is not above `size`.
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
            # Pillow's filters mix up their bytes.
            img = to_pil(pil_to_tensor(img)[0])
        return img.resize((new_width, new_height), PILLOW_FILTERS[mode])
    return _resize_tensor(img, (new_height, new_width), mode)


def _check_room(where: str, img: Image | np.ndarray, height: int, width: int) -> None:
    """Refuse a result of this height and width if the memory does not hold it."""
    height, width = max(height, 0), max(width, 0)
    if is_pil(img):
        # Pillow keeps four bytes a pixel of all modes but these.
        itemsize = 1 if img.mode in ("1", "L", "P") else 2 if img.mode.startswith("I;16") else 4
        check_memory(where, (height, width), itemsize)
    else:
        hint = channels_last_hint(img.shape)
        check_memory(where, (*img.shape[:-2], height, width), img.dtype.itemsize, hint)


def _resize_tensor(tensor: np.ndarray, size: tuple[int, int], mode: InterpolationMode) -> np.ndarray:
    height, width = tensor.shape[-2:]
    if mode in (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT):
        # torch takes pixel floor(i * scale) in a tensor; "exact" is from centre to centre, as Pillow does.
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
    return out.astype(tensor.dtype, copy=False).reshape(*tensor.shape[:-2], *size)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """Cut a window out of a picture or a tensor; what lies outside it is zero.

    Parameters
    ----------
    img : PIL.Image.Image or numpy.ndarray
    top, left : int
        The window's corner; it may lie outside.
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


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """Cut the middle out of a picture or a tensor, with zeros around it where it is the smaller.

    Parameters
    ----------
    img : PIL.Image.Image or numpy.ndarray
    output_size : int or sequence of int
        (height, width), or one number for a square. The corner is ``int(round((H - height) / 2))``, with
        Python's rounding of halves to the even number.
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


def five_crop(img: Any, size: int | Sequence[int]) -> tuple[Any, Any, Any, Any, Any]:
    """Return the four corners and the middle of a picture or a tensor.

    Parameters
    ----------
    img : PIL.Image.Image or numpy.ndarray
    size : int or sequence of int
        (height, width) of each, or one number for squares.

    Returns
    -------
    tuple
        Top left, top right, bottom left, bottom right, middle.

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


def ten_crop(img: Any, size: int | Sequence[int], vertical_flip: bool = False) -> tuple[Any, ...]:
    """Return `five_crop` of a picture or a tensor and of its mirror image, Krizhevsky et al.'s ten views.

    Parameters
    ----------
    img : PIL.Image.Image or numpy.ndarray
    size : int or sequence of int
        (height, width) of each, or one number for squares.
    vertical_flip : bool
        Mirror top to bottom instead of left to right.

    Raises
    ------
    ValueError
        If the picture is smaller than `size`.
    """
    return five_crop(img, size) + five_crop((vflip if vertical_flip else hflip)(img), size)


def hflip(img: Any) -> Any:
    """Mirror a picture or a tensor left to right."""
    img = picture_or_tensor(img)
    return _flip_pil(img, "FLIP_LEFT_RIGHT") if is_pil(img) else img[..., ::-1].copy()


def vflip(img: Any) -> Any:
    """Mirror a picture or a tensor top to bottom."""
    img = picture_or_tensor(img)
    return _flip_pil(img, "FLIP_TOP_BOTTOM") if is_pil(img) else img[..., ::-1, :].copy()


def _flip_pil(img: Image, method: str) -> Image:
    from PIL.Image import Transpose

    return img.transpose(Transpose[method])


def pad(
    img: Any,
    padding: int | Sequence[int],
    fill: float | Sequence[float] | None = 0,
    padding_mode: str = "constant",
) -> Any:
    """Put a border around a picture or a tensor.

    Parameters
    ----------
    img : PIL.Image.Image or numpy.ndarray
    padding : int or sequence of int
        One width for all sides; two, for left and right, and top and bottom; or left, top, right, bottom.
        Negative widths crop.
    fill : number or sequence of number
        The border's value, or one a channel for pictures.
    padding_mode : {"constant", "edge", "reflect", "symmetric"}
        What the border shows: `fill`, the outermost pixels, or the picture mirrored without or with these.

    Raises
    ------
    TypeError, ValueError
        If an argument is none of these.
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
            # An array does not tell RGBA from CMYK.
            out = Image.frombytes(img.mode, out.size, out.tobytes())
    if palette is not None:
        out.putpalette(palette)
    return out


def check_padding(padding: Any, fill: Any, padding_mode: str) -> tuple[int, int, int, int]:
    """Return a border as left, top, right, bottom, after a look at the arguments of `pad`."""
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
    """Return a fill value as Pillow wants it for the image's mode."""
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
        return np.pad(tensor, widths, constant_values=fill)
    return np.pad(tensor, widths, mode=padding_mode)  # type: ignore[call-overload]


# ---- colour ----


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """Turn a picture, or a tensor (..., 1 or 3, H, W), grey.

    Parameters
    ----------
    img : PIL.Image.Image or numpy.ndarray
    num_output_channels : {1, 3}
        One channel, or three equal ones.

    Raises
    ------
    ValueError
        If it is another number.
    TypeError
        If a tensor has neither one nor three channels.
    """
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    img = picture_or_tensor(img)
    if is_pil(img):
        if is_deep(img) and img.mode != "F" and img.getextrema()[1] > 255:
            warn(
                f"a picture of mode {img.mode} becomes one of 8 bits, and what is above 255 white, as in "
                "torchvision; pil_to_tensor keeps its values",
            )
            grey = img.convert("I").convert("L")
        else:
            grey = img.convert("L") if is_deep(img) else to_grey(img)
        if num_output_channels == 1:
            return grey
        from PIL import Image

        return Image.merge("RGB", [grey] * 3)
    if img.ndim < 3 or img.shape[-3] not in (1, 3):
        hint = channels_last_hint(img.shape)
        raise TypeError(f"Input image tensor should be (..., 1 or 3, H, W), got shape {img.shape}{hint}")
    if img.shape[-3] == 3:
        working = img.dtype if np.issubdtype(img.dtype, np.floating) else np.float32
        red, green, blue = np.moveaxis(img.astype(working, copy=False), -3, 0)
        # The rounded weights of ITU-R BT.601 luma that torch and TensorFlow use.
        img = (0.2989 * red + 0.587 * green + 0.114 * blue).astype(img.dtype)[..., None, :, :]
    return np.repeat(img, num_output_channels, axis=-3) if num_output_channels == 3 else img.copy()


def to_grayscale(img: Image, num_output_channels: int = 1) -> Image:
    """Turn a Pillow image of any mode grey; see `rgb_to_grayscale`.

    Raises
    ------
    TypeError
        If `img` is not a picture.
    """
    picture = picture_or_tensor(img)
    if not is_pil(picture):
        raise TypeError("Input should be PIL Image")
    return rgb_to_grayscale(picture, num_output_channels)
