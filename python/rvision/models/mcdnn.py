"""The multi-column deep network, the first to reach human accuracy on MNIST.

Ciresan, Meier, Schmidhuber: "Multi-column Deep Neural Networks for Image Classification" (CVPR 2012,
arXiv:1202.2745), 1x29x29-20C4-MP2-40C5-MP3-150N-10N. torchvision has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rvision import nn
from rvision.errors import ShapeError
from rvision.models._api import model_builder

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["MCDNN", "MCDNNColumn", "ScaledTanh", "mcdnn_mnist", "normalize_widths"]

# Widths that a digit's box is scaled to; the paper's seventh block sees the unscaled digit.
_WIDTHS = (10, 12, 14, 16, 18, 20)
_SIDE = 29


class ScaledTanh(nn.Module):
    """``1.7159 * tanh(2 / 3 * x)``, which maps 1 to 1 and -1 to -1 (LeCun et al., "Efficient BackProp")."""

    def forward(self, x: Symbol) -> Symbol:
        """Return the function of `x`."""
        return nn.functional.tanh(x * (2 / 3)) * 1.7159


class MCDNNColumn(nn.Module):
    """One column: (N, 1, 29, 29) to the logits (N, num_classes).

    Parameters
    ----------
    num_classes : int
        Outputs.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 20, kernel_size=4),  # 26 x 26
            ScaledTanh(),
            nn.MaxPool2d(kernel_size=2, stride=2),  # 13 x 13
            nn.Conv2d(20, 40, kernel_size=5),  # 9 x 9
            ScaledTanh(),
            nn.MaxPool2d(kernel_size=3, stride=3),  # 3 x 3
        )
        self.classifier = nn.Sequential(nn.Linear(40 * 3 * 3, 150), ScaledTanh(), nn.Linear(150, num_classes))

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.features(x)
        x = x.flatten(1)
        return self.classifier(x)


class MCDNN(nn.Module):
    """Separately trained columns, averaged: (N, blocks, 29, 29) to probabilities (N, num_classes).

    Each channel is the same digit in a different preparation, as by `normalize_widths`, and is the
    input of one block's columns. Every column's softmax has the same weight.

    Parameters
    ----------
    blocks : int
        Preparations.
    columns_per_block : int
        Columns with the same preparation, which differ in their training.
    num_classes : int
        Outputs.

    Raises
    ------
    ValueError
        If there are no columns.
    """

    _spatial = True

    def __init__(self, blocks: int = 7, columns_per_block: int = 5, num_classes: int = 10) -> None:
        super().__init__()
        if blocks < 1 or columns_per_block < 1:
            raise ValueError(
                "MCDNN: blocks and columns_per_block must be at least 1, "
                f"got {blocks} and {columns_per_block}"
            )
        self.blocks = blocks
        self.columns_per_block = columns_per_block
        self.columns = nn.ModuleList([MCDNNColumn(num_classes) for _ in range(blocks * columns_per_block)])

    def forward(self, x: Symbol) -> Symbol:
        """Return the mean of the columns' probabilities."""
        total = None
        for i, column in enumerate(self.columns):
            block = i // self.columns_per_block
            probabilities = nn.functional.softmax(column(x[:, block : block + 1]), 1)
            total = probabilities if total is None else total + probabilities
        return total / len(self.columns)


def normalize_widths(digits: ArrayLike) -> NDArray[np.float32]:
    """Prepare digits for `mcdnn_mnist`: (N, 28, 28) of 0 to 255 to (N, 7, 29, 29) of -1 to 1, float32.

    Six channels have the digit's bounding box scaled to 10, 12, 14, 16, 18 and 20 columns at the
    same height, centred; the seventh has the unscaled digit. Both follow the paper, which specifies
    neither the interpolation (bilinear here) nor the position. The background is -1.

    Parameters
    ----------
    digits : array_like, (N, 28, 28) or (28, 28), uint8
        Bright on black, as in MNIST.

    Raises
    ------
    ShapeError
        If the digits have another shape.
    TypeError
        If they are not uint8.
    """
    from PIL import Image

    array = np.asarray(digits)
    if array.dtype != np.uint8:
        raise TypeError(f"normalize_widths: digits must be uint8 of 0 to 255, got {array.dtype}")
    batch = array[None] if array.ndim == 2 else array
    if batch.ndim != 3 or batch.shape[1:] != (28, 28):
        raise ShapeError(f"normalize_widths: expected digits (N, 28, 28) or (28, 28), got {array.shape}")
    out = np.zeros((len(batch), len(_WIDTHS) + 1, _SIDE, _SIDE), np.uint8)
    out[:, -1, :28, :28] = batch
    for digit, channels in zip(batch, out, strict=True):
        rows, columns = np.flatnonzero(digit.any(1)), np.flatnonzero(digit.any(0))
        if not len(rows):
            continue
        box = Image.fromarray(digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        top = (_SIDE - box.height) // 2
        for width, channel in zip(_WIDTHS, channels, strict=False):
            left = (_SIDE - width) // 2
            scaled = box.resize((width, box.height), Image.Resampling.BILINEAR)
            channel[top : top + box.height, left : left + width] = np.asarray(scaled)
    return out.astype(np.float32) / np.float32(127.5) - np.float32(1)


@model_builder(input_size=(7, 29, 29))
def mcdnn_mnist(**kwargs: Any) -> MCDNN:
    """Multi-column network for MNIST (arXiv:1202.2745): 35 columns, five for each of seven preparations."""
    return MCDNN(**kwargs)
