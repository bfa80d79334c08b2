"""Stochastic depth (`torchvision.ops.StochasticDepth`)."""

from __future__ import annotations

from typing import Any

from rvision import nn
from rvision.nn import functional as F

__all__ = ["StochasticDepth"]


class StochasticDepth(nn.Module):
    """The identity at inference; training drops residual branches: `torchvision.ops.StochasticDepth`.

    Huang, Sun, Liu, Sedra, Weinberger: "Deep Networks with Stochastic Depth" (arXiv:1603.09382).

    Parameters
    ----------
    p : float
        Probability with which training drops a branch, 0 to 1.
    mode : {"batch", "row"}
        Whether training decides once for the batch or for each of its rows.

    Raises
    ------
    ArgumentError
        If `p` is not a probability.
    ValueError
        If `mode` is neither.
    """

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        F.check_probability(p, type(self).__name__)
        if mode not in ("batch", "row"):
            raise ValueError(f"StochasticDepth: mode must be 'batch' or 'row', got {mode!r}")
        self.p = p
        self.mode = mode

    def forward(self, input: Any) -> Any:
        """Return `input`."""
        return input

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"p={self.p}, mode={self.mode}"
