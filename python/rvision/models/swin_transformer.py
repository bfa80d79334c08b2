"""Swin transformers, both versions.

Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo: "Swin Transformer: Hierarchical Vision Transformer using Shifted
Windows" (arXiv:2103.14030); Liu et al.: "Swin Transformer V2: Scaling Up Capacity and Resolution"
(arXiv:2111.09883). Names as in `torchvision.models.swin_transformer`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import rvision
from rvision import nn
from rvision.models._api import model_builder
from rvision.models._utils import _relative_position_index
from rvision.nn import functional as F
from rvision.nn.parameter import Drawn
from rvision.ops import MLP, Permute, StochasticDepth
from rvision.weights import (
    Swin_B_Weights,
    Swin_S_Weights,
    Swin_T_Weights,
    Swin_V2_B_Weights,
    Swin_V2_S_Weights,
    Swin_V2_T_Weights,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rvision.nn import Symbol

__all__ = [
    "SwinTransformer",
    "Swin_B_Weights",
    "Swin_S_Weights",
    "Swin_T_Weights",
    "Swin_V2_B_Weights",
    "Swin_V2_S_Weights",
    "Swin_V2_T_Weights",
    "swin_b",
    "swin_s",
    "swin_t",
    "swin_v2_b",
    "swin_v2_s",
    "swin_v2_t",
]


# ---- between stages ----


def _quarters(x: Symbol) -> Symbol:
    """Concatenate the pixels of each 2x2 square: (N, H, W, C) to (N, H/2, W/2, 4C), rounded up."""
    h, w = x.shape[1:3]
    if h % 2 or w % 2:
        x = F.pad(x, (0, 0, 0, w % 2, 0, h % 2))
    squares = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
    return rvision.cat(squares, dim=-1)


class PatchMerging(nn.Module):
    """Half the size, twice the channels: (N, H, W, dim) to (N, H/2, W/2, 2 dim), rounded up.

    Parameters
    ----------
    dim : int
        Channels of the input.
    norm_layer : callable
        Makes a normalisation from a channel count.
    """

    def __init__(self, dim: int, norm_layer: Callable[..., nn.Module] = nn.LayerNorm) -> None:
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(4 * dim)

    def forward(self, x: Symbol) -> Symbol:
        """Return the merged pixels."""
        return self.reduction(self.norm(_quarters(x)))


class PatchMergingV2(nn.Module):
    """As `PatchMerging`, with the normalisation after the linear layer."""

    def __init__(self, dim: int, norm_layer: Callable[..., nn.Module] = nn.LayerNorm) -> None:
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(2 * dim)

    def forward(self, x: Symbol) -> Symbol:
        """Return the merged pixels."""
        return self.norm(self.reduction(_quarters(x)))


# ---- attention in windows ----


def _shift_mask(size: tuple[int, int], window: Sequence[int], shift: Sequence[int]) -> NDArray[np.float32]:
    """Return the mask between pixels that only the shift made neighbours: (windows, 1, T, T), 0 or -100."""
    regions = []
    for length, side, step in zip(size, window, shift, strict=True):
        place = np.arange(length)
        moved = (place >= length - side).astype(np.int64) + (place >= length - step)
        regions.append(moved if step else np.zeros(length, np.int64))
    region = 3 * regions[0][:, None] + regions[1]
    rows, columns = size[0] // window[0], size[1] // window[1]
    region = region.reshape(rows, window[0], columns, window[1]).transpose(0, 2, 1, 3)
    region = region.reshape(rows * columns, 1, window[0] * window[1])
    apart = region[..., :, None] != region[..., None, :]
    return np.where(apart, np.float32(-100), np.float32(0))


class ShiftedWindowAttention(nn.Module):
    """Attention among the pixels of each window, (N, H, W, dim) to the same shape.

    The map is padded with zeros to whole windows. Windows may be shifted cyclically; pixels that
    are neighbours only because of the shift do not attend to each other. A dimension with a single
    window is not shifted.

    Parameters
    ----------
    dim : int
        Channels.
    window_size, shift_size : sequence of two int
        Height and width of a window, and of its shift.
    num_heads : int
        Heads, a divisor of `dim`.
    qkv_bias, proj_bias : bool
        Whether the linear layers have biases.
    attention_dropout, dropout : float
        Probabilities of dropouts, which do nothing at inference.

    Raises
    ------
    ValueError
        If `window_size` or `shift_size` are not two numbers.
    """

    def __init__(
        self,
        dim: int,
        window_size: Sequence[int],
        shift_size: Sequence[int],
        num_heads: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(window_size) != 2 or len(shift_size) != 2:
            raise ValueError(
                f"window_size and shift_size must be of length 2, got {window_size} and {shift_size}"
            )
        self.window_size = window_size
        self.shift_size = shift_size
        self.num_heads = num_heads
        self.attention_dropout = attention_dropout
        self.dropout = dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        self.define_relative_position_bias_table()
        self.define_relative_position_index()

    def define_relative_position_bias_table(self) -> None:
        """Add the table in which the bias of a pair of pixels is looked up."""
        height, width = self.window_size
        # Deviation 0.02: a uniform distribution of variance 2 / fan_in.
        offsets = (2 * height - 1) * (2 * width - 1)
        table = Drawn((offsets, self.num_heads), fan_in=5000)
        self.register_parameter("relative_position_bias_table", table)

    def define_relative_position_index(self) -> None:
        """Add the index of each pair of pixels in the table, (T * T,)."""
        self.register_buffer("relative_position_index", _relative_position_index(*self.window_size).ravel())

    def _table(self, x: Symbol) -> NDArray[Any]:
        """Return the bias of each offset and head; `x` is any symbol of the trace."""
        return self.relative_position_bias_table.data

    def _position_bias(self, x: Symbol) -> NDArray[np.float32]:
        """Return the bias of each pair of pixels, (1, num_heads, T, T) with T pixels in a window."""
        pixels = self.window_size[0] * self.window_size[1]
        bias = self._table(x)[self.relative_position_index].reshape(pixels, pixels, self.num_heads)
        return bias.transpose(2, 0, 1)[None].astype(np.float32)

    def _project(self, x: Symbol) -> Symbol:
        """Return queries, keys and values, concatenated."""
        return self.qkv(x)

    def _attend(self, query: Symbol, key: Symbol, value: Symbol, bias: NDArray[np.float32]) -> Symbol:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias)

    def forward(self, x: Symbol) -> Symbol:
        """Return the attended map."""
        n, height, width, channels = x.shape[:]
        side_h, side_w = self.window_size
        rows, columns = -(-height // side_h), -(-width // side_w)
        padded_h, padded_w = rows * side_h, columns * side_w
        # A single window would only be rotated onto itself.
        shift_h = self.shift_size[0] if rows > 1 else 0
        shift_w = self.shift_size[1] if columns > 1 else 0
        shifted = shift_h + shift_w > 0
        bias = self._position_bias(x)
        if shifted:
            bias = bias + _shift_mask((padded_h, padded_w), self.window_size, (shift_h, shift_w))

        if (padded_h, padded_w) != (height, width):
            x = F.pad(x, (0, 0, 0, padded_w - width, 0, padded_h - height))
        if shifted:
            x = rvision.roll(x, (-shift_h, -shift_w), (1, 2))
        x = x.reshape(n, rows, side_h, columns, side_w, channels).permute(0, 1, 3, 2, 4, 5)
        x = x.reshape(n, rows * columns, side_h * side_w, channels)

        qkv = self._project(x)
        heads = (3, self.num_heads, channels // self.num_heads)
        qkv = qkv.reshape(n, rows * columns, side_h * side_w, *heads).permute(3, 0, 1, 4, 2, 5)
        x = self._attend(*qkv.unbind(0), bias)
        x = self.proj(x.transpose(2, 3).flatten(3))

        x = x.reshape(n, rows, columns, side_h, side_w, channels).permute(0, 1, 3, 2, 4, 5)
        x = x.reshape(n, padded_h, padded_w, channels)
        if shifted:
            x = rvision.roll(x, (shift_h, shift_w), (1, 2))
        if (padded_h, padded_w) != (height, width):
            x = x[:, :height, :width]
        return x


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """Cosine attention in windows, with a bias from a small network of the offset; see the second paper.

    The arguments are those of `ShiftedWindowAttention`.
    """

    def __init__(
        self,
        dim: int,
        window_size: Sequence[int],
        shift_size: Sequence[int],
        num_heads: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            dim, window_size, shift_size, num_heads, qkv_bias, proj_bias, attention_dropout, dropout
        )
        self.logit_scale = nn.Parameter(np.full((num_heads, 1, 1), math.log(10), np.float32))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, 512, bias=True), nn.ReLU(inplace=True), nn.Linear(512, num_heads, bias=False)
        )

    def define_relative_position_bias_table(self) -> None:
        """Add the logarithmic offsets, about -1 to 1: (1, 2 height - 1, 2 width - 1, 2)."""
        axes = [np.arange(1 - side, side) * (8 / (side - 1)) for side in self.window_size]
        offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)[None]
        offsets = np.sign(offsets) * np.log2(np.abs(offsets) + 1) / 3
        self.register_buffer("relative_coords_table", offsets.astype(np.float32))

    def _table(self, x: Symbol) -> NDArray[Any]:
        logits = x.tracer.evaluate(self.cpb_mlp, self.relative_coords_table)
        return 16 / (1 + np.exp(-logits.reshape(-1, self.num_heads)))

    def _project(self, x: Symbol) -> Symbol:
        bias = self.qkv.bias
        if bias is not None:
            # Keys have no bias, even if one is stored.
            bias = bias.copy()
            third = bias.size // 3
            bias[third : 2 * third] = 0
        return F.linear(x, self.qkv._constant("weight"), bias)

    def _attend(self, query: Symbol, key: Symbol, value: Symbol, bias: NDArray[np.float32]) -> Symbol:
        scale = np.exp(np.minimum(self.logit_scale.data, np.float32(math.log(100))))
        query = F.normalize(query, dim=-1) * scale
        key = F.normalize(key, dim=-1)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)


class SwinTransformerBlock(nn.Module):
    """Attention in windows, then an MLP for each pixel: (N, H, W, dim) to the same shape.

    Parameters
    ----------
    dim, num_heads, window_size, shift_size, dropout, attention_dropout
        The attention's.
    mlp_ratio : float
        Channels inside the MLP, in multiples of `dim`.
    stochastic_depth_prob : float
        Probability with which training drops a branch.
    norm_layer : callable
        Makes a normalisation from a channel count.
    attn_layer : callable
        Makes the attention.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: Sequence[int],
        shift_size: Sequence[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Callable[..., nn.Module] = nn.LayerNorm,
        attn_layer: Callable[..., nn.Module] = ShiftedWindowAttention,
    ) -> None:
        super().__init__()
        self.norm1 = norm_layer(dim)
        self.attn = attn_layer(
            dim, window_size, shift_size, num_heads, attention_dropout=attention_dropout, dropout=dropout
        )
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.norm2 = norm_layer(dim)
        self.mlp = MLP(
            dim, [int(dim * mlp_ratio), dim], activation_layer=nn.GELU, inplace=None, dropout=dropout
        )

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        x = x + self.stochastic_depth(self.attn(self.norm1(x)))
        return x + self.stochastic_depth(self.mlp(self.norm2(x)))


class SwinTransformerBlockV2(SwinTransformerBlock):
    """As `SwinTransformerBlock`, with the normalisations at the ends of the branches."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: Sequence[int],
        shift_size: Sequence[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Callable[..., nn.Module] = nn.LayerNorm,
        attn_layer: Callable[..., nn.Module] = ShiftedWindowAttentionV2,
    ) -> None:
        super().__init__(
            dim,
            num_heads,
            window_size,
            shift_size,
            mlp_ratio,
            dropout,
            attention_dropout,
            stochastic_depth_prob,
            norm_layer,
            attn_layer,
        )

    def forward(self, x: Symbol) -> Symbol:
        """Return the block's output."""
        x = x + self.stochastic_depth(self.norm1(self.attn(x)))
        return x + self.stochastic_depth(self.norm2(self.mlp(x)))


class SwinTransformer(nn.Module):
    """Swin transformer: (N, 3, H, W) of any size to (N, num_classes).

    Parameters
    ----------
    patch_size : sequence of two int
        Height and width of the patch that becomes a pixel of the first stage.
    embed_dim : int
        Channels of the first stage; each later stage has twice as many.
    depths, num_heads : sequence of int
        Blocks, and heads of the attention, of each stage.
    window_size : sequence of two int
        Height and width of a window. Every second block shifts windows by half of that.
    mlp_ratio : float
        Channels inside the MLPs, in multiples of those outside.
    dropout, attention_dropout : float
        Probabilities of dropouts, which do nothing at inference.
    stochastic_depth_prob : float
        Probability with which training drops the last block; it grows from 0 at the first.
    num_classes : int
        Outputs.
    norm_layer : callable, optional
        Makes a normalisation from a channel count, `LayerNorm` with eps 1e-5 by default.
    block : callable, optional
        Makes a block, `SwinTransformerBlock` by default.
    downsample_layer : callable
        Makes the layer between stages from a channel count and `norm_layer`.
    """

    def __init__(
        self,
        patch_size: Sequence[int],
        embed_dim: int,
        depths: Sequence[int],
        num_heads: Sequence[int],
        window_size: Sequence[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.1,
        num_classes: int = 1000,
        norm_layer: Callable[..., nn.Module] | None = None,
        block: Callable[..., nn.Module] | None = None,
        downsample_layer: Callable[..., nn.Module] = PatchMerging,
    ) -> None:
        super().__init__()
        block = block or SwinTransformerBlock
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-5)
        self.num_classes = num_classes

        patch = (patch_size[0], patch_size[1])
        layers: list[nn.Module] = [
            nn.Sequential(
                nn.Conv2d(3, embed_dim, kernel_size=patch, stride=patch),
                Permute([0, 2, 3, 1]),
                norm_layer(embed_dim),
            )
        ]
        dim, number = embed_dim, 0
        for depth, heads in zip(depths, num_heads, strict=True):
            if len(layers) > 1:
                layers.append(downsample_layer(dim, norm_layer))
                dim *= 2
            stage: list[nn.Module] = []
            for i in range(depth):
                stage.append(
                    block(
                        dim,
                        heads,
                        window_size=window_size,
                        shift_size=[side // 2 if i % 2 else 0 for side in window_size],
                        mlp_ratio=mlp_ratio,
                        dropout=dropout,
                        attention_dropout=attention_dropout,
                        stochastic_depth_prob=stochastic_depth_prob * float(number) / (sum(depths) - 1),
                        norm_layer=norm_layer,
                    )
                )
                number += 1
            layers.append(nn.Sequential(*stage))
        self.features = nn.Sequential(*layers)
        self.norm = norm_layer(dim)
        self.permute = Permute([0, 3, 1, 2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.norm(self.features(x))
        x = self.avgpool(self.permute(x))
        return self.head(self.flatten(x))


# ---- builders ----

_TINY: dict[str, Any] = {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24]}
_SMALL: dict[str, Any] = {"embed_dim": 96, "depths": [2, 2, 18, 2], "num_heads": [3, 6, 12, 24]}
_BASE: dict[str, Any] = {"embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32]}
_V1: dict[str, Any] = {"patch_size": [4, 4], "window_size": [7, 7]}
_V2: dict[str, Any] = {
    "patch_size": [4, 4],
    "window_size": [8, 8],
    "block": SwinTransformerBlockV2,
    "downsample_layer": PatchMergingV2,
}


def _swin(
    version: dict[str, Any], size: dict[str, Any], drop: float, kwargs: dict[str, Any]
) -> SwinTransformer:
    kwargs.setdefault("stochastic_depth_prob", drop)
    return SwinTransformer(**version, **size, **kwargs)


@model_builder(Swin_T_Weights)
def swin_t(**kwargs: Any) -> SwinTransformer:
    """Swin-T of "Hierarchical Vision Transformer using Shifted Windows" (arXiv:2103.14030)."""
    return _swin(_V1, _TINY, 0.2, kwargs)


@model_builder(Swin_S_Weights)
def swin_s(**kwargs: Any) -> SwinTransformer:
    """Swin-S of "Hierarchical Vision Transformer using Shifted Windows" (arXiv:2103.14030)."""
    return _swin(_V1, _SMALL, 0.3, kwargs)


@model_builder(Swin_B_Weights)
def swin_b(**kwargs: Any) -> SwinTransformer:
    """Swin-B of "Hierarchical Vision Transformer using Shifted Windows" (arXiv:2103.14030)."""
    return _swin(_V1, _BASE, 0.5, kwargs)


@model_builder(Swin_V2_T_Weights)
def swin_v2_t(**kwargs: Any) -> SwinTransformer:
    """SwinV2-T of "Swin Transformer V2: Scaling Up Capacity and Resolution" (arXiv:2111.09883)."""
    return _swin(_V2, _TINY, 0.2, kwargs)


@model_builder(Swin_V2_S_Weights)
def swin_v2_s(**kwargs: Any) -> SwinTransformer:
    """SwinV2-S of "Swin Transformer V2: Scaling Up Capacity and Resolution" (arXiv:2111.09883)."""
    return _swin(_V2, _SMALL, 0.3, kwargs)


@model_builder(Swin_V2_B_Weights)
def swin_v2_b(**kwargs: Any) -> SwinTransformer:
    """SwinV2-B of "Swin Transformer V2: Scaling Up Capacity and Resolution" (arXiv:2111.09883)."""
    return _swin(_V2, _BASE, 0.5, kwargs)
