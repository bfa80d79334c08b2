"""Checks of sizes: the position of an array's channels, and whether a result fits into memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from rvision._frames import warn

__all__ = ["channels_last_hint", "check_memory", "warn_of_channels_last"]

_CHANNELS = (1, 3, 4)
# Results smaller than this are allocated without reading how much memory is free.
_ALWAYS_TRIED = 256 << 20


def channels_last_hint(shape: Sequence[int]) -> str:
    """Return advice about channels that seem to be last, as the end of a message; "" if they are not."""
    if len(shape) < 3 or shape[-1] not in _CHANNELS or shape[-3] in _CHANNELS:
        return ""
    axes = (*range(len(shape) - 3), len(shape) - 1, len(shape) - 3, len(shape) - 2)
    return (
        f"; shape {tuple(shape)} seems to have its channels last: "
        f".transpose({', '.join(map(str, axes))}) puts them first"
    )


def warn_of_channels_last(shape: Sequence[int]) -> None:
    """Warn of an array (..., H, W, 3 or 4) where (..., C, H, W) is meant.

    Its last two axes are then taken for height and width, as everywhere. Maps of many channels with
    a width of 3 are excluded: the two axes before must be about as long as a picture's.
    """
    if len(shape) < 3 or shape[-1] not in (3, 4):
        return
    height, width = sorted(shape[-3:-1])
    if height >= 16 and width <= 8 * height:
        warn(
            "the last two axes of an array are its height and width"
            f"{channels_last_hint(shape)} (uint8 pixels (H, W, C) are taken as a picture)",
        )


def check_memory(where: str, shape: Sequence[int], itemsize: int, hint: str = "") -> None:
    """Raise if a result is larger than the free memory, before it is allocated.

    Linux grants memory that it does not have, and kills the process that then uses it.

    Parameters
    ----------
    where : str
        The called function, for the message.
    shape : sequence of int
        The result's shape.
    itemsize : int
        Bytes per value.
    hint : str
        The end of the message.

    Raises
    ------
    MemoryError
        If it does not fit.
    """
    needed = math.prod(map(int, shape)) * itemsize
    if needed <= _ALWAYS_TRIED:
        return
    free = _free_memory()
    if free is not None and needed > free:
        raise MemoryError(
            f"{where}: the result of shape {tuple(map(int, shape))} takes {needed / 2**30:.1f} GiB, and "
            f"{free / 2**30:.1f} GiB are free{hint}"
        )


def _free_memory() -> int | None:
    """Return the free bytes of the machine, or of the process's container; None if unknown."""
    limits = [*_of_machine(), *_of_cgroups()]
    return max(min(limits), 0) if limits else None


def _of_machine() -> Iterator[int]:
    for line in _lines("/proc/meminfo"):
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield int(value.split()[0]) * 1024


def _of_cgroups() -> Iterator[int]:
    for line in _lines("/proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, limit, used, cache = "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            root, cache = "/sys/fs/cgroup/memory", "total_inactive_file"
            limit, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        # A container sees its own group as the root; then the path may not exist.
        own = Path(root + path)
        for group in {own, *own.parents, Path(root)}:
            if not group.is_relative_to(root):
                continue
            bound, taken = (next(_lines(group / name), "") for name in (limit, used))
            if bound.isdecimal() and taken.isdecimal():
                # Memory of cached files can be reclaimed.
                stat = dict(pair.split() for pair in _lines(group / "memory.stat"))
                yield int(bound) - int(taken) + int(stat.get(cache, 0))


def _lines(path: str | Path) -> Iterator[str]:
    try:
        yield from Path(path).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return
