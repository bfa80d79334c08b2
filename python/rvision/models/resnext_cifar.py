"""ResNeXt for CIFAR, and its block in the paper's three forms.

Xie, Girshick, Dollar, Tu, He: "Aggregated Residual Transformations for Deep Neural Networks"
(arXiv:1611.05431). torchvision has only the networks for ImageNet, in form (c) of figure 3; inner
names are those of `torchvision.models.resnet`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import rvision
from rvision import nn
from rvision.models._api import model_builder
from rvision.models._utils import settled
from rvision.models.resnet import conv1x1, conv3x3

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from rvision.nn import Symbol

__all__ = [
    "CifarResNeXt",
    "ResNeXtBlockA",
    "ResNeXtBlockB",
    "ResNeXtBlockC",
    "resnext29_8x64d",
    "resnext29_16x64d",
    "resnext_paths",
]


class ResNeXtBlockC(nn.Module):
    """The block with a grouped convolution (figure 3c): (N, inplanes, H, W) to (N, planes, H/s, W/s).

    Parameters
    ----------
    inplanes, planes : int
        Channels of the input and of the output.
    cardinality : int
        Groups of the 3x3 convolution.
    width : int
        Channels of each group.
    stride : int
        The 3x3 convolution's.
    """

    def __init__(self, inplanes: int, planes: int, cardinality: int, width: int, stride: int = 1) -> None:
        super().__init__()
        inside = cardinality * width
        self.conv1 = conv1x1(inplanes, inside)
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv2 = conv3x3(inside, inside, stride, groups=cardinality)
        self.bn2 = nn.BatchNorm2d(inside)
        self.conv3 = conv1x1(inside, planes)
        self.bn3 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inplanes, planes, stride)

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNeXtBlockB(nn.Module):
    """The block with separate paths that are concatenated before the last 1x1 convolution (figure 3b).

    Parameters
    ----------
    inplanes, planes, cardinality, width, stride : int
        As of `ResNeXtBlockC`; `cardinality` is the number of paths. `resnext_paths` converts that
        block's weights.
    """

    def __init__(self, inplanes: int, planes: int, cardinality: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.paths = nn.ModuleList([_path(inplanes, width, stride) for _ in range(cardinality)])
        self.conv3 = conv1x1(cardinality * width, planes)
        self.bn3 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inplanes, planes, stride)

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        out = self.bn3(self.conv3(rvision.cat([path(x) for path in self.paths], 1)))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNeXtBlockA(nn.Module):
    """The block with separate paths that are summed (figure 3a).

    Parameters
    ----------
    inplanes, planes, cardinality, width, stride : int
        As of `ResNeXtBlockB`. The last batch norm follows the sum; otherwise the forms would not be
        equal.
    """

    def __init__(self, inplanes: int, planes: int, cardinality: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.paths = nn.ModuleList([_path(inplanes, width, stride) for _ in range(cardinality)])
        self.conv3 = nn.ModuleList([conv1x1(width, planes) for _ in range(cardinality)])
        self.bn3 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inplanes, planes, stride)

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        first, *rest = [last(path(x)) for path, last in zip(self.paths, self.conv3, strict=True)]
        for out in rest:
            first = first + out
        return self.relu(self.bn3(first) + (x if self.downsample is None else self.downsample(x)))


def _path(inplanes: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        conv1x1(inplanes, width),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        conv3x3(width, width, stride),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


def _shortcut(inplanes: int, planes: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inplanes == planes:
        return None
    return nn.Sequential(conv1x1(inplanes, planes, stride), nn.BatchNorm2d(planes))


# Positions of form (c)'s layers in a path.
_PLACES = {"conv1": 0, "bn1": 1, "conv2": 3, "bn2": 4}


def resnext_paths(
    state: Mapping[str, NDArray[Any]], cardinality: int, summed: bool = False
) -> dict[str, NDArray[Any]]:
    """Return a `ResNeXtBlockC`'s state dict, rearranged for the same block with separate paths.

    Parameters
    ----------
    state : mapping of str to ndarray
        The state dict of a `ResNeXtBlockC`.
    cardinality : int
        The block's.
    summed : bool
        Whether for a `ResNeXtBlockA`, else for a `ResNeXtBlockB`.

    Returns
    -------
    dict of str to ndarray
        Every path's channels of the first two convolutions and norms; for a `ResNeXtBlockA` also
        the columns of the last convolution's weight that read them. No value is changed.

    Raises
    ------
    ValueError
        If `cardinality` does not divide the channels inside the block.
    """
    out: dict[str, NDArray[Any]] = {}
    for key, value in state.items():
        layer, _, kind = key.partition(".")
        split = layer in _PLACES or (summed and layer == "conv3")
        if not split:
            out[key] = value
            continue
        axis = 1 if layer == "conv3" else 0
        if value.ndim and value.shape[axis] % cardinality:
            raise ValueError(
                f"resnext_paths: {key} has {value.shape[axis]} channels, which are not a multiple of "
                f"cardinality={cardinality}; give the block's own"
            )
        # The count of batches has no channels: it is the same for all paths.
        parts = np.split(value, cardinality, axis) if value.ndim else [value] * cardinality
        for i, part in enumerate(parts):
            name = f"conv3.{i}" if layer == "conv3" else f"paths.{i}.{_PLACES[layer]}"
            out[f"{name}.{kind}"] = part
    return out


class CifarResNeXt(nn.Module):
    """ResNeXt of three stages: (N, 3, H, W) of any size, made for 32x32, to (N, num_classes).

    Parameters
    ----------
    depth : int
        Layers with weights: three per block in three stages, and two more, so 9 n + 2.
    cardinality : int
        Groups of each 3x3 convolution.
    width : int
        Channels of each group in the first stage; they double with each stage.
    num_classes : int
        Outputs.

    Raises
    ------
    ValueError
        If `depth` is not 9 n + 2, or `cardinality` or `width` less than 1.
    """

    def __init__(self, depth: int = 29, cardinality: int = 8, width: int = 64, num_classes: int = 10) -> None:
        super().__init__()
        if depth < 11 or (depth - 2) % 9:
            raise ValueError(f"CifarResNeXt: depth must be 9 n + 2, such as 29, got {depth}")
        if cardinality < 1 or width < 1:
            raise ValueError(
                f"CifarResNeXt needs a cardinality and a width of at least 1, got {cardinality} and {width}"
            )
        self.conv1 = conv3x3(3, 64)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        inplanes = 64
        for stage in range(3):
            planes = 256 * 2**stage
            blocks: list[nn.Module] = []
            for i in range((depth - 2) // 9):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(ResNeXtBlockC(inplanes, planes, cardinality, width * 2**stage, stride))
                inplanes = planes
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inplanes, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


@model_builder(input_size=(3, 32, 32))
def resnext29_8x64d(**kwargs: Any) -> CifarResNeXt:
    """ResNeXt-29 8x64d for CIFAR, "Aggregated Residual Transformations" (arXiv:1611.05431)."""
    return CifarResNeXt(**settled(kwargs, depth=29, cardinality=8, width=64))


@model_builder(input_size=(3, 32, 32))
def resnext29_16x64d(**kwargs: Any) -> CifarResNeXt:
    """ResNeXt-29 16x64d for CIFAR, "Aggregated Residual Transformations" (arXiv:1611.05431)."""
    return CifarResNeXt(**settled(kwargs, depth=29, cardinality=16, width=64))
