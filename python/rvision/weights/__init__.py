"""Published weights: one enum class per network, with address, metrics and preprocessing.

>>> from rvision.weights import ResNet50_Weights
>>> ResNet50_Weights.DEFAULT.meta["_metrics"]["ImageNet-1K"]["acc@1"]
80.858
"""

# ruff: noqa: F403  # the files' __all__ say what they add

from rvision.weights._base import Weights as Weights
from rvision.weights._base import WeightsEnum as WeightsEnum
from rvision.weights._enums import *
from rvision.weights._identify import identify as identify
from rvision.weights._torchvision import *


def __dir__() -> list[str]:
    # What is meant to be used: no submodules, and nothing that this file has imported for itself.
    return sorted(name for name, value in globals().items() if name[0] != "_" and callable(value))
