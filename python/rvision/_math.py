"""Functions of a symbol's values: pointwise ones, powers, and reductions along dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rvision.errors import UnsupportedError

__all__ = ["Math"]


class Math:
    """torch's methods of these names, for symbols."""

    __slots__ = ()

    def exp(self: Any) -> Any:
        """Return e to the power of each value."""
        return self.activation("exp", "exp")

    def log(self: Any) -> Any:
        """Return the natural logarithm of each value."""
        return self.activation("log", "log")

    def sqrt(self: Any) -> Any:
        """Return the square root of each value."""
        return self.activation("sqrt", "sqrt")

    def abs(self: Any) -> Any:
        """Return the absolute value of each value."""
        return self.activation("abs", "abs")

    def __abs__(self: Any) -> Any:
        return self.activation("abs", "abs")

    def pow(self: Any, exponent: Any) -> Any:
        """Return each value to the power of `exponent`, a number or values that broadcast."""
        return self**exponent

    def __pow__(self: Any, other: Any) -> Any:
        return self._binary("pow", "pow", other)

    def __rpow__(self: Any, other: Any) -> Any:
        return self._binary("pow", "pow", other, reverse=True)

    def sum(self: Any, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Any:
        """Return the sum over one, several or all dimensions."""
        return self._reduce("sum", dim, keepdim)

    def amax(self: Any, dim: int | Sequence[int] = (), keepdim: bool = False) -> Any:
        """Return the largest value over one, several or all dimensions; NaN if there is one."""
        return self._reduce("amax", dim, keepdim)

    def amin(self: Any, dim: int | Sequence[int] = (), keepdim: bool = False) -> Any:
        """Return the smallest value over one, several or all dimensions; NaN if there is one."""
        return self._reduce("amin", dim, keepdim)

    def max(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the largest of all values, or with another symbol the elementwise maximum."""
        return self._extreme("max", "amax", "maximum", args, kwargs)

    def min(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the smallest of all values, or with another symbol the elementwise minimum."""
        return self._extreme("min", "amin", "minimum", args, kwargs)

    def _extreme(self: Any, name: str, reduction: str, binary: str, args: Any, kwargs: Any) -> Any:
        if not args and not kwargs:
            return self._reduce(reduction, (), False)
        if len(args) == 1 and not kwargs and hasattr(args[0], "traced_shape"):
            return getattr(self, binary)(args[0])
        raise UnsupportedError(
            f"{self.tracer.where}: {name} along a dimension returns the indices too, which rvision does not "
            f"compute in a network; use {reduction}(dim) for the values alone"
        )

    def mean(self: Any, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Any:
        """Return the mean over one, several or all dimensions."""
        axes, fixed = self._reduced(dim, keepdim)
        return self.emit("mean", "mean", axes, keepdim, fixed=fixed)

    def _reduce(self: Any, kind: str, dim: int | Sequence[int] | None, keepdim: bool) -> Any:
        axes, fixed = self._reduced(dim, keepdim)
        return self.emit("reduce", kind, kind, axes, keepdim, fixed=fixed)

    def _reduced(self: Any, dim: int | Sequence[int] | None, keepdim: bool) -> tuple[list[int], list[Any]]:
        """Return a reduction's dimensions, and which sizes of its result are fixed."""
        dims = [] if dim is None else list(dim) if isinstance(dim, Sequence) else [dim]
        # As in torch, no dimensions mean all of them.
        axes = sorted(self.axis(d) for d in dims) or list(range(self.ndim))
        if keepdim:
            fixed = [d in axes or flag for d, flag in enumerate(self.fixed)]
        else:
            fixed = [flag for d, flag in enumerate(self.fixed) if d not in axes]
        return axes, fixed
