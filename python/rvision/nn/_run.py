"""Running a module on arrays: find or make the trace for the inputs, and run its graph.

The module keeps its traces (:mod:`rvision.nn._links`). What the user's code reads besides its
inputs and the module's attributes is compared at each call (:mod:`rvision.nn._watch`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvision._tensor import Tensor
from rvision._trace import Mask, Traced, Tracer, Unbatched
from rvision.errors import ShapeError, UnsupportedError
from rvision.nn._arguments import argument_names, constants, fill, take, template
from rvision.nn._hooks import call_hooks, templates
from rvision.nn._inputs import as_floats, prepared, refused
from rvision.nn._links import Links, Timed, Trace
from rvision.nn._tree import Tree, forget_arrays
from rvision.nn._watch import watch

__all__ = ["call_function", "call_module", "profile_module", "trace_for"]


def call_module(module: Tree[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run `module` on arrays: what `module(*args, **kwargs)` does outside of a trace.

    Raises
    ------
    ShapeError
        If a layer cannot take the shape that reaches it.
    TypeError
        If an input is not an array of floats.
    UnsupportedError
        If `forward` does something that cannot be traced.
    """
    arrays: list[NDArray[np.floating]] = []
    forget_arrays()
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


def profile_module(module: Tree[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], runs: int) -> Timed:
    """Time the steps of what `call_module` runs, see :meth:`Graph.profile`; errors are the same."""
    arrays: list[NDArray[np.floating]] = []
    try:
        return trace_for(module, args, kwargs, arrays).profile(arrays, runs)
    except ShapeError as error:
        raise _explained(error, arrays) from None


def trace_for(
    module: Tree[Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], arrays: list[NDArray[np.floating]]
) -> Trace:
    """Return the trace that runs `module` for these arguments; their arrays are appended to `arrays`."""
    where = type(module).__name__
    form = (
        tuple(take(value, arrays, where) for value in args),
        tuple((name, take(value, arrays, where)) for name, value in kwargs.items()),
    )
    links = module._links
    key = _key(links, form, arrays)
    trace = links.find(key, arrays)
    if trace is None or not trace.is_valid():
        with links.lock():
            key = _key(links, form, arrays)
            trace = links.find(key, arrays)
            if trace is not None and not trace.is_valid():
                # Objects derived from parts of the network, such as a dense form, have read the
                # same.
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


# The key of a trace besides the sizes that it is bound to: the arguments' structure, the relevant
# part of the arrays' shapes, and whether the arrays are pictures without a batch dimension.
_Key = tuple[Hashable, tuple[Hashable, ...], bool]


def _key(
    links: Links, form: Hashable, arrays: Sequence[NDArray[np.floating]], unbatched: bool = False
) -> _Key:
    if not unbatched and links.knows_pictures and 3 in [array.ndim for array in arrays]:
        unbatched = links.are_pictures(*_kinds(form, arrays))
    return form, tuple([_open(array, unbatched) for array in arrays]), unbatched


def _kinds(form: Hashable, arrays: Sequence[NDArray[np.floating]]) -> tuple[Hashable, Hashable]:
    """Return the keys under which inputs are known to be pictures: for any sizes, or for these sizes."""
    return (form, tuple(array.ndim for array in arrays)), (
        form,
        tuple(_open(array, False) for array in arrays),
    )


def call_function(
    function: Callable[..., Traced | tuple[Traced, ...]], inputs: Sequence[Any], spatial: bool
) -> Any:
    """Run an operation on arrays, as a graph made for this call.

    Parameters
    ----------
    function : callable
        Takes a symbol for each input, and returns one or several; a mask becomes an array of bool.
    inputs : sequence of array_like
        The arrays.
    spatial : bool
        Whether the operation is for pictures, so that (C, H, W) counts as a batch of one.
    """
    where = "rvision.nn.functional"
    arrays = [as_floats(value, where) for value in inputs]
    unbatched = spatial and len(arrays) == 1 and arrays[0].ndim == 3
    if unbatched:
        arrays = [array[None] for array in arrays]
    tracer = Tracer({}, where)
    symbols = [tracer.input("input", array.shape, (True,) * array.ndim) for array in arrays]
    result = function(*symbols)
    results = result if isinstance(result, tuple) else (result,)
    graph = tracer.finish(results)
    outputs = [
        (output.astype(bool) if isinstance(of, Mask) else output).view(Tensor)
        for of, output in zip(results, graph.run(prepared(graph, arrays)), strict=True)
    ]
    if isinstance(result, tuple):
        return tuple(outputs)
    output = outputs[0]
    return output[0] if unbatched else output


def _trace(module: Tree[Any], form: Any, arrays: Sequence[NDArray[np.floating]], unbatched: bool) -> Trace:
    try:
        trace = _trace_as(module, form, arrays, unbatched)
    except Unbatched:
        # `forward` has used the input before: its next steps may depend on the sizes.
        module._links.note_pictures(_kinds(form, arrays)[1])
        return _trace_as(module, form, arrays, True)
    if trace.unbatched and not unbatched:
        module._links.note_pictures(_kinds(form, arrays)[0])
    return trace


def _trace_as(module: Tree[Any], form: Any, arrays: Sequence[NDArray[np.floating]], unbatched: bool) -> Trace:
    """Trace `module`; inputs (C, H, W) are batches of one from the start, or once a layer meets them."""
    links = module._links
    state = links.state
    paths = {id(child): name for name, child in module.named_modules()}
    tracer = Tracer(paths, type(module).__name__, pictures=not unbatched)
    tracer.unbatched = unbatched
    watched = watch(module, constants(form))
    if watched is not None:
        tracer.check = watched.check_random
    names = argument_names(module.forward, form)
    symbols = []
    for name, array in zip(names, arrays, strict=True):
        if unbatched:
            symbols.append(tracer.input(name, (1, *array.shape), (True, True, False, False)))
        else:
            symbols.append(tracer.input(name, array.shape, _fixed(array.ndim)))
    positional, named = form
    arguments = [fill(value, symbols) for value in positional]
    returned = module._add_nodes(tracer, arguments, {name: fill(value, symbols) for name, value in named})
    outputs: list[Traced] = []
    result = template(returned, outputs)
    seen = templates(tracer.seen, outputs)
    graph = tracer.finish(outputs, links.workspaces) if outputs else None
    ranks = [array.ndim + tracer.unbatched for array in arrays]
    return Trace(
        graph=graph,
        result=result,
        unbatched=tracer.unbatched,
        # Counted from the end, so one picture and a batch are the same.
        bound=frozenset((number, dim - ranks[number]) for number, dim in tracer.bound),
        state=state,
        watch=watched,
        masks=frozenset(index for index, output in enumerate(outputs) if isinstance(output, Mask)),
        after=functools.partial(call_hooks, seen) if seen else None,
    )


def _fixed(rank: int) -> tuple[bool, ...]:
    """Return which sizes of an input are part of its key."""
    return (False, True, False, False) if rank == 4 else (False, *(True,) * (rank - 1)) if rank else ()


def _open(array: NDArray[np.floating], unbatched: bool) -> Hashable:
    """Return the part of an input's shape that a trace depends on if no other sizes are read."""
    if array.ndim == 4:
        return ("NCHW", array.shape[1])
    if unbatched:
        return ("CHW", array.shape[0])
    return (array.ndim, array.shape[1:])


def _explained(error: ShapeError, arrays: Sequence[NDArray[np.floating]]) -> ShapeError:
    """Add a hint if the picture seems to have its channels last."""
    for array in arrays:
        if array.ndim in (3, 4) and array.shape[-1] in (1, 3, 4) and array.shape[-3] not in (1, 3, 4):
            return ShapeError(
                f"{error}; the input of shape {array.shape} seems to have its channels last: "
                "use transforms.ToTensor(), or np.moveaxis(x, -1, -3)"
            )
    return error
