"""Layers with weights: convolutions and fully connected ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rvision._numbers import MOST, integer
from rvision._trace import Symbol
from rvision.errors import ArgumentError
from rvision.nn import functional as F
from rvision.nn._operation import pair
from rvision.nn._pad import EDGE_MODES, sides
from rvision.nn.module import Module
from rvision.nn.parameter import Drawn, Parameter

__all__ = ["Conv2d", "Conv2dSame", "ConvTranspose2d", "Linear"]


def _weight(layer: Module, input: Any, dim: int, groups: int = 1, inputs: int = 1) -> Any:
    """Return a layer's weight; zeros that take no memory if the input is about to be refused.

    The sizes of the weight's dimension `inputs` times `groups` and of the input's dimension `dim` must
    agree. Random weights of a large layer take seconds and gigabytes; a wrong shape should be reported
    before.
    """
    drawn = layer._parameters.get("weight")
    # The engine compares these sizes too. Not `traced_shape`, which would record that the input was
    # used.
    if (
        isinstance(drawn, Drawn)
        and isinstance(input, Symbol)
        and len(input._shape) >= -dim
        and input._shape[dim] != drawn.shape[inputs] * groups
    ):
        return Parameter.zeros(drawn.shape)
    return layer._constant("weight")


class Conv2d(Module):
    """Convolution of pictures, (N, C, H, W) to (N, C', H', W'): `torch.nn.Conv2d`.

    Parameters
    ----------
    in_channels, out_channels : int
        C and C'; both multiples of `groups`.
    kernel_size : int or two of them
        Height and width.
    stride, dilation : int or two of them
        Vertical and horizontal.
    padding : int, two of them, or str
        Rows and columns on each side, zeros unless `padding_mode` says otherwise; ``"valid"`` (none) or
        ``"same"`` (keeps the size; stride 1 only).
    groups : int
        Number of independent groups of channels.
    bias : bool
        Whether to add a number to each output channel.
    padding_mode : str
        What the padding is: ``"zeros"``, or the input's own values by ``"reflect"``, ``"replicate"`` or
        ``"circular"``, see :func:`rvision.nn.functional.pad`.

    Attributes
    ----------
    weight : Parameter, (out_channels, in_channels / groups, kH, kW)
    bias : Parameter, (out_channels,), or None

    Examples
    --------
    >>> nn.Conv2d(3, 8, 3, stride=2, padding=1)(np.zeros((1, 3, 32, 32), np.float32)).shape
    (1, 8, 16, 16)
    """

    _spatial = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        in_channels = integer(in_channels, f"{name}: in_channels", 0, MOST)
        out_channels = integer(out_channels, f"{name}: out_channels", 0, MOST)
        groups = integer(groups, f"{name}: groups")
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{name}: in_channels and out_channels must be multiples of groups, "
                f"got {in_channels}, {out_channels} and {groups}"
            )
        if padding_mode != "zeros" and padding_mode not in EDGE_MODES:
            known = ", ".join(("zeros", *EDGE_MODES))
            raise ArgumentError(f"{name}: padding_mode must be one of {known}, got {padding_mode!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair(kernel_size, f"{name}: kernel_size", 1)
        self.stride = pair(stride, f"{name}: stride", 1)
        self.padding = padding if isinstance(padding, str) else pair(padding, f"{name}: padding")
        self.dilation = pair(dilation, f"{name}: dilation", 1)
        self.groups = groups
        self.padding_mode = padding_mode
        self._check_padding()
        self.to(device=device, dtype=dtype)
        height, width = self.kernel_size
        inputs = in_channels // groups
        shape = (out_channels, inputs, height, width)
        self.register_parameter("weight", Drawn(shape, fan_in=inputs * height * width))
        self.register_parameter("bias", Drawn((out_channels,)) if bias else None)

    def _check_padding(self) -> None:
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ArgumentError(
                    f"{type(self).__name__}: padding must be numbers, 'same' or 'valid', got {self.padding!r}"
                )
            if self.padding == "same" and self.stride != (1, 1):
                raise ArgumentError(
                    f"{type(self).__name__}: padding='same' needs stride 1, got {self.stride}"
                )

    def forward(self, input: Any) -> Any:
        """Return the convolution of `input`."""
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = self._padded(input), 0
        return F.conv2d(
            input,
            _weight(self, input, -3, self.groups),
            self.bias,
            self.stride,
            padding,
            self.dilation,
            self.groups,
        )

    def _padded(self, input: Any) -> Any:
        """Return `input` with its own values around it."""
        where = type(self).__name__
        top, left, bottom, right = sides(self.padding, self.kernel_size, self.stride, self.dilation, where)
        amounts = (left, right, top, bottom)
        if not any(amounts):
            return input
        if not isinstance(input, Symbol):
            return F.pad(input, amounts, self.padding_mode)
        # The layer's name is the convolution's.
        with input.tracer.aside():
            return F.pad(input, amounts, self.padding_mode)

    def extra_repr(self) -> str:
        """Return the arguments that are not torch's defaults, after the first four."""
        parts = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]
        if self.padding != (0, 0):
            parts.append(f"padding={self.padding}")
        if self.dilation != (1, 1):
            parts.append(f"dilation={self.dilation}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self._parameters.get("bias") is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class Conv2dSame(Conv2d):
    """Convolution padded as TensorFlow's 'same', (N, C, H, W) to (N, C', ceil(H/stride), ceil(W/stride)).

    The padding depends on the input: the least that gives this size, with the odd zero below and to
    the right. So a 3x3 kernel at stride 2 pads an even size by (0, 1) and an odd one by (1, 1). It
    is timm's class, which ignores `padding`; here it can only be 0 or "same".
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        if padding != "same" and pair(padding, "Conv2dSame: padding") != (0, 0):
            raise ArgumentError(
                f"Conv2dSame: padding: follows the input, got {padding!r}; leave it out, or take Conv2d"
            )
        super().__init__(in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias)

    def forward(self, input: Any) -> Any:
        """Return the convolution of `input`."""
        return F.conv2d(
            input,
            _weight(self, input, -3, self.groups),
            self.bias,
            self.stride,
            "same_upper",
            self.dilation,
            self.groups,
        )


class ConvTranspose2d(Module):
    """Transposed convolution of pictures, (N, C, H, W) to (N, C', H', W'): `torch.nn.ConvTranspose2d`.

    Parameters
    ----------
    in_channels, out_channels : int
        C and C'; both multiples of `groups`.
    kernel_size : int or two of them
        Height and width.
    stride : int or two of them
        Vertical and horizontal distance in the output between the kernels of neighbouring input pixels.
    padding : int or two of them
        Rows and columns that are cut off the output on each side.
    output_padding : int or two of them
        Rows added at the bottom and columns added on the right of the output; less than `stride` or
        `dilation`.
    groups : int
        Number of independent groups of channels.
    bias : bool
        Whether to add a number to each output channel.
    dilation : int or two of them
        Vertical and horizontal.
    padding_mode : str
        Only ``"zeros"``, as in torch.

    Attributes
    ----------
    weight : Parameter, (in_channels, out_channels / groups, kH, kW)
    bias : Parameter, (out_channels,), or None
    """

    _spatial = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sequence[int] = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if padding_mode != "zeros":
            raise ArgumentError(f"{name}: padding_mode must be 'zeros', got {padding_mode!r}")
        in_channels = integer(in_channels, f"{name}: in_channels", 0, MOST)
        out_channels = integer(out_channels, f"{name}: out_channels", 0, MOST)
        groups = integer(groups, f"{name}: groups")
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{name}: in_channels and out_channels must be multiples of groups, "
                f"got {in_channels}, {out_channels} and {groups}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair(kernel_size, f"{name}: kernel_size", 1)
        self.stride = pair(stride, f"{name}: stride", 1)
        self.padding = pair(padding, f"{name}: padding")
        self.output_padding = pair(output_padding, f"{name}: output_padding")
        self.dilation = pair(dilation, f"{name}: dilation", 1)
        self.groups = groups
        self.padding_mode = padding_mode
        self.to(device=device, dtype=dtype)
        height, width = self.kernel_size
        outputs = out_channels // groups
        shape = (in_channels, outputs, height, width)
        self.register_parameter("weight", Drawn(shape, fan_in=outputs * height * width))
        self.register_parameter("bias", Drawn((out_channels,)) if bias else None)

    def forward(self, input: Any, output_size: Sequence[int] | None = None) -> Any:
        """Return the transposed convolution of `input`.

        Parameters
        ----------
        input : array_like, (N, C, H, W)
            Pictures.
        output_size : sequence of int, optional
            H' and W', or the whole shape: then `output_padding` follows from it. A stride larger than 1
            gives several sizes that a convolution would make `input` of.
        """
        return F.conv_transpose2d(
            input,
            _weight(self, input, -3, inputs=0),
            self.bias,
            self.stride,
            self.padding,
            self.output_padding if output_size is None else self._output_padding(input, output_size),
            self.groups,
            self.dilation,
        )

    def _output_padding(self, input: Symbol, output_size: Sequence[int]) -> tuple[int, ...]:
        """Return the rows and columns that make the output as large as `output_size`."""
        where = f"{input.tracer.where}: output_size"
        dims = 3 if input.tracer.unbatched else input.ndim
        if len(output_size) not in (2, dims):
            raise ArgumentError(
                f"{where} must have 2 or {dims} elements for a {dims}-d input, got {len(output_size)}"
            )
        sizes = [integer(size, where) for size in output_size[-2:]]
        own = [int(size) for size in input.shape[-2:]]
        axes = zip(own, self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in axes]
        most = [size + s - 1 for size, s in zip(least, self.stride, strict=True)]
        if not all(low <= size <= high for low, size, high in zip(least, sizes, most, strict=True)):
            raise ArgumentError(
                f"{where} must be between {least} and {most} for an input of {own}, got {sizes}"
            )
        return tuple(size - low for size, low in zip(sizes, least, strict=True))

    def extra_repr(self) -> str:
        """Return the arguments that are not torch's defaults, after the first four."""
        parts = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]
        if self.padding != (0, 0):
            parts.append(f"padding={self.padding}")
        if self.dilation != (1, 1):
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != (0, 0):
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self._parameters.get("bias") is None:
            parts.append("bias=False")
        return ", ".join(parts)


class Linear(Module):
    """Fully connected layer, (..., in_features) to (..., out_features): `torch.nn.Linear`.

    Attributes
    ----------
    weight : Parameter, (out_features, in_features)
    bias : Parameter, (out_features,), or None

    Examples
    --------
    >>> nn.Linear(4, 2)(np.zeros((5, 4), np.float32)).shape
    (5, 2)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.to(device=device, dtype=dtype)
        self.in_features = in_features = integer(in_features, "Linear: in_features", 0, MOST)
        self.out_features = out_features = integer(out_features, "Linear: out_features", 0, MOST)
        self.register_parameter("weight", Drawn((out_features, in_features), fan_in=in_features))
        self.register_parameter("bias", Drawn((out_features,)) if bias else None)

    def forward(self, input: Any) -> Any:
        """Return ``input @ weight.T + bias``."""
        return F.linear(input, _weight(self, input, -1), self.bias)

    def extra_repr(self) -> str:
        """Return the arguments."""
        bias = self._parameters.get("bias") is not None
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={bias}"
