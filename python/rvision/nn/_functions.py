"""Functions of arrays that torch keeps at its top level: `rvision.cat`, `rvision.flatten`, ...

Like :mod:`rvision.nn.functional` they take arrays and return an array, or take symbols of a network that is
being traced and add a node.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rvision import _trace
from rvision._frames import ends_at_caller
from rvision._tensor import Sorted, Tensor, TopK
from rvision._trace import Symbol, Traced
from rvision.errors import ArgumentError, ShapeError, UnsupportedError
from rvision.nn import _run
from rvision.nn._inputs import as_array
from rvision.nn._operation import check_writable
from rvision.nn.functional import log_softmax, relu, relu_, sigmoid, softmax, tanh

__all__ = [
    "abs",
    "add",
    "allclose",
    "amax",
    "amin",
    "argmax",
    "argmin",
    "argsort",
    "cat",
    "chunk",
    "clamp",
    "concat",
    "cumsum",
    "div",
    "equal",
    "exp",
    "flatten",
    "gather",
    "log",
    "log_softmax",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mul",
    "norm",
    "permute",
    "pow",
    "relu",
    "relu_",
    "roll",
    "sigmoid",
    "sigmoid_",
    "softmax",
    "sort",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "sub",
    "sum",
    "tanh",
    "tanh_",
    "tile",
    "topk",
    "transpose",
    "unbind",
    "unflatten",
    "unsqueeze",
]


@ends_at_caller
def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Concatenate arrays along `dim`: `torch.cat`.

    Parameters
    ----------
    tensors : sequence of array_like
        Arrays of the same shape except in `dim`.
    dim : int
        The dimension in which they are concatenated.

    Examples
    --------
    >>> rvision.cat([np.zeros((1, 2)), np.ones((1, 2))]).tolist()
    [[0.0, 0.0], [1.0, 1.0]]
    """
    tensors = list(tensors)
    if not tensors:
        raise ArgumentError("cat: expected at least one array, got none")
    if _trace.tracer_of(tensors) is not None:
        return _trace.concat(tensors, dim)
    arrays = [as_array(x, "rvision.cat") for x in tensors]
    if any(array.dtype.kind in "iub" for array in arrays):
        return np.concatenate(arrays, dim).view(Tensor)
    return _run.call_function(lambda *symbols: _trace.concat(symbols, dim), tensors, spatial=False)


concat = cat


@ends_at_caller
def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Stack arrays of one shape along a new dimension: `torch.stack`.

    Parameters
    ----------
    tensors : sequence of array_like
        All of the same shape.
    dim : int
        The position of the new dimension in the result.

    Examples
    --------
    >>> rvision.stack([np.zeros(3, np.float32), np.ones(3, np.float32)]).shape
    (2, 3)
    """
    tensors = list(tensors)
    if not tensors:
        raise ArgumentError("stack: expected at least one array, got none")
    shapes = [x.traced_shape if isinstance(x, Traced) else np.shape(x) for x in tensors]
    if any(shape != shapes[0] for shape in shapes):
        raise ShapeError(f"stack: expected arrays of one shape, got {', '.join(map(str, shapes))}")
    return cat([unsqueeze(x, dim) for x in tensors], dim)


@ends_at_caller
def add(input: Any, other: Any) -> Any:
    """Return the sum, with broadcasting: `torch.add`."""
    return _binary("add", input, other)


@ends_at_caller
def mul(input: Any, other: Any) -> Any:
    """Return the product, with broadcasting: `torch.mul`."""
    return _binary("mul", input, other)


@ends_at_caller
def sub(input: Any, other: Any) -> Any:
    """Return the difference, with broadcasting: `torch.sub`."""
    return _ordered("sub", input, other)


@ends_at_caller
def div(input: Any, other: Any) -> Any:
    """Return the quotient, with broadcasting: `torch.div`."""
    return _ordered("truediv", input, other)


@ends_at_caller
def pow(input: Any, exponent: Any) -> Any:
    """Return each value to the power of `exponent`, with broadcasting: `torch.pow`."""
    return _ordered("pow", input, exponent)


@ends_at_caller
def maximum(input: Any, other: Any) -> Any:
    """Return the larger, element by element, with broadcasting: `torch.maximum`."""
    return _binary("maximum", input, other)


@ends_at_caller
def minimum(input: Any, other: Any) -> Any:
    """Return the smaller, element by element, with broadcasting: `torch.minimum`."""
    return _binary("minimum", input, other)


@ends_at_caller
def abs(input: Any) -> Any:
    """Return the absolute value of each value: `torch.abs`."""
    return _method("abs", input)


@ends_at_caller
def exp(input: Any) -> Any:
    """Return e to the power of each value: `torch.exp`."""
    return _method("exp", input)


@ends_at_caller
def log(input: Any) -> Any:
    """Return the natural logarithm of each value: `torch.log`."""
    return _method("log", input)


@ends_at_caller
def sqrt(input: Any) -> Any:
    """Return the square root of each value: `torch.sqrt`."""
    return _method("sqrt", input)


@ends_at_caller
def clamp(input: Any, min: float | None = None, max: float | None = None) -> Any:
    """Limit values to `min` .. `max`, of which None is no limit: `torch.clamp`."""
    return _method("clamp", input, min, max)


@ends_at_caller
def sigmoid_(input: Any) -> Any:
    """Apply :func:`sigmoid` in place, to a symbol or a writable float32 array: `torch.sigmoid_`."""
    return _in_place("sigmoid_", sigmoid, input)


@ends_at_caller
def tanh_(input: Any) -> Any:
    """Apply :func:`tanh` in place, to a symbol or a writable float32 array: `torch.tanh_`."""
    return _in_place("tanh_", tanh, input)


def _in_place(name: str, function: Callable[[Any], Any], input: Any) -> Any:
    if isinstance(input, Symbol):
        return getattr(input, name)()
    check_writable(input, name)
    np.copyto(input, function(input))
    return input


@ends_at_caller
def matmul(input: Any, other: Any) -> Any:
    """Return matrix products, (..., M, K) and (..., K, N) to (..., M, N): `torch.matmul`.

    Leading dimensions broadcast.
    """
    if isinstance(input, Traced) or isinstance(other, Traced):
        return input @ other
    return _run.call_function(lambda x, y: x.matmul(y), [input, other], spatial=False)


def _of_integers(input: Any, other: Any) -> bool:
    """Return whether operands are integers or bools only, which NumPy computes with."""
    arrays = [value for value in (input, other) if isinstance(value, np.ndarray)]
    return bool(arrays) and all(array.dtype.kind in "iub" for array in arrays)


def _binary(name: str, input: Any, other: Any) -> Any:
    if _of_integers(input, other):
        names = {"add": np.add, "mul": np.multiply, "maximum": np.maximum, "minimum": np.minimum}
        return names[name](input, other)
    if _trace.tracer_of(input, other) is not None:
        if not isinstance(input, Traced):
            input, other = other, input  # both operations commute
        return getattr(input, name)(other)
    if isinstance(other, int | float):
        return _run.call_function(lambda x: getattr(x, name)(other), [input], spatial=False)
    return _run.call_function(lambda x, y: getattr(x, name)(y), [input, other], spatial=False)


def _ordered(name: str, input: Any, other: Any) -> Any:
    """Return a function of two values that do not commute, of which one may be a number."""
    function = getattr(operator, name)
    if _of_integers(input, other):
        return function(input, other)
    arrays = [value for value in (input, other) if not isinstance(value, int | float | Symbol)]
    if _trace.tracer_of(input, other) is not None:
        return function(input, other)
    if len(arrays) == 2:
        return _run.call_function(function, arrays, spatial=False)
    if isinstance(other, int | float):
        return _run.call_function(lambda x: function(x, other), [input], spatial=False)
    return _run.call_function(lambda x: function(input, x), [other], spatial=False)


def _method(name: str, input: Any, *args: Any) -> Any:
    if isinstance(input, Traced):
        return getattr(input, name)(*args)
    array = as_array(input, f"rvision.{name}")
    if name in _MOVES or (array.dtype.kind in "iub" and name in _OF_INTEGERS):
        return getattr(array.view(Tensor), name)(*args)
    return _run.call_function(lambda x: getattr(x, name)(*args), [array], spatial=False)


# Arrays of any type keep it, and the result is a view where NumPy has one.
_MOVES = {"chunk", "flatten", "permute", "roll", "split", "squeeze", "tile", "unbind"}
_MOVES |= {"unflatten", "unsqueeze"}

# The engine has floats only; integers and bools are NumPy's.
_OF_INTEGERS = {"abs", "amax", "amin", "clamp"}


def _reduced(name: str, input: Any, dim: Any, keepdim: bool) -> Any:
    if not isinstance(input, Traced):
        array = as_array(input, f"rvision.{name}")
        if array.dtype.kind in "iub" and name == "sum":
            return array.view(Tensor).sum(
                dim=tuple(dim) if isinstance(dim, Sequence) else dim, keepdim=keepdim
            )
    return _method(name, input, dim, keepdim)


@ends_at_caller
def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Merge the dimensions `start_dim` to `end_dim` into one: `torch.flatten`.

    Examples
    --------
    >>> rvision.flatten(np.zeros((2, 3, 4, 5), np.float32), 1).shape
    (2, 60)
    """
    return _method("flatten", input, start_dim, end_dim)


@ends_at_caller
def mean(input: Any, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Any:
    """Return the mean over one, several or all dimensions: `torch.mean`."""
    return _reduced("mean", input, dim, keepdim)


@ends_at_caller
def sum(input: Any, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Any:
    """Return the sum over one, several or all dimensions: `torch.sum`."""
    return _reduced("sum", input, dim, keepdim)


@ends_at_caller
def amax(input: Any, dim: int | Sequence[int] = (), keepdim: bool = False) -> Any:
    """Return the largest value over one, several or all dimensions: `torch.amax`."""
    return _method("amax", input, dim, keepdim)


@ends_at_caller
def amin(input: Any, dim: int | Sequence[int] = (), keepdim: bool = False) -> Any:
    """Return the smallest value over one, several or all dimensions: `torch.amin`."""
    return _method("amin", input, dim, keepdim)


@ends_at_caller
def max(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Return the largest value, those along `dim`, or the larger of two arrays: `torch.max`.

    Along a dimension it is (values, indices). In a network that is being traced the indices are not
    computed, and using them raises :class:`~rvision.UnsupportedError`.
    """
    return _extreme("max", input, dim, keepdim, other)


@ends_at_caller
def min(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """Return the smallest value, those along `dim`, or the smaller of two arrays: `torch.min`.

    Along a dimension it is (values, indices), as of :func:`max`.
    """
    return _extreme("min", input, dim, keepdim, other)


def _extreme(name: str, input: Any, dim: Any, keepdim: bool, other: Any) -> Any:
    if other is None and dim is not None and not isinstance(dim, int | np.integer):
        other = dim  # torch.max(x, y)
    if other is not None:
        return _binary(f"{name}imum", input, other)
    if isinstance(input, Symbol):
        return getattr(input, name)(dim, keepdim)
    if isinstance(input, Traced):
        return getattr(input, name)(dim, keepdim)
    if dim is None:
        return _method(f"a{name}", input, (), False)
    return getattr(_as_tensor(input, name), name)(dim=dim, keepdim=keepdim)


def _as_tensor(input: Any, name: str) -> Any:
    """Return an array as a tensor; operations that give indices do not exist in networks.

    Raises
    ------
    UnsupportedError
        For a symbol.
    """
    if isinstance(input, Traced):
        raise UnsupportedError(
            f"{input.tracer.where}: {name} is not computed in a network, which has no indices; return the "
            f"values from forward, and call {name} on the network's output"
        )
    return as_array(input, f"rvision.{name}").view(Tensor)


@ends_at_caller
def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> TopK:
    """Return the `k` largest (or smallest) values along `dim`, and their indices: `torch.topk`.

    Examples
    --------
    >>> import rvision
    >>> rvision.topk(rvision.tensor([0.1, 0.7, 0.2]), 2).indices
    Tensor([1, 2])
    """
    return _as_tensor(input, "topk").topk(k, dim, largest, sorted)


@ends_at_caller
def sort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Sorted:
    """Return the values in order along `dim`, and their indices: `torch.sort`."""
    return _as_tensor(input, "sort").sort(dim=dim, descending=descending)


@ends_at_caller
def argsort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """Return the indices that put the values in order along `dim`: `torch.argsort`."""
    return _as_tensor(input, "argsort").argsort(dim=dim, descending=descending)


@ends_at_caller
def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return the index of the largest value, of all or along `dim`: `torch.argmax`."""
    return _as_tensor(input, "argmax").argmax(dim=dim, keepdim=keepdim)


@ends_at_caller
def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return the index of the smallest value, of all or along `dim`: `torch.argmin`."""
    return _as_tensor(input, "argmin").argmin(dim=dim, keepdim=keepdim)


@ends_at_caller
def cumsum(input: Any, dim: int) -> Any:
    """Return the sums of all values so far along `dim`: `torch.cumsum`."""
    return _as_tensor(input, "cumsum").cumsum(dim)


@ends_at_caller
def gather(input: Any, dim: int, index: Any) -> Any:
    """Return the values at `index` along `dim`: `torch.gather`."""
    return _as_tensor(input, "gather").gather(dim, index)


@ends_at_caller
def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False) -> Any:
    """Return the norm of all values, or along dimensions: `torch.norm`."""
    return _as_tensor(input, "norm").norm(p, dim, keepdim)


@ends_at_caller
def allclose(input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Return whether all values are nearly the same: `torch.allclose`."""
    return _as_tensor(input, "allclose").allclose(other, rtol, atol, equal_nan)


@ends_at_caller
def equal(input: Any, other: Any) -> bool:
    """Return whether shapes and all values are the same: `torch.equal`."""
    return _as_tensor(input, "equal").equal(other)


@ends_at_caller
def permute(input: Any, dims: Sequence[int]) -> Any:
    """Reorder the dimensions: `torch.permute`."""
    return _method("permute", input, tuple(dims))


@ends_at_caller
def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Exchange two dimensions: `torch.transpose`."""
    if isinstance(input, Traced):
        return input.transpose(dim0, dim1)
    return as_array(input, "rvision.transpose").view(Tensor).transpose(dim0=dim0, dim1=dim1)


@ends_at_caller
def unsqueeze(input: Any, dim: int) -> Any:
    """Insert a dimension of size one: `torch.unsqueeze`."""
    return _method("unsqueeze", input, dim)


@ends_at_caller
def squeeze(input: Any, dim: int | Sequence[int] | None = None) -> Any:
    """Drop the dimensions of size one: those of the ones given that have it, or all: `torch.squeeze`."""
    return _method("squeeze", input, dim)


@ends_at_caller
def tile(input: Any, dims: Sequence[int]) -> Any:
    """Return the values side by side, so many times along each dimension: `torch.tile`."""
    return _method("tile", input, tuple(dims))


@ends_at_caller
def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Any:
    """Split one dimension into several; one of their `sizes` may be -1: `torch.unflatten`."""
    return _method("unflatten", input, dim, tuple(sizes))


@ends_at_caller
def roll(input: Any, shifts: int | Sequence[int], dims: int | Sequence[int]) -> Any:
    """Shift cyclically by `shifts` along `dims`: `torch.roll`."""
    return _method("roll", input, shifts, dims)


@ends_at_caller
def chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    """Split one dimension into at most `chunks` pieces of one size: `torch.chunk`."""
    return _method("chunk", input, chunks, dim)


@ends_at_caller
def split(tensor: Any, split_size_or_sections: int | Sequence[int], dim: int = 0) -> Any:
    """Split one dimension into pieces of one size or of given sizes: `torch.split`."""
    return _method("split", tensor, split_size_or_sections, dim)


@ends_at_caller
def unbind(input: Any, dim: int = 0) -> Any:
    """Return the values at each index of a dimension: `torch.unbind`."""
    return _method("unbind", input, dim)
