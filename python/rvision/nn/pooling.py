"""Pooling layers, (N, C, H, W) to (N, C, H', W')."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rvision.errors import UnsupportedError
from rvision.nn import functional as F
from rvision.nn.module import Module

__all__ = [
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "LPPool2d",
    "MaxPool2d",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]

Pair = int | Sequence[int]


class MaxPool2d(Module):
    """Largest value of each window: `torch.nn.MaxPool2d`.

    Parameters
    ----------
    kernel_size : int or two of them
        Height and width of the window.
    stride : int or two of them, optional
        Steps of the window; None means `kernel_size`.
    padding : int or two of them
        On each side, at most half of the kernel; padding is never the maximum.
    dilation : int or two of them
        Distance between the values of a window.
    return_indices : bool
        Only False.
    ceil_mode : bool
        Whether a last window may extend beyond the edge.

    Examples
    --------
    >>> nn.MaxPool2d(2)(np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """

    _spatial = True

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        dilation: Pair = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        if return_indices:
            raise UnsupportedError(f"{type(self).__name__}: return_indices=True is not supported")
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        """Return the largest values."""
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """Average of each window: `torch.nn.AvgPool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode
        As for :class:`MaxPool2d`.
    count_include_pad : bool
        Whether padding zeros count in the divisor.
    divisor_override : int, optional
        A divisor instead of the number of values.

    Examples
    --------
    >>> nn.AvgPool2d(2)(np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)).tolist()
    [[[[1.5]]]]
    """

    _spatial = True

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Any) -> Any:
        """Return the averages."""
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        """Return the arguments that torch shows."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class LPPool2d(Module):
    """The p-norm of each window, p being the `norm_type`: `torch.nn.LPPool2d`.

    Parameters
    ----------
    norm_type : float
        The power; not 0.
    kernel_size, stride, ceil_mode
        As for :class:`MaxPool2d`.
    """

    _spatial = True

    def __init__(
        self, norm_type: float, kernel_size: Pair, stride: Pair | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        """Return the norms."""
        return F.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class _Adaptive(Module):
    """A pool to a given size; None keeps the input's."""

    _spatial = True

    def __init__(self, output_size: int | Sequence[int | None] | None) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        """Return the argument."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(_Adaptive):
    """Averages of areas that cover the picture, (N, C, *output_size): `torch.nn.AdaptiveAvgPool2d`.

    Examples
    --------
    >>> nn.AdaptiveAvgPool2d(1)(np.ones((1, 8, 7, 5), np.float32)).shape
    (1, 8, 1, 1)
    """

    def forward(self, input: Any) -> Any:
        """Return the averages."""
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveMaxPool2d(_Adaptive):
    """Largest values of areas that cover the picture, (N, C, *output_size): `torch.nn.AdaptiveMaxPool2d`."""

    def __init__(self, output_size: int | Sequence[int | None] | None, return_indices: bool = False) -> None:
        super().__init__(output_size)
        if return_indices:
            raise UnsupportedError(f"{type(self).__name__}: return_indices=True is not supported")
        self.return_indices = return_indices

    def forward(self, input: Any) -> Any:
        """Return the largest values."""
        return F.adaptive_max_pool2d(input, self.output_size)


class Upsample(Module):
    """Pictures resized to a size or by a factor: `torch.nn.Upsample`.

    Parameters
    ----------
    size, scale_factor, mode, align_corners, recompute_scale_factor
        As for :func:`rvision.nn.functional.interpolate`.
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        factors = tuple(scale_factor) if isinstance(scale_factor, Sequence) else scale_factor
        self.scale_factor = (
            tuple(map(float, factors)) if isinstance(factors, tuple) else factors and float(factors)
        )
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Any) -> Any:
        """Return the resized `input`."""
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self) -> str:
        """Return the arguments that torch shows."""
        size = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor!r}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Pictures resized to their nearest pixels: `torch.nn.UpsamplingNearest2d`."""

    def __init__(
        self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor)


class UpsamplingBilinear2d(Upsample):
    """Pictures resized bilinearly, with `align_corners`: `torch.nn.UpsamplingBilinear2d`."""

    def __init__(
        self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor, "bilinear", True)
