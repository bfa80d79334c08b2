"""Functions that change pixels' values: type, scale and colours; public in `functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision._frames import ends_at_caller, warn
from rvision._tensor import Tensor
from rvision.transforms._pictures import is_deep, is_pil, picture_or_tensor, to_grey
from rvision.transforms._sizes import channels_last_hint

if TYPE_CHECKING:
    from numpy.typing import DTypeLike
    from PIL.Image import Image

__all__ = [
    "convert_image_dtype",
    "normalize",
    "pil_to_tensor",
    "rgb_to_grayscale",
    "to_grayscale",
    "to_tensor",
]


@ends_at_caller
def to_pil_image(pic: Any, mode: str | None = None) -> Image:
    """Convert a tensor (C, H, W) or an array (H, W, C) to a Pillow image.

    Parameters
    ----------
    pic : Tensor or numpy.ndarray
        A tensor (C, H, W) or (H, W); or a plain NumPy array (H, W) or (H, W, C). Floats, between 0 and 1,
        are multiplied by 255 and truncated, as in torchvision, unless `mode` is "F".
    mode : str, optional
        Pillow's mode; by default L, LA, RGB or RGBA for 1 to 4 channels of 8 bits, and I;16 or I for one
        channel of int16 or int32.

    Raises
    ------
    TypeError
        If it is no array, or no mode holds its values.
    ValueError
        If it has another number of dimensions or channels.
    """
    from PIL import Image

    if not isinstance(pic, np.ndarray):
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if pic.ndim not in (2, 3):
        raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
    values = np.asarray(pic)
    if isinstance(pic, Tensor):
        values = (values[None] if values.ndim == 2 else values).transpose(1, 2, 0)
    elif values.ndim == 2:
        values = values[:, :, None]
    if values.dtype.kind == "f" and mode != "F":
        values = (values * 255).astype(np.uint8)
    channels = values.shape[2]
    if not 1 <= channels <= 4:
        raise ValueError(f"pic should not have > 4 channels. Got {channels} channels.")
    if channels == 1:
        kinds = {"uint8": "L", "int16": "I;16", "int32": "I", "float32": "F"}
        own, allowed = kinds.get(values.dtype.name), {kinds.get(values.dtype.name)}
        values = values[:, :, 0]
    else:
        own = {2: "LA", 3: "RGB", 4: "RGBA"}[channels] if values.dtype == np.uint8 else None
        allowed = {2: {"LA"}, 3: {"RGB", "YCbCr", "HSV"}, 4: {"RGBA", "CMYK", "RGBX"}}[channels]
    if own is None:
        raise TypeError(f"Input type {values.dtype} is not supported")
    if mode is not None and mode not in allowed:
        raise ValueError(f"Only modes {sorted(map(str, allowed))} are supported for such inputs. Got {mode}")
    return _as_image(Image, np.ascontiguousarray(values), mode or own)


def _as_image(image: Any, values: np.ndarray, mode: str) -> Image:
    size = (values.shape[1], values.shape[0])
    raw = {"I;16": "I;16", "I": "I", "F": "F;32NF"}.get(mode, mode)
    return image.frombytes(mode, size, values.tobytes(), "raw", raw)  # type: ignore[no-any-return]


@ends_at_caller
def to_tensor(pic: Image | np.ndarray) -> np.ndarray:
    """Convert a picture to a tensor (C, H, W), 8-bit values to float32 between 0 and 1.

    Parameters
    ----------
    pic : PIL.Image.Image or numpy.ndarray
        An image, or an array (H, W) or (H, W, C). Values that are not 8-bit (modes I, I;16 and F,
        arrays of other dtypes) keep their dtype and are not scaled. Those of I;16 become int16, as
        in torchvision, so values from 32,768 wrap to negative numbers, with a warning.
        ``pil_to_tensor`` keeps them, and ``convert_image_dtype`` then scales them to 0 to 1.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If an array does not have two or three dimensions.
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


@ends_at_caller
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
    # Pictures of mode I;16B are big-endian.
    return _channels_first(array.astype(array.dtype.newbyteorder("="), copy=False))


@ends_at_caller
def convert_image_dtype(image: np.ndarray, dtype: DTypeLike = np.float32) -> np.ndarray:
    """Convert a tensor to another dtype and scale its values, so that white stays white.

    White is 1 for floats and bool, and the largest number for integers: 255 for uint8, 65,535 for uint16
    (`torchvision.transforms.functional.convert_image_dtype`).

    Parameters
    ----------
    image : numpy.ndarray
        A tensor of any shape.
    dtype : dtype_like

    Raises
    ------
    TypeError
        If one of the dtypes is neither of floats nor of integers.
    ValueError
        If floats would be converted to integers that float32 cannot represent.
    """
    target = np.dtype(dtype)
    if not isinstance(image, np.ndarray):
        raise TypeError(f"Input img should be Tensor Image. Got {type(image)}")
    if image.dtype.kind not in "fiub" or target.kind not in "fiub":
        raise TypeError(f"Expected dtypes of floats or integers, got {image.dtype} and {target}")
    if not isinstance(image, Tensor):
        image = image.view(Tensor)
    if image.dtype == target:
        return image
    if image.dtype.kind == "f":
        if target.kind == "f":
            return image.astype(target)
        if target.itemsize > (2 if image.dtype.itemsize < 8 else 4):
            raise ValueError(f"The cast from {image.dtype} to {target} cannot be performed safely.")
        # Just below the next number, so that 1 becomes white and all numbers have intervals of
        # equal size.
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
    picture = array[None].copy() if array.ndim == 2 else np.array(array.transpose(2, 0, 1), order="C")
    return picture.view(Tensor)


@ends_at_caller
def normalize(
    tensor: np.ndarray, mean: Sequence[float], std: Sequence[float], inplace: bool = False
) -> np.ndarray:
    """Subtract a mean from each channel and divide by a standard deviation.

    Parameters
    ----------
    tensor : numpy.ndarray
        Floats of shape (..., C, H, W).
    mean, std : sequence of float
        One value per channel, or one for all.
    inplace : bool
        Whether to change `tensor` itself.

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
    out = np.divide(out, scale, out=out)
    # In place means that the caller gets its own array.
    return out if inplace else out.view(Tensor)


def _per_channel(name: str, values: Sequence[float], tensor: np.ndarray) -> np.ndarray:
    array = np.asarray(values, dtype=tensor.dtype)
    if array.ndim == 1 and array.size not in (1, tensor.shape[-3]):
        hint = channels_last_hint(tensor.shape)
        if not hint and tensor.ndim == 3 and tensor.shape[1] in (1, 3, 4):
            hint = "; ToTensor() takes (H, W, C), and this one was perhaps given (C, H, W)"
        raise ValueError(f"{name} has {array.size} values for a tensor of {tensor.shape[-3]} channels{hint}")
    return array.reshape(-1, 1, 1) if array.ndim == 1 else array


@ends_at_caller
def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """Convert a picture, or a tensor (..., 1 or 3, H, W), to grey.

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


@ends_at_caller
def to_grayscale(img: Image, num_output_channels: int = 1) -> Image:
    """Convert a Pillow image of any mode to grey; see `rgb_to_grayscale`.

    Raises
    ------
    TypeError
        If `img` is not a picture.
    """
    picture = picture_or_tensor(img)
    if not is_pil(picture):
        raise TypeError("Input should be PIL Image")
    return rgb_to_grayscale(picture, num_output_channels)
