"""Attention as a function, public in `functional`."""

from __future__ import annotations

from typing import Any

import numpy as np

from rvision._mask import where
from rvision._numbers import real
from rvision._sizes import Flag, broadcast_flags
from rvision._trace import Mask, Symbol
from rvision.errors import ArgumentError, UnsupportedError
from rvision.nn import _run

__all__ = ["additive_mask", "scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Any:
    """Attend: ``softmax(scale * query @ key.T + mask) @ value`` (Vaswani et al. 2017).

    Parameters
    ----------
    query : array_like, (..., L, E)
        Queries; the leading dimensions, such as batch and heads, broadcast.
    key : array_like, (..., S, E)
        Keys.
    value : array_like, (..., S, F)
        Values.
    attn_mask : array_like, optional
        Floats that are added to the scores, or bools, where False hides a key from a query. It
        broadcasts to (..., L, S), without being repeated in memory.
    dropout_p : float
        Only 0.
    is_causal : bool
        Whether a query sees only the keys up to its own position. Reads L and S.
    scale : float, optional
        Factor of the scores; by default ``1 / sqrt(E)``.

    Returns
    -------
    ndarray, (..., L, F)
        A query that sees no key gets zeros.
    """
    if dropout_p:
        raise UnsupportedError(
            f"scaled_dot_product_attention: dropout_p={dropout_p} draws random numbers; rvision is for "
            "inference only, pass 0.0"
        )
    mask = additive_mask(attn_mask)

    def attend(query: Any, key: Any, value: Any, *masks: Any) -> Symbol:
        return _attention(query, key, value, masks[0] if masks else None, is_causal, scale)

    operands = [query, key, value] if mask is None else [query, key, value, mask]
    if any(isinstance(operand, Symbol) for operand in operands):
        return attend(*operands)
    return _run.call_function(attend, operands, spatial=False)


def additive_mask(mask: Any) -> Any:
    """Return a mask that is added to the scores: for bools, False becomes negative infinity."""
    if mask is None or isinstance(mask, Symbol):
        return mask
    if isinstance(mask, Mask):
        return where(mask, 0.0, -np.inf, "mask")
    array = np.asarray(mask)
    return np.where(array, np.float32(0), np.float32(-np.inf)) if array.dtype == bool else mask


def _attention(query: Any, key: Any, value: Any, mask: Any, is_causal: bool, scale: float | None) -> Symbol:
    symbols = [query, key, value] if mask is None else [query, key, value, mask]
    tracer = next(value.tracer for value in symbols if isinstance(value, Symbol))
    symbols = [value if isinstance(value, Symbol) else tracer.constant(value) for value in symbols]
    query, key, value = symbols[:3]
    if is_causal:
        if mask is not None:
            raise ArgumentError(f"{tracer.where}: attn_mask and is_causal=True exclude each other")
        size = query.shape[-2], key.shape[-2]
        symbols.append(tracer.constant(additive_mask(np.tri(*size, dtype=bool))))
    values = [symbol.value_of(tracer) for symbol in symbols]
    name = tracer.name("scaled_dot_product_attention")
    result = tracer.builder.attention(
        name,
        values[0],
        values[1],
        values[2],
        values[3] if len(values) > 3 else None,
        None if scale is None else real(scale, f"{tracer.where}: scale"),
    )
    leads: list[tuple[int, Flag]] = []
    for symbol in symbols[:3]:
        own = list(zip(symbol.traced_shape[:-2], symbol.fixed[:-2], strict=True))
        sizes = np.broadcast_shapes([size for size, _ in leads], [size for size, _ in own])
        leads = list(zip(sizes, broadcast_flags(leads, own), strict=True))
    return Symbol(tracer, result, (*(flag for _, flag in leads), query.fixed[-2], value.fixed[-1]))
