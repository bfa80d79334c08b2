"""The networks of PReLU and of He's initialisation.

He, Zhang, Ren, Sun: "Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet
Classification" (arXiv:1502.01852), table 3, with the spatial pyramid of "Spatial Pyramid Pooling in Deep
Convolutional Networks for Visual Recognition" (arXiv:1406.4729). torchvision has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import rvision
from rvision import nn
from rvision.models._api import model_builder

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["PReLUNet", "SpatialPyramidPool", "prelu_net_a"]


class SpatialPyramidPool(nn.Module):
    """Max pools to several grids, concatenated: (N, C, H, W) of any size to (N, C * sum of bins squared).

    Parameters
    ----------
    bins : sequence of int
        The grids' sizes; {7, 3, 2, 1} gives 63 values for each channel, those of the 7x7 grid first.

    Raises
    ------
    ValueError
        If there is no grid.
    """

    def __init__(self, bins: Sequence[int]) -> None:
        super().__init__()
        if not bins:
            raise ValueError("SpatialPyramidPool: bins must name one grid at least, got none")
        self.bins = tuple(bins)

    def forward(self, x: Symbol) -> Symbol:
        """Return the pools' values, each grid's ordered by channel, row and column."""
        grids = [nn.functional.adaptive_max_pool2d(x, size).flatten(1) for size in self.bins]
        return rvision.cat(grids, 1)

    def extra_repr(self) -> str:
        """Return what `print` shows of the module."""
        return f"bins={self.bins}"


class PReLUNet(nn.Module):
    """The paper's networks: (N, 3, H, W), H and W at least 15 and usually 224, to (N, num_classes).

    A 7x7 convolution of stride 2, three stages of 3x3 convolutions with a 2x2 max pool before each, a spatial
    pyramid, three linear layers. Every activation is a PReLU with a slope for each channel or unit.

    Parameters
    ----------
    width : sequence of int
        Channels of the 3x3 convolutions in the three stages.
    depth : int
        The number of them in each stage.
    bins : sequence of int
        Grids of the spatial pyramid.
    num_classes : int
        Outputs.
    dropout : float
        Probability of the dropouts, which do nothing at inference.
    """

    def __init__(
        self,
        width: Sequence[int] = (256, 512, 512),
        depth: int = 5,
        bins: Sequence[int] = (7, 3, 2, 1),
        num_classes: int = 1000,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 96, kernel_size=7, stride=2, padding=3), nn.PReLU(96)]
        channels = 96
        for planes in width:
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            for _ in range(depth):
                layers += [nn.Conv2d(channels, planes, kernel_size=3, padding=1), nn.PReLU(planes)]
                channels = planes
        self.features = nn.Sequential(*layers)
        self.spp = SpatialPyramidPool(bins)
        self.classifier = nn.Sequential(
            nn.Linear(channels * sum(size**2 for size in bins), 4096),
            nn.PReLU(4096),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.PReLU(4096),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.features(x)
        x = self.spp(x)
        return self.classifier(x)


@model_builder(input_size=(3, 224, 224))
def prelu_net_a(**kwargs: Any) -> PReLUNet:
    """PReLU-net, model A of "Delving Deep into Rectifiers" (arXiv:1502.01852): 19 layers."""
    return PReLUNet(**kwargs)
