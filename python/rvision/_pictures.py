"""Finding, reading and preparing pictures, and running them through a network in batches."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import rvision.transforms  # noqa: F401  (the package before its submodules, for threads)
from rvision._rvision import get_num_threads
from rvision.errors import ArgumentError, PictureError
from rvision.transforms._pictures import is_pil

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = [
    "PictureError",
    "Prepared",
    "Source",
    "as_sources",
    "find_pictures",
    "no_file",
    "of_ignored_orientation",
    "outputs",
    "read_picture",
]

# A file to read, or a picture in memory.
Source: TypeAlias = "str | os.PathLike[str] | Image | NDArray[Any]"
# The result of transforms; several arrays for an ensemble whose members need different ones.
Prepared: TypeAlias = "NDArray[np.float32] | tuple[NDArray[np.float32], ...]"

# File endings of pictures in a folder. A file that is named explicitly may have any ending.
_ENDINGS = {
    *(".avif", ".bmp", ".gif", ".heic", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
}


def find_pictures(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return files as they are, and all pictures in folders and below, sorted, without hidden ones.

    Raises
    ------
    ArgumentError
        If a folder holds no picture.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(
            file
            for file in path.rglob("*")
            if file.suffix.lower() in _ENDINGS
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
            and file.is_file()
        )
        if not inside:
            raise ArgumentError(f"{path}: no pictures in this folder (files ending in .jpg, .png, ...)")
        found += inside
    return found


def as_sources(pictures: Any, where: str) -> list[Source]:
    """Return single files and pictures in memory.

    Parameters
    ----------
    pictures : path, PIL.Image.Image, array, or a sequence of these
        A folder stands for all pictures in it and below, an array (N, C, H, W) for N pictures.
    where : str
        The caller's name, for messages.

    Raises
    ------
    ArgumentError
        If there are none.
    FileNotFoundError
        If a file or folder does not exist.
    """
    if isinstance(pictures, str | os.PathLike) or is_pil(pictures):
        pictures = [pictures]
    elif isinstance(pictures, np.ndarray):
        pictures = list(pictures) if pictures.ndim == 4 else [pictures]
    elif hasattr(pictures, "__dlpack__"):
        array = np.asarray(pictures)
        pictures = list(array) if array.ndim == 4 else [array]
    found: list[Source] = []
    for each in pictures:
        if not isinstance(each, str | os.PathLike):
            found.append(each)
        elif not Path(each).exists():
            raise FileNotFoundError(no_file(each))
        else:
            found += find_pictures([each])
    if not found:
        raise ArgumentError(f"{where}: pictures: expected at least one, got none")
    return found


def read_picture(
    path: str | os.PathLike[str],
    *,
    orient: bool = False,
    ignored: list[str | os.PathLike[str]] | None = None,
) -> Image:
    """Return a completely decoded picture, in the mode of its file.

    Parameters
    ----------
    path : path
        The file.
    orient : bool
        Apply the picture's EXIF orientation.
    ignored : list, optional
        The path is appended if the file has an orientation that is not applied.

    Raises
    ------
    PictureError
        If the file does not exist, is not a picture, or is damaged.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as img:
            img.load()
            if not _is_turned(img):
                return img
            if orient:
                return ImageOps.exif_transpose(img)
            if ignored is not None:
                ignored.append(path)
            return img
    except UnidentifiedImageError:
        raise PictureError(f"{os.fspath(path)}: not a picture that Pillow can read") from None
    # For damaged files Pillow's decoders raise all kinds of errors: SyntaxError, struct.error, ...
    except Exception as error:
        if isinstance(error, FileNotFoundError):
            raise PictureError(no_file(path)) from error
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PictureError(f"{os.fspath(path)}: {reason}") from error


# The EXIF tag, and its values that rotate or mirror a picture; 1 leaves it unchanged.
_ORIENTATION, _TURNS = 0x0112, range(2, 9)


def _is_turned(img: Image) -> bool:
    try:
        return img.getexif().get(_ORIENTATION, 1) in _TURNS
    # For damaged EXIF data Pillow raises all kinds of errors, but the picture is still readable.
    except Exception:
        return False


# As it appears in a path, which drops the second of two slashes.
_ADDRESS = re.compile(r"(https?|ftp|s3|gs|file|data):/*", re.IGNORECASE)


def no_file(path: str | os.PathLike[str]) -> str:
    """Return the message for a path that does not exist; it may be an address."""
    text = os.fspath(path)
    address = _ADDRESS.match(text)
    if address is None:
        return f"{text}: No such file or folder"
    address_ = f"{address[1]}://{text[address.end() :]}"
    return f"{address_}: an address, not a file; download it first (curl -LO {address_}) and name the file"


def of_ignored_orientation(paths: Sequence[str | os.PathLike[str]]) -> str:
    """Return the message about pictures whose EXIF orientation was not applied."""
    first = min(map(os.fspath, paths))
    if len(paths) == 1:
        return f"{first}: its EXIF orientation is not applied, as in torchvision; --orient applies it"
    return (
        f"{len(paths)} pictures have an EXIF orientation that is not applied, as in torchvision ({first}, "
        "...); --orient applies it"
    )


def outputs(
    model: Callable[[Any], Any],
    sources: Sequence[Source],
    transforms: Callable[[Any], Prepared] | None,
    batch_size: int,
    *,
    orient: bool = False,
    ignored: list[str | os.PathLike[str]] | None = None,
) -> Iterator[NDArray[np.float32] | PictureError]:
    """Run pictures through a network in batches and yield each one's row of outputs, in order.

    Parameters
    ----------
    model : callable
        Maps float32 (N, C, H, W), or a tuple of these if `transforms` returns tuples, to (N, K).
    sources : sequence
        Files, Pillow images or arrays.
    transforms : callable, optional
        Maps a picture to float32 (C, H, W), or a tuple of these. Without it, sources are such
        arrays.
    batch_size : int
        Pictures per run; pictures of different shapes run separately.
    orient, ignored
        As for `read_picture`.

    Yields
    ------
    numpy.ndarray or PictureError
        float32 (K,), or why the picture could not be read.

    Raises
    ------
    ArgumentError
        If `batch_size` is below 1, or the network's output is not (N, K).
    """
    if batch_size < 1:
        raise ArgumentError(f"batch size: expected 1 or more, got {batch_size}")

    def prepare(source: Source) -> Prepared | PictureError:
        picture: Any = source
        if isinstance(source, str | os.PathLike):
            try:
                picture = read_picture(source, orient=orient, ignored=ignored)
            except PictureError as error:
                return error
        if transforms is None:
            return picture
        try:
            return transforms(picture)
        except ArgumentError as error:
            # For a file, the error is about the picture, not about the call.
            if picture is source:
                raise
            return PictureError(f"{os.fspath(source)}: {error}")

    # Pillow releases the GIL, so a batch is decoded on the same number of threads as it runs on.
    with ThreadPoolExecutor(min(get_num_threads(), batch_size)) as pool:
        for start in range(0, len(sources), batch_size):
            batch = sources[start : start + batch_size]
            yield from _run(model, list(pool.map(prepare, batch) if len(batch) > 1 else map(prepare, batch)))


def _run(
    model: Callable[[Any], Any], prepared: Sequence[Prepared | PictureError]
) -> list[NDArray[np.float32] | PictureError]:
    results: list[Any] = list(prepared)
    places: dict[Any, list[int]] = {}
    for place, item in enumerate(prepared):
        if not isinstance(item, PictureError):
            places.setdefault(_shape(item), []).append(place)
    for group in places.values():
        rows = np.asarray(model(_stacked([results[place] for place in group])))
        if rows.ndim != 2 or len(rows) != len(group):
            raise ArgumentError(
                f"a classifier gives one row a picture: expected ({len(group)}, classes), got {rows.shape}"
            )
        for place, row in zip(group, rows, strict=True):
            results[place] = row
    return results


def _shape(item: Prepared) -> Any:
    return tuple(array.shape for array in item) if isinstance(item, tuple) else item.shape


def _stacked(items: Sequence[Prepared]) -> Any:
    if isinstance(items[0], tuple):
        return tuple(map(_stacked, zip(*items, strict=True)))
    return np.stack([np.asarray(item) for item in items])
