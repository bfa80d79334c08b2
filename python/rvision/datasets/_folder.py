"""Files in class folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rvision.utils  # noqa: F401  (the package before its submodules, for threads)
from rvision._pictures import read_picture
from rvision.errors import ArgumentError
from rvision.utils.data import Dataset

__all__ = ["DatasetFolder", "ImageFolder"]

_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


class DatasetFolder(Dataset):
    """Files in class folders, ``root/cat/1.ext``: `torchvision.datasets.DatasetFolder`.

    Parameters
    ----------
    root : path
        The folder of the class folders.
    loader : callable
        Reads a file, given its path.
    extensions : tuple of str, optional
        Endings of the files; or give `is_valid_file`.
    transform, target_transform : callable, optional
        Applied to what `loader` returns, and to the class.
    is_valid_file : callable, optional
        Tells of a path whether it is one of the files.
    allow_empty : bool
        Whether a class folder may be without files.

    Attributes
    ----------
    classes : list of str
        The folders' names, sorted.
    class_to_idx : dict of str to int
        The class of each name: its position.
    samples : list of (str, int)
        Paths and classes, in torchvision's order.
    targets : list of int
        The classes of the files.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, no class folder, or a class folder without files.
    ArgumentError
        If not exactly one of `extensions` and `is_valid_file` is given.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        loader: Callable[[str], Any],
        extensions: Sequence[str] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        self.root = str(Path(root).expanduser())
        self.loader = loader
        self.extensions = extensions
        self.transform = transform
        self.target_transform = target_transform
        self.classes, self.class_to_idx = self.find_classes(self.root)
        self.samples = self.make_dataset(self.root, self.class_to_idx, extensions, is_valid_file, allow_empty)
        self.targets = [target for _, target in self.samples]

    def find_classes(self, directory: str | os.PathLike[str]) -> tuple[list[str], dict[str, int]]:
        """Return the class folders' names, sorted, and the class of each; a subclass may choose others."""
        if not Path(directory).is_dir():
            raise FileNotFoundError(f"{directory}: no such folder")
        classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
        if not classes:
            raise FileNotFoundError(f"{directory}: no class folders in it; pictures are in FOLDER/CLASS/")
        return classes, {name: index for index, name in enumerate(classes)}

    @staticmethod
    def make_dataset(
        directory: str | os.PathLike[str],
        class_to_idx: dict[str, int],
        extensions: Sequence[str] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> list[tuple[str, int]]:
        """Return the files of the class folders and below, with their classes."""
        if (extensions is None) == (is_valid_file is None):
            raise ArgumentError("DatasetFolder: give either extensions or is_valid_file")
        endings = (extensions,) if isinstance(extensions, str) else tuple(extensions or ())
        is_valid = is_valid_file or (lambda path: path.lower().endswith(endings))
        samples = []
        empty = []
        for name in sorted(class_to_idx):
            before = len(samples)
            for folder, _, files in sorted(os.walk(Path(directory) / name, followlinks=True)):
                paths = (str(Path(folder) / file) for file in sorted(files))
                samples += [(path, class_to_idx[name]) for path in paths if is_valid(path)]
            if len(samples) == before:
                empty.append(name)
        if empty and not allow_empty:
            kinds = f" ending in {', '.join(endings)}" if endings else ""
            raise FileNotFoundError(
                f"{directory}: no files{kinds} for the classes {', '.join(empty)}; remove their folders, or "
                "give allow_empty=True"
            )
        return samples

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        sample = self.loader(path)
        if self.transform is not None:
            sample = self.transform(sample)
        return sample, target if self.target_transform is None else self.target_transform(target)

    def __len__(self) -> int:
        return len(self.samples)


def _read_rgb(path: str) -> Any:
    """Return a file's picture in RGB, converted by Pillow as in torchvision."""
    return read_picture(path).convert("RGB")


class ImageFolder(DatasetFolder):
    """Pictures in class folders, ``root/cat/1.jpg``: `torchvision.datasets.ImageFolder`.

    Parameters
    ----------
    root : path
        The folder of the class folders.
    transform, target_transform : callable, optional
        Applied to the Pillow picture in RGB, such as ``weights.transforms()``, and to the class.
    loader : callable, optional
        Reads a file, given its path; by default with Pillow, in RGB.
    is_valid_file : callable, optional
        Tells of a path whether it is a picture; by default its ending does.
    allow_empty : bool
        Whether a class folder may be without pictures.

    Attributes
    ----------
    classes, class_to_idx, samples, targets
        As of `DatasetFolder`.
    imgs : list of (str, int)
        The same as `samples`.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, no class folder, or a class folder without pictures.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[str], Any] = _read_rgb,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        extensions = _ENDINGS if is_valid_file is None else None
        super().__init__(root, loader, extensions, transform, target_transform, is_valid_file, allow_empty)
        self.imgs = self.samples
