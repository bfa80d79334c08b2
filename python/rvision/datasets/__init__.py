"""Pictures in class folders, and random ones (`torchvision.datasets`)."""

from typing import NoReturn

from rvision import _absent
from rvision.datasets._fake import FakeData
from rvision.datasets._folder import DatasetFolder, ImageFolder

__all__ = ["DatasetFolder", "FakeData", "ImageFolder"]


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(_absent.of_torchvision("datasets", name))
