"""Shared by the functions of :mod:`rvision.nn.functional`: calls with arrays or symbols, checks, weights."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from rvision import _alias, _rvision
from rvision._frames import hide_frames
from rvision._numbers import MOST
from rvision._sizes import Flag, resized
from rvision._trace import Mask, Symbol, Traced
from rvision.errors import ArgumentError, UnsupportedError
from rvision.nn import _run
from rvision.nn.parameter import Constant, to_float32

__all__ = [
    "Pair",
    "as_node",
    "check_writable",
    "handle_of",
    "operation",
    "pair",
    "replaced",
    "resized_pictures",
    "with_fixed",
]

Pair = int | Sequence[int]

F = TypeVar("F", bound=Callable[..., Any])


def operation(spatial: bool = False) -> Callable[[F], F]:
    """Decorate a function of a symbol so that it also takes an array, which runs as its own graph."""

    def decorate(function: F) -> F:
        names = list(inspect.signature(function).parameters)
        place = names.index("inplace") - 1 if "inplace" in names else None

        @functools.wraps(function)
        def either(input: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(input, Symbol):
                batch = _batch_of_one(input) if spatial else None
                if batch is None:
                    return function(input, *args, **kwargs)
                result = function(batch, *args, **kwargs)
                return as_node(result, "flatten", "getitem", 0, 1, fixed=result.fixed[1:])
            if isinstance(input, Mask):
                raise TypeError(
                    f"{input.tracer.where}: {function.__name__}: expected floats, got a mask (bool); use "
                    ".float() for its zeros and ones"
                )
            inplace = False
            if place is not None:
                inplace = args[place] if len(args) > place else kwargs.get("inplace", False)
            try:
                if inplace:
                    check_writable(input, function.__name__)
                output = _run.call_function(
                    lambda symbol: function(symbol, *args, **kwargs), [input], spatial
                )
            except Exception as error:
                hide_frames(error)
                raise
            if not inplace:
                return output
            np.copyto(input, output)
            return input

        return either  # type: ignore[return-value]

    return decorate


def check_writable(array: Any, name: str) -> None:
    """Raise UnsupportedError unless an in-place operation can write its result into `array`."""
    if not isinstance(array, np.ndarray):
        found = type(array).__name__
    elif array.dtype != np.float32:
        found = f"an array of {array.dtype}"
    elif not array.flags.writeable:
        found = f"a {type(array).__name__}" if isinstance(array, Constant) else "an array"
        found += " that cannot be written to"
    else:
        return
    raise UnsupportedError(
        f"{name}: expected a writable float32 NumPy array, into which the result is written in place, got "
        f"{found}; leave `inplace` out and use the result"
    )


def replaced(input: Symbol, result: Symbol, inplace: bool, name: str) -> Symbol:
    """Return a function's result; in place, the input is rebound to it."""
    return input.become(result, name) if inplace else result


def _batch_of_one(input: Symbol) -> Symbol | None:
    """Return a symbol (C, H, W) with the batch dimension that the engine's layers for pictures need.

    None means that `input` has one, or was given one: it is the network's own input, and then the
    whole network sees a batch.
    """
    input.tracer.takes_picture(input)
    if input.ndim != 3:
        return None
    return as_node(input, "unflatten", "unsqueeze", 0, [1, -1], fixed=(True, *input.fixed))


def as_node(symbol: Symbol, method: str, label: str, *attributes: Any, fixed: Sequence[Flag]) -> Symbol:
    """Add an auxiliary node of a layer, besides the one that has the layer's name."""
    tracer = symbol.tracer
    add = getattr(tracer.builder, method)
    value = add(tracer.side_name(label), symbol.value_of(tracer), *attributes)
    return Symbol(tracer, value, tuple(fixed), _alias.joined((symbol,)))


def pair(value: Any, where: str, least: int = 0) -> tuple[int, int]:
    """Return one number for both height and width, or one for each, as a pair.

    Raises
    ------
    ArgumentError
        If `value` is something else, or a number is below `least` or above the size of any picture.
    """
    if isinstance(value, int | np.integer):
        both = (value, value)
    else:
        both = tuple(value) if hasattr(value, "__iter__") else ()
    if len(both) == 1:
        both *= 2
    if len(both) != 2 or any(
        not isinstance(v, int | np.integer) or isinstance(v, bool) or v < least for v in both
    ):
        raise ArgumentError(f"{where} must be an integer of at least {least} or two of them, got {value!r}")
    if max(both) > MOST:
        raise ArgumentError(f"{where} must be at most {MOST}, got {value!r}")
    return int(both[0]), int(both[1])


def handle_of(
    value: ArrayLike | _rvision.Parameter | None, symbol: Symbol, what: str
) -> _rvision.Parameter | None:
    """Return the engine's handle of a weight; a new one if the array does not belong to a parameter."""
    if value is None:
        return None
    if isinstance(value, _rvision.Parameter):
        return value
    if isinstance(value, Constant) and value._handle is not None:
        return value._handle
    if isinstance(value, Traced):
        raise UnsupportedError(
            f"{symbol.tracer.where}: {what} is computed from the network's inputs, which is not supported; "
            "weights must be parameters or arrays"
        )
    return _rvision.Parameter(to_float32(value))


def with_fixed(symbol: Symbol, axis: int) -> list[Flag]:
    """Return a symbol's flags if a weight's shape fixes one of its sizes."""
    fixed = list(symbol.fixed)
    if fixed:
        fixed[axis] = True
    return fixed


def resized_pictures(flags: Sequence[Flag]) -> list[Flag]:
    """Return the flags of pictures (N, C, H, W) after their height and width have changed."""
    return [*flags[:2], *(resized(flag) for flag in flags[2:])]
