"""Pictures on their way from files through a network: found, read, prepared, run in batches."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rvision._rvision import get_num_threads
from rvision.errors import ArgumentError, RVisionError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = [
    "PictureError",
    "Prepared",
    "Source",
    "find_pictures",
    "no_file",
    "of_ignored_orientation",
    "outputs",
    "read_picture",
]

# A file to read, or a picture that is in memory already.
Source: TypeAlias = "str | os.PathLike[str] | Image | NDArray[Any]"
# What transforms make of it; several arrays for an ensemble whose members need different ones.
Prepared: TypeAlias = "NDArray[np.float32] | tuple[NDArray[np.float32], ...]"

# What is taken for a picture in a folder. A file that is named itself may end as it likes.
_ENDINGS = {
    *(".avif", ".bmp", ".gif", ".heic", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
}


class PictureError(RVisionError, OSError):
    """A picture that cannot be read."""


def find_pictures(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return files as they are, and of folders all pictures in them and below, sorted; hidden ones left out.

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


def read_picture(
    path: str | os.PathLike[str],
    *,
    orient: bool = False,
    ignored: list[str | os.PathLike[str]] | None = None,
) -> Image:
    """Return a picture, decoded whole, in the mode of its file.

    Parameters
    ----------
    path : path
        The file.
    orient : bool
        Turn the picture as its EXIF orientation says.
    ignored : list, optional
        Where to put the path if the file has an orientation that is not applied.

    Raises
    ------
    PictureError
        If there is no such file, it is no picture, or it is damaged.
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
    # Of damaged files Pillow's decoders raise whatever they stumble over: SyntaxError, struct.error, ...
    except Exception as error:
        if isinstance(error, FileNotFoundError):
            raise PictureError(no_file(path)) from error
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PictureError(f"{os.fspath(path)}: {reason}") from error


# The tag of EXIF, and those of its values that turn or mirror a picture; 1 leaves it as it is.
_ORIENTATION, _TURNS = 0x0112, range(2, 9)


def _is_turned(img: Image) -> bool:
    try:
        return img.getexif().get(_ORIENTATION, 1) in _TURNS
    # Of damaged EXIF data Pillow raises whatever it stumbles over, and the picture is there all the same.
    except Exception:
        return False


# As in a path, where the second of two slashes is lost.
_ADDRESS = re.compile(r"(https?|ftp|s3|gs|file|data):/*", re.IGNORECASE)


def no_file(path: str | os.PathLike[str]) -> str:
    """Return what to say of a path where nothing is, which may be an address."""
    text = os.fspath(path)
    address = _ADDRESS.match(text)
    if address is None:
        return f"{text}: No such file or folder"
    address_ = f"{address[1]}://{text[address.end() :]}"
    return f"{address_}: an address, not a file; download it first (curl -LO {address_}) and name the file"


def of_ignored_orientation(paths: Sequence[str | os.PathLike[str]]) -> str:
    """Return what to say of pictures whose EXIF orientation was not applied."""
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
    """Run pictures through a network in batches and yield for each its row of outputs, in order.

    Parameters
    ----------
    model : callable
        From float32 (N, C, H, W), or a tuple of these if `transforms` returns tuples, to (N, K).
    sources : sequence
        Files, Pillow images or arrays.
    transforms : callable, optional
        From a picture to float32 (C, H, W), or a tuple of these. Without it, sources are such arrays.
    batch_size : int
        Pictures a run; those of different shapes run apart.
    orient, ignored
        As for `read_picture`.

    Yields
    ------
    numpy.ndarray or PictureError
        float32 (K,), or why the picture could not be read.

    Raises
    ------
    ArgumentError
        If `batch_size` is below 1, or the network gives something else than (N, K).
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
            # Of a file it is the picture that is refused, not the call.
            if picture is source:
                raise
            return PictureError(f"{os.fspath(source)}: {error}")

    # Pillow releases the GIL, so a batch is decoded on as many threads as it then runs on.
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
