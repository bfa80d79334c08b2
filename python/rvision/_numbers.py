"""Numbers that users give: checked before anything is computed with them, by the names they have in torch.

Python's integers have no end, and `int` takes floats and text. What comes through here fits the engine.
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
    """Return an integer between `least` and `most`, of Python's or NumPy's.

    Parameters
    ----------
    value : int
        What the user gave.
    what : str
        Whose number it is, for messages: ``"Conv2d: groups"``.
    least, most : int
        The bounds; by default what 64 bits hold.

    Raises
    ------
    TypeError
        If it is no integer; bool is none.
    ArgumentError
        If it lies outside of the bounds.
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
    """Return several integers, each as :func:`integer` does.

    Raises
    ------
    TypeError, ArgumentError
        As :func:`integer`; also if `values` are not several.
    """
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__") or getattr(values, "ndim", 1) == 0:
        raise TypeError(f"{what} must be a sequence of integers, got {values!r}")
    return [integer(value, what, least, most) for value in values]


def real(value: Any, what: str) -> float:
    """Return a number as a float.

    Raises
    ------
    TypeError
        If it is no real number; text is none.
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
