"""Recognises a file of published weights by its content, or else by the hash in its name.

Published weights determine more than the values: the preparation of pictures, and settings that
shapes do not show, such as GoogLeNet's `transform_input`. These apply to a file of published
weights under any name.

A published name contains the first digits of the content's SHA-256, so the content decides. Only a
file whose size is that of published weights, or whose name has a hash, is read for this, once; the
result is remembered by path, size and time of change. If the content does not match the hash in the
name, as after saving the weights in another format, the name still counts as evidence, and its use
is reported.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rvision._frames import warn
from rvision.weights import _cache
from rvision.weights import _enums as _enums  # its classes are what WeightsEnum.__subclasses__ returns
from rvision.weights._base import WeightsEnum

__all__ = ["Recognised", "identify", "recognise"]

# Published sizes are rounded to thousandths of a MiB.
_SIZE_UNIT = 1 << 20
_SIZE_ROUNDING = 0.001


@dataclass(frozen=True)
class Recognised:
    """The published weights in a file, by its content or its name.

    Attributes
    ----------
    weights : WeightsEnum
        The member.
    certain : bool
        Whether the content is the published one. Otherwise only the name has its hash.
    """

    weights: WeightsEnum
    certain: bool

    def __str__(self) -> str:
        if self.certain:
            return f"is {self.weights!r}"
        return (
            f"is {self.weights!r} by its name, but not by its content (it was saved again, or is another "
            "file under that name)"
        )


def identify(path: str | os.PathLike[str]) -> WeightsEnum | None:
    """Return the published weights that a file holds, under any name; None if it holds none.

    Their metadata can then be used: ``identify(path).transforms()`` prepares pictures as in their
    evaluation, ``identify(path).meta["categories"]`` names the classes.

    Parameters
    ----------
    path : path
        A weight file.

    Raises
    ------
    OSError
        If the file cannot be read.

    Warns
    -----
    UserWarning
        If the file's name has the hash of published weights, but its content does not.

    Examples
    --------
    >>> rvision.weights.identify("mine.pth")  # doctest: +SKIP
    MobileNet_V2_Weights.IMAGENET1K_V1
    """
    found = recognise(path)
    if found is None:
        return None
    if not found.certain:
        warn(f"{os.fspath(path)} {found}")
    return found.weights


def recognise(path: str | os.PathLike[str]) -> Recognised | None:
    """Return a file's published weights by its content, or else by its name; None if neither."""
    file = Path(path)
    members = _published()
    stated = _cache.expected_hash(file.name)
    by_name = next((m for digits, m in members if stated and _agree(digits, stated)), None)
    size = file.stat().st_size / _SIZE_UNIT
    likely = by_name is not None or any(
        abs(member.meta["_file_size"] - size) <= _SIZE_ROUNDING for _, member in members
    )
    if likely:
        digest = _cache.digest(file)
        for digits, member in members:
            if digest.startswith(digits):
                return Recognised(member, certain=True)
    return None if by_name is None else Recognised(by_name, certain=False)


@cache
def _published() -> list[tuple[str, WeightsEnum]]:
    """Return every member with the digits of the SHA-256 in its published name."""
    members = (member for enum in WeightsEnum.__subclasses__() for member in enum)
    digits = ((_cache.expected_hash(member.url.rpartition("/")[2]), member) for member in members)
    return [(stated, member) for stated, member in digits if stated is not None]


def _agree(digits: str, other: str) -> bool:
    return digits.startswith(other) or other.startswith(digits)
