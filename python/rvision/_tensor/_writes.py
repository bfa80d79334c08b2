"""torch's methods that write into a tensor; their names end with an underscore.

All go through `_write`, which gives the memory to write to. A view of a module's parameter
(:mod:`rvision.nn.parameter`) gives that of the parameter, and tells its modules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rvision._tensor._random import Generator, default_generator
from rvision.errors import ShapeError

__all__ = ["Writes"]


class Writes:
    """The methods; `self` is a :class:`rvision.Tensor`."""

    __slots__ = ()

    def _write(self: Any, write: Callable[[Any], Any]) -> None:
        """Call `write` with the plain array to write to."""
        write(np.ndarray.view(self, np.ndarray))

    def _set(self: Any, values: Any, where: str) -> Any:
        values = np.asarray(values)
        if values.ndim > self.ndim and values.size == self.size:
            values = values.reshape(values.shape[values.ndim - self.ndim :])

        def write(target: Any) -> None:
            try:
                shaped = np.broadcast_to(values, target.shape)
            except ValueError:
                raise ShapeError(
                    f"{where}: expected values of shape {target.shape}, or that broadcast to it, got "
                    f"{values.shape}"
                ) from None
            with np.errstate(over="ignore", invalid="ignore"):
                np.copyto(target, shaped, casting="unsafe")

        self._write(write)
        return self

    def copy_(self: Any, src: Any, non_blocking: bool = False) -> Any:
        """Write the values of `src`, which broadcast; they are converted to the tensor's type."""
        if hasattr(src, "detach") and not isinstance(src, np.ndarray):
            src = src.detach().cpu()
        return self._set(src, "copy_")

    def fill_(self: Any, value: Any) -> Any:
        """Write one value everywhere."""
        return self._set(value, "fill_")

    def zero_(self: Any) -> Any:
        """Write zeros."""
        return self._set(0, "zero_")

    def add_(self: Any, other: Any, *, alpha: Any = 1) -> Any:
        """Add ``alpha * other`` in place."""
        return self._set(self.add(other, alpha=alpha), "add_")

    def sub_(self: Any, other: Any, *, alpha: Any = 1) -> Any:
        """Subtract ``alpha * other`` in place."""
        return self._set(self.sub(other, alpha=alpha), "sub_")

    def mul_(self: Any, other: Any) -> Any:
        """Multiply in place."""
        return self._set(self * other, "mul_")

    def div_(self: Any, other: Any) -> Any:
        """Divide in place."""
        return self._set(self / other, "div_")

    def pow_(self: Any, exponent: Any) -> Any:
        """Raise to a power in place."""
        return self._set(self**exponent, "pow_")

    def clamp_(self: Any, min: Any = None, max: Any = None) -> Any:
        """Limit values in place."""
        return self._set(self.clamp(min, max), "clamp_")

    def relu_(self: Any) -> Any:
        """Replace negative values by zero in place."""
        return self._set(np.maximum(self, 0), "relu_")

    def sigmoid_(self: Any) -> Any:
        """Apply the logistic function in place."""
        return self._set(self.sigmoid(), "sigmoid_")

    def tanh_(self: Any) -> Any:
        """Apply the hyperbolic tangent in place."""
        return self._set(self.tanh(), "tanh_")

    def masked_fill_(self: Any, mask: Any, value: Any) -> Any:
        """Write `value` where `mask` is true."""
        return self._set(self.masked_fill(mask, value), "masked_fill_")

    def uniform_(self: Any, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Any:
        """Write random numbers from `a` up to but without `b`: torch's for the same seed."""
        return self._set((generator or default_generator).uniform(self.shape, a, b, self._real()), "uniform_")

    def normal_(self: Any, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Any:
        """Write normally distributed random numbers: torch's for the same seed."""
        values = (generator or default_generator).normal(self.shape, mean, std, self._real())
        return self._set(values, "normal_")

    def _real(self: Any) -> Any:
        return self.dtype if self.dtype == np.float64 else np.float32

    def unsqueeze_(self: Any, dim: int) -> Any:
        """Insert a dimension of size one into this tensor itself."""
        self.shape = self.unsqueeze(dim).shape
        return self

    def squeeze_(self: Any, dim: Any = None) -> Any:
        """Drop dimensions of size one of this tensor itself."""
        self.shape = self.squeeze(dim).shape
        return self

    def requires_grad_(self: Any, requires_grad: bool = True) -> Any:
        """Accept False; there are no gradients."""
        self.requires_grad = requires_grad
        return self
