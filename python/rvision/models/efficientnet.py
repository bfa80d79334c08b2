"""EfficientNet B0 to B7, and V2 S, M and L.

Tan, Le: "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (arXiv:1905.11946) and
"EfficientNetV2: Smaller Models and Faster Training" (arXiv:2104.00298). Names as in
`torchvision.models.efficientnet`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from rvision import nn
from rvision.models._api import model_builder
from rvision.models._utils import _make_divisible
from rvision.ops import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from rvision.weights import (
    EfficientNet_B0_Weights,
    EfficientNet_B1_Weights,
    EfficientNet_B2_Weights,
    EfficientNet_B3_Weights,
    EfficientNet_B4_Weights,
    EfficientNet_B5_Weights,
    EfficientNet_B6_Weights,
    EfficientNet_B7_Weights,
    EfficientNet_V2_L_Weights,
    EfficientNet_V2_M_Weights,
    EfficientNet_V2_S_Weights,
)

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = [
    "EfficientNet",
    "EfficientNet_B0_Weights",
    "EfficientNet_B1_Weights",
    "EfficientNet_B2_Weights",
    "EfficientNet_B3_Weights",
    "EfficientNet_B4_Weights",
    "EfficientNet_B5_Weights",
    "EfficientNet_B6_Weights",
    "EfficientNet_B7_Weights",
    "EfficientNet_V2_L_Weights",
    "EfficientNet_V2_M_Weights",
    "EfficientNet_V2_S_Weights",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
]


# ---- stages ----


@dataclass
class _MBConvConfig:
    """A stage: `num_layers` blocks, the first with `stride` and from `input_channels`."""

    expand_ratio: float
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int
    block: Callable[..., nn.Module]

    @staticmethod
    def adjust_channels(channels: int, width_mult: float, min_value: int | None = None) -> int:
        """Return the multiple of 8 near ``channels * width_mult``."""
        return _make_divisible(channels * width_mult, 8, min_value)


class MBConvConfig(_MBConvConfig):
    """A stage of `MBConv`: a row of table 1 of the first paper, or of table 4 of the second.

    Parameters
    ----------
    expand_ratio : float
        Channels inside a block, in multiples of those before it.
    kernel, stride : int
        The depthwise convolution's; the stride is the first block's.
    input_channels, out_channels : int
        Channels before and after the stage, for `width_mult` 1.
    num_layers : int
        Blocks, for `depth_mult` 1.
    width_mult, depth_mult : float
        Multiply the channels, which are rounded to multiples of 8, and the blocks, which are rounded up.
    block : callable, optional
        Makes a block from the stage, the probability of its stochastic depth and `norm_layer`.
    """

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        block: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__(
            expand_ratio,
            kernel,
            stride,
            self.adjust_channels(input_channels, width_mult),
            self.adjust_channels(out_channels, width_mult),
            self.adjust_depth(num_layers, depth_mult),
            block or MBConv,
        )

    @staticmethod
    def adjust_depth(num_layers: int, depth_mult: float) -> int:
        """Return ``num_layers * depth_mult``, rounded up."""
        return math.ceil(num_layers * depth_mult)


class FusedMBConvConfig(_MBConvConfig):
    """A stage of `FusedMBConv`: a row of table 4 of the second paper. Arguments as of `MBConvConfig`."""

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        block: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__(
            expand_ratio, kernel, stride, input_channels, out_channels, num_layers, block or FusedMBConv
        )


# ---- blocks ----


class _Residual(nn.Module):
    """Base of the two kinds of block: the input is added if the shapes agree."""

    def __init__(self, cnf: _MBConvConfig, stochastic_depth_prob: float, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        if cnf.stride not in (1, 2):
            raise ValueError(f"{type(self).__name__}: stride must be 1 or 2, got {cnf.stride}")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.out_channels = cnf.out_channels

    def forward(self, input: Symbol) -> Symbol:
        """Return the block's output."""
        result = self.block(input)
        return self.stochastic_depth(result) + input if self.use_res_connect else result


class MBConv(_Residual):
    """Expand by 1x1, depthwise convolution, squeeze and excite, project by 1x1 without activation.

    (N, input_channels, H, W) to (N, out_channels, H/stride, W/stride).

    Parameters
    ----------
    cnf : MBConvConfig
        The layers.
    stochastic_depth_prob : float
        Probability with which training drops the block.
    norm_layer : callable
        Makes a normalisation from a channel count.
    se_layer : callable
        Makes a squeeze-and-excitation from the channels outside and inside, and ``activation=``.

    Raises
    ------
    ValueError
        If the stride is neither 1 nor 2.
    """

    def __init__(
        self,
        cnf: MBConvConfig,
        stochastic_depth_prob: float,
        norm_layer: Callable[..., nn.Module],
        se_layer: Callable[..., nn.Module] = SqueezeExcitation,
    ) -> None:
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        hidden = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        # A quarter of the block's input; MobileNetV3 takes a quarter of the expanded channels.
        squeeze = max(1, cnf.input_channels // 4)
        layers: list[nn.Module] = []
        if hidden != cnf.input_channels:
            layers.append(conv(cnf.input_channels, hidden, kernel_size=1))
        layers += [
            conv(hidden, hidden, kernel_size=cnf.kernel, stride=cnf.stride, groups=hidden),
            se_layer(hidden, squeeze, activation=partial(nn.SiLU, inplace=True)),
            conv(hidden, cnf.out_channels, kernel_size=1, activation_layer=None),
        ]
        super().__init__(cnf, stochastic_depth_prob, layers)


class FusedMBConv(_Residual):
    """Expand by a full convolution, project by 1x1 without activation; at ratio 1 the convolution alone.

    (N, input_channels, H, W) to (N, out_channels, H/stride, W/stride).

    Parameters
    ----------
    cnf : FusedMBConvConfig
        The layers.
    stochastic_depth_prob : float
        Probability with which training drops the block.
    norm_layer : callable
        Makes a normalisation from a channel count.

    Raises
    ------
    ValueError
        If the stride is neither 1 nor 2.
    """

    def __init__(
        self, cnf: FusedMBConvConfig, stochastic_depth_prob: float, norm_layer: Callable[..., nn.Module]
    ) -> None:
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        spatial = partial(conv, cnf.input_channels, kernel_size=cnf.kernel, stride=cnf.stride)
        hidden = cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        if hidden == cnf.input_channels:
            layers = [spatial(cnf.out_channels)]
        else:
            layers = [spatial(hidden), conv(hidden, cnf.out_channels, kernel_size=1, activation_layer=None)]
        super().__init__(cnf, stochastic_depth_prob, layers)


# ---- the network ----


class EfficientNet(nn.Module):
    """EfficientNet, V1 and V2: (N, 3, H, W) of any size to (N, num_classes).

    Parameters
    ----------
    inverted_residual_setting : sequence of MBConvConfig or FusedMBConvConfig
        The stages.
    dropout : float
        Probability of the dropout, which does nothing at inference.
    stochastic_depth_prob : float
        Probability with which training drops a block; it grows from 0 at the first block to almost
        this value.
    num_classes : int
        Outputs.
    norm_layer : callable, optional
        Makes a normalisation from a channel count, `BatchNorm2d` by default.
    last_channel : int, optional
        Channels before the classifier, by default four times those of the last stage.

    Raises
    ------
    ValueError
        If there are no stages.
    TypeError
        If `inverted_residual_setting` is not a sequence of them.
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[_MBConvConfig],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Callable[..., nn.Module] | None = None,
        last_channel: int | None = None,
    ) -> None:
        super().__init__()
        setting = inverted_residual_setting
        if not isinstance(setting, Sequence) or not all(isinstance(cnf, _MBConvConfig) for cnf in setting):
            raise TypeError(
                "inverted_residual_setting must be a list of MBConvConfig and FusedMBConvConfig, "
                f"got {setting!r}"
            )
        if not setting:
            raise ValueError("inverted_residual_setting must have at least one stage, got none")
        norm_layer = norm_layer or nn.BatchNorm2d

        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        features: list[nn.Module] = [conv(3, setting[0].input_channels, stride=2)]
        total, number = sum(cnf.num_layers for cnf in setting), 0
        for cnf in setting:
            stage: list[nn.Module] = []
            layer = copy.copy(cnf)
            for _ in range(cnf.num_layers):
                stage.append(cnf.block(layer, stochastic_depth_prob * float(number) / total, norm_layer))
                number += 1
                layer = copy.copy(cnf)
                layer.input_channels, layer.stride = cnf.out_channels, 1
            features.append(nn.Sequential(*stage))
        channels = setting[-1].out_channels
        last = 4 * channels if last_channel is None else last_channel
        features.append(conv(channels, last, kernel_size=1))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(last, num_classes))

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.features(x)
        x = self.avgpool(x).flatten(1)
        return self.classifier(x)


# ---- the published networks ----

# TensorFlow's eps and momentum; B0 to B4 were trained with PyTorch's.
_TF_NORM = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)


def _v1(width_mult: float, depth_mult: float, kwargs: dict[str, Any], **defaults: Any) -> EfficientNet:
    row = partial(MBConvConfig, width_mult=width_mult, depth_mult=depth_mult)
    setting = [
        row(1, 3, 1, 32, 16, 1),
        row(6, 3, 2, 16, 24, 2),
        row(6, 5, 2, 24, 40, 2),
        row(6, 3, 2, 40, 80, 3),
        row(6, 5, 1, 80, 112, 3),
        row(6, 5, 2, 112, 192, 4),
        row(6, 3, 1, 192, 320, 1),
    ]
    return EfficientNet(setting, **{**defaults, **kwargs})


def _v2(setting: Sequence[_MBConvConfig], kwargs: dict[str, Any], dropout: float) -> EfficientNet:
    norm_layer = partial(nn.BatchNorm2d, eps=0.001)
    return EfficientNet(
        setting, last_channel=1280, **{"dropout": dropout, "norm_layer": norm_layer, **kwargs}
    )


@model_builder(EfficientNet_B0_Weights)
def efficientnet_b0(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B0 of "EfficientNet: Rethinking Model Scaling" (arXiv:1905.11946)."""
    return _v1(1.0, 1.0, kwargs, dropout=0.2)


@model_builder(EfficientNet_B1_Weights)
def efficientnet_b1(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B1 of "EfficientNet: Rethinking Model Scaling" (arXiv:1905.11946)."""
    return _v1(1.0, 1.1, kwargs, dropout=0.2)


@model_builder(EfficientNet_B2_Weights)
def efficientnet_b2(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B2 of "EfficientNet: Rethinking Model Scaling" (arXiv:1905.11946)."""
    return _v1(1.1, 1.2, kwargs, dropout=0.3)


@model_builder(EfficientNet_B3_Weights)
def efficientnet_b3(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B3 of "EfficientNet: Rethinking Model Scaling" (arXiv:1905.11946)."""
    return _v1(1.2, 1.4, kwargs, dropout=0.3)


@model_builder(EfficientNet_B4_Weights)
def efficientnet_b4(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B4 of "EfficientNet: Rethinking Model Scaling" (arXiv:1905.11946)."""
    return _v1(1.4, 1.8, kwargs, dropout=0.4)


@model_builder(EfficientNet_B5_Weights)
def efficientnet_b5(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B5 of "EfficientNet: Rethinking Model Scaling" (arXiv:1905.11946)."""
    return _v1(1.6, 2.2, kwargs, dropout=0.4, norm_layer=_TF_NORM)


@model_builder(EfficientNet_B6_Weights)
def efficientnet_b6(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B6 of "EfficientNet: Rethinking Model Scaling" (arXiv:1905.11946)."""
    return _v1(1.8, 2.6, kwargs, dropout=0.5, norm_layer=_TF_NORM)


@model_builder(EfficientNet_B7_Weights)
def efficientnet_b7(**kwargs: Any) -> EfficientNet:
    """EfficientNet-B7 of "EfficientNet: Rethinking Model Scaling" (arXiv:1905.11946)."""
    return _v1(2.0, 3.1, kwargs, dropout=0.5, norm_layer=_TF_NORM)


@model_builder(EfficientNet_V2_S_Weights)
def efficientnet_v2_s(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2-S of "EfficientNetV2: Smaller Models and Faster Training" (arXiv:2104.00298)."""
    setting = [
        FusedMBConvConfig(1, 3, 1, 24, 24, 2),
        FusedMBConvConfig(4, 3, 2, 24, 48, 4),
        FusedMBConvConfig(4, 3, 2, 48, 64, 4),
        MBConvConfig(4, 3, 2, 64, 128, 6),
        MBConvConfig(6, 3, 1, 128, 160, 9),
        MBConvConfig(6, 3, 2, 160, 256, 15),
    ]
    return _v2(setting, kwargs, dropout=0.2)


@model_builder(EfficientNet_V2_M_Weights)
def efficientnet_v2_m(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2-M of "EfficientNetV2: Smaller Models and Faster Training" (arXiv:2104.00298)."""
    setting = [
        FusedMBConvConfig(1, 3, 1, 24, 24, 3),
        FusedMBConvConfig(4, 3, 2, 24, 48, 5),
        FusedMBConvConfig(4, 3, 2, 48, 80, 5),
        MBConvConfig(4, 3, 2, 80, 160, 7),
        MBConvConfig(6, 3, 1, 160, 176, 14),
        MBConvConfig(6, 3, 2, 176, 304, 18),
        MBConvConfig(6, 3, 1, 304, 512, 5),
    ]
    return _v2(setting, kwargs, dropout=0.3)


@model_builder(EfficientNet_V2_L_Weights)
def efficientnet_v2_l(**kwargs: Any) -> EfficientNet:
    """EfficientNetV2-L of "EfficientNetV2: Smaller Models and Faster Training" (arXiv:2104.00298)."""
    setting = [
        FusedMBConvConfig(1, 3, 1, 32, 32, 4),
        FusedMBConvConfig(4, 3, 2, 32, 64, 7),
        FusedMBConvConfig(4, 3, 2, 64, 96, 7),
        MBConvConfig(4, 3, 2, 96, 192, 10),
        MBConvConfig(6, 3, 1, 192, 224, 19),
        MBConvConfig(6, 3, 2, 224, 384, 25),
        MBConvConfig(6, 3, 1, 384, 640, 7),
    ]
    return _v2(setting, kwargs, dropout=0.4)
