"""Pre-activation ResNet and Wide ResNet for CIFAR.

* He, Zhang, Ren, Sun: "Identity Mappings in Deep Residual Networks" (arXiv:1603.05027).
* Zagoruyko, Komodakis: "Wide Residual Networks" (arXiv:1605.07146).

Batch norm and ReLU precede each convolution, so the shortcut path consists of additions only. A
wide network has the same basic blocks with more channels. torchvision has neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rvision import nn
from rvision.models._api import model_builder
from rvision.models._utils import settled
from rvision.models.resnet import conv1x1, conv3x3

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = [
    "PreActBasicBlock",
    "PreActBottleneck",
    "PreActResNet",
    "preact_resnet20",
    "preact_resnet110",
    "preact_resnet164",
    "wrn_16_8",
    "wrn_28_10",
    "wrn_40_4",
]


class PreActBasicBlock(nn.Module):
    """Two 3x3 convolutions, each after norm and ReLU: (N, inplanes, H, W) to (N, planes, H/s, W/s).

    Parameters
    ----------
    inplanes, planes : int
        Channels of the input and of the output.
    stride : int
        The first convolution's.
    activated_shortcut : bool
        Whether the shortcut starts after the first norm and ReLU. If the shapes differ, it always
        does, through a 1x1 convolution.
    dropout : float
        Probability of the dropout between the convolutions, which does nothing at inference.
    """

    expansion: int = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        activated_shortcut: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.activated_shortcut = activated_shortcut
        self.bn1 = nn.BatchNorm2d(inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn2 = nn.BatchNorm2d(planes)
        self.dropout = nn.Dropout(p=dropout)
        self.conv2 = conv3x3(planes, planes)
        self.downsample = None
        if stride != 1 or inplanes != planes:
            self.downsample = conv1x1(inplanes, planes, stride)

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        activated = self.relu(self.bn1(x))
        out = self.conv1(activated)
        out = self.conv2(self.dropout(self.relu(self.bn2(out))))
        if self.downsample is not None:
            return out + self.downsample(activated)
        return out + (activated if self.activated_shortcut else x)


class PreActBottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions after norm and ReLU: (N, inplanes, H, W) to (N, 4 planes, H/s, W/s).

    Parameters
    ----------
    inplanes : int
        Channels of the input.
    planes : int
        A quarter of the output's channels.
    stride : int
        The 3x3 convolution's.
    activated_shortcut : bool
        Whether the shortcut starts after the first norm and ReLU. If the shapes differ, it always
        does, through a 1x1 convolution.
    dropout : float
        Probability of the dropout before the 3x3 convolution, which does nothing at inference.
    """

    expansion: int = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        activated_shortcut: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        outplanes = planes * self.expansion
        self.activated_shortcut = activated_shortcut
        self.bn1 = nn.BatchNorm2d(inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = conv1x1(inplanes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.dropout = nn.Dropout(p=dropout)
        self.conv2 = conv3x3(planes, planes, stride)
        self.bn3 = nn.BatchNorm2d(planes)
        self.conv3 = conv1x1(planes, outplanes)
        self.downsample = None
        if stride != 1 or inplanes != outplanes:
            self.downsample = conv1x1(inplanes, outplanes, stride)

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        activated = self.relu(self.bn1(x))
        out = self.conv1(activated)
        out = self.conv2(self.dropout(self.relu(self.bn2(out))))
        out = self.conv3(self.relu(self.bn3(out)))
        if self.downsample is not None:
            return out + self.downsample(activated)
        return out + (activated if self.activated_shortcut else x)


class PreActResNet(nn.Module):
    """Three stages of pre-activation blocks: (N, 3, H, W) of any size, made for 32x32, to (N, num_classes).

    Parameters
    ----------
    block : type
        `PreActBasicBlock` or `PreActBottleneck`.
    blocks : int
        Blocks in each stage.
    num_classes : int
        Outputs.
    width : int
        Multiplies the channels of the stages, the `k` of a wide network.
    dropout : float
        Probability of each block's dropout, which does nothing at inference.

    Raises
    ------
    ValueError
        If `blocks` or `width` is less than 1.
    """

    def __init__(
        self,
        block: type[PreActBasicBlock | PreActBottleneck],
        blocks: int,
        num_classes: int = 10,
        width: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if blocks < 1 or width < 1:
            raise ValueError(
                f"PreActResNet needs at least one block a stage and a width of 1, got {blocks} and {width}"
            )
        self.conv1 = conv3x3(3, 16)
        inplanes = 16
        for stage in range(3):
            planes = 16 * width * 2**stage
            layers: list[nn.Module] = []
            for i in range(blocks):
                stride = 2 if stage > 0 and i == 0 else 1
                # The output of conv1 is activated before it splits (the paper's appendix).
                first = stage == 0 and i == 0
                layers.append(block(inplanes, planes, stride, activated_shortcut=first, dropout=dropout))
                inplanes = planes * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.bn = nn.BatchNorm2d(inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inplanes, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.conv1(x)
        x = self.layer3(self.layer2(self.layer1(x)))
        x = self.avgpool(self.relu(self.bn(x)))
        return self.fc(x.flatten(1))


@model_builder(input_size=(3, 32, 32))
def preact_resnet20(**kwargs: Any) -> PreActResNet:
    """Pre-activation ResNet-20 of basic blocks, "Identity Mappings" (arXiv:1603.05027)."""
    return PreActResNet(PreActBasicBlock, 3, **kwargs)


@model_builder(input_size=(3, 32, 32))
def preact_resnet110(**kwargs: Any) -> PreActResNet:
    """Pre-activation ResNet-110 of basic blocks, "Identity Mappings" (arXiv:1603.05027)."""
    return PreActResNet(PreActBasicBlock, 18, **kwargs)


@model_builder(input_size=(3, 32, 32))
def preact_resnet164(**kwargs: Any) -> PreActResNet:
    """Pre-activation ResNet-164 of bottlenecks, "Identity Mappings" (arXiv:1603.05027)."""
    return PreActResNet(PreActBottleneck, 18, **kwargs)


@model_builder(input_size=(3, 32, 32))
def wrn_16_8(**kwargs: Any) -> PreActResNet:
    """WRN-16-8 of "Wide Residual Networks" (arXiv:1605.07146): 16 layers, 8 times as wide."""
    return PreActResNet(PreActBasicBlock, 2, **settled(kwargs, width=8))


@model_builder(input_size=(3, 32, 32))
def wrn_28_10(**kwargs: Any) -> PreActResNet:
    """WRN-28-10 of "Wide Residual Networks" (arXiv:1605.07146): 28 layers, 10 times as wide."""
    return PreActResNet(PreActBasicBlock, 4, **settled(kwargs, width=10))


@model_builder(input_size=(3, 32, 32))
def wrn_40_4(**kwargs: Any) -> PreActResNet:
    """WRN-40-4 of "Wide Residual Networks" (arXiv:1605.07146): 40 layers, 4 times as wide."""
    return PreActResNet(PreActBasicBlock, 6, **settled(kwargs, width=4))
