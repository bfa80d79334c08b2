"""torch's methods that change a tensor's shape. Like NumPy's, they return views where they can."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rvision._numbers import integer, integers
from rvision.errors import ArgumentError, ShapeError

__all__ = ["Shapes", "sizes_of"]


def sizes_of(args: tuple[Any, ...]) -> tuple[int, ...] | None:
    """Return sizes given one by one or as a sequence; None if the arguments are something else."""
    if len(args) == 1 and isinstance(args[0], tuple | list):
        args = tuple(args[0])
    if all(isinstance(size, int | np.integer) and not isinstance(size, bool | np.bool_) for size in args):
        return tuple(int(size) for size in args)
    return None


class Shapes:
    """The methods; `self` is a :class:`rvision.Tensor`."""

    __slots__ = ()

    def _dim(self: Any, dim: int, where: str, more: int = 0) -> int:
        """Return a dimension counted from the front; `more` dimensions may be added."""
        rank = max(self.ndim + more, 1)
        axis = integer(dim, f"{where}: dim")
        if not -rank <= axis < rank:
            raise ShapeError(
                f"{where}: expected a dimension from {-rank} to {rank - 1} for the shape "
                f"{tuple(self.shape)}, got {dim!r}"
            )
        return axis % rank

    def _dims(self: Any, dims: Any, where: str) -> tuple[int, ...]:
        return tuple(self._dim(d, where) for d in (dims if isinstance(dims, Sequence) else (dims,)))

    def view(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the same memory with other sizes (one may be -1), or as another type as in NumPy.

        Raises
        ------
        ShapeError
            If the values do not lie in memory in this order; use `reshape`.
        """
        sizes = sizes_of(args) if args and not kwargs else None
        if sizes is None:
            return np.ndarray.view(self, *args, **kwargs)
        found = self._resized(sizes, "view")
        if not np.may_share_memory(found, self) and found.size:
            raise ShapeError(
                f"view: a tensor of shape {tuple(self.shape)} and strides {self.strides} has no view of "
                f"shape {sizes}; use reshape{sizes}, which copies"
            )
        return found

    def _resized(self: Any, sizes: tuple[int, ...], where: str) -> Any:
        try:
            return np.ndarray.reshape(self, sizes)
        except ValueError:
            raise ShapeError(
                f"{where}: a tensor of shape {tuple(self.shape)} has {self.size} elements, which cannot be "
                f"arranged as {sizes}"
            ) from None

    def view_as(self: Any, other: Any) -> Any:
        """Return a view with the sizes of `other`."""
        return self.view(tuple(other.shape))

    def reshape_as(self: Any, other: Any) -> Any:
        """Return the values with the sizes of `other`."""
        return self.reshape(tuple(other.shape))

    def flatten(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Merge the dimensions `start_dim` to `end_dim`; without numbers as in NumPy, which copies."""
        if (args and isinstance(args[0], str)) or "order" in kwargs:
            return np.ndarray.flatten(self, *args, **kwargs)
        if not args and not kwargs:
            return np.ndarray.flatten(self)
        return self._flattened(*args, **kwargs)

    def _flattened(self: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
        start, end = self._dim(start_dim, "flatten"), self._dim(end_dim, "flatten")
        if start > end:
            raise ShapeError(f"flatten: expected start_dim before end_dim, got {start_dim} and {end_dim}")
        shape = self.shape or (1,)
        return self._resized(
            (*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :]), "flatten"
        )

    def unflatten(self: Any, dim: int, sizes: Sequence[int]) -> Any:
        """Split one dimension into several, of which one may be -1."""
        at = self._dim(dim, "unflatten")
        parts = integers(sizes, "unflatten: sizes", -1)
        known = math.prod(part for part in parts if part != -1)
        one = parts.count(-1) == 1 and known and self.shape[at] % known == 0
        if not (one or (known == self.shape[at] and -1 not in parts)):
            raise ShapeError(
                f"unflatten: sizes must be of {self.shape[at]} elements, as dim {at} of "
                f"{tuple(self.shape)}, got {tuple(parts)}"
            )
        return self._resized((*self.shape[:at], *parts, *self.shape[at + 1 :]), "unflatten")

    def unsqueeze(self: Any, dim: int) -> Any:
        """Insert a dimension of size one."""
        at = self._dim(dim, "unsqueeze", 1)
        return np.expand_dims(self, at)

    def squeeze(self: Any, axis: Any = None, *, dim: Any = None) -> Any:
        """Drop the dimensions of size one: those of the ones given that have it, or all."""
        dims = axis if dim is None else dim
        if dims is None:
            return np.ndarray.squeeze(self)
        # NumPy refuses a dimension of another size, and torch leaves it.
        return np.ndarray.squeeze(self, tuple(d for d in self._dims(dims, "squeeze") if self.shape[d] == 1))

    def permute(self: Any, *dims: Any) -> Any:
        """Reorder the dimensions."""
        order = sizes_of(dims)
        if order is None or sorted(self._dims(order, "permute")) != list(range(self.ndim)):
            raise ShapeError(f"permute: expected each of {self.ndim} dimensions once, got {dims}")
        return np.ndarray.transpose(self, self._dims(order, "permute"))

    def transpose(self: Any, *axes: Any, dim0: int | None = None, dim1: int | None = None) -> Any:
        """Reorder the dimensions as in NumPy, or exchange two of more than two as in torch.

        For a matrix, ``transpose(0, 1)`` is NumPy's, which names the order that it has: use `t()`.
        """
        if dim0 is not None and dim1 is not None:
            return np.ndarray.swapaxes(self, self._dim(dim0, "transpose"), self._dim(dim1, "transpose"))
        if len(axes) == 2 and self.ndim != 2 and sizes_of(axes) is not None:
            return np.ndarray.swapaxes(self, *(self._dim(axis, "transpose") for axis in axes))
        return np.ndarray.transpose(self, *axes)

    def t(self: Any) -> Any:
        """Return a matrix with its rows as columns; anything with fewer dimensions as it is."""
        if self.ndim > 2:
            raise ShapeError(
                f"t: expected at most 2 dimensions, got the shape {tuple(self.shape)}; use permute"
            )
        return np.ndarray.transpose(self)

    def movedim(self: Any, source: Any, destination: Any) -> Any:
        """Move dimensions to other places."""
        return np.moveaxis(self, source, destination)

    def expand(self: Any, *sizes: Any) -> Any:
        """Return the values repeated along dimensions of size one and new leading ones; -1 keeps a size.

        The result is a read-only view.
        """
        wanted = sizes_of(sizes)
        if wanted is None or len(wanted) < self.ndim:
            raise ShapeError(
                f"expand: expected at least {self.ndim} sizes for {tuple(self.shape)}, got {sizes}"
            )
        own = (1,) * (len(wanted) - self.ndim) + self.shape
        shape = tuple(old if size == -1 else size for size, old in zip(wanted, own, strict=True))
        if any(old not in (1, size) for size, old in zip(shape, own, strict=True)):
            raise ShapeError(f"expand: a tensor of shape {tuple(self.shape)} cannot be expanded to {shape}")
        return np.broadcast_to(self, shape, subok=True)

    def expand_as(self: Any, other: Any) -> Any:
        """Return the values repeated to the sizes of `other`."""
        return self.expand(*other.shape)

    def repeat(self: Any, *repeats: Any, axis: int | None = None) -> Any:
        """Return what `numpy.ndarray.repeat` does; with more than two numbers, torch's `repeat`.

        ``repeat(2, 1)`` is NumPy's, which repeats each element twice along dimension 1; ``repeat(2, 1, 1)``
        is torch's, which puts two copies one after the other. `tile` does this for any count.
        """
        times = tuple(repeats[0]) if len(repeats) == 1 and isinstance(repeats[0], tuple) else repeats
        if len(times) > 2:
            return self.tile(*times)
        return np.ndarray.repeat(self, *repeats, **({} if axis is None else {"axis": axis}))

    def tile(self: Any, *dims: Any) -> Any:
        """Return the values side by side, so many times along each dimension."""
        times = sizes_of(dims)
        if times is None:
            raise ArgumentError(f"tile: expected integers, got {dims}")
        return np.tile(self, times)

    def repeat_interleave(self: Any, repeats: Any, dim: int | None = None) -> Any:
        """Repeat each element along `dim`: NumPy's `repeat`."""
        return np.ndarray.repeat(self, repeats, axis=dim)

    def narrow(self: Any, dim: int, start: int, length: int) -> Any:
        """Return `length` entries of a dimension from `start` on."""
        at = self._dim(dim, "narrow")
        first = start + self.shape[at] if start < 0 else start
        if first < 0 or length < 0 or first + length > self.shape[at]:
            raise ShapeError(
                f"narrow: {length} entries from {start} on exceed dimension {dim} of {self.shape[at]}"
            )
        return self[(slice(None),) * at + (slice(first, first + length),)]

    def select(self: Any, dim: int, index: int) -> Any:
        """Return the values at one index of a dimension."""
        return self[(slice(None),) * self._dim(dim, "select") + (index,)]

    def unbind(self: Any, dim: int = 0) -> tuple[Any, ...]:
        """Return the values at each index of a dimension."""
        at = self._dim(dim, "unbind")
        return tuple(self.select(at, index) for index in range(self.shape[at]))

    def split(self: Any, split_size: Any, dim: int = 0) -> tuple[Any, ...]:
        """Split one dimension into pieces of one size or of given sizes."""
        at = self._dim(dim, "split")
        total = self.shape[at]
        if not hasattr(split_size, "__iter__"):
            step = integer(split_size, "split: split_size", 1)
            lengths = [min(step, total - start) for start in range(0, max(total, 1), step)]
        else:
            lengths = integers(split_size, "split: split_size", 0)
            if sum(lengths) != total:
                raise ShapeError(
                    f"split: the sizes {lengths} do not add up to {total}, dimension {dim}'s size"
                )
        starts = np.cumsum([0, *lengths[:-1]]).tolist()
        return tuple(self.narrow(at, start, length) for start, length in zip(starts, lengths, strict=True))

    def chunk(self: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
        """Split one dimension into at most `chunks` pieces of one size."""
        pieces = integer(chunks, "chunk: chunks", 1)
        return self.split(max(-(-self.shape[self._dim(dim, "chunk")] // pieces), 1), dim)

    def flip(self: Any, *dims: Any) -> Any:
        """Reverse the order along dimensions; a copy."""
        return np.flip(self, self._dims(sizes_of(dims) or (), "flip")).copy()

    def roll(self: Any, shifts: Any, dims: Any = None) -> Any:
        """Shift cyclically by `shifts` along `dims`, or along all values in order."""
        if dims is None:
            return np.roll(self, integer(shifts, "roll: shifts"))
        steps = integers(shifts if hasattr(shifts, "__iter__") else [shifts], "roll: shifts")
        axes = self._dims(dims, "roll")
        if len(steps) != len(axes):
            raise ArgumentError(
                f"roll: shifts must be one for each of the dims, got {len(steps)} for {len(axes)}"
            )
        return np.roll(self, steps, axes)

    def index_select(self: Any, dim: int, index: Any) -> Any:
        """Return the entries of a dimension with the numbers `index`."""
        return np.take(self, np.asarray(index), axis=self._dim(dim, "index_select"))

    def gather(self: Any, dim: int, index: Any) -> Any:
        """Return the values at `index` along a dimension; `index` has as many dimensions."""
        at = self._dim(dim, "gather")
        index = np.asarray(index)
        inside = tuple(slice(None) if d == at else slice(size) for d, size in enumerate(index.shape))
        return np.take_along_axis(self[inside], index, at)
