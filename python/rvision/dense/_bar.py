"""A bar on stderr for what takes long."""

from __future__ import annotations

from typing import Any

__all__ = ["Bar"]


class Bar:
    """Counts windows on stderr, where it is wanted; for a `with` statement."""

    def __init__(self, total: int, wanted: bool) -> None:
        self._bar: Any = None
        if wanted:
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit="window", leave=False)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, count: int) -> None:
        """Count so many windows."""
        if self._bar is not None:
            self._bar.update(count)
