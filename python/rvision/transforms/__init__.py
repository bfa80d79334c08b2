"""Preprocessing of pictures (`torchvision.transforms`), on Pillow images and numpy arrays."""

from typing import NoReturn

from rvision import _absent
from rvision.transforms import functional
from rvision.transforms._classes import (
    CenterCrop,
    Compose,
    ConvertImageDtype,
    FiveCrop,
    Grayscale,
    Lambda,
    Normalize,
    Pad,
    PILToTensor,
    Resize,
    TenCrop,
    ToPILImage,
    ToTensor,
)
from rvision.transforms._interpolation import InterpolationMode
from rvision.transforms._presets import GreyClassification, ImageClassification
from rvision.transforms._random import Lighting, RandomCrop, RandomHorizontalFlip

__all__ = [
    "CenterCrop",
    "Compose",
    "ConvertImageDtype",
    "FiveCrop",
    "Grayscale",
    "GreyClassification",
    "ImageClassification",
    "InterpolationMode",
    "Lambda",
    "Lighting",
    "Normalize",
    "PILToTensor",
    "Pad",
    "RandomCrop",
    "RandomHorizontalFlip",
    "Resize",
    "TenCrop",
    "ToPILImage",
    "ToTensor",
    "functional",
]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(_absent.of_torchvision("transforms", name))
