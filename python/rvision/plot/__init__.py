"""Figures of networks and their answers. They need matplotlib: ``pip install "rvision[plot]"``."""

from rvision.plot._filters import filters
from rvision.plot._top import top

__all__ = ["filters", "top"]
