"""Functions of arrays that torch keeps at its top level: `rvision.cat`, `rvision.flatten`, ...

Like :mod:`rvision.nn.functional` they take arrays and return an array, or take symbols of a network that is
being traced and add a node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rvision import _trace
from rvision._frames import ends_at_caller
from rvision._trace import Symbol, Traced
from rvision.errors import ArgumentError, ShapeError
from rvision.nn import _run
from rvision.nn._operation import check_writable
from rvision.nn.functional import relu, relu_, sigmoid, softmax, tanh

__all__ = [
    "add",
    "cat",
    "chunk",
    "concat",
    "flatten",
    "matmul",
    "mean",
    "mul",
    "permute",
    "relu",
    "relu_",
    "roll",
    "sigmoid",
    "sigmoid_",
    "softmax",
    "split",
    "stack",
    "tanh",
    "tanh_",
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
    """
    tensors = list(tensors)
    if not tensors:
        raise ArgumentError("cat: expected at least one array, got none")
    if _trace.tracer_of(tensors) is not None:
        return _trace.concat(tensors, dim)
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


def _binary(name: str, input: Any, other: Any) -> Any:
    if _trace.tracer_of(input, other) is not None:
        if not isinstance(input, Traced):
            input, other = other, input  # both operations commute
        return getattr(input, name)(other)
    if isinstance(other, int | float):
        return _run.call_function(lambda x: getattr(x, name)(other), [input], spatial=False)
    return _run.call_function(lambda x, y: getattr(x, name)(y), [input, other], spatial=False)


def _method(name: str, input: Any, *args: Any) -> Any:
    if isinstance(input, Traced):
        return getattr(input, name)(*args)
    return _run.call_function(lambda x: getattr(x, name)(*args), [input], spatial=False)


@ends_at_caller
def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Merge the dimensions `start_dim` to `end_dim` into one: `torch.flatten`."""
    return _method("flatten", input, start_dim, end_dim)


@ends_at_caller
def mean(input: Any, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Any:
    """Return the mean over one, several or all dimensions: `torch.mean`."""
    return _method("mean", input, dim, keepdim)


@ends_at_caller
def permute(input: Any, dims: Sequence[int]) -> Any:
    """Reorder the dimensions: `torch.permute`."""
    return _method("permute", input, tuple(dims))


@ends_at_caller
def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Exchange two dimensions: `torch.transpose`."""
    return _method("transpose", input, dim0, dim1)


@ends_at_caller
def unsqueeze(input: Any, dim: int) -> Any:
    """Insert a dimension of size one: `torch.unsqueeze`."""
    return _method("unsqueeze", input, dim)


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
