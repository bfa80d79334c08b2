"""Pictures in class folders, and random ones (`torchvision.datasets`)."""

from rvision.datasets._fake import FakeData
from rvision.datasets._folder import DatasetFolder, ImageFolder

__all__ = ["DatasetFolder", "FakeData", "ImageFolder"]
