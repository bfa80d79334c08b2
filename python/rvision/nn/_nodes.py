"""The named values inside a network, as torchvision's feature extraction names them.

A :class:`Nodes` listens to a trace while a network is called with symbols. It knows two lists of names:
torchvision's, in which layers of `nn` and blocks of `ops` are one node each, and that of all operations,
which reaches into the blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rvision._trace import Traced, Tracer
from rvision.nn._hooks import snapshot
from rvision.nn.container import Sequential

__all__ = ["Node", "Nodes"]

_NUMBERED = re.compile(r"_[0-9]+$")


@dataclass(frozen=True)
class Node:
    """A name and its value, a symbol or a structure of symbols; `time` counts the nodes of a call."""

    name: str
    value: Any
    time: int


class _Names:
    """Counts the uses of names as torchvision does: a trailing number is not part of a name."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def __call__(self, name: str) -> str:
        base = _NUMBERED.sub("", name)
        count = self._counts.get(base, 0)
        self._counts[base] = count + 1
        return f"{base}_{count}" if count else base


class Nodes:
    """The nodes of one call of a network.

    Parameters
    ----------
    tracer : Tracer
        The trace.
    blocks : tuple of type
        Modules that are one node, besides the layers of `nn`.
    """

    def __init__(self, tracer: Tracer, blocks: tuple[type, ...]) -> None:
        self._tracer = tracer
        self._prefix = tracer.path
        self._blocks = blocks
        self._fine_names = _Names()
        self._coarse_names = _Names()
        self._depth = 0
        self._made = 0
        self._time = 0
        self.fine: list[Node] = []
        self.coarse: list[Node] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Record nodes of the tracer."""
        self._tracer.listeners.append(self)
        try:
            yield
        finally:
            self._tracer.listeners.remove(self)

    def inputs(self, values: Mapping[str, Any]) -> None:
        """Record the network's inputs."""
        for name, value in values.items():
            if isinstance(value, Traced):
                self._add(self.fine, self._fine_names, name, value)
                self._add(self.coarse, self._coarse_names, name, value)

    def named(self, path: str, label: str, leaf: bool, value: Traced) -> None:
        """Record an operation that has been added."""
        path = self._local(path)
        name = path if leaf else f"{path}.{label}" if path else label
        self._made += 1
        self._add(self.fine, self._fine_names, name, value)
        if not self._depth:
            self._add(self.coarse, self._coarse_names, name, value)

    @contextmanager
    def inside(self, module: Any, path: str, leaf: bool) -> Iterator[list[Any]]:
        """Record a call of a module; the caller puts its result into the list."""
        leaf = leaf and not isinstance(module, Sequential)
        block = bool(path) and (leaf or isinstance(module, self._blocks))
        self._depth += block
        made, result = self._made, []
        try:
            yield result
        finally:
            self._depth -= block
        if block and result:
            path = self._local(path)
            if not self._depth:
                self._add(self.coarse, self._coarse_names, path, result[0])
            if made == self._made:
                # Such as Dropout, which adds no operation.
                self._add(self.fine, self._fine_names, path, result[0])

    def _local(self, path: str) -> str:
        return path.removeprefix(self._prefix).removeprefix(".") if self._prefix else path

    def _add(self, nodes: list[Node], names: _Names, name: str, value: Any) -> None:
        self._time += 1
        nodes.append(Node(names(name), snapshot(value, self._tracer), self._time))
