"""The result of a dense prediction: scores, and the positions of their windows on the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rvision._frames import ends_at_caller
from rvision._html import document, escape, html_table, picture
from rvision._numbers import integer
from rvision.errors import ArgumentError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Best", "Box", "Map", "ReceptiveField", "window_boxes"]

# The larger side of a picture in a notebook, in pixels.
_LARGEST = 720


class Box(NamedTuple):
    """A rectangle in pixels, torchvision's ``xyxy``: left, top, right, bottom."""

    x0: float
    y0: float
    x1: float
    y1: float


class Best(NamedTuple):
    """A class, and the window in which it is most probable.

    Attributes
    ----------
    category : str
        The class.
    index : int
        Its place among the network's outputs.
    probability : float
        The largest probability (softmax over the classes) of all windows.
    box : Box
        That window, in pixels of the picture.
    """

    category: str
    index: int  # type: ignore[assignment]  # hides tuple.index
    probability: float
    box: Box


class ReceptiveField(NamedTuple):
    """The pixels that a cell depends on, vertically and horizontally.

    Attributes
    ----------
    size : tuple of int
        Height and width.
    start : tuple of int
        Top and left of the first cell's field, relative to the picture; negative in the padding.
    stride : tuple of int
        From one cell's field to the next.
    """

    size: tuple[int, int]
    start: tuple[int, int]
    stride: tuple[int, int]


def window_boxes(
    shape: tuple[int, int],
    window_size: tuple[int, int],
    stride: tuple[int, int],
    scale: tuple[float, float] = (1.0, 1.0),
    offset: tuple[int, int] = (0, 0),
) -> NDArray[np.float32]:
    """Return the boxes of a map's cells, (rows, columns, 4) xyxy, in pixels before scaling."""
    boxes = np.empty((*shape, 4), np.float64)
    boxes[..., 0] = offset[1] + np.arange(shape[1])[None, :] * stride[1]
    boxes[..., 1] = offset[0] + np.arange(shape[0])[:, None] * stride[0]
    boxes[..., 2] = boxes[..., 0] + window_size[1]
    boxes[..., 3] = boxes[..., 1] + window_size[0]
    boxes[..., 0::2] /= scale[1]
    boxes[..., 1::2] /= scale[0]
    return boxes.astype(np.float32)


@dataclass(frozen=True, eq=False, repr=False)
class Map:
    """A classifier's outputs for windows all over a picture.

    Attributes
    ----------
    scores : numpy.ndarray, (classes, rows, columns), float32
        The classifier's outputs, logits for most.
    window_size : tuple of int
        Height and width of a cell's window in pixels of the scaled picture.
    stride : tuple of int
        From one cell's window to the next, vertically and horizontally, in the same pixels.
    image_size : tuple of int
        Height and width of the picture before scaling.
    scale : tuple of float
        Size of the scaled picture divided by `image_size`.
    offset : tuple of int
        Top and left of the first cell's window, in pixels of the scaled picture: not 0 for a part
        of a larger map, negative if windows extend beyond the edge (`pad`).
    categories : sequence of str, optional
        Names of the classes: those of the published weights that the network was built with.
    picture : PIL.Image.Image or numpy.ndarray, optional
        The picture that was given to `predict` (not a copy), on which the map is shown.
    """

    scores: NDArray[np.float32]
    window_size: tuple[int, int]
    stride: tuple[int, int]
    image_size: tuple[int, int]
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[int, int] = (0, 0)
    categories: Sequence[str] | None = None
    picture: Any = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.scores.shape[1], self.scores.shape[2]

    def window(self, row: int, column: int) -> Box:
        """Return the box of a cell's window, in pixels of the picture before scaling.

        Parameters
        ----------
        row, column : int
            The cell; negative ones count from the end.

        Raises
        ------
        IndexError
            If the cell does not exist.
        """
        rows, columns = self.shape
        top = self.offset[0] + range(rows)[row] * self.stride[0]
        left = self.offset[1] + range(columns)[column] * self.stride[1]
        down, across = self.scale
        height, width = self.window_size
        return Box(left / across, top / down, (left + width) / across, (top + height) / down)

    def windows(self) -> NDArray[np.float32]:
        """Return all boxes, (rows, columns, 4) float32, as `window` returns them."""
        return window_boxes(self.shape, self.window_size, self.stride, self.scale, self.offset)

    def probabilities(self) -> NDArray[np.float32]:
        """Return the softmax of the scores over the classes, (classes, rows, columns) float32."""
        shifted = self.scores - self.scores.max(axis=0, keepdims=True)
        np.exp(shifted, out=shifted)
        shifted /= shifted.sum(axis=0, keepdims=True)
        return shifted

    @ends_at_caller
    def best(self, k: int = 5) -> list[Best]:
        """Return the most probable classes, each with the window in which it is most probable.

        Parameters
        ----------
        k : int
            The number of classes; all if there are fewer.

        Returns
        -------
        list of Best
            Named tuples `(category, index, probability, box)`, most probable first. The probability is
            the softmax over the classes of the window.

        Raises
        ------
        ArgumentError
            If `k` is below 1.
        """
        k = integer(k, "Map.best: k", 1)
        largest, places = self._largest()
        found = np.argsort(-largest, kind="stable")[:k] if self.shape[0] * self.shape[1] else []
        columns = self.shape[1]
        return [
            Best(
                self._name(int(index)),
                int(index),
                float(largest[index]),
                self.window(*divmod(int(places[index]), columns)),
            )
            for index in found
        ]

    @ends_at_caller
    def show(self, label: int | str | None = None) -> Image:
        """Return the picture with a class's heat map, as :func:`rvision.utils.draw_heatmap` draws it.

        Parameters
        ----------
        label : int or str, optional
            The class, by index or by name; the most probable one by default.

        Returns
        -------
        PIL.Image.Image

        Raises
        ------
        ArgumentError
            If there is no such class, or the map is not of a picture that is known, as the parts that
            `scan` gives.
        """
        from rvision.utils._heatmap import draw_heatmap

        if self.picture is None:
            raise ArgumentError(
                "Map.show: this map does not know its picture; use rvision.utils.draw_heatmap(picture, map, "
                "label)"
            )
        index = self._index(label)
        shown = as_shown(self.picture)
        return draw_heatmap(shown, self, index, categories=self._names())

    def _largest(self) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Return each class's largest probability and its cell, without the probabilities of all cells."""
        classes, (rows, columns) = len(self.scores), self.shape
        largest = np.full(classes, -1, np.float32)
        places = np.zeros(classes, np.intp)
        for row in range(rows if columns else 0):
            scores = np.asarray(self.scores[:, row])
            likely = np.exp(scores - scores.max(axis=0))
            likely /= likely.sum(axis=0)
            # NaN is never the largest.
            likely[np.isnan(likely)] = 0
            at = likely.argmax(axis=1)
            values = likely[np.arange(classes), at]
            better = values > largest
            largest[better] = values[better]
            places[better] = row * columns + at[better]
        return largest, places

    def _name(self, index: int) -> str:
        names = self._names()
        return f"class {index}" if names is None else names[index]

    def _names(self) -> Sequence[str] | None:
        return self.categories if self.categories and len(self.categories) == len(self.scores) else None

    def _index(self, label: int | str | None) -> int:
        classes = len(self.scores)
        if label is None:
            return self.best(1)[0].index
        if isinstance(label, str):
            names = self._names()
            if names is None:
                raise ArgumentError(f"Map.show: the classes have no names; give an index, 0 to {classes - 1}")
            if label not in names:
                near = [name for name in names if label.lower() in name.lower()][:5]
                hint = f"; did you mean {', '.join(near)}?" if near else ""
                raise ArgumentError(f"Map.show: there is no class {label!r}{hint}")
            return list(names).index(label)
        return integer(label, "Map.show: label", 0, classes - 1)

    def __repr__(self) -> str:
        rows, columns = self.shape
        (height, width), (down, across) = self.window_size, self.stride
        every = f"{down}" if down == across else f"{down} x {across}"
        of = f"a {self.image_size[1]} x {self.image_size[0]} picture"
        if self.scale != (1.0, 1.0):
            of += f" scaled by {self.scale[0]:.3g}"
            of += "" if self.scale[0] == self.scale[1] else f" x {self.scale[1]:.3g}"
        best = ""
        for found in self.best(1):
            box = ", ".join(f"{side:.0f}" for side in found.box)
            best = f"; best: {found.category} {found.probability:.2f} at ({box})"
        windows = f"{rows} x {columns} windows of {height} x {width} every {every} px"
        return f"Map({len(self.scores)} classes, {windows} of {of}{best})"

    def _repr_html_(self) -> str:
        best = self.best()
        parts = [escape(repr(self))]
        if self.picture is not None and best and np.isfinite(self.scores).all():
            surest = best[0]
            alt = f"Heat map of {surest.category}: probability {surest.probability:.2f} in its best window"
            parts.append(picture(self.show(best[0].index), alt, largest=_LARGEST))
        rows = [
            (
                each.category,
                str(each.index),
                f"{each.probability:.3f}",
                "(" + ", ".join(f"{side:.0f}" for side in each.box) + ")",
            )
            for each in best
        ]
        parts.append(html_table(("class", "index", "probability", "best window"), rows, numbers=(1, 2)))
        return document(*parts)


def as_shown(given: Any) -> Any:
    """Return a picture that can be drawn on; prepared values are stretched to what can be shown."""
    array = np.asarray(given) if not hasattr(given, "getbands") else None
    if array is None or array.dtype.kind != "f":
        return given
    if array.ndim == 4:
        array = array[0]
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        array = (array - low) / (high - low or 1.0)
    return array if len(array) in (1, 3) else array.mean(axis=0, keepdims=True)
