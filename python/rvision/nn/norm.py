"""Normalisations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rvision._frames import warn
from rvision._numbers import MOST, integer, integers
from rvision._trace import Symbol
from rvision.errors import ArgumentError, ShapeError, UnsupportedError
from rvision.nn import functional as F
from rvision.nn.module import Module
from rvision.nn.parameter import Drawn

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "GroupNorm",
    "InstanceNorm2d",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
    "SyncBatchNorm",
]


class _ChannelNorm(Module):
    """Normalisation of each channel, with optional weight, bias and running statistics."""

    # Version 2 has num_batches_tracked.
    _version = 2

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.to(device=device, dtype=dtype)
        self.num_features = num_features = integer(
            num_features, f"{type(self).__name__}: num_features", 0, MOST
        )
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        shape = (num_features,)
        self.register_parameter("weight", Drawn(shape, fill=1.0) if affine else None)
        self.register_parameter("bias", Drawn(shape) if affine and bias else None)
        self.register_buffer("running_mean", Drawn(shape) if track_running_stats else None)
        self.register_buffer("running_var", Drawn(shape, fill=1.0) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", np.zeros((), np.int64) if track_running_stats else None)

    def _defaults(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Return the counter if the file's version has none, as torch does."""
        if self.num_batches_tracked is None or (metadata.get("version") or 1) >= 2:
            return {}
        return {"num_batches_tracked": self.num_batches_tracked}

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self._parameters.get('bias') is not None}, track_running_stats={self.track_running_stats}"
        )


def _is_picture(input: Any) -> None:
    """Check that a symbol is a batch of pictures, or turn it into one."""
    if isinstance(input, Symbol):
        input.tracer.takes_picture(input)
        if input.ndim != 4:
            raise ShapeError(
                f"{input.tracer.where}: expected a 4-d input (N, C, H, W), got a {input.ndim}-d input "
                f"{input.traced_shape}"
            )


class _BatchNorm(_ChannelNorm):
    """Normalisation of each channel by the statistics of training."""

    def forward(self, input: Any) -> Any:
        """Return the normalised `input`."""
        if self.running_mean is None or self.running_var is None:
            raise UnsupportedError(
                f"{type(self).__name__}: without running statistics (track_running_stats=False) a layer "
                f"normalises by "
                "the batch at hand, which rvision does not do"
            )
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, momentum=0.0, eps=self.eps
        )


class BatchNorm2d(_BatchNorm):
    """Normalisation of each channel of pictures (N, C, H, W): `torch.nn.BatchNorm2d`.

    See :class:`BatchNorm1d` for the arguments and attributes.

    Examples
    --------
    >>> norm = nn.BatchNorm2d(2)
    >>> norm(np.zeros((1, 2, 3, 3), np.float32)).shape
    (1, 2, 3, 3)
    """

    _spatial = True

    def forward(self, input: Any) -> Any:
        """Return the normalised `input`."""
        _is_picture(input)
        return super().forward(input)


class BatchNorm1d(_BatchNorm):
    """Normalisation of each feature of (N, C), or channel of (N, C, L): `torch.nn.BatchNorm1d`.

    Parameters
    ----------
    num_features : int
        Channels.
    eps : float
        Added to the variance.
    momentum : float or None
        For training; stored but not used.
    affine : bool
        Whether there are a weight and a bias per channel.
    track_running_stats : bool
        Whether there are statistics. A layer without them normalises by the current batch, as only
        training does: it can be created and loaded, but not run.
    bias : bool
        Whether an affine layer has a bias.

    Attributes
    ----------
    weight, bias : Parameter, (num_features,), or None
    running_mean, running_var : Buffer, (num_features,), or None
    num_batches_tracked : int64 array, (), or None
    """

    def forward(self, input: Any) -> Any:
        """Return the normalised `input`."""
        if isinstance(input, Symbol) and input.ndim not in (2, 3):
            raise ShapeError(
                f"{input.tracer.where}: expected a 2-d or 3-d input (N, C) or (N, C, L), "
                f"got a {input.ndim}-d input {input.traced_shape}"
            )
        return super().forward(input)


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation whose training spans several processes: `torch.nn.SyncBatchNorm`.

    At inference it is that of (N, C, ...) by the statistics of the training. See :class:`BatchNorm1d` for the
    arguments and attributes; `process_group` can only be None.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        if process_group is not None:
            raise UnsupportedError("SyncBatchNorm: process_group is for training; leave it out")
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)


class InstanceNorm2d(_ChannelNorm):
    """Normalisation of each channel of each picture (arXiv:1607.08022): `torch.nn.InstanceNorm2d`.

    With `track_running_stats`, it normalises by the statistics of training, as torch does in
    ``eval()``. The arguments and attributes are those of :class:`BatchNorm1d`.
    """

    _spatial = True

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Any) -> Any:
        """Return the normalised `input`."""
        _is_picture(input)
        if isinstance(input, Symbol) and self.weight is None and input.traced_shape[1] != self.num_features:
            warn(
                f"{input.tracer.where}: num_features is {self.num_features} and the input has "
                f"{input.traced_shape[1]} channels; without affine it is not used"
            )
        tracked = self.running_mean is not None
        return F.instance_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, not tracked, eps=self.eps
        )


class GroupNorm(Module):
    """Normalisation of groups of channels, picture by picture (arXiv:1803.08494): `torch.nn.GroupNorm`.

    Parameters
    ----------
    num_groups : int
        Number of groups of channels.
    num_channels : int
        Channels, a multiple of `num_groups`.
    eps : float
        Added to the variance.
    affine : bool
        Whether there are a weight and a bias per channel.
    bias : bool
        Whether an affine layer has a bias.

    Attributes
    ----------
    weight, bias : Parameter, (num_channels,), or None
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.to(device=device, dtype=dtype)
        self.num_groups = num_groups = integer(num_groups, "GroupNorm: num_groups", 1, MOST)
        self.num_channels = num_channels = integer(num_channels, "GroupNorm: num_channels", 0, MOST)
        if num_channels % num_groups:
            raise ArgumentError(
                f"GroupNorm: num_channels ({num_channels}) must be divisible by num_groups ({num_groups})"
            )
        self.eps = eps
        self.affine = affine
        shape = (num_channels,)
        self.register_parameter("weight", Drawn(shape, fill=1.0) if affine else None)
        self.register_parameter("bias", Drawn(shape) if affine and bias else None)

    def forward(self, input: Any) -> Any:
        """Return the normalised `input`."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self._parameters.get('bias') is not None}"
        )


class LayerNorm(Module):
    """Normalisation over the last dimensions (Ba et al. 2016): `torch.nn.LayerNorm`.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Sizes of the dimensions over which mean and variance are taken.
    eps : float
        Added to the variance.
    elementwise_affine : bool
        Whether there are a weight and a bias for each element.
    bias : bool
        Whether an affine layer has a bias.

    Attributes
    ----------
    weight, bias : Parameter, (*normalized_shape), or None
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.to(device=device, dtype=dtype)
        sizes = [normalized_shape] if isinstance(normalized_shape, int | np.integer) else normalized_shape
        self.normalized_shape = tuple(integers(sizes, "LayerNorm: normalized_shape", 0, MOST))
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        shape = self.normalized_shape
        self.register_parameter("weight", Drawn(shape, fill=1.0) if elementwise_affine else None)
        self.register_parameter("bias", Drawn(shape) if elementwise_affine and bias else None)

    def forward(self, input: Any) -> Any:
        """Return the normalised `input`."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self._parameters.get('bias') is not None}"
        )


class RMSNorm(Module):
    """Division by the root mean square of the last dimensions (arXiv:1910.07467): `torch.nn.RMSNorm`.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        Sizes of the dimensions over which the mean is taken.
    eps : float, optional
        Added to the mean square; by default the distance from 1 to the next float32.
    elementwise_affine : bool
        Whether there is a weight for each element.

    Attributes
    ----------
    weight : Parameter, (*normalized_shape), or None
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.to(device=device, dtype=dtype)
        sizes = [normalized_shape] if isinstance(normalized_shape, int | np.integer) else normalized_shape
        self.normalized_shape = tuple(integers(sizes, "RMSNorm: normalized_shape", 0, MOST))
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        shape = self.normalized_shape
        self.register_parameter("weight", Drawn(shape, fill=1.0) if elementwise_affine else None)

    def forward(self, input: Any) -> Any:
        """Return the normalised `input`."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LocalResponseNorm(Module):
    """Division by the mean square of `size` neighbouring channels: `torch.nn.LocalResponseNorm`."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Any) -> Any:
        """Return ``input / (k + alpha * mean square) ** beta``."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
