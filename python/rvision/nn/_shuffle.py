"""Functions that move values between channels and pixels, public in `functional`."""

from __future__ import annotations

from typing import Any

from rvision._numbers import MOST, integer
from rvision._trace import concat
from rvision.errors import ShapeError
from rvision.nn._operation import Pair, operation, pair
from rvision.nn._pad import pad

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle", "unfold"]


@operation()
def channel_shuffle(input: Any, groups: int) -> Any:
    """Deal the channels of (N, C, ...) out: the first of each group, the second of each group, and so on.

    Source: Zhang et al., arXiv:1707.01083.
    """
    where = f"{input.tracer.where}: channel_shuffle"
    groups = integer(groups, f"{where}: groups", 1, MOST)
    if input.ndim < 3:
        raise ShapeError(f"{where}: expected an input (N, C, ...), got {input.traced_shape}")
    channels = input.traced_shape[1]
    if channels % groups:
        raise ShapeError(
            f"{where}: expected channels that are a multiple of groups = {groups}, got {channels} "
            f"(input {input.traced_shape})"
        )
    return input.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


@operation(spatial=True)
def unfold(input: Any, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1) -> Any:
    """Write the windows of pictures as columns: (N, C, H, W) to (N, C kH kW, windows).

    Parameters
    ----------
    input : array_like, (N, C, H, W)
        Pictures. Their height and width are read.
    kernel_size, dilation, padding, stride : int or two of them
        As of :func:`conv2d`.
    """
    where = f"{input.tracer.where}: unfold"
    if input.ndim != 4:
        raise ShapeError(f"{where}: expected a 4-d input (N, C, H, W), got {input.traced_shape}")
    kernel = pair(kernel_size, f"{where}: kernel_size", 1)
    steps = pair(stride, f"{where}: stride", 1)
    spread = pair(dilation, f"{where}: dilation", 1)
    height, width = pair(padding, f"{where}: padding")
    padded = pad(input, (width, width, height, height))
    sizes = [int(size) + 2 * edge for size, edge in zip(input.shape[2:], (height, width), strict=True)]
    # Of each axis, from where to where a window's first value moves.
    lasts = [size - step * (k - 1) for size, step, k in zip(sizes, spread, kernel, strict=True)]
    if min(lasts) < 1:
        raise ShapeError(f"{where}: the window is larger than the padded input {tuple(sizes)}")
    parts = [
        padded[
            :,
            :,
            row * spread[0] : row * spread[0] + lasts[0] : steps[0],
            column * spread[1] : column * spread[1] + lasts[1] : steps[1],
        ]
        for row in range(kernel[0])
        for column in range(kernel[1])
    ]
    columns = concat([part.flatten(2).unsqueeze(2) for part in parts], 2)
    return columns.flatten(1, 2)


@operation()
def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """Turn channels into pixels: (..., C r^2, H, W) to (..., C, H r, W r), with r the `upscale_factor`.

    Source: Shi et al., arXiv:1609.05158.
    """
    factor = _factor(input, "pixel_shuffle", upscale_factor, "upscale_factor")
    channels = input.traced_shape[-3]
    if channels % (factor * factor):
        raise ShapeError(
            f"{input.tracer.where}: pixel_shuffle: expected channels that are a multiple of "
            f"upscale_factor^2 = {factor * factor}, got {channels} (input {input.traced_shape})"
        )
    leads = input.ndim - 3
    cut = input.unflatten(-3, (-1, factor, factor))
    order = [*range(leads), *(leads + axis for axis in (0, 3, 1, 4, 2))]
    return cut.permute(order).flatten(-4, -3).flatten(-2, -1)


@operation()
def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """Turn pixels into channels: (..., C, H r, W r) to (..., C r^2, H, W), with r the `downscale_factor`."""
    factor = _factor(input, "pixel_unshuffle", downscale_factor, "downscale_factor")
    leads = input.ndim - 3
    cut = input.unflatten(-1, (-1, factor)).unflatten(-3, (-1, factor))
    order = [*range(leads), *(leads + axis for axis in (0, 2, 4, 1, 3))]
    return cut.permute(order).flatten(-5, -3)


def _factor(input: Any, name: str, value: Any, argument: str) -> int:
    where = f"{input.tracer.where}: {name}"
    if input.ndim < 3:
        raise ShapeError(f"{where}: expected an input (..., C, H, W), got {input.traced_shape}")
    return integer(value, f"{where}: {argument}", 1, MOST)
