"""MNASNet.

Tan, Chen, Pang, Vasudevan, Sandler, Howard, Le: "MnasNet: Platform-Aware Neural Architecture Search for
Mobile" (arXiv:1807.11626), the variant B1. Names as in `torchvision.models.mnasnet`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rvision import nn
from rvision.models._api import model_builder
from rvision.models._utils import _make_divisible, settled
from rvision.weights import (
    MNASNet0_5_Weights,
    MNASNet0_75_Weights,
    MNASNet1_0_Weights,
    MNASNet1_3_Weights,
)

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = [
    "MNASNet",
    "MNASNet0_5_Weights",
    "MNASNet0_75_Weights",
    "MNASNet1_0_Weights",
    "MNASNet1_3_Weights",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
]

# torch's equivalent of the 0.9997 of training in TensorFlow; it only appears in `print`.
_BN_MOMENTUM = 1 - 0.9997
_DEPTHS = (32, 16, 24, 40, 80, 96, 192, 320)


class _InvertedResidual(nn.Module):
    """Expand by 1x1, depthwise convolution, project by 1x1; the input is added if the shapes agree.

    (N, in_ch, H, W) to (N, out_ch, H/stride, W/stride).
    """

    def __init__(
        self,
        in_ch: int,
        out_ch: int,
        kernel_size: int,
        stride: int,
        expansion_factor: int,
        bn_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"MNASNet: stride must be 1 or 2, got {stride}")
        if kernel_size not in (3, 5):
            raise ValueError(f"MNASNet: kernel_size must be 3 or 5, got {kernel_size}")
        mid_ch = in_ch * expansion_factor
        self.apply_residual = in_ch == out_ch and stride == 1
        self.layers = nn.Sequential(
            nn.Conv2d(in_ch, mid_ch, 1, bias=False),
            nn.BatchNorm2d(mid_ch, momentum=bn_momentum),
            nn.ReLU(inplace=True),
            nn.Conv2d(
                mid_ch,
                mid_ch,
                kernel_size,
                padding=kernel_size // 2,
                stride=stride,
                groups=mid_ch,
                bias=False,
            ),
            nn.BatchNorm2d(mid_ch, momentum=bn_momentum),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid_ch, out_ch, 1, bias=False),
            nn.BatchNorm2d(out_ch, momentum=bn_momentum),
        )

    def forward(self, input: Symbol) -> Symbol:
        """Return the block's output."""
        out = self.layers(input)
        return out + input if self.apply_residual else out


def _stack(
    in_ch: int, out_ch: int, kernel_size: int, stride: int, exp_factor: int, repeats: int
) -> nn.Sequential:
    blocks = [_InvertedResidual(in_ch, out_ch, kernel_size, stride, exp_factor, _BN_MOMENTUM)]
    for _ in range(1, repeats):
        blocks.append(_InvertedResidual(out_ch, out_ch, kernel_size, 1, exp_factor, _BN_MOMENTUM))
    return nn.Sequential(*blocks)


def _stem(depths: Sequence[int]) -> list[nn.Module]:
    """Return the layers up to the first stack, for the channels of stem, separable convolution and stack."""
    first, second, third = depths
    return [
        nn.Conv2d(3, first, 3, padding=1, stride=2, bias=False),
        nn.BatchNorm2d(first, momentum=_BN_MOMENTUM),
        nn.ReLU(inplace=True),
        nn.Conv2d(first, first, 3, padding=1, stride=1, groups=first, bias=False),
        nn.BatchNorm2d(first, momentum=_BN_MOMENTUM),
        nn.ReLU(inplace=True),
        nn.Conv2d(first, second, 1, padding=0, stride=1, bias=False),
        nn.BatchNorm2d(second, momentum=_BN_MOMENTUM),
        _stack(second, third, 3, 2, 3, 3),
    ]


class MNASNet(nn.Module):
    """MNASNet-B1: (N, 3, H, W) of any size to (N, num_classes).

    Files of its first version, whose first layers have 32 and 16 channels for every `alpha`, are
    read too: these layers then get the file's widths, and the network is saved as that version.

    Parameters
    ----------
    alpha : float
        Multiplies the channels of every layer except the last convolution; positive.
    num_classes : int
        Outputs.
    dropout : float
        Probability of the dropout, which does nothing at inference.

    Raises
    ------
    ValueError
        If `alpha` is not positive.
    """

    _version = 2

    def __init__(self, alpha: float, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        if alpha <= 0.0:
            raise ValueError(f"MNASNet: alpha must be positive, got {alpha}")
        self.alpha = alpha
        self.num_classes = num_classes
        depths = [_make_divisible(depth * alpha, 8) for depth in _DEPTHS]
        self.layers = nn.Sequential(
            *_stem(depths[:3]),
            _stack(depths[2], depths[3], 5, 2, 3, 3),
            _stack(depths[3], depths[4], 5, 2, 6, 3),
            _stack(depths[4], depths[5], 3, 1, 6, 2),
            _stack(depths[5], depths[6], 5, 2, 6, 4),
            _stack(depths[6], depths[7], 3, 1, 6, 1),
            nn.Conv2d(depths[7], 1280, 1, padding=0, stride=1, bias=False),
            nn.BatchNorm2d(1280, momentum=_BN_MOMENTUM),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(1280, num_classes))

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.layers(x)
        x = x.mean([2, 3])
        return self.classifier(x)

    def _upgrade_state_dict(self, state: dict[str, Any], prefix: str, metadata: Mapping[str, Any]) -> None:
        # Decided by the shapes, since safetensors and plain mappings have no version. The last
        # convolution's shape tells whether the file is for this alpha: a file that does not fit
        # must not change the network.
        first, last = state.get(f"{prefix}layers.0.weight"), state.get(f"{prefix}layers.14.weight")
        if first is None or last is None or tuple(last.shape) != self.layers[14].weight.shape:
            return
        scaled = [_make_divisible(depth * self.alpha, 8) for depth in _DEPTHS[:3]]
        width = first.shape[0]
        if width == self.layers[0].out_channels or width not in (scaled[0], _DEPTHS[0]):
            return
        self._version = 2 if width == scaled[0] else 1
        depths = scaled if self._version == 2 else [*_DEPTHS[:2], scaled[2]]
        for index, layer in enumerate(_stem(depths)):
            self.layers[index] = layer


@model_builder(MNASNet0_5_Weights)
def mnasnet0_5(**kwargs: Any) -> MNASNet:
    """MNASNet 0.5 of "MnasNet: Platform-Aware Neural Architecture Search for Mobile" (arXiv:1807.11626)."""
    return MNASNet(**settled(kwargs, alpha=0.5))


@model_builder(MNASNet0_75_Weights)
def mnasnet0_75(**kwargs: Any) -> MNASNet:
    """MNASNet 0.75 of "MnasNet: Platform-Aware Neural Architecture Search for Mobile" (arXiv:1807.11626)."""
    return MNASNet(**settled(kwargs, alpha=0.75))


@model_builder(MNASNet1_0_Weights)
def mnasnet1_0(**kwargs: Any) -> MNASNet:
    """MNASNet 1.0 of "MnasNet: Platform-Aware Neural Architecture Search for Mobile" (arXiv:1807.11626)."""
    return MNASNet(**settled(kwargs, alpha=1.0))


@model_builder(MNASNet1_3_Weights)
def mnasnet1_3(**kwargs: Any) -> MNASNet:
    """MNASNet 1.3 of "MnasNet: Platform-Aware Neural Architecture Search for Mobile" (arXiv:1807.11626)."""
    return MNASNet(**settled(kwargs, alpha=1.3))
