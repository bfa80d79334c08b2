"""A progress bar on stderr."""

from __future__ import annotations

from typing import Any

__all__ = ["Bar"]


class Bar:
    """Counts windows on stderr, if requested; for a `with` statement."""

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
        """Add `count` windows."""
        if self._bar is not None:
            self._bar.update(count)
