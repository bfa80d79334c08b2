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
    InternalError,
    RVisionError,
    ShapeError,
    StateDictError,
    UnsupportedError,
    WeightFileError,
)

if TYPE_CHECKING:
    from rvision import dense, hub, models, nn, ops, transforms, utils, weights
    from rvision._ensemble import Ensemble
    from rvision._evaluate import Evaluation, evaluate
    from rvision._profile import Profile, ProfileRow, profile
    from rvision._rvision import build_info, get_num_threads, set_num_threads
    from rvision._summary import Summary, SummaryRow, summary
    from rvision.dense._convolutionize import convolutionize
    from rvision.nn._comparisons import (
        eq,
        ge,
        gt,
        isfinite,
        isinf,
        isnan,
        le,
        logical_and,
        logical_not,
        logical_or,
        logical_xor,
        lt,
        masked_fill,
        ne,
        where,
    )
    from rvision.nn._functions import (
        abs,
        add,
        amax,
        amin,
        cat,
        chunk,
        clamp,
        concat,
        div,
        exp,
        flatten,
        log,
        matmul,
        max,
        maximum,
        mean,
        min,
        minimum,
        mul,
        permute,
        pow,
        relu,
        relu_,
        roll,
        sigmoid,
        sigmoid_,
        softmax,
        split,
        sqrt,
        squeeze,
        stack,
        sub,
        sum,
        tanh,
        tanh_,
        tile,
        transpose,
        unbind,
        unflatten,
        unsqueeze,
    )
    from rvision.weights._files import load, save

__all__ = [
    "ArgumentError",
    "DownloadError",
    "Ensemble",
    "Evaluation",
    "InternalError",
    "Profile",
    "ProfileRow",
    "RVisionError",
    "ShapeError",
    "StateDictError",
    "Summary",
    "SummaryRow",
    "UnsupportedError",
    "WeightFileError",
    "__version__",
    "abs",
    "add",
    "amax",
    "amin",
    "build_info",
    "cat",
    "chunk",
    "clamp",
    "concat",
    "convolutionize",
    "dense",
    "div",
    "eq",
    "evaluate",
    "exp",
    "flatten",
    "ge",
    "get_num_threads",
    "gt",
    "hub",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "load",
    "log",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "masked_fill",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "models",
    "mul",
    "ne",
    "nn",
    "ops",
    "permute",
    "pow",
    "profile",
    "relu",
    "relu_",
    "roll",
    "save",
    "set_num_threads",
    "sigmoid",
    "sigmoid_",
    "softmax",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "sub",
    "sum",
    "summary",
    "tanh",
    "tanh_",
    "tile",
    "transforms",
    "transpose",
    "unbind",
    "unflatten",
    "unsqueeze",
    "utils",
    "weights",
    "where",
]

_MODULES = {"dense", "hub", "models", "nn", "ops", "transforms", "utils", "weights"}

# The modules that define the other names.
_HOMES = {
    **dict.fromkeys(("build_info", "get_num_threads", "set_num_threads"), "rvision._rvision"),
    "Ensemble": "rvision._ensemble",
    "convolutionize": "rvision.dense._convolutionize",
    **dict.fromkeys(("Evaluation", "evaluate"), "rvision._evaluate"),
    **dict.fromkeys(("Profile", "ProfileRow", "profile"), "rvision._profile"),
    **dict.fromkeys(("Summary", "SummaryRow", "summary"), "rvision._summary"),
    **dict.fromkeys(("load", "save"), "rvision.weights._files"),
    **dict.fromkeys(
        (
            "eq",
            "ge",
            "gt",
            "isfinite",
            "isinf",
            "isnan",
            "le",
            "logical_and",
            "logical_not",
            "logical_or",
            "logical_xor",
            "lt",
            "masked_fill",
            "ne",
            "where",
        ),
        "rvision.nn._comparisons",
    ),
    **dict.fromkeys(
        (
            "abs",
            "add",
            "amax",
            "amin",
            "cat",
            "chunk",
            "clamp",
            "concat",
            "div",
            "exp",
            "flatten",
            "log",
            "matmul",
            "max",
            "maximum",
            "mean",
            "min",
            "minimum",
            "mul",
            "permute",
            "pow",
            "relu",
            "relu_",
            "roll",
            "sigmoid",
            "sigmoid_",
            "softmax",
            "split",
            "sqrt",
            "squeeze",
            "stack",
            "sub",
            "sum",
            "tanh",
            "tanh_",
            "tile",
            "transpose",
            "unbind",
            "unflatten",
            "unsqueeze",
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
    # Import the package before its submodule. A thread that imports only the submodule holds a lock
    # that another thread, which is importing the package, waits for; Python then ends one of the
    # two with a _DeadlockError.
    importlib.import_module(home.rpartition(".")[0])
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
