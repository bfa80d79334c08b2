"""RegNetX and RegNetY.

Radosavovic, Kosaraju, Girshick, He, Dollár: "Designing Network Design Spaces" (arXiv:2003.13678). Names as in
`torchvision.models.regnet`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rvision import nn
from rvision.models._api import model_builder
from rvision.models._utils import _make_divisible
from rvision.ops import Conv2dNormActivation, SqueezeExcitation
from rvision.weights import (
    RegNet_X_1_6GF_Weights,
    RegNet_X_3_2GF_Weights,
    RegNet_X_8GF_Weights,
    RegNet_X_16GF_Weights,
    RegNet_X_32GF_Weights,
    RegNet_X_400MF_Weights,
    RegNet_X_800MF_Weights,
    RegNet_Y_1_6GF_Weights,
    RegNet_Y_3_2GF_Weights,
    RegNet_Y_8GF_Weights,
    RegNet_Y_16GF_Weights,
    RegNet_Y_32GF_Weights,
    RegNet_Y_128GF_Weights,
    RegNet_Y_400MF_Weights,
    RegNet_Y_800MF_Weights,
)

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = [
    "RegNet",
    "RegNet_X_1_6GF_Weights",
    "RegNet_X_3_2GF_Weights",
    "RegNet_X_8GF_Weights",
    "RegNet_X_16GF_Weights",
    "RegNet_X_32GF_Weights",
    "RegNet_X_400MF_Weights",
    "RegNet_X_800MF_Weights",
    "RegNet_Y_1_6GF_Weights",
    "RegNet_Y_3_2GF_Weights",
    "RegNet_Y_8GF_Weights",
    "RegNet_Y_16GF_Weights",
    "RegNet_Y_32GF_Weights",
    "RegNet_Y_128GF_Weights",
    "RegNet_Y_400MF_Weights",
    "RegNet_Y_800MF_Weights",
    "regnet_x_1_6gf",
    "regnet_x_3_2gf",
    "regnet_x_8gf",
    "regnet_x_16gf",
    "regnet_x_32gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_y_1_6gf",
    "regnet_y_3_2gf",
    "regnet_y_8gf",
    "regnet_y_16gf",
    "regnet_y_32gf",
    "regnet_y_128gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
]

Maker = Callable[..., nn.Module]


# ---- blocks ----


class SimpleStemIN(Conv2dNormActivation):
    """A 3x3 convolution of stride 2: (N, width_in, H, W) to (N, width_out, H/2, W/2)."""

    def __init__(self, width_in: int, width_out: int, norm_layer: Maker, activation_layer: Maker) -> None:
        super().__init__(
            width_in, width_out, stride=2, norm_layer=norm_layer, activation_layer=activation_layer
        )


class BottleneckTransform(nn.Sequential):
    """1x1, grouped 3x3, squeeze-and-excitation in RegNetY, 1x1 without activation.

    (N, width_in, H, W) to (N, width_out, H/stride, W/stride).

    Parameters
    ----------
    width_in, width_out : int
        Channels of the input and of the output.
    stride : int
        The 3x3's.
    norm_layer, activation_layer : callable
        Make the normalisations and the activations.
    group_width : int
        Channels of a group.
    bottleneck_multiplier : float
        Channels inside, in multiples of `width_out`.
    se_ratio : float or None
        Channels inside the squeeze-and-excitation, in multiples of `width_in`. None or 0 leaves it out.
    """

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        norm_layer: Maker,
        activation_layer: Maker,
        group_width: int,
        bottleneck_multiplier: float,
        se_ratio: float | None,
    ) -> None:
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation_layer)
        hidden = round(width_out * bottleneck_multiplier)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["a"] = conv(width_in, hidden, kernel_size=1)
        layers["b"] = conv(hidden, hidden, stride=stride, groups=hidden // group_width)
        if se_ratio:
            # Of the block's input, as in the paper's code: a stage's first block squeezes to fewer
            # channels.
            squeeze = round(se_ratio * width_in)
            layers["se"] = SqueezeExcitation(hidden, squeeze, activation=activation_layer)
        layers["c"] = conv(hidden, width_out, kernel_size=1, activation_layer=None)
        super().__init__(layers)


class ResBottleneckBlock(nn.Module):
    """`BottleneckTransform` added to its input (through a 1x1 if the shapes differ), then an activation.

    Parameters
    ----------
    width_in, width_out, stride, norm_layer, activation_layer, group_width, bottleneck_multiplier, se_ratio
        As of `BottleneckTransform`.
    """

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        norm_layer: Maker,
        activation_layer: Maker,
        group_width: int = 1,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
    ) -> None:
        super().__init__()
        self.proj: nn.Module | None = None
        if width_in != width_out or stride != 1:
            self.proj = Conv2dNormActivation(
                width_in,
                width_out,
                kernel_size=1,
                stride=stride,
                norm_layer=norm_layer,
                activation_layer=None,
            )
        self.f = BottleneckTransform(
            width_in,
            width_out,
            stride,
            norm_layer,
            activation_layer,
            group_width,
            bottleneck_multiplier,
            se_ratio,
        )
        self.activation = activation_layer(inplace=True)

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        shortcut = x if self.proj is None else self.proj(x)
        return self.activation(shortcut + self.f(x))


class AnyStage(nn.Sequential):
    """`depth` blocks, the first with `stride` and from `width_in` channels.

    Parameters
    ----------
    width_in, width_out, stride, norm_layer, activation_layer, group_width, bottleneck_multiplier, se_ratio
        As of `BottleneckTransform`.
    depth : int
        Blocks.
    block_constructor : callable
        Makes a block from these.
    stage_index : int
        Part of the blocks' names.
    """

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        depth: int,
        block_constructor: Maker,
        norm_layer: Maker,
        activation_layer: Maker,
        group_width: int,
        bottleneck_multiplier: float,
        se_ratio: float | None = None,
        stage_index: int = 0,
    ) -> None:
        super().__init__()
        for i in range(depth):
            block = block_constructor(
                width_in if i == 0 else width_out,
                width_out,
                stride if i == 0 else 1,
                norm_layer,
                activation_layer,
                group_width,
                bottleneck_multiplier,
                se_ratio,
            )
            self.add_module(f"block{stage_index}-{i}", block)


# ---- the network ----


class BlockParams:
    """The stages: sequences with one value per stage.

    Parameters
    ----------
    depths, widths, group_widths, bottleneck_multipliers, strides
        One for each stage; see `AnyStage`.
    se_ratio : float, optional
        See `BottleneckTransform`.
    """

    def __init__(
        self,
        depths: Sequence[int],
        widths: Sequence[int],
        group_widths: Sequence[int],
        bottleneck_multipliers: Sequence[float],
        strides: Sequence[int],
        se_ratio: float | None = None,
    ) -> None:
        self.depths = depths
        self.widths = widths
        self.group_widths = group_widths
        self.bottleneck_multipliers = bottleneck_multipliers
        self.strides = strides
        self.se_ratio = se_ratio

    @classmethod
    def from_init_params(
        cls,
        depth: int,
        w_0: int,
        w_a: float,
        w_m: float,
        group_width: int,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
    ) -> BlockParams:
        """Return the stages of the paper's equations 2 to 4.

        Block j would have ``w_0 + w_a * j`` channels; it has the nearest ``w_0 * w_m ** s`` with an
        integer s, rounded to a multiple of 8. Blocks of the same width form a stage, whose width is
        then made a multiple of its groups' width.

        Parameters
        ----------
        depth : int
            Blocks.
        w_0, w_a, w_m
            Width of the first block, its slope, and the ratio of consecutive stages' widths.
        group_width, bottleneck_multiplier, se_ratio
            See `BottleneckTransform`.

        Raises
        ------
        ValueError
            If `w_a` is negative, `w_0` not a positive multiple of 8, or `w_m` not above 1.
        """
        if w_a < 0 or w_0 <= 0 or w_0 % 8 != 0 or w_m <= 1:
            raise ValueError(
                "RegNet needs w_a >= 0, w_m > 1 and a w_0 that is a positive multiple of 8, "
                f"got w_a={w_a}, w_m={w_m}, w_0={w_0}"
            )
        steps = [round(math.log((w_0 + w_a * j) / w_0) / math.log(w_m)) for j in range(depth)]
        blocks = [8 * round(w_0 * w_m**s / 8) for s in steps]
        depths, widths, group_widths = [], [], []
        for width, alike in groupby(blocks):
            hidden = int(width * bottleneck_multiplier)
            group = min(group_width, hidden)
            depths.append(len(list(alike)))
            widths.append(int(_make_divisible(hidden, group) / bottleneck_multiplier))
            group_widths.append(group)
        stages = len(depths)
        return cls(
            depths, widths, group_widths, [bottleneck_multiplier] * stages, [2] * stages, se_ratio=se_ratio
        )

    def _stages(self) -> Iterator[tuple[int, int, int, int, float]]:
        """Return width, stride, depth, group width and multiplier of each stage."""
        return zip(
            self.widths,
            self.strides,
            self.depths,
            self.group_widths,
            self.bottleneck_multipliers,
            strict=True,
        )


class RegNet(nn.Module):
    """RegNetX and RegNetY: (N, 3, H, W) of any size to (N, num_classes).

    Parameters
    ----------
    block_params : BlockParams
        The stages.
    num_classes : int
        Outputs.
    stem_width : int
        Channels before the first stage.
    stem_type : callable, optional
        Makes the first layers, `SimpleStemIN` by default.
    block_type : callable, optional
        Makes a block, `ResBottleneckBlock` by default.
    norm_layer, activation : callable, optional
        Make normalisations and activations, `BatchNorm2d` and `ReLU` by default.
    """

    def __init__(
        self,
        block_params: BlockParams,
        num_classes: int = 1000,
        stem_width: int = 32,
        stem_type: Maker | None = None,
        block_type: Maker | None = None,
        norm_layer: Maker | None = None,
        activation: Maker | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        activation = activation or nn.ReLU
        self.stem = (stem_type or SimpleStemIN)(3, stem_width, norm_layer, activation)
        stages: OrderedDict[str, nn.Module] = OrderedDict()
        width_in = stem_width
        for number, (width, stride, depth, group_width, multiplier) in enumerate(block_params._stages(), 1):
            stages[f"block{number}"] = AnyStage(
                width_in,
                width,
                stride,
                depth,
                block_type or ResBottleneckBlock,
                norm_layer,
                activation,
                group_width,
                multiplier,
                block_params.se_ratio,
                stage_index=number,
            )
            width_in = width
        self.trunk_output = nn.Sequential(stages)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(width_in, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.stem(x)
        x = self.trunk_output(x)
        x = self.avgpool(x).flatten(1)
        return self.fc(x)


# ---- the published networks: the paper's tables of the X and Y models ----


@model_builder(RegNet_Y_400MF_Weights)
def regnet_y_400mf(**kwargs: Any) -> RegNet:
    """RegNetY-400MF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(depth=16, w_0=48, w_a=27.89, w_m=2.09, group_width=8, se_ratio=0.25)
    return RegNet(params, **kwargs)


@model_builder(RegNet_Y_800MF_Weights)
def regnet_y_800mf(**kwargs: Any) -> RegNet:
    """RegNetY-800MF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(depth=14, w_0=56, w_a=38.84, w_m=2.4, group_width=16, se_ratio=0.25)
    return RegNet(params, **kwargs)


@model_builder(RegNet_Y_1_6GF_Weights)
def regnet_y_1_6gf(**kwargs: Any) -> RegNet:
    """RegNetY-1.6GF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(
        depth=27, w_0=48, w_a=20.71, w_m=2.65, group_width=24, se_ratio=0.25
    )
    return RegNet(params, **kwargs)


@model_builder(RegNet_Y_3_2GF_Weights)
def regnet_y_3_2gf(**kwargs: Any) -> RegNet:
    """RegNetY-3.2GF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(
        depth=21, w_0=80, w_a=42.63, w_m=2.66, group_width=24, se_ratio=0.25
    )
    return RegNet(params, **kwargs)


@model_builder(RegNet_Y_8GF_Weights)
def regnet_y_8gf(**kwargs: Any) -> RegNet:
    """RegNetY-8GF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(
        depth=17, w_0=192, w_a=76.82, w_m=2.19, group_width=56, se_ratio=0.25
    )
    return RegNet(params, **kwargs)


@model_builder(RegNet_Y_16GF_Weights)
def regnet_y_16gf(**kwargs: Any) -> RegNet:
    """RegNetY-16GF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(
        depth=18, w_0=200, w_a=106.23, w_m=2.48, group_width=112, se_ratio=0.25
    )
    return RegNet(params, **kwargs)


@model_builder(RegNet_Y_32GF_Weights)
def regnet_y_32gf(**kwargs: Any) -> RegNet:
    """RegNetY-32GF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(
        depth=20, w_0=232, w_a=115.89, w_m=2.53, group_width=232, se_ratio=0.25
    )
    return RegNet(params, **kwargs)


@model_builder(RegNet_Y_128GF_Weights)
def regnet_y_128gf(**kwargs: Any) -> RegNet:
    """RegNetY-128GF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(
        depth=27, w_0=456, w_a=160.83, w_m=2.52, group_width=264, se_ratio=0.25
    )
    return RegNet(params, **kwargs)


@model_builder(RegNet_X_400MF_Weights)
def regnet_x_400mf(**kwargs: Any) -> RegNet:
    """RegNetX-400MF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(depth=22, w_0=24, w_a=24.48, w_m=2.54, group_width=16)
    return RegNet(params, **kwargs)


@model_builder(RegNet_X_800MF_Weights)
def regnet_x_800mf(**kwargs: Any) -> RegNet:
    """RegNetX-800MF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(depth=16, w_0=56, w_a=35.73, w_m=2.28, group_width=16)
    return RegNet(params, **kwargs)


@model_builder(RegNet_X_1_6GF_Weights)
def regnet_x_1_6gf(**kwargs: Any) -> RegNet:
    """RegNetX-1.6GF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(depth=18, w_0=80, w_a=34.01, w_m=2.25, group_width=24)
    return RegNet(params, **kwargs)


@model_builder(RegNet_X_3_2GF_Weights)
def regnet_x_3_2gf(**kwargs: Any) -> RegNet:
    """RegNetX-3.2GF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(depth=25, w_0=88, w_a=26.31, w_m=2.25, group_width=48)
    return RegNet(params, **kwargs)


@model_builder(RegNet_X_8GF_Weights)
def regnet_x_8gf(**kwargs: Any) -> RegNet:
    """RegNetX-8GF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(depth=23, w_0=80, w_a=49.56, w_m=2.88, group_width=120)
    return RegNet(params, **kwargs)


@model_builder(RegNet_X_16GF_Weights)
def regnet_x_16gf(**kwargs: Any) -> RegNet:
    """RegNetX-16GF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(depth=22, w_0=216, w_a=55.59, w_m=2.1, group_width=128)
    return RegNet(params, **kwargs)


@model_builder(RegNet_X_32GF_Weights)
def regnet_x_32gf(**kwargs: Any) -> RegNet:
    """RegNetX-32GF of "Designing Network Design Spaces" (arXiv:2003.13678)."""
    params = BlockParams.from_init_params(depth=23, w_0=320, w_a=69.86, w_m=2.0, group_width=168)
    return RegNet(params, **kwargs)
