"""Pointwise functions and softmax as layers.

With `inplace`, a layer replaces its input, as in torch: everything that holds the same symbol sees
the result. An array that a layer is called with is never written to.
"""

from __future__ import annotations

from typing import Any

from rvision._frames import warn
from rvision._numbers import MOST, integer, real
from rvision._trace import Symbol
from rvision.errors import ArgumentError, ShapeError
from rvision.nn import functional as F
from rvision.nn.module import Module
from rvision.nn.parameter import Drawn

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


class _Inplace(Module):
    """A function whose only argument is `inplace`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Return `inplace` if it is set."""
        return "inplace=True" if self.inplace else ""


class ReLU(_Inplace):
    """``max(x, 0)``: `torch.nn.ReLU`.

    Examples
    --------
    >>> nn.ReLU()(np.float32([-1, 0, 2])).tolist()
    [0.0, 0.0, 2.0]
    """

    def forward(self, input: Any) -> Any:
        """Return ``max(input, 0)``."""
        return F.relu(input, self.inplace)


class SiLU(_Inplace):
    """``x * sigmoid(x)``: `torch.nn.SiLU`."""

    def forward(self, input: Any) -> Any:
        """Return ``input * sigmoid(input)``."""
        return F.silu(input, self.inplace)


class Hardswish(_Inplace):
    """``x * relu6(x + 3) / 6``: `torch.nn.Hardswish`."""

    def forward(self, input: Any) -> Any:
        """Return ``input * relu6(input + 3) / 6``."""
        return F.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        """Return nothing, as torch does."""
        return ""


class Hardsigmoid(_Inplace):
    """``relu6(x + 3) / 6``: `torch.nn.Hardsigmoid`."""

    def forward(self, input: Any) -> Any:
        """Return ``relu6(input + 3) / 6``."""
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        """Return nothing, as torch does."""
        return ""


class SELU(_Inplace):
    """An ELU with fixed factors (Klambauer et al., arXiv:1706.02515): `torch.nn.SELU`."""

    def forward(self, input: Any) -> Any:
        """Return the function of `input`."""
        return F.selu(input, self.inplace)


class Mish(_Inplace):
    """``x * tanh(softplus(x))`` (Misra, arXiv:1908.08681): `torch.nn.Mish`."""

    def forward(self, input: Any) -> Any:
        """Return ``input * tanh(softplus(input))``."""
        return F.mish(input, self.inplace)


class ELU(Module):
    """x where it is positive, ``alpha * (exp(x) - 1)`` elsewhere: `torch.nn.ELU`."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        """Return the function of `input`."""
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class CELU(ELU):
    """x where it is positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere: `torch.nn.CELU`."""

    def forward(self, input: Any) -> Any:
        """Return the function of `input`."""
        return F.celu(input, self.alpha, self.inplace)


class Softplus(Module):
    """``log(1 + exp(beta * x)) / beta``, x where ``beta * x`` is above `threshold`: `torch.nn.Softplus`."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Any) -> Any:
        """Return the function of `input`."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"beta={self.beta}, threshold={self.threshold}"


class LogSigmoid(Module):
    """``log(1 / (1 + exp(-x)))``: `torch.nn.LogSigmoid`."""

    def forward(self, input: Any) -> Any:
        """Return the function of `input`."""
        return F.logsigmoid(input)


class Softsign(Module):
    """``x / (1 + |x|)``: `torch.nn.Softsign`."""

    def forward(self, input: Any) -> Any:
        """Return the function of `input`."""
        return F.softsign(input)


class GLU(Module):
    """The first half along `dim` times the sigmoid of the second (arXiv:1612.08083): `torch.nn.GLU`."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """Return half as many values."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        """Return the argument."""
        return f"dim={self.dim}"


class Hardshrink(Module):
    """x where it is outside of ``-lambd .. lambd``, 0 elsewhere: `torch.nn.Hardshrink`."""

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Any) -> Any:
        """Return the function of `input`."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """Return the argument."""
        return f"{self.lambd}"


class Softshrink(Hardshrink):
    """x moved towards 0 by `lambd`, 0 where that would pass it: `torch.nn.Softshrink`."""

    def forward(self, input: Any) -> Any:
        """Return the function of `input`."""
        return F.softshrink(input, self.lambd)


class Tanhshrink(Module):
    """``x - tanh(x)``: `torch.nn.Tanhshrink`."""

    def forward(self, input: Any) -> Any:
        """Return the function of `input`."""
        return F.tanhshrink(input)


class Threshold(Module):
    """x where it is above `threshold`, `value` elsewhere: `torch.nn.Threshold`."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        """Return the function of `input`."""
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class RReLU(Module):
    """x where it is positive, the mean of `lower` and `upper` times x elsewhere: `torch.nn.RReLU`."""

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        """Return the rectified `input`."""
        return F.rrelu(input, self.lower, self.upper, inplace=self.inplace)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")


class LeakyReLU(Module):
    """x where it is positive, ``negative_slope * x`` elsewhere: `torch.nn.LeakyReLU`."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        """Return the rectified `input`."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class Hardtanh(Module):
    """Values limited to `min_val` .. `max_val`: `torch.nn.Hardtanh`."""

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        super().__init__()
        for old, new, value in (("min_value", "min_val", min_value), ("max_value", "max_val", max_value)):
            if value is not None:
                warn(f"Hardtanh: {old} is deprecated, as in torch; use {new}", FutureWarning)
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if real(self.min_val, "Hardtanh: min_val") >= real(self.max_val, "Hardtanh: max_val"):
            raise ArgumentError(
                f"Hardtanh: max_val must be above min_val, got {self.min_val} and {self.max_val}"
            )

    def forward(self, input: Any) -> Any:
        """Return the limited `input`."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


class ReLU6(Hardtanh):
    """``min(max(x, 0), 6)``: `torch.nn.ReLU6`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def forward(self, input: Any) -> Any:
        """Return ``min(max(input, 0), 6)``."""
        return F.relu6(input, self.inplace)

    def extra_repr(self) -> str:
        """Return `inplace` if it is set."""
        return "inplace=True" if self.inplace else ""


class PReLU(Module):
    """x where it is positive, ``weight * x`` elsewhere: `torch.nn.PReLU`.

    Attributes
    ----------
    weight : Parameter, (num_parameters,)
        One number, or one per channel.
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.to(device=device, dtype=dtype)
        self.num_parameters = num_parameters = integer(num_parameters, "PReLU: num_parameters", 0, MOST)
        self.init = real(init, "PReLU: init")
        self.register_parameter("weight", Drawn((num_parameters,), fill=init))

    def forward(self, input: Any) -> Any:
        """Return the rectified `input`."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """Return the argument."""
        return f"num_parameters={self.num_parameters}"


class Tanh(Module):
    """Hyperbolic tangent: `torch.nn.Tanh`."""

    def forward(self, input: Any) -> Any:
        """Return ``tanh(input)``."""
        return F.tanh(input)


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``: `torch.nn.Sigmoid`.

    Examples
    --------
    >>> nn.Sigmoid()(np.zeros(2, np.float32)).tolist()
    [0.5, 0.5]
    """

    def forward(self, input: Any) -> Any:
        """Return ``1 / (1 + exp(-input))``."""
        return F.sigmoid(input)


class GELU(Module):
    """x times the normal distribution function of x: `torch.nn.GELU` (exact for "none", or "tanh")."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Any) -> Any:
        """Return the function of `input`."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        """Return the argument."""
        return f"approximate={self.approximate!r}"


class Softmax(Module):
    """Exponentials that sum to one along `dim`: `torch.nn.Softmax`.

    Examples
    --------
    >>> nn.Softmax(1)(np.zeros((1, 2), np.float32)).tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """Return the softmax of `input`."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """Return the argument."""
        return f"dim={self.dim}"


class Softmin(Softmax):
    """The softmax of ``-x`` along `dim`: `torch.nn.Softmin`."""

    def forward(self, input: Any) -> Any:
        """Return the softmin of `input`."""
        return F.softmin(input, self.dim)


class Softmax2d(Module):
    """The softmax of the channels of (N, C, H, W) or (C, H, W), pixel by pixel: `torch.nn.Softmax2d`."""

    def forward(self, input: Any) -> Any:
        """Return the softmax of `input`."""
        if isinstance(input, Symbol) and input.ndim not in (3, 4):
            raise ShapeError(
                f"{input.tracer.where}: expected a 3-d or 4-d input (C, H, W) or (N, C, H, W), got a "
                f"{input.ndim}-d input {input.traced_shape}"
            )
        return F.softmax(input, -3)


class LogSoftmax(Module):
    """Logarithm of the softmax along `dim`: `torch.nn.LogSoftmax`."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """Return the logarithm of the softmax of `input`."""
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        """Return the argument."""
        return f"dim={self.dim}"
