"""ShuffleNetV2.

Ma, Zhang, Zheng, Sun: "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design"
(arXiv:1807.11164). Names as in `torchvision.models.shufflenetv2`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import rvision
from rvision import nn
from rvision.models._api import model_builder
from rvision.models._utils import settled
from rvision.weights import (
    ShuffleNet_V2_X0_5_Weights,
    ShuffleNet_V2_X1_0_Weights,
    ShuffleNet_V2_X1_5_Weights,
    ShuffleNet_V2_X2_0_Weights,
)

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = [
    "ShuffleNetV2",
    "ShuffleNet_V2_X0_5_Weights",
    "ShuffleNet_V2_X1_0_Weights",
    "ShuffleNet_V2_X1_5_Weights",
    "ShuffleNet_V2_X2_0_Weights",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
]


def channel_shuffle(x: Symbol, groups: int) -> Symbol:
    """Take the channels of (N, C, H, W) from each of `groups` groups in turn."""
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


class InvertedResidual(nn.Module):
    """Filters half of the channels (both halves if striding), passes on the others, then shuffles.

    (N, inp, H, W) to (N, oup, H/stride, W/stride).

    Parameters
    ----------
    inp, oup : int
        Channels of the input and of the output.
    stride : int
        1, 2 or 3. At 1 the channels must not change: ``inp == oup // 2 * 2``.
    """

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        if not 1 <= stride <= 3:
            raise ValueError(f"InvertedResidual: stride must be 1, 2 or 3, got {stride}")
        half = oup // 2
        if stride == 1 and inp != 2 * half:
            raise ValueError(
                f"InvertedResidual: at stride 1 inp must be oup // 2 * 2, got inp={inp} and oup={oup}"
            )
        self.stride = stride
        branch1: list[nn.Module] = []
        if stride > 1:
            branch1 = [
                self.depthwise_conv(inp, inp, kernel_size=3, stride=stride, padding=1),
                nn.BatchNorm2d(inp),
                nn.Conv2d(inp, half, kernel_size=1, stride=1, padding=0, bias=False),
                nn.BatchNorm2d(half),
                nn.ReLU(inplace=True),
            ]
        self.branch1 = nn.Sequential(*branch1)
        self.branch2 = nn.Sequential(
            nn.Conv2d(inp if stride > 1 else half, half, kernel_size=1, stride=1, padding=0, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
            self.depthwise_conv(half, half, kernel_size=3, stride=stride, padding=1),
            nn.BatchNorm2d(half),
            nn.Conv2d(half, half, kernel_size=1, stride=1, padding=0, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
        )

    @staticmethod
    def depthwise_conv(
        i: int, o: int, kernel_size: int, stride: int = 1, padding: int = 0, bias: bool = False
    ) -> nn.Conv2d:
        """Return a depthwise convolution of `i` input channels."""
        return nn.Conv2d(i, o, kernel_size, stride, padding, bias=bias, groups=i)

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        if self.stride == 1:
            passed, filtered = x.chunk(2, dim=1)
            out = rvision.cat([passed, self.branch2(filtered)], 1)
        else:
            out = rvision.cat([self.branch1(x), self.branch2(x)], 1)
        return channel_shuffle(out, 2)


class ShuffleNetV2(nn.Module):
    """ShuffleNetV2: (N, 3, H, W) of any size to (N, num_classes).

    Parameters
    ----------
    stages_repeats : sequence of int
        Blocks in each of the three stages.
    stages_out_channels : sequence of int
        Channels of the first convolution, the three stages and the last convolution.
    num_classes : int
        Outputs.
    inverted_residual : callable
        Makes a block from its input channels, output channels and stride.

    Raises
    ------
    ValueError
        If `stages_repeats` does not have three values, or `stages_out_channels` five.
    """

    def __init__(
        self,
        stages_repeats: Sequence[int],
        stages_out_channels: Sequence[int],
        num_classes: int = 1000,
        inverted_residual: Callable[..., nn.Module] = InvertedResidual,
    ) -> None:
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError(f"stages_repeats needs a value for each of three stages, got {stages_repeats}")
        if len(stages_out_channels) != 5:
            raise ValueError(
                "stages_out_channels needs five values (first convolution, three stages, last convolution), "
                f"got {stages_out_channels}"
            )
        first, *stages, last = stages_out_channels
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True)
        )
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        channels = first
        for number, repeats, out_channels in zip((2, 3, 4), stages_repeats, stages, strict=True):
            blocks = [inverted_residual(channels, out_channels, 2)]
            blocks += [inverted_residual(out_channels, out_channels, 1) for _ in range(repeats - 1)]
            setattr(self, f"stage{number}", nn.Sequential(*blocks))
            channels = out_channels
        self.conv5 = nn.Sequential(
            nn.Conv2d(channels, last, 1, 1, 0, bias=False), nn.BatchNorm2d(last), nn.ReLU(inplace=True)
        )
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.conv1(x)
        x = self.maxpool(x)
        x = self.stage2(x)
        x = self.stage3(x)
        x = self.stage4(x)
        x = self.conv5(x)
        x = x.mean([2, 3])
        return self.fc(x)


def _shufflenet(stages_out_channels: list[int], kwargs: dict[str, Any]) -> ShuffleNetV2:
    variant = {"stages_repeats": [4, 8, 4], "stages_out_channels": stages_out_channels}
    return ShuffleNetV2(**settled(kwargs, **variant))


@model_builder(ShuffleNet_V2_X0_5_Weights)
def shufflenet_v2_x0_5(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2 0.5x of "ShuffleNet V2: Practical Guidelines" (arXiv:1807.11164)."""
    return _shufflenet([24, 48, 96, 192, 1024], kwargs)


@model_builder(ShuffleNet_V2_X1_0_Weights)
def shufflenet_v2_x1_0(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2 1x of "ShuffleNet V2: Practical Guidelines" (arXiv:1807.11164)."""
    return _shufflenet([24, 116, 232, 464, 1024], kwargs)


@model_builder(ShuffleNet_V2_X1_5_Weights)
def shufflenet_v2_x1_5(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2 1.5x of "ShuffleNet V2: Practical Guidelines" (arXiv:1807.11164)."""
    return _shufflenet([24, 176, 352, 704, 1024], kwargs)


@model_builder(ShuffleNet_V2_X2_0_Weights)
def shufflenet_v2_x2_0(**kwargs: Any) -> ShuffleNetV2:
    """ShuffleNetV2 2x of "ShuffleNet V2: Practical Guidelines" (arXiv:1807.11164)."""
    return _shufflenet([24, 244, 488, 976, 2048], kwargs)
