"""MaxViT.

Tu, Talebi, Zhang, Yang, Milanfar, Bovik, Li: "MaxViT: Multi-Axis Vision Transformer" (arXiv:2204.01697).
Names as in `torchvision.models.maxvit`.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision import nn
from rvision.errors import ShapeError
from rvision.models._api import model_builder
from rvision.models._utils import _relative_position_index
from rvision.nn import functional as F
from rvision.nn.parameter import Drawn
from rvision.ops import Conv2dNormActivation, SqueezeExcitation, StochasticDepth
from rvision.weights import MaxVit_T_Weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rvision.nn import Symbol

__all__ = ["MaxVit", "MaxVit_T_Weights", "maxvit_t"]


def _halved(size: Sequence[int]) -> tuple[int, int]:
    """Return a map's size after a 3x3 convolution of stride 2 with padding 1."""
    return (size[0] - 1) // 2 + 1, (size[1] - 1) // 2 + 1


class MBConv(nn.Module):
    """Expand by 1x1, depthwise convolution, squeeze and excite, project by 1x1.

    (N, in_channels, H, W) to (N, out_channels, H/stride, W/stride); the input is added, pooled and
    projected as necessary.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    expansion_ratio, squeeze_ratio : float
        Channels inside, and inside the squeeze-and-excitation, in multiples of `out_channels`.
    stride : int
        The depthwise convolution's, 1 or 2.
    activation_layer : callable
        Makes an activation.
    norm_layer : callable
        Makes a normalisation from a channel count.
    p_stochastic_dropout : float
        Probability with which training drops the branch.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        expansion_ratio: float,
        squeeze_ratio: float,
        stride: int,
        activation_layer: Callable[..., nn.Module],
        norm_layer: Callable[..., nn.Module],
        p_stochastic_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.proj: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            proj: list[nn.Module] = [nn.Conv2d(in_channels, out_channels, kernel_size=1)]
            if stride == 2:
                proj.insert(0, nn.AvgPool2d(kernel_size=3, stride=2, padding=1))
            self.proj = nn.Sequential(*proj)
        mid_channels = int(out_channels * expansion_ratio)
        squeezed = int(out_channels * squeeze_ratio)
        self.stochastic_depth: nn.Module = nn.Identity()
        if p_stochastic_dropout:
            self.stochastic_depth = StochasticDepth(p_stochastic_dropout, mode="row")
        block = partial(
            Conv2dNormActivation, activation_layer=activation_layer, norm_layer=norm_layer, inplace=None
        )
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["pre_norm"] = norm_layer(in_channels)
        layers["conv_a"] = block(in_channels, mid_channels, kernel_size=1)
        layers["conv_b"] = block(
            mid_channels, mid_channels, kernel_size=3, stride=stride, groups=mid_channels
        )
        layers["squeeze_excitation"] = SqueezeExcitation(mid_channels, squeezed, activation=nn.SiLU)
        layers["conv_c"] = nn.Conv2d(mid_channels, out_channels, kernel_size=1)
        self.layers = nn.Sequential(layers)

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        return self.proj(x) + self.stochastic_depth(self.layers(x))


class RelativePositionalMultiHeadAttention(nn.Module):
    """Attention among the pixels of each group, (N, groups, pixels, feat_dim) to the same shape.

    Parameters
    ----------
    feat_dim : int
        Channels.
    head_dim : int
        Channels of a head, a divisor of `feat_dim`.
    max_seq_len : int
        Pixels of a group, a square.

    Raises
    ------
    ValueError
        If `head_dim` is not a divisor.
    """

    def __init__(self, feat_dim: int, head_dim: int, max_seq_len: int) -> None:
        super().__init__()
        if feat_dim % head_dim != 0:
            raise ValueError(f"feat_dim: {feat_dim} must be divisible by head_dim: {head_dim}")
        self.n_heads = feat_dim // head_dim
        self.head_dim = head_dim
        self.size = math.isqrt(max_seq_len)
        self.max_seq_len = max_seq_len
        self.to_qkv = nn.Linear(feat_dim, self.n_heads * head_dim * 3)
        # Of all channels, not of a head's as in the paper: trained weights rely on it.
        self.scale_factor = feat_dim**-0.5
        self.merge = nn.Linear(head_dim * self.n_heads, feat_dim)
        # Deviation 0.02: a uniform distribution of variance 2 / fan_in.
        table = Drawn(((2 * self.size - 1) ** 2, self.n_heads), fan_in=5000)
        self.register_parameter("relative_position_bias_table", table)
        self.register_buffer("relative_position_index", _relative_position_index(self.size, self.size))

    def get_relative_positional_bias(self) -> NDArray[np.float32]:
        """Return the bias of each pair of pixels, (1, heads, pixels, pixels)."""
        bias = self.relative_position_bias_table.data[self.relative_position_index.ravel()]
        bias = bias.reshape(self.max_seq_len, self.max_seq_len, self.n_heads)
        return np.ascontiguousarray(bias.transpose(2, 0, 1)[None])

    def forward(self, x: Symbol) -> Symbol:
        """Return the attended groups."""
        qkv = self.to_qkv(x).unflatten(-1, (3, self.n_heads, self.head_dim)).permute(3, 0, 1, 4, 2, 5)
        query, key, value = qkv.unbind(0)
        x = F.scaled_dot_product_attention(
            query, key, value, attn_mask=self.get_relative_positional_bias(), scale=self.scale_factor
        )
        return self.merge(x.transpose(2, 3).flatten(3))


class SwapAxes(nn.Module):
    """Exchange the dimensions `a` and `b`."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.a = a
        self.b = b

    def forward(self, x: Symbol) -> Symbol:
        """Return `x` with the two exchanged."""
        return x.transpose(self.a, self.b)


class WindowPartition(nn.Module):
    """Cut (N, C, H, W) into windows of p x p pixels: (N, H/p * W/p, p * p, C)."""

    def forward(self, x: Symbol, p: int) -> Symbol:
        """Return the windows."""
        x = x.unflatten(3, (-1, p)).unflatten(2, (-1, p))
        return x.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(1, 2)


class WindowDepartition(nn.Module):
    """Join windows (N, rows * columns, p * p, C) to a map: (N, C, rows * p, columns * p)."""

    def forward(self, x: Symbol, p: int, h_partitions: int, w_partitions: int) -> Symbol:
        """Return the map."""
        x = x.unflatten(2, (p, p)).unflatten(1, (h_partitions, w_partitions))
        return x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


class PartitionAttentionLayer(nn.Module):
    """Attention in windows or on grids, then an MLP for each pixel: (N, C, H, W) to the same shape.

    Parameters
    ----------
    in_channels, head_dim : int
        Channels, and channels of a head.
    partition_size : int
        Height and width of a window, or of a grid's pixels.
    partition_type : {"grid", "window"}
        Whether a group is a window, or pixels evenly spread over the map.
    grid_size : tuple of int
        H and W, multiples of `partition_size`.
    mlp_ratio : int
        Channels inside the MLP, in multiples of `in_channels`.
    activation_layer : callable
        Makes an activation.
    norm_layer : callable
        Makes a normalisation from a channel count.
    attention_dropout, mlp_dropout : float
        Probabilities of dropouts, which do nothing at inference.
    p_stochastic_dropout : float
        Probability with which training drops a branch.

    Raises
    ------
    ValueError
        If `partition_type` is neither of the two.
    ShapeError
        On a call, if the map's size is not `grid_size` or not divisible.
    """

    def __init__(
        self,
        in_channels: int,
        head_dim: int,
        partition_size: int,
        partition_type: str,
        grid_size: tuple[int, int],
        mlp_ratio: int,
        activation_layer: Callable[..., nn.Module],
        norm_layer: Callable[..., nn.Module],
        attention_dropout: float,
        mlp_dropout: float,
        p_stochastic_dropout: float,
    ) -> None:
        super().__init__()
        if partition_type not in ("grid", "window"):
            raise ValueError(f"partition_type must be either 'grid' or 'window', got {partition_type!r}")
        self.n_heads = in_channels // head_dim
        self.head_dim = head_dim
        self.n_partitions = grid_size[0] // partition_size
        self.partition_type = partition_type
        self.grid_size = grid_size
        grid = partition_type == "grid"
        self.p, self.g = (self.n_partitions, partition_size) if grid else (partition_size, self.n_partitions)
        self.partition_op = WindowPartition()
        self.departition_op = WindowDepartition()
        self.partition_swap = SwapAxes(-2, -3) if grid else nn.Identity()
        self.departition_swap = SwapAxes(-2, -3) if grid else nn.Identity()
        self.attn_layer = nn.Sequential(
            norm_layer(in_channels),
            RelativePositionalMultiHeadAttention(in_channels, head_dim, partition_size**2),
            nn.Dropout(attention_dropout),
        )
        self.mlp_layer = nn.Sequential(
            nn.LayerNorm(in_channels),
            nn.Linear(in_channels, in_channels * mlp_ratio),
            activation_layer(),
            nn.Linear(in_channels * mlp_ratio, in_channels),
            nn.Dropout(mlp_dropout),
        )
        self.stochastic_dropout = StochasticDepth(p_stochastic_dropout, mode="row")

    def forward(self, x: Symbol) -> Symbol:
        """Return the layer's output."""
        found = x.shape[2:]
        if found != tuple(self.grid_size) or found[0] % self.p or found[1] % self.p:
            raise ShapeError(
                f"{type(self).__name__}: a map of {self.grid_size[0]} x {self.grid_size[1]}, a multiple of "
                f"{self.p}, expected, got {found[0]} x {found[1]}; resize the pictures, or make the network "
                "with another input_size"
            )
        rows, columns = found[0] // self.p, found[1] // self.p
        x = self.partition_swap(self.partition_op(x, self.p))
        x = x + self.stochastic_dropout(self.attn_layer(x))
        x = x + self.stochastic_dropout(self.mlp_layer(x))
        return self.departition_op(self.departition_swap(x), self.p, rows, columns)


class MaxVitLayer(nn.Module):
    """An MBConv, attention in windows, attention on grids.

    The arguments are those of `MBConv` and `PartitionAttentionLayer`; `norm_layer` is the MBConv's,
    `grid_size` the map's size after it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        squeeze_ratio: float,
        expansion_ratio: float,
        stride: int,
        norm_layer: Callable[..., nn.Module],
        activation_layer: Callable[..., nn.Module],
        head_dim: int,
        mlp_ratio: int,
        mlp_dropout: float,
        attention_dropout: float,
        p_stochastic_dropout: float,
        partition_size: int,
        grid_size: tuple[int, int],
    ) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["MBconv"] = MBConv(
            in_channels,
            out_channels,
            expansion_ratio,
            squeeze_ratio,
            stride,
            activation_layer,
            norm_layer,
            p_stochastic_dropout,
        )
        for kind in ("window", "grid"):
            layers[f"{kind}_attention"] = PartitionAttentionLayer(
                out_channels,
                head_dim,
                partition_size,
                kind,
                grid_size,
                mlp_ratio,
                activation_layer,
                nn.LayerNorm,
                attention_dropout,
                mlp_dropout,
                p_stochastic_dropout,
            )
        self.layers = nn.Sequential(layers)

    def forward(self, x: Symbol) -> Symbol:
        """Return the layer's output."""
        return self.layers(x)


class MaxVitBlock(nn.Module):
    """`n_layers` layers, the first of which halves the map.

    The other arguments are those of `MaxVitLayer`, except `input_grid_size`, the size of the
    input's map, and `p_stochastic`, a probability for each layer.

    Raises
    ------
    ValueError
        If the length of `p_stochastic` is not `n_layers`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        squeeze_ratio: float,
        expansion_ratio: float,
        norm_layer: Callable[..., nn.Module],
        activation_layer: Callable[..., nn.Module],
        head_dim: int,
        mlp_ratio: int,
        mlp_dropout: float,
        attention_dropout: float,
        partition_size: int,
        input_grid_size: tuple[int, int],
        n_layers: int,
        p_stochastic: Sequence[float],
    ) -> None:
        super().__init__()
        if len(p_stochastic) != n_layers:
            raise ValueError(
                f"p_stochastic must have length n_layers={n_layers}, got p_stochastic={p_stochastic}."
            )
        self.grid_size = _halved(input_grid_size)
        self.layers = nn.ModuleList(
            MaxVitLayer(
                in_channels=out_channels if i else in_channels,
                out_channels=out_channels,
                squeeze_ratio=squeeze_ratio,
                expansion_ratio=expansion_ratio,
                stride=1 if i else 2,
                norm_layer=norm_layer,
                activation_layer=activation_layer,
                head_dim=head_dim,
                mlp_ratio=mlp_ratio,
                mlp_dropout=mlp_dropout,
                attention_dropout=attention_dropout,
                p_stochastic_dropout=p,
                partition_size=partition_size,
                grid_size=self.grid_size,
            )
            for i, p in enumerate(p_stochastic)
        )

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        for layer in self.layers:
            x = layer(x)
        return x


class MaxVit(nn.Module):
    """MaxViT: (N, 3, *input_size) to (N, num_classes).

    Parameters
    ----------
    input_size : tuple of int
        Height and width of the pictures. Height and width of every block's map must be multiples of
        `partition_size`.
    stem_channels : int
        Channels of the stem.
    partition_size : int
        Height and width of a window and of a grid's pixels.
    block_channels, block_layers : sequence of int
        Channels and layers of each block.
    head_dim : int
        Channels of a head of the attention.
    stochastic_depth_prob : float
        Probability with which training drops the last layer; it grows from 0 at the first.
    norm_layer : callable, optional
        Makes the normalisations of the convolutions from a channel count; `BatchNorm2d` with eps 1e-3 by
        default.
    activation_layer : callable
        Makes an activation.
    squeeze_ratio, expansion_ratio : float
        As in `MBConv`.
    mlp_ratio : int
        Channels inside the MLPs, in multiples of those outside.
    mlp_dropout, attention_dropout : float
        Probabilities of dropouts, which do nothing at inference.
    num_classes : int
        Outputs.

    Raises
    ------
    ValueError
        If a map's size is not a multiple of `partition_size`.
    ShapeError
        On a call, for pictures of another size.
    """

    def __init__(
        self,
        input_size: tuple[int, int],
        stem_channels: int,
        partition_size: int,
        block_channels: Sequence[int],
        block_layers: Sequence[int],
        head_dim: int,
        stochastic_depth_prob: float,
        norm_layer: Callable[..., nn.Module] | None = None,
        activation_layer: Callable[..., nn.Module] = nn.GELU,
        squeeze_ratio: float = 0.25,
        expansion_ratio: float = 4,
        mlp_ratio: int = 4,
        mlp_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
        self.stem = nn.Sequential(
            Conv2dNormActivation(
                3,
                stem_channels,
                stride=2,
                norm_layer=norm_layer,
                activation_layer=activation_layer,
                bias=False,
                inplace=None,
            ),
            Conv2dNormActivation(
                stem_channels, stem_channels, norm_layer=None, activation_layer=None, bias=True
            ),
        )
        self.partition_size = partition_size
        self.blocks = nn.ModuleList()
        channels, size = stem_channels, _halved(input_size)
        p_stochastic = np.linspace(0, stochastic_depth_prob, sum(block_layers)).tolist()
        for index, (out_channels, n_layers) in enumerate(zip(block_channels, block_layers, strict=True)):
            grid = _halved(size)
            if grid[0] % partition_size or grid[1] % partition_size:
                raise ValueError(
                    f"Input size {grid} of block {index} is not divisible by partition size "
                    f"{partition_size}. Consider changing the partition size or the input size."
                )
            block = MaxVitBlock(
                in_channels=channels,
                out_channels=out_channels,
                squeeze_ratio=squeeze_ratio,
                expansion_ratio=expansion_ratio,
                norm_layer=norm_layer,
                activation_layer=activation_layer,
                head_dim=head_dim,
                mlp_ratio=mlp_ratio,
                mlp_dropout=mlp_dropout,
                attention_dropout=attention_dropout,
                partition_size=partition_size,
                input_grid_size=size,
                n_layers=n_layers,
                p_stochastic=p_stochastic[:n_layers],
            )
            self.blocks.append(block)
            p_stochastic = p_stochastic[n_layers:]
            channels, size = out_channels, block.grid_size
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.LayerNorm(channels),
            nn.Linear(channels, channels),
            nn.Tanh(),
            nn.Linear(channels, num_classes, bias=False),
        )

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.classifier(x)


def _input_size(meta: dict[str, Any]) -> dict[str, Any]:
    return {"input_size": tuple(meta["min_size"])}


@model_builder(MaxVit_T_Weights, forced=_input_size)
def maxvit_t(**kwargs: Any) -> MaxVit:
    """MaxViT-T of "MaxViT: Multi-Axis Vision Transformer" (arXiv:2204.01697)."""
    kwargs.setdefault("input_size", (224, 224))
    return MaxVit(
        stem_channels=64,
        block_channels=[64, 128, 256, 512],
        block_layers=[2, 2, 5, 2],
        head_dim=32,
        stochastic_depth_prob=0.2,
        partition_size=7,
        **kwargs,
    )
