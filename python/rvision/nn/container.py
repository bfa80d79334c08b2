"""Modules that hold modules: in order, in a list, by name."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, TypeVar, overload

from rvision.nn.module import Module, _indented

__all__ = ["ModuleDict", "ModuleList", "Sequential"]

L = TypeVar("L", bound="_Numbered")


class _Numbered(Module):
    """Modules that can be reached by index."""

    def _key(self, index: int) -> str:
        number = operator.index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"{type(self).__name__}: index {number} is out of range for {len(self)} modules")
        return list(self._modules)[number]

    def _set(self, modules: Iterable[tuple[str, Module]]) -> None:
        """Replace all modules."""
        kept = dict(modules)
        for name, module in kept.items():
            if not isinstance(module, Module):
                raise TypeError(
                    f"{type(self).__name__}: expected an nn.Module at {name}, got {type(module).__name__}"
                )
        self._modules.clear()
        for name, module in kept.items():
            self.register_module(name, module)
        self._links.changed()

    def _renumbered(self, modules: Iterable[Module]) -> None:
        self._set((str(index), module) for index, module in enumerate(modules))

    def _like(self: L, modules: Iterable[tuple[str, Module]]) -> L:
        """Return a container of the same kind with other modules."""
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self: L, index: slice) -> L: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._like(list(self._modules.items())[index])
        return self._modules[self._key(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._key(index), module)

    def __delitem__(self, index: int | slice) -> None:
        keys = list(self._modules)
        gone = set(keys[index]) if isinstance(index, slice) else {self._key(index)}
        numbered = keys == [str(i) for i in range(len(keys))]
        left = [(key, module) for key, module in self._modules.items() if key not in gone]
        if numbered:
            self._renumbered(module for _, module in left)
        else:
            self._set(left)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def append(self: L, module: Module) -> L:
        """Add a module at the end and return the container."""
        # After slices and deletions the names need not be 0, 1, 2, ...
        number = len(self)
        while str(number) in self._modules:
            number += 1
        self.register_module(str(number), module)
        return self

    def extend(self: L, modules: Iterable[Module]) -> L:
        """Add modules at the end and return the container."""
        if isinstance(modules, Module) and not isinstance(modules, _Numbered):
            raise TypeError(
                f"{type(self).__name__}.extend: expected several modules, got {type(modules).__name__}"
            )
        for module in list(modules):
            self.append(module)
        return self

    def insert(self: L, index: int, module: Module) -> L:
        """Insert a module before the one at `index` and return the container; later ones move up."""
        modules = list(self._modules.values())
        if not -len(modules) <= index <= len(modules):
            raise IndexError(
                f"{type(self).__name__}: index {index} is out of range for {len(modules)} modules"
            )
        modules.insert(index, module)
        self._renumbered(modules)
        return self

    def pop(self, index: int) -> Any:
        """Remove a module and return it; later ones move down."""
        module = self[index]
        del self[index]
        return module

    def __iadd__(self: L, other: Iterable[Module]) -> L:
        return self.extend(other)

    def __add__(self: L, other: Iterable[Module]) -> L:
        modules = [*self, *other]
        return self._like((str(index), module) for index, module in enumerate(modules))

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]


class Sequential(_Numbered):
    """Modules one after another: `torch.nn.Sequential`.

    Parameters
    ----------
    *args : Module, or one OrderedDict of Module
        Named by number, or as in the dict.

    Examples
    --------
    >>> stem = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU())
    >>> stem[0]
    Conv2d(3, 64, kernel_size=(3, 3), stride=(1, 1))
    >>> len(stem[:1]), len(stem.append(nn.MaxPool2d(2)))
    (1, 3)
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            self._set(args[0].items())
        else:
            self._renumbered(args)

    def _like(self, modules: Iterable[tuple[str, Module]]) -> Sequential:
        # A subclass may have its own constructor.
        kind = type(self) if type(self).__init__ is Sequential.__init__ else Sequential
        return kind(OrderedDict(modules))

    def forward(self, input: Any) -> Any:
        """Return the last module's result."""
        for module in self:
            input = module(input)
        return input


class ModuleList(_Numbered):
    """A list of modules, which has no `forward`: `torch.nn.ModuleList`."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _like(self, modules: Iterable[tuple[str, Module]]) -> ModuleList:
        return ModuleList(module for _, module in modules)

    def _child_lines(self) -> Iterable[str]:
        # Consecutive equal modules are shown in one line, as in torch.
        start = 0
        for text, equal in groupby(repr(module) for module in self):
            count = len(list(equal))
            name = f"({start}): " if count == 1 else f"({start}-{start + count - 1}): {count} x "
            start += count
            yield _indented(name + text)


class ModuleDict(Module):
    """Modules by name, in order, without `forward`: `torch.nn.ModuleDict`."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        if key in self._modules:
            setattr(self, key, module)
        else:
            self.register_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]
        self._links.changed()

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()
        self._links.changed()

    def pop(self, key: str) -> Any:
        """Remove a module and return it."""
        module = self[key]
        del self[key]
        return module

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        """Return the modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return names and modules."""
        return self._modules.items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add or replace modules."""
        pairs = modules.items() if isinstance(modules, Mapping | ModuleDict) else modules
        for key, module in pairs:
            self[key] = module
