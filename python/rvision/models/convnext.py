"""ConvNeXt.

Liu, Mao, Wu, Feichtenhofer, Darrell, Xie: "A ConvNet for the 2020s" (arXiv:2201.03545). Names as in
`torchvision.models.convnext`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision import nn
from rvision.models._api import model_builder
from rvision.nn import functional as F
from rvision.ops import Conv2dNormActivation, Permute, StochasticDepth
from rvision.weights import (
    ConvNeXt_Base_Weights,
    ConvNeXt_Large_Weights,
    ConvNeXt_Small_Weights,
    ConvNeXt_Tiny_Weights,
)

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = [
    "ConvNeXt",
    "ConvNeXt_Base_Weights",
    "ConvNeXt_Large_Weights",
    "ConvNeXt_Small_Weights",
    "ConvNeXt_Tiny_Weights",
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
]


class LayerNorm2d(nn.LayerNorm):
    """Normalisation of each pixel over its channels, (N, C, H, W) to the same shape.

    The arguments are those of `nn.LayerNorm`, with the channel count as `normalized_shape`.
    """

    def forward(self, x: Symbol) -> Symbol:
        """Return the normalised `x`."""
        x = x.permute(0, 2, 3, 1)
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    """A 7x7 depthwise convolution, then expand, activate and project each pixel: the paper's figure 4.

    (N, dim, H, W) to the same shape; the input is added.

    Parameters
    ----------
    dim : int
        Channels.
    layer_scale : float
        Initial factor of each channel of the branch.
    stochastic_depth_prob : float
        Probability with which training drops the branch.
    norm_layer : callable, optional
        Makes a normalisation over the last dimension from its size, `LayerNorm` with eps 1e-6 by default.
    """

    def __init__(
        self,
        dim: int,
        layer_scale: float,
        stochastic_depth_prob: float,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim, bias=True),
            Permute([0, 2, 3, 1]),
            norm_layer(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(np.full((dim, 1, 1), layer_scale, np.float32))
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input: Symbol) -> Symbol:
        """Return the block's output."""
        return self.stochastic_depth(self.layer_scale * self.block(input)) + input


@dataclass
class CNBlockConfig:
    """A stage: `num_layers` blocks of `input_channels`, then halving to `out_channels` unless None."""

    input_channels: int
    out_channels: int | None
    num_layers: int


class ConvNeXt(nn.Module):
    """ConvNeXt: (N, 3, H, W) of any size from 32 on to (N, num_classes).

    Parameters
    ----------
    block_setting : sequence of CNBlockConfig
        The stages.
    stochastic_depth_prob : float
        Probability with which training drops the last block; it grows from 0 at the first.
    layer_scale : float
        Initial factor of each channel of a block.
    num_classes : int
        Outputs.
    block : callable, optional
        Makes a block, `CNBlock` by default.
    norm_layer : callable, optional
        Makes the normalisations outside the blocks from a channel count, `LayerNorm2d` with eps
        1e-6 by default.

    Raises
    ------
    ValueError
        If `block_setting` is empty.
    TypeError
        If it is no sequence of CNBlockConfig, or an argument is none of these (torchvision ignores it).
    """

    def __init__(
        self,
        block_setting: Sequence[CNBlockConfig],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if not block_setting:
            raise ValueError("The block_setting should not be empty: one CNBlockConfig a stage is needed")
        if not isinstance(block_setting, Sequence) or not all(
            isinstance(stage, CNBlockConfig) for stage in block_setting
        ):
            raise TypeError(f"The block_setting should be List[CNBlockConfig], got {block_setting!r}")
        block = block or CNBlock
        norm_layer = norm_layer or partial(LayerNorm2d, eps=1e-6)

        layers: list[nn.Module] = [
            Conv2dNormActivation(
                3,
                block_setting[0].input_channels,
                kernel_size=4,
                stride=4,
                padding=0,
                norm_layer=norm_layer,
                activation_layer=None,
                bias=True,
            )
        ]
        last_block = sum(config.num_layers for config in block_setting) - 1.0
        number = 0
        for config in block_setting:
            channels = config.input_channels
            stage: list[nn.Module] = []
            for _ in range(config.num_layers):
                stage.append(block(channels, layer_scale, stochastic_depth_prob * number / last_block))
                number += 1
            layers.append(nn.Sequential(*stage))
            if config.out_channels is not None:
                halving = nn.Conv2d(channels, config.out_channels, kernel_size=2, stride=2)
                layers.append(nn.Sequential(norm_layer(channels), halving))
                channels = config.out_channels
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(norm_layer(channels), nn.Flatten(1), nn.Linear(channels, num_classes))

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        return self.classifier(self.avgpool(self.features(x)))


def _convnext(
    channels: Sequence[int], depths: Sequence[int], drop: float, kwargs: dict[str, Any]
) -> ConvNeXt:
    following = [*channels[1:], None]
    setting = [CNBlockConfig(*stage) for stage in zip(channels, following, depths, strict=True)]
    kwargs.setdefault("stochastic_depth_prob", drop)
    return ConvNeXt(setting, **kwargs)


@model_builder(ConvNeXt_Tiny_Weights)
def convnext_tiny(**kwargs: Any) -> ConvNeXt:
    """ConvNeXt Tiny of "A ConvNet for the 2020s" (arXiv:2201.03545)."""
    return _convnext((96, 192, 384, 768), (3, 3, 9, 3), 0.1, kwargs)


@model_builder(ConvNeXt_Small_Weights)
def convnext_small(**kwargs: Any) -> ConvNeXt:
    """ConvNeXt Small of "A ConvNet for the 2020s" (arXiv:2201.03545)."""
    return _convnext((96, 192, 384, 768), (3, 3, 27, 3), 0.4, kwargs)


@model_builder(ConvNeXt_Base_Weights)
def convnext_base(**kwargs: Any) -> ConvNeXt:
    """ConvNeXt Base of "A ConvNet for the 2020s" (arXiv:2201.03545)."""
    return _convnext((128, 256, 512, 1024), (3, 3, 27, 3), 0.5, kwargs)


@model_builder(ConvNeXt_Large_Weights)
def convnext_large(**kwargs: Any) -> ConvNeXt:
    """ConvNeXt Large of "A ConvNet for the 2020s" (arXiv:2201.03545)."""
    return _convnext((192, 384, 768, 1536), (3, 3, 27, 3), 0.5, kwargs)
