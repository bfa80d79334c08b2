"""torch's methods that compute values: reductions, orders, pointwise functions.

`dim` and `keepdim` are torch's words for NumPy's `axis` and `keepdims`. A call with one of torch's words
means torch's method, and any other call NumPy's: ``x.max(1)`` is the values, ``x.max(dim=1)`` the values
and their indices.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rvision.errors import ArgumentError

__all__ = ["Extremes", "Sorted", "TopK", "Values"]


class TopK(NamedTuple):
    """The largest values along a dimension, and where they are."""

    values: Any
    indices: Any


class Sorted(NamedTuple):
    """Values in order along a dimension, and where they were."""

    values: Any
    indices: Any


class Extremes(NamedTuple):
    """The largest, smallest or middle values along a dimension, and where they are."""

    values: Any
    indices: Any


def _reduction(name: str) -> Callable[..., Any]:
    method = getattr(np.ndarray, name)

    def reduce(self: Any, *args: Any, dim: Any = None, keepdim: bool | None = None, **kwargs: Any) -> Any:
        if dim is not None:
            kwargs["axis"] = tuple(dim) if isinstance(dim, list) else dim
        if keepdim is not None:
            kwargs["keepdims"] = keepdim
        return method(self, *args, **kwargs)

    reduce.__name__ = name
    reduce.__doc__ = f"`numpy.ndarray.{name}`, which also takes torch's `dim` and `keepdim`."
    return reduce


def _root(name: str) -> Callable[..., Any]:
    """Return a function of the package, such as `rvision.softmax`; it is defined above this file."""
    return getattr(sys.modules["rvision"], name)


def _computed(name: str) -> Callable[..., Any]:
    def compute(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _root(name)(self, *args, **kwargs)

    compute.__name__ = name
    compute.__doc__ = f"`rvision.{name}` of the tensor."
    return compute


class Values:
    """The methods; `self` is a :class:`rvision.Tensor`."""

    __slots__ = ()

    sum = _reduction("sum")
    mean = _reduction("mean")
    prod = _reduction("prod")
    any = _reduction("any")
    all = _reduction("all")
    argmax = _reduction("argmax")
    argmin = _reduction("argmin")
    cumsum = _reduction("cumsum")
    cumprod = _reduction("cumprod")

    abs = _computed("abs")
    exp = _computed("exp")
    log = _computed("log")
    log_softmax = _computed("log_softmax")
    relu = _computed("relu")
    sigmoid = _computed("sigmoid")
    softmax = _computed("softmax")
    sqrt = _computed("sqrt")
    tanh = _computed("tanh")

    def max(self: Any, *args: Any, dim: int | None = None, keepdim: bool = False, **kwargs: Any) -> Any:
        """NumPy's `max`; with `dim`, torch's: the values along it and their indices."""
        if dim is None:
            return _numpy_extreme(self, "max", "maximum", keepdim, args, kwargs)
        return self._extreme(np.ndarray.argmax, dim, keepdim, "max")

    def min(self: Any, *args: Any, dim: int | None = None, keepdim: bool = False, **kwargs: Any) -> Any:
        """NumPy's `min`; with `dim`, torch's: the values along it and their indices."""
        if dim is None:
            return _numpy_extreme(self, "min", "minimum", keepdim, args, kwargs)
        return self._extreme(np.ndarray.argmin, dim, keepdim, "min")

    def _extreme(self: Any, find: Callable[..., Any], dim: int, keepdim: bool, where: str) -> Extremes:
        at = self._dim(dim, where)
        indices = find(self, axis=at, keepdims=True)
        values = np.take_along_axis(self, indices, at)
        if not keepdim:
            values, indices = np.ndarray.squeeze(values, at), np.ndarray.squeeze(indices, at)
        return Extremes(values, indices)

    def amax(self: Any, dim: Any = (), keepdim: bool = False) -> Any:
        """Return the largest value over one, several or all dimensions."""
        return np.ndarray.max(self, axis=_axes(dim), keepdims=keepdim)

    def amin(self: Any, dim: Any = (), keepdim: bool = False) -> Any:
        """Return the smallest value over one, several or all dimensions."""
        return np.ndarray.min(self, axis=_axes(dim), keepdims=keepdim)

    def std(self: Any, *args: Any, **kwargs: Any) -> Any:
        """NumPy's `std`, of the population; with torch's words, of a sample (one less in the divisor)."""
        return np.ndarray.std(self, *args, **_spread(kwargs))

    def var(self: Any, *args: Any, **kwargs: Any) -> Any:
        """NumPy's `var`, of the population; with torch's words, of a sample (one less in the divisor)."""
        return np.ndarray.var(self, *args, **_spread(kwargs))

    def median(self: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        """Return the middle value, the lower of two; along `dim`, the values and their indices."""
        if dim is None:
            flat = np.sort(np.ravel(self))
            return flat[-1] if flat.size and flat[-1] != flat[-1] else flat[(flat.size - 1) // 2]
        at = self._dim(dim, "median")
        order = np.argsort(self, axis=at, kind="stable")
        indices = np.take(order, [(self.shape[at] - 1) // 2], axis=at)
        values = np.take_along_axis(self, indices, at)
        if not keepdim:
            values, indices = np.squeeze(values, at), np.squeeze(indices, at)
        return Extremes(values, indices)

    def sort(self: Any, *args: Any, **kwargs: Any) -> Any:
        """NumPy's `sort`, in place; with `dim`, `descending` or `stable`, torch's: values and indices."""
        # `np.sort` passes its own words, with stable=None.
        torchs = kwargs.get("stable") is not None and not args and not {"axis", "kind", "order"} & set(kwargs)
        if not {"dim", "descending"} & set(kwargs) and not torchs:
            return np.ndarray.sort(self, *args, **kwargs)
        return self._sorted(*args, **kwargs)

    def _sorted(self: Any, dim: int = -1, descending: bool = False, stable: bool = True) -> Sorted:
        at = self._dim(dim, "sort")
        indices = self._order(at, descending)
        return Sorted(np.take_along_axis(self, indices, at) if self.ndim else self, indices)

    def argsort(self: Any, *args: Any, **kwargs: Any) -> Any:
        """NumPy's `argsort`, which also takes torch's `dim` and `descending`."""
        if not {"dim", "descending"} & set(kwargs):
            return np.ndarray.argsort(self, *args, **kwargs)
        return self._sorted(*args, **kwargs).indices

    def _order(self: Any, at: int, descending: bool) -> Any:
        """Return the indices in sorted order; ties keep theirs, and NaN is the largest, as in torch."""
        if self.ndim == 0:
            return np.zeros_like(self, np.int64)
        if not descending:
            return np.ndarray.argsort(self, axis=at, kind="stable")
        back = np.ndarray.argsort(np.flip(self, at), axis=at, kind="stable")
        return self.shape[at] - 1 - np.flip(back, at)

    def topk(self: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> TopK:
        """Return the `k` largest (or smallest) values along `dim`, largest first, and their indices.

        Equal values keep their order. `sorted=False` allows any order, and gets this one too.

        Raises
        ------
        ArgumentError
            If the dimension has fewer than `k` entries.
        """
        at = self._dim(dim, "topk")
        count = self.shape[at] if self.ndim else 1
        if not isinstance(k, int | np.integer) or not 0 <= k <= count:
            raise ArgumentError(f"topk: expected k from 0 to {count}, the size of dimension {dim}, got {k!r}")
        if self.ndim == 0:
            return TopK(self, np.zeros_like(self, np.int64))
        indices = np.take(self._order(at, largest), range(k), axis=at)
        return TopK(np.take_along_axis(self, indices, at), indices)

    def norm(self: Any, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
        """Return the p-norm of all values, or along dimensions; "fro" is the 2-norm."""
        values = np.abs(self.astype(np.float64))
        axis = None if dim is None else _axes(dim)
        if p in ("fro", 2):
            found = np.sqrt(np.sum(values * values, axis=axis, keepdims=keepdim))
        elif p == float("inf"):
            found = np.max(values, axis=axis, keepdims=keepdim)
        elif p == float("-inf"):
            found = np.min(values, axis=axis, keepdims=keepdim)
        elif p == 0:
            found = np.sum(values != 0, axis=axis, keepdims=keepdim)
        elif isinstance(p, int | float) and p > 0:
            found = np.sum(values**p, axis=axis, keepdims=keepdim) ** (1 / p)
        else:
            raise ArgumentError(f"norm: expected a number or 'fro', got {p!r}")
        return found.astype(self.dtype if self.dtype.kind == "f" else np.float32)

    def clamp(self: Any, min: Any = None, max: Any = None) -> Any:
        """Limit values to `min` .. `max`, of which None is no limit."""
        return np.clip(self, min, max)

    def pow(self: Any, exponent: Any) -> Any:
        """Return each value to the power of `exponent`."""
        return self**exponent

    def reciprocal(self: Any) -> Any:
        """Return one over each value."""
        return 1 / self

    def rsqrt(self: Any) -> Any:
        """Return one over the square root of each value."""
        return 1 / np.sqrt(self)

    def square(self: Any) -> Any:
        """Return each value times itself."""
        return self * self

    def neg(self: Any) -> Any:
        """Return each value with the other sign."""
        return -self

    def add(self: Any, other: Any, *, alpha: Any = 1) -> Any:
        """Return ``self + alpha * other``."""
        return self + (other if alpha == 1 else alpha * other)

    def sub(self: Any, other: Any, *, alpha: Any = 1) -> Any:
        """Return ``self - alpha * other``."""
        return self - (other if alpha == 1 else alpha * other)

    def mul(self: Any, other: Any) -> Any:
        """Return the product, element by element."""
        return self * other

    def div(self: Any, other: Any) -> Any:
        """Return the quotient, element by element."""
        return self / other

    def matmul(self: Any, other: Any) -> Any:
        """Return the matrix product."""
        return self @ other

    mm = bmm = mv = matmul

    def eq(self: Any, other: Any) -> Any:
        """Return where the values are equal."""
        return self == other

    def ne(self: Any, other: Any) -> Any:
        """Return where the values differ."""
        return self != other

    def gt(self: Any, other: Any) -> Any:
        """Return where the values are larger."""
        return self > other

    def ge(self: Any, other: Any) -> Any:
        """Return where the values are at least as large."""
        return self >= other

    def lt(self: Any, other: Any) -> Any:
        """Return where the values are smaller."""
        return self < other

    def le(self: Any, other: Any) -> Any:
        """Return where the values are at most as large."""
        return self <= other

    def equal(self: Any, other: Any) -> bool:
        """Return whether shape and all values are the same."""
        return bool(np.array_equal(self, other))

    def allclose(self: Any, other: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: Any = False) -> bool:
        """Return whether all values are nearly the same."""
        return bool(np.allclose(self, other, rtol, atol, equal_nan))

    def isnan(self: Any) -> Any:
        """Return where values are NaN."""
        return np.isnan(self)

    def isinf(self: Any) -> Any:
        """Return where values are infinite."""
        return np.isinf(self)

    def isfinite(self: Any) -> Any:
        """Return where values are finite."""
        return np.isfinite(self)

    def masked_fill(self: Any, mask: Any, value: Any) -> Any:
        """Return the values with `value` where `mask` is true."""
        return np.where(np.asarray(mask), self.dtype.type(value), self).view(type(self))

    def masked_select(self: Any, mask: Any) -> Any:
        """Return the values where `mask` is true, in one dimension."""
        own, chosen = np.broadcast_arrays(self, np.asarray(mask), subok=True)
        return own[np.asarray(chosen)]

    def where(self: Any, condition: Any, other: Any) -> Any:
        """Return the values where `condition` is true, and `other` elsewhere."""
        return np.where(np.asarray(condition), self, other).view(type(self))

    def nonzero(self: Any, *, as_tuple: bool = True) -> Any:
        """Return the indices of values that are not zero: an array for each dimension, as in NumPy.

        ``as_tuple=False`` is torch's default: a matrix with a row for each.
        """
        found = np.ndarray.nonzero(self)
        return found if as_tuple else np.stack(found, -1).view(type(self))

    def unique(self: Any, sorted: Any = True, return_inverse: Any = False, return_counts: Any = False) -> Any:
        """Return the different values in order; also where each is, and how often, if asked for."""
        found = np.unique(self, return_inverse=return_inverse, return_counts=return_counts)
        if not isinstance(found, tuple):
            return found
        return tuple(found)

    def bincount(self: Any, weights: Any = None, minlength: int = 0) -> Any:
        """Return how often each integer from 0 on occurs."""
        return np.bincount(self, weights, minlength).view(type(self))


def _axes(dim: Any) -> Any:
    return None if dim == () or dim == [] else tuple(dim) if isinstance(dim, list) else dim


def _numpy_extreme(self: Any, name: str, pair: str, keepdim: bool, args: Any, kwargs: Any) -> Any:
    if len(args) == 1 and isinstance(args[0], np.ndarray):
        return getattr(np, pair)(self, args[0])  # torch's x.max(y)
    if keepdim:
        kwargs["keepdims"] = True
    return getattr(np.ndarray, name)(self, *args, **kwargs)


def _spread(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Translate the keywords of `std` and `var`: torch's words mean the sample's."""
    words = {"dim", "unbiased", "correction", "keepdim"} & set(kwargs)
    if not words:
        return kwargs
    unbiased, dim = kwargs.pop("unbiased", True), kwargs.pop("dim", None)
    ddof = kwargs.pop("correction", 1 if unbiased else 0)
    if "keepdim" in kwargs:
        kwargs["keepdims"] = kwargs.pop("keepdim")
    return {"ddof": ddof, **({} if dim is None else {"axis": _axes(dim)}), **kwargs}
