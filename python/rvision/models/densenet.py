"""DenseNet.

Huang, Liu, van der Maaten, Weinberger: "Densely Connected Convolutional Networks" (arXiv:1608.06993), the
variant with bottlenecks and compression (DenseNet-BC). Names as in `torchvision.models.densenet`.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import rvision
from rvision import nn
from rvision.models._api import model_builder
from rvision.models._utils import settled
from rvision.weights import (
    DenseNet121_Weights,
    DenseNet161_Weights,
    DenseNet169_Weights,
    DenseNet201_Weights,
)

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = [
    "DenseNet",
    "DenseNet121_Weights",
    "DenseNet161_Weights",
    "DenseNet169_Weights",
    "DenseNet201_Weights",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
]

# Module names could hold dots when the published files were written.
_OLD_KEY = re.compile(r"(norm|conv)\.([12])\.(\w+)")


class _DenseLayer(nn.Module):
    """1x1 to ``bn_size * growth_rate`` channels, 3x3 to `growth_rate`, each after its batch norm and ReLU.

    (N, num_input_features, H, W), whole or as a list of pieces along the channels, to (N, growth_rate, H, W).
    """

    def __init__(
        self,
        num_input_features: int,
        growth_rate: int,
        bn_size: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        width = bn_size * growth_rate
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(num_input_features, width, kernel_size=1, stride=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, growth_rate, kernel_size=3, stride=1, padding=1, bias=False)
        self.drop_rate = float(drop_rate)
        self.memory_efficient = memory_efficient

    def forward(self, input: Symbol | list[Symbol]) -> Symbol:
        """Return the layer's new features."""
        x = rvision.cat(input, 1) if isinstance(input, list) else input
        x = self.conv1(self.relu1(self.norm1(x)))
        return self.conv2(self.relu2(self.norm2(x)))

    def _upgrade_state_dict(self, state: dict[str, Any], prefix: str, metadata: Mapping[str, Any]) -> None:
        for key in [key for key in state if key.startswith(prefix)]:
            old = _OLD_KEY.fullmatch(key.removeprefix(prefix))
            if old is not None:
                state[f"{prefix}{old[1]}{old[2]}.{old[3]}"] = state.pop(key)


class _DenseBlock(nn.ModuleDict):
    """Layers that each read the block's input and the outputs of all previous layers.

    (N, num_input_features, H, W) to (N, num_input_features + num_layers * growth_rate, H, W).
    """

    _version = 2

    def __init__(
        self,
        num_layers: int,
        num_input_features: int,
        bn_size: int,
        growth_rate: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        for i in range(num_layers):
            self[f"denselayer{i + 1}"] = _DenseLayer(
                num_input_features + i * growth_rate, growth_rate, bn_size, drop_rate, memory_efficient
            )

    def forward(self, init_features: Symbol) -> Symbol:
        """Return the concatenation of the input and all layers' features."""
        # Each concatenation is a part of the next: all share one buffer and nothing is copied.
        features = init_features
        for layer in self.values():
            features = rvision.cat([features, layer(features)], 1)
        return features


class _Transition(nn.Sequential):
    """A 1x1 convolution to fewer channels, then a pool: (N, inputs, H, W) to (N, outputs, H/2, W/2)."""

    def __init__(self, num_input_features: int, num_output_features: int) -> None:
        super().__init__(
            OrderedDict(
                norm=nn.BatchNorm2d(num_input_features),
                relu=nn.ReLU(inplace=True),
                conv=nn.Conv2d(num_input_features, num_output_features, kernel_size=1, stride=1, bias=False),
                pool=nn.AvgPool2d(kernel_size=2, stride=2),
            )
        )


class DenseNet(nn.Module):
    """A densely connected network: (N, 3, H, W) of 29x29 and more to (N, num_classes).

    State dicts with the keys of old files (``denselayer1.norm.1.weight``) are read too.

    Parameters
    ----------
    growth_rate : int
        Channels that each layer adds, the paper's k.
    block_config : sequence of int
        Layers in each block.
    num_init_features : int
        Channels of the first convolution.
    bn_size : int
        Channels inside a layer, in multiples of `growth_rate`.
    drop_rate : float
        Probability of dropping a layer's features, which does nothing at inference.
    num_classes : int
        Outputs.
    memory_efficient : bool
        Accepted for compatibility with torchvision: it trades time for memory in training.
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        channels = num_init_features
        features: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(3, channels, kernel_size=7, stride=2, padding=3, bias=False),
            norm0=nn.BatchNorm2d(channels),
            relu0=nn.ReLU(inplace=True),
            pool0=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        for number, num_layers in enumerate(block_config, 1):
            features[f"denseblock{number}"] = _DenseBlock(
                num_layers, channels, bn_size, growth_rate, drop_rate, memory_efficient
            )
            channels += num_layers * growth_rate
            if number < len(block_config):
                features[f"transition{number}"] = _Transition(channels, channels // 2)
                channels //= 2
        features["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(features)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.features(x)
        x = nn.functional.relu(x)
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1))
        x = x.flatten(1)
        return self.classifier(x)


def _densenet(
    growth_rate: int, block_config: tuple[int, ...], num_init_features: int, kwargs: dict[str, Any]
) -> DenseNet:
    variant = {
        "growth_rate": growth_rate,
        "block_config": block_config,
        "num_init_features": num_init_features,
    }
    return DenseNet(**settled(kwargs, **variant))


@model_builder(DenseNet121_Weights)
def densenet121(**kwargs: Any) -> DenseNet:
    """DenseNet-121 of "Densely Connected Convolutional Networks" (arXiv:1608.06993)."""
    return _densenet(32, (6, 12, 24, 16), 64, kwargs)


@model_builder(DenseNet161_Weights)
def densenet161(**kwargs: Any) -> DenseNet:
    """DenseNet-161 of "Densely Connected Convolutional Networks" (arXiv:1608.06993): growth rate 48."""
    return _densenet(48, (6, 12, 36, 24), 96, kwargs)


@model_builder(DenseNet169_Weights)
def densenet169(**kwargs: Any) -> DenseNet:
    """DenseNet-169 of "Densely Connected Convolutional Networks" (arXiv:1608.06993)."""
    return _densenet(32, (6, 12, 32, 32), 64, kwargs)


@model_builder(DenseNet201_Weights)
def densenet201(**kwargs: Any) -> DenseNet:
    """DenseNet-201 of "Densely Connected Convolutional Networks" (arXiv:1608.06993)."""
    return _densenet(32, (6, 12, 48, 32), 64, kwargs)
