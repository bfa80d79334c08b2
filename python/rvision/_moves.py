"""The operations of a symbol that move its elements: shapes, orders of dimensions, parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rvision import _alias
from rvision._numbers import integer, integers
from rvision._sizes import (
    Flag,
    Size,
    chunk_sizes,
    clipped,
    expanded_sizes,
    is_index,
    merged_flag,
    piece_sizes,
    reshaped_sizes,
    resized,
)
from rvision.errors import ArgumentError, ShapeError, UnsupportedError

__all__ = ["Moves"]


def _unpacked(values: Sequence[Any]) -> Sequence[Any]:
    """Return arguments that may also be given as one sequence."""
    return values[0] if len(values) == 1 and isinstance(values[0], Sequence) else values


class Moves:
    """Methods for shapes, orders and parts of :class:`rvision._trace.Symbol`, which emits the nodes."""

    __slots__ = ()

    def _reshape(self: Any, label: str, shape: Sequence[Any]) -> Any:
        sizes, fixed = reshaped_sizes(self, _unpacked(shape), label)
        return self.emit("reshape", label, sizes, fixed=fixed, shares="view" if label == "view" else "copy")

    def reshape(self: Any, *shape: Any) -> Any:
        """Return the values in a new shape; one size may be -1."""
        return self._reshape("reshape", shape)

    def view(self: Any, *shape: Any) -> Any:
        """Return the values in a new shape; one size may be -1."""
        return self._reshape("view", shape)

    def flatten(self: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
        """Merge the dimensions `start_dim` to `end_dim` into one."""
        return self._flatten(self.axis(start_dim), self.axis(end_dim), "flatten")

    def _flatten(self: Any, start: int, end: int, label: str) -> Any:
        merged = merged_flag(self._flagged()[start : end + 1])
        fixed = (*self.fixed[:start], merged, *self.fixed[end + 1 :])
        return self.emit("flatten", label, start, end, fixed=fixed, shares="copy")

    def unflatten(self: Any, dim: int, sizes: Sequence[int]) -> Any:
        """Split one dimension into several; one of their `sizes` may be -1.

        Unlike `reshape`, this needs no other size, so the trace stays valid for all of them.
        """
        return self._unflatten(
            self.axis(dim), integers(sizes, f"{self.tracer.where}: unflatten: sizes"), "unflatten"
        )

    def _unflatten(self: Any, axis: int, sizes: list[int], label: str) -> Any:
        own = self.fixed[axis]
        known = [size for size in sizes if size >= 0]
        rest = own if all(size == 1 for size in known) else resized(own)
        parts = [True if size >= 0 else rest for size in sizes]
        fixed = (*self.fixed[:axis], *parts, *self.fixed[axis + 1 :])
        return self.emit("unflatten", label, axis, sizes, fixed=fixed)

    def expand(self: Any, *sizes: Any) -> Any:
        """Repeat along dimensions of size one, and along new leading ones; -1 keeps a size."""
        return self._expand("expand", _unpacked(sizes))

    def _expand(self: Any, label: str, sizes: Sequence[Any]) -> Any:
        asked, fixed, like = expanded_sizes(self, sizes)
        if like is None:
            return self.emit("expand", label, asked, fixed=fixed)
        return self.emit("expand", label, asked, like.value_of(self.tracer), fixed=fixed)

    def expand_as(self: Any, other: Any) -> Any:
        """Repeat to the shape that `other` has in a run; its sizes are not read."""
        tracer = self.tracer
        if not isinstance(other, Moves):
            raise TypeError(f"{tracer.where}: expand_as: expected a symbol, got {type(other).__name__}")
        value = self.value_of(tracer)
        like = other.value_of(tracer)
        value = tracer.builder.expand_as(tracer.name("expand_as"), value, like)
        result = type(self)(tracer, value, other.fixed)
        result.memory = _alias.derive(self, result, "expand_as", "expand_as", (like,))
        return result

    def repeat(self: Any, *sizes: Any) -> Any:
        """Return the values repeated `sizes` times along the dimensions, and along new leading ones."""
        times = _unpacked(sizes)
        new = len(times) - self.ndim
        if new < 0:
            raise ShapeError(
                f"{self.tracer.where}: repeat: expected at least one number for each of the {self.ndim} "
                f"dimensions of {self.traced_shape}, got {tuple(times)}"
            )
        for time in times:
            if type(time) is not Size:
                integer(time, f"{self.tracer.where}: repeat", 0)
        label = "repeat.part"
        result = self
        for _ in range(new):
            result = result._insert(0, label)
        # A dimension of size one is expanded. For others, a new dimension is expanded and then merged.
        single = [flag is True and size == 1 for size, flag in result._flagged()]
        merged = [d for d, time in enumerate(times) if not single[d] and (type(time) is Size or time != 1)]
        if any(single):
            sizes = [time if one else -1 for time, one in zip(times, single, strict=True)]
            result = result._expand(label if merged else "repeat", sizes)
        for d in reversed(merged):
            result = result._unflatten(d, [1, -1], label)
            result = result._expand(label, [times[d] if dim == d else -1 for dim in range(result.ndim)])
            result = result._flatten(d, d + 1, "repeat" if d == merged[0] else label)
        # In torch this is a copy, and contiguous.
        result = result.clone()
        result.memory = _alias.Memory(_alias.PLAIN)
        return result

    def tile(self: Any, *dims: Any) -> Any:
        """Return what :meth:`repeat` does; leading dimensions without a number are kept."""
        times = _unpacked(dims)
        return self.repeat(*[1] * (self.ndim - len(times)), *times)

    def roll(self: Any, shifts: int | Sequence[int], dims: int | Sequence[int]) -> Any:
        """Shift cyclically by `shifts` along `dims`."""
        moves = [shifts] if isinstance(shifts, int | np.integer) else list(shifts)
        axes = [dims] if isinstance(dims, int | np.integer) else list(dims)
        return self.emit("roll", "roll", moves, [self.axis(axis) for axis in axes])

    def unbind(self: Any, dim: int = 0) -> tuple[Any, ...]:
        """Return the values at each index of a dimension, without that dimension."""
        axis = self.axis(dim)
        index = [slice(None)] * self.ndim
        parts = []
        for place in range(self.read(axis)):
            index[axis] = place  # type: ignore[call-overload]
            parts.append(self[tuple(index)])
        return tuple(parts)

    def permute(self: Any, *dims: Any) -> Any:
        """Reorder the dimensions."""
        return self._permute([self.axis(dim) for dim in _unpacked(dims)], "permute")

    def _permute(self: Any, axes: Sequence[int], label: str) -> Any:
        return self.emit("permute", label, list(axes), fixed=[self.fixed[axis] for axis in axes])

    def transpose(self: Any, dim0: int, dim1: int) -> Any:
        """Exchange two dimensions."""
        axes = list(range(self.ndim))
        first, second = self.axis(dim0), self.axis(dim1)
        axes[first], axes[second] = second, first
        return self._permute(axes, "transpose")

    def squeeze(self: Any, dim: int | Sequence[int] | None = None) -> Any:
        """Drop the dimensions of size one: those of the ones given that have it, or all."""
        dims = range(self.ndim) if dim is None else dim if isinstance(dim, Sequence) else [dim]
        axes = sorted(self.axis(d) for d in dims)
        if len(set(axes)) != len(axes):
            raise ArgumentError(f"{self.tracer.where}: squeeze: a dimension stands twice in {tuple(dims)}")
        axes = [axis for axis in axes if self.read(axis) == 1]
        return self._chain("squeeze", [(Moves._drop, axis) for axis in reversed(axes)])

    def unsqueeze(self: Any, dim: int) -> Any:
        """Insert a dimension of size one."""
        if not -self.ndim - 1 <= dim <= self.ndim:
            raise ShapeError(
                f"{self.tracer.where}: no dimension can be inserted at {dim} of a {self.ndim}-d value "
                f"{self.traced_shape}"
            )
        return self._insert(dim % (self.ndim + 1), "unsqueeze")

    def _drop(self: Any, axis: int, label: str) -> Any:
        # A dimension of size one merges into its neighbour for all other sizes.
        if self.ndim == 1:
            return self.emit("reshape", label, [], fixed=())
        start = axis if axis + 1 < self.ndim else axis - 1
        neighbour = self.fixed[start + 1 if start == axis else start]
        fixed = (*self.fixed[:start], neighbour, *self.fixed[start + 2 :])
        return self.emit("flatten", label, start, start + 1, fixed=fixed)

    def _insert(self: Any, axis: int, label: str) -> Any:
        if self.ndim == 0:
            return self.emit("reshape", label, [1], fixed=(True,))
        if axis < self.ndim:
            return self._unflatten(axis, [1, -1], label)
        return self._unflatten(axis - 1, [-1, 1], label)

    def _slice(self: Any, axis: int, part: slice, label: str) -> Any:
        step = 1 if part.step is None else part.step
        if step < 1:
            raise UnsupportedError(
                f"{self.tracer.where}: slices with step {step} are not supported; use a step of 1 or more"
            )
        bounds = [None if bound is None else clipped(bound) for bound in (part.start, part.stop)]
        return self.emit(
            "slice",
            label,
            axis,
            *bounds,
            clipped(step),
            fixed=self._with_flag(axis, resized(self.fixed[axis])),
        )

    def _index(self: Any, axis: int, index: int, label: str) -> Any:
        return self.emit("index", label, axis, index, fixed=self._with_flag(axis, True))

    def _with_flag(self: Any, axis: int, flag: Flag) -> tuple[Flag, ...]:
        return (*self.fixed[:axis], flag, *self.fixed[axis + 1 :])

    def _chain(self: Any, label: str, steps: Sequence[tuple[Callable[..., Any], Any]]) -> Any:
        """Apply `steps`; the last node gets the label that users look for."""
        result = self
        for number, (step, argument) in enumerate(steps, 1):
            name = label if number == len(steps) else f"{label}.part"
            arguments = argument if isinstance(argument, tuple) else (argument,)
            result = step(result, *arguments, name)
        return result

    def _full_index(self: Any, index: Any) -> list[Any]:
        """Return an index as a list with an item for every dimension."""
        index = list(index) if isinstance(index, tuple) else [index]
        if any(isinstance(item, Moves) for item in index):
            raise UnsupportedError(
                f"{self.tracer.where}: a value is indexed with another value of the network; how many "
                "elements a mask takes is not known while the network is traced, use rvision.where or "
                "masked_fill"
            )
        if any(not (item is None or item is ... or is_index(item)) for item in index):
            raise UnsupportedError(
                f"{self.tracer.where}: a value is indexed with something else than integers, slices, "
                f"None and `...`; "
                "index outputs of the network instead"
            )
        used = sum(item is not None and item is not ... for item in index)
        if used > self.ndim:
            raise IndexError(
                f"{self.tracer.where}: {used} indices for a {self.ndim}-d value {self.traced_shape}"
            )
        if ... not in index:
            index.append(...)
        at = index.index(...)
        index[at : at + 1] = [slice(None)] * (self.ndim - used)
        return index

    def __getitem__(self: Any, index: Any) -> Any:
        index = self._full_index(index)

        slices: list[tuple[Callable[..., Any], Any]] = []
        drops: list[int] = []
        inserts: list[int] = []
        axis = place = 0
        for item in index:
            if item is None:
                inserts.append(place)
                place += 1
                continue
            if isinstance(item, slice):
                if item != slice(None):
                    slices.append((Moves._slice, (axis, item)))
                place += 1
            else:
                item = int(item)
                if not -self.traced_shape[axis] <= item < self.traced_shape[axis]:
                    raise IndexError(
                        f"{self.tracer.where}: index {item} is out of range for dimension {axis} of "
                        f"{self.traced_shape}"
                    )
                slices.append((Moves._index, (axis, item)))
                drops.append(axis)
            axis += 1
        steps = slices + [(Moves._drop, d) for d in reversed(drops)] + [(Moves._insert, i) for i in inserts]
        result = self._chain("getitem", steps)
        if result is not self:
            result.memory.item = self, index
        return result

    def split(self: Any, split_size: int | Sequence[int], dim: int = 0) -> tuple[Any, ...]:
        """Split one dimension into pieces of one size (the last may be smaller) or of given sizes."""
        axis = self.axis(dim)
        split_size = piece_sizes(self.read(axis), split_size, self.tracer.where)
        pieces = []
        start = 0
        for size in split_size:
            # The length has been read: in this trace the pieces have these sizes.
            fixed = self._with_flag(axis, True)
            pieces.append(self.emit("slice", "getitem", axis, start, start + size, 1, fixed=fixed))
            start += size
        return tuple(pieces)

    def chunk(self: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
        """Split one dimension into at most `chunks` pieces of one size (the last may be smaller)."""
        length = self.read(self.axis(dim))
        return self.split(chunk_sizes(length, chunks, self.tracer.where), dim)
