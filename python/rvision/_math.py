"""Functions of a symbol's values: pointwise ones, powers, and reductions along dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from rvision.errors import UnsupportedError

__all__ = ["Extremes", "Math", "NoIndices"]


class NoIndices:
    """In place of torch's indices, which rvision does not compute; any use of it raises an error."""

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        self._where = where

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnsupportedError(
            f"{self._where}: the indices of the largest or smallest values are not computed in a network; "
            "return the values that they are taken of, and use NumPy's argmax or argmin there"
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # a protocol of Python or NumPy
            raise AttributeError(name)
        self._refuse()

    __bool__ = __float__ = __int__ = __index__ = __iter__ = __len__ = __getitem__ = __array__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __floordiv__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse  # type: ignore[assignment]
    __hash__ = object.__hash__


class Extremes(NamedTuple):
    """The result of `max` and `min` along a dimension, under torch's names."""

    values: Any
    indices: NoIndices


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
        """Return the largest of all values, those along a dimension, or the larger of two symbols.

        Along a dimension it is an :class:`Extremes`, whose indices are not computed.
        """
        return self._extreme("amax", "maximum", *args, **kwargs)

    def min(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the smallest of all values, those along a dimension, or the smaller of two symbols.

        Along a dimension it is an :class:`Extremes`, whose indices are not computed.
        """
        return self._extreme("amin", "minimum", *args, **kwargs)

    def _extreme(
        self: Any, reduction: str, binary: str, dim: Any = None, keepdim: bool = False, *, other: Any = None
    ) -> Any:
        if hasattr(dim, "traced_shape") or other is not None:
            return getattr(self, binary)(dim if other is None else other)
        if dim is None:
            return self._reduce(reduction, (), False)
        values = self._reduce(reduction, self.axis(dim), keepdim)
        return Extremes(values, NoIndices(self.tracer.where))

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
