"""VGG.

Simonyan, Zisserman: "Very Deep Convolutional Networks for Large-Scale Image Recognition" (arXiv:1409.1556).
Names as in `torchvision.models.vgg`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from rvision import nn
from rvision.models._api import model_builder
from rvision.weights import (
    VGG11_BN_Weights,
    VGG11_Weights,
    VGG13_BN_Weights,
    VGG13_Weights,
    VGG16_BN_Weights,
    VGG16_Weights,
    VGG19_BN_Weights,
    VGG19_Weights,
)

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = [
    "VGG",
    "VGG11_BN_Weights",
    "VGG11_Weights",
    "VGG13_BN_Weights",
    "VGG13_Weights",
    "VGG16_BN_Weights",
    "VGG16_Weights",
    "VGG19_BN_Weights",
    "VGG19_Weights",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]

# The paper's configurations A, B, D and E: output channels of 3x3 convolutions, "M" a 2x2 max pool.
cfgs: dict[str, list[int | Literal["M"]]] = {
    "A": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "B": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "D": [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"],
    "E": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}


class VGG(nn.Module):
    """VGG: (N, 3, H, W), H and W at least 32, to (N, num_classes).

    Parameters
    ----------
    features : Module
        Returns 512 maps; see `make_layers`.
    num_classes : int
        Outputs.
    init_weights : bool
        Accepted for compatibility with torchvision: it selects an initialisation for training.
    dropout : float
        Probability of the dropouts, which do nothing at inference.
    """

    def __init__(
        self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.features(x)
        x = self.avgpool(x)
        x = x.flatten(1)
        return self.classifier(x)


def make_layers(cfg: Sequence[int | Literal["M"]], batch_norm: bool = False) -> nn.Sequential:
    """Return the convolutional part for a configuration such as those in `cfgs`."""
    layers: list[nn.Module] = []
    in_channels = 3
    for v in cfg:
        if v == "M":
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        layers.append(nn.Conv2d(in_channels, v, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(v))
        layers.append(nn.ReLU(inplace=True))
        in_channels = v
    return nn.Sequential(*layers)


def _vgg(cfg: str, batch_norm: bool, kwargs: dict[str, Any]) -> VGG:
    return VGG(make_layers(cfgs[cfg], batch_norm), **kwargs)


@model_builder(VGG11_Weights)
def vgg11(**kwargs: Any) -> VGG:
    """VGG-11, configuration A of "Very Deep Convolutional Networks" (arXiv:1409.1556)."""
    return _vgg("A", False, kwargs)


@model_builder(VGG11_BN_Weights)
def vgg11_bn(**kwargs: Any) -> VGG:
    """VGG-11 with batch normalisation, configuration A (arXiv:1409.1556)."""
    return _vgg("A", True, kwargs)


@model_builder(VGG13_Weights)
def vgg13(**kwargs: Any) -> VGG:
    """VGG-13, configuration B (arXiv:1409.1556)."""
    return _vgg("B", False, kwargs)


@model_builder(VGG13_BN_Weights)
def vgg13_bn(**kwargs: Any) -> VGG:
    """VGG-13 with batch normalisation, configuration B (arXiv:1409.1556)."""
    return _vgg("B", True, kwargs)


@model_builder(VGG16_Weights)
def vgg16(**kwargs: Any) -> VGG:
    """VGG-16, configuration D (arXiv:1409.1556)."""
    return _vgg("D", False, kwargs)


@model_builder(VGG16_BN_Weights)
def vgg16_bn(**kwargs: Any) -> VGG:
    """VGG-16 with batch normalisation, configuration D (arXiv:1409.1556)."""
    return _vgg("D", True, kwargs)


@model_builder(VGG19_Weights)
def vgg19(**kwargs: Any) -> VGG:
    """VGG-19, configuration E (arXiv:1409.1556)."""
    return _vgg("E", False, kwargs)


@model_builder(VGG19_BN_Weights)
def vgg19_bn(**kwargs: Any) -> VGG:
    """VGG-19 with batch normalisation, configuration E (arXiv:1409.1556)."""
    return _vgg("E", True, kwargs)
