"""MobileNetV2.

Sandler, Howard, Zhu, Zhmoginov, Chen: "MobileNetV2: Inverted Residuals and Linear Bottlenecks"
(arXiv:1801.04381). Names as in `torchvision.models.mobilenetv2`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rvision import nn
from rvision.models._api import model_builder
from rvision.models._utils import _make_divisible, width_of
from rvision.ops import Conv2dNormActivation
from rvision.weights import MobileNet_V2_Weights

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["MobileNetV2", "MobileNet_V2_Weights", "mobilenet_v2"]

# The paper's table 2: expansion, output channels, blocks, stride of the first block.
_SETTING = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
]


class InvertedResidual(nn.Module):
    """Expand by 1x1, 3x3 depthwise convolution, project by 1x1 without activation.

    (N, inp, H, W) to (N, oup, H/stride, W/stride); the input is added if the shapes agree.

    Parameters
    ----------
    inp, oup : int
        Channels of the input and of the output.
    stride : int
        The depthwise convolution's, 1 or 2.
    expand_ratio : int
        Channels inside, in multiples of `inp`. At 1 there is no expansion layer.
    norm_layer : callable, optional
        Makes a normalisation from a channel count, `BatchNorm2d` by default.
    """

    def __init__(
        self,
        inp: int,
        oup: int,
        stride: int,
        expand_ratio: int,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"InvertedResidual: stride must be 1 or 2, got {stride}")
        norm_layer = norm_layer or nn.BatchNorm2d
        self.stride = stride
        self.out_channels = oup
        self.use_res_connect = stride == 1 and inp == oup
        hidden = round(inp * expand_ratio)

        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(
                Conv2dNormActivation(
                    inp, hidden, kernel_size=1, norm_layer=norm_layer, activation_layer=nn.ReLU6
                )
            )
        layers += [
            Conv2dNormActivation(
                hidden,
                hidden,
                stride=stride,
                groups=hidden,
                norm_layer=norm_layer,
                activation_layer=nn.ReLU6,
            ),
            nn.Conv2d(hidden, oup, kernel_size=1, bias=False),
            norm_layer(oup),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2: (N, 3, H, W) of any size to (N, num_classes).

    Parameters
    ----------
    num_classes : int
        Outputs.
    width_mult : float
        Multiplies the channels of every layer; the last layer's are only increased.
    inverted_residual_setting : sequence of [t, c, n, s], optional
        The blocks: `n` of them with expansion `t` and `c` output channels, the first with stride `s`.
    round_nearest : int
        Channels are rounded to a multiple of this; 1 leaves them unchanged.
    block : callable, optional
        Makes a block, `InvertedResidual` by default.
    norm_layer : callable, optional
        Makes a normalisation from a channel count, `BatchNorm2d` by default.
    dropout : float
        Probability of the dropout, which does nothing at inference.

    Raises
    ------
    ValueError
        If `inverted_residual_setting` is not of this form.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        block = block or InvertedResidual
        norm_layer = norm_layer or nn.BatchNorm2d
        setting = _SETTING if inverted_residual_setting is None else inverted_residual_setting
        if len(setting) == 0 or any(len(row) != 4 for row in setting):
            raise ValueError(
                f"inverted_residual_setting needs rows of four numbers t, c, n, s, got {setting}"
            )

        channels = _make_divisible(32 * width_mult, round_nearest)
        self.last_channel = _make_divisible(1280 * max(1.0, width_mult), round_nearest)
        features: list[nn.Module] = [
            Conv2dNormActivation(3, channels, stride=2, norm_layer=norm_layer, activation_layer=nn.ReLU6)
        ]
        for t, c, n, s in setting:
            out_channels = _make_divisible(c * width_mult, round_nearest)
            for i in range(n):
                stride = s if i == 0 else 1
                features.append(block(channels, out_channels, stride, expand_ratio=t, norm_layer=norm_layer))
                channels = out_channels
        features.append(
            Conv2dNormActivation(
                channels, self.last_channel, kernel_size=1, norm_layer=norm_layer, activation_layer=nn.ReLU6
            )
        )
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes))

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.features(x)
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1))
        x = x.flatten(1)
        return self.classifier(x)


def _width(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return the width for which the layers have a file's channels."""
    ends = [shapes.get(f"features.{i}.conv.{3 if i > 1 else 2}.weight", (0,))[0] for i in range(1, 18)]
    ends = [shapes.get("features.0.0.weight", (0,))[0], *ends]
    usual = [32, *(c for _, c, n, _ in _SETTING for _ in range(n))]
    widths = width_of(ends, usual)
    return {} if widths in (None, 1.0) else {"width_mult": widths}


@model_builder(MobileNet_V2_Weights, from_state=_width)
def mobilenet_v2(**kwargs: Any) -> MobileNetV2:
    """MobileNetV2 of "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (arXiv:1801.04381)."""
    return MobileNetV2(**kwargs)
