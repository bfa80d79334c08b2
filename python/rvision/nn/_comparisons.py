"""Comparisons, logic and choices that torch keeps at its top level: `rvision.where`, `rvision.gt`, ...

They take arrays and return an array, of bool where torch returns bool. In a trace they take symbols and
return a symbol; comparisons return a mask (:mod:`rvision._mask`). Floats are compared in float32, and a
number is converted to float32 first, as in torch. All comparisons with NaN are false, except `ne`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rvision import _mask
from rvision._frames import ends_at_caller
from rvision._mask import kind_of
from rvision._trace import Traced, tracer_of
from rvision.nn import _run
from rvision.nn._inputs import as_array

__all__ = [
    "eq",
    "ge",
    "gt",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "masked_fill",
    "ne",
    "where",
]


def _apply(name: str, function: Callable[..., Any], *operands: Any) -> Any:
    """Call a function of traced values and numbers; arrays become values of a graph of their own."""
    tracer = tracer_of(operands)
    if tracer is not None:
        return function(*(_traced(tracer, operand) for operand in operands))
    places = [place for place, operand in enumerate(operands) if not isinstance(operand, bool | int | float)]
    where = f"rvision.{name}"
    if not places:
        raise TypeError(f"{where}: expected an array, got {operands[0]!r}")
    arrays = [as_array(operands[place], where) for place in places]
    masks = [array.dtype == bool for array in arrays]

    def of_symbols(*symbols: Any) -> Any:
        values = list(operands)
        for place, symbol, is_mask in zip(places, symbols, masks, strict=True):
            values[place] = symbol.as_mask() if is_mask else symbol
        return function(*values)

    floats = [
        array.astype(np.float32) if is_mask else array for array, is_mask in zip(arrays, masks, strict=True)
    ]
    return _run.call_function(of_symbols, floats, spatial=False)


def _traced(tracer: Any, operand: Any) -> Any:
    """Return an array as a constant of the trace; numbers and traced values as they are."""
    if isinstance(operand, Traced | bool | int | float) or kind_of(operand) is None:
        return operand
    constant = tracer.constant(operand)
    return constant.as_mask() if kind_of(operand) == "bool" else constant


def _method(name: str, input: Any, *operands: Any) -> Any:
    return _apply(name, lambda x, *others: getattr(x, name)(*others), input, *operands)


@ends_at_caller
def where(condition: Any, input: Any, other: Any) -> Any:
    """Take each element from `input` where the condition is true, else from `other`: `torch.where`.

    Parameters
    ----------
    condition : array_like of bool, or a mask
        Floats are refused, as in torch: compare them first.
    input, other : array_like, or number
        The values to choose from. The element that is not taken does not matter, NaN included.

    Returns
    -------
    ndarray
        Of the shape that the three broadcast to; float32, or bool if `input` and `other` are.

    Raises
    ------
    TypeError
        If the condition is not of bool.
    UnsupportedError
        If the result would be whole numbers (int64) in torch.

    Examples
    --------
    >>> rvision.where(np.array([True, False]), np.float32([1, 2]), np.float32([3, 4])).tolist()
    [1.0, 4.0]
    """
    return _apply("where", _mask.where, condition, input, other)


@ends_at_caller
def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """Return `input` with `value`, one number, where `mask` is true: `torch.masked_fill`."""
    return _method("masked_fill", input, mask, value)


@ends_at_caller
def gt(input: Any, other: Any) -> Any:
    """Return which elements are greater than `other`: `torch.gt`."""
    return _method("gt", input, other)


@ends_at_caller
def ge(input: Any, other: Any) -> Any:
    """Return which elements are greater than or equal to `other`: `torch.ge`."""
    return _method("ge", input, other)


@ends_at_caller
def lt(input: Any, other: Any) -> Any:
    """Return which elements are less than `other`: `torch.lt`."""
    return _method("lt", input, other)


@ends_at_caller
def le(input: Any, other: Any) -> Any:
    """Return which elements are less than or equal to `other`: `torch.le`."""
    return _method("le", input, other)


@ends_at_caller
def eq(input: Any, other: Any) -> Any:
    """Return which elements are equal to `other`: `torch.eq`."""
    return _method("eq", input, other)


@ends_at_caller
def ne(input: Any, other: Any) -> Any:
    """Return which elements are not equal to `other`: `torch.ne`."""
    return _method("ne", input, other)


@ends_at_caller
def isnan(input: Any) -> Any:
    """Return which elements are NaN: `torch.isnan`."""
    return _method("isnan", input)


@ends_at_caller
def isinf(input: Any) -> Any:
    """Return which elements are infinite: `torch.isinf`."""
    return _method("isinf", input)


@ends_at_caller
def isfinite(input: Any) -> Any:
    """Return which elements are neither infinite nor NaN: `torch.isfinite`."""
    return _method("isfinite", input)


@ends_at_caller
def logical_and(input: Any, other: Any) -> Any:
    """Return of which elements both are not zero: `torch.logical_and`."""
    return _method("logical_and", input, other)


@ends_at_caller
def logical_or(input: Any, other: Any) -> Any:
    """Return of which elements one at least is not zero: `torch.logical_or`."""
    return _method("logical_or", input, other)


@ends_at_caller
def logical_xor(input: Any, other: Any) -> Any:
    """Return of which elements one is zero and the other is not: `torch.logical_xor`."""
    return _method("logical_xor", input, other)


@ends_at_caller
def logical_not(input: Any) -> Any:
    """Return which elements are zero: `torch.logical_not`."""
    return _method("logical_not", input)
