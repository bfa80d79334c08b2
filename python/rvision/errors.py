"""The exceptions rvision raises.

Each has :class:`RVisionError` as a base, so that one ``except`` catches what rvision
complains of, and the built-in type that torch's users already catch as the other. What
the operating system says of a file stays an :class:`OSError` (``FileNotFoundError`` and so
on, with ``errno`` and ``filename``), and memory that could not be had a ``MemoryError``.
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "DownloadError",
    "InternalError",
    "RVisionError",
    "ShapeError",
    "StateDictError",
    "UnsupportedError",
    "WeightFileError",
]


class RVisionError(Exception):
    """Base of every exception that rvision defines."""


class ShapeError(RVisionError, ValueError):
    """An input or a parameter has a shape that the layer named in the message cannot take."""


class ArgumentError(RVisionError, ValueError):
    """An argument or a setting lies outside its range."""


class StateDictError(RVisionError, RuntimeError):
    """A state dict does not fit the module it is loaded into."""


class UnsupportedError(RVisionError, NotImplementedError):
    """Something that torch does and rvision does not."""


class InternalError(RVisionError, RuntimeError):
    """A fault of rvision's own, which the message asks to report. Later calls are not harmed by it."""


class DownloadError(RVisionError, OSError):
    """Published weights that could not be had, or a file that is not what its name says."""


class WeightFileError(RVisionError, ValueError):
    """A weight file is damaged, is something else, or asks for code to be run."""
