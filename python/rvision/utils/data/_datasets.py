"""Datasets: items by index, or one after the other."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rvision._frames import ends_at_caller, warn
from rvision._tensor import Generator, default_generator
from rvision.errors import ArgumentError

__all__ = ["ConcatDataset", "Dataset", "IterableDataset", "Subset", "TensorDataset", "random_split"]


class Dataset:
    """Items by index: a subclass defines ``__getitem__`` and ``__len__``. ``a + b`` is both in a row."""

    def __class_getitem__(cls, item: Any) -> Any:
        return cls

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Items one after the other: a subclass defines ``__iter__``, and ``__len__`` if it is known."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")


class TensorDataset(Dataset):
    """Tuples of the rows of arrays.

    Parameters
    ----------
    *tensors : array
        Arrays of the same length.

    Raises
    ------
    ArgumentError
        If there are none, or their lengths differ.
    """

    def __init__(self, *tensors: Any) -> None:
        lengths = {len(tensor) for tensor in tensors}
        if len(lengths) != 1:
            found = ", ".join(str(tuple(tensor.shape)) for tensor in tensors) or "none"
            raise ArgumentError(f"TensorDataset: expected arrays of the same length, got {found}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class Subset(Dataset):
    """Some items of a dataset.

    Parameters
    ----------
    dataset : Dataset
        All items.
    indices : sequence of int
        Which, in which order.
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset):
    """Datasets in a row.

    Parameters
    ----------
    datasets : iterable of Dataset
        One or more, each with a length.

    Raises
    ------
    ArgumentError
        If there are none, or one is an IterableDataset.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ArgumentError("ConcatDataset: expected at least one dataset, got none")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise ArgumentError("ConcatDataset: an IterableDataset has no items by index")
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"ConcatDataset: index {index} of {len(self)} items")
        index %= len(self)
        place = bisect.bisect_right(self.cumulative_sizes, index)
        return self.datasets[place][index - (self.cumulative_sizes[place - 1] if place else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


@ends_at_caller
def random_split(
    dataset: Any, lengths: Sequence[float], generator: Generator | None = default_generator
) -> list[Subset]:
    """Split a dataset at random, as torch does for the same seed.

    Parameters
    ----------
    dataset : Dataset
        What to split.
    lengths : sequence of int or float
        The parts' lengths; or fractions that add up to 1.
    generator : Generator, optional
        The source of random numbers.

    Returns
    -------
    list of Subset

    Raises
    ------
    ArgumentError
        If the lengths do not add up to the dataset's.
    """
    count = len(dataset)
    total = sum(lengths)
    if math.isclose(total, 1) and total <= 1:
        if any(not 0 <= fraction <= 1 for fraction in lengths):
            raise ArgumentError(f"random_split: expected fractions from 0 to 1, got {list(lengths)}")
        sizes = [math.floor(count * fraction) for fraction in lengths]
        for place in range(count - sum(sizes)):
            sizes[place % len(sizes)] += 1
        for place, size in enumerate(sizes):
            if size == 0:
                warn(f"random_split: part {place} is empty: {count} items, fractions {list(lengths)}")
        lengths = sizes
    elif total != count:
        raise ArgumentError(
            f"random_split: the lengths {list(lengths)} add up to {total}, but the dataset has {count} items"
        )
    indices = (generator or default_generator).permutation(count).tolist()
    return [
        Subset(dataset, indices[int(end - length) : int(end)])
        for end, length in zip(itertools.accumulate(lengths), lengths, strict=True)
    ]
