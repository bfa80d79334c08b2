"""ResNet, ResNeXt and Wide ResNet.

* He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition" (arXiv:1512.03385).
* Xie, Girshick, Dollar, Tu, He: "Aggregated Residual Transformations for Deep Neural Networks"
  (arXiv:1611.05431).
* Zagoruyko, Komodakis: "Wide Residual Networks" (arXiv:1605.07146).

Names as in `torchvision.models.resnet`. The CIFAR-10 networks of the first paper are in `cifar_resnet`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rvision import nn
from rvision.models._api import model_builder
from rvision.models._utils import settled
from rvision.weights import (
    ResNet18_Weights,
    ResNet34_Weights,
    ResNet50_Weights,
    ResNet101_Weights,
    ResNet152_Weights,
    ResNeXt50_32X4D_Weights,
    ResNeXt101_32X8D_Weights,
    ResNeXt101_64X4D_Weights,
    Wide_ResNet50_2_Weights,
    Wide_ResNet101_2_Weights,
)

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ResNeXt50_32X4D_Weights",
    "ResNeXt101_32X8D_Weights",
    "ResNeXt101_64X4D_Weights",
    "ResNet",
    "ResNet18_Weights",
    "ResNet34_Weights",
    "ResNet50_Weights",
    "ResNet101_Weights",
    "ResNet152_Weights",
    "Wide_ResNet50_2_Weights",
    "Wide_ResNet101_2_Weights",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
]


def conv3x3(
    in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps the size at stride 1, without bias."""
    return nn.Conv2d(
        in_planes,
        out_planes,
        kernel_size=3,
        stride=stride,
        padding=dilation,
        groups=groups,
        bias=False,
        dilation=dilation,
    )


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """Return a 1x1 convolution without bias."""
    return nn.Conv2d(in_planes, out_planes, kernel_size=1, stride=stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut: (N, inplanes, H, W) to (N, planes, H/stride, W/stride).

    Parameters
    ----------
    inplanes, planes : int
        Channels of the input and of the output.
    stride : int
        The first convolution's.
    downsample : Module, optional
        Maps the shortcut to the output's shape. None passes the input on.
    groups, base_width, dilation : int
        Only 1, 64 and 1; others need `Bottleneck`.
    norm_layer : callable, optional
        Makes a normalisation from a channel count, `BatchNorm2d` by default.
    """

    expansion: int = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        if groups != 1 or base_width != 64:
            raise ValueError(
                f"BasicBlock only supports groups=1 and base_width=64, got {groups} and {base_width}; "
                "use Bottleneck"
            )
        if dilation > 1:
            raise NotImplementedError(f"BasicBlock only supports dilation=1, got {dilation}; use Bottleneck")
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)

        out = self.conv2(out)
        out = self.bn2(out)

        identity = x if self.downsample is None else self.downsample(x)
        out = out + identity
        return self.relu(out)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with a shortcut: (N, inplanes, H, W) to (N, 4 planes, H/s, W/s).

    The 3x3 convolution has the stride, as in torchvision, so this is "ResNet V1.5". In the paper
    the first 1x1 has it, which then ignores three quarters of its input.

    Parameters
    ----------
    inplanes : int
        Channels of the input.
    planes : int
        A quarter of the output's channels.
    stride, dilation : int
        The 3x3 convolution's.
    downsample : Module, optional
        Maps the shortcut to the output's shape. None passes the input on.
    groups, base_width : int
        The 3x3 convolution has `groups` groups of ``planes * base_width / 64`` channels.
    norm_layer : callable, optional
        Makes a normalisation from a channel count, `BatchNorm2d` by default.
    """

    expansion: int = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)

        out = self.conv2(out)
        out = self.bn2(out)
        out = self.relu(out)

        out = self.conv3(out)
        out = self.bn3(out)

        identity = x if self.downsample is None else self.downsample(x)
        out = out + identity
        return self.relu(out)


class ResNet(nn.Module):
    """A residual network: (N, 3, H, W) of any size to (N, num_classes).

    Parameters
    ----------
    block : type
        `BasicBlock`, `Bottleneck` or one with their signature and an `expansion`.
    layers : sequence of int
        Blocks in each of the four stages.
    num_classes : int
        Outputs.
    zero_init_residual : bool
        Accepted for compatibility with torchvision: it selects an initialisation for training.
    groups, width_per_group : int
        Groups of each block's 3x3 convolution, and channels of each in the first stage.
    replace_stride_with_dilation : sequence of bool, optional
        For the last three stages, whether to dilate instead of stride: the maps stay large, for
        dense prediction. Needs `Bottleneck`.
    norm_layer : callable, optional
        Makes a normalisation from a channel count, `BatchNorm2d` by default.

    Raises
    ------
    ValueError
        If `replace_stride_with_dilation` does not have three values.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        self._norm_layer = norm_layer
        self.inplanes = 64
        self.dilation = 1
        dilate = replace_stride_with_dilation or [False, False, False]
        if len(dilate) != 3:
            raise ValueError(
                f"replace_stride_with_dilation needs a value for each of the last three stages, got {dilate}"
            )
        self.groups = groups
        self.base_width = width_per_group

        self.conv1 = nn.Conv2d(3, self.inplanes, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], stride=2, dilate=dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], stride=2, dilate=dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], stride=2, dilate=dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)

    def _make_layer(
        self,
        block: type[BasicBlock | Bottleneck],
        planes: int,
        blocks: int,
        stride: int = 1,
        dilate: bool = False,
    ) -> nn.Sequential:
        # The first block keeps the dilation of the previous stage: its input has that stage's
        # spacing.
        first_dilation = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        outplanes = planes * block.expansion
        downsample = None
        if stride != 1 or self.inplanes != outplanes:
            downsample = nn.Sequential(conv1x1(self.inplanes, outplanes, stride), self._norm_layer(outplanes))
        stage: list[nn.Module] = [
            block(
                self.inplanes,
                planes,
                stride,
                downsample,
                self.groups,
                self.base_width,
                first_dilation,
                self._norm_layer,
            )
        ]
        self.inplanes = outplanes
        for _ in range(1, blocks):
            stage.append(
                block(
                    outplanes,
                    planes,
                    groups=self.groups,
                    base_width=self.base_width,
                    dilation=self.dilation,
                    norm_layer=self._norm_layer,
                )
            )
        return nn.Sequential(*stage)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.conv1(x)
        x = self.bn1(x)
        x = self.relu(x)
        x = self.maxpool(x)

        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)

        x = self.avgpool(x)
        x = x.flatten(1)
        return self.fc(x)


@model_builder(ResNet18_Weights)
def resnet18(**kwargs: Any) -> ResNet:
    """ResNet-18 of "Deep Residual Learning for Image Recognition" (arXiv:1512.03385)."""
    return ResNet(BasicBlock, [2, 2, 2, 2], **kwargs)


@model_builder(ResNet34_Weights)
def resnet34(**kwargs: Any) -> ResNet:
    """ResNet-34 of "Deep Residual Learning for Image Recognition" (arXiv:1512.03385)."""
    return ResNet(BasicBlock, [3, 4, 6, 3], **kwargs)


@model_builder(ResNet50_Weights)
def resnet50(**kwargs: Any) -> ResNet:
    """ResNet-50 (V1.5) of "Deep Residual Learning for Image Recognition" (arXiv:1512.03385)."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **kwargs)


@model_builder(ResNet101_Weights)
def resnet101(**kwargs: Any) -> ResNet:
    """ResNet-101 (V1.5) of "Deep Residual Learning for Image Recognition" (arXiv:1512.03385)."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **kwargs)


@model_builder(ResNet152_Weights)
def resnet152(**kwargs: Any) -> ResNet:
    """ResNet-152 (V1.5) of "Deep Residual Learning for Image Recognition" (arXiv:1512.03385)."""
    return ResNet(Bottleneck, [3, 8, 36, 3], **kwargs)


@model_builder(ResNeXt50_32X4D_Weights)
def resnext50_32x4d(**kwargs: Any) -> ResNet:
    """ResNeXt-50 32x4d of "Aggregated Residual Transformations" (arXiv:1611.05431)."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **settled(kwargs, groups=32, width_per_group=4))


@model_builder(ResNeXt101_32X8D_Weights)
def resnext101_32x8d(**kwargs: Any) -> ResNet:
    """ResNeXt-101 32x8d of "Aggregated Residual Transformations" (arXiv:1611.05431)."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **settled(kwargs, groups=32, width_per_group=8))


@model_builder(ResNeXt101_64X4D_Weights)
def resnext101_64x4d(**kwargs: Any) -> ResNet:
    """ResNeXt-101 64x4d of "Aggregated Residual Transformations" (arXiv:1611.05431)."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **settled(kwargs, groups=64, width_per_group=4))


@model_builder(Wide_ResNet50_2_Weights)
def wide_resnet50_2(**kwargs: Any) -> ResNet:
    """Wide ResNet-50-2 of "Wide Residual Networks" (arXiv:1605.07146): 3x3 convolutions twice as wide."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **settled(kwargs, width_per_group=64 * 2))


@model_builder(Wide_ResNet101_2_Weights)
def wide_resnet101_2(**kwargs: Any) -> ResNet:
    """Wide ResNet-101-2 of "Wide Residual Networks" (arXiv:1605.07146): 3x3 convolutions twice as wide."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **settled(kwargs, width_per_group=64 * 2))
