"""Shared fixtures: the folder of real weights and pictures, and torch where it is installed."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from cli_results import Run
from rvision.cli import main

ROOT = Path(__file__).parents[2]
# The tests that passed in the last run, in pytest's cache.
PASSED = "rvision/passed"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--not-passed",
        action="store_true",
        help="run only the tests that the last run without this option skipped or failed, and new ones",
    )


class Passed:
    """Keeps the names of the tests that pass, for `--not-passed`: torch is installed after a first run."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.passed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.passed.append(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self.config.cache.set(PASSED, self.passed)


def pytest_configure(config: pytest.Config) -> None:
    of_worker = hasattr(config, "workerinput")
    if hasattr(config, "cache") and not of_worker and not config.getoption("--not-passed"):
        config.pluginmanager.register(Passed(config))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--not-passed"):
        return
    passed = set(config.cache.get(PASSED, []))
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in passed])
    items[:] = [item for item in items if item.nodeid not in passed]


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
