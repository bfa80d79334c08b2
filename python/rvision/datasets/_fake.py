"""Random pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import rvision.utils  # noqa: F401  (the package before its submodules, for threads)
from rvision._tensor import Generator
from rvision.transforms._pictures import to_pil
from rvision.utils.data import Dataset

__all__ = ["FakeData"]


class FakeData(Dataset):
    """Random pictures and classes: `torchvision.datasets.FakeData`.

    An item depends on its index alone. The classes are torchvision's; the pictures are too, except for
    single levels of 256, since normal numbers agree with torch's to the last bits.

    Parameters
    ----------
    size : int
        The number of pictures.
    image_size : (int, int, int)
        Channels, height, width.
    num_classes : int
        The number of classes.
    transform, target_transform : callable, optional
        Applied to the Pillow picture, and to the class.
    random_offset : int
        Added to the index, which is the seed.
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        random_offset: int = 0,
    ) -> None:
        self.size = size
        self.image_size = image_size
        self.num_classes = num_classes
        self.transform = transform
        self.target_transform = target_transform
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not 0 <= index < self.size:
            raise IndexError(f"FakeData: index {index} of {self.size} pictures")
        generator = Generator().manual_seed(index + self.random_offset)
        # As torch converts floats to bytes, which wrap around.
        levels = (generator.normal(self.image_size) * np.float32(255)).astype(np.int64) & 255
        picture: Any = to_pil(levels.astype(np.uint8).transpose(1, 2, 0))
        target: Any = int(generator.integers((1,), 0, self.num_classes)[0])
        if self.transform is not None:
            picture = self.transform(picture)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return picture, target

    def __len__(self) -> int:
        return self.size
