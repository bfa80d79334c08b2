"""Splitting a large picture into blocks that fit memory; their maps make up the whole picture's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rvision.errors import ArgumentError

__all__ = ["Axis", "Block", "blocks"]


@dataclass(frozen=True)
class Axis:
    """One axis of a picture and its map.

    Attributes
    ----------
    side : int
        Pixels of the picture.
    cells : int
        Cells of the map.
    window, stride : int
        Size and stride of the windows in pixels.
    start, size : int
        The receptive field of the first cell, in pixels from the picture's edge.
    """

    side: int
    cells: int
    window: int
    stride: int
    start: int
    size: int

    def pixels(self, first: int, last: int) -> tuple[int, int]:
        """Return the pixels that the cells first..last (excluded) depend on."""
        begin = max(first * self.stride + min(self.start, 0), 0)
        # The block's cells begin at its first pixel.
        begin -= begin % self.stride
        end = (last - 1) * self.stride + max(self.start + self.size, self.window)
        return begin, min(end, self.side)

    def spans(self, pixels: int) -> list[tuple[int, int]]:
        """Return ranges of cells whose blocks have at most `pixels` pixels, or the whole axis."""
        if pixels >= self.side:
            return [(0, self.cells)]
        most = max((pixels - self.size) // self.stride, 1)
        # Ranges of equal size, so that no block consists mostly of halo.
        count = -(-self.cells // -(-self.cells // most))
        return [(first, min(first + count, self.cells)) for first in range(0, self.cells, count)]


@dataclass(frozen=True)
class Block:
    """Cells of a map (rows and columns from..to), and the pixels that they depend on."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    top: int
    bottom: int
    left: int
    right: int


def blocks(axes: Sequence[Axis], pixels: int, where: str) -> list[list[Block]]:
    """Split a picture into bands of blocks of at most about `pixels` pixels each.

    Either full-width bands or square blocks, whichever overlap less.

    Raises
    ------
    ArgumentError
        If even a single cell needs more pixels.
    """
    down, across = axes
    side = math.isqrt(pixels)
    choices = [
        (pixels // across.side, across.side),
        (down.side, pixels // down.side),
        (side, side),
        (min(down.side, side), min(across.side, pixels // max(min(down.side, side), 1))),
    ]
    least = [min(axis.size + axis.stride, axis.side) for axis in (down, across)]
    possible = [
        list(_cut(down, across, height, width))
        for height, width in choices
        if height >= least[0] and width >= least[1]
    ]
    if not possible:
        raise ArgumentError(
            f"{where}: memory: one cell depends on {least[0]} x {least[1]} pixels, and there is memory for a "
            f"block of {pixels} pixels; allow more, or choose a network with a smaller receptive field"
        )
    return min(possible, key=lambda bands: sum(_area(block) for band in bands for block in band))


def _area(block: Block) -> int:
    return (block.bottom - block.top) * (block.right - block.left)


def _cut(down: Axis, across: Axis, height: int, width: int) -> Iterator[list[Block]]:
    for rows in down.spans(height):
        top, bottom = down.pixels(*rows)
        yield [Block(rows, columns, top, bottom, *across.pixels(*columns)) for columns in across.spans(width)]
