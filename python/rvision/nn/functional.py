"""Operations as functions: torch's `nn.functional`, for inference.

Each takes arrays and returns an array, or takes symbols of a network that is being traced and adds a node
to its graph; the layers of :mod:`rvision.nn` call these. Signatures are torch's. Inputs of convolutions and
pools are pictures (N, C, H, W), or (C, H, W) for one.

With `inplace=True`, and in functions whose names end with an underscore, the result replaces the
input, as in torch: a symbol is rebound to it, so everything that holds the symbol sees the result;
an array is overwritten, and must be a writable float32 NumPy array, else
:class:`~rvision.UnsupportedError` is raised.

Weights given as arrays are packed for that call; those of a layer, and any `nn.Parameter`, only once.

Raises of all functions: :class:`~rvision.ShapeError` for shapes that do not fit, :class:`TypeError` for
inputs that are not floats, :class:`~rvision.UnsupportedError` for what only training does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from rvision._frames import warn
from rvision._numbers import MOST, integer, integers, real
from rvision._trace import Symbol
from rvision.errors import ArgumentError, ShapeError, UnsupportedError
from rvision.nn import _absent
from rvision.nn._attend import scaled_dot_product_attention
from rvision.nn._distances import cosine_similarity, pairwise_distance
from rvision.nn._operation import Pair, handle_of, operation, pair, replaced, resized_pictures, with_fixed
from rvision.nn._pad import pad, sides
from rvision.nn._pointwise import (
    glu,
    hardshrink,
    rrelu,
    rrelu_,
    softmin,
    softshrink,
    tanhshrink,
    threshold,
    threshold_,
)
from rvision.nn._shuffle import channel_shuffle, pixel_shuffle, pixel_unshuffle, unfold
from rvision.nn._windows import (
    adaptive_avg_pool2d,
    adaptive_max_pool2d,
    avg_pool2d,
    interpolate,
    local_response_norm,
    lp_pool2d,
    max_pool2d,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "alpha_dropout",
    "avg_pool2d",
    "batch_norm",
    "celu",
    "celu_",
    "channel_shuffle",
    "conv2d",
    "conv_transpose2d",
    "cosine_similarity",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "elu_",
    "feature_alpha_dropout",
    "gelu",
    "glu",
    "group_norm",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "instance_norm",
    "interpolate",
    "layer_norm",
    "leaky_relu",
    "leaky_relu_",
    "linear",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "lp_pool2d",
    "max_pool2d",
    "mish",
    "normalize",
    "pad",
    "pairwise_distance",
    "pixel_shuffle",
    "pixel_unshuffle",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "rms_norm",
    "rrelu",
    "rrelu_",
    "scaled_dot_product_attention",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
    "unfold",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]


# ---- layers with weights ----


@operation(spatial=True)
def conv2d(
    input: Any,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Any:
    """Convolve pictures.

    Parameters
    ----------
    input : array_like, (N, C, H, W)
        Pictures.
    weight : array_like, (C', C / groups, kH, kW)
        Kernels.
    bias : array_like, (C',), optional
        Added to each output channel.
    stride, dilation : int or two of them
        Vertical and horizontal.
    padding : int, two of them, or str
        Zeros on each side; ``"valid"`` means none, ``"same"`` (at stride 1) keeps the size,
        ``"same_upper"`` is TensorFlow's 'same': an output of ``ceil(size / stride)``, with the odd
        zero below and to the right.
    groups : int
        Number of independent groups of channels.

    Returns
    -------
    ndarray, (N, C', H', W')
        ``H' = (H + padding - dilation * (kH - 1) - 1) // stride + 1``.

    Examples
    --------
    >>> F.conv2d(np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 3, 3), np.float32)).tolist()
    [[[[9.0, 9.0], [9.0, 9.0]]]]
    """
    where = f"{input.tracer.where}: conv2d"
    handle = handle_of(weight, input, "the weight of conv2d")
    if handle is None or len(handle.shape) != 4:
        shape = None if handle is None else tuple(handle.shape)
        raise ShapeError(f"{where}: the weight must have shape (C', C / groups, kH, kW), got {shape}")
    steps = pair(stride, f"{where}: stride", 1)
    spread = pair(dilation, f"{where}: dilation", 1)
    around = sides(padding, handle.shape[2:], steps, spread, where)
    reach = [d * (k - 1) for k, d in zip(handle.shape[2:], spread, strict=True)]
    same = steps == (1, 1) and (
        around == "same_upper" or [around[0] + around[2], around[1] + around[3]] == reach
    )
    fixed = with_fixed(input, min(1, input.ndim - 1))
    return input.emit(
        "conv2d",
        "conv2d",
        handle,
        handle_of(bias, input, "the bias of conv2d"),
        steps,
        around,
        spread,
        integer(groups, f"{where}: groups", 1, MOST),
        fixed=fixed if same else resized_pictures(fixed),
    )


@operation(spatial=True)
def conv_transpose2d(
    input: Any,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
) -> Any:
    """Convolve pictures with the transpose of a convolution: each input pixel adds its kernel to the output.

    Parameters
    ----------
    input : array_like, (N, C, H, W)
        Pictures.
    weight : array_like, (C, C' / groups, kH, kW)
        Kernels.
    bias : array_like, (C',), optional
        Added to each output channel.
    stride : int or two of them
        Vertical and horizontal distance in the output between the kernels of neighbouring input pixels.
    padding : int or two of them
        Rows and columns that are cut off the output on each side.
    output_padding : int or two of them
        Rows that the output has more below, and columns to the right; less than `stride` or `dilation`.
    groups : int
        Number of independent groups of channels.
    dilation : int or two of them
        Vertical and horizontal.

    Returns
    -------
    ndarray, (N, C', H', W')
        ``H' = (H - 1) * stride - 2 * padding + dilation * (kH - 1) + output_padding + 1``.
    """
    where = f"{input.tracer.where}: conv_transpose2d"
    handle = handle_of(weight, input, "the weight of conv_transpose2d")
    if handle is None or len(handle.shape) != 4:
        shape = None if handle is None else tuple(handle.shape)
        raise ShapeError(f"{where}: the weight must have shape (C, C' / groups, kH, kW), got {shape}")
    steps = pair(stride, f"{where}: stride", 1)
    around = pair(padding, f"{where}: padding")
    more = pair(output_padding, f"{where}: output_padding")
    spread = pair(dilation, f"{where}: dilation", 1)
    reach = [d * (k - 1) + m for k, d, m in zip(handle.shape[2:], spread, more, strict=True)]
    same = steps == (1, 1) and [2 * p for p in around] == reach
    fixed = with_fixed(input, min(1, input.ndim - 1))
    return input.emit(
        "conv_transpose2d",
        "conv_transpose2d",
        handle,
        handle_of(bias, input, "the bias of conv_transpose2d"),
        steps,
        around,
        more,
        spread,
        integer(groups, f"{where}: groups", 1, MOST),
        fixed=fixed if same else resized_pictures(fixed),
    )


@operation()
def linear(input: Any, weight: ArrayLike, bias: ArrayLike | None = None) -> Any:
    """Return ``input @ weight.T + bias``: (..., in) with a weight (out, in) to (..., out)."""
    return input.emit(
        "linear",
        "linear",
        handle_of(weight, input, "the weight of linear"),
        handle_of(bias, input, "the bias of linear"),
        fixed=with_fixed(input, -1),
    )


@operation()
def batch_norm(
    input: Any,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalise each channel by given statistics: ``(x - mean) / sqrt(var + eps) * weight + bias``.

    `input` is (N, C), (N, C, L) or (N, C, H, W); all four are (C,). `momentum` is for training and does
    nothing.
    """
    if training or running_mean is None or running_var is None:
        raise UnsupportedError(
            f"{input.tracer.where}: batch_norm by the statistics of the batch is for training; "
            "running_mean and running_var are needed"
        )
    return input.emit(
        "batch_norm",
        "batch_norm",
        handle_of(weight, input, "the weight of batch_norm"),
        handle_of(bias, input, "the bias of batch_norm"),
        handle_of(running_mean, input, "running_mean"),
        handle_of(running_var, input, "running_var"),
        real(eps, f"{input.tracer.where}: batch_norm: eps"),
    )


# ---- pointwise functions ----


@operation()
def relu(input: Any, inplace: bool = False) -> Any:
    """Return ``max(x, 0)``.

    Examples
    --------
    >>> F.relu(np.float32([-1, 2])).tolist()
    [0.0, 2.0]
    """
    return replaced(input, input.activation("relu", "relu"), inplace, "relu")


@operation()
def relu6(input: Any, inplace: bool = False) -> Any:
    """Return ``min(max(x, 0), 6)``."""
    return replaced(input, input.activation("relu6", "clamp", 0.0, 6.0), inplace, "relu6")


@operation()
def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """Return x where it is positive, and ``negative_slope * x`` elsewhere."""
    result = input.activation("leaky_relu", "leaky_relu", negative_slope)
    return replaced(input, result, inplace, "leaky_relu")


@operation()
def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """Limit values to `min_val` .. `max_val`."""
    if min_val > max_val:
        raise ArgumentError(f"{input.tracer.where}: hardtanh: min_val {min_val} is above max_val {max_val}")
    return replaced(input, input.activation("hardtanh", "clamp", min_val, max_val), inplace, "hardtanh")


@operation()
def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """Return x where it is positive, and ``alpha * (exp(x) - 1)`` elsewhere (arXiv:1511.07289)."""
    return replaced(input, input.activation("elu", "elu", alpha), inplace, "elu")


@operation()
def selu(input: Any, inplace: bool = False) -> Any:
    """Return a scaled :func:`elu`, whose two factors are fixed (Klambauer et al., arXiv:1706.02515)."""
    return replaced(input, input.activation("selu", "selu"), inplace, "selu")


@operation()
def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """Return x where it is positive, and ``alpha * (exp(x / alpha) - 1)`` elsewhere (arXiv:1704.07483)."""
    return replaced(input, input.activation("celu", "celu", alpha), inplace, "celu")


@operation()
def mish(input: Any, inplace: bool = False) -> Any:
    """Return ``x * tanh(softplus(x))`` (Misra, arXiv:1908.08681)."""
    return replaced(input, input.activation("mish", "mish"), inplace, "mish")


@operation()
def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """Return ``log(1 + exp(beta * x)) / beta``, and x itself where ``beta * x`` is above `threshold`."""
    return input.activation("softplus", "softplus", beta, threshold)


@operation()
def logsigmoid(input: Any) -> Any:
    """Return ``log(1 / (1 + exp(-x)))``."""
    return -softplus(-input)


@operation()
def softsign(input: Any) -> Any:
    """Return ``x / (1 + |x|)``."""
    return input.activation("softsign", "softsign")


def elu_(input: Any, alpha: float = 1.0) -> Any:
    """Apply :func:`elu` in place."""
    return elu(input, alpha, inplace=True)


def selu_(input: Any) -> Any:
    """Apply :func:`selu` in place."""
    return selu(input, inplace=True)


def celu_(input: Any, alpha: float = 1.0) -> Any:
    """Apply :func:`celu` in place."""
    return celu(input, alpha, inplace=True)


def relu_(input: Any) -> Any:
    """Apply :func:`relu` in place."""
    return relu(input, inplace=True)


def leaky_relu_(input: Any, negative_slope: float = 0.01) -> Any:
    """Apply :func:`leaky_relu` in place."""
    return leaky_relu(input, negative_slope, inplace=True)


def hardtanh_(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """Apply :func:`hardtanh` in place."""
    return hardtanh(input, min_val, max_val, inplace=True)


@operation()
def prelu(input: Any, weight: ArrayLike) -> Any:
    """Return x where it is positive, and ``weight * x`` elsewhere; one weight, or one per channel."""
    return input.emit("prelu", "prelu", handle_of(weight, input, "the weight of prelu"))


@operation()
def tanh(input: Any) -> Any:
    """Return the hyperbolic tangent."""
    return input.activation("tanh", "tanh")


@operation()
def sigmoid(input: Any) -> Any:
    """Return ``1 / (1 + exp(-x))``."""
    return input.activation("sigmoid", "sigmoid")


@operation()
def hardswish(input: Any, inplace: bool = False) -> Any:
    """Return ``x * relu6(x + 3) / 6`` ("Searching for MobileNetV3", arXiv:1905.02244)."""
    return replaced(input, input.activation("hardswish", "hardswish"), inplace, "hardswish")


@operation()
def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    """Return ``relu6(x + 3) / 6``."""
    return replaced(input, input.activation("hardsigmoid", "hardsigmoid"), inplace, "hardsigmoid")


@operation()
def silu(input: Any, inplace: bool = False) -> Any:
    """Return ``x * sigmoid(x)``."""
    return replaced(input, input.activation("silu", "silu"), inplace, "silu")


@operation()
def gelu(input: Any, approximate: str = "none") -> Any:
    """Return x times the normal distribution function of x; `approximate` is "none" or "tanh"."""
    kinds = {"none": "gelu", "tanh": "gelu_tanh"}
    if approximate not in kinds:
        raise ArgumentError(
            f"{input.tracer.where}: gelu: approximate must be 'none' or 'tanh', got {approximate!r}"
        )
    return input.activation("gelu", kinds[approximate])


@operation()
def layer_norm(
    input: Any,
    normalized_shape: Sequence[int],
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> Any:
    """Normalise the last dimensions (Ba et al. 2016): ``(x - mean) / sqrt(variance + eps) * weight + bias``.

    Parameters
    ----------
    input : array_like, (..., *normalized_shape)
        Values.
    normalized_shape : sequence of int
        Sizes of the dimensions over which mean and variance are taken.
    weight, bias : array_like, (*normalized_shape), optional
        By default 1 and 0.
    eps : float
        Added to the variance.
    """
    where = f"{input.tracer.where}: layer_norm"
    return input.emit(
        "layer_norm",
        "layer_norm",
        integers(normalized_shape, f"{where}: normalized_shape", 0),
        handle_of(weight, input, "the weight of layer_norm"),
        handle_of(bias, input, "the bias of layer_norm"),
        real(eps, f"{where}: eps"),
    )


@operation()
def rms_norm(
    input: Any,
    normalized_shape: Sequence[int],
    weight: ArrayLike | None = None,
    eps: float | None = None,
) -> Any:
    """Divide by the root of the mean square of the last dimensions (Zhang and Sennrich, arXiv:1910.07467).

    Parameters
    ----------
    input : array_like, (..., *normalized_shape)
        Values.
    normalized_shape : sequence of int
        Sizes of the dimensions over which the mean is taken.
    weight : array_like, (*normalized_shape), optional
        Factors; without them 1.
    eps : float, optional
        Added to the mean square; by default the distance from 1 to the next float32.
    """
    where = f"{input.tracer.where}: rms_norm"
    sizes = tuple(integers(normalized_shape, f"{where}: normalized_shape", 0))
    if not sizes or input.ndim < len(sizes) or input.traced_shape[-len(sizes) :] != sizes:
        raise ShapeError(f"{where}: expected an input (..., *{sizes}), got {input.traced_shape}")
    if weight is not None and tuple(np.shape(weight)) != sizes:
        raise ShapeError(f"{where}: expected a weight of shape {sizes}, got {tuple(np.shape(weight))}")
    floor = float(np.finfo(np.float32).eps) if eps is None else real(eps, f"{where}: eps")
    squares = (input * input).mean(tuple(range(-len(sizes), 0)), keepdim=True)
    result = input / (squares + floor).sqrt()
    return result if weight is None else result * weight


@operation()
def group_norm(
    input: Any,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> Any:
    """Normalise groups of channels, picture by picture (Wu and He, arXiv:1803.08494).

    Parameters
    ----------
    input : array_like, (N, C, ...)
        Values.
    num_groups : int
        Number of channel groups; each is normalised by the mean and variance of its values in a
        picture.
    weight, bias : array_like, (C,), optional
        By default 1 and 0.
    eps : float
        Added to the variance.
    """
    where = f"{input.tracer.where}: group_norm"
    return input.emit(
        "group_norm",
        "group_norm",
        integer(num_groups, f"{where}: num_groups", 1, MOST),
        handle_of(weight, input, "the weight of group_norm"),
        handle_of(bias, input, "the bias of group_norm"),
        real(eps, f"{where}: eps"),
    )


@operation()
def instance_norm(
    input: Any,
    running_mean: ArrayLike | None = None,
    running_var: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalise each channel of each picture (Ulyanov et al., arXiv:1607.08022).

    Parameters
    ----------
    input : array_like, (N, C, ...)
        Values.
    running_mean, running_var : array_like, (C,), optional
        Statistics used instead of the picture's own if `use_input_stats` is false.
    weight, bias : array_like, (C,), optional
        By default 1 and 0.
    use_input_stats : bool
        Whether to use the mean and variance of the picture.
    momentum : float
        For training; not used.
    eps : float
        Added to the variance.
    """
    where = f"{input.tracer.where}: instance_norm"
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ArgumentError(f"{where}: without use_input_stats, running_mean and running_var are needed")
        return input.emit(
            "batch_norm",
            "instance_norm",
            handle_of(weight, input, "the weight of instance_norm"),
            handle_of(bias, input, "the bias of instance_norm"),
            handle_of(running_mean, input, "running_mean"),
            handle_of(running_var, input, "running_var"),
            real(eps, f"{where}: eps"),
        )
    return input.emit(
        "group_norm",
        "instance_norm",
        None,
        handle_of(weight, input, "the weight of instance_norm"),
        handle_of(bias, input, "the bias of instance_norm"),
        real(eps, f"{where}: eps"),
    )


@operation()
def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    """Divide by the Euclidean norm along `dim`, but at least by `eps`. `p` can only be 2."""
    if p != 2:
        raise UnsupportedError(f"{input.tracer.where}: normalize: p={p} is not supported, only 2")
    return input.emit(
        "normalize", "normalize", input.axis(dim), real(eps, f"{input.tracer.where}: normalize: eps")
    )


def _softmax(input: Symbol, dim: int | None, log: bool) -> Symbol:
    label = "log_softmax" if log else "softmax"
    if dim is None:
        dim = 0 if input.ndim in (0, 1, 3) else 1
        warn(f"{label} without dim is deprecated, as in torch; pass dim={dim}")
    return input.emit("softmax", label, input.axis(dim), log)


@operation()
def softmax(input: Any, dim: int | None = None) -> Any:
    """Return ``exp(x)`` divided by its sum along `dim`.

    Examples
    --------
    >>> F.softmax(np.zeros((1, 4), np.float32), 1).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    return _softmax(input, dim, log=False)


@operation()
def log_softmax(input: Any, dim: int | None = None) -> Any:
    """Return the logarithm of :func:`softmax`."""
    return _softmax(input, dim, log=True)


# ---- the rest ----


def _dropout(input: Symbol, name: str, p: float, training: bool) -> Symbol:
    check_probability(p, f"{input.tracer.where}: {name}")
    if training:
        raise UnsupportedError(
            f"{input.tracer.where}: {name} with training=True (torch's default here) draws random numbers; "
            "rvision is for inference only, pass training=self.training"
        )
    # torch returns the input itself, in place or not: the node's value is a view of it.
    return input.emit("identity", name)


def check_probability(p: float, where: str) -> None:
    """Raise ArgumentError unless `p` is a probability."""
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"{where}: the probability must be between 0 and 1, got {p}")


@operation()
def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Return `input`: dropout does nothing at inference. `training` must be given as False."""
    return _dropout(input, "dropout", p, training)


@operation()
def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Return `input`: dropout does nothing at inference. `training` must be given as False."""
    return _dropout(input, "dropout2d", p, training)


@operation()
def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Return `input`: dropout does nothing at inference. `training` must be given as False."""
    return _dropout(input, "dropout1d", p, training)


@operation()
def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Return `input`: dropout does nothing at inference. `training` must be given as False."""
    return _dropout(input, "dropout3d", p, training)


@operation()
def alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """Return `input`: dropout does nothing at inference."""
    return _dropout(input, "alpha_dropout", p, training)


@operation()
def feature_alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """Return `input`: dropout does nothing at inference."""
    return _dropout(input, "feature_alpha_dropout", p, training)


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(_absent.message("nn.functional", name))
