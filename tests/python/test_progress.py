"""Progress bars: shown where they are asked for, in terminals and in Jupyter."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rvision
from rvision import dense, nn

PYTHON = Path(rvision.__file__).parent


def test_bars_come_from_one_place():
    importing = [
        path.name
        for path in PYTHON.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tqdm")
    ]
    assert importing == ["_progress.py"]


def test_progress_means_a_bar_even_if_stderr_is_no_terminal(capsys):
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    pictures = np.zeros((4, 3, 2, 2), np.float32)
    rvision.evaluate(model, pictures, [0, 0, 1, 2], progress=True)
    assert "picture" in capsys.readouterr().err
    rvision.evaluate(model, pictures, [0, 0, 1, 2])
    assert capsys.readouterr().err == ""
    dense.predict(model, pictures[0], 1, input_size=(3, 2, 2), progress=True)
    assert "window" in capsys.readouterr().err
    rvision.profile(nn.ReLU(), pictures, runs=1, progress=True)
    assert "timing 1 runs" in capsys.readouterr().err


def test_jupyter_without_widgets_gets_a_bar_and_no_warning():
    pytest.importorskip("IPython")
    # A kernel without ipywidgets, for which tqdm warns and falls back to text.
    code = """
import sys, warnings
warnings.simplefilter("error")
sys.modules["ipywidgets"] = None
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.config.IPKernelApp.parent_appname = "a notebook"
from rvision._progress import bar
print(sum(bar([1, 2, 3])), type(bar([], disable=True)).__module__)
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("6 ")
    assert "3/3" in made.stdout + made.stderr
    assert "Warning" not in made.stderr
