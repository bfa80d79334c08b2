"""DenseNet-BC for CIFAR.

Huang, Liu, van der Maaten, Weinberger: "Densely Connected Convolutional Networks"
(arXiv:1608.06993). Inner names as in `torchvision.models.densenet`, which has only the networks for
ImageNet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rvision
from rvision import nn
from rvision.models._api import model_builder
from rvision.models._utils import settled

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = [
    "CifarDenseNet",
    "densenet_bc_100_12",
]


class CifarDenseLayer(nn.Module):
    """A bottleneck that adds channels: (N, C, H, W) to (N, C + growth_rate, H, W).

    Parameters
    ----------
    num_input_features : int
        C.
    growth_rate : int
        Channels added.
    bn_size : int
        The 1x1 convolution has this many times `growth_rate` outputs.
    drop_rate : float
        Probability of the dropout, which does nothing at inference.
    """

    def __init__(
        self, num_input_features: int, growth_rate: int, bn_size: int = 4, drop_rate: float = 0.0
    ) -> None:
        super().__init__()
        inside = bn_size * growth_rate
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(num_input_features, inside, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(inside)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(inside, growth_rate, kernel_size=3, padding=1, bias=False)
        self.dropout = nn.Dropout(p=drop_rate)

    def forward(self, x: Symbol) -> Symbol:
        """Return the input's channels followed by the new ones."""
        new = self.conv1(self.relu1(self.norm1(x)))
        new = self.conv2(self.relu2(self.norm2(new)))
        return rvision.cat([x, self.dropout(new)], 1)


class CifarTransition(nn.Module):
    """Fewer channels at half the size: (N, C, H, W) to (N, num_output_features, H/2, W/2).

    Parameters
    ----------
    num_input_features, num_output_features : int
        Channels of the input and of the output.
    """

    def __init__(self, num_input_features: int, num_output_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(num_input_features)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(num_input_features, num_output_features, kernel_size=1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)

    def forward(self, x: Symbol) -> Symbol:
        """Return the smaller map."""
        return self.pool(self.conv(self.relu(self.norm(x))))


class CifarDenseNet(nn.Module):
    """DenseNet-BC of three blocks: (N, 3, H, W) of 4x4 at least, made for 32x32, to (N, num_classes).

    Parameters
    ----------
    depth : int
        Layers with weights: 4, and 6 for each dense layer of a block, so 6 n + 4.
    growth_rate : int
        Channels that each dense layer adds. The first convolution has twice as many outputs.
    num_classes : int
        Outputs.
    drop_rate : float
        Probability of each dense layer's dropout, which does nothing at inference.

    Raises
    ------
    ValueError
        If `depth` is not 6 n + 4.
    """

    def __init__(
        self, depth: int = 100, growth_rate: int = 12, num_classes: int = 10, drop_rate: float = 0.0
    ) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f"CifarDenseNet: depth must be 6 n + 4, such as 100, got {depth}")
        channels = 2 * growth_rate
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(3, channels, kernel_size=3, padding=1, bias=False))
        for number in (1, 2, 3):
            block = nn.Sequential()
            for i in range((depth - 4) // 6):
                layer = CifarDenseLayer(channels, growth_rate, drop_rate=drop_rate)
                block.add_module(f"denselayer{i + 1}", layer)
                channels += growth_rate
            self.features.add_module(f"denseblock{number}", block)
            if number < 3:
                self.features.add_module(f"transition{number}", CifarTransition(channels, channels // 2))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = nn.functional.relu(self.features(x))
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1))
        return self.classifier(x.flatten(1))


@model_builder(input_size=(3, 32, 32))
def densenet_bc_100_12(**kwargs: Any) -> CifarDenseNet:
    """DenseNet-BC of 100 layers and growth rate 12, "Densely Connected" (arXiv:1608.06993)."""
    return CifarDenseNet(**settled(kwargs, depth=100, growth_rate=12))
