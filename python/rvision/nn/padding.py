"""Padding layers, (N, C, H, W) to (N, C, H + top + bottom, W + left + right)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rvision._numbers import integers, real
from rvision.errors import ArgumentError
from rvision.nn import functional as F
from rvision.nn.module import Module

__all__ = ["CircularPad2d", "ConstantPad2d", "ReflectionPad2d", "ReplicationPad2d", "ZeroPad2d"]


class _Pad2d(Module):
    """Values around pictures.

    Parameters
    ----------
    padding : int or four of them
        On all sides, or left, right, top and bottom. A negative number cuts off that many rows or columns.
    """

    _spatial = True
    _mode = "constant"

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        name = type(self).__name__
        sides = (padding,) * 4 if not hasattr(padding, "__iter__") else tuple(padding)
        if len(sides) != 4:
            raise ArgumentError(f"{name}: padding must be an integer or four of them, got {padding!r}")
        self.padding = tuple(integers(sides, f"{name}: padding"))

    def forward(self, input: Any) -> Any:
        """Return the padded `input`."""
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        """Return the argument."""
        return f"{self.padding}"


class ZeroPad2d(_Pad2d):
    """Zeros around pictures: `torch.nn.ZeroPad2d`.

    Parameters
    ----------
    padding : int or four of them
        On all sides, or left, right, top and bottom. A negative number cuts off that many rows or columns.
    """


class ConstantPad2d(_Pad2d):
    """A constant around pictures: `torch.nn.ConstantPad2d`.

    Parameters
    ----------
    padding : int or four of them
        As of :class:`ZeroPad2d`.
    value : float
        The constant.
    """

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        real(value, "ConstantPad2d: value")
        self.value = value

    def forward(self, input: Any) -> Any:
        """Return the padded `input`."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"padding={self.padding}, value={self.value}"


class ReflectionPad2d(_Pad2d):
    """The values mirrored at the border, around pictures: `torch.nn.ReflectionPad2d`.

    Parameters
    ----------
    padding : int or four of them
        As of :class:`ZeroPad2d`; less than the size of the picture.
    """

    _mode = "reflect"


class ReplicationPad2d(_Pad2d):
    """The border values, around pictures: `torch.nn.ReplicationPad2d`.

    Parameters
    ----------
    padding : int or four of them
        As of :class:`ZeroPad2d`.
    """

    _mode = "replicate"


class CircularPad2d(_Pad2d):
    """The values at the other end, around pictures: `torch.nn.CircularPad2d`.

    Parameters
    ----------
    padding : int or four of them
        As of :class:`ZeroPad2d`; at most the size of the picture.
    """

    _mode = "circular"
