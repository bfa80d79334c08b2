"""Running a module on arrays: find or make the trace that fits the inputs, run its graph.

A trace is kept by the module that was called (the root of the run) under what its graph depends on: the
structure of the arguments, and of each array the number of dimensions and every size but the batch's and
the picture's. Where `forward` has used the value of one of those, it is part of the key too.

Any change to a module gives it and its ancestors a new *state*; a trace belongs to the state it was made
in. So a replaced layer or a loaded state dict is seen by the next call, no call looks through the tree, and
there is no global counter. What code of the user's reads besides is compared at each call
(:mod:`rvision.nn._watch`).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rvision import _rvision
from rvision._sizes import plain
from rvision._trace import Symbol, Tracer, Unbatched
from rvision.errors import ArgumentError, ShapeError, UnsupportedError
from rvision.nn._inputs import as_floats, is_array, is_ready, ready, refused
from rvision.nn._watch import Watch, watch

if TYPE_CHECKING:
    from rvision.nn.module import Module

__all__ = ["Links", "call_function", "call_module", "profile_module", "trace_for"]

# Of each step name, kernel, output shape, multiply-adds, bytes, median and least seconds; these of the runs.
Timed = tuple[list[tuple[str, str, tuple[int, ...], int, int, float, float]], tuple[float, float]]

# Traces a module keeps: one for each rank and channel count, or for each size of a network that uses sizes.
# Their graphs keep plans, so more of them cost memory.
_MAX_TRACES = 16

# Kinds of inputs that a module remembers to be pictures: those that it met last.
_MAX_PICTURES = 256


class Links:
    """What a module remembers for running: its parents, its state, its traces. Never copied or pickled."""

    __slots__ = ("_locks", "_parents", "_pictures", "_state", "_traces", "_workspaces", "derived")

    def __init__(self) -> None:
        self._parents: list[weakref.ref[Module]] = []
        self._state = object()
        self._traces: OrderedDict[Hashable, Trace | _Bound] = OrderedDict()
        self._workspaces: _rvision.Workspaces | None = None
        # Kinds of inputs of which (C, H, W) are pictures.
        self._pictures: dict[Hashable, None] = {}
        self._locks: dict[int, Any] = {}
        # What others have made of the module, such as its dense forms; they look at the state themselves.
        self.derived: dict[Hashable, Any] = {}

    def add_parent(self, parent: Module) -> None:
        """Remember a module that this one was assigned to. A module may stand in several trees."""
        alive = [link for link in self._parents if link() is not None]
        if all(link() is not parent for link in alive):
            alive.append(weakref.ref(parent))
        self._parents = alive

    def parents(self) -> list[Module]:
        """Return the modules that this one was assigned to, first come first."""
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
                # Another network may need far less memory.
                links._workspaces = None
            if links._pictures:
                links._pictures.clear()
            for parent in links.parents() if links._parents else ():
                if id(parent._links) not in seen:
                    seen.add(id(parent._links))
                    pending.append(parent._links)

    def lock(self) -> Any:
        """Return the lock that is held while tracing, and never while running.

        After a fork the child has its own: the parent's may be held by a thread that the child does not have.
        """
        return self._locks.setdefault(os.getpid(), threading.RLock())

    def find(self, key: Hashable, arrays: Sequence[NDArray[np.floating]]) -> Trace | None:
        """Return the trace of the present state for these inputs, if there is one."""
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
        """Remember that inputs of this kind are pictures."""
        if len(self._pictures) >= _MAX_PICTURES:
            self._pictures.clear()
        self._pictures[kind] = None

    @property
    def workspaces(self) -> _rvision.Workspaces:
        """The memory that all traces' runs share."""
        if self._workspaces is None:
            self._workspaces = _rvision.Workspaces()
        return self._workspaces

    def _used(self, key: Hashable) -> None:
        # Another thread may just have dropped it.
        with suppress(KeyError):
            self._traces.move_to_end(key)

    def keep(self, key: Hashable, arrays: Sequence[NDArray[np.floating]], trace: Trace) -> None:
        """Keep a trace, unless the module has changed while it was made."""
        if trace.state is not self._state:
            return
        if trace.bound:
            bound = _Bound(trace.bound)
            known = self._traces.get(key)
            if isinstance(known, _Bound):
                bound = _Bound(known.reads | bound.reads)
            if isinstance(known, _Bound) and known != bound:
                # At other sizes `forward` has used more. What is kept under fewer is not found any more.
                for old in [k for k in self._traces if isinstance(k, _BoundKey) and k.key == key]:
                    del self._traces[old]
            self._traces[key] = bound
            key = bound.key(key, arrays)
        self._traces[key] = trace
        while len(self._traces) > _MAX_TRACES:
            self._traces.popitem(last=False)

    @property
    def state(self) -> object:
        """The present state."""
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
    watch: Watch | None

    @property
    def size_bound(self) -> bool:
        """Whether it is good for inputs of some sizes only."""
        return bool(self.bound)

    def run(self, arrays: list[NDArray[np.floating]]) -> Any:
        """Run the graph and give its outputs the structure that `forward` returned."""
        outputs = self.graph.run(self._batched(self.graph, arrays)) if self.graph is not None else []
        if self.unbatched:
            outputs = [output[0] if output.shape[:1] == (1,) else output for output in outputs]
        return _fill(self.result, outputs)

    def is_valid(self) -> bool:
        """Return whether all that `forward` has read is as it was."""
        return self.watch is None or self.watch.same()

    def profile(self, arrays: list[NDArray[np.floating]], runs: int) -> Timed:
        """Time the steps of several runs."""
        if self.graph is None:
            raise ArgumentError("profile: the network returns nothing that depends on its inputs")
        return self.graph.profile(self._batched(self.graph, arrays), runs)

    def _batched(
        self, graph: _rvision.Graph, arrays: list[NDArray[np.floating]]
    ) -> list[NDArray[np.float32]]:
        return _prepared(graph, [array[None] for array in arrays] if self.unbatched else arrays)


def _prepared(graph: _rvision.Graph, arrays: list[NDArray[np.floating]]) -> list[NDArray[np.float32]]:
    """Return arrays as a graph reads them. Shapes that do not fit are told before any is copied."""
    if all(is_ready(array) for array in arrays):
        return arrays
    graph.memory([array.shape for array in arrays])
    return [ready(array) for array in arrays]


@dataclass(frozen=True, slots=True)
class _Bound:
    """Which of the inputs' sizes traces depend on: the input's number, and the dimension from the end."""

    reads: frozenset[tuple[int, int]]

    def key(self, key: Hashable, arrays: Sequence[NDArray[np.floating]]) -> Hashable:
        """Return the key of the trace for these inputs."""
        return _BoundKey(key, tuple((n, dim, arrays[n].shape[dim]) for n, dim in sorted(self.reads)))


@dataclass(frozen=True, slots=True)
class _BoundKey:
    key: Hashable
    sizes: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an array stands in arguments or results."""

    index: int


def call_module(module: Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run `module` on arrays: what `module(*args, **kwargs)` does outside of a trace.

    Raises
    ------
    ShapeError
        If a layer cannot take the shape that reaches it.
    TypeError
        If an input is not an array of floats.
    UnsupportedError
        If `forward` does what cannot be traced.
    """
    arrays: list[NDArray[np.floating]] = []
    try:
        trace = trace_for(module, args, kwargs, arrays)
        return trace.run(arrays)
    except ShapeError as error:
        raise _explained(error, arrays) from None
    except (TypeError, ValueError, AttributeError, UnsupportedError) as error:
        said = refused(error, type(module).__name__, args, kwargs)
        if said is None:
            raise
        raise said from None


def profile_module(module: Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], runs: int) -> Timed:
    """Time the steps of what `call_module` runs, see :meth:`Graph.profile`; errors are the same."""
    arrays: list[NDArray[np.floating]] = []
    try:
        return trace_for(module, args, kwargs, arrays).profile(arrays, runs)
    except ShapeError as error:
        raise _explained(error, arrays) from None


def trace_for(
    module: Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], arrays: list[NDArray[np.floating]]
) -> Trace:
    """Return the trace that runs `module` for these arguments; their arrays are appended to `arrays`."""
    where = type(module).__name__
    form = (
        tuple(_take(value, arrays, where) for value in args),
        tuple((name, _take(value, arrays, where)) for name, value in kwargs.items()),
    )
    links = module._links
    key = _key(links, form, arrays)
    trace = links.find(key, arrays)
    if trace is None or not trace.is_valid():
        with links.lock():
            key = _key(links, form, arrays)
            trace = links.find(key, arrays)
            if trace is not None and not trace.is_valid():
                # What is made of parts of the network, such as a dense form, has read the same.
                for child in module.modules():
                    child._links.changed()
                key = _key(links, form, arrays)
                trace = None
            if trace is None:
                trace = _trace(module, form, arrays, key[2])
                if trace.unbatched and not key[2]:
                    key = _key(links, form, arrays, unbatched=True)
                if trace.watch is None or trace.watch.traced():
                    links.keep(key, arrays, trace)
    return trace


# What a trace depends on besides the sizes that it is bound to: the arguments' structure, what matters of the
# arrays' shapes, and whether these are pictures without a batch dimension.
_Key = tuple[Hashable, tuple[Hashable, ...], bool]


def _key(
    links: Links, form: Hashable, arrays: Sequence[NDArray[np.floating]], unbatched: bool = False
) -> _Key:
    if not unbatched and links.knows_pictures and 3 in [array.ndim for array in arrays]:
        unbatched = links.are_pictures(*_kinds(form, arrays))
    return form, tuple([_open(array, unbatched) for array in arrays]), unbatched


def _kinds(form: Hashable, arrays: Sequence[NDArray[np.floating]]) -> tuple[Hashable, Hashable]:
    """Return what inputs are known by to be pictures: whatever their sizes are, or with these sizes."""
    return (form, tuple(array.ndim for array in arrays)), (
        form,
        tuple(_open(array, False) for array in arrays),
    )


def call_function(
    function: Callable[..., Symbol | tuple[Symbol, ...]], inputs: Sequence[Any], spatial: bool
) -> Any:
    """Run an operation on arrays, as a graph that is made for this call.

    Parameters
    ----------
    function : callable
        Gets a symbol for each input, and returns one or several.
    inputs : sequence of array_like
        The arrays.
    spatial : bool
        Whether the operation is for pictures, so that (C, H, W) is a batch of one.
    """
    where = "rvision.nn.functional"
    arrays = [as_floats(value, where) for value in inputs]
    unbatched = spatial and len(arrays) == 1 and arrays[0].ndim == 3
    if unbatched:
        arrays = [array[None] for array in arrays]
    tracer = Tracer({}, where)
    symbols = [tracer.input("input", array.shape, (True,) * array.ndim) for array in arrays]
    result = function(*symbols)
    graph = tracer.finish(result if isinstance(result, tuple) else [result])
    outputs = graph.run(_prepared(graph, arrays))
    if isinstance(result, tuple):
        return tuple(outputs)
    output = outputs[0]
    return output[0] if unbatched else output


def _trace(module: Module, form: Any, arrays: Sequence[NDArray[np.floating]], unbatched: bool) -> Trace:
    try:
        trace = _trace_as(module, form, arrays, unbatched)
    except Unbatched:
        # `forward` has looked at the input before: what it does next may depend on its sizes.
        module._links.note_pictures(_kinds(form, arrays)[1])
        return _trace_as(module, form, arrays, True)
    if trace.unbatched and not unbatched:
        module._links.note_pictures(_kinds(form, arrays)[0])
    return trace


def _trace_as(module: Module, form: Any, arrays: Sequence[NDArray[np.floating]], unbatched: bool) -> Trace:
    """Trace `module`; inputs (C, H, W) are batches of one from the start, or once a layer meets them."""
    links = module._links
    state = links.state
    paths = {id(child): name for name, child in module.named_modules()}
    tracer = Tracer(paths, type(module).__name__, pictures=not unbatched)
    tracer.unbatched = unbatched
    watched = watch(module, _constants(form))
    if watched is not None:
        tracer.check = watched.check_random
    names = _argument_names(module, form)
    symbols = []
    for name, array in zip(names, arrays, strict=True):
        if unbatched:
            symbols.append(tracer.input(name, (1, *array.shape), (True, True, False, False)))
        else:
            symbols.append(tracer.input(name, array.shape, _fixed(array.ndim)))
    positional, named = form
    arguments = [_fill(value, symbols) for value in positional]
    returned = module._add_nodes(tracer, arguments, {name: _fill(value, symbols) for name, value in named})
    outputs: list[Symbol] = []
    result = _template(returned, outputs)
    graph = tracer.finish(outputs, links.workspaces) if outputs else None
    ranks = [array.ndim + tracer.unbatched for array in arrays]
    return Trace(
        graph=graph,
        result=result,
        unbatched=tracer.unbatched,
        # From the end, where one picture and a batch of them count alike.
        bound=frozenset((number, dim - ranks[number]) for number, dim in tracer.bound),
        state=state,
        watch=watched,
    )


def _fixed(rank: int) -> tuple[bool, ...]:
    """Return which sizes of an input are part of its key."""
    return (False, True, False, False) if rank == 4 else (False, *(True,) * (rank - 1)) if rank else ()


def _open(array: NDArray[np.floating], unbatched: bool) -> Hashable:
    """Return what a trace depends on in an input whose other sizes are not read."""
    if array.ndim == 4:
        return ("NCHW", array.shape[1])
    if unbatched:
        return ("CHW", array.shape[0])
    return (array.ndim, array.shape[1:])


def _take(value: Any, arrays: list[NDArray[np.floating]], where: str) -> Hashable:
    """Move arrays out of an argument; what remains is hashable and equal for equal calls."""
    value = plain(value)
    if is_array(value) or (isinstance(value, list) and not _has_array(value)):
        arrays.append(as_floats(value, where))
        return _Place(len(arrays) - 1)
    if isinstance(value, tuple) or (isinstance(value, list) and _has_array(value)):
        return _Sequence(type(value), tuple(_take(item, arrays, where) for item in value))
    if isinstance(value, dict):
        return _Mapping(tuple((key, _take(item, arrays, where)) for key, item in value.items()))
    try:
        hash(value)
    except TypeError:
        arrays.append(as_floats(value, where))
        return _Place(len(arrays) - 1)
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
    """A constant; equal to those of its type, since 1 == 1.0 == True, that no computation tells from it."""

    kind: type
    same: Any
    value: Any = field(compare=False)


def _constants(form: Any) -> Iterator[Any]:
    """Yield the arguments that are no arrays."""
    if isinstance(form, tuple):
        for part in form:
            yield from _constants(part)
    elif isinstance(form, _Sequence | _Mapping):
        yield from _constants(form.items)
    elif isinstance(form, _Value):
        yield form.value


def _distinct(value: Any) -> Any:
    """Return what two constants of a type have in common exactly if they are the same."""
    # 0.0 equals -0.0, and NaN does not equal itself.
    return repr(value) if isinstance(value, float | complex) else value


def _has_array(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_has_array(item) for item in value)
    if isinstance(value, dict):
        return any(_has_array(item) for item in value.values())
    return is_array(value)


def _template(value: Any, outputs: list[Symbol]) -> Any:
    """Move symbols out of what `forward` returned. The same symbol twice is computed once."""
    value = plain(value)
    if isinstance(value, Symbol):
        for index, output in enumerate(outputs):
            if output is value:
                return _Place(index)
        outputs.append(value)
        return _Place(len(outputs) - 1)
    if isinstance(value, list | tuple):
        return _Sequence(type(value), tuple(_template(item, outputs) for item in value))
    if isinstance(value, dict):
        return _Mapping(tuple((key, _template(item, outputs)) for key, item in value.items()), type(value))
    return _Value(type(value), None, value)


def _fill(template: Any, values: Sequence[Any]) -> Any:
    """Put values where :class:`_Place` stands."""
    if isinstance(template, _Place):
        return values[template.index]
    if isinstance(template, _Sequence):
        items = [_fill(item, values) for item in template.items]
        return template.kind(*items) if hasattr(template.kind, "_fields") else template.kind(items)
    if isinstance(template, _Mapping):
        kind = template.kind if template.kind is OrderedDict else dict
        return kind((key, _fill(item, values)) for key, item in template.items)
    # A constant array belongs to the caller, who may write into it.
    return np.array(template.value) if isinstance(template.value, np.ndarray) else template.value


def _argument_names(module: Module, form: Any) -> list[str]:
    """Return a name for each array, after the parameter of `forward` that it came with."""
    positional, named = form
    code = getattr(getattr(module.forward, "__func__", module.forward), "__code__", None)
    known = list(code.co_varnames[1 : code.co_argcount]) if code is not None else []
    names: list[str] = []

    def visit(name: str, value: Any) -> None:
        if isinstance(value, _Place):
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


def _explained(error: ShapeError, arrays: Sequence[NDArray[np.floating]]) -> ShapeError:
    """Add a hint where the picture seems to have its channels last."""
    for array in arrays:
        if array.ndim in (3, 4) and array.shape[-1] in (1, 3, 4) and array.shape[-3] not in (1, 3, 4):
            return ShapeError(
                f"{error}; the input of shape {array.shape} seems to have its channels last: "
                "use transforms.ToTensor(), or np.moveaxis(x, -1, -3)"
            )
    return error
