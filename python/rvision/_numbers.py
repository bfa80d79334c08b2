"""Checks of numbers that users pass, before anything is computed; messages use torch's names.

Python's integers are unbounded, and `int` accepts floats and text. Checked numbers fit the engine.
"""

from __future__ import annotations

import operator
from typing import Any

from rvision.errors import ArgumentError

__all__ = ["MOST", "integer", "integers", "real"]

# The largest kernel, stride, padding or dilation: torch's for pools, and far above any picture.
MOST = 2**31 - 1
_LEAST_64, _MOST_64 = -(2**63), 2**63 - 1


def integer(value: Any, what: str, least: int = _LEAST_64, most: int = _MOST_64) -> int:
    """Return a Python or NumPy integer between `least` and `most`.

    Parameters
    ----------
    value : int
        What the user passed.
    what : str
        The argument's name, for messages: ``"Conv2d: groups"``.
    least, most : int
        The bounds; by default those of 64 bits.

    Raises
    ------
    TypeError
        If it is not an integer (bool is not).
    ArgumentError
        If it is out of bounds.
    """
    if type(value) is not int:
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise TypeError(f"{what} must be an integer, got {value!r}")
        try:
            value = operator.index(value)
        except TypeError:  # an array of several numbers, or of floats
            raise TypeError(f"{what} must be an integer, got {value!r}") from None
    if value < least:
        raise ArgumentError(f"{what} must be an integer of at least {least}, got {value}")
    if value > most:
        raise ArgumentError(f"{what} must be an integer of at most {most}, got {value}")
    return value


def integers(values: Any, what: str, least: int = _LEAST_64, most: int = _MOST_64) -> list[int]:
    """Return a sequence of integers, each checked by :func:`integer`.

    Raises
    ------
    TypeError, ArgumentError
        As :func:`integer`; also if `values` is not a sequence.
    """
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__") or getattr(values, "ndim", 1) == 0:
        raise TypeError(f"{what} must be a sequence of integers, got {values!r}")
    return [integer(value, what, least, most) for value in values]


def real(value: Any, what: str) -> float:
    """Return a number as a float.

    Raises
    ------
    TypeError
        If it is not a real number (text is not).
    ArgumentError
        If it is too large for a float.
    """
    if isinstance(value, str | bytes) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise TypeError(f"{what} must be a number, got {value!r}")
    try:
        return float(value)
    except TypeError:  # an array of several numbers
        raise TypeError(f"{what} must be a number, got {value!r}") from None
    except OverflowError:
        raise ArgumentError(f"{what} must be a number that a float holds, got {value!r}") from None
