"""Tracebacks end in the user's own code: which frames are omitted, and which never are."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
import rvision
from rvision import models, nn
from rvision.nn import functional as F

PACKAGE = str(Path(rvision.__file__).parent) + os.sep

# Python 3.10 goes on to show the frame that shortens the traceback.
LEAST = 0 if sys.version_info >= (3, 11) else 1


class Own(nn.Module):
    """A user's network."""

    def __init__(self, inner=None):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.fc = nn.Linear(4, 2)
        self.inner = inner

    def forward(self, x):
        if self.inner is not None:
            return self.inner(x)
        return self.fc(self.body(x))


def lines_of(call):
    """Return the user's functions in a traceback, below the test, and the number of rvision's."""
    with pytest.raises(Exception) as caught:
        call()
    entries = traceback.extract_tb(caught.value.__traceback__)
    ours = [entry for entry in entries if entry.filename.startswith(PACKAGE)]
    others = [entry.line for entry in entries if not entry.filename.startswith(PACKAGE)]
    return others[2:], len(ours)


PICTURE = np.zeros((1, 3, 8, 8), np.float32)


@pytest.mark.parametrize(
    "call",
    [
        lambda: nn.Linear(3, 2)(PICTURE),
        lambda: nn.Sequential(nn.Conv2d(8, 4, 1))(PICTURE),
        lambda: nn.ReLU()(np.zeros(3, np.uint8)),
        lambda: nn.ReLU()(),
        lambda: F.conv2d(PICTURE, np.zeros((4, 8, 1, 1))),
        lambda: rvision.cat([]),
        lambda: rvision.flatten(PICTURE, 7),
        lambda: nn.Linear(3, 2).load_state_dict({}),
        lambda: models.get_model("resnet51"),
        lambda: models.get_weight("resnet"),
        lambda: models.resnet18(weights="missing.pth"),
        lambda: models.resnet18(weights="IMAGENET1K_V9"),
        lambda: models.resnet18(num_clases=3),
        lambda: rvision.load("missing.pth"),
        lambda: rvision.load(b"no weights".hex()),
        lambda: rvision.save({}, "weights.npz"),
        lambda: rvision.summary(nn.Linear(3, 2), (1, 4)),
        lambda: rvision.profile(nn.Linear(3, 2), np.zeros((1, 4), np.float32)),
    ],
)
def test_the_last_line_is_the_callers(call):
    others, ours = lines_of(call)
    assert (others, ours) == ([], LEAST)


def test_lines_of_the_users_forward_are_kept():
    others, ours = lines_of(lambda: Own()(PICTURE))
    assert others == ["return self.fc(self.body(x))"] and ours == LEAST
    others, _ = lines_of(lambda: nn.Sequential(nn.Identity(), Own(Own()))(PICTURE))
    assert others == ["return self.inner(x)", "return self.fc(self.body(x))"]


def test_errors_of_the_users_own_keep_every_frame():
    class Faulty(nn.Module):
        def forward(self, x):
            return {}[x]

    others, ours = lines_of(lambda: nn.Sequential(Faulty())(PICTURE))
    assert others[-1] == "return {}[x]" and ours > 1


def test_what_goes_wrong_inside_keeps_every_frame(monkeypatch):
    monkeypatch.setattr("rvision.nn._run.Trace.run", lambda self, arrays: {}["lost"])
    with pytest.raises(KeyError, match="lost") as caught:
        nn.ReLU()(PICTURE)
    assert any("call_module" in entry.name for entry in traceback.extract_tb(caught.value.__traceback__))


def test_causes_are_kept():
    with pytest.raises(rvision.StateDictError, match="weight") as caught:
        nn.Linear(1, 1).load_state_dict({"weight": np.array([["a"]]), "bias": np.zeros(1)})
    assert isinstance(caught.value.__cause__, TypeError | ValueError)


def test_full_tracebacks_on_demand(monkeypatch):
    monkeypatch.setenv("RVISION_TRACEBACK", "full")
    _, ours = lines_of(lambda: Own()(PICTURE))
    assert ours > 5


SCRIPT = """\
import numpy as np
from rvision import nn
model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(8, 4, 3))
model(np.zeros((1, 3, 8, 8), np.float32))
"""


def shown(*command, **environment):
    path = os.pathsep.join([str(Path(PACKAGE).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1", **environment},
        timeout=120,
    )
    return done.stdout + done.stderr


def test_a_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    text = shown(str(script))
    assert text.count("  File ") == 1 + LEAST and "line 4, in <module>" in text
    assert text.splitlines()[-1].startswith("rvision.errors.ShapeError: 1: weight expects 8 input channels")
    assert shown(str(script), RVISION_TRACEBACK="full").count("  File ") > 5


def test_a_notebooks_cell(tmp_path):
    pytest.importorskip("IPython")
    script = tmp_path / "cell.py"
    script.write_text(
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance(colors='NoColor')\n"
        f"shell.run_cell({SCRIPT!r})\n"
    )
    text = shown("-W", "ignore", str(script), IPYTHONDIR=str(tmp_path / "ipython"))
    assert "ShapeError: 1: weight expects 8 input channels" in text
    assert "----> 4 model(" in text
    assert text.count("rvision" + os.sep) == LEAST
