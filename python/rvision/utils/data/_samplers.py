"""Orders of a dataset's indices. Random ones are torch's for the same seed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sized
from typing import Any

from rvision._tensor import Generator, default_generator
from rvision.errors import ArgumentError

__all__ = ["BatchSampler", "RandomSampler", "Sampler", "SequentialSampler", "draw_seed"]


class Sampler:
    """An order of indices: a subclass defines ``__iter__``, and ``__len__`` if it is known."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")


class SequentialSampler(Sampler):
    """The indices of a dataset in order.

    Parameters
    ----------
    data_source : sized
        The dataset.
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


def draw_seed(generator: Generator) -> int:
    """Return what torch's ``random_()`` of one int64 draws: 63 bits."""
    return int(generator.integers((), 0, 2**63))


class RandomSampler(Sampler):
    """The indices of a dataset in random order, torch's for the same seed.

    Parameters
    ----------
    data_source : sized
        The dataset.
    replacement : bool
        Whether an index may come again.
    num_samples : int, optional
        How many indices, by default as many as the dataset has items.
    generator : Generator, optional
        The source of random numbers. By default each iteration has a new one, whose seed is drawn from
        `rvision.default_generator`.

    Raises
    ------
    ArgumentError
        If there are no samples.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if self.num_samples <= 0:
            raise ArgumentError(f"RandomSampler: num_samples must be 1 or more, got {self.num_samples}")

    @property
    def num_samples(self) -> int:
        """The number of indices."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        count, wanted = len(self.data_source), self.num_samples
        generator = self.generator
        if generator is None:
            generator = Generator().manual_seed(draw_seed(default_generator))
        if self.replacement:
            # torch draws 32 at a time.
            for start in range(0, wanted, 32):
                yield from generator.integers((min(32, wanted - start),), 0, count).tolist()
            return
        for _ in range(wanted // count):
            yield from generator.permutation(count).tolist()
        # torch draws this permutation also if nothing of it is used.
        yield from generator.permutation(count).tolist()[: wanted % count]

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of indices of another sampler.

    Parameters
    ----------
    sampler : iterable
        The indices.
    batch_size : int
        Indices of a list.
    drop_last : bool
        Whether to leave out the last list if it is shorter.

    Raises
    ------
    ArgumentError
        If `batch_size` is not a number from 1 on.
    """

    def __init__(self, sampler: Iterable[Any], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise ArgumentError(f"batch_size must be an integer from 1 on, got {batch_size!r}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[Any]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if self.drop_last and len(batch) < self.batch_size:
                return
            yield batch

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type]
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
