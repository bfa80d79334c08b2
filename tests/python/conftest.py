"""Shared fixtures: the folder of real weights and pictures, and torch where it is installed."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from cli_results import Run
from rvision.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real weights and pictures; skip without it."""
    folder = Path(os.environ.get("RVISION_REAL_DATA", ROOT.parent / "shared" / "real"))
    if not folder.is_dir():
        pytest.skip(f"no real weights and pictures: {folder} is missing (RVISION_REAL_DATA)")
    return folder


@pytest.fixture(scope="session")
def torch() -> ModuleType:
    """Return torch; skip without torch and torchvision."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    return torch


@pytest.fixture
def run(capsys) -> Run:
    """Run a command; return its exit status and what it printed."""

    def command(*args: object) -> SimpleNamespace:
        capsys.readouterr()
        try:
            status = main([str(arg) for arg in args])
        except SystemExit as exit_:
            status = exit_.code
        out, err = capsys.readouterr()
        return SimpleNamespace(status=status, out=out, err=err, lines=out.splitlines())

    return command
