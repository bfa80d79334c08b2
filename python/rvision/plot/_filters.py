"""The filters of a convolution as a grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision._frames import ends_at_caller
from rvision.errors import ShapeError
from rvision.plot._axes import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@ends_at_caller
def filters(layer_or_weight: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the filters of a convolution as a grid, all on one scale.

    Filters of three channels are drawn in colour. Of others, the mean over the input channels is
    drawn in grey.

    Parameters
    ----------
    layer_or_weight
        A layer with a ``weight``, or the weight: float array ``[filters, channels, height, width]``.
    ax : matplotlib Axes, optional
        Where to draw. A new figure by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ShapeError
        The weight has not four dimensions, or is empty.
    """
    weight = np.asarray(getattr(layer_or_weight, "weight", layer_or_weight), dtype=np.float32)
    if weight.ndim != 4 or weight.size == 0:
        raise ShapeError(
            f"plot.filters: expected a weight [filters, channels, height, width], found shape {weight.shape}"
        )
    count, channels, height, width = weight.shape
    tiles = weight.transpose(0, 2, 3, 1) if channels == 3 else weight.mean(1)[..., None]
    low, high = tiles.min(), tiles.max()
    tiles = (tiles - low) / (high - low if high > low else 1)
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    grid = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, tiles.shape[-1]), np.float32)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        grid[top : top + height, left : left + width] = tile
    ax = axes_or_new(ax)
    ax.imshow(grid if channels == 3 else grid[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_title(f"{count} filters of {channels} x {height} x {width}")
    ax.set_axis_off()
    return ax
