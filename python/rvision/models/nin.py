"""Network in Network.

Lin, Chen, Yan: "Network In Network" (arXiv:1312.4400). torchvision has none; sizes and paddings are those of
the networks that the authors published for Caffe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rvision import nn
from rvision.models._api import model_builder

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["MLPConv", "NiN", "nin_cifar10", "nin_imagenet"]


class MLPConv(nn.Sequential):
    """The paper's mlpconv layer: an MLP of three layers that slides over the picture.

    A convolution and two more of 1x1, each followed by a ReLU: (N, in_channels, H, W) to
    (N, channels[-1], H', W'), with H' and W' those of the first convolution.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    channels : sequence of three int
        Units of the MLP's layers.
    kernel_size, stride, padding : int
        The first convolution's.

    Raises
    ------
    ValueError
        If `channels` does not have three numbers.
    """

    def __init__(
        self, in_channels: int, channels: Sequence[int], kernel_size: int, stride: int = 1, padding: int = 0
    ) -> None:
        if len(channels) != 3:
            raise ValueError(f"MLPConv: channels must be three numbers, one a layer, got {channels!r}")
        first, second, third = channels
        super().__init__(
            nn.Conv2d(in_channels, first, kernel_size, stride, padding),
            nn.ReLU(inplace=True),
            nn.Conv2d(first, second, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(second, third, kernel_size=1),
            nn.ReLU(inplace=True),
        )


class NiN(nn.Module):
    """Network in Network: (N, 3, H, W) to (N, num_classes).

    There is no fully connected layer: the last maps stand for the classes and are averaged. H and W
    are at least 39 ("imagenet") or 4 ("cifar10").

    Parameters
    ----------
    version : str
        "imagenet", for pictures of about 224x224, or "cifar10", for 32x32.
    num_classes : int
        Outputs.
    dropout : float
        Probability of the dropouts, which do nothing at inference.

    Raises
    ------
    ValueError
        If `version` is neither.
    """

    def __init__(self, version: str = "imagenet", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        # Caffe's pools keep the last window even if it extends beyond the edge.
        if version == "imagenet":
            self.features = nn.Sequential(
                MLPConv(3, (96, 96, 96), kernel_size=11, stride=4),
                nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
                MLPConv(96, (256, 256, 256), kernel_size=5, padding=2),
                nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
                MLPConv(256, (384, 384, 384), kernel_size=3, padding=1),
                nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
                nn.Dropout(p=dropout),
                MLPConv(384, (1024, 1024, num_classes), kernel_size=3, padding=1),
            )
        elif version == "cifar10":
            self.features = nn.Sequential(
                MLPConv(3, (192, 160, 96), kernel_size=5, padding=2),
                nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
                nn.Dropout(p=dropout),
                MLPConv(96, (192, 192, 192), kernel_size=5, padding=2),
                nn.AvgPool2d(kernel_size=3, stride=2, ceil_mode=True),
                nn.Dropout(p=dropout),
                MLPConv(192, (192, 192, num_classes), kernel_size=3, padding=1),
            )
        else:
            raise ValueError(f"Unsupported NiN version {version!r}: 'imagenet' or 'cifar10' expected")
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits, none of them negative: the authors' last layer has a ReLU too."""
        x = self.features(x)
        x = self.avgpool(x)
        return x.flatten(1)


@model_builder(input_size=(3, 224, 224))
def nin_imagenet(**kwargs: Any) -> NiN:
    """Network in Network for ImageNet (arXiv:1312.4400), with the layers of its authors' Caffe model."""
    return NiN("imagenet", **kwargs)


@model_builder(input_size=(3, 32, 32))
def nin_cifar10(**kwargs: Any) -> NiN:
    """Network in Network for CIFAR-10 (arXiv:1312.4400), with the layers of its authors' Caffe model."""
    return NiN("cifar10", **{"num_classes": 10, **kwargs})
