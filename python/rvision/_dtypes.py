"""torch's names of the types, as NumPy's types."""

from __future__ import annotations

from typing import Any

import numpy as np

from rvision.errors import UnsupportedError

__all__ = [
    "bool",
    "double",
    "dtype",
    "float",
    "float16",
    "float32",
    "float64",
    "half",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "long",
    "short",
    "to_dtype",
    "uint8",
]

dtype = np.dtype

float32 = float = np.dtype(np.float32)
float64 = double = np.dtype(np.float64)
float16 = half = np.dtype(np.float16)
int64 = long = np.dtype(np.int64)
int32 = int = np.dtype(np.int32)
int16 = short = np.dtype(np.int16)
int8 = np.dtype(np.int8)
uint8 = np.dtype(np.uint8)
bool = np.dtype(np.bool_)


def to_dtype(wish: Any, where: str) -> Any:
    """Return NumPy's type for a type, its name, or a type of torch.

    Raises
    ------
    UnsupportedError
        For a type that NumPy lacks.
    """
    try:
        return np.dtype(str(wish).removeprefix("torch.") if not isinstance(wish, type | np.dtype) else wish)
    except TypeError:
        raise UnsupportedError(f"{where}: NumPy has no type {wish}; use float32") from None
