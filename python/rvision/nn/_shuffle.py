"""Functions that move values between channels and pixels, public in `functional`."""

from __future__ import annotations

from typing import Any

from rvision._numbers import MOST, integer
from rvision.errors import ShapeError
from rvision.nn._operation import operation

__all__ = ["pixel_shuffle", "pixel_unshuffle"]


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
