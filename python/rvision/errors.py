"""The exceptions rvision raises.

Each has two bases: :class:`RVisionError`, so that one ``except`` catches all of rvision's errors,
and the built-in type that torch's users already catch. The operating system's errors about files
stay an :class:`OSError` (``FileNotFoundError`` and so on, with ``errno`` and ``filename``), and
failed allocations a ``MemoryError``.
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "DownloadError",
    "InternalError",
    "PictureError",
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
    """An argument or a setting is out of range."""


class StateDictError(RVisionError, RuntimeError):
    """A state dict does not fit the module it is loaded into."""


class UnsupportedError(RVisionError, NotImplementedError):
    """Something that torch does and rvision does not."""


class InternalError(RVisionError, RuntimeError):
    """A bug of rvision; the message asks to report it. Later calls are not affected."""


class DownloadError(RVisionError, OSError):
    """Published weights could not be downloaded, or a file is not what its name says."""


class WeightFileError(RVisionError, ValueError):
    """A weight file is damaged, is of another kind, or would have to run code."""


class PictureError(RVisionError, OSError):
    """A picture that cannot be read."""
