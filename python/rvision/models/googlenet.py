"""GoogLeNet (Inception v1).

Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich: "Going Deeper with Convolutions"
(arXiv:1409.4842), with batch norms. Names as in `torchvision.models.googlenet`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import rvision
from rvision import nn
from rvision.models._api import model_builder
from rvision.weights import GoogLeNet_Weights

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["GoogLeNet", "GoogLeNet_Weights", "googlenet"]

# From torchvision's means and deviations to those of the published weights, 0.5 and 0.5.
_FACTORS = (0.229 / 0.5, 0.224 / 0.5, 0.225 / 0.5)
_OFFSETS = ((0.485 - 0.5) / 0.5, (0.456 - 0.5) / 0.5, (0.406 - 0.5) / 0.5)


class BasicConv2d(nn.Module):
    """A convolution without bias, a batch norm, a ReLU: (N, in_channels, H, W) to (N, out_channels, ., .).

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    **kwargs
        The convolution's.
    """

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        return nn.functional.relu(self.bn(self.conv(x)))


def transform_input(x: Symbol) -> Symbol:
    """Convert pictures (N, 3, H, W) from the normalisation of torchvision's presets to -1 .. 1."""
    channels = [x[:, i : i + 1] * _FACTORS[i] + _OFFSETS[i] for i in range(3)]
    return rvision.cat(channels, 1)


class Inception(nn.Module):
    """Four concatenated branches: (N, in_channels, H, W) to (N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W).

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    ch1x1, ch3x3, ch5x5, pool_proj : int
        Channels of the four branches. Despite its name the third has a 3x3 kernel, as in
        torchvision, whose weights were trained with it.
    ch3x3red, ch5x5red : int
        Channels to which the second and third branch are first reduced.
    conv_block : callable, optional
        Makes a convolution with its norm and activation, `BasicConv2d` by default.
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
        conv_block: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        conv_block = conv_block or BasicConv2d
        self.branch1 = conv_block(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            conv_block(in_channels, ch3x3red, kernel_size=1),
            conv_block(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            conv_block(in_channels, ch5x5red, kernel_size=1),
            conv_block(ch5x5red, ch5x5, kernel_size=3, padding=1),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True),
            conv_block(in_channels, pool_proj, kernel_size=1),
        )

    def forward(self, x: Symbol) -> Symbol:
        """Return the concatenated outputs of the branches."""
        return rvision.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(nn.Module):
    """A classifier inside the network, for training: (N, in_channels, H, W) to (N, num_classes)."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        conv_block: Callable[..., nn.Module] | None = None,
        dropout: float = 0.7,
    ) -> None:
        super().__init__()
        conv_block = conv_block or BasicConv2d
        self.conv = conv_block(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = nn.functional.adaptive_avg_pool2d(x, (4, 4))
        x = self.conv(x)
        x = x.flatten(1)
        x = nn.functional.relu(self.fc1(x))
        x = self.dropout(x)
        return self.fc2(x)


class GoogLeNet(nn.Module):
    """GoogLeNet: (N, 3, H, W) of 15x15 and more to (N, num_classes).

    The result is always the logits alone, as in torchvision's eval mode. Without auxiliary heads, a
    state dict's values for them are ignored.

    Parameters
    ----------
    num_classes : int
        Outputs.
    aux_logits : bool
        Whether there are auxiliary heads, `aux1` and `aux2`. They are for training and are not run.
    transform_input : bool
        Whether inputs have torchvision's normalisation and are first converted to -1 .. 1. On by
        default with published weights.
    init_weights : bool, optional
        Accepted for compatibility with torchvision: it selects an initialisation for training.
    blocks : sequence of callable, optional
        Make the convolutions, the blocks and the auxiliary heads; by default `BasicConv2d`, `Inception` and
        `InceptionAux`.
    dropout, dropout_aux : float
        Probabilities of the dropouts, which do nothing at inference.

    Raises
    ------
    ValueError
        If `blocks` does not have three values.
    """

    _spatial = True

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool | None = None,
        blocks: Sequence[Callable[..., nn.Module]] | None = None,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        blocks = [BasicConv2d, Inception, InceptionAux] if blocks is None else blocks
        if len(blocks) != 3:
            raise ValueError(f"blocks needs three values (convolution, block, head), got {len(blocks)}")
        conv_block, inception_block, aux_block = blocks
        self.aux_logits = aux_logits
        self.transform_input = transform_input

        self.conv1 = conv_block(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = conv_block(64, 64, kernel_size=1)
        self.conv3 = conv_block(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)

        self.inception3a = inception_block(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = inception_block(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)

        self.inception4a = inception_block(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = inception_block(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = inception_block(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = inception_block(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = inception_block(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)

        self.inception5a = inception_block(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = inception_block(832, 384, 192, 384, 48, 128, 128)

        self.aux1 = aux_block(512, num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2 = aux_block(528, num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(1024, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        if self.transform_input:
            x = transform_input(x)
        x = self.conv1(x)
        x = self.maxpool1(x)
        x = self.conv2(x)
        x = self.conv3(x)
        x = self.maxpool2(x)

        x = self.inception3a(x)
        x = self.inception3b(x)
        x = self.maxpool3(x)

        x = self.inception4a(x)
        x = self.inception4b(x)
        x = self.inception4c(x)
        x = self.inception4d(x)
        x = self.inception4e(x)
        x = self.maxpool4(x)

        x = self.inception5a(x)
        x = self.inception5b(x)

        x = self.avgpool(x)
        x = x.flatten(1)
        x = self.dropout(x)
        return self.fc(x)

    def _upgrade_state_dict(self, state: dict[str, Any], prefix: str, metadata: Mapping[str, Any]) -> None:
        for head in ("aux1", "aux2"):
            if getattr(self, head) is None:
                for key in [key for key in state if key.startswith(f"{prefix}{head}.")]:
                    del state[key]


def _auxiliaries(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Omit auxiliary heads that a file lacks or has with other classes: they never run."""
    classes = {shapes.get(f"{layer}.weight", (0,))[0] for layer in ("aux1.fc2", "aux2.fc2", "fc")}
    return {} if len(classes) == 1 else {"aux_logits": False}


@model_builder(
    GoogLeNet_Weights, defaults={"transform_input": True, "aux_logits": False}, from_state=_auxiliaries
)
def googlenet(**kwargs: Any) -> GoogLeNet:
    """GoogLeNet of "Going Deeper with Convolutions" (arXiv:1409.4842).

    By default, published weights enable `transform_input` and omit the auxiliary heads.
    """
    return GoogLeNet(**kwargs)
