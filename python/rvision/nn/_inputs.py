"""What a network is called with: arrays and tensors, made ready for the engine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_array", "as_input", "is_array"]

_TO_TENSOR = (
    "use rvision.transforms.ToTensor() (which scales 0..255 to 0..1) or the weights' transforms(), "
    "or .astype(np.float32) if the values are right as they are"
)


def is_array(value: Any) -> bool:
    """Tell whether `value` is an array or a tensor, or something (such as a picture) that looks like one."""
    return isinstance(value, np.ndarray) or (
        not isinstance(value, type)
        and any(hasattr(value, name) for name in ("__array_interface__", "__array__", "__dlpack__"))
    )


def as_input(value: Any, where: str) -> NDArray[np.float32]:
    """Return an input as a C-contiguous float32 array; no copy if it is one.

    Parameters
    ----------
    value : array_like
        A float array, a PyTorch CPU tensor without gradient, anything with `__array__` or `__dlpack__`, or a
        nested list of floats.
    where : str
        What is being called, for messages.

    Raises
    ------
    TypeError
        If the values are integers, bool or complex, or the tensor must be prepared first.
    """
    value = as_array(value, where)
    kind = value.dtype.kind
    if kind == "f":
        if value.dtype == np.float32:
            return np.asarray(value, order="C")
        with np.errstate(over="ignore"):
            return np.asarray(value, np.float32, order="C")
    if kind in "iub":
        raise TypeError(f"{where}: expected floats, got an array of {value.dtype}; {_TO_TENSOR}")
    if value.dtype.name == "bfloat16":
        raise TypeError(
            f"{where}: expected floats that NumPy knows, got bfloat16; call .astype(np.float32) first"
        )
    raise TypeError(f"{where}: expected an array of floats, got one of {value.dtype}")


def as_array(value: Any, where: str) -> NDArray[Any]:
    """Return anything that NumPy can see as an array of its own type, without a copy where that can be.

    Raises
    ------
    TypeError
        If it is no array, or a tensor that must be prepared first; the message says how.
    """
    if isinstance(value, np.ndarray):
        return value
    kind = type(value)
    if kind.__module__.partition(".")[0] == "PIL":
        raise TypeError(
            f"{where}: expected an array of floats, got a PIL picture; "
            "use rvision.transforms.ToTensor() or the weights' transforms()"
        )
    if hasattr(value, "requires_grad") and hasattr(value, "detach"):
        _check_tensor(value, where)
    if (
        not hasattr(value, "__array__")
        and not hasattr(value, "__array_interface__")
        and hasattr(value, "__dlpack__")
    ):
        return np.from_dlpack(value)
    if not is_array(value) and not isinstance(value, list | tuple | float):
        raise TypeError(f"{where}: expected an array of floats, got {kind.__module__}.{kind.__qualname__}")
    return np.asarray(value)


def _check_tensor(tensor: Any, where: str) -> None:
    """Say what to call on a tensor that NumPy cannot see."""
    calls = []
    found = []
    if tensor.requires_grad:
        calls.append(".detach()")
        found.append("requires grad")
    if "bfloat16" in str(tensor.dtype):
        calls.append(".float()")
        found.append("is bfloat16")
    device = getattr(tensor.device, "type", "cpu")
    if device != "cpu":
        calls.append(".cpu()")
        found.append(f"is on {device}")
    if calls:
        raise TypeError(f"{where}: the input tensor {' and '.join(found)}; pass tensor{''.join(calls)}")
