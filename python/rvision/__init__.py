"""Image networks on ordinary CPUs: torchvision's API and PyTorch's weight files, without PyTorch.

Everything but the exceptions is imported when it is first used, so that ``import rvision`` costs little
more than importing NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rvision._rvision import __version__
from rvision.errors import (
    ArgumentError,
    DownloadError,
    RVisionError,
    ShapeError,
    StateDictError,
    UnsupportedError,
    WeightFileError,
)

if TYPE_CHECKING:
    from rvision import hub, models, nn, ops, transforms, weights
    from rvision._evaluate import Evaluation, evaluate
    from rvision._rvision import build_info, get_num_threads, set_num_threads
    from rvision.nn._functions import (
        add,
        cat,
        concat,
        flatten,
        mean,
        mul,
        permute,
        relu,
        sigmoid,
        softmax,
        tanh,
    )
    from rvision.weights._files import load, save

__all__ = [
    "ArgumentError",
    "DownloadError",
    "Evaluation",
    "RVisionError",
    "ShapeError",
    "StateDictError",
    "UnsupportedError",
    "WeightFileError",
    "__version__",
    "add",
    "build_info",
    "cat",
    "concat",
    "evaluate",
    "flatten",
    "get_num_threads",
    "hub",
    "load",
    "mean",
    "models",
    "mul",
    "nn",
    "ops",
    "permute",
    "relu",
    "save",
    "set_num_threads",
    "sigmoid",
    "softmax",
    "tanh",
    "transforms",
    "weights",
]

_MODULES = {"hub", "models", "nn", "ops", "transforms", "weights"}

# Where the other names are to be found.
_HOMES = {
    **dict.fromkeys(("build_info", "get_num_threads", "set_num_threads"), "rvision._rvision"),
    **dict.fromkeys(("Evaluation", "evaluate"), "rvision._evaluate"),
    **dict.fromkeys(("load", "save"), "rvision.weights._files"),
    **dict.fromkeys(
        (
            "add",
            "cat",
            "concat",
            "flatten",
            "mean",
            "mul",
            "permute",
            "relu",
            "sigmoid",
            "softmax",
            "tanh",
        ),
        "rvision.nn._functions",
    ),
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"rvision.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'rvision' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
