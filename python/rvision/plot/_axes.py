"""The axes that a figure is drawn in."""

from __future__ import annotations


def axes_or_new(ax):
    """``ax``, or the axes of a new figure if it is None."""
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError('rvision.plot needs matplotlib: pip install "rvision[plot]"') from error
    return pyplot.subplots(layout="constrained")[1]
