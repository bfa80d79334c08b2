"""Attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rvision._numbers import MOST, integer
from rvision._trace import Mask, Symbol
from rvision.errors import ArgumentError, ShapeError, UnsupportedError
from rvision.nn import functional as F
from rvision.nn._attend import additive_mask
from rvision.nn.conv import Linear
from rvision.nn.module import Module
from rvision.nn.parameter import Drawn

__all__ = ["MultiheadAttention"]


class NonDynamicallyQuantizableLinear(Linear):
    """A linear layer under the name that torch prints for attention's output projection."""


class MultiheadAttention(Module):
    """Multi-head attention, each head on its part of the features: `torch.nn.MultiheadAttention`.

    Parameters
    ----------
    embed_dim : int
        Features E of queries, keys, values and outputs.
    num_heads : int
        Heads, a divisor of `embed_dim`.
    dropout : float
        For training; stored but not used.
    bias : bool
        Whether the linear layers have biases.
    add_bias_kv, add_zero_attn : bool
        Only False.
    kdim, vdim : int, optional
        Features of keys and values; only `embed_dim`.
    batch_first : bool
        Whether inputs are (N, L, E) instead of (L, N, E).

    Attributes
    ----------
    in_proj_weight : Parameter, (3 * embed_dim, embed_dim)
    in_proj_bias : Parameter, (3 * embed_dim,), or None
    out_proj : Linear
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.to(device=device, dtype=dtype)
        embed_dim = integer(embed_dim, "MultiheadAttention: embed_dim", 1, MOST)
        num_heads = integer(num_heads, "MultiheadAttention: num_heads", 1, MOST)
        if embed_dim % num_heads:
            raise ArgumentError(
                "MultiheadAttention: embed_dim must be a multiple of num_heads, "
                f"got {embed_dim} and {num_heads}"
            )
        if add_bias_kv or add_zero_attn:
            raise UnsupportedError("MultiheadAttention: add_bias_kv and add_zero_attn are not supported")
        if kdim not in (None, embed_dim) or vdim not in (None, embed_dim):
            raise UnsupportedError(
                f"MultiheadAttention: kdim and vdim other than embed_dim={embed_dim} are not supported, "
                f"got {kdim} and {vdim}"
            )
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.register_parameter("in_proj_weight", Drawn((3 * embed_dim, embed_dim), fan_in=embed_dim))
        self.register_parameter("in_proj_bias", Drawn((3 * embed_dim,)) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """Attend.

        Parameters
        ----------
        query : array_like, (N, L, E), or (L, N, E) unless `batch_first`
            Queries; without N for a single sequence.
        key, value : array_like, (N, S, E), or (S, N, E)
            Keys and values.
        key_padding_mask : array_like, (N, S), optional
            Added to the scores of each key.
        need_weights : bool
            Whether to also return the attention weights. They cost memory and time: pass False.
        attn_mask : array_like, (L, S) or (N * num_heads, L, S), optional
            Floats that are added to the scores, or (as a constant) bools, where True hides a key.
        average_attn_weights : bool
            Whether returned weights are averaged over the heads.
        is_causal : bool
            As in torch, a hint that `attn_mask`, which must be given, is causal.

        Returns
        -------
        output : ndarray
            As `query`.
        weights : ndarray or None
            (N, L, S), or (N, num_heads, L, S) if not averaged; None without `need_weights`.
        """
        if is_causal and attn_mask is None:
            raise ArgumentError(f"{query.tracer.where}: is_causal=True needs the attn_mask that it is about")
        if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
            raise ShapeError(
                f"{query.tracer.where}: expected queries, keys and values with 3 dimensions, or 2 without a "
                f"batch, got shapes {query.traced_shape}, {key.traced_shape} and {value.traced_shape}"
            )
        batched = query.ndim == 3
        heads = self._heads(query, key, value, batched)
        mask = self._mask(attn_mask, key_padding_mask, batched)
        if need_weights:
            output, weights = self._attend_and_show(*heads, mask)
            weights = weights.mean(1) if average_attn_weights else weights
        else:
            output = F.scaled_dot_product_attention(*heads, mask)
            weights = None
        output = self.out_proj(output.transpose(1, 2).flatten(2))
        if not batched:
            return output[0], None if weights is None else weights[0]
        return output if self.batch_first else output.transpose(0, 1), weights

    def _heads(self, query: Symbol, key: Symbol, value: Symbol, batched: bool) -> list[Symbol]:
        """Return queries, keys and values of all heads, each (N, num_heads, L, head_dim)."""
        shape = (self.num_heads, self.head_dim)

        def arranged(symbol: Symbol) -> Symbol:
            if not batched:
                return symbol.unsqueeze(0)
            return symbol if self.batch_first else symbol.transpose(0, 1)

        if query is key and key is value:
            joint = F.linear(arranged(query), self._constant("in_proj_weight"), self.in_proj_bias)
            return list(joint.unflatten(-1, (3, *shape)).permute(2, 0, 3, 1, 4).unbind(0))
        size = self.embed_dim
        parts = []
        for index, symbol in enumerate((query, key, value)):
            rows = slice(index * size, (index + 1) * size)
            bias = None if self.in_proj_bias is None else self.in_proj_bias[rows]
            part = F.linear(arranged(symbol), self.in_proj_weight[rows], bias)
            parts.append(part.unflatten(-1, shape).transpose(1, 2))
        return parts

    def _mask(self, attn_mask: Any, key_padding_mask: Any, batched: bool) -> Any:
        """Return the sum of the masks, broadcastable to (N, num_heads, L, S)."""
        masks = []
        for mask, keys_only in ((attn_mask, False), (key_padding_mask, True)):
            if mask is None:
                continue
            if isinstance(mask, Mask):
                mask = additive_mask(~mask)
            elif not isinstance(mask, Symbol):
                mask = np.asarray(mask)
                # Here True hides a key; in the function, False does.
                mask = additive_mask(~mask if mask.dtype == bool else mask)
            if keys_only:
                mask = mask[:, None, None] if batched else mask[None, None, None]
            elif mask.ndim == 3:
                heads = (-1, self.num_heads)
                unflattened = isinstance(mask, Symbol)
                mask = mask.unflatten(0, heads) if unflattened else mask.reshape(*heads, *mask.shape[1:])
            masks.append(mask)
        return None if not masks else masks[0] if len(masks) == 1 else masks[0] + masks[1]

    def _attend_and_show(self, query: Symbol, key: Symbol, value: Symbol, mask: Any) -> tuple[Symbol, Symbol]:
        scores = (query * (1.0 / math.sqrt(self.head_dim))) @ key.transpose(-2, -1)
        weights = (scores if mask is None else scores + mask).softmax(-1)
        return weights @ value, weights
