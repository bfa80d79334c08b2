"""The result of a dense prediction: scores, and the positions of their windows on the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "Map", "ReceptiveField", "window_boxes"]


class Box(NamedTuple):
    """A rectangle in pixels, torchvision's ``xyxy``: left, top, right, bottom."""

    x0: float
    y0: float
    x1: float
    y1: float


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


@dataclass(frozen=True, eq=False)
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
    """

    scores: NDArray[np.float32]
    window_size: tuple[int, int]
    stride: tuple[int, int]
    image_size: tuple[int, int]
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[int, int] = (0, 0)

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
