"""A class's map over a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rvision.dense._map import Map
from rvision.errors import ArgumentError, ShapeError
from rvision.nn._inputs import as_array
from rvision.transforms._pictures import to_pil
from rvision.utils._images import as_picture

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["draw_heatmap"]

# From low to high, each lighter than the one before it, so that the order can be seen in grey too.
_COLORS = ((13, 20, 80), (98, 32, 136), (204, 58, 92), (247, 145, 48), (252, 240, 160))


def draw_heatmap(
    image: Any,
    map: Any | Map,
    label: int | None = None,
    *,
    alpha: float = 0.6,
    colors: Sequence[tuple[int, int, int]] = _COLORS,
    value_range: tuple[float, float] | None = None,
) -> Image:
    """Return a picture with a map of values laid over it in colours, interpolated between its cells.

    A cell of a :class:`rvision.dense.Map` stands at the centre of its window. Coloured is the part of the
    picture that has cells: up to half a stride beyond the outermost centres; the rim, where no window has its
    centre, stays as it is.

    Parameters
    ----------
    image : PIL.Image.Image or array_like
        A picture; uint8 (H, W, 3); or a tensor (1 or 3, H, W), uint8 or floats in [0, 1].
    map : Map or array_like
        What `rvision.dense.predict` returned for this picture, of which the probability of `label` is shown;
        or an array (h, w) of any values, spread over the whole picture.
    label : int, optional
        The class, with a `Map`.
    alpha : float
        Opacity of the colours, 0 to 1.
    colors : sequence of (int, int, int)
        RGB from low to high, two or more; between them colours are mixed.
    value_range : (float, float), optional
        Values of the first and the last color. By default from 0 to the highest probability for a `Map`, from
        the lowest to the highest value for an array.

    Returns
    -------
    PIL.Image.Image
        A new picture in RGB.

    Raises
    ------
    ShapeError
        If the map is not (h, w), or of a picture of another size.
    ArgumentError
        If there is no such class, values are not finite, or `alpha`, `colors` or `value_range` make no sense.
    """
    picture = as_picture(image, "draw_heatmap: image")
    if not 0 <= alpha <= 1:
        raise ArgumentError(f"draw_heatmap: alpha must be 0 to 1, got {alpha}")
    palette = _palette(colors)
    size = (picture.height, picture.width)
    if isinstance(map, Map):
        values = _class_values(map, label, size)
        places = [
            _places(size[d], values.shape[d], map.window_size[d], map.stride[d], map.scale[d]) for d in (0, 1)
        ]
        lowest = 0.0
    else:
        values = _array_values(map, label)
        pitches = [size[d] / values.shape[d] for d in (0, 1)]
        places = [_places(size[d], values.shape[d], pitches[d], pitches[d], 1.0) for d in (0, 1)]
        lowest = float(values.min())
    low, high = _range(value_range, lowest, float(values.max()))
    (rows, down), (columns, across) = places
    # A map of one value, which has no range, is low everywhere.
    values = ((values - low) / (high - low or 1.0)).clip(0, 1)
    heat = palette[(_interpolated(values, down, across) * (len(palette) - 1) + 0.5).astype(np.intp)]
    pixels = np.array(picture)
    covered = pixels[rows, columns]
    covered[...] = covered * np.float32(1 - alpha) + heat * np.float32(alpha) + np.float32(0.5)
    return to_pil(pixels)


def _class_values(map: Map, label: int | None, size: tuple[int, int]) -> NDArray[np.float32]:
    classes = len(map.scores)
    if label is None or not 0 <= label < classes:
        raise ArgumentError(f"draw_heatmap: label: expected a class, 0 to {classes - 1}, got {label}")
    if tuple(map.image_size) != size:
        raise ShapeError(
            f"draw_heatmap: map: expected one of a picture of {size[0]} x {size[1]} (height, width), "
            f"got one of {map.image_size[0]} x {map.image_size[1]}; draw on what was given to predict"
        )
    return _finite(map.probabilities()[label])


def _array_values(map: Any, label: int | None) -> NDArray[np.float32]:
    array = as_array(map, "draw_heatmap: map")
    if array.ndim != 2 or 0 in array.shape:
        raise ShapeError(
            f"draw_heatmap: map: expected a Map, or an array (h, w), got shape {array.shape}; choose a class"
        )
    if label is not None:
        raise ArgumentError(f"draw_heatmap: label: an array (h, w) has no classes, got {label}; leave it out")
    return _finite(array.astype(np.float32))


def _finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise ArgumentError("draw_heatmap: map: expected finite values, got NaN or infinity")
    return values


def _range(value_range: Sequence[float] | None, low: float, high: float) -> tuple[float, float]:
    if value_range is None:
        return low, high
    if len(value_range) != 2 or not value_range[0] < value_range[1]:
        raise ArgumentError(f"draw_heatmap: value_range must be (low, high), got {value_range!r}")
    return float(value_range[0]), float(value_range[1])


def _palette(colors: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """Return 256 colours, (256, 3)."""
    anchors = np.asarray(colors, np.float32)
    if (
        anchors.ndim != 2
        or anchors.shape[1] != 3
        or len(anchors) < 2
        or not ((anchors >= 0) & (anchors <= 255)).all()
    ):
        raise ArgumentError(
            f"draw_heatmap: colors: expected two or more (R, G, B) of 0 to 255, got {colors!r}"
        )
    at = np.linspace(0, 1, 256)
    known = np.linspace(0, 1, len(anchors))
    return np.stack([np.interp(at, known, anchors[:, c]) for c in range(3)], axis=1).astype(np.float32)


def _places(
    length: int, cells: int, window: float, stride: float, scale: float
) -> tuple[slice, NDArray[np.float64]]:
    """Return the pixels of a dimension that are coloured, and where among the cells each of them is."""
    # A pixel's centre, in pixels of the scaled picture, counted in strides from the first window's centre.
    at = ((np.arange(length) + 0.5) * scale - window / 2) / stride
    covered = np.flatnonzero((at >= -0.5) & (at <= cells - 0.5))
    first, last = (covered[0], covered[-1] + 1) if covered.size else (0, 0)
    return slice(first, last), at[first:last].clip(0, cells - 1)


def _interpolated(
    values: NDArray[np.float32], down: NDArray[np.float64], across: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the values at each pair of places, bilinear."""
    for axis, at in ((0, down), (1, across)):
        before = at.astype(np.intp)
        after = np.minimum(before + 1, values.shape[axis] - 1)
        weight = np.expand_dims((at - before).astype(np.float32), 1 - axis)
        values = values.take(before, axis) * (1 - weight) + values.take(after, axis) * weight
    return values
