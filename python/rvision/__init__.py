"""Image networks on ordinary CPUs: torchvision's API and PyTorch's weight files, without PyTorch."""

from __future__ import annotations

from rvision._rvision import __version__
from rvision.errors import RVisionError, ShapeError, StateDictError, UnsupportedError, WeightFileError

__all__ = [
    "RVisionError",
    "ShapeError",
    "StateDictError",
    "UnsupportedError",
    "WeightFileError",
    "__version__",
]
