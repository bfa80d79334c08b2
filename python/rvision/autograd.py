"""`Variable` of old PyTorch code."""

from __future__ import annotations

from typing import Any

from rvision._modes import inference_mode, no_grad, set_grad_enabled
from rvision._tensor import Tensor
from rvision.errors import UnsupportedError

__all__ = ["Variable", "inference_mode", "no_grad", "set_grad_enabled"]


def Variable(data: Any, requires_grad: bool = False, volatile: bool = False) -> Any:
    """Return the tensor itself: `torch.autograd.Variable`, which has meant the same since PyTorch 0.4.

    Parameters
    ----------
    data : numpy.ndarray
        A tensor or an array, which becomes a tensor of the same memory.
    requires_grad : bool
        False.
    volatile : bool
        What `no_grad` is today; no effect.
    """
    if requires_grad:
        raise UnsupportedError("Variable: requires_grad=True: rvision is for inference and has no gradients")
    return data if isinstance(data, Tensor) or not hasattr(data, "view") else data.view(Tensor)
