"""A network's inputs: arrays and tensors, converted for the engine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvision import _rvision
from rvision._frames import has_other_frames
from rvision._trace import Mask, Traced, tracer_of
from rvision.errors import ArgumentError

__all__ = ["as_array", "as_floats", "as_input", "is_array", "is_ready", "prepared", "ready", "refused"]

_TO_TENSOR = (
    "use rvision.transforms.ToTensor() (which scales 0..255 to 0..1) or the weights' transforms(), "
    "or .astype(np.float32) if the values are right as they are"
)


def is_array(value: Any) -> bool:
    """Return whether `value` is an array or a tensor, or looks like one (such as a picture)."""
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
        The name of the called module, for messages.

    Raises
    ------
    TypeError
        If the values are integers, bool or complex, or the tensor must be converted first.
    """
    return ready(as_floats(value, where))


def ready(array: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return floats as C-contiguous float32, which the engine reads; no copy if they already are."""
    with np.errstate(over="ignore"):
        return np.asarray(array, np.float32, order="C")


def is_ready(array: NDArray[np.floating]) -> bool:
    """Return whether :func:`ready` would not copy."""
    return array.dtype == np.float32 and array.flags.c_contiguous


def prepared(graph: _rvision.Graph, arrays: list[NDArray[np.floating]]) -> list[NDArray[np.float32]]:
    """Return arrays as a graph reads them. Shapes that do not fit are refused before any copy."""
    if all(is_ready(array) for array in arrays):
        return arrays
    graph.memory([array.shape for array in arrays])
    return [ready(array) for array in arrays]


def as_floats(value: Any, where: str) -> NDArray[np.floating]:
    """Return an input as an array of floats of any width and memory order, without a copy.

    Raises
    ------
    TypeError
        As :func:`as_input`.
    """
    value = as_array(value, where)
    kind = value.dtype.kind
    if kind == "f":
        return value
    if kind in "iub":
        raise TypeError(f"{where}: expected floats, got an array of {value.dtype}; {_TO_TENSOR}")
    if value.dtype.name == "bfloat16":
        raise TypeError(
            f"{where}: expected floats that NumPy knows, got bfloat16; call .astype(np.float32) first"
        )
    raise TypeError(f"{where}: expected an array of floats, got one of {value.dtype}")


def as_array(value: Any, where: str) -> NDArray[Any]:
    """Return anything that NumPy accepts as an array of its own type, without a copy if possible.

    Raises
    ------
    TypeError
        If it is not an array, or a tensor that must be converted first; the message says how.
    """
    if isinstance(value, np.ndarray):
        return value
    kind = type(value)
    if isinstance(value, Mask):
        raise TypeError(
            f"{value.tracer.where}: expected floats, got a mask (bool); use .float() for its zeros and ones"
        )
    if _holds(value, (Traced,)):
        tracer = tracer_of(value)
        where = tracer.where if tracer is not None else where
        raise TypeError(f"{where}: expected an array of floats, got {_described(value)}")
    if _is_picture(value):
        raise TypeError(f"{where}: expected an array of floats, got {_described(value)}")
    if hasattr(value, "requires_grad") and hasattr(value, "detach"):
        _check_tensor(value, where)
    if (
        not hasattr(value, "__array__")
        and not hasattr(value, "__array_interface__")
        and hasattr(value, "__dlpack__")
    ):
        return np.from_dlpack(value)
    if not is_array(value) and not isinstance(value, list | tuple | float):
        raise TypeError(f"{where}: expected an array of floats, got {_described(value)}")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ArgumentError(
            f"{where}: expected an array of floats, and this {kind.__name__} cannot be made one: {error}"
        ) from None
    except (TypeError, RuntimeError) as error:
        # torch's sparse and quantised tensors raise this, as do those of types that NumPy lacks.
        raise TypeError(
            f"{where}: expected an array of floats, and this {kind.__name__} cannot be made one: {error}"
        ) from None


def refused(error: Exception, where: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TypeError | None:
    """Return an error about an argument that is not an array, if that is why a network failed.

    A user's network may take anything, so this is checked only after a failure: if `error` came
    from rvision's own code alone, and no layer could take the first argument.

    Parameters
    ----------
    error : Exception
        The network's error.
    where : str
        The name of the called module.
    args, kwargs
        Its arguments.

    Returns
    -------
    TypeError or None
        The error to raise instead.
    """
    given = [*args, *kwargs.values()]
    # A module's own error about its arguments is more precise.
    if not given or isinstance(error, ArgumentError) or has_other_frames(error):
        return None
    value = given[0]
    if is_array(value) or isinstance(value, float):
        return None
    if isinstance(value, list | tuple) and not _holds(value, (str, bytes, os.PathLike, Mapping)):
        # Nested lists of numbers are arrays, and errors about their values have been raised
        # already.
        arrays = any(is_array(item) for item in value)
        if not arrays and not isinstance(error, AttributeError):
            return None
    return TypeError(f"{where}: expected an array of floats, got {_described(value)}")


def _holds(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(item, kinds) for item in value)


def _is_picture(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "PIL"


def _described(value: Any) -> str:
    """Describe something that is not an array, and how to make one of it."""
    if _is_picture(value):
        return "a PIL picture; use rvision.transforms.ToTensor() or the weights' transforms()"
    if isinstance(value, str | os.PathLike):
        return (
            f"the {'text' if isinstance(value, str) else 'path'} {str(value)!r}; open the picture with "
            "PIL.Image.open and prepare it with the weights' transforms()"
        )
    if isinstance(value, bytes | bytearray):
        return (
            f"{len(value)} bytes; open the picture with PIL.Image.open(io.BytesIO(...)) and prepare it with "
            "the weights' transforms()"
        )
    if value is None:
        return "None; the function that should have made the input may lack a return"
    if isinstance(value, list | tuple):
        return _several(value)
    if isinstance(value, Mapping):
        keys = ", ".join(repr(key) for key in list(value)[:4]) + (", ..." if len(value) > 4 else "")
        return f"a {type(value).__name__} with the keys {keys}; pass the array in it"
    kind = type(value)
    if kind.__module__ == "builtins":
        return f"the {kind.__name__} {value!r}" if isinstance(value, int) else f"a {kind.__name__}"
    return f"a {kind.__module__}.{kind.__qualname__}"


def _several(values: Sequence[Any]) -> str:
    """Describe how a list of pictures becomes a batch."""
    kind = type(values).__name__
    if values and all(_is_picture(value) for value in values):
        return (
            f"a {kind} of {len(values)} PIL pictures; "
            "np.stack([transforms(picture) for picture in pictures]) with the weights' transforms() "
            "makes a batch"
        )
    if values and all(isinstance(value, str | os.PathLike) for value in values):
        return (
            f"a {kind} of {len(values)} texts or paths; open the pictures with PIL.Image.open and "
            "prepare them with the weights' transforms()"
        )
    shapes = [
        value.traced_shape if isinstance(value, Traced) else getattr(value, "shape", None) for value in values
    ]
    if not values or any(shape is None for shape in shapes):
        kinds = ", ".join(dict.fromkeys(type(value).__name__ for value in values)) or "nothing"
        return f"a {kind} of {kinds}; one array of floats is needed"
    if any(isinstance(value, Traced) for value in values):
        # Inside a network, values have their batch dimension in any case.
        return (
            f"a {kind} of {len(values)} arrays; np.stack makes a batch of pictures (C, H, W) of one size, "
            "np.concatenate one of batches (N, C, H, W); pass each to its own argument if they are several "
            "inputs"
        )
    if len(set(map(tuple, shapes))) > 1:
        some = ", ".join(str(tuple(shape)) for shape in shapes[:3]) + (", ..." if len(shapes) > 3 else "")
        return (
            f"a {kind} of {len(values)} arrays of different shapes ({some}); bring the pictures to one size, "
            "which the weights' transforms() do, and np.stack them, or call the network for each"
        )
    shape = tuple(shapes[0])
    join = "np.concatenate(pictures)" if len(shape) == 4 else "np.stack(pictures)"
    return f"a {kind} of {len(values)} arrays of shape {shape}; {join} makes one batch of them"


def _check_tensor(tensor: Any, where: str) -> None:
    """Raise with the methods to call on a tensor that NumPy cannot read."""
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
