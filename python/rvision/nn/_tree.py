"""The tree of modules: their children, names, parameters and buffers.

This is the part of a module that the code below :class:`rvision.nn.Module` knows: the code that
runs, watches, saves and loads a network traverses its tree, and calls it with symbols.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from rvision.nn._links import Links
from rvision.nn.parameter import Buffer, Constant, Drawn, Held, Parameter, held_of

__all__ = ["REGISTRIES", "Tree", "forget_arrays"]

# The type of a module's children: `Module`, which is defined in a file above this one.
T = TypeVar("T", bound="Tree[Any]")
Self = TypeVar("Self", bound="Tree[Any]")

REGISTRIES = ("_parameters", "_buffers", "_modules")


# Modules whose constants have been read as arrays since the last run, by id.
_looked_at: dict[int, weakref.ref[Any]] = {}


def forget_arrays() -> None:
    """Drop the modules' references to arrays, so that the memory of unused arrays is freed."""
    while _looked_at:
        with suppress(KeyError):  # another thread took the last
            module = _looked_at.popitem()[1]()
            if module is not None:
                module._arrays.clear()


class Tree(Generic[T]):
    """A module as a node of the tree; the base of :class:`rvision.nn.Module`."""

    _version: int = 1
    """Counts changes of the names in the state dict; kept in its metadata."""

    training: bool
    forward: Callable[..., Any]
    _add_nodes: Callable[..., Any]
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _transient: set[str]
    _links: Links
    _arrays: dict[str, Constant]

    def __init__(self) -> None:
        attributes = self.__dict__
        attributes["training"] = False
        attributes["_parameters"] = {}
        attributes["_buffers"] = {}
        attributes["_modules"] = {}
        attributes["_transient"] = set()
        attributes["_links"] = Links()
        attributes["_arrays"] = {}

    def _put(self, registry: str, name: str, value: Any) -> None:
        if isinstance(value, Constant):
            # One that was derived from another has no memory of the engine's.
            value = value._held if value._handle is not None else held_of(type(value), value)
        if isinstance(value, Held):
            value.own(self)
        self.__dict__[registry][name] = value
        self._arrays.pop(name, None)
        if isinstance(value, Tree):
            value._links.add_parent(self)
        self._links.changed()

    def _full_name(self, name: str) -> str:
        """Return an entry's name in the tree that contains this module."""
        parts = [name]
        module: Any = self
        seen = {id(module)}
        while True:
            for parent in module._links.parents():
                key = next((key for key, child in parent._modules.items() if child is module), None)
                if key is not None and id(parent) not in seen:
                    break
            else:
                return ".".join(reversed(parts))
            parts.append(key)
            module = parent
            seen.add(id(module))

    def _made(self, registry: str, name: str, drawn: Drawn) -> Held:
        """Initialise a constant that has only been described so far."""
        kind = Parameter if registry == "_parameters" else Buffer
        value = held_of(kind, drawn.make(self._full_name(name)))._as(drawn.dtype)
        # Another thread may have made it first, and packed forms should be shared.
        entries = self.__dict__[registry]
        if entries.get(name) is drawn:
            entries[name] = value
            value.own(self)
        return entries[name]

    def _array(self, name: str, held: Held) -> Constant:
        """Return a constant as an array that stays the same object, and has one id, until the next run."""
        array = held.array()
        held.own(self)
        self._arrays[name] = array
        # Afterwards, so that a run in another thread cannot miss the array.
        _looked_at[id(self)] = weakref.ref(self)
        return array

    def _constant(self, name: str) -> Any:
        """Return the engine's handle of a parameter, or None: no array of its values is made."""
        value = self._parameters.get(name)
        if isinstance(value, Drawn):
            value = self._made("_parameters", name, value)
        # A subclass may compute the attribute.
        return value.handle if isinstance(value, Held) else getattr(self, name)

    def _written(self, held: Held) -> None:
        """Begin a new state wherever a constant is used whose values have changed."""
        above: list[Any] = [self]
        seen = {id(self)}
        for module in above:
            for parent in module._links.parents():
                if id(parent) not in seen:
                    seen.add(id(parent))
                    above.append(parent)
        for module in above:
            if not module._links.parents():
                for user in module.modules():
                    entries = (*user._parameters.values(), *user._buffers.values())
                    if any(entry is held for entry in entries):
                        user._links.changed()

    # ---- looking through the tree ----

    def named_modules(
        self, memo: set[T] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, T]]:
        """Yield this module (as `prefix`) and all below it with their names, parents first."""
        memo = set() if memo is None else memo
        this: Any = self  # is a module: nothing else has this base
        if this in memo:
            return
        if remove_duplicate:
            memo.add(this)
        yield prefix, this
        for name, module in self._modules.items():
            if module is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, below, remove_duplicate)

    def modules(self) -> Iterator[T]:
        """Yield this module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, T]]:
        """Yield the modules directly below this one with their names, each once."""
        seen: set[T] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[T]:
        """Yield the modules directly below this one, each once."""
        for _, module in self.named_children():
            yield module

    def _named(
        self, registry: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for path, module in modules:
            for name in list(module.__dict__[registry]):
                value = getattr(module, name)
                same = id(module.__dict__[registry].get(name))
                if value is None or same in seen:
                    continue
                if remove_duplicate:
                    seen.add(same)
                yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield parameters with their names, of this module and (with `recurse`) all below it."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield parameters of this module and (with `recurse`) all below it."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield buffers with their names, of this module and (with `recurse`) all below it."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[NDArray[Any]]:
        """Yield buffers of this module and (with `recurse`) all below it."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> T:
        """Return the module with a dotted name, such as ``layer1.0.conv2``; the empty name is this one.

        Raises
        ------
        AttributeError
            If there is none; the message says at which part the name is wrong.
        """
        module: Any = self
        for depth, part in enumerate(target.split(".") if target else []):
            below = module._modules.get(part)
            if below is None:
                path = ".".join(target.split(".")[:depth]) or type(self).__name__
                names = ", ".join(module._modules) or "none"
                raise AttributeError(
                    f"{path} has no submodule {part!r} (looking for {target!r}); it has: {names}"
                )
            module = below
        return module

    def _get(self, registry: str, what: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if module.__dict__[registry].get(name) is None:
            raise AttributeError(f"{path or type(self).__name__} has no {what} {name!r}")
        return getattr(module, name)

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter with a dotted name."""
        return self._get("_parameters", "parameter", target)

    def get_buffer(self, target: str) -> NDArray[Any]:
        """Return the buffer with a dotted name."""
        return self._get("_buffers", "buffer", target)

    def set_submodule(self, target: str, module: T) -> None:
        """Replace the module with a dotted name."""
        path, _, name = target.rpartition(".")
        if not name:
            raise ValueError("set_submodule: the name is empty")
        setattr(self.get_submodule(path), name, module)

    def apply(self: Self, fn: Callable[[T], Any]) -> Self:
        """Call `fn` with every module of the tree, children first, and return this module."""
        for module in self.children():
            module.apply(fn)
        this: Any = self
        fn(this)
        return self

    # ---- what loading a state dict calls on each module ----

    def _upgrade_state_dict(self, state: dict[str, Any], prefix: str, metadata: Mapping[str, Any]) -> None:
        """Adapt older names; called by `load_state_dict` for each module, parents first.

        Parameters
        ----------
        state : dict
            All entries by full name; changed in place.
        prefix : str
            The beginning of this module's names, such as ``layer1.0.``.
        metadata : mapping
            The file's metadata of this module; ``metadata.get("version")`` may be missing.
        """

    def _defaults(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Return entries of this module that files of older versions lack, by name; `metadata` as above."""
        return {}
