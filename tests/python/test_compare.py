"""What the comparison with other engines reports if packages are missing."""

from __future__ import annotations

import sys
from importlib import import_module, util
from pathlib import Path
from types import ModuleType

import pytest

BENCHES = Path(__file__).parents[2] / "benches" / "python"


@pytest.fixture
def compare(monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHES))
    for name in ("compare", "tables"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return import_module("compare")


def without(compare: ModuleType, monkeypatch, *missing: str) -> None:
    monkeypatch.setattr(compare, "find_spec", lambda name: None if name in missing else util.find_spec("sys"))


def test_engines_that_miss_packages_are_left_out_and_named(compare, monkeypatch, capsys):
    without(compare, monkeypatch, "onnx", "pnnx", "openvino")
    engines = ["rvision_half", "torch_eager", "onnxruntime", "openvino", "ncnn"]
    assert compare.installed(engines) == ["rvision_half", "torch_eager"]
    assert capsys.readouterr().err.splitlines() == [
        "onnxruntime is left out, not installed: onnx",
        "openvino is left out, not installed: openvino, onnx",
        "ncnn is left out, not installed: pnnx",
        "pip install onnx openvino pnnx",
    ]


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        (["torch", "torchvision"], "not installed: torch, torchvision; pip install torch torchvision"),
        (["rvision"], "not installed: rvision; pip install ."),
    ],
)
def test_what_all_engines_need_is_asked_for(compare, monkeypatch, missing, told):
    without(compare, monkeypatch, *missing)
    with pytest.raises(SystemExit) as end:
        compare.installed(["ncnn"])
    assert end.value.code == told


def test_nothing_is_said_where_all_is_there(compare, monkeypatch, capsys):
    without(compare, monkeypatch)
    assert compare.installed(["ncnn", "openvino"]) == ["ncnn", "openvino"]
    assert capsys.readouterr().err == ""
