"""BN-Inception (Inception v2).

Ioffe, Szegedy: "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift"
(arXiv:1502.03167), figure 5. torchvision has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rvision
from rvision import nn
from rvision.models._api import model_builder
from rvision.models.googlenet import BasicConv2d

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["BNInception", "InceptionBN", "InceptionBNReduction", "bn_inception"]

# The figure's rows: 1x1, 3x3 reduce, 3x3, double 3x3 reduce, double 3x3, pool, pool proj; at stride
# 2 without the first and the last two. In 4c and 4d the figure prints 128 after the pool, which
# does not add up to its 576 channels, nor 4e to 1024. With 96, as in Google's TensorFlow code
# (`inception_v2` of TF-Slim), all sums agree.
_MODULES: dict[str, tuple[Any, ...]] = {
    "3a": (64, 64, 64, 64, 96, "avg", 32),
    "3b": (64, 64, 96, 64, 96, "avg", 64),
    "3c": (128, 160, 64, 96),
    "4a": (224, 64, 96, 96, 128, "avg", 128),
    "4b": (192, 96, 128, 96, 128, "avg", 128),
    "4c": (160, 128, 160, 128, 160, "avg", 96),
    "4d": (96, 128, 192, 160, 192, "avg", 96),
    "4e": (128, 192, 192, 256),
    "5a": (352, 192, 320, 160, 224, "avg", 128),
    "5b": (352, 192, 320, 192, 224, "max", 128),
}


class InceptionBN(nn.Module):
    """Four concatenated branches: (N, in_channels, H, W) to (N, ch1x1 + ch3x3 + chdbl + pool_proj, H, W).

    GoogLeNet's module with two convolutions of 3x3 in place of one of 5x5, and with batch norms.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    ch1x1, ch3x3, chdbl, pool_proj : int
        Channels of the four branches: 1x1, 3x3, two of 3x3, pool.
    ch3x3red, chdblred : int
        Channels to which the second and third branch are first reduced.
    pool : str
        "avg" or "max". An average at the border counts the zeros around the map, as in torchvision's
        Inception v3.

    Attributes
    ----------
    out_channels : int
        Channels of the output.

    Raises
    ------
    ValueError
        If `pool` is neither.
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        chdblred: int,
        chdbl: int,
        pool: str,
        pool_proj: int,
    ) -> None:
        super().__init__()
        if pool not in ("avg", "max"):
            raise ValueError(f"InceptionBN: pool must be 'avg' or 'max', got {pool!r}")
        kind = nn.AvgPool2d if pool == "avg" else nn.MaxPool2d
        self.branch1 = BasicConv2d(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, ch3x3red, kernel_size=1),
            BasicConv2d(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(in_channels, chdblred, kernel_size=1),
            BasicConv2d(chdblred, chdbl, kernel_size=3, padding=1),
            BasicConv2d(chdbl, chdbl, kernel_size=3, padding=1),
        )
        self.branch4 = nn.Sequential(
            kind(kernel_size=3, stride=1, padding=1), BasicConv2d(in_channels, pool_proj, kernel_size=1)
        )
        self.out_channels = ch1x1 + ch3x3 + chdbl + pool_proj

    def forward(self, x: Symbol) -> Symbol:
        """Return the concatenated outputs of the branches."""
        return rvision.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionBNReduction(nn.Module):
    """Three branches of stride 2: (N, in_channels, H, W) to (N, ch3x3 + chdbl + in_channels, H / 2, W / 2).

    Halves are rounded up. The pool keeps its channels; there is no 1x1 branch.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    ch3x3, chdbl : int
        Channels of the branches of one and of two convolutions of 3x3.
    ch3x3red, chdblred : int
        Channels to which these are first reduced.

    Attributes
    ----------
    out_channels : int
        Channels of the output.
    """

    def __init__(self, in_channels: int, ch3x3red: int, ch3x3: int, chdblred: int, chdbl: int) -> None:
        super().__init__()
        self.branch1 = nn.Sequential(
            BasicConv2d(in_channels, ch3x3red, kernel_size=1),
            BasicConv2d(ch3x3red, ch3x3, kernel_size=3, stride=2, padding=1),
        )
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, chdblred, kernel_size=1),
            BasicConv2d(chdblred, chdbl, kernel_size=3, padding=1),
            BasicConv2d(chdbl, chdbl, kernel_size=3, stride=2, padding=1),
        )
        self.branch3 = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.out_channels = ch3x3 + chdbl + in_channels

    def forward(self, x: Symbol) -> Symbol:
        """Return the concatenated outputs of the branches."""
        return rvision.cat([self.branch1(x), self.branch2(x), self.branch3(x)], 1)


class SeparableConv2d(nn.Module):
    """A convolution of each channel, one of 1x1 across them, a batch norm, a ReLU.

    (N, in_channels, H, W) to (N, out_channels, ., .).

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    multiplier : int
        Intermediate channels for each input channel.
    **kwargs
        The first convolution's.
    """

    def __init__(self, in_channels: int, out_channels: int, multiplier: int, **kwargs: Any) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, multiplier * in_channels, groups=in_channels, bias=False, **kwargs
        )
        self.pointwise = BasicConv2d(multiplier * in_channels, out_channels, kernel_size=1)

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        return self.pointwise(self.depthwise(x))


class BNInception(nn.Module):
    """BN-Inception: (N, 3, H, W), usually 224x224, to (N, num_classes). Pictures may have any size.

    Parameters
    ----------
    num_classes : int
        Outputs.
    separable : bool
        Whether the first convolution is separable with depth multiplier 8, as in the paper. Its
        Caffe versions have an ordinary one.
    dropout : float
        Probability of the dropout, which does nothing at inference; the paper's best networks have none.
    """

    def __init__(self, num_classes: int = 1000, separable: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1: nn.Module
        if separable:
            self.conv1 = SeparableConv2d(3, 64, 8, kernel_size=7, stride=2, padding=3)
        else:
            self.conv1 = BasicConv2d(3, 64, kernel_size=7, stride=2, padding=3)
        # With padding, the pools halve maps of any size, like the convolutions of the other
        # branches.
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.conv2 = BasicConv2d(64, 64, kernel_size=1)
        self.conv3 = BasicConv2d(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        channels = 192
        for name, row in _MODULES.items():
            kind = InceptionBNReduction if len(row) == 4 else InceptionBN
            module = kind(channels, *row)
            setattr(self, f"inception{name}", module)
            channels = module.out_channels
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        for name in _MODULES:
            x = getattr(self, f"inception{name}")(x)
        x = self.avgpool(x)
        x = x.flatten(1)
        x = self.dropout(x)
        return self.fc(x)


@model_builder(input_size=(3, 224, 224))
def bn_inception(**kwargs: Any) -> BNInception:
    """BN-Inception of "Batch Normalization" (arXiv:1502.03167, figure 5) for pictures of 224x224."""
    return BNInception(**kwargs)
