"""Pictures from files and bytes to uint8 tensors (C, H, W), and back: torchvision's `io`, by Pillow."""

from __future__ import annotations

import io
import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision._frames import ends_at_caller
from rvision._tensor import Tensor
from rvision.errors import ArgumentError, UnsupportedError

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

_ABSENT = {
    "decode_avif": "open the file with Pillow and a plugin for it",
    "decode_heic": "open the file with Pillow and a plugin for it",
    "read_video": "read the frames with PyAV or OpenCV, and give them as arrays",
    "read_video_timestamps": "read the frames with PyAV or OpenCV",
    "write_video": "write the frames with PyAV or OpenCV",
    "VideoReader": "read the frames with PyAV or OpenCV, and give them as arrays",
}


class ImageReadMode(Enum):
    """The channels to decode (`torchvision.io.ImageReadMode`); UNCHANGED is what the file has."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4
    RGBA = 4


_MODES = {
    ImageReadMode.GRAY: "L",
    ImageReadMode.GRAY_ALPHA: "LA",
    ImageReadMode.RGB: "RGB",
    ImageReadMode.RGB_ALPHA: "RGBA",
}


def _mode(mode: Any) -> ImageReadMode:
    try:
        return ImageReadMode[mode.upper()] if isinstance(mode, str) else ImageReadMode(mode)
    except (KeyError, ValueError):
        raise ArgumentError(
            f"mode: expected one of {', '.join(ImageReadMode.__members__)}, got {mode!r}"
        ) from None


@ends_at_caller
def read_file(path: str | os.PathLike[str]) -> Tensor:
    """Return the bytes of a file, uint8 (bytes,): `torchvision.io.read_file`."""
    return np.fromfile(path, np.uint8).view(Tensor)


@ends_at_caller
def write_file(filename: str | os.PathLike[str], data: Any) -> None:
    """Write the bytes of a uint8 tensor (bytes,): `torchvision.io.write_file`."""
    Path(filename).write_bytes(_bytes(data, "write_file"))


@ends_at_caller
def read_image(
    path: str | os.PathLike[str],
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """Read a picture from a file; see :func:`decode_image`.

    Examples
    --------
    >>> rvision.io.read_image("picture.jpg").shape
    (3, 48, 64)
    """
    return _decoded(Path(path).read_bytes(), mode, apply_exif_orientation, f"{os.fspath(path)!r}")


@ends_at_caller
def decode_image(
    input: Any,
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """Decode a picture: a JPEG, a PNG, a WebP, a GIF, or what else Pillow reads.

    Parameters
    ----------
    input : bytes, array or path
        The file's content, as bytes or uint8 (bytes,), or its path.
    mode : ImageReadMode or str
        The channels to return, such as "RGB".
    apply_exif_orientation : bool
        Whether to turn the picture as its EXIF data say.

    Returns
    -------
    Tensor
        uint8 (C, H, W); uint16 for grey PNGs of 16 bits; (N, C, H, W) for a GIF of N > 1 frames. The values
        are torchvision's, except that colours become grey in a PNG to within one level, that UNCHANGED
        gives the colours of a palette, and that alpha is added as 255 to palettes too.

    Raises
    ------
    ArgumentError
        If it is no picture.
    UnsupportedError
        For PNGs of 16 bits with colours, which Pillow would cut to 8.
    """
    if isinstance(input, str | os.PathLike):
        return _decoded(Path(input).read_bytes(), mode, apply_exif_orientation, f"{os.fspath(input)!r}")
    return _decoded(_bytes(input, "decode_image"), mode, apply_exif_orientation, "the bytes")


def _decoder(format: str) -> Any:
    @ends_at_caller
    def decode(
        input: Any,
        mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
        apply_exif_orientation: bool = False,
        *,
        device: Any = "cpu",
    ) -> Tensor:
        from rvision._tensor import cpu_only

        cpu_only(device, f"decode_{format.lower()}")
        return _decoded(
            _bytes(input, f"decode_{format.lower()}"), mode, apply_exif_orientation, "the bytes", format
        )

    decode.__name__ = decode.__qualname__ = f"decode_{format.lower()}"
    decode.__doc__ = f"Decode a {format}; see :func:`decode_image`."
    return decode


decode_gif = _decoder("GIF")
decode_jpeg = _decoder("JPEG")
decode_png = _decoder("PNG")
decode_webp = _decoder("WEBP")


def _bytes(data: Any, where: str) -> bytes:
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    values = np.asarray(data)
    if values.dtype != np.uint8 or values.ndim != 1:
        raise ArgumentError(
            f"{where}: expected bytes or uint8 (bytes,), got {values.dtype} of shape {values.shape}"
        )
    return values.tobytes()


def _decoded(data: bytes, mode: Any, turned: bool, what: str, format: str | None = None) -> Tensor:
    from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

    mode = _mode(mode)
    try:
        picture = Image.open(io.BytesIO(data), formats=None if format is None else [format])
    except UnidentifiedImageError:
        raise ArgumentError(
            f"{what}: expected a picture{f' in {format}' if format else ''}, and Pillow knows no format in it"
        ) from None
    if picture.format == "PNG" and any(";16" in str(tile[3]) for tile in picture.tile) and not _deep(picture):
        raise UnsupportedError(
            f"{what}: a PNG of 16 bits with colours, which Pillow cuts to 8; read it with another library"
        )
    if picture.format == "JPEG" and mode is ImageReadMode.GRAY:
        # The brightness that the file has, which torchvision returns too.
        picture.draft("L", picture.size)
    frames = []
    for frame in ImageSequence.Iterator(picture):
        shown = ImageOps.exif_transpose(frame) if turned else frame
        frames.append(_channels(shown, mode, picture.format == "GIF"))
        if picture.format != "GIF":
            break
    return (frames[0] if len(frames) == 1 else np.stack(frames)).view(Tensor)


def _deep(picture: Image) -> bool:
    return picture.mode.startswith("I")


def _channels(picture: Image, mode: ImageReadMode, gif: bool) -> np.ndarray:
    """Return a picture as (C, H, W)."""
    if _deep(picture):
        values = np.asarray(picture).astype(np.uint16)
        opaque = np.full_like(values, 65535)
        of = {
            ImageReadMode.GRAY_ALPHA: [values, opaque],
            ImageReadMode.RGB: [values] * 3,
            ImageReadMode.RGB_ALPHA: [values] * 3 + [opaque],
        }
        return np.stack(of.get(mode, [values]))
    clear = "transparency" in picture.info
    if mode is ImageReadMode.UNCHANGED:
        if picture.mode == "CMYK":
            # As the file has it, where 0 is the full ink; Pillow turns it round.
            return _planes(255 - np.asarray(picture))
        own = {"1": "L", "P": "RGBA" if clear and not gif else "RGB", "PA": "RGBA"}
        wanted = own.get(picture.mode, picture.mode)
    else:
        wanted = _MODES[mode]
    if picture.mode == "1":
        picture = picture.convert("L")
    if picture.mode == "P" and wanted not in ("RGB", "RGBA"):
        picture = picture.convert("RGBA" if clear else "RGB")
    elif clear and picture.mode in ("L", "RGB"):
        # One colour that stands for transparent; torchvision leaves it opaque.
        picture = picture.copy()
        del picture.info["transparency"]
    elif clear and picture.mode == "P" and wanted == "RGB":
        picture = picture.convert("RGBA")
    return _planes(np.asarray(picture if picture.mode == wanted else picture.convert(wanted)))


def _planes(values: np.ndarray) -> np.ndarray:
    values = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    return np.ascontiguousarray(values)


@ends_at_caller
def encode_jpeg(input: Any, quality: int = 75) -> Tensor:
    """Return a picture as the bytes of a JPEG, uint8 (bytes,): `torchvision.io.encode_jpeg`.

    Parameters
    ----------
    input : array_like
        uint8 (1, H, W) or (3, H, W).
    quality : int
        1 to 100.
    """
    if not isinstance(quality, int) or not 1 <= quality <= 100:
        raise ArgumentError(f"encode_jpeg: quality: expected 1 to 100, got {quality!r}")
    return _encoded(input, "JPEG", "encode_jpeg", quality=quality)


@ends_at_caller
def encode_png(input: Any, compression_level: int = 6) -> Tensor:
    """Return a picture as the bytes of a PNG, uint8 (bytes,): `torchvision.io.encode_png`.

    Parameters
    ----------
    input : array_like
        uint8 (1, H, W) or (3, H, W).
    compression_level : int
        0 to 9.
    """
    if not isinstance(compression_level, int) or not 0 <= compression_level <= 9:
        raise ArgumentError(f"encode_png: compression_level: expected 0 to 9, got {compression_level!r}")
    return _encoded(input, "PNG", "encode_png", compress_level=compression_level)


@ends_at_caller
def write_jpeg(input: Any, filename: str | os.PathLike[str], quality: int = 75) -> None:
    """Write a picture (1 or 3, H, W), uint8, as a JPEG."""
    Path(filename).write_bytes(encode_jpeg(input, quality).tobytes())


@ends_at_caller
def write_png(input: Any, filename: str | os.PathLike[str], compression_level: int = 6) -> None:
    """Write a picture (1 or 3, H, W), uint8, as a PNG."""
    Path(filename).write_bytes(encode_png(input, compression_level).tobytes())


def _encoded(input: Any, format: str, where: str, **options: Any) -> Tensor:
    from PIL import Image

    values = np.asarray(input)
    if values.dtype != np.uint8 or values.ndim != 3 or values.shape[0] not in (1, 3) or not values.size:
        raise ArgumentError(
            f"{where}: expected uint8 (1, H, W) or (3, H, W), got {values.dtype} of shape {values.shape}"
        )
    pixels = values[0] if values.shape[0] == 1 else values.transpose(1, 2, 0)
    target = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(target, format, **options)
    return np.frombuffer(target.getvalue(), np.uint8).copy().view(Tensor)


def __getattr__(name: str) -> Any:
    if name in _ABSENT:
        raise AttributeError(f"rvision has no io.{name}: {_ABSENT[name]}")
    raise AttributeError(f"module 'rvision.io' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
