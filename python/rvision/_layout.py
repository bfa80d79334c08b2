"""The order of a tensor's elements in memory in torch, which decides what is a view of what.

:class:`Layout` tracks that order through torch's operators, for inputs that are contiguous. Symbols
come from :mod:`rvision._trace`, which imports this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["PLAIN", "UNKNOWN", "Layout", "depends_on_sizes", "is_contiguous", "moved", "pointwise", "repeats"]


@dataclass(frozen=True, slots=True)
class Layout:
    """The order of a tensor's elements in memory in torch.

    Parameters
    ----------
    plain : bool
        Whether the tensor is contiguous for all sizes.
    strides : tuple of int, optional
        Otherwise its strides for the sizes of this trace; None if they are not known.
    sized : bool
        Whether other inputs that may use the trace could lead to another order.
    """

    plain: bool = False
    strides: tuple[int, ...] | None = None
    sized: bool = False

    def strides_of(self, shape: Sequence[int]) -> tuple[int, ...] | None:
        """Return the strides of a tensor of `shape`, if they are known."""
        return _contiguous(shape) if self.plain else self.strides


PLAIN = Layout(plain=True)
UNKNOWN = Layout()


def _contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    strides = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def is_contiguous(shape: Sequence[int], strides: Sequence[int]) -> bool:
    return 0 in shape or all(
        size == 1 or stride == plain
        for size, stride, plain in zip(shape, strides, _contiguous(shape), strict=True)
    )


def pointwise(symbol: Any) -> Layout:
    """Return the layout of the result of a pointwise function of `symbol`, or of a clone.

    torch keeps the order of the dimensions in memory and closes gaps.
    """
    layout = symbol.memory.layout
    strides = layout.strides
    if layout.plain or strides is None:
        return layout
    shape = symbol.traced_shape
    seen = [stride for size, stride in zip(shape, strides, strict=True) if size != 1]
    if 0 in seen or 0 in shape or len(set(seen)) != len(seen):
        return UNKNOWN
    dense = [0] * len(shape)
    step = 1
    for dim in sorted(range(len(shape)), key=lambda dim: (strides[dim], -dim)):
        dense[dim] = step
        step *= shape[dim]
    return Layout(strides=tuple(dense), sized=depends_on_sizes(symbol))


def depends_on_sizes(symbol: Any) -> bool:
    return symbol.memory.layout.sized or not all(symbol.fixed)


def _viewed(shape: Sequence[int], strides: Sequence[int], target: Sequence[int]) -> tuple[int, ...] | None:
    """Return the strides of a view of other sizes, or None if the memory order does not allow one.

    Dimensions that are adjacent in memory without a gap form a run; every new dimension must lie
    within one run.
    """
    if 0 in shape:
        return _contiguous(target)
    runs: list[tuple[int, int]] = []
    for size, stride in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if runs and runs[-1][1] == size * stride:
            runs[-1] = (runs[-1][0] * size, stride)
        else:
            runs.append((size, stride))
    found: list[int] = []
    left, stride = 1, 1
    for size in reversed(target):
        if size == 1:
            found.append(stride)
            continue
        if left == 1:
            left, stride = runs.pop()
        if left % size:
            return None
        found.append(stride)
        left //= size
        stride *= size
    return tuple(reversed(found))


def moved(source: Any, result: Any, method: str, attributes: tuple[Any, ...]) -> Layout:
    """Return the layout of the view of `source` that the node `method` makes."""
    layout = source.memory.layout
    shape = source.traced_shape
    if method == "identity":
        return layout
    if layout.plain and (
        method in ("flatten", "unflatten", "reshape")
        or (method == "slice" and attributes[0] == 0 and attributes[3] == 1)
        or (method == "index" and attributes[0] == 0)
        or (method == "permute" and list(attributes[0]) == list(range(len(shape))))
        or (method == "expand" and not repeats(source, method, attributes))
    ):
        return PLAIN
    strides = layout.strides_of(shape)
    if strides is None:
        return UNKNOWN
    found: Sequence[int] | None
    if method == "permute":
        found = [strides[axis] for axis in attributes[0]]
    elif method == "index":
        found = strides
    elif method == "slice":
        axis, step = attributes[0], attributes[3]
        found = [stride * step if dim == axis else stride for dim, stride in enumerate(strides)]
    elif method in ("expand", "expand_as"):
        lead = len(result.traced_shape) - len(shape)
        found = [0] * lead + [
            stride if size == new else 0
            for size, new, stride in zip(shape, result.traced_shape[lead:], strides, strict=True)
        ]
    else:
        found = _viewed(shape, strides, result.traced_shape)
    return UNKNOWN if found is None else Layout(strides=tuple(found), sized=depends_on_sizes(source))


def repeats(source: Any, method: str, attributes: tuple[Any, ...]) -> bool:
    """Return whether a step can repeat an element at several positions."""
    if method == "expand_as":
        return True
    if method != "expand":
        return False
    sizes = attributes[0]
    return len(sizes) != source.ndim or any(
        size != -1 and not (fixed and size == own)
        for size, own, fixed in zip(sizes, source.traced_shape, source.fixed, strict=True)
    )
