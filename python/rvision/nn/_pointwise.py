"""Pointwise functions that are made of others; users find them in `functional`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rvision import _alias
from rvision._frames import warn
from rvision._numbers import real
from rvision._trace import Symbol
from rvision.errors import ArgumentError, ShapeError, UnsupportedError
from rvision.nn._operation import operation, replaced

__all__ = [
    "glu",
    "hardshrink",
    "rrelu",
    "rrelu_",
    "softmin",
    "softshrink",
    "tanhshrink",
    "threshold",
    "threshold_",
]


@operation()
def glu(input: Any, dim: int = -1) -> Any:
    """Return the first half along `dim` times the sigmoid of the second (arXiv:1612.08083)."""
    axis = input.axis(dim)
    if input.read(axis) % 2:
        raise ShapeError(
            f"{input.tracer.where}: glu: expected an even size of dimension {axis}, got {input.traced_shape}"
        )
    values, gates = input.chunk(2, axis)
    return values * gates.sigmoid()


@operation()
def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """Return x where it is outside of ``-lambd .. lambd``, and 0 elsewhere."""
    limit = real(lambd, f"{input.tracer.where}: hardshrink: lambd")
    if limit < 0:
        return input.clone()
    return _select(_outside(input, -limit, limit), input, 0.0, "hardshrink")


@operation()
def softshrink(input: Any, lambd: float = 0.5) -> Any:
    """Return x moved towards 0 by `lambd`, and 0 where that would pass it."""
    limit = real(lambd, f"{input.tracer.where}: softshrink: lambd")
    if not limit >= 0:
        raise ArgumentError(f"{input.tracer.where}: softshrink: lambd must be 0 or more, got {lambd}")
    return _outside(input, -limit, limit)


@operation()
def tanhshrink(input: Any) -> Any:
    """Return ``x - tanh(x)``."""
    return input - input.tanh()


@operation()
def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """Return x where it is above `threshold`, and `value` elsewhere."""
    where = f"{input.tracer.where}: threshold"
    limit, other = real(threshold, f"{where}: threshold"), real(value, f"{where}: value")
    if not np.isfinite(limit):
        raise ArgumentError(f"{where}: threshold must be finite, got {threshold}")
    # Not 0 where x is above the threshold, and NaN of NaN.
    result = _select((input - limit).relu(), input, other, "threshold")
    return replaced(input, result, inplace, "threshold")


def threshold_(input: Any, threshold: float, value: float) -> Any:
    """Apply :func:`threshold` in place."""
    return _threshold(input, threshold, value, inplace=True)


_threshold = threshold


@operation()
def rrelu(
    input: Any,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Any:
    """Return x where it is positive, and the mean of `lower` and `upper` times x elsewhere."""
    where = f"{input.tracer.where}: rrelu"
    if training:
        raise UnsupportedError(f"{where}: training=True draws random slopes; rvision is for inference only")
    slope = (real(lower, f"{where}: lower") + real(upper, f"{where}: upper")) / 2
    return replaced(input, input.activation("rrelu", "leaky_relu", slope), inplace, "rrelu")


def rrelu_(input: Any, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Any:
    """Apply :func:`rrelu` in place."""
    return rrelu(input, lower, upper, training, inplace=True)


@operation()
def softmin(input: Any, dim: int | None = None) -> Any:
    """Return the softmax of ``-x`` along `dim`."""
    if dim is None:
        dim = 0 if input.ndim in (0, 1, 3) else 1
        warn(f"softmin without dim is deprecated, as in torch; pass dim={dim}")
    return (-input).softmax(dim)


def _outside(input: Symbol, low: float, high: float) -> Symbol:
    """Return how far values are outside of a range; NaN of NaN."""
    return input - input.clamp(low, high)


def _select(condition: Symbol, input: Symbol, other: float, label: str) -> Symbol:
    """Return `input` where `condition` is not 0, and `other` elsewhere."""
    tracer = input.tracer
    constant = tracer.constant(np.float32(other))
    values = [symbol.value_of(tracer) for symbol in (condition, input, constant)]
    value = tracer.builder.select(tracer.name(label), *values)
    return Symbol(tracer, value, input.fixed, _alias.Memory(_alias.pointwise(input)))
