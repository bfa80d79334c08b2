"""Image networks on ordinary CPUs: torchvision's API and PyTorch's weight files, without PyTorch.

Everything but the exceptions is imported when it is first used, so that ``import rvision`` costs little
more than importing NumPy. Type checkers read the names from `__init__.pyi`.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

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

_MODULES = frozenset(
    [
        "autograd",
        "backends",
        "cuda",
        "datasets",
        "dense",
        "hub",
        "io",
        "models",
        "nn",
        "ops",
        "plot",
        "testing",
        "transforms",
        "utils",
        "weights",
    ]
)

# The names that other modules define, by module.
_NAMES = {
    "rvision._benchmark": "Benchmark benchmark recommend",
    "rvision._classify": "Classification classify",
    "rvision._creation": """
        arange as_tensor empty eye from_numpy full full_like
        initial_seed linspace manual_seed ones ones_like rand rand_like randint randn randn_like
        randperm seed tensor zeros zeros_like
    """,
    "rvision._dtypes": """
        bool double dtype float float16 float32 float64 half int int16 int32 int64 int8 long short
        uint8
    """,
    "rvision._ensemble": "Ensemble",
    "rvision._evaluate": "Evaluation evaluate",
    "rvision._fit_head": "fit_head",
    "rvision._modes": """
        inference_mode is_grad_enabled is_tensor no_grad set_grad_enabled
    """,
    "rvision._profile": "Profile ProfileRow profile",
    "rvision._rvision": "build_info get_num_threads set_num_threads",
    "rvision._summary": "Summary SummaryRow summary",
    "rvision._tensor": "Generator Size Tensor default_generator device",
    "rvision.dense._convolutionize": "convolutionize",
    "rvision.nn._comparisons": """
        eq ge gt isfinite isinf isnan le logical_and logical_not logical_or logical_xor lt
        masked_fill ne where
    """,
    "rvision.nn._functions": """
        abs add allclose amax amin argmax argmin argsort cat chunk clamp concat cumsum div equal
        exp flatten gather log log_softmax matmul max maximum mean min minimum mul norm permute
        pow relu relu_ roll sigmoid sigmoid_ softmax sort split sqrt squeeze stack sub sum tanh
        tanh_ tile topk transpose unbind unflatten unsqueeze
    """,
    "rvision.weights._files": "load save",
}

_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = [
    "ArgumentError",
    "DownloadError",
    "InternalError",
    "RVisionError",
    "ShapeError",
    "StateDictError",
    "UnsupportedError",
    "WeightFileError",
    "__version__",
    *sorted({*_MODULES, *_HOMES}),
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"rvision.{name}")
    home = _HOMES.get(name)
    if home is None:
        if name.startswith("__"):
            raise AttributeError(f"module 'rvision' has no attribute {name!r}")
        from rvision._absent import message

        raise AttributeError(message(name), name=name, obj=sys.modules[__name__])
    # Import the package before its submodule. A thread that imports only the submodule holds a lock
    # that another thread, which is importing the package, waits for; Python then ends one of the
    # two with a _DeadlockError.
    importlib.import_module(home.rpartition(".")[0])
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
