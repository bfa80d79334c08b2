"""Who may know whom in the package, read from its import lines. The crate's rooms are in tests/rooms.rs."""

from __future__ import annotations

import ast
from pathlib import Path

PYTHON = Path(__file__).parents[2] / "python" / "rvision"

# What each room of the package may import from the others; these are open to all.
OPEN = {"errors", "_frames", "_numbers", "_rvision", ""}
ALLOWED = {
    "errors": set(),
    "_frames": set(),
    "_numbers": set(),
    "_opaque": set(),
    "_layout": set(),
    "_alias": {"_layout"},
    "_sizes": set(),
    "_moves": {"_alias", "_sizes"},
    "_trace": {"_alias", "_moves", "_opaque", "_sizes"},
    "nn": {"_trace", "_alias", "_sizes"},
    "transforms": set(),
    "hub": {"weights"},
    "weights": {"transforms", "hub"},
    "models": {"nn", "weights", "transforms", "ops", "hub"},
    "ops": {"nn", "_trace"},
    "_table": set(),
    "_summary": {"nn", "_trace", "_table"},
    "_profile": {"nn", "_trace", "_table"},
    "_ensemble": {"nn"},
    "dense": {"nn", "_trace", "_sizes", "models", "weights", "transforms", "ops"},
}
# Sit on top: they may import everything, and nothing below may import them.
TOP = {"dense", "cli", "_class_folders", "_evaluate", "_pictures", "utils", "__main__"}


def room_of(path: Path) -> str:
    return path.relative_to(PYTHON).parts[0].removesuffix(path.suffix)


def python_files() -> list[Path]:
    return sorted(
        path for path in PYTHON.rglob("*.py") if path.name != "__init__.py" or path.parent != PYTHON
    )


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms of rvision that a file imports, at its top or inside of functions."""
    package = ("rvision", *path.relative_to(PYTHON).parent.parts)
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join((*package[: len(package) - node.level + 1], base)).rstrip(".")
            names += [f"{base}.{alias.name}" for alias in node.names]
    parts = [name.split(".") for name in names]
    return {part[1] if len(part) > 1 else "" for part in parts if part[0] == "rvision"}


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
