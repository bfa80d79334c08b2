"""Maps over their pictures, with colour bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rvision import dense
from rvision._frames import ends_at_caller
from rvision.dense._inside import categories_of, in_own_colours, prepare
from rvision.dense._map import as_shown
from rvision.errors import ArgumentError, UnsupportedError
from rvision.plot._axes import axes_or_new
from rvision.utils import draw_heatmap
from rvision.utils._heatmap import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of the colours over the picture, and of the bar beside it.
_ALPHA = 0.6


@ends_at_caller
def heatmap(
    map: dense.Map,
    label: int | str | None = None,
    picture: Any = None,
    *,
    value_range: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a class's probabilities over the picture, with a colour bar.

    Colours cover what the map covers, as in :func:`rvision.utils.draw_heatmap`: up to half a stride beyond
    the centres of the outermost windows.

    Parameters
    ----------
    map : Map
        What `rvision.dense.predict` or `rvision.dense.occlude` returned.
    label : int or str, optional
        The class; by default the most probable one.
    picture : PIL.Image.Image or array_like, optional
        By default the one that the map was made of.
    value_range : (float, float), optional
        The probabilities of the first and the last colour; by default 0 to 1.
    ax : matplotlib Axes, optional
        Where to draw. A new figure by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ArgumentError
        If the map does not know its picture and none is given, or there is no such class.
    """
    picture = map.picture if picture is None else picture
    if picture is None:
        raise ArgumentError("plot.heatmap: this map does not know its picture; pass picture=")
    index = map._index(label)
    title = f"{map._name(index)}: at most {map.probabilities()[index].max():.2f}"
    return _draw(as_shown(picture), map, index, value_range or (0.0, 1.0), title, "probability", ax)


@ends_at_caller
def cam(
    model: Any,
    picture: Any,
    label: int | str | None = None,
    *,
    transform: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a class activation map: what each position adds to the class's score.

    See :func:`rvision.dense.class_activation_map`, which gives the numbers.

    Parameters
    ----------
    model : Module
        A classifier that ends in a mean over positions and a linear layer.
    picture : PIL.Image.Image or array_like
        A Pillow picture; or an input (C, H, W), float32, already prepared.
    label : int or str, optional
        The class; by default the one with the highest score.
    transform : callable, optional
        Prepares the picture; by default the preset of the weights that the network was built with.
    ax : matplotlib Axes, optional
        Where to draw. A new figure by default.

    Returns
    -------
    matplotlib Axes
    """
    x = prepare(model, picture, transform, "plot.cam")
    try:
        maps = np.asarray(dense.class_activation_map(model, x))
    except UnsupportedError as error:
        raise UnsupportedError(f"plot.cam: {error}; plot.occlusion draws it") from None
    logits = maps.mean((1, 2))
    # A map of one cell knows the names of classes.
    named = dense.Map(logits[:, None, None], (1, 1), (1, 1), (1, 1), categories=categories_of(model))
    index = named._index(label)
    values = maps[index]
    limits = float(values.min()), float(values.max())
    title = f"{named._name(index)}: score {logits[index]:.2f}, the mean of the map"
    return _draw(in_own_colours(model, x[0], transform), values, None, limits, title, "score", ax)


@ends_at_caller
def occlusion(
    model: Any,
    picture: Any,
    label: int | str | None = None,
    *,
    window: int | tuple[int, int] = 32,
    stride: int | tuple[int, int] = 16,
    transform: Any = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a class's probability while a grey window covers each part of the picture in turn.

    Dark is where covering hurts. See :func:`rvision.dense.occlude`, which gives the numbers.

    Parameters
    ----------
    model : Module
        The classifier.
    picture : PIL.Image.Image or array_like
        A Pillow picture; or an input (C, H, W), float32, already prepared.
    label : int or str, optional
        The class; by default the most probable one of the uncovered picture.
    window, stride : int or (int, int)
        The covered part, and the distance from one to the next, in pixels of the prepared picture.
    transform : callable, optional
        Prepares the picture; by default the preset of the weights that the network was built with.
    ax : matplotlib Axes, optional
        Where to draw. A new figure by default.

    Returns
    -------
    matplotlib Axes
    """
    x = prepare(model, picture, transform, "plot.occlusion")
    covered = dense.occlude(model, x, window=window, stride=stride)
    whole = dense.Map(
        np.asarray(model(x))[0][:, None, None], (1, 1), (1, 1), (1, 1), categories=covered.categories
    )
    index = whole._index(label)
    before = float(whole.probabilities()[index, 0, 0])
    values = covered.probabilities()[index]
    title = f"{covered._name(index)}: {before:.2f} uncovered, {values.min():.2f} at least"
    limits = 0.0, max(before, float(values.max()))
    return _draw(
        in_own_colours(model, x[0], transform), covered, index, limits, title, "probability when covered", ax
    )


def _draw(
    picture: Any,
    map: Any,
    index: int | None,
    limits: tuple[float, float],
    title: str,
    what: str,
    ax: Axes | None,
) -> Axes:
    if limits[0] == limits[1]:
        limits = limits[0], limits[0] + 1
    drawn = draw_heatmap(picture, map, index, value_range=limits, legend=False, alpha=_ALPHA)
    ax = axes_or_new(ax)
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    colors = LinearSegmentedColormap.from_list("heat", [tuple(c / 255 for c in color) for color in COLORS])
    ax.imshow(drawn)
    ax.set_title(title)
    ax.set_axis_off()
    figure = ax.get_figure()
    assert figure is not None
    figure.colorbar(ScalarMappable(Normalize(*limits), colors), ax=ax, label=what, alpha=_ALPHA)
    return ax
