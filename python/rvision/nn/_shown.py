"""A network as HTML: its modules in a tree that folds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from rvision._html import Html, document, escape, folded

__all__ = ["as_html"]


def as_html(module: Any) -> str:
    """Return the tree of a module; parameters are counted by their shapes, no value is read."""
    return document(_node("", module, outer=True))


def _node(name: str, module: Any, outer: bool = False) -> Html:
    extra = str(module.extra_repr()).replace("\n", ", ")
    label = f"<b>{escape(name)}</b>: " if name else ""
    kind = f"{label}{escape(module._get_name())}"
    count = _count(module)
    size = f' <span class="faint">{count:,} parameters</span>' if count else ""
    arguments = f'<span class="faint">({escape(extra)})</span>' if extra else ""
    title = Html(f"{kind}{arguments}{size}")
    children = [
        Html(f'<div class="leaf"><b>{escape(key)}</b>: None</div>') if child is None else _node(key, child)
        for key, child in module._modules.items()
    ]
    if not children:
        return Html(f'<div class="leaf">{title}</div>')
    return folded(title, *children, opened=outer, outer=outer)


def _count(module: Any) -> int:
    """Return the values in all parameters of a tree, shared ones once."""
    seen: dict[int, Any] = {id(value): value for value in _parameters(module) if value is not None}
    return sum(math.prod(value.shape) for value in seen.values())


def _parameters(module: Any) -> Iterable[Any]:
    for each in module.modules():
        yield from each._parameters.values()
