"""A progress bar."""

from __future__ import annotations

from typing import Any

from rvision._progress import bar

__all__ = ["Bar"]


class Bar:
    """Counts windows, if requested; for a `with` statement."""

    def __init__(self, total: int, wanted: bool) -> None:
        self._bar: Any = None
        if wanted:
            self._bar = bar(total=total, unit="window", leave=False)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, count: int) -> None:
        """Add `count` windows."""
        if self._bar is not None:
            self._bar.update(count)
