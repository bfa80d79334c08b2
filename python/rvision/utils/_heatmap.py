"""A class's map over a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from rvision.errors import ArgumentError, ShapeError
from rvision.nn._inputs import as_array
from rvision.transforms._pictures import to_pil
from rvision.utils._images import as_picture
from rvision.utils._legend import Bar, with_legend

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["COLORS", "FLOOR", "draw_heatmap", "in_digits", "nowhere_above"]

# From low to high, each lighter than the previous one, so that the order is visible in grey too.
COLORS = ((13, 20, 80), (98, 32, 136), (204, 58, 92), (247, 145, 48), (252, 240, 160))
_MEDIUM = 128

FLOOR = 0.01
"""The probability below which a class counts as absent: ten times that of a guess among 1,000 classes."""


class Map(Protocol):
    """What is used of a :class:`rvision.dense.Map`, which itself uses this file to show itself."""

    scores: NDArray[np.float32]
    window_size: tuple[int, int]
    stride: tuple[int, int]
    image_size: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[int, int]

    def probabilities(self) -> NDArray[np.float32]: ...


def _is_map(map: Any) -> TypeGuard[Map]:
    return hasattr(map, "window_size") and hasattr(map, "probabilities")


def draw_heatmap(
    image: Any,
    map: Any,
    label: int | None = None,
    *,
    alpha: float = 0.6,
    colors: Sequence[tuple[int, int, int]] = COLORS,
    value_range: tuple[float, float] | str | None = None,
    show: str = "probability",
    categories: Sequence[str] | None = None,
    floor: float = FLOOR,
    legend: bool = True,
) -> Image:
    """Return a picture overlaid with a map of values in colours, interpolated between its cells.

    A cell of a :class:`rvision.dense.Map` is at the centre of its window. The part of the picture
    that has cells is coloured: up to half a stride beyond the outermost centres. The rim, where no
    window has its centre, is unchanged; a map with `pad` (`rvision.dense.predict`) has no rim.

    By default colours stand for the same probabilities in every picture: from 0 to 1. A class that
    is nowhere more probable than `floor` is not painted at all; the picture turns grey, and its
    title names the most probable class.

    Parameters
    ----------
    image : PIL.Image.Image or array_like
        A picture; uint8 (H, W, 3); or a tensor (1 or 3, H, W), uint8 or floats in [0, 1].
    map : Map or array_like
        The result of `rvision.dense.predict` for this picture, of which the probability of `label`
        is shown; or an array (h, w) of any values, stretched over the whole picture.
    label : int, optional
        The class, with a `Map`.
    alpha : float
        Opacity of the colours, 0 to 1.
    colors : sequence of (int, int, int)
        RGB from low to high, two or more; colours are interpolated between them.
    value_range : (float, float) or "max", optional
        Values of the first and the last color. By default from 0 to 1 for probabilities; for scores
        from the lowest to the highest of all classes, so that classes can be compared; for an array
        from its lowest to its highest value. ``"max"`` is from 0 to the class's highest
        probability, or from its own lowest to its own highest score: it shows where a class is most
        probable, even if it is improbable there.
    show : {"probability", "score"}
        The values of a `Map` to show: the softmax over the classes, or the network's outputs
        themselves, logits for most.
    categories : sequence of str, optional
        Names of the classes for the title, as ``weights.meta["categories"]``; with a `Map`.
    floor : float
        The least maximum of a class's probability for it to be painted, unless `value_range` is
        given.
    legend : bool
        Whether to add a title, with the largest value, and a colour bar below the picture. The
        result is then higher (and wider, if the picture is narrow), with the picture at its top
        left.

    Returns
    -------
    PIL.Image.Image
        A new picture in RGB.

    Raises
    ------
    ShapeError
        If the map is not (h, w), or belongs to a picture of another size.
    ArgumentError
        If the class does not exist, values are not finite, or `alpha`, `colors`, `value_range`,
        `show` or `categories` are invalid.
    """
    picture = as_picture(image, "draw_heatmap: image")
    if not 0 <= alpha <= 1:
        raise ArgumentError(f"draw_heatmap: alpha must be 0 to 1, got {alpha}")
    if show not in ("probability", "score"):
        raise ArgumentError(f"draw_heatmap: show must be 'probability' or 'score', got {show!r}")
    palette = _palette(colors)
    size = (picture.height, picture.width)
    if _is_map(map):
        _check_map(map, label, size, categories)
        assert label is not None
        shown = (_of_probabilities if show == "probability" else _of_scores)(map, label, categories)
        places = [
            _places(
                size[d], shown.values.shape[d], map.window_size[d], map.stride[d], map.scale[d], map.offset[d]
            )
            for d in (0, 1)
        ]
    else:
        shown = _of_array(map, label, show, categories)
        pitches = [size[d] / shown.values.shape[d] for d in (0, 1)]
        places = [_places(size[d], shown.values.shape[d], pitches[d], pitches[d], 1.0, 0) for d in (0, 1)]
    nowhere = shown.absent(floor) if value_range is None else None
    if nowhere is not None:
        picture = picture.convert("L").convert("RGB")
        return with_legend(picture, nowhere, None) if legend else picture
    low, high = _range(value_range, shown)
    (rows, down), (columns, across) = places
    # A map of a single value, which has no range, is low everywhere.
    values = ((shown.values - low) / (high - low or 1.0)).clip(0, 1)
    heat = palette[(_interpolated(values, down, across) * (len(palette) - 1) + 0.5).astype(np.intp)]
    pixels = np.array(picture)
    covered = pixels[rows, columns]
    covered[...] = covered * np.float32(1 - alpha) + heat * np.float32(alpha) + np.float32(0.5)
    picture = to_pil(pixels)
    if not legend:
        return picture
    # As they appear on a picture of medium brightness.
    mixed = (palette * alpha + _MEDIUM * (1 - alpha) + 0.5).astype(np.uint8)
    return with_legend(picture, shown.title, Bar(mixed, low, high, shown.largest, shown.unit))


@dataclass(frozen=True)
class _Shown:
    """The values to paint, and their description.

    Attributes
    ----------
    values : numpy.ndarray, (h, w), float32
    unit, title : str
    usual, own : tuple of float
        Ranges: the default one, and that of ``"max"``.
    surest : tuple of (str, float), optional
        For probabilities: the class that is most probable in any cell, and its probability.
    name : str
        The class.
    """

    values: NDArray[np.float32]
    unit: str
    title: str
    usual: tuple[float, float]
    own: tuple[float, float]
    name: str = ""
    surest: tuple[str, float] | None = None

    @property
    def largest(self) -> float:
        return float(self.values.max())

    def absent(self, floor: float) -> str | None:
        """Return the note on a class whose probability is nowhere as large as `floor`, or None."""
        if self.surest is None or self.largest >= floor:
            return None
        return f"{self.name}: {nowhere_above(floor, self.name, *self.surest)}"


def nowhere_above(floor: float, name: str, surest: str, probability: float) -> str:
    """Return the note on a class `name` that is nowhere probable, and on the one that is `surest`."""
    if surest == name:
        return f"nowhere above {floor:g}, and no class is surer"
    return f"nowhere above {floor:g}; the surest class is {surest} ({in_digits(probability)})"


def in_digits(probability: float) -> str:
    """Return a probability with two decimals, or with two digits if these would be zeros."""
    return f"{probability:.2f}" if probability >= 0.01 or probability == 0 else f"{probability:.2g}"


def _check_map(map: Map, label: int | None, size: tuple[int, int], categories: Sequence[str] | None) -> None:
    classes = len(map.scores)
    if label is None or not 0 <= label < classes:
        raise ArgumentError(f"draw_heatmap: label: expected a class, 0 to {classes - 1}, got {label}")
    if tuple(map.image_size) != size:
        raise ShapeError(
            f"draw_heatmap: map: expected one of a picture of {size[0]} x {size[1]} (height, width), "
            f"got one of {map.image_size[0]} x {map.image_size[1]}; draw on what was given to predict"
        )
    if categories is not None and len(categories) != classes:
        raise ArgumentError(
            f"draw_heatmap: categories: expected a name for each of {classes} classes, got {len(categories)}"
        )


def _of_probabilities(map: Map, label: int, categories: Sequence[str] | None) -> _Shown:
    likely = map.probabilities()
    values = _finite(likely[label])
    best = likely.max(axis=(1, 2))
    first = int(best.argmax())
    largest = float(values.max())
    name = _name(label, categories)
    return _Shown(
        values=values,
        unit="probability",
        title=f"{name}: largest probability {in_digits(largest)}",
        usual=(0.0, 1.0),
        own=(0.0, largest),
        name=name,
        surest=(_name(first, categories), float(best[first])),
    )


def _of_scores(map: Map, label: int, categories: Sequence[str] | None) -> _Shown:
    scores = _finite(map.scores)
    values = scores[label]
    return _Shown(
        values=values,
        unit="score",
        title=f"{_name(label, categories)}: largest score {values.max():.3g}",
        usual=(float(scores.min()), float(scores.max())),
        own=(float(values.min()), float(values.max())),
    )


def _of_array(map: Any, label: int | None, show: str, categories: Sequence[str] | None) -> _Shown:
    array = as_array(map, "draw_heatmap: map")
    if array.ndim != 2 or 0 in array.shape:
        raise ShapeError(
            f"draw_heatmap: map: expected a Map, or an array (h, w), got shape {array.shape}; choose a class"
        )
    for name, value in (("label", label), ("categories", categories)):
        if value is not None:
            raise ArgumentError(
                f"draw_heatmap: {name}: an array (h, w) has no classes, got {value!r:.60}; leave it out"
            )
    if show != "probability":
        raise ArgumentError(f"draw_heatmap: show={show!r} is for a Map; an array is shown as it is")
    values = _finite(array.astype(np.float32))
    whole = (float(values.min()), float(values.max()))
    return _Shown(values=values, unit="value", title=f"largest {values.max():.3g}", usual=whole, own=whole)


def _name(label: int, categories: Sequence[str] | None) -> str:
    return f"class {label}" if categories is None else categories[label]


def _finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise ArgumentError("draw_heatmap: map: expected finite values, got NaN or infinity")
    return values


def _range(value_range: Sequence[float] | str | None, shown: _Shown) -> tuple[float, float]:
    if value_range is None:
        return shown.usual
    if isinstance(value_range, str):
        if value_range != "max":
            raise ArgumentError(
                f"draw_heatmap: value_range must be (low, high) or 'max', got {value_range!r}"
            )
        return shown.own
    if len(value_range) != 2 or not value_range[0] < value_range[1]:
        raise ArgumentError(f"draw_heatmap: value_range must be (low, high) or 'max', got {value_range!r}")
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
    length: int, cells: int, window: float, stride: float, scale: float, offset: float
) -> tuple[slice, NDArray[np.float64]]:
    """Return the coloured pixels of a dimension, and the position of each among the cells."""
    # A pixel's centre on the scaled picture, in strides from the first window's centre.
    at = ((np.arange(length) + 0.5) * scale - window / 2 - offset) / stride
    covered = np.flatnonzero((at >= -0.5) & (at <= cells - 0.5))
    first, last = (covered[0], covered[-1] + 1) if covered.size else (0, 0)
    return slice(first, last), at[first:last].clip(0, cells - 1)


def _interpolated(
    values: NDArray[np.float32], down: NDArray[np.float64], across: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the values at each pair of positions, interpolated bilinearly."""
    for axis, at in ((0, down), (1, across)):
        before = at.astype(np.intp)
        after = np.minimum(before + 1, values.shape[axis] - 1)
        weight = np.expand_dims((at - before).astype(np.float32), 1 - axis)
        values = values.take(before, axis) * (1 - weight) + values.take(after, axis) * weight
    return values
