"""Initial values for parameters: torch's `nn.init`.

Each function writes into a parameter of a module (or a tensor or an array), and returns it. Random numbers
come from :class:`rvision.Generator`: the same as torch's for the same seed, normal ones to the last bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvision._frames import ends_at_caller
from rvision._tensor import Generator, Tensor, default_generator
from rvision.errors import ArgumentError, ShapeError

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_SLOPE = 0.01

# The part of normal numbers between the bounds from which on numbers outside are drawn again, as in torch.
_MANY = 0.3


@ends_at_caller
def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return by how much weights must be larger for what a nonlinearity takes away.

    Parameters
    ----------
    nonlinearity : str
        "linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu", ...
    param : float, optional
        The slope of "leaky_relu", 0.01 by default.
    """
    if nonlinearity in ("linear", "sigmoid") or nonlinearity.startswith("conv"):
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1 + (_SLOPE if param is None else param) ** 2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ArgumentError(
        "calculate_gain: expected linear, conv2d, sigmoid, tanh, relu, leaky_relu or selu, got "
        f"{nonlinearity!r}"
    )


def _fill(tensor: Any, values: Any, where: str) -> Any:
    if not isinstance(tensor, np.ndarray):
        raise TypeError(f"{where}: expected a parameter, a tensor or an array, got {type(tensor).__name__}")
    target: Any = tensor if isinstance(tensor, Tensor) else tensor.view(Tensor)
    target.copy_(values)
    return tensor


def _normal(tensor: Any, mean: float, std: float, generator: Generator | None) -> NDArray[Any]:
    return (generator or default_generator).normal(np.shape(tensor), mean, std)


def _uniform(tensor: Any, low: float, high: float, generator: Generator | None) -> NDArray[Any]:
    return (generator or default_generator).uniform(np.shape(tensor), low, high)


@ends_at_caller
def constant_(tensor: Any, val: float) -> Any:
    """Write one value everywhere."""
    return _fill(tensor, val, "constant_")


@ends_at_caller
def zeros_(tensor: Any) -> Any:
    """Write zeros."""
    return _fill(tensor, 0.0, "zeros_")


@ends_at_caller
def ones_(tensor: Any) -> Any:
    """Write ones."""
    return _fill(tensor, 1.0, "ones_")


@ends_at_caller
def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Any:
    """Write random numbers from `a` up to but without `b`."""
    return _fill(tensor, _uniform(tensor, a, b, generator), "uniform_")


@ends_at_caller
def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Any:
    """Write normally distributed random numbers."""
    return _fill(tensor, _normal(tensor, mean, std, generator), "normal_")


@ends_at_caller
def trunc_normal_(
    tensor: Any,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Any:
    """Write normally distributed random numbers between `a` and `b`.

    Numbers outside are drawn again. Where that would take long, uniform numbers are drawn, and each is
    taken as often as the distribution demands.
    """
    source, shape = generator or default_generator, np.shape(tensor)

    def cdf(x: float) -> float:
        return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0

    if cdf((b - mean) / std) - cdf((a - mean) / std) > _MANY:
        values = source.normal(shape, mean, std)
        while (outside := (values < np.float32(a)) | (values > np.float32(b))).any():
            values = np.where(outside, source.normal(shape, mean, std), values)
        return _fill(tensor, values, "trunc_normal_")
    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2
    values, wanted = np.zeros(shape, np.float32), np.ones(shape, np.bool_)
    while wanted.any():
        drawn = source.uniform(shape, a, b)
        values = np.where(wanted, drawn, values)
        density = ((drawn - np.float32(mean)) / np.float32(std)) ** 2 * np.float32(-0.5) - np.float32(peak)
        with np.errstate(divide="ignore"):
            wanted = wanted & (np.log(source.uniform(shape)) > density)
    return _fill(tensor, values, "trunc_normal_")


def _fans(tensor: Any, where: str) -> tuple[int, int]:
    """Return how many values go into one output, and come out of one input."""
    shape = np.shape(tensor)
    if len(shape) < 2:
        raise ShapeError(f"{where}: expected at least 2 dimensions, got the shape {shape}")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


@ends_at_caller
def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Generator | None = None) -> Any:
    """Write uniform numbers of a width that keeps the variance of signals in both directions.

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / sum(_fans(tensor, "xavier_uniform_")))
    return _fill(tensor, _uniform(tensor, -bound, bound, generator), "xavier_uniform_")


@ends_at_caller
def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Generator | None = None) -> Any:
    """Write normal numbers of a width that keeps the variance of signals in both directions."""
    std = gain * math.sqrt(2.0 / sum(_fans(tensor, "xavier_normal_")))
    return _fill(tensor, _normal(tensor, 0.0, std, generator), "xavier_normal_")


def _kaiming(tensor: Any, a: float, mode: str, nonlinearity: str, where: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"{where}: expected the mode fan_in or fan_out, got {mode!r}")
    fans = _fans(tensor, where)
    return calculate_gain(nonlinearity, a) / math.sqrt(fans[mode == "fan_out"])


@ends_at_caller
def kaiming_uniform_(
    tensor: Any,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Any:
    """Write uniform numbers of a width that keeps the variance of signals through rectifiers.

    He et al., "Delving Deep into Rectifiers", arXiv:1502.01852.

    Parameters
    ----------
    tensor : Parameter
        Of at least two dimensions: outputs, inputs, and those of the kernel.
    a : float
        The slope for negative values.
    mode : str
        "fan_in" for the signals forward, "fan_out" for gradients backward.
    nonlinearity : str
        What follows the layer, see :func:`calculate_gain`.
    generator : rvision.Generator, optional
        Where the random numbers come from.
    """
    bound = math.sqrt(3.0) * _kaiming(tensor, a, mode, nonlinearity, "kaiming_uniform_")
    return _fill(tensor, _uniform(tensor, -bound, bound, generator), "kaiming_uniform_")


@ends_at_caller
def kaiming_normal_(
    tensor: Any,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Any:
    """Write normal numbers of a width that keeps the variance of signals through rectifiers.

    Parameters are those of :func:`kaiming_uniform_`.
    """
    std = _kaiming(tensor, a, mode, nonlinearity, "kaiming_normal_")
    return _fill(tensor, _normal(tensor, 0.0, std, generator), "kaiming_normal_")


@ends_at_caller
def eye_(tensor: Any) -> Any:
    """Write ones on the diagonal of a matrix and zeros elsewhere."""
    if np.ndim(tensor) != 2:
        raise ShapeError(f"eye_: expected a matrix, got the shape {np.shape(tensor)}")
    return _fill(tensor, np.eye(*np.shape(tensor)), "eye_")


@ends_at_caller
def dirac_(tensor: Any, groups: int = 1) -> Any:
    """Write the kernels of a convolution that passes its inputs on."""
    shape = np.shape(tensor)
    if not 3 <= len(shape) <= 5 or shape[0] % groups:
        raise ShapeError(f"dirac_: expected kernels of 3 to 5 dimensions for {groups} groups, got {shape}")
    values = np.zeros(shape, np.float32)
    per_group = shape[0] // groups
    centre = tuple(size // 2 for size in shape[2:])
    for group in range(groups):
        for channel in range(min(per_group, shape[1])):
            values[(group * per_group + channel, channel, *centre)] = 1
    return _fill(tensor, values, "dirac_")


@ends_at_caller
def orthogonal_(tensor: Any, gain: float = 1, generator: Generator | None = None) -> Any:
    """Write a matrix with orthogonal rows or columns; further dimensions count as columns."""
    shape = np.shape(tensor)
    if len(shape) < 2:
        raise ShapeError(f"orthogonal_: expected at least 2 dimensions, got the shape {shape}")
    rows, columns = shape[0], math.prod(shape[1:])
    matrix = (generator or default_generator).normal((rows, columns))
    q, r = np.linalg.qr(matrix.T if rows < columns else matrix)
    q = q * np.sign(np.diag(r))
    return _fill(tensor, gain * (q.T if rows < columns else q).reshape(shape), "orthogonal_")


@ends_at_caller
def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Any:
    """Write normal numbers, of which the part `sparsity` of each column is zero."""
    if np.ndim(tensor) != 2:
        raise ShapeError(f"sparse_: expected a matrix, got the shape {np.shape(tensor)}")
    rows, columns = np.shape(tensor)
    source = generator or default_generator
    values = source.normal((rows, columns), 0.0, std)
    for column in range(columns):
        values[source.permutation(rows)[: math.ceil(sparsity * rows)], column] = 0
    return _fill(tensor, values, "sparse_")


def _old(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    call.__name__ = name
    call.__doc__ = f"The name of :func:`{name}_` in old PyTorch code."
    return call


_OLD = {name.removesuffix("_"): name for name in __all__ if name.endswith("_")}


def __getattr__(name: str) -> Any:
    if name in _OLD:
        return _old(name, globals()[_OLD[name]])
    raise AttributeError(f"rvision.nn.init has no {name!r}; it has: {', '.join(__all__)}")
