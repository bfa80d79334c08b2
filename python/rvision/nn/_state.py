"""State dicts: the implementation of `Module.state_dict` and `Module.load_state_dict`."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from rvision import _rvision
from rvision.errors import StateDictError
from rvision.nn._tree import Tree
from rvision.nn.parameter import Buffer, Constant, Drawn, Held, Parameter, held_of

__all__ = ["IncompatibleKeys", "load", "save", "undrawn"]

M = TypeVar("M", bound=Tree[Any])


class IncompatibleKeys(NamedTuple):
    """Names that `load_state_dict` did not find, and names that it did not use."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"

    def __str__(self) -> str:
        return repr(self)


class _Entry(NamedTuple):
    """An entry of the tree that has a value in the state dict."""

    module: Tree[Any]
    registry: str
    name: str
    shape: tuple[int, ...]


class Match(NamedTuple):
    """How a state dict fits a module."""

    entries: dict[str, _Entry]
    state: dict[str, Any]  # under the module's names
    missing: list[str]
    unexpected: list[str]
    misfits: list[str]  # in both, in different shapes
    filled: frozenset[str]  # in `state` by default only: older files lack them


def save(module: Tree[Any], prefix: str, destination: Any) -> OrderedDict[str, Any]:
    """Return `module`'s state dict, in `destination` if that is given."""
    state = destination
    if state is None:
        state = OrderedDict()
        state._metadata = OrderedDict()  # type: ignore[attr-defined]
    metadata = getattr(state, "_metadata", None)
    for path, child in module.named_modules(prefix=prefix.removesuffix("."), remove_duplicate=False):
        if metadata is not None:
            metadata[path] = {"version": child._version}
        for registry in ("_parameters", "_buffers"):
            for name in _persistent(child, registry):
                value = getattr(child, name)
                state[f"{path}.{name}" if path else name] = (
                    value if isinstance(value, Constant) else value.copy()
                )
    return state


def load(
    module: Tree[Any], state_dict: Mapping[str, Any], strict: bool, assign: bool = False
) -> IncompatibleKeys:
    """Load `state_dict` into `module`: all of it, or nothing if it does not fit."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"load_state_dict: expected a mapping of names to arrays, got {type(state_dict).__name__}; "
            f"{_instead(state_dict)}"
        )
    odd = next((name for name in state_dict if not isinstance(name, str)), None)
    if odd is not None:
        raise TypeError(
            f"load_state_dict: expected a mapping of names to arrays, got one with the key {odd!r} of type "
            f"{type(odd).__name__}; the state dict may be one of its values"
        )
    match = compare(module, state_dict)
    entries, state, missing, unexpected, misfits, _ = match
    if misfits or (strict and (missing or unexpected)):
        raise StateDictError(_diagnosis(module, match, strict))

    values = {
        key: _converted(key, state[key], entry, assign) for key, entry in entries.items() if key in state
    }
    tied = {} if assign else _tied(entries)
    for key, value in values.items():
        for entry in tied.get(key, [entries[key]]):
            entry.module._put(entry.registry, entry.name, value)
    return IncompatibleKeys(missing, unexpected)


def compare(module: Tree[Any], state_dict: Mapping[str, Any]) -> Match:
    """Compare a state dict with a module by names and shapes, without initialising or reading values."""
    metadata = getattr(state_dict, "_metadata", None) or {}
    state = dict(state_dict)
    entries: dict[str, _Entry] = {}
    modules: list[tuple[str, Tree[Any]]] = []
    # An upgrade may replace a module's children, so they are listed after it.
    for path, child in module.named_modules(remove_duplicate=False):
        modules.append((path, child))
        prefix = f"{path}." if path else ""
        child._upgrade_state_dict(state, prefix, metadata.get(path, {}))
        entries.update((prefix + entry.name, entry) for entry in _entries(child))
    for key, entry in entries.items():
        # Files of torch 0.4 and earlier have scalars as arrays of one element.
        if key in state and entry.shape == () and _shape(state[key]) == (1,):
            state[key] = np.asarray(state[key]).reshape(())
    filled: set[str] = set()
    for path, child in modules:
        for name, value in child._defaults(metadata.get(path, {})).items():
            key = f"{path}.{name}" if path else name
            if key not in state:
                state[key] = value
                filled.add(key)
    return Match(
        entries,
        state,
        missing=[key for key in entries if key not in state],
        unexpected=[key for key in state if key not in entries],
        misfits=[key for key, entry in entries.items() if key in state and _shape(state[key]) != entry.shape],
        filled=frozenset(filled),
    )


def _tied(entries: Mapping[str, _Entry]) -> dict[str, list[_Entry]]:
    """Return for each entry all that are the same parameter: torch copies a value into all of them."""
    same: dict[int, list[_Entry]] = {}
    tied: dict[str, list[_Entry]] = {}
    for key, entry in entries.items():
        old = entry.module.__dict__[entry.registry][entry.name]
        if isinstance(old, Held):
            tied[key] = same.setdefault(id(old), [])
            tied[key].append(entry)
    return tied


def _persistent(module: Tree[Any], registry: str) -> list[str]:
    return [
        name
        for name, value in module.__dict__[registry].items()
        if value is not None and not (registry == "_buffers" and name in module._transient)
    ]


def _entries(module: Tree[Any]) -> Iterator[_Entry]:
    for registry in ("_parameters", "_buffers"):
        for name in _persistent(module, registry):
            yield _Entry(module, registry, name, tuple(module.__dict__[registry][name].shape))


def _shape(value: Any) -> tuple[int, ...]:
    if hasattr(value, "shape"):
        return tuple(value.shape)
    try:
        return np.shape(value)
    except ValueError:
        # Ragged nested lists, such as a checkpoint's history, have no shape.
        return ()


def _converted(key: str, value: Any, entry: _Entry, assign: bool) -> Any:
    old = entry.module.__dict__[entry.registry][entry.name]
    try:
        if isinstance(old, Held | Drawn):
            new = held_of(Parameter if entry.registry == "_parameters" else Buffer, value)
            return new if assign else new._as(old.dtype)
        return np.asarray(value).astype(old.dtype)
    except (TypeError, ValueError) as error:
        raise StateDictError(f"{key}: {error}") from error


def _diagnosis(module: Tree[Any], match: Match, strict: bool) -> str:
    from rvision.nn._diagnose import diagnose_state_dict

    given = {key: value for key, value in match.state.items() if key not in match.filled}
    return diagnose_state_dict(
        type(module).__name__,
        {key: entry.shape for key, entry in match.entries.items()},
        {key: _shape(value) for key, value in given.items()},
        strict=strict,
        nested=[key for key, value in given.items() if isinstance(value, Mapping) or _is_module(value)],
    )


def _instead(value: Any) -> str:
    """Return what to pass instead of something that is not a mapping."""
    if _is_module(value):
        return "pass its .state_dict()"
    return "rvision.load(path) reads a file"


def _is_module(value: Any) -> bool:
    return hasattr(value, "state_dict") and hasattr(value, "load_state_dict")


def undrawn(module: M) -> M:
    """Return a copy whose uninitialised values are zeros that take no memory.

    For code that only needs shapes: initialising a large network takes seconds and gigabytes.
    """
    twin = copy.deepcopy(module)
    for child in twin.modules():
        for registry, kind in (("_parameters", Parameter), ("_buffers", Buffer)):
            entries = child.__dict__[registry]
            drawn = {name: value for name, value in entries.items() if isinstance(value, Drawn)}
            entries.update(
                {name: Held(kind, _rvision.Parameter.zeros(value.shape)) for name, value in drawn.items()}
            )
    return twin
