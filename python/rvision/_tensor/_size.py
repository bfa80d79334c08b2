"""Sizes of a tensor under torch's names."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["Count", "Size"]


class Size(tuple):  # type: ignore[type-arg]
    """The sizes of a tensor's dimensions: a tuple of int, as torch's `Size`."""

    __slots__ = ()

    def numel(self) -> int:
        """Return the number of elements of a tensor of this size."""
        return math.prod(self)

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Any:
        return Size(tuple.__add__(self, other))

    def __repr__(self) -> str:
        return f"Size({list(self)})"


class Count(int):
    """The number of elements, which NumPy's `size` is; calling it is torch's `size`."""

    shape: tuple[int, ...]

    def __new__(cls, value: int, shape: tuple[int, ...]) -> Count:
        self = super().__new__(cls, value)
        self.shape = shape
        return self

    def __call__(self, dim: int | None = None) -> Any:
        """Return all sizes, or the size of one dimension.

        Raises
        ------
        IndexError
            If there is no such dimension.
        """
        if dim is None:
            return Size(self.shape)
        rank = len(self.shape)
        if not -rank <= dim < rank:
            raise IndexError(f"size({dim}): expected a dimension from {-rank} to {rank - 1} of {self.shape}")
        return self.shape[dim]

    def __reduce__(self) -> Any:
        return int, (int(self),)
