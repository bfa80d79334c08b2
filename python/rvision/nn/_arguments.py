"""The arguments and results of `forward`: arrays taken out of their structure and put back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvision._sizes import plain
from rvision._trace import Traced
from rvision.nn._inputs import as_floats, is_array

__all__ = ["argument_names", "constants", "fill", "take", "template"]


@dataclass(frozen=True, slots=True)
class Place:
    """The position of an array in arguments or results."""

    index: int


def take(value: Any, arrays: list[NDArray[np.floating]], where: str) -> Hashable:
    """Take arrays out of an argument; the rest is hashable and equal for equal calls."""
    value = plain(value)
    if is_array(value) or (isinstance(value, list) and not _has_array(value) and not _are_sizes(value)):
        arrays.append(as_floats(value, where))
        return Place(len(arrays) - 1)
    if isinstance(value, tuple | list):
        return _Sequence(type(value), tuple(take(item, arrays, where) for item in value))
    if isinstance(value, dict):
        return _Mapping(tuple((key, take(item, arrays, where)) for key, item in value.items()))
    try:
        hash(value)
    except TypeError:
        arrays.append(as_floats(value, where))
        return Place(len(arrays) - 1)
    return _Value(type(value), _distinct(value), value)


@dataclass(frozen=True, slots=True)
class _Sequence:
    kind: type
    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Mapping:
    items: tuple[tuple[Hashable, Any], ...]
    kind: type = dict


@dataclass(frozen=True, slots=True)
class _Value:
    """A constant; equal only to constants of its type (1 == 1.0 == True) that compute the same."""

    kind: type
    same: Any
    value: Any = field(compare=False)


def constants(form: Any) -> Iterator[Any]:
    """Yield the arguments that are not arrays."""
    if isinstance(form, tuple):
        for part in form:
            yield from constants(part)
    elif isinstance(form, _Sequence | _Mapping):
        yield from constants(form.items)
    elif isinstance(form, _Value):
        yield form.value


def _distinct(value: Any) -> Any:
    """Return a value that is equal for two constants of a type exactly if they are the same."""
    # 0.0 equals -0.0, and NaN is not equal to itself.
    return repr(value) if isinstance(value, float | complex) else value


def _has_array(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_has_array(item) for item in value)
    if isinstance(value, dict):
        return any(_has_array(item) for item in value.values())
    return is_array(value)


def _are_sizes(values: list[Any]) -> bool:
    """Tell whether a list is one of integers, such as an output's size: no layer reads an array of these."""
    return bool(values) and all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def template(value: Any, outputs: list[Traced]) -> Any:
    """Take symbols out of the result of `forward`. A symbol that occurs twice is computed once."""
    value = plain(value)
    if isinstance(value, Traced):
        for index, output in enumerate(outputs):
            if output is value:
                return Place(index)
        outputs.append(value)
        return Place(len(outputs) - 1)
    if isinstance(value, list | tuple):
        return _Sequence(type(value), tuple(template(item, outputs) for item in value))
    if isinstance(value, dict):
        return _Mapping(tuple((key, template(item, outputs)) for key, item in value.items()), type(value))
    return _Value(type(value), None, value)


def fill(template: Any, values: Sequence[Any]) -> Any:
    """Replace each :class:`Place` by its value."""
    if isinstance(template, Place):
        return values[template.index]
    if isinstance(template, _Sequence):
        items = [fill(item, values) for item in template.items]
        return template.kind(*items) if hasattr(template.kind, "_fields") else template.kind(items)
    if isinstance(template, _Mapping):
        kind = template.kind if template.kind is OrderedDict else dict
        return kind((key, fill(item, values)) for key, item in template.items)
    # A returned constant array belongs to the caller, who may write into it.
    return np.array(template.value) if isinstance(template.value, np.ndarray) else template.value


def argument_names(forward: Callable[..., Any], form: Any) -> list[str]:
    """Return a name for each array, from the parameter of `forward` that it was passed as."""
    positional, named = form
    code = getattr(getattr(forward, "__func__", forward), "__code__", None)
    known = list(code.co_varnames[1 : code.co_argcount]) if code is not None else []
    names: list[str] = []

    def visit(name: str, value: Any) -> None:
        if isinstance(value, Place):
            names.append(name)
        elif isinstance(value, _Sequence):
            for index, item in enumerate(value.items):
                visit(f"{name}.{index}", item)
        elif isinstance(value, _Mapping):
            for key, item in value.items:
                visit(f"{name}.{key}", item)

    for index, value in enumerate(positional):
        visit(known[index] if index < len(known) else f"input.{index}", value)
    for name, value in named:
        visit(name, value)
    return names
