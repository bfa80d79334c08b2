"""Inception v4.

Szegedy, Ioffe, Vanhoucke, Alemi: "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning" (arXiv:1602.07261). torchvision has none; names and hyperparameters are
those of timm's `inception_v4`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rvision
from rvision import nn
from rvision.models._api import model_builder
from rvision.models.googlenet import BasicConv2d

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["InceptionV4", "inception_v4"]


def same(in_channels: int, out_channels: int, height: int, width: int) -> BasicConv2d:
    """Return a convolution with an odd kernel of height x width that keeps the size."""
    padding = (height // 2, width // 2)
    return BasicConv2d(in_channels, out_channels, kernel_size=(height, width), padding=padding)


def valid(in_channels: int, out_channels: int, stride: int = 1) -> BasicConv2d:
    """Return a 3x3 convolution without padding, the figures' "V"."""
    return BasicConv2d(in_channels, out_channels, kernel_size=3, stride=stride)


def pooled(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return a 3x3 average pool that excludes the padding, and a 1x1 convolution."""
    return nn.Sequential(
        nn.AvgPool2d(kernel_size=3, stride=1, padding=1, count_include_pad=False),
        same(in_channels, out_channels, 1, 1),
    )


class Branches(nn.Module):
    """Parallel submodules on the same input; their channels are concatenated in order."""

    def forward(self, x: Symbol) -> Symbol:
        """Return the concatenated outputs of the branches."""
        return rvision.cat([branch(x) for branch in self.children()], 1)


class Mixed3a(Branches):
    """The stem's first branching (figure 3), to half the size: (N, 64, H, W) to (N, 160, ., .)."""

    def __init__(self) -> None:
        super().__init__()
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2)
        self.conv = valid(64, 96, stride=2)


class Mixed4a(Branches):
    """The stem's second branching: (N, 160, H, W) to (N, 192, H - 2, W - 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.branch0 = nn.Sequential(same(160, 64, 1, 1), valid(64, 96))
        self.branch1 = nn.Sequential(
            same(160, 64, 1, 1), same(64, 64, 1, 7), same(64, 64, 7, 1), valid(64, 96)
        )


class Mixed5a(Branches):
    """The stem's third branching, to half the size: (N, 192, H, W) to (N, 384, ., .)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = valid(192, 192, stride=2)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2)


class InceptionA(Branches):
    """1x1, 3x3, two 3x3 and a pool, concatenated (figure 4): (N, 384, H, W) to the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.branch0 = same(384, 96, 1, 1)
        self.branch1 = nn.Sequential(same(384, 64, 1, 1), same(64, 96, 3, 3))
        self.branch2 = nn.Sequential(same(384, 64, 1, 1), same(64, 96, 3, 3), same(96, 96, 3, 3))
        self.branch3 = pooled(384, 96)


class ReductionA(Branches):
    """3x3, two 3x3 and a pool, all to half the size (figure 7): (N, 384, H, W) to (N, 1024, ., .)."""

    def __init__(self) -> None:
        super().__init__()
        self.branch0 = valid(384, 384, stride=2)
        self.branch1 = nn.Sequential(same(384, 192, 1, 1), same(192, 224, 3, 3), valid(224, 256, stride=2))
        self.branch2 = nn.MaxPool2d(kernel_size=3, stride=2)


class InceptionB(Branches):
    """1x1, one and two factored 7x7, a pool (figure 5): (N, 1024, H, W) to the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.branch0 = same(1024, 384, 1, 1)
        self.branch1 = nn.Sequential(same(1024, 192, 1, 1), same(192, 224, 1, 7), same(224, 256, 7, 1))
        self.branch2 = nn.Sequential(
            same(1024, 192, 1, 1),
            same(192, 192, 7, 1),
            same(192, 224, 1, 7),
            same(224, 224, 7, 1),
            same(224, 256, 1, 7),
        )
        self.branch3 = pooled(1024, 128)


class ReductionB(Branches):
    """3x3, 7x7 and a pool, all to half the size (figure 8): (N, 1024, H, W) to (N, 1536, ., .)."""

    def __init__(self) -> None:
        super().__init__()
        self.branch0 = nn.Sequential(same(1024, 192, 1, 1), valid(192, 192, stride=2))
        self.branch1 = nn.Sequential(
            same(1024, 256, 1, 1), same(256, 256, 1, 7), same(256, 320, 7, 1), valid(320, 320, stride=2)
        )
        self.branch2 = nn.MaxPool2d(kernel_size=3, stride=2)


class InceptionC(nn.Module):
    """1x1, two branches ending in 1x3 and 3x1, a pool (figure 6): (N, 1536, H, W) to the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.branch0 = same(1536, 256, 1, 1)
        self.branch1_0 = same(1536, 384, 1, 1)
        self.branch1_1a = same(384, 256, 1, 3)
        self.branch1_1b = same(384, 256, 3, 1)
        self.branch2_0 = same(1536, 384, 1, 1)
        self.branch2_1 = same(384, 448, 3, 1)
        self.branch2_2 = same(448, 512, 1, 3)
        self.branch2_3a = same(512, 256, 1, 3)
        self.branch2_3b = same(512, 256, 3, 1)
        self.branch3 = pooled(1536, 256)

    def forward(self, x: Symbol) -> Symbol:
        """Return the concatenated outputs of the branches."""
        short = self.branch1_0(x)
        long = self.branch2_2(self.branch2_1(self.branch2_0(x)))
        return rvision.cat(
            [
                self.branch0(x),
                self.branch1_1a(short),
                self.branch1_1b(short),
                self.branch2_3a(long),
                self.branch2_3b(long),
                self.branch3(x),
            ],
            1,
        )


class InceptionV4(nn.Module):
    """Inception v4: (N, 3, H, W) of 75x75 and more, best 299x299, to (N, num_classes).

    Parameters
    ----------
    num_classes : int
        Outputs.
    dropout : float
        Probability of the dropout, which does nothing at inference.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        self.features = nn.Sequential(
            valid(3, 32, stride=2),
            valid(32, 32),
            same(32, 64, 3, 3),
            Mixed3a(),
            Mixed4a(),
            Mixed5a(),
            *(InceptionA() for _ in range(4)),
            ReductionA(),
            *(InceptionB() for _ in range(7)),
            ReductionB(),
            *(InceptionC() for _ in range(3)),
        )
        self.global_pool = nn.AdaptiveAvgPool2d((1, 1))
        self.head_drop = nn.Dropout(p=dropout)
        self.last_linear = nn.Linear(1536, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.global_pool(self.features(x)).flatten(1)
        return self.last_linear(self.head_drop(x))


@model_builder(input_size=(3, 299, 299))
def inception_v4(**kwargs: Any) -> InceptionV4:
    """Inception v4 of "Inception-v4, Inception-ResNet" (arXiv:1602.07261)."""
    return InceptionV4(**kwargs)
