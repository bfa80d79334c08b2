"""Padded pictures: windows may extend beyond the edges, so that a map covers the whole picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvision.errors import ArgumentError

__all__ = ["PADS", "Margins", "check_pad", "margins", "padded", "sources", "taken"]

PADS = ("zeros", "reflect")

Margins = tuple[tuple[int, int], tuple[int, int]]
"""Pixels above and below, left and right."""


def check_pad(pad: str | None, where: str) -> None:
    """Raise if `pad` is neither None nor one of `PADS`."""
    if pad is not None and pad not in PADS:
        raise ArgumentError(f"{where}: pad: expected None, 'zeros' or 'reflect', got {pad!r}")


def margins(size: Sequence[int], window: Sequence[int], stride: Sequence[int], pad: str | None) -> Margins:
    """Return the least margins for which cells' centres are within half a stride of every edge.

    Above and on the left they are multiples of the stride, so the cells of the picture itself are
    among those of the padded picture.
    """
    if pad is None:
        return (0, 0), (0, 0)
    down, across = (_margin(*axis) for axis in zip(size, window, stride, strict=True))
    return down, across


def _margin(side: int, window: int, stride: int) -> tuple[int, int]:
    before = stride * max(-(-(window - stride) // (2 * stride)), 0)
    # The first cell whose centre is at most half a stride before the edge, or beyond it.
    last = max(-(-(2 * (side + before) - window - stride) // (2 * stride)), 0)
    return before, max(last * stride + window - before - side, 0)


def sources(first: int, last: int, side: int, pad: str) -> NDArray[np.intp]:
    """Return which of `side` pixels is at each position from `first` to `last` (excluded).

    Positions before 0 and from `side` on are padding: -1 for zeros, or the mirrored pixel, without
    repeating the outermost one; if the margin is wider than the picture, it is reflected
    repeatedly.
    """
    places = np.arange(first, last)
    if pad == "zeros":
        return np.where((places >= 0) & (places < side), places, -1)
    period = max(2 * (side - 1), 1)
    places = np.abs(places) % period
    return np.minimum(places, period - places) if side > 1 else np.zeros_like(places)


def taken(array: NDArray[Any], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[Any]:
    """Return the rows and columns of (C, H, W) with these numbers, zeros for -1."""
    result = array[:, rows[:, None], columns]
    if (rows < 0).any():
        result[:, rows < 0] = 0
    if (columns < 0).any():
        result[:, :, columns < 0] = 0
    return result


def padded(array: NDArray[Any], around: Margins, pad: str | None) -> NDArray[Any]:
    """Return (C, H, W) with margins of zeros or of reflections."""
    if pad is None:
        return array
    rows, columns = (
        sources(-before, side + after, side, pad)
        for side, (before, after) in zip(array.shape[1:], around, strict=True)
    )
    return taken(array, rows, columns)
