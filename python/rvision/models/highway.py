"""Highway networks, convolutional.

Srivastava, Greff, Schmidhuber: "Highway Networks" (arXiv:1505.00387) and "Training Very Deep
Networks" (arXiv:1507.06228). torchvision has none. The papers give depth and parameters of their
networks for CIFAR-10, and FitNets ("FitNets: Hints for Thin Deep Nets", arXiv:1412.6550) as the
base of their highway layers; the widths here are those of FitNet 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rvision import nn
from rvision.models._api import model_builder
from rvision.nn.parameter import Drawn

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["HighwayConv2d", "HighwayNet", "highway_cifar10"]

# FitNet 4: the channels of the 3x3 convolutions between pools.
_FITNET4 = ((32, 32, 32, 48, 48), (80,) * 6, (128,) * 6)


class HighwayConv2d(nn.Module):
    """A highway layer: ``relu(conv(x)) * t + x * (1 - t)`` with the transform gate ``t = sigmoid(gate(x))``.

    (N, channels, H, W) to the same shape.

    Parameters
    ----------
    channels : int
        Channels of the input and of the output, which are added.
    kernel_size : int
        Kernel size of both convolutions, odd.
    gate_bias : float
        The gate's bias before training. Negative, so that a deep network initially passes its input
        on.

    Raises
    ------
    ValueError
        If `kernel_size` is even.
    """

    def __init__(self, channels: int, kernel_size: int = 3, gate_bias: float = -2.0) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"HighwayConv2d: kernel_size must be odd to keep the size, got {kernel_size}")
        self.conv = nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2)
        self.gate = nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2)
        self.gate.register_parameter("bias", Drawn((channels,), fill=gate_bias))
        self.relu = nn.ReLU(inplace=True)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Symbol) -> Symbol:
        """Return the layer's output."""
        transformed = self.relu(self.conv(x))
        t = self.sigmoid(self.gate(x))
        return transformed * t + x * (1 - t)


class HighwayNet(nn.Module):
    """A convolutional highway network: (N, 3, H, W), usually of 32x32, to (N, num_classes).

    It has plain 3x3 convolutions where the number of channels changes, since a highway layer cannot
    change it, and highway layers elsewhere; a 2x2 max pool between the stages, a global one at the
    end, and a hidden layer.

    Parameters
    ----------
    stages : sequence of sequences of int
        Channels of the 3x3 layers of each stage; FitNet 4's by default, 19 layers with the two linear ones.
    num_classes : int
        Outputs.
    hidden : int
        Units of the hidden layer.
    gate_bias : float
        The gates' bias before training.

    Raises
    ------
    ValueError
        If a stage has no layer.
    """

    def __init__(
        self,
        stages: Sequence[Sequence[int]] = _FITNET4,
        num_classes: int = 10,
        hidden: int = 500,
        gate_bias: float = -2.0,
    ) -> None:
        super().__init__()
        if not stages or not all(stages):
            raise ValueError(f"HighwayNet: every stage needs a layer at least, got stages={stages!r}")
        layers: list[nn.Module] = []
        channels = 3
        for i, stage in enumerate(stages):
            if i > 0:
                layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            for width in stage:
                if width == channels:
                    layers.append(HighwayConv2d(channels, gate_bias=gate_bias))
                else:
                    layers += [nn.Conv2d(channels, width, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
                channels = width
        self.features = nn.Sequential(*layers)
        self.maxpool = nn.AdaptiveMaxPool2d((1, 1))
        self.classifier = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, num_classes)
        )

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.features(x)
        x = self.maxpool(x)
        x = x.flatten(1)
        return self.classifier(x)


@model_builder(input_size=(3, 32, 32))
def highway_cifar10(**kwargs: Any) -> HighwayNet:
    """Highway network, convolutional, of 19 layers for CIFAR-10 (arXiv:1507.06228), as wide as FitNet 4."""
    return HighwayNet(**kwargs)
