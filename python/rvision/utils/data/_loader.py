"""The loader of batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NoResult
from itertools import islice, repeat
from typing import Any

from rvision._tensor import Generator, default_generator
from rvision.errors import ArgumentError, UnsupportedError
from rvision.utils.data._collate import convert, default_collate
from rvision.utils.data._datasets import IterableDataset
from rvision.utils.data._samplers import BatchSampler, RandomSampler, SequentialSampler, draw_seed

__all__ = ["DataLoader"]

# What a task returns if an IterableDataset has no more items.
_END = object()


class DataLoader:
    """Batches of a dataset: `torch.utils.data.DataLoader`, with threads as workers.

    The batches and, for the same seed, their order are those of torch. The order does not depend on the
    number of workers. An IterableDataset is read by one thread, so each item comes once; in torch every
    worker process reads a copy. Random transforms draw from one generator, so with workers their numbers
    depend on the threads' timing.

    Parameters
    ----------
    dataset : Dataset
        Items by index (anything with ``__getitem__`` and ``__len__``), or an IterableDataset.
    batch_size : int, optional
        Items of a batch; None yields single items.
    shuffle : bool, optional
        Whether to draw a new random order for each iteration.
    sampler : iterable of int, optional
        The order of the items, in place of `shuffle`.
    batch_sampler : iterable of list of int, optional
        The items of each batch, in place of `batch_size`, `shuffle`, `sampler` and `drop_last`.
    num_workers : int
        Threads that load batches ahead; 0 loads each when it is asked for. Pillow decodes and NumPy
        computes in parallel; a dataset's own Python code does not.
    collate_fn : callable, optional
        Makes a batch of a list of items; `default_collate` by default.
    pin_memory, persistent_workers, in_order
        No effect: there is no other device, threads are cheap to start, and the order is always kept.
    drop_last : bool
        Whether to leave out the last batch if it is smaller.
    timeout : float
        Seconds to wait for a worker's batch; 0 waits without end.
    worker_init_fn, multiprocessing_context
        Refused: workers are threads of this process.
    generator : Generator, optional
        The source of the random order.
    prefetch_factor : int, optional
        Batches loaded ahead by each worker, 2 by default.
    pin_memory_device : str
        "" or "cpu".

    Raises
    ------
    ArgumentError
        If arguments are out of range or exclude each other.
    UnsupportedError
        For arguments of worker processes.

    Examples
    --------
    >>> import rvision
    >>> from rvision.utils.data import DataLoader, TensorDataset
    >>> data = TensorDataset(rvision.zeros(5, 3), rvision.arange(5))
    >>> [labels.tolist() for _, labels in DataLoader(data, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __class_getitem__(cls, item: Any) -> Any:
        return cls

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0 or timeout < 0 or (prefetch_factor is not None and prefetch_factor < 1):
            raise ArgumentError(
                "DataLoader: num_workers and timeout must be 0 or more, and prefetch_factor 1 or more, got "
                f"{num_workers}, {timeout} and {prefetch_factor}"
            )
        if num_workers == 0 and prefetch_factor is not None:
            raise ArgumentError("DataLoader: prefetch_factor needs num_workers of 1 or more")
        if multiprocessing_context is not None or (worker_init_fn is not None and num_workers > 0):
            name = "worker_init_fn" if multiprocessing_context is None else "multiprocessing_context"
            raise UnsupportedError(
                f"DataLoader: {name} is for worker processes, and rvision's workers are threads of this "
                "process; leave it out (generator= determines the random order)"
            )
        if pin_memory_device not in ("", "cpu"):
            raise UnsupportedError(
                f"DataLoader: pin_memory_device {pin_memory_device!r}: there is only the CPU"
            )
        self._iterable = isinstance(dataset, IterableDataset)
        if self._iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ArgumentError(
                "DataLoader: an IterableDataset has its own order; leave out shuffle, sampler, batch_sampler"
            )
        if sampler is not None and shuffle:
            raise ArgumentError("DataLoader: sampler and shuffle exclude each other; leave out one")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ArgumentError(
                    "DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ArgumentError("DataLoader: drop_last needs a batch_size")
        self.dataset = dataset
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.drop_last = drop_last
        self.timeout = timeout
        self.generator = generator
        if sampler is None:
            if self._iterable:
                sampler = _Endless()
            else:
                sampler = (
                    RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
                )
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.collate_fn = collate_fn or (convert if batch_sampler is None else default_collate)

    def __len__(self) -> int:
        if not self._iterable:
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore
        count = len(self.dataset)
        if self.batch_size is None:
            return count
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        places = iter(self.sampler if self.batch_sampler is None else self.batch_sampler)
        # torch draws its workers' seed here, before the order: the generators stay in step.
        draw_seed(self.generator or default_generator)
        load = self._stream() if self._iterable else self._load
        return self._threaded(load, places) if self.num_workers else self._plain(load, places)

    def _plain(self, load: Callable[[Any], Any], places: Iterator[Any]) -> Iterator[Any]:
        for place in places:
            batch = load(place)
            if batch is _END:
                return
            yield batch

    def _threaded(self, load: Callable[[Any], Any], places: Iterator[Any]) -> Iterator[Any]:
        # One thread reads a stream, or its batches would not be in order.
        pool = ThreadPoolExecutor(1 if self._iterable else self.num_workers, "rvision-loader")
        ahead = self.num_workers * (self.prefetch_factor or 1)
        finished = True
        try:
            running = deque(pool.submit(load, place) for place in islice(places, ahead))
            while running:
                try:
                    batch = running[0].result(self.timeout or None)
                except NoResult:
                    if running[0].done():
                        raise  # the dataset's own
                    finished = False
                    raise RuntimeError(
                        f"DataLoader: no batch within timeout={self.timeout} seconds"
                    ) from None
                running.popleft()
                if batch is _END:
                    return
                running.extend(pool.submit(load, place) for place in islice(places, 1))
                yield batch
        finally:
            # Also after an error, Ctrl-C or a break out of the loop: no thread is left behind.
            pool.shutdown(wait=finished, cancel_futures=True)

    def _load(self, place: Any) -> Any:
        if self.batch_sampler is None:
            return self.collate_fn(self._item(place))
        whole = getattr(self.dataset, "__getitems__", None)
        items = whole(place) if callable(whole) else [self._item(index) for index in place]
        return self.collate_fn(items)

    def _item(self, index: Any) -> Any:
        try:
            return self.dataset[index]
        except Exception as error:
            _note(error, f"(item {index!r} of the dataset {type(self.dataset).__name__})")
            raise

    def _stream(self) -> Callable[[Any], Any]:
        items = iter(self.dataset)

        def load(place: Any) -> Any:
            if self.batch_sampler is None:
                item = next(items, _END)
                return item if item is _END else self.collate_fn(item)
            batch = list(islice(items, len(place)))
            if not batch or (self.drop_last and len(batch) < len(place)):
                return _END
            return self.collate_fn(batch)

        return load


def _note(error: Exception, text: str) -> None:
    if hasattr(error, "add_note"):
        error.add_note(text)
    elif len(error.args) == 1 and isinstance(error.args[0], str):
        # Python 3.10
        error.args = (f"{error.args[0]} {text}",)


class _Endless:
    """The order of a stream: any number of items."""

    def __iter__(self) -> Iterator[None]:
        return repeat(None)
