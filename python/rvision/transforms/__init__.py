"""Preprocessing of pictures (`torchvision.transforms`), on Pillow images and numpy arrays."""

from rvision.transforms import functional
from rvision.transforms._interpolation import InterpolationMode
from rvision.transforms._presets import ImageClassification

__all__ = [
    "ImageClassification",
    "InterpolationMode",
    "functional",
]
