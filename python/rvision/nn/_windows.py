"""Functions of windows: pools, and the norm over neighbouring channels; public in `functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rvision._frames import warn
from rvision._numbers import MOST, integer, real
from rvision._trace import Symbol
from rvision.errors import ArgumentError, ShapeError, UnsupportedError
from rvision.nn._operation import Pair, as_node, operation, pair, resized_pictures

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "avg_pool2d",
    "interpolate",
    "local_response_norm",
    "lp_pool2d",
    "max_pool2d",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]


@operation(spatial=True)
def max_pool2d(
    input: Any,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest value of each window.

    Parameters
    ----------
    input : array_like, (N, C, H, W)
        Pictures.
    kernel_size : int or two of them
        Height and width of the window.
    stride : int or two of them, optional
        Steps of the window; None means `kernel_size`.
    padding : int or two of them
        On each side, at most half of the kernel; padding is never the maximum.
    dilation : int or two of them
        Distance between the values of a window.
    ceil_mode : bool
        Whether a last window may extend beyond the edge.
    return_indices : bool
        Only False.

    Examples
    --------
    >>> F.max_pool2d(np.float32([[[[1, 2], [3, 4]]]]), 2).tolist()
    [[[[4.0]]]]
    """
    if return_indices:
        raise UnsupportedError(f"{input.tracer.where}: max_pool2d does not return indices")
    window = _window(input, "max_pool2d", kernel_size, stride, padding)
    return input.emit(
        "max_pool2d",
        "max_pool2d",
        *window,
        pair(dilation, f"{input.tracer.where}: max_pool2d: dilation", 1),
        bool(ceil_mode),
        fixed=resized_pictures(input.fixed),
    )


@operation(spatial=True)
def avg_pool2d(
    input: Any,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """Return the average of each window.

    Parameters
    ----------
    input : array_like, (N, C, H, W)
        Pictures.
    kernel_size, stride, padding, ceil_mode
        As for :func:`max_pool2d`.
    count_include_pad : bool
        Whether padding zeros count in the divisor.
    divisor_override : int, optional
        A divisor instead of the number of values.
    """
    if divisor_override is not None:
        where = f"{input.tracer.where}: avg_pool2d: divisor_override"
        if integer(divisor_override, where) == 0:
            raise ArgumentError(f"{where} must not be 0")
    return input.emit(
        "avg_pool2d",
        "avg_pool2d",
        *_window(input, "avg_pool2d", kernel_size, stride, padding),
        bool(ceil_mode),
        bool(count_include_pad),
        divisor_override,
        fixed=resized_pictures(input.fixed),
    )


def _window(
    input: Symbol, name: str, kernel_size: Pair, stride: Pair | None, padding: Pair
) -> tuple[Any, Any, Any]:
    where = f"{input.tracer.where}: {name}"
    kernel = pair(kernel_size, f"{where}: kernel_size", 1)
    steps = (
        kernel
        if stride is None or (isinstance(stride, tuple) and not stride)
        else pair(stride, f"{where}: stride", 1)
    )
    vertical, horizontal = pair(padding, f"{where}: padding")
    if 2 * vertical > kernel[0] or 2 * horizontal > kernel[1]:
        raise ArgumentError(f"{where}: padding must be at most half of the kernel {kernel}, got {padding}")
    return kernel, steps, (vertical, horizontal, vertical, horizontal)


def _adaptive(input: Symbol, name: str, output_size: int | Sequence[int | None] | None) -> Symbol:
    sizes = tuple(output_size) if isinstance(output_size, Sequence) else (output_size, output_size)
    if len(sizes) != 2 or not all(size is None or _is_count(size) for size in sizes):
        raise ArgumentError(
            f"{input.tracer.where}: {name}: output_size must be a positive integer, None, or two of these, "
            f"got {output_size!r}"
        )
    for size in sizes:
        if size is not None:
            integer(size, f"{input.tracer.where}: {name}: output_size", 1, MOST)
    fixed = list(input.fixed)
    if input.ndim == 4:
        fixed[2:] = [f if size is None else True for f, size in zip(fixed[2:], sizes, strict=True)]
    return input.emit(name, name, sizes, fixed=fixed)


def _is_count(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)


@operation(spatial=True)
def adaptive_avg_pool2d(input: Any, output_size: int | Sequence[int | None] | None) -> Any:
    """Average areas that cover a picture: (N, C, H, W) to (N, C, *output_size), larger or smaller.

    None in `output_size` keeps the input's size.
    """
    return _adaptive(input, "adaptive_avg_pool2d", output_size)


@operation(spatial=True)
def adaptive_max_pool2d(
    input: Any, output_size: int | Sequence[int | None] | None, return_indices: bool = False
) -> Any:
    """Return the maxima of areas that cover a picture: (N, C, H, W) to (N, C, *output_size).

    None in `output_size` keeps the input's size. `return_indices` can only be False.
    """
    if return_indices:
        raise UnsupportedError(f"{input.tracer.where}: adaptive_max_pool2d does not return indices")
    return _adaptive(input, "adaptive_max_pool2d", output_size)


_SMOOTH = ("bilinear", "bicubic")


@operation()
def interpolate(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """Resize pictures, to a size or by a factor.

    Parameters
    ----------
    input : array_like, (N, C, H, W)
        Pictures.
    size : int or two of them, optional
        Height and width of the result.
    scale_factor : float or two of them, optional
        The result's size divided by the input's; the size is rounded down. Either this or `size`.
    mode : str
        "nearest", "nearest-exact", "bilinear", "bicubic" or "area" (an adaptive average pool).
    align_corners : bool, optional
        For "bilinear" and "bicubic": whether the centres of the corner pixels are aligned instead
        of their corners.
    recompute_scale_factor : bool, optional
        Whether positions follow from the sizes instead of `scale_factor`.
    antialias : bool
        For "bilinear" and "bicubic": whether a smaller result averages over all pixels that it
        replaces, as Pillow's does.

    Returns
    -------
    ndarray, (N, C, H', W')

    Examples
    --------
    >>> F.interpolate(np.zeros((1, 3, 4, 4), np.float32), scale_factor=2).shape
    (1, 3, 8, 8)
    """
    where = f"{input.tracer.where}: interpolate"
    modes = ("nearest", "nearest-exact", *_SMOOTH, "area")
    if mode not in modes:
        raise ArgumentError(f"{where}: mode must be one of {', '.join(modes)} for pictures, got {mode!r}")
    if input.ndim != 4:
        raise ShapeError(
            f"{where}: expected a 4-d input (N, C, H, W), got {input.ndim}-d {input.traced_shape}"
        )
    if (size is None) == (scale_factor is None):
        raise ArgumentError(f"{where}: expected either size or scale_factor, got {size} and {scale_factor}")
    if align_corners is not None and mode not in _SMOOTH:
        raise ArgumentError(f"{where}: align_corners is for bilinear and bicubic, not for {mode}")
    if antialias and mode not in _SMOOTH:
        raise ArgumentError(f"{where}: antialias is for bilinear and bicubic, not for {mode}")
    if recompute_scale_factor and size is not None:
        raise ArgumentError(f"{where}: recompute_scale_factor goes with scale_factor, not with size")
    attributes = (mode, bool(align_corners), bool(antialias))
    if size is not None:
        sides = pair(size, f"{where}: size", 1)
        if mode == "area":
            return _adaptive(input, "adaptive_avg_pool2d", sides)
        return input.emit(
            "resize_to", "interpolate", sides, *attributes, fixed=[*input.fixed[:2], True, True]
        )
    factors = _factors(scale_factor, f"{where}: scale_factor")
    if mode == "area":
        sides = tuple(int(int(n) * factor) for n, factor in zip(input.shape[2:], factors, strict=True))
        return _adaptive(input, "adaptive_avg_pool2d", sides)
    return input.emit(
        "resize_by",
        "interpolate",
        factors,
        bool(recompute_scale_factor),
        *attributes,
        fixed=resized_pictures(input.fixed),
    )


def _factors(value: Any, where: str) -> tuple[float, float]:
    """Return the factors of height and width."""
    factors = list(value) if isinstance(value, Sequence | np.ndarray) else [value, value]
    if len(factors) != 2:
        raise ArgumentError(f"{where}: expected one factor or two, got {value!r}")
    return real(factors[0], where), real(factors[1], where)


def upsample(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Any:
    """Resize pictures: torch's old name of :func:`interpolate`."""
    warn("upsample is deprecated, as in torch; use interpolate")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
) -> Any:
    """Resize pictures by the nearest pixel: torch's old name of :func:`interpolate` in its mode "nearest"."""
    warn("upsample_nearest is deprecated, as in torch; use interpolate")
    return interpolate(input, size, scale_factor)


def upsample_bilinear(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
) -> Any:
    """Resize pictures by lines between pixels, corner to corner: torch's old name of :func:`interpolate`."""
    warn("upsample_bilinear is deprecated, as in torch; use interpolate")
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)


@operation(spatial=True)
def lp_pool2d(
    input: Any, norm_type: float, kernel_size: Pair, stride: Pair | None = None, ceil_mode: bool = False
) -> Any:
    """Return the p-norm of each window: ``(sum of x^p)^(1/p)`` with p the `norm_type`.

    Parameters
    ----------
    input : array_like, (N, C, H, W)
        Pictures.
    norm_type : float
        The power; not 0. Negative values have powers as of Python's ``x**p``, and their sign is kept.
    kernel_size, stride, ceil_mode
        As of :func:`max_pool2d`.
    """
    where = f"{input.tracer.where}: lp_pool2d"
    power = real(norm_type, f"{where}: norm_type")
    if power == 0:
        raise ArgumentError(f"{where}: norm_type must not be 0")
    height, width = pair(kernel_size, f"{where}: kernel_size", 1)
    means = avg_pool2d(input**power, kernel_size, stride, 0, ceil_mode)
    return (means * (height * width)) ** (1 / power)


@operation()
def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """Divide by ``(k + alpha * mean of x^2 over size neighbouring channels) ** beta`` (AlexNet's).

    `input` is (N, C, H, W), or (N, C, L): three dimensions are not one picture here, as in torch.
    """
    rows = input.ndim == 3
    if rows:
        input = as_node(input, "unflatten", "unsqueeze", 2, [-1, 1], fixed=(*input.fixed, True))
    where = f"{input.tracer.where}: local_response_norm"
    attributes = (
        integer(size, f"{where}: size", 1, MOST),
        real(alpha, f"{where}: alpha"),
        real(beta, f"{where}: beta"),
        real(k, f"{where}: k"),
    )
    result = input.emit("local_response_norm", "local_response_norm", *attributes)
    return as_node(result, "flatten", "getitem", 2, 3, fixed=result.fixed[:3]) if rows else result
