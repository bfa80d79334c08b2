"""Shared by the commands that run windows of a picture: picture, scales, classes, boxes as text."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rvision._pictures import of_ignored_orientation, read_picture
from rvision.cli._network import Network, say
from rvision.dense import scale_factors
from rvision.dense._convolutionize import window_size
from rvision.dense._refusals import NoDenseForm
from rvision.errors import ArgumentError
from rvision.transforms._pictures import to_rgb

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = [
    "box_in_words",
    "check_out",
    "class_index",
    "picture_of",
    "scales_of",
    "shows_progress",
    "told_as_options",
]


def picture_of(path: str | os.PathLike[str], orient: bool = False) -> Image:
    """Return the picture in a file as RGB; `orient` applies its EXIF orientation."""
    ignored: list[str | os.PathLike[str]] = []
    picture = to_rgb(read_picture(path, orient=orient, ignored=ignored))
    if ignored:
        say(of_ignored_orientation(ignored))
    return picture


def check_out(path: str | None) -> None:
    """Raise if a file cannot be written, before anything is computed.

    Raises
    ------
    ArgumentError
        If the folder does not exist, or Pillow does not know the file ending.
    """
    if path is None:
        return
    from PIL import Image

    file = Path(path)
    if not file.parent.is_dir():
        raise ArgumentError(f"--out {path}: there is no folder {file.parent}")
    Image.init()
    if Image.EXTENSION.get(file.suffix.lower()) not in Image.SAVE:
        raise ArgumentError(f"--out {path}: Pillow cannot write such a picture; try a name that ends in .png")


def scales_of(args: Any, chosen: Network, picture: Image) -> list[float]:
    """Return the factors that `--scales` requests."""
    if not isinstance(args.scales, int):
        return args.scales
    _, window = window_size(chosen.model, args.window)
    return scale_factors((picture.height, picture.width), window, args.scales)


def class_index(text: str, categories: Sequence[str]) -> int:
    """Return the class with this name (case-insensitive) or number.

    Raises
    ------
    ArgumentError
        If there is no such class, or several.
    """
    if text.isdigit():
        # Names may be incomplete; only a run tells the number of classes.
        return int(text)
    if not categories:
        raise ArgumentError(
            f"--class {text}: the network's classes have no names; give a number, or --categories FILE"
        )
    wanted = text.strip().casefold()
    names = [name.casefold() for name in categories]
    found = [index for index, name in enumerate(names) if name == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        raise ArgumentError(
            f"--class {text}: classes {', '.join(map(str, found))} have this name; give a number"
        )
    near = [index for index, name in enumerate(names) if wanted and wanted in name]
    near += [names.index(name) for name in difflib.get_close_matches(wanted, names)]
    hint = ", ".join(dict.fromkeys(categories[index] for index in near[:5]))
    raise ArgumentError(f"--class {text}: no class has this name{f'; there is {hint}' if hint else ''}")


@contextmanager
def told_as_options() -> Iterator[None]:
    """Rephrase errors about a network without a dense form in terms of the command line."""
    try:
        yield
    except NoDenseForm as refusal:
        raise refusal.for_("options") from None


def shows_progress(args: Any) -> bool:
    """Return whether to show a bar on stderr."""
    return not args.json and sys.stderr.isatty()


def box_in_words(box: Sequence[float]) -> str:
    """Return a box as text in whole pixels."""
    left, top, right, bottom = (round(float(side)) for side in box)
    return f"at {left},{top} to {right},{bottom}"
