"""Which modules of the package may import which. The crate's rules are in tests/rooms.rs."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PYTHON = Path(__file__).parents[2] / "python" / "rvision"

# What each room of the package may import from the others; these are open to all.
OPEN = {"errors", "_absent", "_frames", "_numbers", "_rvision", ""}
ALLOWED = {
    "errors": set(),
    "_frames": set(),
    "_numbers": set(),
    "_absent": set(),
    "_dtypes": set(),
    "_tensor": {"_dtypes"},
    "_creation": {"_tensor", "_dtypes"},
    "_modes": {"_tensor"},
    "autograd": {"_modes", "_tensor"},
    "backends": set(),
    "cuda": {"_modes"},
    "_opaque": set(),
    "_layout": set(),
    "_alias": {"_layout"},
    "_sizes": set(),
    "_math": set(),
    "_moves": {"_alias", "_sizes"},
    "_mask": {"_alias", "_moves", "_sizes"},
    "_trace": {"_alias", "_mask", "_math", "_moves", "_opaque", "_sizes"},
    "nn": {"_trace", "_mask", "_alias", "_math", "_sizes", "_tensor", "_dtypes", "_creation", "_html"},
    "transforms": {"_tensor"},
    "hub": {"weights", "models"},
    "weights": {"transforms", "_tensor", "_top", "_html", "_table", "_progress"},
    "io": {"_tensor"},
    "models": {"nn", "_trace", "weights", "transforms", "ops", "_tensor"},
    "ops": {"nn", "_trace"},
    "_table": set(),
    "_html": set(),
    "_top": set(),
    "_progress": set(),
    "_summary": {"nn", "_trace", "_table", "_html"},
    "_profile": {"nn", "_trace", "_table", "_html", "_progress"},
    "_ensemble": {"nn"},
    "dense": {
        *("nn", "_trace", "_sizes", "models", "weights", "transforms", "ops"),
        *("utils", "_html", "_progress", "_table", "_tensor", "_top"),
    },
}
# Sit on top: they may import everything, and nothing below may import them.
TOP = {
    "dense",
    "cli",
    "_class_folders",
    "_confusion",
    "_evaluate",
    "_pictures",
    "utils",
    "__main__",
    "_benchmark",
    "_classify",
    "_fit_head",
    "datasets",
    "plot",
    "testing",
}


def room_of(path: Path) -> str:
    return path.relative_to(PYTHON).parts[0].removesuffix(path.suffix)


def python_files() -> list[Path]:
    return sorted(
        path for path in PYTHON.rglob("*.py") if path.name != "__init__.py" or path.parent != PYTHON
    )


def imported_names(text: str, package: tuple[str, ...]) -> list[str]:
    """Return all names that a file imports, from the root on: at its top, in functions, for type checkers.

    Parameters
    ----------
    text : str
        What the file holds.
    package : tuple of str
        The package that it is in, which relative imports begin at.
    """
    names: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join((*package[: len(package) - node.level + 1], base)).rstrip(".")
            names += [f"{base}.{alias.name}" for alias in node.names]
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "rvision"
        ):
            # After `import rvision` its names are imported where they are used.
            names.append(f"rvision.{node.attr}")
    return names


@cache
def names_of(path: Path) -> list[str]:
    return imported_names(
        path.read_text(encoding="utf-8"), ("rvision", *path.relative_to(PYTHON).parent.parts)
    )


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms of rvision that a file imports, at its top or inside of functions."""
    parts = [name.split(".") for name in names_of(path)]
    return {part[1] if len(part) > 1 else "" for part in parts if part[0] == "rvision"}


def imported_files() -> dict[str, set[str]]:
    """Return each file of the package, as the module's name, with those that it imports."""
    files = {}
    for path in python_files():
        parts = path.relative_to(PYTHON).with_suffix("").parts
        files[".".join(("rvision", *parts)).removesuffix(".__init__")] = path
    # The root imports nothing itself: it knows where its names are, and gets them when they are used.
    homes = {name.rpartition(".")[2]: name for name in names_of(PYTHON / "__init__.pyi")}

    def file_of(name: str) -> str | None:
        parts = name.split(".")
        if parts[0] != "rvision":
            return None
        if len(parts) > 1 and f"rvision.{parts[1]}" not in files and parts[1] in homes:
            parts = homes[parts[1]].split(".")
        ends = (".".join(parts[:end]) for end in range(len(parts), 1, -1))
        return next((end for end in ends if end in files), None)

    return {
        module: {found for name in names_of(path) if (found := file_of(name)) not in (None, module)}
        for module, path in files.items()
    }


def test_no_file_imports_one_that_imports_it():
    try:
        TopologicalSorter(imported_files()).prepare()
    except CycleError as error:
        pytest.fail(
            f"a circle of imports: {' <- '.join(error.args[1])}; take what they share into a file below"
        )


def test_imports_in_functions_and_for_type_checkers_count():
    text = """
from typing import TYPE_CHECKING
import rvision
from . import _trace as trace
from ..weights import _base
if TYPE_CHECKING:
    from rvision.nn.module import Module
def f(x):
    from rvision.hub import local_file
    return rvision.cat(x)
"""
    assert set(imported_names(text, ("rvision", "nn"))) == {
        "typing.TYPE_CHECKING",
        "rvision",
        "rvision.nn._trace",
        "rvision.weights._base",
        "rvision.nn.module.Module",
        "rvision.hub.local_file",
        "rvision.cat",
    }
    files = imported_files()
    assert "rvision.nn._links" in files["rvision.nn._run"]
    assert "rvision.weights._files" in files["rvision.weights._fetch"], "imported in a function"
    assert "rvision.nn._functions" in files["rvision.models.densenet"], "rvision.cat"


def test_python_rooms_import_only_what_is_below_them():
    rooms = {entry.name.removesuffix(".py") for entry in PYTHON.iterdir()}
    wrong = []
    for path in python_files():
        room = room_of(path)
        # A room in neither table is one that nobody has decided about.
        assert room in ALLOWED or room in TOP, f"{room} has no place in the house; add it to ALLOWED or TOP"
        imported = (imported_rooms(path) & rooms) - OPEN - {room}
        if room in ALLOWED and not imported <= ALLOWED[room]:
            wrong.append(f"{path.relative_to(PYTHON)} imports {sorted(imported - ALLOWED[room])}")
    assert not wrong


def test_importing_the_package_imports_no_room():
    tree = ast.parse((PYTHON / "__init__.py").read_text(encoding="utf-8"))
    names = [
        node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.module != "__future__"
    ]
    assert set(names) <= {"typing", "rvision._rvision", "rvision.errors"}


def test_pickle_is_never_imported():
    for path in [*python_files(), PYTHON / "__init__.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not {"pickle", "_pickle", "cPickle", "dill"} & {name.split(".")[0] for name in names}, path
