"""Inception v3.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: "Rethinking the Inception Architecture for Computer Vision"
(arXiv:1512.00567). Names as in `torchvision.models.inception`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import rvision
from rvision import nn
from rvision.models._api import model_builder
from rvision.models.googlenet import BasicConv2d, transform_input
from rvision.weights import Inception_V3_Weights

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["Inception3", "Inception_V3_Weights", "inception_v3"]

_ConvBlock = Callable[..., nn.Module] | None


class InceptionA(nn.Module):
    """1x1, 5x5, two 3x3 and a pool, concatenated: (N, in_channels, H, W) to (N, 224 + pool_features, H, W).

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    pool_features : int
        Channels of the pool's branch.
    conv_block : callable, optional
        Makes a convolution with its norm and activation, `BasicConv2d` by default.
    """

    def __init__(self, in_channels: int, pool_features: int, conv_block: _ConvBlock = None) -> None:
        super().__init__()
        conv_block = conv_block or BasicConv2d
        self.branch1x1 = conv_block(in_channels, 64, kernel_size=1)
        self.branch5x5_1 = conv_block(in_channels, 48, kernel_size=1)
        self.branch5x5_2 = conv_block(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = conv_block(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv_block(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv_block(96, 96, kernel_size=3, padding=1)
        self.branch_pool = conv_block(in_channels, pool_features, kernel_size=1)

    def forward(self, x: Symbol) -> Symbol:
        """Return the concatenated outputs of the branches."""
        branch5x5 = self.branch5x5_2(self.branch5x5_1(x))
        branch3x3dbl = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        pooled = nn.functional.avg_pool2d(x, kernel_size=3, stride=1, padding=1)
        return rvision.cat([self.branch1x1(x), branch5x5, branch3x3dbl, self.branch_pool(pooled)], 1)


class InceptionB(nn.Module):
    """3x3, two 3x3 and a pool, all to half the size: (N, in_channels, H, W) to (N, in_channels + 480, ., .).

    Parameters
    ----------
    in_channels, conv_block
        As of `InceptionA`.
    """

    def __init__(self, in_channels: int, conv_block: _ConvBlock = None) -> None:
        super().__init__()
        conv_block = conv_block or BasicConv2d
        self.branch3x3 = conv_block(in_channels, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = conv_block(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv_block(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv_block(96, 96, kernel_size=3, stride=2)

    def forward(self, x: Symbol) -> Symbol:
        """Return the concatenated outputs of the branches."""
        branch3x3dbl = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        pooled = nn.functional.max_pool2d(x, kernel_size=3, stride=2)
        return rvision.cat([self.branch3x3(x), branch3x3dbl, pooled], 1)


class InceptionC(nn.Module):
    """1x1, one and two 7x7 factored into 1x7 and 7x1, a pool: (N, in_channels, H, W) to (N, 768, H, W).

    Parameters
    ----------
    in_channels, conv_block
        As of `InceptionA`.
    channels_7x7 : int
        Channels between the 1x7 and 7x1 convolutions.
    """

    def __init__(self, in_channels: int, channels_7x7: int, conv_block: _ConvBlock = None) -> None:
        super().__init__()
        conv_block = conv_block or BasicConv2d
        c7 = channels_7x7
        row = {"kernel_size": (1, 7), "padding": (0, 3)}
        column = {"kernel_size": (7, 1), "padding": (3, 0)}
        self.branch1x1 = conv_block(in_channels, 192, kernel_size=1)
        self.branch7x7_1 = conv_block(in_channels, c7, kernel_size=1)
        self.branch7x7_2 = conv_block(c7, c7, **row)
        self.branch7x7_3 = conv_block(c7, 192, **column)
        self.branch7x7dbl_1 = conv_block(in_channels, c7, kernel_size=1)
        self.branch7x7dbl_2 = conv_block(c7, c7, **column)
        self.branch7x7dbl_3 = conv_block(c7, c7, **row)
        self.branch7x7dbl_4 = conv_block(c7, c7, **column)
        self.branch7x7dbl_5 = conv_block(c7, 192, **row)
        self.branch_pool = conv_block(in_channels, 192, kernel_size=1)

    def forward(self, x: Symbol) -> Symbol:
        """Return the concatenated outputs of the branches."""
        branch7x7 = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        branch7x7dbl = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        branch7x7dbl = self.branch7x7dbl_5(self.branch7x7dbl_4(branch7x7dbl))
        pooled = nn.functional.avg_pool2d(x, kernel_size=3, stride=1, padding=1)
        return rvision.cat([self.branch1x1(x), branch7x7, branch7x7dbl, self.branch_pool(pooled)], 1)


class InceptionD(nn.Module):
    """3x3, 7x7 and a pool, all to half the size: (N, in_channels, H, W) to (N, in_channels + 512, ., .).

    Parameters
    ----------
    in_channels, conv_block
        As of `InceptionA`.
    """

    def __init__(self, in_channels: int, conv_block: _ConvBlock = None) -> None:
        super().__init__()
        conv_block = conv_block or BasicConv2d
        self.branch3x3_1 = conv_block(in_channels, 192, kernel_size=1)
        self.branch3x3_2 = conv_block(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = conv_block(in_channels, 192, kernel_size=1)
        self.branch7x7x3_2 = conv_block(192, 192, kernel_size=(1, 7), padding=(0, 3))
        self.branch7x7x3_3 = conv_block(192, 192, kernel_size=(7, 1), padding=(3, 0))
        self.branch7x7x3_4 = conv_block(192, 192, kernel_size=3, stride=2)

    def forward(self, x: Symbol) -> Symbol:
        """Return the concatenated outputs of the branches."""
        branch3x3 = self.branch3x3_2(self.branch3x3_1(x))
        branch7x7x3 = self.branch7x7x3_2(self.branch7x7x3_1(x))
        branch7x7x3 = self.branch7x7x3_4(self.branch7x7x3_3(branch7x7x3))
        pooled = nn.functional.max_pool2d(x, kernel_size=3, stride=2)
        return rvision.cat([branch3x3, branch7x7x3, pooled], 1)


class InceptionE(nn.Module):
    """1x1, 3x3 and two 3x3 ending in parallel 1x3 and 3x1, a pool: (N, in_channels, H, W) to (N, 2048, H, W).

    Parameters
    ----------
    in_channels, conv_block
        As of `InceptionA`.
    """

    def __init__(self, in_channels: int, conv_block: _ConvBlock = None) -> None:
        super().__init__()
        conv_block = conv_block or BasicConv2d
        row = {"kernel_size": (1, 3), "padding": (0, 1)}
        column = {"kernel_size": (3, 1), "padding": (1, 0)}
        self.branch1x1 = conv_block(in_channels, 320, kernel_size=1)
        self.branch3x3_1 = conv_block(in_channels, 384, kernel_size=1)
        self.branch3x3_2a = conv_block(384, 384, **row)
        self.branch3x3_2b = conv_block(384, 384, **column)
        self.branch3x3dbl_1 = conv_block(in_channels, 448, kernel_size=1)
        self.branch3x3dbl_2 = conv_block(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = conv_block(384, 384, **row)
        self.branch3x3dbl_3b = conv_block(384, 384, **column)
        self.branch_pool = conv_block(in_channels, 192, kernel_size=1)

    def forward(self, x: Symbol) -> Symbol:
        """Return the concatenated outputs of the branches."""
        branch3x3 = self.branch3x3_1(x)
        branch3x3 = rvision.cat([self.branch3x3_2a(branch3x3), self.branch3x3_2b(branch3x3)], 1)
        branch3x3dbl = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        branch3x3dbl = rvision.cat(
            [self.branch3x3dbl_3a(branch3x3dbl), self.branch3x3dbl_3b(branch3x3dbl)], 1
        )
        pooled = nn.functional.avg_pool2d(x, kernel_size=3, stride=1, padding=1)
        return rvision.cat([self.branch1x1(x), branch3x3, branch3x3dbl, self.branch_pool(pooled)], 1)


class InceptionAux(nn.Module):
    """A classifier inside the network, for training: (N, in_channels, H, W) to (N, num_classes)."""

    def __init__(self, in_channels: int, num_classes: int, conv_block: _ConvBlock = None) -> None:
        super().__init__()
        conv_block = conv_block or BasicConv2d
        self.conv0 = conv_block(in_channels, 128, kernel_size=1)
        self.conv1 = conv_block(128, 768, kernel_size=5)
        self.fc = nn.Linear(768, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = nn.functional.avg_pool2d(x, kernel_size=5, stride=3)
        x = self.conv1(self.conv0(x))
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1))
        return self.fc(x.flatten(1))


class Inception3(nn.Module):
    """Inception v3: (N, 3, H, W) of 75x75 and more, best 299x299, to (N, num_classes).

    The result is always the logits alone, as in torchvision's eval mode. Without the auxiliary
    head, a state dict's values for it are ignored.

    Parameters
    ----------
    num_classes : int
        Outputs.
    aux_logits : bool
        Whether there is an auxiliary head, `AuxLogits`. It is for training and is not run.
    transform_input : bool
        Whether inputs have torchvision's normalisation and are first converted to -1 .. 1. On by
        default with published weights.
    inception_blocks : sequence of callable, optional
        Make the convolutions, the blocks A to E and the auxiliary head; by default `BasicConv2d`,
        `InceptionA` to `InceptionE` and `InceptionAux`.
    init_weights : bool, optional
        Accepted for compatibility with torchvision: it selects an initialisation for training.
    dropout : float
        Probability of the dropout, which does nothing at inference.

    Raises
    ------
    ValueError
        If `inception_blocks` does not have seven values.
    """

    _spatial = True

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        inception_blocks: Sequence[Callable[..., nn.Module]] | None = None,
        init_weights: bool | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if inception_blocks is None:
            inception_blocks = [
                BasicConv2d,
                InceptionA,
                InceptionB,
                InceptionC,
                InceptionD,
                InceptionE,
                InceptionAux,
            ]
        if len(inception_blocks) != 7:
            raise ValueError(
                "inception_blocks needs seven values (convolution, A to E, head), "
                f"got {len(inception_blocks)}"
            )
        conv_block, block_a, block_b, block_c, block_d, block_e, aux_block = inception_blocks
        self.aux_logits = aux_logits
        self.transform_input = transform_input

        self.Conv2d_1a_3x3 = conv_block(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv_block(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv_block(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Conv2d_3b_1x1 = conv_block(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv_block(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Mixed_5b = block_a(192, pool_features=32)
        self.Mixed_5c = block_a(256, pool_features=64)
        self.Mixed_5d = block_a(288, pool_features=64)
        self.Mixed_6a = block_b(288)
        self.Mixed_6b = block_c(768, channels_7x7=128)
        self.Mixed_6c = block_c(768, channels_7x7=160)
        self.Mixed_6d = block_c(768, channels_7x7=160)
        self.Mixed_6e = block_c(768, channels_7x7=192)
        self.AuxLogits = aux_block(768, num_classes) if aux_logits else None
        self.Mixed_7a = block_d(768)
        self.Mixed_7b = block_e(1280)
        self.Mixed_7c = block_e(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(2048, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        if self.transform_input:
            x = transform_input(x)
        x = self.Conv2d_1a_3x3(x)
        x = self.Conv2d_2a_3x3(x)
        x = self.Conv2d_2b_3x3(x)
        x = self.maxpool1(x)
        x = self.Conv2d_3b_1x1(x)
        x = self.Conv2d_4a_3x3(x)
        x = self.maxpool2(x)
        x = self.Mixed_5b(x)
        x = self.Mixed_5c(x)
        x = self.Mixed_5d(x)
        x = self.Mixed_6a(x)
        x = self.Mixed_6b(x)
        x = self.Mixed_6c(x)
        x = self.Mixed_6d(x)
        x = self.Mixed_6e(x)
        x = self.Mixed_7a(x)
        x = self.Mixed_7b(x)
        x = self.Mixed_7c(x)
        x = self.avgpool(x)
        x = self.dropout(x)
        x = x.flatten(1)
        return self.fc(x)

    def _upgrade_state_dict(self, state: dict[str, Any], prefix: str, metadata: Mapping[str, Any]) -> None:
        if self.AuxLogits is None:
            for key in [key for key in state if key.startswith(f"{prefix}AuxLogits.")]:
                del state[key]


def _auxiliary(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Omit an auxiliary head that a file lacks or has with other classes: it never runs."""
    classes = {shapes.get(f"{layer}.weight", (0,))[0] for layer in ("AuxLogits.fc", "fc")}
    return {} if len(classes) == 1 else {"aux_logits": False}


@model_builder(Inception_V3_Weights, defaults={"transform_input": True}, from_state=_auxiliary)
def inception_v3(**kwargs: Any) -> Inception3:
    """Inception v3 of "Rethinking the Inception Architecture for Computer Vision" (arXiv:1512.00567).

    By default, published weights enable `transform_input`.
    """
    return Inception3(**kwargs)
