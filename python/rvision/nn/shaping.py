"""Layers that compute nothing at inference, or only move values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rvision._trace import Traced
from rvision.nn import _functions
from rvision.nn import functional as F
from rvision.nn.module import Module

__all__ = [
    "AlphaDropout",
    "ChannelShuffle",
    "CosineSimilarity",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
    "Flatten",
    "Identity",
    "PairwiseDistance",
    "PixelShuffle",
    "PixelUnshuffle",
    "Unflatten",
    "Unfold",
]

Pair = int | Sequence[int]


class Dropout(Module):
    """The identity at inference: `torch.nn.Dropout`.

    Parameters
    ----------
    p : float
        Probability with which training drops a value.
    inplace : bool
        Only shown; it has no effect, since the input is returned either way.

    Examples
    --------
    >>> nn.Dropout(0.5)(np.ones((1, 3), np.float32)).tolist()
    [[1.0, 1.0, 1.0]]
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        F.check_probability(p, type(self).__name__)
        self.p = p
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        """Return `input`."""
        return F.dropout(input, self.p, training=False)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout1d(Dropout):
    """Nothing at inference; training drops whole channels: `torch.nn.Dropout1d`."""

    def forward(self, input: Any) -> Any:
        """Return `input`."""
        return F.dropout1d(input, self.p, training=False)


class Dropout3d(Dropout):
    """Nothing at inference; training drops whole channels: `torch.nn.Dropout3d`."""

    def forward(self, input: Any) -> Any:
        """Return `input`."""
        return F.dropout3d(input, self.p, training=False)


class AlphaDropout(Dropout):
    """Nothing at inference; training keeps the mean and variance: `torch.nn.AlphaDropout`."""

    def forward(self, input: Any) -> Any:
        """Return `input`."""
        return F.alpha_dropout(input, self.p)


class FeatureAlphaDropout(Dropout):
    """Nothing at inference; training masks whole channels: `torch.nn.FeatureAlphaDropout`."""

    def forward(self, input: Any) -> Any:
        """Return `input`."""
        return F.feature_alpha_dropout(input, self.p)


class Dropout2d(Dropout):
    """The identity at inference; training drops whole channels: `torch.nn.Dropout2d`."""

    def forward(self, input: Any) -> Any:
        """Return `input`."""
        return F.dropout2d(input, self.p, training=False)


class Identity(Module):
    """The input: `torch.nn.Identity`. Takes any arguments and ignores them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        """Return `input`."""
        return input.emit("identity", "identity") if isinstance(input, Traced) else input


class Flatten(Module):
    """Merges the dimensions `start_dim` to `end_dim`: `torch.nn.Flatten`.

    Examples
    --------
    >>> nn.Flatten()(np.zeros((2, 3, 4, 5), np.float32)).shape
    (2, 60)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Any) -> Any:
        """Return the flattened `input`."""
        return _functions.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits one dimension into several: `torch.nn.Unflatten`. One of the sizes may be -1."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Any) -> Any:
        """Return `input` with the dimension split."""
        return _functions.unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class PixelShuffle(Module):
    """Channels turned into pixels (Shi et al., arXiv:1609.05158): `torch.nn.PixelShuffle`."""

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Any) -> Any:
        """Return (..., C, H r, W r) for `input` (..., C r^2, H, W)."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """Return the argument."""
        return f"upscale_factor={self.upscale_factor}"


class ChannelShuffle(Module):
    """Channels dealt out of their groups (Zhang et al., arXiv:1707.01083): `torch.nn.ChannelShuffle`."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Any) -> Any:
        """Return (N, C, ...) for `input` (N, C, ...)."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        """Return the argument."""
        return f"groups={self.groups}"


class Unfold(Module):
    """The windows of pictures as columns, (N, C, H, W) to (N, C kH kW, windows): `torch.nn.Unfold`.

    Parameters
    ----------
    kernel_size, dilation, padding, stride
        As for :class:`Conv2d`.
    """

    _spatial = True

    def __init__(self, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Any) -> Any:
        """Return the columns."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along `dim`: `torch.nn.CosineSimilarity`."""

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Any, x2: Any) -> Any:
        """Return the similarities."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of the difference over the last dimension: `torch.nn.PairwiseDistance`."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Any, x2: Any) -> Any:
        """Return the distances."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class PixelUnshuffle(Module):
    """Pixels turned into channels: `torch.nn.PixelUnshuffle`."""

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Any) -> Any:
        """Return (..., C r^2, H, W) for `input` (..., C, H r, W r)."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """Return the argument."""
        return f"downscale_factor={self.downscale_factor}"
