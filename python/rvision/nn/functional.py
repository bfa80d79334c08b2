"""Operations as functions: torch's `nn.functional`, for inference.

Each takes arrays and returns an array, or takes symbols of a network that is being traced and adds a node
to its graph; the layers of :mod:`rvision.nn` call these. Signatures are torch's. Inputs of convolutions and
pools are pictures (N, C, H, W), or (C, H, W) for one.

With `inplace=True`, and under a name that ends with an underscore, the result replaces the input, as in
torch: a symbol stands for it from then on, for all that hold the symbol, and into an array it is written;
that must be a writable float32 NumPy array, else :class:`~rvision.UnsupportedError` is raised.

Weights given as arrays are packed for that call; those of a layer, and any `nn.Parameter`, only once.

Raises of all functions: :class:`~rvision.ShapeError` for shapes that do not fit, :class:`TypeError` for
inputs that are not floats, :class:`~rvision.UnsupportedError` for what only training does.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from rvision import _alias, _rvision
from rvision._frames import hide_frames, warn
from rvision._numbers import MOST, integer, integers, real
from rvision._sizes import Flag, broadcast_flags, resized
from rvision._trace import Symbol
from rvision.errors import ArgumentError, ShapeError, UnsupportedError
from rvision.nn import _run
from rvision.nn.parameter import Constant, to_float32

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "avg_pool2d",
    "batch_norm",
    "conv2d",
    "dropout",
    "dropout2d",
    "gelu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "layer_norm",
    "leaky_relu",
    "leaky_relu_",
    "linear",
    "local_response_norm",
    "log_softmax",
    "max_pool2d",
    "normalize",
    "pad",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "softmax",
    "tanh",
]

Pair = int | Sequence[int]
F = TypeVar("F", bound=Callable[..., Any])


def _operation(spatial: bool = False) -> Callable[[F], F]:
    """Let a function of a symbol also take an array, by way of a graph of its own."""

    def decorate(function: F) -> F:
        names = list(inspect.signature(function).parameters)
        place = names.index("inplace") - 1 if "inplace" in names else None

        @functools.wraps(function)
        def either(input: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(input, Symbol):
                batch = _batch_of_one(input) if spatial else None
                if batch is None:
                    return function(input, *args, **kwargs)
                result = function(batch, *args, **kwargs)
                return _as_node(result, "flatten", "getitem", 0, 1, fixed=result.fixed[1:])
            inplace = False
            if place is not None:
                inplace = args[place] if len(args) > place else kwargs.get("inplace", False)
            try:
                if inplace:
                    check_writable(input, function.__name__)
                output = _run.call_function(
                    lambda symbol: function(symbol, *args, **kwargs), [input], spatial
                )
            except Exception as error:
                hide_frames(error)
                raise
            if not inplace:
                return output
            np.copyto(input, output)
            return input

        return either  # type: ignore[return-value]

    return decorate


def check_writable(array: Any, name: str) -> None:
    """Raise UnsupportedError unless an operation in place can write its result into `array`."""
    if not isinstance(array, np.ndarray):
        found = type(array).__name__
    elif array.dtype != np.float32:
        found = f"an array of {array.dtype}"
    elif not array.flags.writeable:
        found = f"a {type(array).__name__}" if isinstance(array, Constant) else "an array"
        found += " that cannot be written to"
    else:
        return
    raise UnsupportedError(
        f"{name}: expected a writable float32 NumPy array, into which the result is written in place, got "
        f"{found}; leave `inplace` out and use the result"
    )


def _replaced(input: Symbol, result: Symbol, inplace: bool, name: str) -> Symbol:
    """Return a function's result; in place the input stands for it."""
    return input.become(result, name) if inplace else result


def _batch_of_one(input: Symbol) -> Symbol | None:
    """Return a value (C, H, W) with the batch dimension that the engine's layers for pictures need.

    None says that `input` has one, or has got one: it is the network's own input, and all of the network
    then sees a batch.
    """
    input.tracer.takes_picture(input)
    if input.ndim != 3:
        return None
    return _as_node(input, "unflatten", "unsqueeze", 0, [1, -1], fixed=(True, *input.fixed))


def _as_node(symbol: Symbol, method: str, label: str, *attributes: Any, fixed: Sequence[Flag]) -> Symbol:
    """Add a node that is a part of a layer, beside the one that has the layer's name."""
    tracer = symbol.tracer
    add = getattr(tracer.builder, method)
    value = add(tracer.side_name(label), symbol.value_of(tracer), *attributes)
    return Symbol(tracer, value, tuple(fixed), _alias.joined((symbol,)))


def pair(value: Any, where: str, least: int = 0) -> tuple[int, int]:
    """Return one number for height and width, or one for each, as two.

    Raises
    ------
    ArgumentError
        If that is not what `value` is, or a number is below `least` or above what any picture has.
    """
    if isinstance(value, int | np.integer):
        both = (value, value)
    else:
        both = tuple(value) if hasattr(value, "__iter__") else ()
    if len(both) == 1:
        both *= 2
    if len(both) != 2 or any(
        not isinstance(v, int | np.integer) or isinstance(v, bool) or v < least for v in both
    ):
        raise ArgumentError(f"{where} must be an integer of at least {least} or two of them, got {value!r}")
    if max(both) > MOST:
        raise ArgumentError(f"{where} must be at most {MOST}, got {value!r}")
    return int(both[0]), int(both[1])


def _handle(value: ArrayLike | None, symbol: Symbol, what: str) -> _rvision.Parameter | None:
    """Return the engine's handle of a weight; a new one unless the array belongs to a parameter."""
    if value is None:
        return None
    if isinstance(value, Constant) and value._handle is not None:
        return value._handle
    if isinstance(value, Symbol):
        raise UnsupportedError(
            f"{symbol.tracer.where}: {what} is computed from the network's inputs, which is not supported; "
            "weights must be parameters or arrays"
        )
    return _rvision.Parameter(to_float32(value))


def _with_fixed(symbol: Symbol, axis: int) -> list[Flag]:
    fixed = list(symbol.fixed)
    if fixed:
        fixed[axis] = True
    return fixed


# ---- layers with weights ----


@_operation(spatial=True)
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
        Zeros on each side; ``"valid"`` is none, ``"same"`` (at stride 1) what keeps the size,
        ``"same_upper"`` TensorFlow's 'same': what makes the output ``ceil(size / stride)`` with an odd zero
        below and to the right.
    groups : int
        Into how many independent groups channels are cut.

    Returns
    -------
    ndarray, (N, C', H', W')
        ``H' = (H + padding - dilation * (kH - 1) - 1) // stride + 1``.
    """
    where = f"{input.tracer.where}: conv2d"
    handle = _handle(weight, input, "the weight of conv2d")
    if handle is None or len(handle.shape) != 4:
        shape = None if handle is None else tuple(handle.shape)
        raise ShapeError(f"{where}: the weight must have shape (C', C / groups, kH, kW), got {shape}")
    steps = pair(stride, f"{where}: stride", 1)
    spread = pair(dilation, f"{where}: dilation", 1)
    around = _around(padding, handle.shape[2:], steps, spread, where)
    reach = [d * (k - 1) for k, d in zip(handle.shape[2:], spread, strict=True)]
    same = steps == (1, 1) and (
        around == "same_upper" or [around[0] + around[2], around[1] + around[3]] == reach
    )
    fixed = _with_fixed(input, min(1, input.ndim - 1))
    return input.emit(
        "conv2d",
        "conv2d",
        handle,
        _handle(bias, input, "the bias of conv2d"),
        steps,
        around,
        spread,
        integer(groups, f"{where}: groups", 1, MOST),
        fixed=fixed if same else _resized_pictures(fixed),
    )


def _resized_pictures(flags: Sequence[Flag]) -> list[Flag]:
    """Return the flags of pictures (N, C, H, W) after their height and width have changed."""
    return [*flags[:2], *(resized(flag) for flag in flags[2:])]


def _around(
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


@_operation()
def linear(input: Any, weight: ArrayLike, bias: ArrayLike | None = None) -> Any:
    """Return ``input @ weight.T + bias``: (..., in) with a weight (out, in) to (..., out)."""
    return input.emit(
        "linear",
        "linear",
        _handle(weight, input, "the weight of linear"),
        _handle(bias, input, "the bias of linear"),
        fixed=_with_fixed(input, -1),
    )


@_operation()
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
        _handle(weight, input, "the weight of batch_norm"),
        _handle(bias, input, "the bias of batch_norm"),
        _handle(running_mean, input, "running_mean"),
        _handle(running_var, input, "running_var"),
        real(eps, f"{input.tracer.where}: batch_norm: eps"),
    )


# ---- pointwise functions ----


@_operation()
def relu(input: Any, inplace: bool = False) -> Any:
    """Return ``max(x, 0)``."""
    return _replaced(input, input.activation("relu", "relu"), inplace, "relu")


@_operation()
def relu6(input: Any, inplace: bool = False) -> Any:
    """Return ``min(max(x, 0), 6)``."""
    return _replaced(input, input.activation("relu6", "clamp", 0.0, 6.0), inplace, "relu6")


@_operation()
def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """Return x where it is positive, and ``negative_slope * x`` elsewhere."""
    result = input.activation("leaky_relu", "leaky_relu", negative_slope)
    return _replaced(input, result, inplace, "leaky_relu")


@_operation()
def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """Limit values to `min_val` .. `max_val`."""
    if min_val > max_val:
        raise ArgumentError(f"{input.tracer.where}: hardtanh: min_val {min_val} is above max_val {max_val}")
    return _replaced(input, input.activation("hardtanh", "clamp", min_val, max_val), inplace, "hardtanh")


def relu_(input: Any) -> Any:
    """Apply :func:`relu` in place."""
    return relu(input, inplace=True)


def leaky_relu_(input: Any, negative_slope: float = 0.01) -> Any:
    """Apply :func:`leaky_relu` in place."""
    return leaky_relu(input, negative_slope, inplace=True)


def hardtanh_(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """Apply :func:`hardtanh` in place."""
    return hardtanh(input, min_val, max_val, inplace=True)


@_operation()
def prelu(input: Any, weight: ArrayLike) -> Any:
    """Return x where it is positive, and ``weight * x`` elsewhere; one weight, or one per channel."""
    return input.emit("prelu", "prelu", _handle(weight, input, "the weight of prelu"))


@_operation()
def tanh(input: Any) -> Any:
    """Return the hyperbolic tangent."""
    return input.activation("tanh", "tanh")


@_operation()
def sigmoid(input: Any) -> Any:
    """Return ``1 / (1 + exp(-x))``."""
    return input.activation("sigmoid", "sigmoid")


@_operation()
def hardswish(input: Any, inplace: bool = False) -> Any:
    """Return ``x * relu6(x + 3) / 6`` ("Searching for MobileNetV3", arXiv:1905.02244)."""
    return _replaced(input, input.activation("hardswish", "hardswish"), inplace, "hardswish")


@_operation()
def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    """Return ``relu6(x + 3) / 6``."""
    return _replaced(input, input.activation("hardsigmoid", "hardsigmoid"), inplace, "hardsigmoid")


@_operation()
def silu(input: Any, inplace: bool = False) -> Any:
    """Return ``x * sigmoid(x)``."""
    return _replaced(input, input.activation("silu", "silu"), inplace, "silu")


@_operation()
def gelu(input: Any, approximate: str = "none") -> Any:
    """Return x times the normal distribution's share below x; `approximate` is "none" or "tanh"."""
    kinds = {"none": "gelu", "tanh": "gelu_tanh"}
    if approximate not in kinds:
        raise ArgumentError(
            f"{input.tracer.where}: gelu: approximate must be 'none' or 'tanh', got {approximate!r}"
        )
    return input.activation("gelu", kinds[approximate])


@_operation()
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
        Without them 1 and 0.
    eps : float
        Added to the variance.
    """
    where = f"{input.tracer.where}: layer_norm"
    return input.emit(
        "layer_norm",
        "layer_norm",
        integers(normalized_shape, f"{where}: normalized_shape", 0),
        _handle(weight, input, "the weight of layer_norm"),
        _handle(bias, input, "the bias of layer_norm"),
        real(eps, f"{where}: eps"),
    )


@_operation()
def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    """Divide by the Euclidean length along `dim`, but by nothing less than `eps`. `p` can only be 2."""
    if p != 2:
        raise UnsupportedError(f"{input.tracer.where}: normalize: p={p} is not supported, only 2")
    return input.emit(
        "normalize", "normalize", input.axis(dim), real(eps, f"{input.tracer.where}: normalize: eps")
    )


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
        Floats that are added to the scores, or bools of which False takes a key away from a query; anything
        that broadcasts to (..., L, S), and is not repeated in memory for that.
    dropout_p : float
        Only 0.
    is_causal : bool
        Whether a query sees the keys up to its own place only. Reads L and S.
    scale : float, optional
        Factor of the scores; ``1 / sqrt(E)`` by default.

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
    """Return a mask as a summand of scores: of bools False becomes negative infinity."""
    if mask is None or isinstance(mask, Symbol):
        return mask
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
        *values[:3],
        values[3] if len(values) > 3 else None,
        None if scale is None else real(scale, f"{tracer.where}: scale"),
    )
    leads: list[tuple[int, Flag]] = []
    for symbol in symbols[:3]:
        own = list(zip(symbol.traced_shape[:-2], symbol.fixed[:-2], strict=True))
        sizes = np.broadcast_shapes([size for size, _ in leads], [size for size, _ in own])
        leads = list(zip(sizes, broadcast_flags(leads, own), strict=True))
    return Symbol(tracer, result, (*(flag for _, flag in leads), query.fixed[-2], value.fixed[-1]))


def _softmax(input: Symbol, dim: int | None, log: bool) -> Symbol:
    label = "log_softmax" if log else "softmax"
    if dim is None:
        dim = 0 if input.ndim in (0, 1, 3) else 1
        warn(f"{label} without dim is deprecated, as in torch; pass dim={dim}")
    return input.emit("softmax", label, input.axis(dim), log)


@_operation()
def softmax(input: Any, dim: int | None = None) -> Any:
    """Return ``exp(x)`` divided by its sum along `dim`."""
    return _softmax(input, dim, log=False)


@_operation()
def log_softmax(input: Any, dim: int | None = None) -> Any:
    """Return the logarithm of :func:`softmax`."""
    return _softmax(input, dim, log=True)


# ---- pooling and neighbours ----


@_operation(spatial=True)
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
        Steps of the window; None is `kernel_size`.
    padding : int or two of them
        On each side, at most half of the kernel; never the largest.
    dilation : int or two of them
        Distance between the values of a window.
    ceil_mode : bool
        Whether a last window may hang over the edge.
    return_indices : bool
        Only False.
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
        fixed=_resized_pictures(input.fixed),
    )


@_operation(spatial=True)
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
        fixed=_resized_pictures(input.fixed),
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
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1


@_operation(spatial=True)
def adaptive_avg_pool2d(input: Any, output_size: int | Sequence[int | None] | None) -> Any:
    """Return averages of areas that cover a picture: (N, C, H, W) to (N, C, *output_size), larger or smaller.

    None in `output_size` keeps the input's.
    """
    return _adaptive(input, "adaptive_avg_pool2d", output_size)


@_operation(spatial=True)
def adaptive_max_pool2d(
    input: Any, output_size: int | Sequence[int | None] | None, return_indices: bool = False
) -> Any:
    """Return the largest values of areas that cover a picture: (N, C, H, W) to (N, C, *output_size).

    None in `output_size` keeps the input's. `return_indices` can only be False.
    """
    if return_indices:
        raise UnsupportedError(f"{input.tracer.where}: adaptive_max_pool2d does not return indices")
    return _adaptive(input, "adaptive_max_pool2d", output_size)


@_operation()
def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """Divide by ``(k + alpha * mean of x^2 over size neighbouring channels) ** beta`` (AlexNet's).

    `input` is (N, C, H, W), or (N, C, L): three dimensions are not one picture here, as in torch.
    """
    rows = input.ndim == 3
    if rows:
        input = _as_node(input, "unflatten", "unsqueeze", 2, [-1, 1], fixed=(*input.fixed, True))
    where = f"{input.tracer.where}: local_response_norm"
    attributes = (
        integer(size, f"{where}: size", 1, MOST),
        real(alpha, f"{where}: alpha"),
        real(beta, f"{where}: beta"),
        real(k, f"{where}: k"),
    )
    result = input.emit("local_response_norm", "local_response_norm", *attributes)
    return _as_node(result, "flatten", "getitem", 2, 3, fixed=result.fixed[:3]) if rows else result


# ---- the rest ----


def _dropout(input: Symbol, name: str, p: float, training: bool) -> Symbol:
    check_probability(p, f"{input.tracer.where}: {name}")
    if training:
        raise UnsupportedError(
            f"{input.tracer.where}: {name} with training=True (torch's default here) draws random numbers; "
            "rvision is for inference only, pass training=self.training"
        )
    # Torch returns the input itself, in place or not: the node's value is a view of it.
    return input.emit("identity", name)


def check_probability(p: float, where: str) -> None:
    """Raise ArgumentError unless `p` is a probability."""
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"{where}: the probability must be between 0 and 1, got {p}")


@_operation()
def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Return `input`: dropout does nothing at inference. `training` must be given as False."""
    return _dropout(input, "dropout", p, training)


@_operation()
def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Return `input`: dropout does nothing at inference. `training` must be given as False."""
    return _dropout(input, "dropout2d", p, training)


@_operation()
def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Put constants around an array.

    Parameters
    ----------
    input : array_like
        Of any shape.
    pad : sequence of int
        Elements before and after the last dimension, then before and after the one before it, and so on:
        (left, right, top, bottom) for pictures.
    mode : str
        Only ``"constant"``.
    value : float, optional
        The constant; 0 by default.
    """
    where = f"{input.tracer.where}: pad"
    if mode != "constant":
        raise UnsupportedError(f"{where}: mode {mode!r} is not supported, only 'constant'")
    amounts = integers(pad, where)
    if len(amounts) % 2 or len(amounts) > 2 * input.ndim:
        raise ShapeError(f"{where}: expected a pair for at most {input.ndim} dimensions, got {tuple(pad)}")
    if min(amounts, default=0) < 0:
        raise UnsupportedError(f"{where}: negative padding {tuple(pad)} is not supported; use a slice")
    pairs = [(0, 0)] * (input.ndim - len(amounts) // 2)
    pairs += [(amounts[i], amounts[i + 1]) for i in range(len(amounts) - 2, -1, -2)]
    fixed = [flag if pair == (0, 0) else resized(flag) for pair, flag in zip(pairs, input.fixed, strict=True)]
    return input.emit(
        "pad", "pad", pairs, 0.0 if value is None else real(value, f"{where}: value"), fixed=fixed
    )
