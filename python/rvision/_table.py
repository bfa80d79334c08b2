"""Tables as text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["shown", "table"]

# The first columns identify the row (name, kind, shape) and are left-aligned, numbers right.
_LEFT = 3


def table(header: Sequence[str], rows: Sequence[Sequence[str]], total: Sequence[str]) -> str:
    """Return rows of cells between rules, with a line of totals below."""
    widths = [max(map(len, column)) for column in zip(header, *rows, total, strict=True)]
    lines = [_line(cells, widths) for cells in (header, *rows, total)]
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def shown(shape: tuple[int, ...] | None) -> str:
    """Return a shape as a cell."""
    return "-" if shape is None else str(shape)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    pairs = zip(cells, widths, strict=True)
    aligned = [
        cell.ljust(width) if place < _LEFT else cell.rjust(width) for place, (cell, width) in enumerate(pairs)
    ]
    return "  ".join(aligned)
