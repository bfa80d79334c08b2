"""Pictures on their way from files through a network: found, read, prepared, run in batches."""

from __future__ import annotations

import os
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

__all__ = ["PictureError", "Prepared", "Source", "find_pictures", "outputs", "read_picture"]

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
    """A picture that can not be read."""


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


def read_picture(path: str | os.PathLike[str]) -> Image:
    """Return a picture, decoded whole, in the mode of its file. EXIF orientation is not applied.

    Raises
    ------
    PictureError
        If there is no such file, it is no picture, or it is damaged.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as img:
            img.load()
            return img
    except UnidentifiedImageError:
        raise PictureError(f"{os.fspath(path)}: not a picture that Pillow can read") from None
    # Of damaged files Pillow's decoders raise whatever they stumble over: SyntaxError, struct.error, ...
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PictureError(f"{os.fspath(path)}: {reason}") from error


def outputs(
    model: Callable[[Any], Any],
    sources: Sequence[Source],
    transforms: Callable[[Any], Prepared] | None,
    batch_size: int,
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
                picture = read_picture(source)
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
