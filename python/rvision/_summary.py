"""A network's layers and their costs: `rvision.summary`."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rvision._frames import ends_at_caller
from rvision._html import document, folded, html_table
from rvision._table import shown, table
from rvision._trace import Tracer, Unbatched
from rvision.errors import ArgumentError
from rvision.nn import Module
from rvision.nn._state import undrawn

__all__ = ["Summary", "SummaryRow", "summary"]

_HEADER = ("layer", "type", "output", "parameters", "multiply-adds")


@dataclass(frozen=True)
class SummaryRow:
    """A layer, an operation between layers, or a parameter that belongs to none.

    Attributes
    ----------
    name : str
        The layer's name in the network, ``layer1.0.conv2``; an operation in a `forward` is named as
        in torchvision's feature extraction, ``layer1.0.add``.
    type : str
        A layer's class, the name of an operation, or ``Parameter``.
    output_shape : tuple of int, or None
        The shape of the output or parameter; None for a layer that did not run.
    num_params : int
        Values in its parameters; 0 if they were counted in an earlier row.
    multiply_adds : int
        Multiply-adds of its convolutions and matrix products.
    """

    name: str
    type: str
    output_shape: tuple[int, ...] | None
    num_params: int
    multiply_adds: int


@dataclass(frozen=True)
class Summary:
    """What `summary` counted: a table as text and in a notebook, and `pandas.DataFrame(it)` takes its rows.

    Attributes
    ----------
    rows : tuple of SummaryRow
        In execution order. Layers with parameters that did not run are at the end.
    """

    rows: tuple[SummaryRow, ...]

    @property
    def num_params(self) -> int:
        """Values in all parameters."""
        return sum(row.num_params for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of all convolutions and matrix products."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def gflops(self) -> float:
        """Multiply-adds in units of 1e9, which torchvision's tables call GFLOPS."""
        return self.multiply_adds / 1e9

    def __iter__(self) -> Iterator[SummaryRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def _cells(self) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
        """Return the rows of the table, and the totals."""
        cells = [
            (row.name, row.type, shown(row.output_shape), f"{row.num_params:,}", f"{row.multiply_adds:,}")
            for row in self.rows
        ]
        return cells, ("total", "", "", f"{self.num_params:,}", f"{self.multiply_adds:,}")

    def __str__(self) -> str:
        return table(_HEADER, *self._cells())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = f"{self.num_params:,} parameters, {self.gflops:.3g} GFLOPS (multiply-adds)"
        return document(folded(head, html_table(_HEADER, *self._cells(), numbers=(3, 4)), opened=True))


@ends_at_caller
def summary(model: Module, input_size: Sequence[int] | Sequence[Sequence[int]]) -> Summary:
    """List a network's layers with their output shapes, parameters and multiply-adds.

    The network is not run, and unused weights are not initialised, so large networks take
    milliseconds. The network is counted as it is written, before layers are fused.

    Parameters
    ----------
    model : Module
        A network or a part of one.
    input_size : sequence of int, or a sequence of these
        The input's shape, (N, C, H, W) or (C, H, W) for one picture; several for a `forward` with several
        arguments.

    Returns
    -------
    Summary
        Its `rows`, and the totals `num_params`, `multiply_adds` and `gflops`. Multiply-adds are
        those of convolutions, linear layers and matrix products as in attention, for the whole
        batch. Zeros of the padding count; biases, normalisations, pooling and pointwise functions
        do not. They therefore equal the "GFLOPS" of torchvision's table (``weights.meta["_ops"]``).

    Raises
    ------
    ArgumentError
        If `input_size` is something else.
    ShapeError
        If a layer cannot take the shape that reaches it.

    Examples
    --------
    >>> info = rvision.summary(models.resnet50(), (1, 3, 224, 224))
    >>> info.num_params, round(info.gflops, 2)
    (25557032, 4.09)
    """
    twin = undrawn(model)
    sizes = _sizes(input_size)
    try:
        tracer = _record(twin, type(model).__name__, sizes, pictures=True)
    except Unbatched:
        tracer = _record(twin, type(model).__name__, [(1, *size) for size in sizes], pictures=False)
    return Summary(tuple(_rows(twin, tracer)))


def _record(model: Module, owner: str, sizes: Sequence[tuple[int, ...]], pictures: bool) -> _Recorder:
    tracer = _Recorder({id(child): name for name, child in model.named_modules()}, owner, pictures)
    model(*[tracer.input("input", size, (True,) * len(size)) for size in sizes])
    return tracer


def _sizes(input_size: Any) -> list[tuple[int, ...]]:
    try:
        several = isinstance(input_size[0], Sequence)
        sizes = [tuple(map(operator.index, size)) for size in (input_size if several else [input_size])]
    except (TypeError, ValueError, LookupError):
        sizes = []
    if not sizes or any(size < 0 for each in sizes for size in each):
        raise ArgumentError(
            f"summary: input_size: expected sizes such as (1, 3, 224, 224), got {input_size!r}"
        )
    return sizes


@dataclass(eq=False)
class _Call:
    """A call of a module; `nodes` are those that the layer itself adds."""

    path: str
    module: Module
    leaf: bool
    nodes: list[str] = field(default_factory=list)


class _Recorder(Tracer):
    """A tracer that remembers which module's `forward` each node comes from.

    `events` are calls, and nodes of networks and blocks, in order.
    """

    def __init__(self, paths: Mapping[int, str], owner: str, pictures: bool) -> None:
        super().__init__(paths, owner, pictures)
        self.events: list[_Call | str] = []
        self._open: list[_Call] = []

    @contextmanager
    def inside(self, module: Any, leaf: bool) -> Iterator[None]:
        with super().inside(module, leaf):
            call = _Call(self.path, module, leaf)
            self.events.append(call)
            self._open.append(call)
            try:
                yield
            finally:
                self._open.pop()

    def name(self, label: str) -> str:
        name = super().name(label)
        call = self._open[-1]
        (call.nodes if call.leaf else self.events).append(name)
        return name

    def evaluate(self, module: Any, value: Any) -> Any:
        # The part is counted as the network is written.
        module(self.input("constant", value.shape, (True,) * value.ndim))
        return super().evaluate(module, value)


def _rows(model: Module, tracer: _Recorder) -> Iterator[SummaryRow]:
    nodes = {name: node for name, *node in tracer.builder.nodes()}
    counted: set[int] = set()

    def new_params(module: Module) -> dict[str, Any]:
        """Return a module's own parameters that have not been counted."""
        entries = {name: id(value) for name, value in module._parameters.items()}
        own = {name: value for name, value in module._parameters.items() if value is not None}
        own = {name: value for name, value in own.items() if entries[name] not in counted}
        counted.update(entries[name] for name in own)
        return own

    def size_of(params: dict[str, Any]) -> int:
        return sum(math.prod(value.shape) for value in params.values())

    for event in tracer.events:
        if isinstance(event, str):
            op, shape, multiply_adds = nodes[event]
            yield SummaryRow(event, op, tuple(shape), 0, multiply_adds)
            continue
        params = new_params(event.module)
        if not event.leaf:
            # Such as a class token or a layer's scale: parameters of a network or block itself.
            for name, value in params.items():
                full = f"{event.path}.{name}" if event.path else name
                yield SummaryRow(full, "Parameter", tuple(value.shape), math.prod(value.shape), 0)
        elif event.nodes:
            costs = [nodes[name] for name in event.nodes]
            total = sum(multiply_adds for *_, multiply_adds in costs)
            kind = type(event.module).__name__
            # The layer's own name, not that of a part such as the padding of its input.
            own = (name for name in event.nodes if not name.startswith(f"{event.path}."))
            yield SummaryRow(next(own, event.nodes[0]), kind, tuple(costs[-1][1]), size_of(params), total)
    # Modules inserted as a whole graph, such as the dense form of a classifier, whose layers did
    # not run.
    traced: set[str] = set()
    for event in tracer.events:
        traced.update([event] if isinstance(event, str) else event.nodes)
    idle = dict(model.named_modules())
    for name, (op, shape, multiply_adds) in nodes.items():
        if name in traced or op in ("input", "constant"):
            continue
        path = next((path for path in idle if path == name or path.endswith(f".{name}")), None)
        module = idle.pop(path) if path is not None else None
        size = size_of(new_params(module)) if module is not None else 0
        kind = op if module is None else type(module).__name__
        yield SummaryRow(name, kind, tuple(shape), size, multiply_adds)
    for path, module in model.named_modules():
        params = new_params(module)
        if params:
            yield SummaryRow(path, type(module).__name__, None, size_of(params), 0)
