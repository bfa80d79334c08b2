"""A module's records for running: the modules that contain it, its state, and its traces.

The module that was called (the root of the run) keeps a trace under the key that its graph depends
on: the structure of the arguments and, for each array, the number of dimensions and every size
except the batch's and the picture's. If `forward` has used the value of one of those, it is part of
the key too.

Any change to a module gives it and its ancestors a new *state*; a trace belongs to the state it was
made in. So the next call sees a replaced layer or a loaded state dict, no call searches the tree,
and there is no global counter.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rvision import _rvision
from rvision._tensor import Tensor
from rvision.errors import ArgumentError
from rvision.nn._arguments import fill
from rvision.nn._inputs import prepared

__all__ = ["Links", "Timed", "Trace"]

# For each step: name, kernel, output shape, multiply-adds, bytes, median and minimum seconds; then
# the median and minimum of the runs.
Timed = tuple[list[tuple[str, str, tuple[int, ...], int, int, float, float]], tuple[float, float]]

# Traces that a module keeps: one for each rank and channel count, or for each size of a network
# that uses sizes. Their graphs keep plans, so more traces cost memory.
_MAX_TRACES = 16

# Kinds of inputs that a module remembers to be pictures: the most recent ones.
_MAX_PICTURES = 256


class _Linked(Protocol):
    """The part of a module that this file uses."""

    _links: Links
    _modules: dict[str, Any]


class _Watch(Protocol):
    """What `forward` has read besides its inputs; see :class:`rvision.nn._watch.Watch`."""

    def same(self) -> bool:
        """Return whether all of it is unchanged."""
        ...

    def traced(self) -> bool:
        """Return whether a trace that has just been made is valid for another call."""
        ...


class Links:
    """A module's records for running: its parents, its state, its traces. Never copied or pickled."""

    __slots__ = ("_locks", "_parents", "_pictures", "_state", "_traces", "_workspaces", "derived")

    def __init__(self) -> None:
        self._parents: list[weakref.ref[_Linked]] = []
        self._state = object()
        self._traces: OrderedDict[Hashable, Trace | _Bound] = OrderedDict()
        self._workspaces: _rvision.Workspaces | None = None
        # Kinds of inputs for which (C, H, W) is a picture.
        self._pictures: dict[Hashable, None] = {}
        self._locks: dict[int, Any] = {}
        # Objects derived from the module, such as its dense forms; they check the state themselves.
        self.derived: dict[Hashable, Any] = {}

    def add_parent(self, parent: _Linked) -> None:
        """Record a module that this one was assigned to. A module may be in several trees."""
        alive = [link for link in self._parents if link() is not None]
        if all(link() is not parent for link in alive):
            alive.append(weakref.ref(parent))
        self._parents = alive

    def parents(self) -> list[_Linked]:
        """Return the modules that this one was assigned to, in order."""
        return [parent for link in self._parents if (parent := link()) is not None]

    def changed(self) -> None:
        """Begin a new state, here and in all ancestors."""
        pending = [self]
        seen = {id(self)}
        while pending:
            links = pending.pop()
            links._state = object()
            if links._traces:
                links._traces.clear()
                # The changed network may need far less memory.
                links._workspaces = None
            if links._pictures:
                links._pictures.clear()
            for parent in links.parents() if links._parents else ():
                if id(parent._links) not in seen:
                    seen.add(id(parent._links))
                    pending.append(parent._links)

    def note(self, key: Hashable, value: Any) -> None:
        """Keep a value that holds until the module changes, such as the weights that it was built with."""
        self.derived[key] = (self._state, value)

    def noted(self, key: Hashable) -> Any:
        """Return a value that `note` kept, or None if the module has changed since."""
        state, value = self.derived.get(key, (None, None))
        return value if state is self._state else None

    def lock(self) -> Any:
        """Return the lock that is held while tracing, but not while running.

        After a fork the child has its own: a thread that does not exist in the child may hold the
        parent's.
        """
        return self._locks.setdefault(os.getpid(), threading.RLock())

    def find(self, key: Hashable, arrays: Sequence[NDArray[np.floating]]) -> Trace | None:
        """Return the current state's trace for these inputs, if there is one."""
        trace = self._traces.get(key)
        if isinstance(trace, _Bound):
            self._used(key)
            key = trace.key(key, arrays)
            trace = self._traces.get(key)
        if not isinstance(trace, Trace) or trace.state is not self._state:
            return None
        self._used(key)
        return trace

    def are_pictures(self, *kinds: Hashable) -> bool:
        """Return whether inputs (C, H, W) of one of these kinds are known to be pictures."""
        return any(kind in self._pictures for kind in kinds)

    @property
    def knows_pictures(self) -> bool:
        """Whether any inputs are known to be pictures."""
        return bool(self._pictures)

    def note_pictures(self, kind: Hashable) -> None:
        """Record that inputs of this kind are pictures."""
        if len(self._pictures) >= _MAX_PICTURES:
            self._pictures.clear()
        self._pictures[kind] = None

    @property
    def workspaces(self) -> _rvision.Workspaces:
        """The memory that the runs of all traces share."""
        if self._workspaces is None:
            self._workspaces = _rvision.Workspaces()
        return self._workspaces

    def _used(self, key: Hashable) -> None:
        # Another thread may have removed it.
        with suppress(KeyError):
            self._traces.move_to_end(key)

    def keep(self, key: Hashable, arrays: Sequence[NDArray[np.floating]], trace: Trace) -> None:
        """Keep a trace, unless the module has changed during tracing."""
        if trace.state is not self._state:
            return
        if trace.bound:
            bound = _Bound(trace.bound)
            known = self._traces.get(key)
            if isinstance(known, _Bound):
                bound = _Bound(known.reads | bound.reads)
            if isinstance(known, _Bound) and known != bound:
                # For other sizes `forward` has used more sizes. Traces kept under fewer are no
                # longer found.
                for old in [k for k in self._traces if isinstance(k, _BoundKey) and k.key == key]:
                    del self._traces[old]
            self._traces[key] = bound
            key = bound.key(key, arrays)
        self._traces[key] = trace
        while len(self._traces) > _MAX_TRACES:
            self._traces.popitem(last=False)

    @property
    def state(self) -> object:
        """The current state."""
        return self._state

    @property
    def traces(self) -> list[Trace]:
        """The traces that are kept."""
        return [trace for trace in self._traces.values() if isinstance(trace, Trace)]


@dataclass
class Trace:
    """A traced network for inputs of one kind."""

    graph: _rvision.Graph | None
    result: Any
    unbatched: bool
    bound: frozenset[tuple[int, int]]
    state: object
    watch: _Watch | None
    # The outputs that are bool.
    masks: frozenset[int] = frozenset()
    # Called with all outputs of a run, for hooks.
    after: Callable[[Sequence[Any]], None] | None = None

    @property
    def size_bound(self) -> bool:
        """Whether it is valid only for inputs of certain sizes."""
        return bool(self.bound)

    def run(self, arrays: list[NDArray[np.floating]]) -> Any:
        """Run the graph and give its outputs the structure that `forward` returned."""
        outputs = self.graph.run(self._batched(self.graph, arrays)) if self.graph is not None else []
        outputs = [output.view(Tensor) for output in outputs]
        if self.unbatched:
            outputs = [output[0] if output.shape[:1] == (1,) else output for output in outputs]
        for index in self.masks:
            outputs[index] = outputs[index].astype(bool)
        if self.after is not None:
            self.after(outputs)
        return fill(self.result, outputs)

    def is_valid(self) -> bool:
        """Return whether everything that `forward` has read is unchanged."""
        return self.watch is None or self.watch.same()

    def profile(self, arrays: list[NDArray[np.floating]], runs: int) -> Timed:
        """Time the steps of several runs."""
        if self.graph is None:
            raise ArgumentError("profile: the network returns nothing that depends on its inputs")
        return self.graph.profile(self._batched(self.graph, arrays), runs)

    def _batched(
        self, graph: _rvision.Graph, arrays: list[NDArray[np.floating]]
    ) -> list[NDArray[np.float32]]:
        return prepared(graph, [array[None] for array in arrays] if self.unbatched else arrays)


@dataclass(frozen=True, slots=True)
class _Bound:
    """The input sizes that traces depend on: the input's number, and the dimension from the end."""

    reads: frozenset[tuple[int, int]]

    def key(self, key: Hashable, arrays: Sequence[NDArray[np.floating]]) -> Hashable:
        """Return the key of the trace for these inputs."""
        return _BoundKey(key, tuple((n, dim, arrays[n].shape[dim]) for n, dim in sorted(self.reads)))


@dataclass(frozen=True, slots=True)
class _BoundKey:
    key: Hashable
    sizes: tuple[tuple[int, int, int], ...]
