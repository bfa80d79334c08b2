"""The axes that a figure is drawn in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def pyplot() -> Any:
    """Return `matplotlib.pyplot`.

    Raises
    ------
    ImportError
        With what to install, if matplotlib is missing.
    """
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError('rvision.plot needs matplotlib: pip install "rvision[plot]"') from error
    return pyplot


def axes_or_new(ax: Axes | None, size: tuple[float, float] | None = None) -> Axes:
    """Return ``ax``, or the axes of a new figure of a size in inches if it is None."""
    if ax is not None:
        return ax
    return pyplot().subplots(layout="constrained", figsize=size)[1]  # type: ignore[no-any-return]
