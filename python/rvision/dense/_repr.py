"""The `repr` of a convolutionized network: its modules, with their convolutions and windows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rvision import nn
from rvision.nn import Module
from rvision.nn._operation import pair

__all__ = ["as_it_runs"]

_WINDOWS = {"conv2d": "Conv2d", "avg_pool2d": "AvgPool2d", "max_pool2d": "MaxPool2d"}
# Modules that only reshape or depend on a whole map; a dense form replaces them.
_REPLACED = (nn.Linear, nn.Flatten, nn.Unflatten, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_SLIDING = (nn.Conv2d, nn.AvgPool2d, nn.MaxPool2d)
_NUMBERED = re.compile(r"_[0-9]+$")

Pair = tuple[int, int]


@dataclass(frozen=True)
class _Node:
    """A node of a dense graph, as `DenseGraph.describe` prints it."""

    place: int
    operation: str
    text: str

    def pair(self, name: str, usual: int) -> Pair:
        found = re.search(rf" {name} (\d+)(?:x(\d+))?(?= |$)", self.text)
        return (int(found[1]), int(found[2] or found[1])) if found else (usual, usual)

    def padding(self) -> tuple[int, ...]:
        """Return the padding above, left, below and right."""
        found = re.search(r" padding (?:(\d+)|\[([\d, ]+)\])", self.text)
        if found is None:
            return (0,) * 4
        return (int(found[1]),) * 4 if found[1] else tuple(map(int, found[2].split(",")))

    def shape(self, name: str) -> tuple[int, ...] | None:
        found = re.search(rf" {name} \(([\d, ]*)\)", self.text)
        return tuple(int(size) for size in found[1].split(",") if size.strip()) if found else None

    def shown(self) -> str:
        """Return the text that torch shows for such a module."""
        padding, dilation = self.padding(), self.pair("dilation", 1)
        if self.operation == "identity":
            return "Identity()"
        if self.operation == "conv2d":
            weight = self.shape("weight")
            assert weight is not None, "a convolution has a weight"
            groups = self.pair("groups", 1)[0]
            parts = [f"{weight[1] * groups}, {weight[0]}", f"kernel_size={weight[2:]}"]
            parts.append(f"stride={self.pair('stride', 1)}")
            if any(padding):
                parts.append(f"padding={_sides(padding, always_pair=True)}")
            if dilation != (1, 1):
                parts.append(f"dilation={dilation}")
            if groups != 1:
                parts.append(f"groups={groups}")
            if self.shape("bias") is None:
                parts.append("bias=False")
        else:
            parts = [f"kernel_size={self.pair('kernel', 1)}", f"stride={_one(self.pair('stride', 1))}"]
            parts.append(f"padding={_sides(padding)}")
            if self.operation == "max_pool2d" or dilation != (1, 1):
                parts.append(f"dilation={_one(dilation)}")
            if self.operation == "max_pool2d":
                parts.append(f"ceil_mode={' ceil_mode' in self.text}")
        return f"{_WINDOWS[self.operation]}({', '.join(parts)})"


def _one(both: Pair) -> int | Pair:
    return both[0] if both[0] == both[1] else both


def _sides(padding: tuple[int, ...], always_pair: bool = False) -> Any:
    top, left, bottom, right = padding
    if (top, left) != (bottom, right):
        return ((top, bottom), (left, right))
    return (top, left) if always_pair else _one((top, left))


class _Shown(Module):
    """A placeholder for a module that is shown as something else."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def __repr__(self) -> str:
        return self._text


def as_it_runs(model: Module, description: str) -> Module:
    """Return a tree of modules whose `repr` shows what a dense graph runs, in torch's style.

    Parameters
    ----------
    model : Module
        The classifier. It is not changed.
    description : str
        `DenseGraph.describe` of its dense form.

    Returns
    -------
    Module
        For display only. Linear layers are shown as the convolutions that replace them, pools of a
        whole map as sliding windows, and layers after a removed stride with their dilation. A call
        in `forward` that became a window has its own line, under its name in the graph. Modules
        that do not run, such as auxiliary heads, are omitted.
    """
    nodes: dict[str, _Node] = {}
    for place, line in enumerate(description.splitlines()[:-1]):
        _, name, text = line.split(maxsplit=2)
        nodes[name] = _Node(place, re.split(r"[ (]", text, maxsplit=1)[0], text)
    # A module used in several places has one name in the graph.
    names = {id(module): name for name, module in model.named_modules()}
    modules = set(names.values())
    calls = {
        name: node
        for name, node in nodes.items()
        if name not in modules
        and node.operation in _WINDOWS
        and _NUMBERED.sub("", name.rpartition(".")[2]) != node.operation
        # Nodes of a module that runs several times are also numbered.
        and _NUMBERED.sub("", name) not in modules
    }
    return _twin(model, "", names, nodes, calls)


def _twin(
    module: Module,
    path: str,
    names: Mapping[int, str],
    nodes: Mapping[str, _Node],
    calls: Mapping[str, _Node],
) -> Module:
    node = nodes.get(path)
    if node is not None and (
        isinstance(module, _REPLACED) or (isinstance(module, _SLIDING) and _differs(module, node))
    ):
        kept = node.operation not in _WINDOWS and node.operation != "identity"
        return module if kept else _Shown(node.shown())
    children: list[tuple[int, str, Module | None]] = []
    place = -1
    for name, child in module._modules.items():
        if child is None:
            children.append((place, name, None))
            continue
        own = names[id(child)]
        first = _first(own, nodes)
        if first is None and next(child.parameters(), None) is not None:
            continue
        # A module without a node stays after its predecessor.
        place = place if first is None else first
        children.append((place, name, _twin(child, own, names, nodes, calls)))
    prefix = f"{path}." if path else ""
    windows = [
        (each.place, name.removeprefix(prefix), _Shown(each.shown()))
        for name, each in calls.items()
        if name.rpartition(".")[0] == path
    ]
    if not children:
        return module
    return _with_children(module, children, windows)


def _first(path: str, nodes: Mapping[str, _Node]) -> int | None:
    places = (
        node.place
        for name, node in nodes.items()
        if name == path or name.startswith(f"{path}.") or _NUMBERED.sub("", name) == path
    )
    return min(places, default=None)


def _with_children(
    module: Module,
    children: Iterable[tuple[int, str, Module | None]],
    windows: Iterable[tuple[int, str, Module]],
) -> Module:
    """Return a module that prints like this one with other children; lists stay together."""
    shown = list(children)
    for place, name, window in windows:
        # Before the first child that runs later.
        before = next((i for i, child in enumerate(shown) if child[0] > place), len(shown))
        shown.insert(before, (place, name, window))
    twin: Module = object.__new__(type(module))
    twin.__dict__.update(module.__dict__)
    twin.__dict__["_modules"] = {name: child for _, name, child in shown}
    return twin


def _differs(module: Module, node: _Node) -> bool:
    """Return whether a convolution or pool runs with a different stride, padding or dilation."""
    if node.operation not in _WINDOWS:
        return True
    where = type(module).__name__
    stride = pair(module.stride, where)
    dilation = pair(getattr(module, "dilation", 1), where)
    if node.pair("stride", 1) != stride or node.pair("dilation", 1) != dilation:
        return True
    # 'same' keeps the size, which a dilation alone would change.
    if isinstance(module.padding, str) or isinstance(module, nn.Conv2dSame):
        return False
    vertical, horizontal = pair(module.padding, where)
    return node.padding() != (vertical, horizontal, vertical, horizontal)
