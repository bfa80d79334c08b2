"""Dense prediction for pictures that do not fit in memory, or whose maps do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rvision._frames import ends_at_caller
from rvision._numbers import integer, real
from rvision.dense._bar import Bar
from rvision.dense._blocks import Axis, Block, blocks
from rvision.dense._convolutionize import Convolutionized, Size
from rvision.dense._map import Map, window_boxes
from rvision.dense._pad import Margins, check_pad, margins, sources, taken
from rvision.dense._pictures import Transform, prepared
from rvision.dense._predict import Forms, cells
from rvision.errors import ArgumentError
from rvision.nn._run import trace_for
from rvision.transforms._pictures import is_pil, is_pixels, to_pil

__all__ = ["Rows", "Scan", "scan"]

_WHERE = "dense.scan"

# Memory of a run besides its maps: the block's pixels, raw and prepared, scores, probabilities.
_COPIES = 4


@runtime_checkable
class Rows(Protocol):
    """A picture that is read by rows: any object with these two members.

    Attributes
    ----------
    shape : tuple of int
        (H, W, C), or (H, W) for grey pictures.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels."""

    def read(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """Return the rows from `top` to `bottom` (excluded), uint8 (bottom - top, W, C)."""


@dataclass(frozen=True, eq=False)
class Scan:
    """The best classes of all windows of a picture.

    Attributes
    ----------
    labels : numpy.ndarray, (k, rows, columns), int32
        Classes, best first.
    scores : numpy.ndarray, (k, rows, columns), float32
        Their probabilities.
    window_size, stride, image_size, offset : tuple of int
        As for `Map`.
    """

    labels: NDArray[np.int32]
    scores: NDArray[np.float32]
    window_size: tuple[int, int]
    stride: tuple[int, int]
    image_size: tuple[int, int]
    offset: tuple[int, int] = (0, 0)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.labels.shape[1], self.labels.shape[2]

    def windows(self) -> NDArray[np.float32]:
        """Return the boxes of all windows, (rows, columns, 4) float32 xyxy."""
        return window_boxes(self.shape, self.window_size, self.stride, offset=self.offset)


@ends_at_caller
def scan(
    model: Any,
    source: Any,
    stride: Size | None = None,
    *,
    top: int | None = None,
    threshold: float | None = None,
    callback: Callable[[Map], None] | None = None,
    input_size: Size | None = None,
    squeeze: str | None = None,
    transform: Transform | None = None,
    memory: int = 1 << 30,
    pad: str | None = None,
    progress: bool = False,
) -> Any:
    """Classify the windows all over a picture of any size in constant memory.

    The picture is run in blocks, each with the surrounding pixels that its cells depend on, and
    with the kernels that the whole picture would use. So for any blocks the scores equal those of
    `dense.predict` up to the rounding of the last digit. The whole map never exists: the requested
    results are taken from each block as it is computed.

    Parameters
    ----------
    model : Module
        A classifier, or a result of `convolutionize`.
    source : array_like, PIL.Image.Image or Rows
        The picture: pixels (H, W, C) or (H, W) of uint8, or a picture (C, H, W) of floats (or, with
        `transform`, of uint8), in memory or as a `numpy.memmap`; or an object that reads rows, see
        `dense.Rows`. Floats without `transform` count as prepared.
    stride : int or (vertical, horizontal), optional
        As for `dense.predict`.
    top : int, optional
        Return the `top` best classes of each window; 1 by default if no other result is requested.
    threshold : float, optional
        Return the windows and classes with a probability above it.
    callback : callable, optional
        Called with each part of the map, from top to bottom, as a `Map` whose `offset` is its
        position.
    input_size, squeeze : optional
        As for `convolutionize`.
    transform : callable, optional
        Prepares the picture, also one of floats, as for `dense.predict`. It must treat each pixel
        by itself, since it is given parts of the picture.
    pad : {"zeros", "reflect"}, optional
        Padding beyond the picture's edges, so that windows may extend over them, as for
        `dense.predict`.
    memory : int
        The approximate number of bytes to use, besides weights and results.
    progress : bool
        Whether to show a bar on stderr.

    Returns
    -------
    Scan, dict or None
        With `top`, a `Scan`. With `threshold`, a dict ``{"boxes", "labels", "scores"}`` as from
        torchvision's detectors, row by row, without suppression of overlapping boxes
        (`ops.batched_nms` does that). With `callback`, None.

    Raises
    ------
    ArgumentError
        If several of `top`, `threshold` and `callback` are given, the picture is smaller than the window, or
        one cell needs more than `memory`.
    UnsupportedError
        If the network has no dense form.

    Examples
    --------
    >>> picture = np.memmap("scan.raw", np.uint8, "r", shape=(20000, 20000, 3))
    >>> found = dense.scan(squeezenet1_1(weights=weights), picture, transform=weights.transforms())
    >>> found.labels.shape
    (1, 1237, 1237)
    """
    check_pad(pad, _WHERE)
    reducer = _reducer(top, threshold, callback)
    forms = Forms(model, stride, input_size, squeeze, _WHERE)
    dense = forms.shared()
    if squeeze is not None or dense.squeeze is not None:
        raise ArgumentError(
            f"{_WHERE}: squeeze='global' looks at the whole picture, which is never there; use dense.predict"
        )
    picture = _Padded(_Picture(source, transform), forms.window, dense.stride, pad)
    forms.check(picture.size, _WHERE)
    geometry = dense.geometry()
    rows, columns = cells(picture.size, forms.window, dense.stride)
    axes = [
        Axis(side, count, window, step, start, size)
        for side, count, window, step, (start, size) in zip(
            picture.size, (rows, columns), forms.window, dense.stride, geometry.receptive_field, strict=True
        )
    ]
    run = _Run(dense, picture, axes)
    bands = blocks(axes, max(memory // run.bytes_per_pixel(), 1), _WHERE)
    reducer.start((rows, columns), run.classes)
    with Bar(rows * columns, progress) as bar:
        for band in bands:
            for part, block in run.maps(band):
                reducer.take(part, block)
                bar.update((block.rows[1] - block.rows[0]) * (block.columns[1] - block.columns[0]))
    return reducer.result(forms.window, dense.stride, picture.image_size, picture.offset)


class _Picture:
    """A picture whose rows are read on demand."""

    def __init__(self, source: Any, transform: Transform | None) -> None:
        self._transform = transform
        self._source = source
        self.size: tuple[int, int]
        # Whether it is an array (C, H, W), of floats or uint8, rather than pixels.
        self._planes = False
        if is_pil(source):
            self.size = source.height, source.width
            return
        is_array = isinstance(source, np.ndarray)
        if not is_array and not isinstance(source, Rows):
            raise ArgumentError(
                f"{_WHERE}: source: expected an array, a Pillow image or an object with shape and read(top, "
                f"bottom), got {type(source).__name__}"
            )
        shape = tuple(source.shape)
        grey = len(shape) == 2
        self._planes = is_array and not is_pixels(source) and not (grey and source.dtype == np.uint8)
        if self._planes and len(shape) != 3:
            raise ArgumentError(
                f"{_WHERE}: source: expected pixels (H, W, C) of uint8 or a picture (C, H, W), got "
                f"{source.dtype} of shape {shape}"
            )
        self.size = shape[1:] if self._planes else shape[:2]

    def rows(self, top: int, bottom: int) -> Any:
        """Return unprepared rows."""
        if self._planes:
            return self._source[:, top:bottom]
        if is_pil(self._source):
            # Cropped without conversion: the transform handles palettes and colour spaces.
            return self._source.crop((0, top, self._source.width, bottom))
        if isinstance(self._source, np.ndarray):
            return np.asarray(self._source[top:bottom])
        rows = np.asarray(self._source.read(top, bottom))
        expected = (bottom - top, *self._source.shape[1:])
        if rows.shape != expected or rows.dtype != np.uint8:
            raise ArgumentError(
                f"{_WHERE}: source: read({top}, {bottom}) returned {rows.dtype} of shape {rows.shape}, "
                f"expected uint8 of {expected}"
            )
        return rows

    def prepare(self, rows: Any, left: int, right: int) -> NDArray[np.float32]:
        """Return columns of rows, prepared: (C, rows, right - left)."""
        if self._planes:
            return prepared(rows[:, :, left:right], self._transform, _WHERE)
        if is_pil(rows):
            return prepared(rows.crop((left, 0, right, rows.height)), self._transform, _WHERE)
        # Convert to a picture here: a few rows of pixels could be mistaken for a tensor's channels.
        return prepared(to_pil(rows[:, left:right]), self._transform, _WHERE)


class _Padded:
    """A picture with margins, which are made on demand."""

    def __init__(
        self, picture: _Picture, window: Sequence[int], stride: Sequence[int], pad: str | None
    ) -> None:
        self._picture, self._pad = picture, pad
        self.image_size = picture.size
        self._around: Margins = margins(picture.size, window, stride, pad)
        (top, bottom), (left, right) = self._around
        self.size = (picture.size[0] + top + bottom, picture.size[1] + left + right)
        self.offset = (-top, -left)

    def rows(self, top: int, bottom: int) -> Any:
        """Return rows as `prepare` takes them."""
        if self._pad is None:
            return self._picture.rows(top, bottom)
        wanted = self._sources(0, top, bottom)
        first, last = _bounds(wanted)
        return self._picture.rows(first, last), np.where(wanted < 0, -1, wanted - first)

    def prepare(self, rows: Any, left: int, right: int) -> NDArray[np.float32]:
        """Return columns of rows, prepared: (C, rows, right - left)."""
        if self._pad is None:
            return self._picture.prepare(rows, left, right)
        read, lines = rows
        wanted = self._sources(1, left, right)
        first, last = _bounds(wanted)
        array = self._picture.prepare(read, first, last)
        return taken(array, lines, np.where(wanted < 0, -1, wanted - first))

    def _sources(self, axis: int, first: int, last: int) -> NDArray[np.intp]:
        assert self._pad is not None
        before = self._around[axis][0]
        return sources(first - before, last - before, self.image_size[axis], self._pad)


def _bounds(wanted: NDArray[np.intp]) -> tuple[int, int]:
    """Return the first and the last (excluded) of the wanted pixels; every window has some."""
    inside = wanted[wanted >= 0]
    return int(inside.min()), int(inside.max()) + 1


class _Run:
    """Runs blocks of a picture with the kernels of the whole picture."""

    def __init__(self, dense: Convolutionized, picture: _Padded, axes: list[Axis]) -> None:
        self._dense, self._picture, self._axes = dense, picture, axes
        down, across = axes
        probe = picture.prepare(picture.rows(0, down.window), 0, across.window)
        self._channels = len(probe)
        self.classes: int = dense(probe[None]).shape[1]
        arrays: list[NDArray[np.float32]] = []
        graph = trace_for(dense, (probe[None],), {}, arrays).graph
        assert graph is not None, "a network that returns a map"
        self._graph = graph

    def bytes_per_pixel(self) -> int:
        """Return the approximate memory per pixel of a large block."""
        height, width = (min(axis.side, axis.size + axis.window) for axis in self._axes)
        run = self._graph.memory([(1, self._channels, height, width)])
        cell = self._dense.stride[0] * self._dense.stride[1]
        own = 4 * _COPIES * (self._channels + self.classes / cell)
        return int(run / (height * width) + own) + 1

    def maps(self, band: list[Block]) -> Iterator[tuple[Map, Block]]:
        """Yield the parts of the map of a band of blocks."""
        (down, across), stride = self._axes, self._dense.stride
        whole = (1, self._channels, down.side, across.side)
        rows = self._picture.rows(band[0].top, band[0].bottom)
        for block in band:
            array = self._picture.prepare(rows, block.left, block.right)[None]
            scores = self._graph.run([np.require(array, np.float32, ["C", "A"])], chosen_for=[whole])[0][0]
            row = block.rows[0] - block.top // stride[0]
            column = block.columns[0] - block.left // stride[1]
            height, width = block.rows[1] - block.rows[0], block.columns[1] - block.columns[0]
            part = np.ascontiguousarray(scores[:, row : row + height, column : column + width])
            top, left = self._picture.offset
            offset = (top + block.rows[0] * stride[0], left + block.columns[0] * stride[1])
            yield (
                Map(part, self._dense.window_size, stride, self._picture.image_size, offset=offset),
                block,
            )


def _reducer(top: int | None, threshold: float | None, callback: Callable[[Map], None] | None) -> Any:
    if sum(argument is not None for argument in (top, threshold, callback)) > 1:
        raise ArgumentError(f"{_WHERE}: expected one of top, threshold and callback, got several")
    if callback is not None:
        return _Callback(callback)
    if threshold is not None:
        if not 0 <= real(threshold, f"{_WHERE}: threshold") <= 1:
            raise ArgumentError(f"{_WHERE}: threshold: expected a probability, got {threshold!r}")
        return _Threshold(threshold)
    top = 1 if top is None else integer(top, f"{_WHERE}: top")
    if top < 1:
        raise ArgumentError(f"{_WHERE}: top: expected 1 or more, got {top!r}")
    return _Top(top)


class _Top:
    """Keeps the best classes of each cell."""

    def __init__(self, count: int) -> None:
        self._count = count

    def start(self, shape: tuple[int, int], classes: int) -> None:
        self._count = min(self._count, classes)
        self._labels = np.empty((self._count, *shape), np.int32)
        self._scores = np.empty((self._count, *shape), np.float32)

    def take(self, part: Map, block: Block) -> None:
        likely = part.probabilities()
        if self._count == 1:
            labels = likely.argmax(axis=0)[None]
        else:
            labels = np.argsort(-likely, axis=0, kind="stable")[: self._count]
        place = (slice(None), slice(*block.rows), slice(*block.columns))
        self._labels[place] = labels
        self._scores[place] = np.take_along_axis(likely, labels, axis=0)

    def result(self, *geometry: tuple[int, int]) -> Scan:
        return Scan(self._labels, self._scores, *geometry)


class _Threshold:
    """Collects the cells and classes above the threshold."""

    def __init__(self, threshold: float) -> None:
        self._threshold = np.float32(threshold)
        self._boxes = [np.empty((0, 4), np.float32)]
        self._labels = [np.empty(0, np.int64)]
        self._scores = [np.empty(0, np.float32)]

    def start(self, shape: tuple[int, int], classes: int) -> None:
        pass

    def take(self, part: Map, block: Block) -> None:
        likely = part.probabilities()
        rows, columns, labels = np.nonzero(likely.transpose(1, 2, 0) > self._threshold)
        self._boxes.append(part.windows()[rows, columns])
        self._labels.append(labels.astype(np.int64))
        self._scores.append(likely[labels, rows, columns])

    def result(self, *geometry: tuple[int, int]) -> dict[str, NDArray[Any]]:
        return {
            "boxes": np.concatenate(self._boxes),
            "labels": np.concatenate(self._labels),
            "scores": np.concatenate(self._scores),
        }


class _Callback:
    """Passes each part to the callback."""

    def __init__(self, callback: Callable[[Map], None]) -> None:
        self._callback = callback

    def start(self, shape: tuple[int, int], classes: int) -> None:
        pass

    def take(self, part: Map, block: Block) -> None:
        self._callback(part)

    def result(self, *geometry: tuple[int, int]) -> None:
        pass
