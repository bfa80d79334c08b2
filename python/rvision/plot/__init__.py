"""Figures of networks and their answers. They need matplotlib: ``pip install "rvision[plot]"``."""

# Packages are imported before their submodules, for threads that import at the same time.
import rvision.dense
import rvision.models
import rvision.utils  # noqa: F401
from rvision.plot._activations import activations
from rvision.plot._filters import filters
from rvision.plot._heatmap import cam, heatmap, occlusion
from rvision.plot._top import top
from rvision.plot._tree import family_tree

__all__ = ["activations", "cam", "family_tree", "filters", "heatmap", "occlusion", "top"]


def __dir__() -> list[str]:
    return sorted(__all__)
