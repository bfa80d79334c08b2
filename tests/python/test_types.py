"""Types as a type checker sees them: `rvision/models/__init__.pyi` is current, what users write has types.

`python tests/python/test_types.py` writes the stub again: the builders' keywords are those of their
networks' constructors, which `**kwargs: Any` would hide.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rvision
from rvision import models

ROOT = Path(__file__).parents[2]
STUB = ROOT / "python" / "rvision" / "models" / "__init__.pyi"
FAMILIES = sorted(path.stem for path in STUB.parent.glob("[!_]*.py") if path.stem != "feature_extraction")


def options(builder) -> dict[str, str]:
    """Return the keywords that a builder passes on, with their types as they are written."""
    function = inspect.unwrap(builder)
    network = getattr(sys.modules[builder.__module__], function.__annotations__["return"])
    # What the builder itself passes cannot be given again.
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(function))) if isinstance(node, ast.Call)]
    passed = {keyword.arg for call in calls for keyword in call.keywords}
    own, theirs = inspect.signature(function), inspect.signature(network.__init__)
    found = {
        p.name: p.annotation
        for p in theirs.parameters.values()
        if p.default is not p.empty and p.name not in passed
    }
    return found | {p.name: p.annotation for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD}


def stub() -> str:
    """Return the text of `rvision/models/__init__.pyi`."""
    imports, functions = ["from rvision.models import feature_extraction as feature_extraction"], []
    for family in FAMILIES:
        module = importlib.import_module(f"rvision.models.{family}")
        words: set[str] = set()
        for name in sorted(module.__all__):
            builder = models._api._BUILDERS.get(name)
            if builder is None or getattr(module, name) is not builder:
                imports.append(f"from rvision.models.{family} import {name} as {name}")
                continue
            weights = models._api.get_model_weights(name).__name__ if has_weights(name) else "WeightsEnum"
            lines = [f"    weights: {weights} | str | os.PathLike[str] | StateDict | None = None,"]
            lines += ["    progress: bool = True,"]
            for option, kind in options(builder).items():
                lines.append(f"    {option}: {kind} = ...,".replace("'", '"'))
                words |= set(re.findall(r"\w+", kind))
            network = inspect.unwrap(builder).__annotations__["return"]
            functions.append("\n".join([f"def {name}(", "    *,", *lines, f") -> {network}: ..."]))
        # The types that only annotations of the family use.
        for word in sorted(words - set(module.__all__)):
            if getattr(getattr(module, word, None), "__module__", "") == module.__name__ or word == "Maker":
                imports.append(f"from rvision.models.{family} import {word}")
    for home, names in (
        ("models._api", [*models._api.__all__, "StateDict"]),
        ("models._convert", ["convert_state_dict"]),
        ("weights", ["Weights", "WeightsEnum"]),
    ):
        imports += [f"from rvision.{home} import {name} as {name}" for name in names]
    head = """\
# Written by tests/python/test_types.py: the builders with the keywords that their networks take.
# ruff: noqa: I001
import os
from collections.abc import Callable, Sequence
from typing import Literal

from rvision import nn
"""
    return head + "\n".join(sorted(imports)) + "\n\n" + "\n".join(functions) + "\n"


def has_weights(name: str) -> bool:
    try:
        models.get_model_weights(name)
    except ValueError:
        return False
    return True


def test_the_stub_of_the_builders_is_current():
    assert STUB.read_text() == stub(), "run python tests/python/test_types.py"


def test_the_stub_of_tensors_has_their_names():
    tree = ast.parse((STUB.parents[1] / "_tensor" / "__init__.pyi").read_text())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    stubbed = {node.name for node in classes["Tensor"].body if isinstance(node, ast.FunctionDef)}
    public = {name for name in dir(rvision.Tensor) if not name.startswith("_")}
    assert public - stubbed <= set(dir(np.ndarray)), "names that type checkers would not know"
    assert {name for name in stubbed if not name.startswith("_")} - public == set()


# What a user writes, with the types that a type checker has for it.
PROGRAM = """
from PIL import Image
import rvision
from rvision import nn, transforms
from rvision.models import ResNet50_Weights, get_model, resnet18, resnet50

weights = ResNet50_Weights.DEFAULT
model = resnet50(weights=weights)
reveal_type(model)  # rvision.models.resnet.ResNet
reveal_type(model.fc)  # rvision.nn.conv.Linear
prepare = weights.transforms()
x = prepare(Image.open("picture.jpg"))
reveal_type(x)  # rvision._tensor.Tensor
reveal_type(model(x))  # rvision._tensor.Tensor
reveal_type(model(x.unsqueeze(0)).softmax(dim=1).topk(5).indices)  # rvision._tensor.Tensor
reveal_type(rvision.load("file.pth"))  # rvision.weights._files.StateDict
both = transforms.Compose([transforms.Resize(256), transforms.ToTensor()])
reveal_type(both(Image.open("picture.jpg")))  # rvision._tensor.Tensor
reveal_type(x.size(0))  # int
reveal_type(x.max(dim=0).values)  # rvision._tensor.Tensor
reveal_type(get_model("resnet18"))  # rvision.nn.module.Module
reveal_type(rvision.summary(model, (3, 224, 224)))  # rvision._summary.Summary
reveal_type(rvision.dense.predict(model, x))  # rvision.dense._map.Map
resnet18(num_clases=3)  # error: Unexpected keyword argument "num_clases" for "resnet18"
resnet18(weights=weights)  # error: Argument "weights" to "resnet18" has incompatible type
nn.Linear(3, 4, bia=False)  # error: Unexpected keyword argument "bia" for "Linear"


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, x: rvision.Tensor) -> rvision.Tensor:
        return self.fc(x).relu()


@rvision.no_grad()
def best(model: nn.Module, x: rvision.Tensor) -> int:
    return int(model(x).argmax())


reveal_type(best)  # def (model: rvision.nn.module.Module, x: rvision._tensor.Tensor) -> int
"""


@pytest.mark.timeout(600)
def test_mypy_knows_the_types_of_what_users_write(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    files = [program, *(ROOT / "examples" / name for name in ("arithmetic.py", "digit_pages.py"))]
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", *files],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT / "python")},
    ).stdout
    said: dict[int, str] = {}
    for line in found.splitlines():
        if match := re.match(r"program\.py:(\d+): (.*)", line):
            said[int(match[1])] = said.get(int(match[1]), "") + match[2]
        else:
            assert line.startswith("Found"), line
    for number, line in enumerate(PROGRAM.splitlines(), 1):
        expected = line.partition("  # ")[2]
        if expected.startswith("error: "):
            assert expected in said.pop(number, ""), line
        elif line.startswith("reveal_type"):
            # Some versions write builtins.int.
            found_type = said.pop(number, "").replace("builtins.", "")
            assert found_type == f'note: Revealed type is "{expected}"', line
    assert said == {}


if __name__ == "__main__":
    STUB.write_text(stub())
