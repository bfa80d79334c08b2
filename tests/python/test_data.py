"""`rvision.utils.data`: datasets, samplers and the loader, against torch's."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision.utils import data
from rvision.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
    random_split,
)

Pair = namedtuple("Pair", "x y")


class Squares(Dataset):
    def __init__(self, count=10):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        return np.full((2,), index, np.float32), index * index


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(7))

    def __len__(self):
        return 7


def labels(loader):
    return [batch[1].tolist() for batch in loader]


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("rvision-loader")]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_in_order_and_again(workers):
    loader = DataLoader(Squares(), batch_size=4, num_workers=workers)
    expected = [[0, 1, 4, 9], [16, 25, 36, 49], [64, 81]]
    assert labels(loader) == labels(loader) == expected and len(loader) == 3
    loader = DataLoader(Squares(), batch_size=4, num_workers=workers, drop_last=True)
    assert labels(loader) == expected[:2] and len(loader) == 2
    x, y = next(iter(loader))
    assert type(x) is type(y) is rvision.Tensor
    assert (x.dtype, y.dtype, x.shape) == (np.float32, np.int64, (4, 2))
    assert loader_threads() == []


def test_slow_items_do_not_change_the_order():
    class Slow(Squares):
        def __getitem__(self, index):
            time.sleep(0.02 if index % 4 == 0 else 0)
            return super().__getitem__(index)

    loader = DataLoader(Slow(), batch_size=2, num_workers=4, prefetch_factor=1)
    assert labels(loader) == [[0, 1], [4, 9], [16, 25], [36, 49], [64, 81]]


@pytest.mark.parametrize("workers", [0, 2])
def test_streams(workers):
    loader = DataLoader(Stream(), batch_size=3, num_workers=workers)
    assert [batch.tolist() for batch in loader] == [[0, 1, 2], [3, 4, 5], [6]] and len(loader) == 3
    loader = DataLoader(Stream(), batch_size=3, num_workers=workers, drop_last=True)
    assert [batch.tolist() for batch in loader] == [[0, 1, 2], [3, 4, 5]] and len(loader) == 2
    assert list(DataLoader(Stream(), batch_size=None, num_workers=workers)) == list(range(7))


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_name_the_item(workers):
    class Faulty(Squares):
        def __getitem__(self, index):
            if index == 5:
                raise ValueError("a damaged picture")
            return super().__getitem__(index)

    with pytest.raises(ValueError, match="a damaged picture") as caught:
        list(DataLoader(Faulty(), batch_size=2, num_workers=workers))
    text = " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert "item 5 of the dataset Faulty" in text
    assert loader_threads() == []


def test_breaking_out_leaves_no_threads():
    for _ in DataLoader(Squares(100), num_workers=3):
        break
    assert loader_threads() == []


def test_an_interrupt_leaves_no_threads():
    with pytest.raises(KeyboardInterrupt):
        for _ in DataLoader(Squares(100), num_workers=3):
            raise KeyboardInterrupt
    assert loader_threads() == []


def test_a_timeout():
    release = threading.Event()

    class Stuck(Squares):
        def __getitem__(self, index):
            release.wait(10)
            return index

    with pytest.raises(RuntimeError, match=r"no batch within timeout=0\.05"):
        list(DataLoader(Stuck(), num_workers=1, timeout=0.05))
    release.set()


def test_samplers():
    assert list(SequentialSampler(range(4))) == [0, 1, 2, 3]
    assert list(BatchSampler(range(5), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]
    assert len(BatchSampler(range(5), 2, True)) == 2
    assert sorted(RandomSampler(range(9))) == list(range(9))
    assert labels(DataLoader(Squares(), 2, sampler=[3, 1, 2])) == [[9, 1], [4]]
    assert labels(DataLoader(Squares(), batch_sampler=[[3, 1], [2]])) == [[9, 1], [4]]


def test_random_orders_without_torch():
    # torch 2.14: torch.manual_seed(0); list(RandomSampler(range(8)))
    rvision.manual_seed(0)
    assert list(RandomSampler(range(8))) == [2, 5, 4, 6, 1, 7, 0, 3]


@pytest.mark.parametrize("workers", [0, 2])
def test_random_orders_are_torchs(torch, workers):
    for generator in (False, True):
        rvision.manual_seed(3), torch.manual_seed(3)
        made = {}
        for library, tool in ((rvision, data), (torch, torch.utils.data)):
            source = library.Generator().manual_seed(7) if generator else None
            loader = tool.DataLoader(
                range(37),
                batch_size=5,
                shuffle=True,
                generator=source,
                num_workers=workers if library is rvision else 0,
            )
            made[library] = [[batch.tolist() for batch in loader] for _ in range(2)]
        assert made[rvision] == made[torch]
        assert rvision.rand(1).tolist() == torch.rand(1).tolist(), "the generators stay in step"
    for options in ({"replacement": True, "num_samples": 70}, {"num_samples": 25}, {}):
        rvision.manual_seed(5), torch.manual_seed(5)
        assert list(RandomSampler(range(10), **options)) == list(
            torch.utils.data.RandomSampler(range(10), **options)
        )
    for lengths in ([3, 7], [0.3, 0.3, 0.4]):
        ours = random_split(range(10), lengths, rvision.Generator().manual_seed(42))
        theirs = torch.utils.data.random_split(range(10), lengths, torch.Generator().manual_seed(42))
        assert [part.indices for part in ours] == [part.indices for part in theirs]


BATCHES = [
    [1, 2],
    [True, False],
    [True, 2],
    [1, 2.5],
    [0.5, 1],
    ["a", "b"],
    [b"a", b"b"],
    [(1, "a"), (2, "b")],
    [[1, 0.5], [2, 0.25]],
    [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    [OrderedDict(a=[1]), OrderedDict(a=[2])],
    [Pair(1, 0.5), Pair(2, 1.5)],
    [np.float32(1), np.float32(2)],
    [np.float64(1), np.float64(2)],
    [np.ones((2, 1), np.uint8), np.zeros((2, 1), np.uint8)],
    [np.ones(3), np.zeros(3)],
]


def plain(value):
    """Return a batch with its tensors as (type, values)."""
    if hasattr(value, "dtype"):
        array = np.asarray(value)
        return array.dtype.name, array.tolist()
    if isinstance(value, dict):
        return type(value), [(key, plain(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [plain(item) for item in value]
    return value


@pytest.mark.parametrize("batch", BATCHES, ids=repr)
def test_collate_is_torchs(torch, batch):
    assert plain(default_collate(batch)) == plain(torch.utils.data.default_collate(batch))


def test_collate_without_torch():
    x, y = default_collate([(np.ones(2, np.float32), 3), (np.zeros(2, np.float32), 4)])
    assert plain(x) == ("float32", [[1, 1], [0, 0]]) and plain(y) == ("int64", [3, 4])
    assert plain(default_collate([0.5, 1.5])) == ("float64", [0.5, 1.5])


def test_what_cannot_be_collated():
    picture = Image.new("RGB", (2, 2))
    with pytest.raises(TypeError, match=r"items\[0\] are Pillow pictures; give the dataset a transform"):
        default_collate([(picture, 1), (picture, 2)])
    with pytest.raises(rvision.ShapeError, match=r"different shapes \(\(2,\), \(3,\)\); resize"):
        default_collate([np.zeros(2), np.zeros(3)])
    with pytest.raises(rvision.ShapeError, match="different lengths"):
        default_collate([[1], [1, 2]])
    with pytest.raises(TypeError, match="got object"):
        default_collate([object()])


def test_datasets():
    x, y = rvision.arange(6).reshape(3, 2), rvision.arange(3)
    pairs = TensorDataset(x, y)
    assert len(pairs) == 3 and pairs[1][0].tolist() == [2, 3] and int(pairs[1][1]) == 1
    both = Squares(3) + Squares(2)
    assert isinstance(both, ConcatDataset) and len(both) == 5
    assert [both[i][1] for i in range(-1, 5)] == [1, 0, 1, 4, 0, 1]
    assert Subset(Squares(), [4, 2])[1][1] == 4 and len(Subset(Squares(), [4, 2])) == 2
    with pytest.raises(rvision.ArgumentError, match="same length"):
        TensorDataset(x, y[:2])
    with pytest.raises(rvision.ArgumentError, match="at least one"):
        ConcatDataset([])
    with pytest.raises(rvision.ArgumentError, match="add up to 9"):
        random_split(range(10), [4, 5])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_workers": -1}, "num_workers"),
        ({"prefetch_factor": 2}, "needs num_workers"),
        ({"shuffle": True, "sampler": [1]}, "exclude each other"),
        ({"batch_sampler": [[1]], "batch_size": 2}, "batch_sampler excludes"),
        ({"batch_size": None, "drop_last": True}, "drop_last needs"),
        ({"batch_size": 0}, "batch_size must be"),
    ],
)
def test_wrong_arguments(options, words):
    with pytest.raises(rvision.ArgumentError, match=words):
        DataLoader(Squares(), **options)


def test_arguments_of_processes():
    DataLoader(Squares(), num_workers=1, pin_memory=True, persistent_workers=True, in_order=False)
    with pytest.raises(rvision.UnsupportedError, match="worker_init_fn is for worker processes"):
        DataLoader(Squares(), num_workers=1, worker_init_fn=print)
    with pytest.raises(rvision.UnsupportedError, match="multiprocessing_context"):
        DataLoader(Squares(), multiprocessing_context="spawn")
    with pytest.raises(rvision.ArgumentError, match="IterableDataset has its own order"):
        DataLoader(Stream(), shuffle=True)
    assert rvision.utils.data.DataLoader is DataLoader
