"""Picture files as tensors: `torchvision.io` for pictures, with Pillow behind it.

JPEG, PNG, GIF and WebP files become uint8 (C, H, W). Values are torchvision's, apart from what
docs/data.md lists.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import rvision._tensor  # noqa: F401  (the package before its submodules, for threads)
from rvision._frames import ends_at_caller
from rvision._tensor import Tensor, cpu_only
from rvision.errors import ArgumentError, PictureError, ShapeError, UnsupportedError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "ImageReadMode",
    "decode_gif",
    "decode_image",
    "decode_jpeg",
    "decode_png",
    "decode_webp",
    "encode_jpeg",
    "encode_png",
    "read_file",
    "read_image",
    "write_file",
    "write_jpeg",
    "write_png",
]

# The bytes of a file: a uint8 tensor (N,), or bytes.
Data: TypeAlias = Any

# Names of torchvision.io that are not here, and the text after the colon of the error message.
_ABSENT = {
    "decode_avif": "Pillow reads AVIF files: rvision.transforms.functional.pil_to_tensor(Image.open(path))",
    "decode_heic": "a Pillow plugin such as pillow-heif reads HEIC files",
    **dict.fromkeys(
        ["VideoReader", "read_video", "read_video_timestamps", "write_video"],
        "there are no videos; read frames with PyAV or OpenCV",
    ),
}


class ImageReadMode(Enum):
    """The channels that a picture is decoded to. Functions also take the names ("RGB")."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4
    RGBA = RGB_ALPHA


def __getattr__(name: str) -> Any:
    reason = _ABSENT.get(name, "see docs/data.md")
    raise AttributeError(f"rvision.io has no {name!r}: {reason}")


def __dir__() -> list[str]:
    return sorted(__all__)


@ends_at_caller
def read_file(path: str | os.PathLike[str]) -> Tensor:
    """Return the bytes of a file as uint8 (N,).

    Raises
    ------
    OSError
        From the system.
    """
    return np.frombuffer(bytearray(Path(path).read_bytes()), np.uint8).view(Tensor)


@ends_at_caller
def write_file(filename: str | os.PathLike[str], data: Data) -> None:
    """Write bytes, such as those of :func:`encode_png`, to a file.

    Raises
    ------
    ArgumentError
        If `data` is not uint8 (N,) or bytes.
    OSError
        From the system.
    """
    Path(filename).write_bytes(_as_bytes(data, "write_file: data"))


@ends_at_caller
def read_image(
    path: str | os.PathLike[str],
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """Return the picture in a file as uint8 (C, H, W): `torchvision.io.read_image`.

    Parameters, results and errors are those of :func:`decode_image` with a path.

    Examples
    --------
    >>> rvision.io.read_image("picture.jpg").dtype
    dtype('uint8')
    """
    return decode_image(os.fspath(path), mode, apply_exif_orientation)


@ends_at_caller
def decode_image(
    input: Data,
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """Return a JPEG, PNG, GIF or WebP picture as uint8 (C, H, W): `torchvision.io.decode_image`.

    Parameters
    ----------
    input : str, path, bytes or array
        A path, or the bytes of a file: uint8 (N,), or bytes.
    mode : ImageReadMode or str
        The channels of the result; by default those of the file. A PNG file with a palette then
        gives its indices. JPEG files have no alpha; GIF and WebP files have no grey ones.
    apply_exif_orientation : bool
        Turn JPEG and PNG pictures as their EXIF orientation says.

    Returns
    -------
    Tensor
        uint8 (C, H, W); uint16 for a grey PNG file of 16 bits.

    Raises
    ------
    PictureError
        If the bytes are not a picture, or a damaged one. It is an OSError.
    UnsupportedError
        For other formats, 16-bit PNG files with colour or alpha, animations, and modes that the format
        has not.
    ArgumentError
        If `input` is not a path or bytes, or there is no such mode.
    OSError
        If the file cannot be read.
    """
    return _decode("decode_image", input, mode, apply_exif_orientation)


@ends_at_caller
def decode_jpeg(
    input: Data | Sequence[Data],
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    device: Any = "cpu",
    apply_exif_orientation: bool = False,
) -> Any:
    """Return a JPEG picture, or a list of them, as uint8 (C, H, W): `torchvision.io.decode_jpeg`.

    The bytes, modes and errors are those of :func:`decode_image`; `device` is the CPU.
    """
    cpu_only(device, "decode_jpeg")
    if isinstance(input, list):
        if not input:
            raise ArgumentError("decode_jpeg: expected at least one picture, got an empty list")
        return [_decode("decode_jpeg", data, mode, apply_exif_orientation, "JPEG") for data in input]
    return _decode("decode_jpeg", input, mode, apply_exif_orientation, "JPEG")


@ends_at_caller
def decode_png(
    input: Data,
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """Return a PNG picture as uint8 (C, H, W): `torchvision.io.decode_png`.

    The bytes, modes and errors are those of :func:`decode_image`.
    """
    return _decode("decode_png", input, mode, apply_exif_orientation, "PNG")


@ends_at_caller
def decode_webp(input: Data, mode: ImageReadMode | str = ImageReadMode.UNCHANGED) -> Tensor:
    """Return a WebP picture as uint8 (3 or 4, H, W): `torchvision.io.decode_webp`.

    The bytes, modes and errors are those of :func:`decode_image`.
    """
    return _decode("decode_webp", input, mode, False, "WEBP")


@ends_at_caller
def decode_gif(input: Data) -> Tensor:
    """Return a GIF picture as uint8 (3, H, W): `torchvision.io.decode_gif`, of a single picture.

    The bytes and errors are those of :func:`decode_image`.
    """
    return _decode("decode_gif", input, ImageReadMode.UNCHANGED, False, "GIF")


@ends_at_caller
def encode_jpeg(input: Any, quality: int = 75) -> Any:
    """Return the bytes of a JPEG file, uint8 (N,), of a picture or a list of them.

    Parameters
    ----------
    input : array_like or list
        uint8 (1 or 3, H, W).
    quality : int
        1 to 100.

    Raises
    ------
    ShapeError, ArgumentError
        If a picture is not uint8 (1 or 3, H, W), or `quality` is out of range.
    """
    _check_range("encode_jpeg: quality", quality, 1, 100)
    if isinstance(input, list):
        if not input:
            raise ArgumentError("encode_jpeg: expected at least one picture, got an empty list")
        return [_encode("encode_jpeg", one, "JPEG", quality=quality) for one in input]
    return _encode("encode_jpeg", input, "JPEG", quality=quality)


@ends_at_caller
def encode_png(input: Any, compression_level: int = 6) -> Tensor:
    """Return the bytes of a PNG file, uint8 (N,).

    Parameters
    ----------
    input : array_like
        uint8 (1 or 3, H, W).
    compression_level : int
        0 to 9.

    Raises
    ------
    ShapeError, ArgumentError
        If the picture is not uint8 (1 or 3, H, W), or `compression_level` is out of range.
    """
    _check_range("encode_png: compression_level", compression_level, 0, 9)
    return _encode("encode_png", input, "PNG", compress_level=compression_level)


@ends_at_caller
def write_jpeg(input: Any, filename: str | os.PathLike[str], quality: int = 75) -> None:
    """Write a picture, uint8 (1 or 3, H, W), to a JPEG file; errors are those of :func:`encode_jpeg`."""
    write_file(filename, encode_jpeg(input, quality))


@ends_at_caller
def write_png(input: Any, filename: str | os.PathLike[str], compression_level: int = 6) -> None:
    """Write a picture, uint8 (1 or 3, H, W), to a PNG file; errors are those of :func:`encode_png`."""
    write_file(filename, encode_png(input, compression_level))


def _as_bytes(data: Data, what: str) -> bytes:
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    array = np.asarray(data)
    if array.dtype != np.uint8 or array.ndim != 1:
        raise ArgumentError(
            f"{what}: expected the bytes of a file, uint8 (N,) or bytes, got {array.dtype} {array.shape}"
        )
    return array.tobytes()


def _mode(mode: ImageReadMode | str, where: str) -> ImageReadMode:
    if isinstance(mode, ImageReadMode):
        return mode
    if isinstance(mode, str) and mode.upper() in ImageReadMode.__members__:
        return ImageReadMode[mode.upper()]
    raise ArgumentError(f"{where}: mode must be one of {', '.join(ImageReadMode.__members__)}, got {mode!r}")


def _decode(
    where: str, input: Data, mode: ImageReadMode | str, orient: bool, format: str | None = None
) -> Tensor:
    from PIL import Image, UnidentifiedImageError

    wanted = _mode(mode, where)
    name, data = where, input
    if isinstance(input, str | os.PathLike):
        if format is not None:
            raise ArgumentError(f"{where}: expected the bytes of a file, got a path; see read_file")
        name, data = os.fspath(input), read_file(input)
    data = _as_bytes(data, f"{where}: input")
    try:
        with Image.open(BytesIO(data)) as img:
            if img.format != format and (format or img.format not in _DECODERS):
                raise UnsupportedError(
                    f"{name}: {where} reads {format or 'JPEG, PNG, GIF and WebP files'}, and this is a "
                    f"{img.format} file; rvision.transforms.functional.pil_to_tensor takes a Pillow picture"
                )
            kind = str(img.format)
            if kind != "PNG" and getattr(img, "n_frames", 1) > 1:
                raise UnsupportedError(
                    f"{name}: an animation of {img.n_frames} pictures; PIL.ImageSequence gives each of them"
                )
            planes = _DECODERS[kind](img, wanted, name, data)
            if orient and kind in ("JPEG", "PNG"):
                planes = _oriented(planes, img)
    except UnidentifiedImageError:
        raise PictureError(f"{name}: not a picture that Pillow can read") from None
    except (UnsupportedError, MemoryError):
        raise
    # For damaged files Pillow's decoders raise all kinds of errors: SyntaxError, struct.error, ...
    except Exception as error:
        raise PictureError(f"{name}: {str(error) or type(error).__name__}") from error
    return np.ascontiguousarray(planes).view(Tensor)


def _planes(img: Image) -> np.ndarray:
    pixels = np.asarray(img)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _refuse(name: str, wanted: ImageReadMode, kind: str) -> UnsupportedError:
    return UnsupportedError(f"{name}: a {kind} file cannot be decoded to {wanted.name}; use RGB")


def _jpeg(img: Image, wanted: ImageReadMode, name: str, data: bytes) -> np.ndarray:
    if wanted in (ImageReadMode.GRAY_ALPHA, ImageReadMode.RGBA):
        raise _refuse(name, wanted, "JPEG")
    if wanted is ImageReadMode.GRAY:
        # The file's own luminance, as torchvision decodes it, not one computed from RGB.
        img.draft("L", img.size)
        return _planes(img.convert("L"))
    if wanted is ImageReadMode.RGB:
        return _planes(img.convert("RGB"))
    # Pillow inverts Adobe's inverted CMYK, and torchvision does not.
    return 255 - _planes(img) if img.mode == "CMYK" else _planes(img)


# Where a PNG file has its bits per sample and its colour type; type 0 is grey.
_PNG_BITS, _PNG_COLOR = 24, 25
# libpng's weights of red and green for the coefficients 0.2989 and 0.587, of 32768.
_RED, _GREEN = 9794, 19235


def _png(img: Image, wanted: ImageReadMode, name: str, data: bytes) -> np.ndarray:
    wide = data[_PNG_BITS] == 16
    if wide and data[_PNG_COLOR] != 0:
        raise UnsupportedError(
            f"{name}: a PNG file of 16 bits with colour or alpha, of which Pillow reads 8; convert the file "
            "to 8 bits, or read it with OpenCV"
        )
    # Of a colour that counts as transparent, torchvision knows only in palettes.
    if img.mode != "P":
        img.load()
        img.info.pop("transparency", None)
    if img.mode == "1":
        img = img.convert("L")
    if wide:
        planes = np.asarray(img).astype(np.uint16)[None]
    elif img.mode == "P":
        if wanted is ImageReadMode.UNCHANGED:
            return _planes(img)
        planes = _planes(img.convert("RGBA"))
    else:
        planes = _planes(img)
    if wanted is ImageReadMode.UNCHANGED:
        return planes
    has_alpha = len(planes) in (2, 4)
    values, alpha = (planes[:-1], planes[-1:]) if has_alpha else (planes, None)
    if wanted in (ImageReadMode.GRAY, ImageReadMode.GRAY_ALPHA):
        values = _gray(values)
    elif len(values) == 1:
        values = values.repeat(3, axis=0)
    if wanted in (ImageReadMode.GRAY, ImageReadMode.RGB):
        return values
    if alpha is None:
        alpha = np.full_like(values[:1], 65535 if wide else 255)
    return np.concatenate([values, alpha])


def _gray(values: np.ndarray) -> np.ndarray:
    if len(values) == 1:
        return values
    red, green, blue = values.astype(np.int32)
    mixed = (_RED * red + _GREEN * green + (32768 - _RED - _GREEN) * blue) >> 15
    return mixed.astype(np.uint8)[None]


def _webp(img: Image, wanted: ImageReadMode, name: str, data: bytes) -> np.ndarray:
    if wanted in (ImageReadMode.GRAY, ImageReadMode.GRAY_ALPHA):
        raise _refuse(name, wanted, "WebP")
    return _planes(
        img if wanted is ImageReadMode.UNCHANGED else img.convert(wanted.name.replace("_ALPHA", "A"))
    )


def _gif(img: Image, wanted: ImageReadMode, name: str, data: bytes) -> np.ndarray:
    if wanted not in (ImageReadMode.UNCHANGED, ImageReadMode.RGB):
        raise _refuse(name, wanted, "GIF")
    clear = img.info.pop("transparency", None)
    planes = _planes(img.convert("RGB"))
    palette = img.getpalette()
    if isinstance(clear, int) and img.mode == "P" and palette is not None:
        # Transparent pixels show the background's colour.
        start = 3 * img.info.get("background", 0)
        planes = np.where(
            np.asarray(img) == clear, np.uint8(palette[start : start + 3])[:, None, None], planes
        )
    return planes


_DECODERS = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "GIF": _gif}

# What each value of the EXIF orientation does to (C, H, W): transpose, flip of H, flip of W.
_TURNS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def _oriented(planes: np.ndarray, img: Image) -> np.ndarray:
    try:
        orientation = img.getexif().get(0x0112, 1)
    # For damaged EXIF data Pillow raises all kinds of errors, but the picture is still readable.
    except Exception:
        return planes
    swap, down, across = _TURNS.get(orientation, (False, False, False))
    if swap:
        planes = planes.transpose(0, 2, 1)
    return planes[:, :: -1 if down else 1, :: -1 if across else 1]


def _check_range(what: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ArgumentError(f"{what} must be {low} to {high}, got {value}")


def _encode(where: str, picture: Any, format: str, **options: int) -> Tensor:
    from PIL import Image

    planes = np.asarray(picture)
    if planes.dtype != np.uint8:
        raise ArgumentError(
            f"{where}: expected uint8, got {planes.dtype}; rvision.utils.save_image takes floats in [0, 1]"
        )
    if planes.ndim != 3 or planes.shape[0] not in (1, 3):
        raise ShapeError(f"{where}: expected (1 or 3, H, W), got {planes.shape}")
    pixels = planes[0] if len(planes) == 1 else planes.transpose(1, 2, 0)
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, format, **options)
    return np.frombuffer(bytearray(file.getvalue()), np.uint8).view(Tensor)
