"""Tables as text."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["shown", "table"]

# The first columns identify the row (name, kind, shape) and are left-aligned, numbers right.
_LEFT = 3


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    total: Sequence[str] | None = None,
    *,
    left: int = _LEFT,
) -> str:
    """Return rows of cells between rules, with a line of totals below if there are any.

    The first `left` columns are aligned to the left, the others to the right.
    """
    last = [] if total is None else [total]
    widths = [max(map(len, column)) for column in zip(header, *rows, *last, strict=True)]
    lines = [_line(cells, widths, left) for cells in (header, *rows, *last)]
    rule = "-" * max(map(len, lines))
    if total is None:
        return "\n".join([lines[0], rule, *lines[1:]])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def shown(shape: tuple[int, ...] | None) -> str:
    """Return a shape as a cell."""
    return "-" if shape is None else str(shape)


def _line(cells: Sequence[str], widths: Sequence[int], left: int) -> str:
    pairs = zip(cells, widths, strict=True)
    aligned = [
        cell.ljust(width) if place < left else cell.rjust(width) for place, (cell, width) in enumerate(pairs)
    ]
    return "  ".join(aligned)
