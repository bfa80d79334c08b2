"""Tracks what a network's code reads besides arguments and attributes; changes invalidate a trace.

`forward` runs only once, so everything that it has read is part of the trace. Assigning to a
module's attributes begins a new state (:mod:`rvision.nn._run`). Everything else is found here, from
the code: the names in `forward` and in all functions and methods that it can reach. If a name is a
global, a variable of an enclosing function, or an attribute of a class or of an object that the
network references, its value is recorded; for lists, dicts, sets, arrays and other modules, their
contents. Each call compares.

The code of rvision itself reads none of these: its networks have nothing to compare.
"""

from __future__ import annotations

import functools
import operator
import random
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rvision.errors import UnsupportedError
from rvision.nn._tree import Tree
from rvision.nn.parameter import Constant

__all__ = ["Watch", "watch"]

_MISSING: Any = object()

# Limits on the objects examined and on the bytes of an array compared: each call pays for them.
_MOST_PLACES = 5000
_MOST_BYTES = 1 << 16

_SIMPLE = (int, float, complex, str, bytes, bool, type(None), type(...), range, slice, np.generic, np.dtype)

# Packages that are not examined, besides Python's own; of these, modules whose objects are plain
# data.
_OPAQUE = {"rvision", "numpy", "torch", "torchvision", "PIL"}
_PLAIN = {"argparse", "types", "collections", "dataclasses", "configparser"}

# A module's own attributes.
_REGISTRY = {"_parameters", "_buffers", "_modules", "_transient", "_links", "_arrays", "_hooks"}

_RANDOM_SOURCES = (np.random.Generator, np.random.RandomState, np.random.BitGenerator, random.Random)


@functools.cache
def _random_names() -> frozenset[str]:
    kinds = (np.random.Generator, np.random.RandomState, random.Random)
    return frozenset(name for kind in kinds for name in dir(kind) if name[0] != "_")


def _package(name: str | None) -> str:
    return (name or "").partition(".")[0]


def _is_opaque(name: str | None) -> bool:
    """Return whether a module's code is not examined."""
    package = _package(name)
    return package in _OPAQUE or (package in sys.stdlib_module_names and package != "__main__")


def is_own(module: Tree[Any]) -> bool:
    """Return whether a module is rvision's, without an overridden `forward`."""
    return _package(type(module).__module__) == "rvision" and "forward" not in module.__dict__


def watch(root: Tree[Any], constants: Iterable[Any]) -> Watch | None:
    """Return what to compare for a trace of `root`, before it is made; None if there is nothing.

    Parameters
    ----------
    root : Tree[Any]
        The called module.
    constants : iterable
        The arguments that are not arrays.
    """
    others = [value for value in constants if not isinstance(value, _SIMPLE)]
    tree = list(root.modules())
    if not others and all(map(is_own, tree)):
        return None
    return Watch(tree, others)


def _same(now: Any, value: Any) -> bool:
    """Return whether a value is unchanged: the same object, or an equal number or text."""
    if now is value:
        return True
    if type(now) is not type(value):
        return False
    if isinstance(now, tuple):
        return len(now) == len(value) and all(map(_same, now, value))
    # The text of a float distinguishes 0.0 from -0.0, and is the same for NaN.
    return isinstance(now, _SIMPLE) and (repr(now) == repr(value) if isinstance(now, float) else now == value)


def _items_same(now: Iterable[Any], values: tuple[Any, ...]) -> bool:
    now = tuple(now)
    return len(now) == len(values) and (all(map(operator.is_, now, values)) or all(map(_same, now, values)))


class Watch:
    """Values and contents at the time a trace was made.

    Parameters
    ----------
    tree : list of Module
        The network.
    others : list
        Arguments that may change.
    """

    def __init__(self, tree: list[Tree[Any]], others: list[Any]) -> None:
        # Values of names in globals, classes and objects: `get`, the name, the value.
        self.names: list[tuple[Callable[..., Any], str, Any]] = []
        self.held: list[tuple[Callable[..., Any], str, Any]] = []
        self.cells: list[tuple[types.CellType, Any]] = []
        # A function that lists an object's contents, and the contents.
        self.contents: list[tuple[Callable[[], Iterable[Any]], tuple[Any, ...]]] = []
        # Random number generators, and all names that the network's code mentions.
        self.sources: list[Any] = []
        self.mentioned: frozenset[str] = frozenset()
        _Search(self, tree, others)
        self._draws = [(source, _random_state(source)) for source in self.sources]

    def same(self) -> bool:
        """Return whether all of it is unchanged."""
        try:
            for get, name, value in self.names:
                now = get(name, _MISSING)
                if now is not value and not _same(now, value):
                    return False
            for cell, value in self.cells:
                now = _in_cell(cell)
                if now is not value and not _same(now, value):
                    return False
            return self._contents_same()
        except RuntimeError:
            # Another thread changed a dict while it was being compared.
            return False

    def _contents_same(self) -> bool:
        for get, name, value in self.held:
            now = get(name, _MISSING)
            if now is not value and not _same(now, value):
                return False
        return all(_items_same(contents(), values) for contents, values in self.contents)

    def traced(self) -> bool:
        """Return whether a trace that has just been made is valid for another call.

        It is not if `forward` has changed something that the network references. Variables that
        `forward` itself assigns, such as a call counter in a class, are not compared again.
        """
        self.names = [entry for entry in self.names if _same(entry[0](entry[1], _MISSING), entry[2])]
        self.cells = [(cell, value) for cell, value in self.cells if _same(_in_cell(cell), value)]
        return self._contents_same()

    def check_random(self, where: str) -> None:
        """Raise UnsupportedError if random numbers have been drawn since the trace began."""
        for source, state in self._draws:
            if _random_state(source) == state:
                continue
            # Another thread may have drawn them, unless the network's code has such a name.
            if self.mentioned & _random_names() or threading.active_count() == 1:
                raise UnsupportedError(
                    f"{where}: random numbers are drawn in forward, which is traced once and not run on each "
                    "call; draw them outside and pass them as an input"
                )

    def __len__(self) -> int:
        return sum(map(len, (self.names, self.held, self.cells, self.contents)))


def _in_cell(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING


def _random_state(source: Any) -> Any:
    """Return a random number generator's state as something to compare."""
    if isinstance(source, random.Random):
        return source.getstate()
    if isinstance(source, np.random.Generator):
        return _frozen(source.bit_generator.state)
    if isinstance(source, np.random.RandomState):
        return _frozen(source.get_state(legacy=False))
    if isinstance(source, np.random.BitGenerator):
        return _frozen(source.state)
    return bytes(source().numpy())


def _frozen(state: Any) -> Any:
    if isinstance(state, Mapping):
        return tuple((key, _frozen(value)) for key, value in state.items())
    return state.tobytes() if isinstance(state, np.ndarray) else state


@dataclass(frozen=True)
class _Space:
    """An object in which names are looked up.

    `kept` is the list of a watch to which entries are added, `kind` the object's class, in which a
    name may also be found, and `whole` tells that code which lists names can reach all of them.
    """

    names: Mapping[str, Any]
    kept: list[tuple[Callable[..., Any], str, Any]]
    kind: type | None = None
    whole: bool = False


class _Search:
    """Finds what a :class:`Watch` compares."""

    def __init__(self, found: Watch, tree: list[Tree[Any]], others: list[Any]) -> None:
        self._found = found
        self._names: set[str] = set()
        self._everything = False
        self._seen: dict[int, Any] = {id(module): module for module in tree}
        self._spaces: list[_Space] = []
        self._slotted: list[Any] = []
        self._classes: list[type] = []
        self._done: set[tuple[int, str]] = set()
        for module in tree:
            self._module(module)
        for value in others:
            self._visit(value)
        found.sources += [np.random.mtrand._rand, random._inst]  # type: ignore[attr-defined]
        torch = sys.modules.get("torch")
        if hasattr(torch, "get_rng_state"):
            found.sources.append(torch.get_rng_state)
        self._follow()
        found.mentioned = frozenset(self._names)

    def _module(self, module: Tree[Any]) -> None:
        """Examine a module: its class, and its own attributes by name."""
        forward = module.__dict__.get("forward")
        if forward is not None:
            self._visit(forward)
        self._class(type(module))
        # Assignments are detected elsewhere, so only the values are examined.
        own = {name: value for name, value in module.__dict__.items() if name not in _REGISTRY}
        self._spaces.append(_Space(own, [], whole=True))

    def _class(self, kind: type) -> None:
        if not _is_opaque(kind.__module__) and not self._known(kind):
            self._classes.append(kind)

    def _known(self, value: Any) -> bool:
        if id(value) in self._seen or len(self._seen) > _MOST_PLACES:
            return True
        self._seen[id(value)] = value
        return False

    # ---- names ----

    def _follow(self) -> None:
        """Look up names until there are no new ones."""
        size = -1
        while size != (size := len(self._names) + len(self._seen) + len(self._done)):
            for kind in list(self._classes):
                for name in self._names | _special(kind):
                    self._class_name(kind, name)
            for space in list(self._spaces):
                names = self._names
                if self._everything and space.whole:
                    names = set(space.names)
                    if space.kind is not None:
                        self._whole(space.names)
                for name in list(names):
                    # An object may later be given an attribute that its class has.
                    if name in space.names or hasattr(space.kind, name):
                        self._name(id(space.names), space.names, name, space.kept)
            for value in list(self._slotted):
                for name in self._names & set(_slots(type(value))):
                    get = functools.partial(getattr, value)
                    self._keep(id(value), get, name, get(name, _MISSING), self._found.held)

    def _whole(self, attributes: Mapping[str, Any]) -> None:
        """Compare all attributes of an object, including names added later."""
        if (id(attributes), "") not in self._done:
            self._done.add((id(attributes), ""))
            self._hold(lambda: (*attributes, *attributes.values()))

    def _class_name(self, kind: type, name: str) -> None:
        line = [base for base in kind.__mro__ if not _is_opaque(base.__module__)]
        holder = next((base for base in kind.__mro__ if name in base.__dict__), None)
        if holder is None or (holder not in line and name != "forward"):
            return
        # An inherited attribute may later be set on the class.
        for base in line[: line.index(holder) + 1] if holder in line else line:
            self._name(id(base), base.__dict__, name, self._found.names)

    def _name(self, owner: int, space: Mapping[str, Any], name: str, kept: list[Any]) -> None:
        self._keep(owner, space.get, name, space.get(name, _MISSING), kept)

    def _keep(self, owner: int, get: Callable[..., Any], name: str, value: Any, kept: list[Any]) -> None:
        if (owner, name) in self._done:
            return
        self._done.add((owner, name))
        kept.append((get, name, value))
        if value is not _MISSING:
            self._visit(value)

    # ---- code ----

    def _function(self, function: types.FunctionType) -> None:
        if _is_opaque(function.__module__):
            return
        for value in (function.__defaults__ or (), *(function.__kwdefaults__ or {}).values()):
            self._visit(value)
        for cell in function.__closure__ or ():
            if not self._known(cell):
                value = _in_cell(cell)
                self._found.cells.append((cell, value))
                self._visit(value)
        self._visit(function.__dict__.get("__wrapped__"))
        self._code(function.__code__, function.__globals__)

    def _code(self, code: types.CodeType, space: dict[str, Any]) -> None:
        names = code.co_names
        self._names.update(names)
        if "vars" in names or "__dict__" in names:
            self._everything = True
        for value in code.co_consts:
            if isinstance(value, types.CodeType):
                self._code(value, space)
            elif isinstance(value, str) and "getattr" in names and value.isidentifier():
                self._names.add(value)
        for name in names:
            if name in space:
                self._name(id(space), space, name, self._found.names)

    # ---- values ----

    def _visit(self, value: Any) -> None:
        """Examine a value that the network's code can reach."""
        if isinstance(value, _SIMPLE) or self._known(value):
            return
        if isinstance(value, Constant) and value._held is not None:
            held = value._held
            self._hold(lambda: (held.version,))
            return
        if isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, type):
            self._seen.pop(id(value))
            self._class(value)
        elif isinstance(value, types.ModuleType):
            if not _is_opaque(value.__name__):
                self._spaces.append(_Space(value.__dict__, self._found.names))
        elif isinstance(value, _RANDOM_SOURCES):
            self._found.sources.append(value)
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif _is_module(type(value)):
            # A module outside the tree, such as one in a list, has its own state.
            self._hold(lambda: (value._links.state,))
            for module in value.modules():
                self._seen[id(module)] = module
                self._module(module)
        else:
            self._parts(value)

    def _hold(self, contents: Callable[[], Iterable[Any]]) -> None:
        self._found.contents.append((contents, tuple(contents())))

    def _array(self, array: np.ndarray[Any, Any]) -> None:
        if array.dtype == object:
            self._hold(lambda: array.flat)
            for item in array.flat:
                self._visit(item)
        elif array.nbytes <= _MOST_BYTES:
            self._hold(lambda: (array.shape, array.dtype, array.tobytes()))

    def _parts(self, value: Any) -> None:
        """Examine containers, wrappers of functions, and objects with attributes."""
        parts: Iterable[Any] = ()
        if isinstance(value, list | deque | tuple | set | frozenset):
            if not isinstance(value, tuple | frozenset):
                self._hold(value.__iter__)
            parts = list(value)
        elif isinstance(value, dict):
            self._hold(lambda: (*value, *value.values()))
            parts = list(value.values())
        elif isinstance(value, bytearray):
            self._hold(lambda: (bytes(value),))
        elif isinstance(value, types.MethodType):
            parts = (value.__func__, value.__self__)
        elif isinstance(value, functools.partial):
            parts = (value.func, *value.args, *value.keywords.values())
        elif isinstance(value, property):
            parts = (value.fget,)
        elif isinstance(value, staticmethod | classmethod):
            parts = (value.__func__,)
        elif isinstance(value, types.BuiltinFunctionType):
            # np.random.rand and random.random are methods of generators.
            parts = (value.__self__,) if isinstance(value.__self__, _RANDOM_SOURCES) else ()
            self._names.update(["random"] if parts else [])
        elif isinstance(value, functools._lru_cache_wrapper):
            parts = (value.__wrapped__,)
        elif _package(type(value).__module__) == "torch" and hasattr(value, "_version"):
            self._hold(lambda: (value._version,))
        for part in parts:
            self._visit(part)
        self._attributes(value)

    def _attributes(self, value: Any) -> None:
        module = type(value).__module__
        if _is_opaque(module) and _package(module) not in _PLAIN:
            return
        self._class(type(value))
        attributes = getattr(value, "__dict__", None)
        if isinstance(attributes, dict):
            self._spaces.append(_Space(attributes, self._found.held, type(value), whole=True))
        if any(_slots(type(value))):
            self._slotted.append(value)


def _is_module(kind: type) -> bool:
    return any(base.__module__ == "rvision.nn.module" for base in kind.__mro__)


def _slots(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        yield from (slots,) if isinstance(slots, str) else slots


@functools.lru_cache(maxsize=1024)
def _special(kind: type) -> frozenset[str]:
    """Return methods that code calls without their names."""
    names = {
        name
        for base in kind.__mro__
        if not _is_opaque(base.__module__)
        for name, value in base.__dict__.items()
        if name[:2] == "__" and name[-2:] == "__" and isinstance(value, types.FunctionType)
    }
    return frozenset((names - {"__init__"}) | {"forward"} if _is_module(kind) else names)
