"""benches/python/guard.py: what it considers a loss, and what it reports."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import rvision

SCRIPT = Path(__file__).parents[2] / "benches" / "python" / "guard.py"
CASE = "depthwise 3x3 144-144 at 56"


@pytest.fixture
def guard(tmp_path, monkeypatch) -> Any:
    """The script with separate baselines, and without waiting before it measures again."""
    spec = importlib.util.spec_from_file_location("guard", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # Where dataclasses look up their annotations.
    monkeypatch.setitem(sys.modules, "guard", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "BASELINES", tmp_path)
    monkeypatch.setattr(module, "PAUSE", 0.0)
    before = rvision.get_num_threads()
    yield module
    rvision.set_num_threads(before)


def run(guard: Any, *options: str) -> int:
    return guard.main(["--only", CASE, "--rounds", "2", *options])


def scale_baseline(guard: Any, factor: float) -> None:
    (file,) = guard.BASELINES.iterdir()
    baseline = json.loads(file.read_text())
    baseline[CASE]["ratio"] *= factor
    file.write_text(json.dumps(baseline))


def test_a_processor_without_baseline_passes_and_says_so(guard, capsys):
    assert run(guard) == 0
    printed = capsys.readouterr().out
    assert CASE in printed and f"no baseline for {guard.processor()}, so nothing was compared" in printed


def test_a_loss_fails_and_is_named(guard, capsys):
    assert run(guard, "--update") == 0
    # Far more than other programs on the machine can do to a fastest time.
    scale_baseline(guard, 0.1)
    capsys.readouterr()
    assert run(guard) == 1
    printed = capsys.readouterr()
    row = next(line for line in printed.out.splitlines() if line.startswith(CASE))
    assert row.endswith("LOST") and "f32_depthwise" in row
    assert printed.err.count("measuring again") == guard.ATTEMPTS
    assert f"lost more than 10 % against {guard.processor()}.json: {CASE}" in printed.err


def test_a_gain_passes_and_says_how_to_keep_it(guard, capsys):
    assert run(guard, "--update") == 0
    scale_baseline(guard, 10.0)
    capsys.readouterr()
    assert run(guard) == 0
    printed = capsys.readouterr().out
    assert "gained more than 10 %: 'python benches/python/guard.py --update' keeps it" in printed


def test_another_kernel_is_noted(guard, capsys):
    assert run(guard, "--update") == 0
    (file,) = guard.BASELINES.iterdir()
    file.write_text(json.dumps({CASE: {"ratio": 1e6, "kernel": "f32_slow"}}))
    capsys.readouterr()
    assert run(guard) == 0
    assert "gained  (was f32_slow)" in capsys.readouterr().out


def test_committed_baselines_have_all_cases(guard):
    names = {case.name for case in guard.cases()}
    files = list((SCRIPT.parent / "baselines").glob("*.json"))
    assert files
    for file in files:
        baseline = json.loads(file.read_text())
        assert set(baseline) == names
        assert all(entry["ratio"] > 0 and entry["kernel"] for entry in baseline.values())
