"""Padding; users find it in `functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rvision._numbers import integers, real
from rvision._sizes import resized
from rvision._trace import Symbol
from rvision.errors import ArgumentError, ShapeError, UnsupportedError
from rvision.nn._operation import Pair, operation, pair

__all__ = ["EDGE_MODES", "pad", "sides"]

EDGE_MODES = ("reflect", "replicate", "circular")
"""The modes that pad with the input's own values."""

Pairs = list[tuple[int, int]]


@operation()
def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Put values around an array, or cut its edges off where `pad` is negative.

    Parameters
    ----------
    input : array_like
        Of any shape in mode ``"constant"``. In the other modes the last dimension of a 2-d or 3-d array, the
        last two of a 3-d or 4-d one or the last three of a 4-d or 5-d one are padded.
    pad : sequence of int
        Elements before and after the last dimension, then before and after the one before it, and so on:
        (left, right, top, bottom) for pictures.
    mode : str
        ``"constant"``; ``"reflect"``, the values mirrored at the border value, so that `pad` must be less
        than the size; ``"replicate"``, the border value; or ``"circular"``, the values at the other end,
        so that `pad` must be at most the size.
    value : float, optional
        The constant; 0 by default.
    """
    where = f"{input.tracer.where}: pad"
    amounts = integers(pad, where)
    if mode != "constant" and mode not in EDGE_MODES:
        known = ", ".join(("constant", *EDGE_MODES))
        raise UnsupportedError(f"{where}: mode {mode!r} is not supported, only {known}")
    number = 0.0 if value is None else real(value, f"{where}: value")
    if len(amounts) % 2 or len(amounts) > 2 * input.ndim:
        raise ShapeError(f"{where}: expected a pair for at most {input.ndim} dimensions, got {tuple(pad)}")
    pairs = [(0, 0)] * (input.ndim - len(amounts) // 2)
    pairs += [(amounts[i], amounts[i + 1]) for i in range(len(amounts) - 2, -1, -2)]
    if mode == "constant":
        return _emit(_cropped(input, pairs, where), pairs, "pad", number)
    if number != 0:
        raise ArgumentError(f"{where}: value is for mode 'constant' only, got {value} in mode {mode!r}")
    if len(amounts) not in (2, 4, 6) or input.ndim - len(amounts) // 2 not in (1, 2):
        raise ShapeError(
            f"{where}: mode {mode!r} pads the last dimension of a 2-d or 3-d input, the last two of a 3-d or "
            f"4-d one, or the last three of a 4-d or 5-d one, got {tuple(pad)} for the input "
            f"{input.traced_shape}"
        )
    if mode != "circular" and input.ndim == len(amounts) // 2 + 1 and input.traced_shape[0] == 0:
        raise ShapeError(f"{where}: expected channels in mode {mode!r}, got the input {input.traced_shape}")
    if mode == "circular":
        return _emit(_cropped(input, pairs, where), pairs, "pad_edges", mode)
    padded = _emit(input, pairs, "pad_edges", mode)
    cropped = _cropped(padded, pairs, where, least=mode == "replicate")
    # Nothing else refers to the sliced value: in torch the result is a tensor of its own.
    return padded if cropped is padded else cropped.clone()


def _emit(input: Symbol, pairs: Pairs, method: str, argument: Any) -> Symbol:
    """Add the node that pads by the positive numbers of `pairs`."""
    pads = [(max(before, 0), max(after, 0)) for before, after in pairs]
    fixed = [flag if pad == (0, 0) else resized(flag) for pad, flag in zip(pads, input.fixed, strict=True)]
    return input.emit(method, "pad", pads, argument, fixed=fixed)


def _cropped(input: Symbol, pairs: Pairs, where: str, least: int = 0) -> Symbol:
    """Cut off as many elements as the negative numbers of `pairs` say; `least` must remain per dimension."""
    for axis, amounts in enumerate(pairs):
        front, back = (max(-amount, 0) for amount in amounts)
        if not front and not back:
            continue
        # The size is read, because a slice of a dimension that is too short would silently be empty.
        size = input.read(axis)
        if front + back + least > size:
            raise ShapeError(
                f"{where}: expected at least {front + back + least} elements in dimension {axis}, of which "
                f"{front + back} are cut off, got {size} (input {input.traced_shape})"
            )
        fixed = [dim == axis or flag for dim, flag in enumerate(input.fixed)]
        input = input.emit("slice", "pad.part", axis, front, size - back, 1, fixed=fixed)
    return input


def sides(
    padding: Pair | str, kernel: Sequence[int], stride: tuple[int, int], dilation: tuple[int, int], where: str
) -> tuple[int, int, int, int] | str:
    """Resolve a convolution's padding to zeros above, left, below and right."""
    if not isinstance(padding, str):
        vertical, horizontal = pair(padding, f"{where}: padding")
        return vertical, horizontal, vertical, horizontal
    if padding == "same_upper":
        return padding
    if padding == "valid":
        return 0, 0, 0, 0
    if padding != "same":
        raise ArgumentError(
            f"{where}: padding must be numbers, 'same', 'valid' or 'same_upper', got {padding!r}"
        )
    if stride != (1, 1):
        raise ArgumentError(
            f"{where}: padding='same' needs stride 1, got {stride}; 'same_upper' is TensorFlow's"
        )
    height, width = (d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
    return height // 2, width // 2, height - height // 2, width - width // 2
