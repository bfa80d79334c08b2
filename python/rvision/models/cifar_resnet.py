"""The CIFAR-10 networks of the ResNet paper.

He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition" (arXiv:1512.03385), section 4.2:
3x3 stem, no max pool, three stages of n blocks with 16, 32 and 64 channels, 6n + 2 layers.
torchvision has none. The names are those of its ResNet; files with the other common names,
``shortcut`` and ``linear``, load too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from rvision import nn
from rvision.models._api import model_builder
from rvision.models.resnet import BasicBlock, conv1x1, conv3x3

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = [
    "CifarResNet",
    "PadShortcut",
    "cifar10_resnet20",
    "cifar10_resnet32",
    "cifar10_resnet44",
    "cifar10_resnet56",
    "cifar10_resnet110",
]


class PadShortcut(nn.Module):
    """The paper's option A: every second pixel, with channels of zeros on both sides; no parameters.

    (N, C, H, W) to (N, C + 2 padding, ceil(H/stride), ceil(W/stride)).
    """

    def __init__(self, padding: int, stride: int) -> None:
        super().__init__()
        self.padding = padding
        self.stride = stride

    def forward(self, x: Symbol) -> Symbol:
        """Return the shortcut's output."""
        x = x[:, :, :: self.stride, :: self.stride]
        return nn.functional.pad(x, (0, 0, 0, 0, self.padding, self.padding))

    def extra_repr(self) -> str:
        """Return what `print` shows of the module."""
        return f"padding={self.padding}, stride={self.stride}"


class CifarResNet(nn.Module):
    """A residual network for small pictures: (N, 3, H, W), usually of 32x32, to (N, num_classes).

    Parameters
    ----------
    n : int
        Blocks in each of the three stages; the network is then called ResNet-(6n + 2).
    shortcut : {"A", "B"}
        Where the shape changes, the shortcut pads with zeros ("A", as in the paper for CIFAR-10) or
        projects by a 1x1 convolution and batch norm ("B").
    num_classes : int
        Outputs.

    Raises
    ------
    ValueError
        If `shortcut` is neither.
    """

    def __init__(self, n: int, shortcut: Literal["A", "B"] = "A", num_classes: int = 10) -> None:
        super().__init__()
        if shortcut not in ("A", "B"):
            raise ValueError(f'shortcut must be "A" (zero padding) or "B" (projection), got {shortcut!r}')
        self.conv1 = conv3x3(3, 16)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _stage(n, 16, 16, 1, shortcut)
        self.layer2 = _stage(n, 16, 32, 2, shortcut)
        self.layer3 = _stage(n, 32, 64, 2, shortcut)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.conv1(x)
        x = self.bn1(x)
        x = self.relu(x)

        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)

        x = self.avgpool(x)
        x = x.flatten(1)
        return self.fc(x)

    def _upgrade_state_dict(self, state: dict[str, Any], prefix: str, metadata: Mapping[str, Any]) -> None:
        for key in [key for key in state if key.startswith(prefix)]:
            name = key.removeprefix(prefix).replace(".shortcut.", ".downsample.")
            state[prefix + re.sub(r"^linear\.", "fc.", name)] = state.pop(key)


def _stage(n: int, inplanes: int, planes: int, stride: int, shortcut: str) -> nn.Sequential:
    downsample: nn.Module | None = None
    if inplanes != planes:
        if shortcut == "A":
            downsample = PadShortcut((planes - inplanes) // 2, stride)
        else:
            downsample = nn.Sequential(conv1x1(inplanes, planes, stride), nn.BatchNorm2d(planes))
    first = BasicBlock(inplanes, planes, stride, downsample)
    return nn.Sequential(first, *(BasicBlock(planes, planes) for _ in range(n - 1)))


def _shortcut(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return the kind of shortcut: only projections have weights."""
    projected = any(".downsample." in name or ".shortcut." in name for name in shapes)
    return {"shortcut": "B"} if projected else {}


@model_builder(input_size=(3, 32, 32), from_state=_shortcut)
def cifar10_resnet20(**kwargs: Any) -> CifarResNet:
    """ResNet-20 for CIFAR-10 (arXiv:1512.03385, section 4.2)."""
    return CifarResNet(3, **kwargs)


@model_builder(input_size=(3, 32, 32), from_state=_shortcut)
def cifar10_resnet32(**kwargs: Any) -> CifarResNet:
    """ResNet-32 for CIFAR-10 (arXiv:1512.03385, section 4.2)."""
    return CifarResNet(5, **kwargs)


@model_builder(input_size=(3, 32, 32), from_state=_shortcut)
def cifar10_resnet44(**kwargs: Any) -> CifarResNet:
    """ResNet-44 for CIFAR-10 (arXiv:1512.03385, section 4.2)."""
    return CifarResNet(7, **kwargs)


@model_builder(input_size=(3, 32, 32), from_state=_shortcut)
def cifar10_resnet56(**kwargs: Any) -> CifarResNet:
    """ResNet-56 for CIFAR-10 (arXiv:1512.03385, section 4.2)."""
    return CifarResNet(9, **kwargs)


@model_builder(input_size=(3, 32, 32), from_state=_shortcut)
def cifar10_resnet110(**kwargs: Any) -> CifarResNet:
    """ResNet-110 for CIFAR-10 (arXiv:1512.03385, section 4.2)."""
    return CifarResNet(18, **kwargs)
