"""`rvision.Tensor`: NumPy's array with torch's words. Outputs, transforms and parameters come as it."""

from rvision._tensor._base import Tensor
from rvision._tensor._device import cpu_only, device
from rvision._tensor._random import Generator, default_generator
from rvision._tensor._size import Size
from rvision._tensor._values import Extremes, Sorted, TopK

__all__ = [
    "Extremes",
    "Generator",
    "Size",
    "Sorted",
    "Tensor",
    "TopK",
    "cpu_only",
    "default_generator",
    "device",
]
