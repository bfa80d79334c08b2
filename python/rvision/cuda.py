"""torch.cuda's questions, all answered with no: rvision runs on the CPU."""

from __future__ import annotations

from typing import Any

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed", "manual_seed_all", "synchronize"]


def is_available() -> bool:
    """Return False: `torch.cuda.is_available`."""
    return False


def device_count() -> int:
    """Return 0: `torch.cuda.device_count`."""
    return 0


def manual_seed(seed: int) -> None:
    """Do nothing, as torch without a GPU does: `torch.cuda.manual_seed`."""


def manual_seed_all(seed: int) -> None:
    """Do nothing, as torch without a GPU does: `torch.cuda.manual_seed_all`."""


def empty_cache() -> None:
    """Do nothing, as torch without a GPU does: `torch.cuda.empty_cache`."""


def synchronize(device: Any = None) -> None:
    """Do nothing: every call has finished when it returns."""
