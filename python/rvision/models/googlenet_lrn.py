"""GoogLeNet as published, and its Inception modules.

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich: "Going Deeper with Convolutions"
(arXiv:1409.4842): kernels of 5x5, local response normalisation, no batch norm, two auxiliary classifiers.
`torchvision.models.googlenet` (`rvision.models.googlenet`) has batch norms, and 3x3 in place of the 5x5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import rvision
from rvision import nn
from rvision.models._api import model_builder
from rvision.ops import Conv2dNormActivation

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["GoogLeNetLRN", "GoogLeNetOutputs", "NaiveInception", "ReducedInception", "googlenet_lrn"]

# Table 1's rows: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj.
_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class GoogLeNetOutputs(NamedTuple):
    """Logits (N, num_classes) of the network and of its auxiliary classifiers (torchvision's names)."""

    logits: Any
    aux_logits2: Any
    aux_logits1: Any


def _conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> Conv2dNormActivation:
    return Conv2dNormActivation(in_channels, out_channels, kernel_size, stride, norm_layer=None)


class NaiveInception(nn.Module):
    """The Inception module, naive version (arXiv:1409.4842, figure 2a).

    (N, in_channels, H, W) to (N, ch1x1 + ch3x3 + ch5x5 + in_channels, H, W): convolutions of three
    sizes and a pool, concatenated. Since the pool keeps all its channels, each module has more
    channels than the previous one, and the large kernels process all of them.

    Parameters
    ----------
    in_channels : int
        Channels of the input, and of the fourth branch.
    ch1x1, ch3x3, ch5x5 : int
        Channels of the other three.

    Attributes
    ----------
    out_channels : int
        Channels of the output.
    """

    def __init__(self, in_channels: int, ch1x1: int, ch3x3: int, ch5x5: int) -> None:
        super().__init__()
        self.branch1 = _conv(in_channels, ch1x1, 1)
        self.branch2 = _conv(in_channels, ch3x3, 3)
        self.branch3 = _conv(in_channels, ch5x5, 5)
        self.branch4 = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
        self.out_channels = ch1x1 + ch3x3 + ch5x5 + in_channels

    def forward(self, x: Symbol) -> Symbol:
        """Return the concatenated outputs of the branches."""
        return rvision.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class ReducedInception(nn.Module):
    """The Inception module with dimension reductions (arXiv:1409.4842, figure 2b).

    (N, in_channels, H, W) to (N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W): the naive one with a
    convolution of 1x1 before those of 3x3 and 5x5 and after the pool. Arguments and attributes are
    those of torchvision's `Inception`, whose third branch has a 3x3 kernel.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    ch1x1, ch3x3, ch5x5, pool_proj : int
        Channels of the four branches.
    ch3x3red, ch5x5red : int
        Channels to which the second and third branch are first reduced.

    Attributes
    ----------
    out_channels : int
        Channels of the output.
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
    ) -> None:
        super().__init__()
        self.branch1 = _conv(in_channels, ch1x1, 1)
        self.branch2 = nn.Sequential(_conv(in_channels, ch3x3red, 1), _conv(ch3x3red, ch3x3, 3))
        self.branch3 = nn.Sequential(_conv(in_channels, ch5x5red, 1), _conv(ch5x5red, ch5x5, 5))
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1), _conv(in_channels, pool_proj, 1)
        )
        self.out_channels = ch1x1 + ch3x3 + ch5x5 + pool_proj

    def forward(self, x: Symbol) -> Symbol:
        """Return the concatenated outputs of the branches."""
        return rvision.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class AuxiliaryClassifier(nn.Module):
    """A classifier on maps inside the network: (N, in_channels, 14, 14) to (N, num_classes).

    The maps may be 14 to 16 high and wide.

    Parameters
    ----------
    in_channels : int
        Channels of the maps.
    num_classes : int
        Outputs.
    dropout : float
        Probability of the dropout, which does nothing at inference.
    """

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.7) -> None:
        super().__init__()
        self.avgpool = nn.AvgPool2d(kernel_size=5, stride=3)
        self.conv = _conv(in_channels, 128, 1)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.conv(self.avgpool(x)).flatten(1)
        x = nn.functional.relu(self.fc1(x))
        return self.fc2(self.dropout(x))


class GoogLeNetLRN(nn.Module):
    """GoogLeNet as published: (N, 3, H, W), usually 224x224, to (N, num_classes).

    H and W are at least 31. With `return_aux` they are 223 to 270, since the auxiliary classifiers
    end in fully connected layers. The normalisations have the constants of BVLC's Caffe model
    `bvlc_googlenet`, which are for pixels of 0 to 255 minus the mean: the paper gives none.

    Parameters
    ----------
    num_classes : int
        Outputs.
    aux_logits : bool
        Whether there are the auxiliary classifiers `aux1`, after module 4a, and `aux2`, after 4d.
    dropout, dropout_aux : float
        Probabilities of the dropouts, which do nothing at inference.

    Examples
    --------
    >>> import numpy as np
    >>> from rvision.models import googlenet_lrn
    >>> model = googlenet_lrn(num_classes=10, aux_logits=True)
    >>> outputs = model(np.zeros((1, 3, 224, 224), np.float32), return_aux=True)
    >>> outputs.aux_logits1.shape
    (1, 10)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = False,
        dropout: float = 0.4,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        self.aux_logits = aux_logits
        # Caffe's pools keep the last window even if it extends beyond the edge.
        self.conv1 = _conv(3, 64, 7, stride=2)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
        self.norm1 = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
        self.conv2 = _conv(64, 64, 1)
        self.conv3 = _conv(64, 192, 3)
        self.norm2 = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)

        channels = 192
        for name, row in _MODULES.items():
            module = ReducedInception(channels, *row)
            setattr(self, f"inception{name}", module)
            channels = module.out_channels
            if name == "3b":
                self.maxpool3 = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)
            elif name == "4e":
                self.maxpool4 = nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)

        self.aux1 = AuxiliaryClassifier(512, num_classes, dropout_aux) if aux_logits else None
        self.aux2 = AuxiliaryClassifier(528, num_classes, dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Symbol, return_aux: bool = False) -> Symbol | GoogLeNetOutputs:
        """Return the logits; with `return_aux`, also those of the auxiliary classifiers.

        Raises
        ------
        ValueError
            If `return_aux` is set and the network was made without them.
        """
        x = self.norm1(self.maxpool1(self.conv1(x)))
        x = self.maxpool2(self.norm2(self.conv3(self.conv2(x))))

        x = self.inception3b(self.inception3a(x))
        maps1 = self.inception4a(self.maxpool3(x))
        maps2 = self.inception4d(self.inception4c(self.inception4b(maps1)))
        x = self.inception4e(maps2)
        x = self.inception5b(self.inception5a(self.maxpool4(x)))

        x = self.avgpool(x)
        x = x.flatten(1)
        x = self.dropout(x)
        logits = self.fc(x)
        if not return_aux:
            return logits
        if self.aux1 is None or self.aux2 is None:
            raise ValueError(
                "GoogLeNetLRN: return_aux=True needs the auxiliary classifiers, and this network has none; "
                "make it with aux_logits=True"
            )
        return GoogLeNetOutputs(logits, aux_logits1=self.aux1(maps1), aux_logits2=self.aux2(maps2))


def _auxiliaries(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Return whether a file has the auxiliary classifiers."""
    return {"aux_logits": True} if any(name.startswith("aux1.") for name in shapes) else {}


@model_builder(input_size=(3, 224, 224), from_state=_auxiliaries)
def googlenet_lrn(**kwargs: Any) -> GoogLeNetLRN:
    """GoogLeNet of "Going Deeper with Convolutions" (arXiv:1409.4842), as published.

    The auxiliary classifiers exist with `aux_logits=True`, and run with
    ``model(x, return_aux=True)``.
    """
    return GoogLeNetLRN(**kwargs)
