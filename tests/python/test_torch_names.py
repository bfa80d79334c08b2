"""Each layer of torch.nn and each function of torch.nn.functional is there, or absent for a stated reason.

The names are read from torch where it is installed, and from tests/golden/torch_names.json elsewhere. `python
tests/python/test_torch_names.py` writes that file and the table in docs/from-torchvision.md again.
"""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from rvision import nn
from rvision._absent import ABSENT as ROOT_ABSENT
from rvision.nn import functional as F
from rvision.nn._absent import ABSENT
from test_nn_layers import CALLS, CASES

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "torch_names.json"
PAGE = ROOT / "docs" / "from-torchvision.md"
MARKS = "<!-- names: written by tests/python/test_torch_names.py -->\n", "<!-- /names -->\n"

# Callables of torch.nn.functional that compute nothing.
TOOLS = {"Callable", "Optional", "assert_int_or_pair", "boolean_dispatch", "handle_torch_function"}
TOOLS |= {"has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"}

# Bases and containers, tested in test_nn_module.py.
CONTAINERS = {"Module", "ModuleDict", "ModuleList", "Sequential"}
# Functions with tests of their own, because of their arguments or because they warn.
ELSEWHERE = {"batch_norm", "upsample", "upsample_bilinear", "upsample_nearest"}


def live() -> dict[str, list[str]]:
    """Return torch's names."""
    torch = pytest.importorskip("torch")
    found: dict[str, list[str]] = {"nn": [], "functional": []}
    for name in dir(torch.nn):
        value = getattr(torch.nn, name)
        if inspect.isclass(value) and issubclass(value, torch.nn.Module):
            found["nn"].append(name)
    for name in dir(torch.nn.functional):
        value = getattr(torch.nn.functional, name)
        if callable(value) and not inspect.isclass(value) and not name.startswith("_") and name not in TOOLS:
            found["functional"].append(name)
    return found


@cache
def golden() -> dict[str, list[str]]:
    return json.loads(GOLDEN.read_text())


@pytest.fixture(params=["written down", "live"])
def names(request) -> dict[str, list[str]]:
    return golden() if request.param == "written down" else live()


def reasons(kind: str) -> dict[str, str]:
    return {name: absent.reason for absent in ABSENT for name in getattr(absent, kind)}


def has(module, name: str) -> bool:
    return name in module.__all__ and hasattr(module, name)


def test_every_layer_is_there_or_absent_for_a_reason(names):
    unknown = [name for name in names["nn"] if not has(nn, name) and name not in reasons("layers")]
    assert unknown == [], "add these layers, or a reason in rvision/nn/_absent.py"


def test_every_function_is_there_or_absent_for_a_reason(names):
    unknown = [name for name in names["functional"] if not has(F, name) and name not in reasons("functions")]
    assert unknown == [], "add these functions, or a reason in rvision/nn/_absent.py"


def test_every_reason_is_for_a_name_that_torch_has_and_rvision_lacks():
    for kind, module, known in (("layers", nn, "nn"), ("functions", F, "functional")):
        listed = [name for absent in ABSENT for name in getattr(absent, kind)]
        assert len(set(listed)) == len(listed)
        assert [name for name in listed if name not in golden()[known] or has(module, name)] == []
    for absent in ABSENT:
        assert list(absent.layers) == sorted(absent.layers)
        assert list(absent.functions) == sorted(absent.functions)


def test_every_layer_that_is_there_is_compared_with_torchs():
    made = {type(layer).__name__ for make, _ in CASES.values() for layer in make(nn).modules()}
    there = {name for name in golden()["nn"] if has(nn, name)}
    assert there - made - CONTAINERS == set(), "add cases to tests/python/test_nn_layers.py"


def test_every_function_that_is_there_is_compared_with_torchs():
    called = {name.split()[0] for name in CALLS}
    there = {name for name in golden()["functional"] if has(F, name)}
    in_place = {name for name in there if name.endswith("_")}
    assert there - called - in_place - ELSEWHERE == set(), "add calls to tests/python/test_nn_layers.py"


@pytest.mark.parametrize("name", [name for name in F.__all__ if name.endswith("_")])
def test_functions_in_place_do_what_the_others_do(name):
    x = np.linspace(-1, 1, 9, dtype=np.float32)
    arguments = (0.1, 7.0) if name == "threshold_" else ()
    expected = getattr(F, name[:-1])(x, *arguments)
    assert getattr(F, name)(x, *arguments) is x
    assert np.array_equal(x, expected)


def test_old_names_of_interpolate_warn_and_work():
    x = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    with pytest.warns(UserWarning, match="upsample is deprecated"):
        found = F.upsample(x, scale_factor=2, mode="bilinear", align_corners=False)
    assert np.array_equal(found, F.interpolate(x, scale_factor=2, mode="bilinear"))
    with pytest.warns(UserWarning, match="upsample_nearest is deprecated"):
        assert np.array_equal(F.upsample_nearest(x, 5), F.interpolate(x, 5))
    with pytest.warns(UserWarning, match="upsample_bilinear is deprecated"):
        found = F.upsample_bilinear(x, scale_factor=2)
    assert np.array_equal(found, F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))


@pytest.mark.parametrize("absent", ABSENT, ids=lambda absent: absent.reason[:30])
def test_absent_names_say_why(absent):
    for name in absent.layers:
        with pytest.raises(AttributeError, match=f"^rvision has no nn.{name}: {re.escape(absent.reason)}$"):
            getattr(nn, name)
    for name in absent.functions:
        with pytest.raises(AttributeError, match=f"^rvision has no nn.functional.{name}: "):
            getattr(F, name)


def test_other_names_are_unknown():
    for module in (nn, F):
        with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
            module.Nonsense  # noqa: B018
        assert not hasattr(module, "Nonsense")


def table() -> str:
    """Return what the documentation lists."""
    parts = []
    for title, module, kind in (("Layers", nn, "nn"), ("Functions", F, "functional")):
        there = [f"`{name}`" for name in golden()[kind] if has(module, name)]
        parts.append(
            textwrap.fill(
                f"{title} of `torch.nn{'.functional' * (module is F)}` that are there: {', '.join(there)}.",
                120,
                break_on_hyphens=False,
            )
        )
    rows = ["| absent | why |", "| --- | --- |"]
    for absent in ABSENT:
        found = ", ".join(f"`{name}`" for name in (*absent.layers, *absent.functions))
        rows.append(f"| {found} | {absent.reason} |")
    for names, reason in ROOT_ABSENT:
        rows.append(f"| {', '.join(f'`{name}`' for name in names.split())} | {reason} |")
    return "\n\n".join([*parts, "\n".join(rows)]) + "\n"


def test_the_documentation_lists_them():
    text = PAGE.read_text()
    start, end = (text.index(mark) for mark in MARKS)
    assert text[start + len(MARKS[0]) : end] == table(), "run python tests/python/test_torch_names.py"


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(live(), indent=1) + "\n")
    text = PAGE.read_text()
    start, end = (text.index(mark) for mark in MARKS)
    PAGE.write_text(text[: start + len(MARKS[0])] + table() + text[end:])
