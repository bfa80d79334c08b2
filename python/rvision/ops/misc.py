"""Blocks of convolutions and activations (`torchvision.ops.misc`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rvision import nn

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["MLP", "Conv2dNormActivation", "Permute", "SqueezeExcitation"]


class Conv2dNormActivation(nn.Sequential):
    """A convolution, then a normalisation, then an activation (`torchvision.ops.Conv2dNormActivation`).

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input (N, in_channels, H, W) and of the output.
    kernel_size, stride, dilation, groups
        The convolution's.
    padding : int, tuple or str, optional
        The convolution's; by default it keeps the size at stride 1 for an odd kernel.
    norm_layer : callable or None
        Makes the normalisation from a channel count. None omits it.
    activation_layer : callable or None
        Makes the activation. None omits it.
    inplace : bool or None
        Passed to `activation_layer`, unless None. It only affects `print(model)` here.
    bias : bool, optional
        Whether the convolution has a bias; by default only if no normalisation follows, which has
        its own.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str | None = None,
        groups: int = 1,
        norm_layer: Callable[..., nn.Module] | None = nn.BatchNorm2d,
        activation_layer: Callable[..., nn.Module] | None = nn.ReLU,
        dilation: int | tuple[int, int] = 1,
        inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:
        if padding is None:
            kernel, spacing = _pair(kernel_size), _pair(dilation)
            padding = ((kernel[0] - 1) // 2 * spacing[0], (kernel[1] - 1) // 2 * spacing[1])
        layers: list[nn.Module] = [
            nn.Conv2d(
                in_channels,
                out_channels,
                kernel_size,
                stride,
                padding,
                dilation=dilation,
                groups=groups,
                bias=norm_layer is None if bias is None else bias,
            )
        ]
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer() if inplace is None else activation_layer(inplace=inplace))
        super().__init__(*layers)
        self.out_channels = out_channels


class SqueezeExcitation(nn.Module):
    """Scales each channel by a factor computed from all channels' means: `torchvision.ops.SqueezeExcitation`.

    Hu, Shen, Sun: "Squeeze-and-Excitation Networks" (arXiv:1709.01507), figure 1. (N, input_channels, H, W)
    to the same shape.

    Parameters
    ----------
    input_channels, squeeze_channels : int
        Channels of the input, and between the two 1x1 convolutions.
    activation : callable
        Makes the activation between them.
    scale_activation : callable
        Makes the activation that computes the factors.
    """

    def __init__(
        self,
        input_channels: int,
        squeeze_channels: int,
        activation: Callable[..., nn.Module] = nn.ReLU,
        scale_activation: Callable[..., nn.Module] = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, input: Symbol) -> Symbol:
        """Return the scaled `input`."""
        scale = self.fc2(self.activation(self.fc1(self.avgpool(input))))
        return self.scale_activation(scale) * input


class MLP(nn.Sequential):
    """Fully connected layers, (..., in_channels) to (..., hidden_channels[-1]): `torchvision.ops.MLP`.

    Each layer but the last is followed by a normalisation, an activation and a dropout; the last by
    a dropout.

    Parameters
    ----------
    in_channels : int
        Features of the input.
    hidden_channels : sequence of int
        Output features of each layer.
    norm_layer : callable, optional
        Makes a normalisation from a feature count. None omits it.
    activation_layer : callable
        Makes an activation.
    inplace : bool, optional
        Passed to `activation_layer` and the dropouts, unless None. It only affects `print(model)`
        here.
    bias : bool
        Whether the layers have biases.
    dropout : float
        Probability of the dropouts, which do nothing at inference.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: Sequence[int],
        norm_layer: Callable[..., nn.Module] | None = None,
        activation_layer: Callable[..., nn.Module] = nn.ReLU,
        inplace: bool | None = None,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        named = {} if inplace is None else {"inplace": inplace}
        layers: list[nn.Module] = []
        *inner, last = hidden_channels
        for channels in inner:
            layers.append(nn.Linear(in_channels, channels, bias=bias))
            if norm_layer is not None:
                layers.append(norm_layer(channels))
            layers += [activation_layer(**named), nn.Dropout(dropout, **named)]
            in_channels = channels
        layers += [nn.Linear(in_channels, last, bias=bias), nn.Dropout(dropout, **named)]
        super().__init__(*layers)


class Permute(nn.Module):
    """Reorders the dimensions: `torchvision.ops.Permute`.

    Parameters
    ----------
    dims : sequence of int
        For each dimension of the output, the input's dimension.
    """

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Symbol) -> Symbol:
        """Return `x` with its dimensions permuted."""
        return x.permute(*self.dims)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
