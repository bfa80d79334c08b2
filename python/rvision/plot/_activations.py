"""The feature maps inside a network as a grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision._frames import ends_at_caller
from rvision._numbers import integer
from rvision.dense._inside import prepare
from rvision.errors import ShapeError
from rvision.models.feature_extraction import create_feature_extractor
from rvision.plot._axes import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@ends_at_caller
def activations(
    model: Any,
    picture: Any,
    node: str,
    *,
    channels: int = 64,
    transform: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the feature maps of a node as a grid, all on one scale, with a colour bar.

    Parameters
    ----------
    model : Module
        The network.
    picture : PIL.Image.Image or array_like
        A Pillow picture; or an input (C, H, W), float32, already prepared.
    node : str
        A name of `rvision.models.feature_extraction.get_graph_node_names`, such as ``"layer2"``.
    channels : int
        How many maps to draw at most, from the first on.
    transform : callable, optional
        Prepares the picture; by default the preset of the weights that the network was built with.
    ax : matplotlib Axes, optional
        Where to draw. A new figure by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ShapeError
        If the node's value is not (1, C, H, W).
    """
    most = integer(channels, "plot.activations: channels", 1)
    x = prepare(model, picture, transform, "plot.activations")
    values = np.asarray(create_feature_extractor(model, {node: "value"}, input_size=x.shape)(x)["value"])
    if values.ndim != 4:
        raise ShapeError(
            f"plot.activations: expected a node with feature maps (1, C, H, W), and {node!r} is "
            f"{values.shape}"
        )
    maps = values[0, :most]
    count, height, width = maps.shape
    columns = math.ceil(math.sqrt(count * height / width))
    rows = math.ceil(count / columns)
    # A line of nothing between the maps.
    grid = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan, np.float32)
    for at, map in enumerate(maps):
        top, left = at // columns * (height + 1), at % columns * (width + 1)
        grid[top : top + height, left : left + width] = map
    ax = axes_or_new(ax)
    image = ax.imshow(grid, cmap="magma", interpolation="nearest")
    of = f"{count} of {values.shape[1]} maps" if count < values.shape[1] else f"{count} maps"
    ax.set_title(f"{node}: {of} of {height} x {width}")
    ax.set_axis_off()
    figure = ax.get_figure()
    assert figure is not None
    figure.colorbar(image, ax=ax, label="activation")
    return ax
