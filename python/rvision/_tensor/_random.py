"""Random numbers: those of torch's CPU generator for the same seed.

The generator is a Mersenne Twister (MT19937) seeded as torch seeds it. Uniform numbers have the same bits as
torch's. Normal ones come from the same uniform numbers through the Box-Muller transform, and may differ in
the last bits, as they do between torch's own builds.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvision._tensor._device import cpu_only
from rvision.errors import ArgumentError

__all__ = ["Generator", "default_generator"]

# From so many numbers on torch transforms blocks of 16.
_BLOCK = 16
_DEFAULT_SEED = 67280421310721


class Generator:
    """A source of random numbers: `torch.Generator` of the CPU.

    Parameters
    ----------
    device : str
        "cpu".
    """

    def __init__(self, device: Any = "cpu") -> None:
        cpu_only(device, "Generator")
        self._lock = threading.Lock()
        self._engine: Any = None
        self._next_normal: float | None = None
        self.manual_seed(_DEFAULT_SEED)

    def manual_seed(self, seed: int) -> Generator:
        """Begin the sequence of `seed`, an integer of 64 bits of which the lower 32 count."""
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            raise ArgumentError(f"manual_seed: expected an integer, got {seed!r}")
        if not -(2**63) <= seed < 2**64:
            raise ArgumentError(f"manual_seed: expected an integer of 64 bits, got {seed}")
        with self._lock:
            self._seed = int(seed) % 2**64
            # Made when it is first used: importing numpy.random takes time.
            self._engine = None
            self._next_normal = None
        return self

    def seed(self) -> int:
        """Begin the sequence of a seed that the system draws, and return it."""
        seed = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """Return the seed of the present sequence."""
        return self._seed

    def _raw(self, count: int) -> NDArray[np.uint64]:
        if self._engine is None:
            self._engine = np.random.MT19937()
            self._engine._legacy_seeding(self._seed & 0xFFFFFFFF)
        return self._engine.random_raw(count)

    def _raw64(self, count: int) -> NDArray[np.uint64]:
        raw = self._raw(2 * count)
        return (raw[::2] << np.uint64(32)) | raw[1::2]

    def _fractions(self, count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return numbers from 0 up to but without 1, of 24 random bits in float32 and 53 in float64."""
        if dtype == np.float64:
            return (self._raw64(count) & np.uint64(2**53 - 1)).astype(np.float64) * 2.0**-53
        return (self._raw(count) & np.uint64(2**24 - 1)).astype(np.float32) * np.float32(2**-24)

    def uniform(
        self, shape: Sequence[int], low: float = 0.0, high: float = 1.0, dtype: Any = np.float32
    ) -> NDArray[Any]:
        """Return numbers between `low` and `high`, without `high`: torch's `uniform_`."""
        kind = np.dtype(dtype)
        with self._lock:
            values = self._fractions(math.prod(shape), kind)
        # In the type of the numbers, as torch computes.
        scalar = values.dtype.type
        values = values * (scalar(high) - scalar(low)) + scalar(low)
        return values.astype(kind, copy=False).reshape(shape)

    def normal(
        self, shape: Sequence[int], mean: float = 0.0, std: float = 1.0, dtype: Any = np.float32
    ) -> NDArray[Any]:
        """Return normally distributed numbers: torch's `normal_`."""
        kind = np.dtype(dtype)
        count = math.prod(shape)
        with self._lock:
            values = self._blocks(count, mean, std, kind) if count >= _BLOCK else self._few(count, mean, std)
        return values.astype(kind, copy=False).reshape(shape)

    def _blocks(self, count: int, mean: float, std: float, dtype: np.dtype[Any]) -> NDArray[Any]:
        values = self._fractions(count, dtype)
        whole = count - count % _BLOCK
        values[:whole] = _box_muller(values[:whole], mean, std)
        if whole < count:
            # The last block overlaps the one before it, and is drawn anew.
            values[-_BLOCK:] = _box_muller(self._fractions(_BLOCK, dtype), mean, std)
        return values

    def _few(self, count: int, mean: float, std: float) -> NDArray[np.float64]:
        values = np.empty(count)
        for index in range(count):
            if self._next_normal is not None:
                value, self._next_normal = self._next_normal, None
            else:
                angle, distance = self._fractions(2, np.dtype(np.float64))
                radius = math.sqrt(-2.0 * math.log1p(-distance))
                value = radius * math.cos(2.0 * math.pi * angle)
                self._next_normal = radius * math.sin(2.0 * math.pi * angle)
            values[index] = value * std + mean
        return values

    def integers(self, shape: Sequence[int], low: int, high: int) -> NDArray[np.int64]:
        """Return integers from `low` up to but without `high`: torch's `randint`."""
        span = int(high) - int(low)
        if span <= 0:
            raise ArgumentError(f"randint: expected low below high, got {low} and {high}")
        count = math.prod(shape)
        with self._lock:
            # torch takes 64 bits where 32 would make some numbers noticeably more likely.
            raw = self._raw64(count) if span >= 2**28 else self._raw(count)
        return ((raw % np.uint64(span)).astype(np.int64) + np.int64(low)).reshape(shape)

    def permutation(self, count: int) -> NDArray[np.int64]:
        """Return the integers below `count` in random order: torch's `randperm`."""
        order = np.arange(count, dtype=np.int64)
        if count < 2:
            return order
        with self._lock:
            raw = self._raw(count - 1)
        steps = (raw % np.arange(count, 1, -1, dtype=np.uint64)).tolist()
        items = order.tolist()
        for index, step in enumerate(steps):
            other = index + step
            items[index], items[other] = items[other], items[index]
        order[:] = items
        return order


def _box_muller(values: NDArray[Any], mean: float, std: float) -> NDArray[Any]:
    """Turn blocks of 16 uniform numbers into normal ones, in their own type."""
    blocks = values.reshape(-1, 2, 8)
    scalar = values.dtype.type
    radius = np.sqrt(scalar(-2) * np.log(scalar(1) - blocks[:, 0]))
    theta = (2 * math.pi * blocks[:, 1].astype(np.float64)).astype(values.dtype)
    normal = np.stack([radius * np.cos(theta), radius * np.sin(theta)], 1)
    return (normal * scalar(std) + scalar(mean)).reshape(-1)


default_generator = Generator()
"""What functions draw from that are given no generator: `torch.default_generator`."""
