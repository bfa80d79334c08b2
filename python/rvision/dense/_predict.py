"""Running a classifier densely: at any stride, on several scales, on shared maps or window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rvision._frames import ends_at_caller
from rvision._top import own_categories
from rvision.dense._bar import Bar
from rvision.dense._convolutionize import Convolutionized, Size, convolutionize, stride_pair, window_size
from rvision.dense._map import Map
from rvision.dense._pad import Margins, check_pad, margins, padded
from rvision.dense._pictures import (
    OVERFEAT_SIZES,
    Scale,
    Transform,
    height_and_width,
    prepared,
    scaled,
    scaled_size,
    unprepared,
)
from rvision.dense._refusals import NoDenseForm
from rvision.errors import ArgumentError, UnsupportedError
from rvision.nn import Module

__all__ = ["Forms", "cells", "predict"]

_PADDINGS = ("shared", "per_window")

# Windows per run: enough that weights are rarely reread, few enough for small maps.
_BATCH = 16

# Number of dense forms that a classifier keeps.
_MAX_FORMS = 8


@overload
def predict(
    model: Module,
    image: Any,
    stride: Size | None = None,
    *,
    input_size: Size | None = None,
    padding: str = "shared",
    squeeze: str | None = None,
    scales: None = None,
    transform: Transform | None = None,
    pad: str | None = None,
    progress: bool = False,
) -> Map: ...


@overload
def predict(
    model: Module,
    image: Any,
    stride: Size | None = None,
    *,
    input_size: Size | None = None,
    padding: str = "shared",
    squeeze: str | None = None,
    scales: Sequence[Scale] | str,
    transform: Transform | None = None,
    pad: str | None = None,
    progress: bool = False,
) -> list[Map]: ...


@ends_at_caller
def predict(
    model: Module,
    image: Any,
    stride: Size | None = None,
    *,
    input_size: Size | None = None,
    padding: str = "shared",
    squeeze: str | None = None,
    scales: Sequence[Scale] | str | None = None,
    transform: Transform | None = None,
    pad: str | None = None,
    progress: bool = False,
) -> Map | list[Map]:
    """Classify the windows all over a picture, at every `stride` pixels.

    Parameters
    ----------
    model : Module
        A classifier, or a result of `convolutionize` (then without `stride`, `input_size`,
        `squeeze`).
    image : array_like or PIL.Image.Image
        A prepared picture (C, H, W), float32, as `weights.transforms()` returns them but of any
        size. Or, with `transform`, its input: a Pillow image, uint8 pixels (H, W, C), or an array
        (C, H, W) of uint8 or of floats between 0 and 1.
    stride : int or (vertical, horizontal), optional
        Pixels from one window to the next; by default the network's own.
    input_size : int, (H, W) or (C, H, W), optional
        The classifier's window, as for `convolutionize`.
    padding : str
        What a padded network sees at the edges of a window:

        ``"shared"``
            The picture's pixels: layers are computed once for all windows. Beyond the picture's
            edges there are zeros.
        ``"per_window"``
            Zeros, as if the window were cropped: each cell is exactly the classifier's output for
            its window. If the network has padding (or no dense form), it is run on each window.
    squeeze : str, optional
        ``"global"`` for networks with squeeze and excitation, as for `convolutionize`; other
        networks ignore it. Not with `padding="per_window"`, which squeezes each window by itself.
    scales : sequence, or "overfeat", optional
        Factors by which the picture is resized, or sizes (height, width); the six of OverFeat's
        table 5 by name. Requires `transform`. Arrays (C, H, W) of floats are resized as floats,
        without the rounding to 256 levels of a Pillow image.
    transform : callable, optional
        Prepares a picture, also one of floats; without it an array of floats counts as prepared.
        The resizing and cropping of a preset (`weights.transforms()`) is skipped; any other
        callable is given the picture or the array (C, H, W), and must return (C, H, W) of the same
        height and width.
    pad : {"zeros", "reflect"}, optional
        Padding beyond the picture's edges, so that windows may extend over them and the map covers
        the picture: zeros in the prepared picture (a preset's mean colour), or the picture mirrored
        at its outermost pixels. By default every window is inside the picture.
    progress : bool
        Whether to show a bar on stderr.

    Returns
    -------
    Map, or list of Map
        A cell for every window inside the picture: ``(H - window) // stride + 1`` rows, and columns
        likewise. With `pad` there are enough more on each side that every pixel is at most half a
        stride from the centre of a window, vertically and horizontally; the windows inside keep
        their positions. With `scales`, one map for each scale.

    Raises
    ------
    ArgumentError
        If the picture is smaller than the window, an argument is out of range, or floats for a
        preset are outside [0, 1].
    UnsupportedError
        If a layer has no dense form, and `padding` is not ``"per_window"``.

    Notes
    -----
    A map at a stride finer than the network's own equals the maps of all shifted pictures,
    interleaved: everywhere for networks without padding, and otherwise for cells whose receptive
    field is inside the picture. At the border, zeros surround the picture, while the shifted
    pictures would have them at their own edges; cells on the network's own grid equal its own map
    there too.

    A map with `pad` is the map of the padded picture, so all of this also holds for the windows
    that extend beyond the edge.
    """
    where = "dense.predict"
    forms = Forms(model, stride, input_size, squeeze, where)
    forms.check_padding(padding, where)
    check_pad(pad, where)
    if scales is None:
        array = prepared(image, transform, where)
        size = height_and_width(array)
        run = _Run(forms, padding, pad, where)
        with Bar(run.count(size), progress) as bar:
            return forms.named(run(array, size, bar), image)
    picture = unprepared(image, transform, where)
    if picture is None:
        raise ArgumentError(
            f"{where}: scales: a picture is resized before it is prepared; give a Pillow image or uint8 "
            "pixels (H, W, C), or floats (C, H, W) between 0 and 1, and transform="
        )
    if isinstance(scales, str):
        if scales != "overfeat":
            raise ArgumentError(f"{where}: scales: expected factors, sizes or 'overfeat', got {scales!r}")
        scales = OVERFEAT_SIZES
    run = _Run(forms, padding, pad, where)
    size = height_and_width(picture)
    scales = list(scales)
    count = sum(run.count(scaled_size(size, scale, where)) for scale in scales)
    with Bar(count, progress) as bar:
        return [
            forms.named(run(prepared(scaled(picture, scale, where), transform, where), size, bar), image)
            for scale in scales
        ]


class Forms:
    """A classifier and its dense form for a stride."""

    def __init__(
        self, model: Module, stride: Size | None, input_size: Size | None, squeeze: str | None, where: str
    ) -> None:
        self.dense: Convolutionized | None
        self.refusal: UnsupportedError | None = None
        self.stride: tuple[int, int] | None
        if isinstance(model, Convolutionized):
            if stride is not None or input_size is not None or squeeze is not None:
                raise ArgumentError(
                    f"{where}: stride, input_size and squeeze belong to convolutionize(), which made this"
                )
            self.classifier, self.dense = model.model, model
            self.window, self.stride = model.window_size, model.stride
            self._squeeze = model.squeeze
            return
        self._squeeze = squeeze
        self.classifier = model
        _, self.window = window_size(model, input_size)
        self.stride = None if stride is None else stride_pair(stride)
        try:
            self.dense = dense_form(model, input_size, stride, squeeze)
            self.stride = self.dense.stride
        except UnsupportedError as refusal:
            asked = "scan" if where == "dense.scan" else "predict"
            told = refusal.for_(asked) if isinstance(refusal, NoDenseForm) else refusal
            self.dense, self.refusal = None, told

    def named(self, map: Map, image: Any) -> Map:
        """Return a map with the names of its classes, if they are known, and its picture."""
        weights = self.classifier._links.noted("weights")
        names = own_categories(self.classifier) if weights is None else weights.meta["categories"]
        return replace(map, categories=names, picture=image)

    def shared(self) -> Convolutionized:
        """Return the dense form, or raise why there is none."""
        if self.dense is None:
            assert self.refusal is not None
            raise self.refusal
        return self.dense

    def check_padding(self, padding: str, where: str) -> None:
        """Raise if `padding` is not one of the two values, or contradicts squeeze="global"."""
        if padding not in _PADDINGS:
            raise ArgumentError(f"{where}: padding: expected 'shared' or 'per_window', got {padding!r}")
        if padding == "per_window" and self._squeeze is not None:
            raise ArgumentError(
                f"{where}: padding='per_window' lets each window be squeezed alone, and squeeze="
                f"{self._squeeze!r} the whole picture; leave out one of them"
            )

    def check(self, size: Sequence[int], where: str) -> None:
        """Raise if a picture of this height and width is smaller than a window."""
        if any(side < window for side, window in zip(size, self.window, strict=True)):
            raise ArgumentError(
                f"{where}: the picture of {size[0]} x {size[1]} pixels is smaller than the classifier's "
                f"window of {self.window[0]} x {self.window[1]}; resize it"
            )

    def classify(self, windows: Sequence[NDArray[np.float32]], where: str) -> NDArray[np.float32]:
        """Return the classifier's logits, (windows, classes), for cropped windows (C, H, W)."""
        starts = range(0, len(windows), _BATCH)
        batches = (np.ascontiguousarray(np.stack(windows[start : start + _BATCH])) for start in starts)
        return np.concatenate([_logits(self.classifier(batch), where) for batch in batches])

    @property
    def is_exact(self) -> bool:
        """Whether no cell depends on anything outside its window."""
        if self.dense is None:
            return False
        reach = self.dense.geometry().receptive_field
        return all(
            start >= 0 and start + size <= side
            for (start, size), side in zip(reach, self.window, strict=True)
        )


def dense_form(
    model: Module, input_size: Size | None, stride: Size | None, squeeze: str | None
) -> Convolutionized:
    """Return a classifier's dense form, reusing one that an earlier call made."""
    forms = model._links.derived
    # The key has plain numbers, and the source of a default window: the model may have changed.
    steps = None if stride is None else stride_pair(stride)
    key = ("dense", window_size(model, input_size), input_size is None, steps, squeeze)
    form = forms.get(key)
    if form is None:
        form = convolutionize(model, input_size, stride=stride, squeeze=squeeze)
        while len(forms) >= _MAX_FORMS:
            forms.pop(next(iter(forms)), None)
        forms[key] = form
    return form


class _Run:
    """Makes maps of prepared pictures."""

    def __init__(self, forms: Forms, padding: str, pad: str | None, where: str) -> None:
        self._forms, self._pad, self._where = forms, pad, where
        self._each_alone = padding == "per_window" and not forms.is_exact
        if not self._each_alone:
            forms.shared()
        if forms.stride is None:
            refusal = forms.refusal
            reason = refusal.reason if isinstance(refusal, NoDenseForm) else refusal
            raise ArgumentError(
                f"{where}: stride: this network has none of its own, so give it, such as stride=32 ({reason})"
            )
        self._stride = forms.stride

    def count(self, size: tuple[int, int]) -> int:
        """Return how many windows a picture has, after checking that it has any."""
        (top, bottom), (left, right) = self._margins(size)
        whole = (size[0] + top + bottom, size[1] + left + right)
        self._forms.check(whole, self._where)
        rows, columns = cells(whole, self._forms.window, self._stride)
        return rows * columns

    def __call__(self, array: NDArray[np.float32], image_size: tuple[int, int], bar: Bar) -> Map:
        """Return the map of a prepared picture whose size before scaling was `image_size`."""
        size = height_and_width(array)
        around = self._margins(size)
        array = padded(array, around, self._pad)
        forms = self._forms
        if self._each_alone:
            scores = _each_window(forms.classifier, array, forms.window, self._stride, bar, self._where)
        else:
            rows, columns = cells(array.shape[1:], forms.window, self._stride)
            # Further cells stand for windows that extend beyond the picture's edge.
            scores = np.ascontiguousarray(forms.shared()(array[None])[0, :, :rows, :columns])
            bar.update(rows * columns)
        scale = (size[0] / image_size[0], size[1] / image_size[1])
        offset = (-around[0][0], -around[1][0])
        return Map(scores, forms.window, self._stride, image_size, scale, offset)

    def _margins(self, size: tuple[int, int]) -> Margins:
        return margins(size, self._forms.window, self._stride, self._pad)


def cells(size: Sequence[int], window: tuple[int, int], stride: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns of windows inside a picture."""
    return (size[0] - window[0]) // stride[0] + 1, (size[1] - window[1]) // stride[1] + 1


def _each_window(
    classifier: Module,
    array: NDArray[np.float32],
    window: tuple[int, int],
    stride: tuple[int, int],
    bar: Bar,
    where: str,
) -> NDArray[np.float32]:
    """Run the classifier on every window."""
    windows = sliding_window_view(array, window, axis=(1, 2))[:, :: stride[0], :: stride[1]]
    rows, columns = windows.shape[1:3]
    outputs = []
    for batch in _batches(windows):
        outputs.append(_logits(classifier(batch), where))
        bar.update(len(batch))
    scores = np.concatenate(outputs).reshape(rows, columns, -1)
    return np.ascontiguousarray(scores.transpose(2, 0, 1))


def _batches(windows: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    columns = windows.shape[2]
    count = windows.shape[1] * columns
    for start in range(0, count, _BATCH):
        places = np.arange(start, min(start + _BATCH, count))
        yield np.ascontiguousarray(windows[:, places // columns, places % columns].swapaxes(0, 1))


def _logits(output: Any, where: str) -> NDArray[np.float32]:
    is_map = isinstance(output, np.ndarray) and output.ndim in (2, 4) and output[0, 0].size == 1
    if not is_map or output.dtype == bool:
        found = output.shape if isinstance(output, np.ndarray) else type(output).__name__
        found = "bool" if is_map else found
        raise UnsupportedError(f"{where}: a classifier returns logits (N, classes), got {found}")
    return output.reshape(output.shape[:2])
