"""Inception-ResNet v2.

Szegedy, Ioffe, Vanhoucke, Alemi: "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning" (arXiv:1602.07261). torchvision has none; names and hyperparameters are
those of timm's `inception_resnet_v2`. As there and in Google's published network, the stem is that
of Inception v3 with one mixed block, and the maps have 320, 1088 and 2080 channels where the
paper's figures have 384, 1154 and 2048.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rvision
from rvision import nn
from rvision.models._api import model_builder
from rvision.models.inception_v4 import Branches, pooled, same, valid

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["InceptionResnetV2", "inception_resnet_v2"]


class Mixed5b(Branches):
    """1x1, 5x5, two 3x3 and a pool, concatenated: (N, 192, H, W) to (N, 320, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.branch0 = same(192, 96, 1, 1)
        self.branch1 = nn.Sequential(same(192, 48, 1, 1), same(48, 64, 5, 5))
        self.branch2 = nn.Sequential(same(192, 64, 1, 1), same(64, 96, 3, 3), same(96, 96, 3, 3))
        self.branch3 = pooled(192, 64)


class Mixed6a(Branches):
    """3x3, two 3x3 and a pool, all to half the size: (N, 320, H, W) to (N, 1088, ., .)."""

    def __init__(self) -> None:
        super().__init__()
        self.branch0 = valid(320, 384, stride=2)
        self.branch1 = nn.Sequential(same(320, 256, 1, 1), same(256, 256, 3, 3), valid(256, 384, stride=2))
        self.branch2 = nn.MaxPool2d(kernel_size=3, stride=2)


class Mixed7a(Branches):
    """Two 3x3, two 3x3 in a row and a pool, all to half the size: (N, 1088, H, W) to (N, 2080, ., .)."""

    def __init__(self) -> None:
        super().__init__()
        self.branch0 = nn.Sequential(same(1088, 256, 1, 1), valid(256, 384, stride=2))
        self.branch1 = nn.Sequential(same(1088, 256, 1, 1), valid(256, 288, stride=2))
        self.branch2 = nn.Sequential(same(1088, 256, 1, 1), same(256, 288, 3, 3), valid(288, 320, stride=2))
        self.branch3 = nn.MaxPool2d(kernel_size=3, stride=2)


class Block35(nn.Module):
    """The residual block of the 35x35 maps (figure 16): (N, 320, H, W) to the same shape.

    Parameters
    ----------
    scale : float
        Factor of the branches' output before it is added (section 3.3).
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.branch0 = same(320, 32, 1, 1)
        self.branch1 = nn.Sequential(same(320, 32, 1, 1), same(32, 32, 3, 3))
        self.branch2 = nn.Sequential(same(320, 32, 1, 1), same(32, 48, 3, 3), same(48, 64, 3, 3))
        self.conv2d = nn.Conv2d(128, 320, kernel_size=1)
        self.act = nn.ReLU()

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        out = self.conv2d(rvision.cat([self.branch0(x), self.branch1(x), self.branch2(x)], 1))
        return self.act(out * self.scale + x)


class Block17(nn.Module):
    """The residual block of the 17x17 maps (figure 17): (N, 1088, H, W) to the same shape.

    Parameters
    ----------
    scale : float
        As of `Block35`.
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.branch0 = same(1088, 192, 1, 1)
        self.branch1 = nn.Sequential(same(1088, 128, 1, 1), same(128, 160, 1, 7), same(160, 192, 7, 1))
        self.conv2d = nn.Conv2d(384, 1088, kernel_size=1)
        self.act = nn.ReLU()

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        out = self.conv2d(rvision.cat([self.branch0(x), self.branch1(x)], 1))
        return self.act(out * self.scale + x)


class Block8(nn.Module):
    """The residual block of the 8x8 maps (figure 19): (N, 2080, H, W) to the same shape.

    Parameters
    ----------
    scale : float
        As of `Block35`.
    no_relu : bool
        Omit the ReLU after the sum, as in the last block.
    """

    def __init__(self, scale: float = 1.0, no_relu: bool = False) -> None:
        super().__init__()
        self.scale = scale
        self.branch0 = same(2080, 192, 1, 1)
        self.branch1 = nn.Sequential(same(2080, 192, 1, 1), same(192, 224, 1, 3), same(224, 256, 3, 1))
        self.conv2d = nn.Conv2d(448, 2080, kernel_size=1)
        self.relu = None if no_relu else nn.ReLU()

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        out = self.conv2d(rvision.cat([self.branch0(x), self.branch1(x)], 1))
        out = out * self.scale + x
        return out if self.relu is None else self.relu(out)


class InceptionResnetV2(nn.Module):
    """Inception-ResNet v2: (N, 3, H, W) of 75x75 and more, best 299x299, to (N, num_classes).

    Parameters
    ----------
    num_classes : int
        Outputs.
    dropout : float
        Probability of the dropout, which does nothing at inference.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        self.conv2d_1a = valid(3, 32, stride=2)
        self.conv2d_2a = valid(32, 32)
        self.conv2d_2b = same(32, 64, 3, 3)
        self.maxpool_3a = nn.MaxPool2d(kernel_size=3, stride=2)
        self.conv2d_3b = same(64, 80, 1, 1)
        self.conv2d_4a = valid(80, 192)
        self.maxpool_5a = nn.MaxPool2d(kernel_size=3, stride=2)
        self.mixed_5b = Mixed5b()
        self.repeat = nn.Sequential(*(Block35(scale=0.17) for _ in range(10)))
        self.mixed_6a = Mixed6a()
        self.repeat_1 = nn.Sequential(*(Block17(scale=0.10) for _ in range(20)))
        self.mixed_7a = Mixed7a()
        self.repeat_2 = nn.Sequential(*(Block8(scale=0.20) for _ in range(9)))
        self.block8 = Block8(no_relu=True)
        self.conv2d_7b = same(2080, 1536, 1, 1)
        self.global_pool = nn.AdaptiveAvgPool2d((1, 1))
        self.head_drop = nn.Dropout(p=dropout)
        self.classif = nn.Linear(1536, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x)))
        x = self.maxpool_3a(x)
        x = self.conv2d_4a(self.conv2d_3b(x))
        x = self.maxpool_5a(x)
        x = self.repeat(self.mixed_5b(x))
        x = self.repeat_1(self.mixed_6a(x))
        x = self.repeat_2(self.mixed_7a(x))
        x = self.conv2d_7b(self.block8(x))
        x = self.global_pool(x).flatten(1)
        return self.classif(self.head_drop(x))


@model_builder(input_size=(3, 299, 299))
def inception_resnet_v2(**kwargs: Any) -> InceptionResnetV2:
    """Inception-ResNet v2 of "Inception-v4, Inception-ResNet" (arXiv:1602.07261)."""
    return InceptionResnetV2(**kwargs)
