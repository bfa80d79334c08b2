"""Tracing: running a network's `forward` once with symbols to learn its graph.

A :class:`Symbol` stands for an array that is not there yet. Operations on it add nodes to a
`GraphBuilder`; what cannot become a node (a branch on a value, a NumPy function) raises and says in
which module. A :class:`Tracer` is one such run: it knows which module is being called, and names the
nodes as torchvision's feature extraction does (`layer1.0.conv2`, `layer1.0.relu_1`, `flatten`).

One trace serves every batch and picture size, because nodes hold attributes and not sizes. For this a
symbol knows of each dimension whether it is *fixed* (the same for every input that may use this trace:
channels, features, what a pool to a given size returns) or not (batch, height, width). Reading a size that
is not fixed is allowed; it marks the trace as bound to the sizes it was made with, and the network is
traced again for others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from rvision import _alias, _rvision
from rvision._opaque import Opaque
from rvision.errors import ShapeError, UnsupportedError

__all__ = ["Shape", "Symbol", "Tracer", "concat", "tracer_of"]

_NUMBERED = re.compile(r"_[0-9]+$")


class Tracer:
    """One run of `forward` with symbols.

    Parameters
    ----------
    paths : mapping of int to str
        `id` of each module of the tree to its name in the root.
    owner : str
        What messages call the root, such as `ResNet`.
    """

    def __init__(self, paths: Mapping[int, str], owner: str) -> None:
        self.builder = _rvision.GraphBuilder()
        self.size_bound = False
        self.finished = False
        self._owner = owner
        self._paths = paths
        self._scopes: list[tuple[str, bool]] = []
        self._names: set[str] = set()
        self._counts: dict[str, int] = {}

    @property
    def path(self) -> str:
        """Name of the module that is being called; the root's is empty."""
        return self._scopes[-1][0] if self._scopes else ""

    @property
    def where(self) -> str:
        """The module that is being called, for messages."""
        return self.path or self._owner

    @contextmanager
    def inside(self, module: object, leaf: bool) -> Iterator[None]:
        """Name nodes after `module` for the duration of its `forward`.

        A `leaf`'s first node has the module's own name, since it is all that the module does.
        """
        path = self._paths.get(id(module))
        if path is None:
            # Made during forward, or kept where the registry does not look, such as in a list.
            name = type(module).__name__.lower()
            path = f"{self.path}.{name}" if self.path else name
        self._scopes.append((path, leaf and bool(path)))
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Name nodes within the present module, also where it is a leaf and they are not what it does."""
        self._scopes.append((self.path, False))
        try:
            yield
        finally:
            self._scopes.pop()

    def name(self, label: str) -> str:
        """Give the next node its name: the module's for a leaf, else `label` within the module.

        As in torchvision, a number at the end is not part of a name but counts its uses.
        """
        path, leaf = self._scopes[-1] if self._scopes else ("", False)
        name = path if leaf else f"{path}.{label}" if path else label
        base = _NUMBERED.sub("", name)
        count = self._counts.get(base, 0)
        name = f"{base}_{count}" if count else base
        while name in self._names:
            count += 1
            name = f"{base}_{count}"
        self._counts[base] = count + 1
        self._names.add(name)
        return name

    def input(self, name: str, shape: Sequence[int], fixed: Sequence[bool]) -> Symbol:
        """Add an input of the network."""
        value = self.builder.input(self._unique(name), shape)
        return Symbol(self, value, tuple(fixed), _alias.Memory(_alias.PLAIN))

    def _unique(self, name: str) -> str:
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name

    def constant(self, value: Any) -> Symbol:
        """Add an array that `forward` combines with symbols: a parameter as it is, or a copy of an array."""
        handle = getattr(value, "_handle", None)
        plain = handle is not None
        if handle is None:
            array = np.asarray(value)
            plain = array.flags.c_contiguous
            handle = _rvision.Parameter(np.asarray(array, np.float32, order="C"))
        path = self.path
        name = self._unique(f"{path}.constant" if path else "constant")
        memory = _alias.Memory(_alias.PLAIN if plain else _alias.UNKNOWN, _alias.Storage(constant=True))
        return Symbol(self, self.builder.constant(name, handle), (True,) * len(handle.shape), memory)

    def evaluate(self, module: Callable[[Any], Any], value: Any) -> Any:
        """Run a part of the network that sees constants only, once a trace and not once a run.

        Parameters
        ----------
        module : Module
            The part, such as the one that makes Swin V2's position biases from a table of offsets.
        value : array_like
            What it is called with.

        Returns
        -------
        numpy.ndarray
            What it returns; in the graph it is a constant.
        """
        return module(value)

    def finish(self, outputs: Sequence[Symbol]) -> _rvision.Graph:
        """Return the graph that computes `outputs`."""
        for symbol in outputs:
            self.builder.output(symbol.value_of(self))
        self.finished = True
        return self.builder.finish()


def tracer_of(*values: Any) -> Tracer | None:
    """Return the tracer of the first symbol in (nested) arguments, or None."""
    for value in values:
        if isinstance(value, Symbol):
            return value.tracer
        if isinstance(value, list | tuple):
            found = tracer_of(*value)
        elif isinstance(value, dict):
            found = tracer_of(*value.values())
        else:
            continue
        if found is not None:
            return found
    return None


class Shape(Sequence[int]):
    """A symbol's sizes. Reading one that varies with the input binds the trace to it."""

    __slots__ = ("_symbol",)

    def __init__(self, symbol: Symbol) -> None:
        self._symbol = symbol

    def __len__(self) -> int:
        return self._symbol.ndim

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(self._symbol.read(dim) for dim in range(*index.indices(len(self))))
        return self._symbol.read(range(len(self))[index])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(other) == len(self) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __add__(self, other: Sequence[int]) -> tuple[int, ...]:
        return (*self, *other)

    def __radd__(self, other: Sequence[int]) -> tuple[int, ...]:
        return (*other, *self)

    def __repr__(self) -> str:
        return repr(self._symbol.traced_shape)

    def numel(self) -> int:
        """Return the number of elements."""
        count = 1
        for size in self:
            count *= size
        return count


class Symbol(_alias.InPlace, Opaque):
    """A float32 array of a network that is being traced.

    It has the operators and methods that networks use. Values are not known while tracing, so `bool`,
    `float`, iteration and NumPy functions raise :class:`~rvision.UnsupportedError`.

    Operations in place change what the symbol stands for; `memory` tells which others they change
    (:mod:`rvision._alias`).
    """

    __slots__ = ("__weakref__", "_fixed", "_shape", "_tracer", "_value", "memory")

    def __init__(
        self, tracer: Tracer, value: int, fixed: tuple[bool, ...], memory: _alias.Memory | None = None
    ) -> None:
        self.memory = _alias.Memory(_alias.UNKNOWN) if memory is None else memory
        self._tracer = tracer
        self._value = value
        self._shape: tuple[int, ...] = tuple(tracer.builder.shape(value))
        self._fixed = fixed

    # ---- what it is ----

    @property
    def tracer(self) -> Tracer:
        """The run that this symbol belongs to."""
        return self._tracer

    @property
    def traced_shape(self) -> tuple[int, ...]:
        """The sizes of this trace, for messages: reading them does not bind the trace."""
        return self._shape

    @property
    def fixed(self) -> tuple[bool, ...]:
        """For each dimension, whether its size is the same in every run of this trace."""
        return self._fixed

    @property
    def shape(self) -> Shape:
        """Sizes, (N, C, H, W) for a batch of pictures."""
        return Shape(self)

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or the size of one dimension."""
        return self.shape if dim is None else self.shape[dim]

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._shape)

    def dim(self) -> int:
        """Return the number of dimensions."""
        return len(self._shape)

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Always float32."""
        return np.dtype(np.float32)

    def read(self, dim: int) -> int:
        """Return a size to Python code, which may depend on it from then on."""
        if not self._fixed[dim]:
            self._tracer.size_bound = True
        return self._shape[dim]

    def axis(self, dim: int) -> int:
        """Count `dim` from the front, after checking it."""
        if not -self.ndim <= dim < self.ndim:
            raise ShapeError(
                f"{self._tracer.where}: dimension {dim} is out of range for a {self.ndim}-d value "
                f"{self._shape}"
            )
        return dim % self.ndim

    def value_of(self, tracer: Tracer) -> int:
        """Return the value's index in `tracer`'s graph, after checking that it belongs there."""
        if self._tracer is not tracer or tracer.finished:
            raise UnsupportedError(
                f"{tracer.where}: a value of another call of the network is used here; "
                "values must reach a module through the arguments of forward, not through attributes or "
                "globals"
            )
        return _alias.current(self)

    def rebind(self, value: int, fixed: Sequence[bool] | None = None) -> None:
        """Stand for another value of the same shape; what is `fixed` about it holds in addition."""
        self._value = value
        if fixed is not None:
            self._fixed = tuple(one or other for one, other in zip(self._fixed, fixed, strict=True))

    def emit(
        self,
        method: str,
        label: str,
        *attributes: Any,
        fixed: Sequence[bool] | None = None,
        shares: str | None = None,
        **named: Any,
    ) -> Symbol:
        """Add the node `GraphBuilder.method(name, self, *attributes)`.

        `fixed` tells which of the result's sizes are fixed, by default those of this symbol; `shares` what
        torch's operator returns, see :func:`rvision._alias.derive`.
        """
        tracer = self._tracer
        value = self.value_of(tracer)
        value = getattr(tracer.builder, method)(tracer.name(label), value, *attributes, **named)
        result = Symbol(tracer, value, self._fixed if fixed is None else tuple(fixed))
        result.memory = _alias.derive(self, result, method, label, attributes, shares)
        return result

    def activation(self, label: str, kind: str, a: float = 0.0, b: float = 0.0) -> Symbol:
        """Add a pointwise function by the engine's name for it."""
        return self.emit("activation", label, kind, float(a), float(b))

    # ---- arithmetic ----

    def _operand(self, other: Any) -> Any:
        """Return the other side of an operator as a number or a symbol; NotImplemented if it is neither."""
        if isinstance(other, int | float | np.number) or (isinstance(other, np.ndarray) and other.ndim == 0):
            return float(other)
        if isinstance(other, Symbol):
            return other
        if isinstance(other, np.ndarray) or hasattr(other, "__array__") or hasattr(other, "__dlpack__"):
            return self._tracer.constant(other)
        return NotImplemented

    def _binary(self, kind: str, label: str, other: Any, reverse: bool = False) -> Symbol:
        operand = self._operand(other)
        if operand is NotImplemented:
            return NotImplemented
        if isinstance(operand, float):
            return self._with_scalar(kind, label, operand, reverse)
        left, right = (operand, self) if reverse else (self, operand)
        tracer = self._tracer
        value = tracer.builder.binary(tracer.name(label), kind, left.value_of(tracer), right.value_of(tracer))
        fixed = _broadcast_fixed(left._fixed_sizes(), right._fixed_sizes())
        return Symbol(tracer, value, fixed, _alias.joined((left, right)))

    def _fixed_sizes(self) -> list[tuple[int, bool]]:
        return list(zip(self._shape, self._fixed, strict=True))

    def _with_scalar(self, kind: str, label: str, scalar: float, reverse: bool) -> Symbol:
        tracer = self._tracer
        value = self.value_of(tracer)
        result = tracer.builder.binary_scalar(tracer.name(label), kind, value, scalar, reverse)
        return Symbol(tracer, result, self._fixed, _alias.Memory(_alias.pointwise(self)))

    def __add__(self, other: Any) -> Symbol:
        return self._binary("add", "add", other)

    def __radd__(self, other: Any) -> Symbol:
        return self._binary("add", "add", other, reverse=True)

    def __sub__(self, other: Any) -> Symbol:
        return self._binary("sub", "sub", other)

    def __rsub__(self, other: Any) -> Symbol:
        return self._binary("sub", "sub", other, reverse=True)

    def __mul__(self, other: Any) -> Symbol:
        return self._binary("mul", "mul", other)

    def __rmul__(self, other: Any) -> Symbol:
        return self._binary("mul", "mul", other, reverse=True)

    def __truediv__(self, other: Any) -> Symbol:
        return self._binary("div", "truediv", other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return self._binary("div", "truediv", other, reverse=True)

    def __matmul__(self, other: Any) -> Symbol:
        return self._matmul(other, reverse=False)

    def __rmatmul__(self, other: Any) -> Symbol:
        return self._matmul(other, reverse=True)

    def matmul(self, other: Any) -> Symbol:
        """Return products of matrices: (..., M, K) and (..., K, N) to (..., M, N)."""
        return self._matmul(other, reverse=False)

    def _matmul(self, other: Any, reverse: bool) -> Symbol:
        if not isinstance(other, Symbol):
            if not hasattr(other, "__array__") and not hasattr(other, "__dlpack__"):
                return NotImplemented
            other = self._tracer.constant(other)
        left, right = (other, self) if reverse else (self, other)
        tracer = self._tracer
        value = tracer.builder.matmul(tracer.name("matmul"), left.value_of(tracer), right.value_of(tracer))
        leads = _broadcast_fixed(left._fixed_sizes()[:-2], right._fixed_sizes()[:-2])
        # Torch may return a transposed product where the right side has more dimensions.
        memory = _alias.joined((left, right) if left.ndim >= right.ndim else ())
        return Symbol(tracer, value, (*leads, left._fixed[-2], right._fixed[-1]), memory)

    def __neg__(self) -> Symbol:
        return self._with_scalar("mul", "neg", -1.0, False)

    def add(self, other: Any) -> Symbol:
        """Return the sum."""
        return self + other

    def mul(self, other: Any) -> Symbol:
        """Return the product."""
        return self * other

    def maximum(self, other: Any) -> Symbol:
        """Return the larger, element by element."""
        return self._binary("maximum", "maximum", other)

    def minimum(self, other: Any) -> Symbol:
        """Return the smaller, element by element."""
        return self._binary("minimum", "minimum", other)

    def relu(self) -> Symbol:
        """Return `max(x, 0)`."""
        return self.activation("relu", "relu")

    def sigmoid(self) -> Symbol:
        """Return `1 / (1 + exp(-x))`."""
        return self.activation("sigmoid", "sigmoid")

    def tanh(self) -> Symbol:
        """Return the hyperbolic tangent."""
        return self.activation("tanh", "tanh")

    def clamp(self, min: float = -np.inf, max: float = np.inf) -> Symbol:
        """Limit values to `min` .. `max`."""
        return self.activation("clamp", "clamp", min, max)

    def softmax(self, dim: int) -> Symbol:
        """Return exponentials that sum to one along `dim`."""
        return self.emit("softmax", "softmax", self.axis(dim), False)

    def mean(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Symbol:
        """Return the mean over one, several or all dimensions."""
        dims = range(self.ndim) if dim is None else dim if isinstance(dim, Sequence) else [dim]
        axes = sorted({self.axis(d) for d in dims})
        if keepdim:
            fixed = [d in axes or f for d, f in enumerate(self._fixed)]
        else:
            fixed = [f for d, f in enumerate(self._fixed) if d not in axes]
        return self.emit("mean", "mean", axes, keepdim, fixed=fixed)

    # ---- shapes ----

    def _reshape(self, label: str, shape: Sequence[Any]) -> Symbol:
        if len(shape) == 1 and isinstance(shape[0], Sequence):
            shape = shape[0]
        sizes = [int(size) for size in shape]
        fixed = [size >= 0 or all(self._fixed) for size in sizes]
        return self.emit("reshape", label, sizes, fixed=fixed, shares="view" if label == "view" else "copy")

    def reshape(self, *shape: Any) -> Symbol:
        """Return the values in a new shape; one size may be -1."""
        return self._reshape("reshape", shape)

    def view(self, *shape: Any) -> Symbol:
        """Return the values in a new shape; one size may be -1."""
        return self._reshape("view", shape)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Symbol:
        """Make one dimension of `start_dim` to `end_dim`."""
        return self._flatten(self.axis(start_dim), self.axis(end_dim), "flatten")

    def _flatten(self, start: int, end: int, label: str) -> Symbol:
        merged = all(self._fixed[start : end + 1])
        fixed = (*self._fixed[:start], merged, *self._fixed[end + 1 :])
        return self.emit("flatten", label, start, end, fixed=fixed, shares="copy")

    def unflatten(self, dim: int, sizes: Sequence[int]) -> Symbol:
        """Make several dimensions of one; one of their `sizes` may be -1.

        Unlike `reshape` this needs to know no other size, so that the trace stays good for all of them.
        """
        return self._unflatten(self.axis(dim), [int(size) for size in sizes], "unflatten")

    def _unflatten(self, axis: int, sizes: list[int], label: str) -> Symbol:
        parts = [size >= 0 or self._fixed[axis] for size in sizes]
        fixed = (*self._fixed[:axis], *parts, *self._fixed[axis + 1 :])
        return self.emit("unflatten", label, axis, sizes, fixed=fixed)

    def expand(self, *sizes: Any) -> Symbol:
        """Repeat along dimensions of size one, and along new ones in front; -1 keeps a size."""
        if len(sizes) == 1 and isinstance(sizes[0], Sequence):
            sizes = tuple(sizes[0])
        sizes = [int(size) for size in sizes]
        own = (True,) * (len(sizes) - self.ndim) + self._fixed
        fixed = [size >= 0 or f for size, f in zip(sizes, own, strict=False)]
        return self.emit("expand", "expand", sizes, fixed=fixed)

    def expand_as(self, other: Symbol) -> Symbol:
        """Repeat to the shape of `other`, whatever that is in a run: its sizes are not read."""
        tracer = self._tracer
        if not isinstance(other, Symbol):
            raise TypeError(f"{tracer.where}: expand_as: expected a symbol, got {type(other).__name__}")
        value = self.value_of(tracer)
        like = other.value_of(tracer)
        value = tracer.builder.expand_as(tracer.name("expand_as"), value, like)
        result = Symbol(tracer, value, other.fixed)
        result.memory = _alias.derive(self, result, "expand_as", "expand_as", (like,))
        return result

    def roll(self, shifts: int | Sequence[int], dims: int | Sequence[int]) -> Symbol:
        """Move indices on by `shifts` along `dims`; what leaves at the end comes in at the front."""
        moves = [shifts] if isinstance(shifts, int) else list(shifts)
        axes = [dims] if isinstance(dims, int) else list(dims)
        return self.emit("roll", "roll", moves, [self.axis(axis) for axis in axes])

    def unbind(self, dim: int = 0) -> tuple[Symbol, ...]:
        """Return the values at each index of a dimension, which they do not have."""
        axis = self.axis(dim)
        index = [slice(None)] * self.ndim
        parts = []
        for place in range(self.read(axis)):
            index[axis] = place  # type: ignore[call-overload]
            parts.append(self[tuple(index)])
        return tuple(parts)

    def permute(self, *dims: Any) -> Symbol:
        """Return the dimensions in another order."""
        if len(dims) == 1 and isinstance(dims[0], Sequence):
            dims = tuple(dims[0])
        return self._permute([self.axis(dim) for dim in dims], "permute")

    def _permute(self, axes: Sequence[int], label: str) -> Symbol:
        return self.emit("permute", label, list(axes), fixed=[self._fixed[axis] for axis in axes])

    def transpose(self, dim0: int, dim1: int) -> Symbol:
        """Exchange two dimensions."""
        axes = list(range(self.ndim))
        first, second = self.axis(dim0), self.axis(dim1)
        axes[first], axes[second] = second, first
        return self._permute(axes, "transpose")

    def squeeze(self, dim: int | None = None) -> Symbol:
        """Drop a dimension of size one, or all of them."""
        if dim is None:
            axes = [axis for axis in range(self.ndim) if self.read(axis) == 1]
        else:
            axes = [self.axis(dim)] if self.read(self.axis(dim)) == 1 else []
        return self._chain("squeeze", [(Symbol._drop, axis) for axis in reversed(axes)])

    def unsqueeze(self, dim: int) -> Symbol:
        """Insert a dimension of size one."""
        if not -self.ndim - 1 <= dim <= self.ndim:
            raise ShapeError(
                f"{self._tracer.where}: no dimension can be inserted at {dim} of a {self.ndim}-d value "
                f"{self._shape}"
            )
        return self._insert(dim % (self.ndim + 1), "unsqueeze")

    def _drop(self, axis: int, label: str) -> Symbol:
        # A dimension of size one merges into a neighbour whatever the other sizes are.
        if self.ndim == 1:
            return self.emit("reshape", label, [], fixed=())
        start = axis if axis + 1 < self.ndim else axis - 1
        neighbour = self._fixed[start + 1] if start == axis else self._fixed[start]
        fixed = (*self._fixed[:start], neighbour, *self._fixed[start + 2 :])
        return self.emit("flatten", label, start, start + 1, fixed=fixed)

    def _insert(self, axis: int, label: str) -> Symbol:
        if self.ndim == 0:
            return self.emit("reshape", label, [1], fixed=(True,))
        if axis < self.ndim:
            return self._unflatten(axis, [1, -1], label)
        return self._unflatten(axis - 1, [-1, 1], label)

    def _slice(self, axis: int, part: slice, label: str) -> Symbol:
        step = 1 if part.step is None else part.step
        if step < 1:
            raise UnsupportedError(
                f"{self._tracer.where}: slices with step {step} are not supported; use a step of 1 or more"
            )
        fixed = list(self._fixed)
        if (part.start, part.stop, step) in {(0, 1, 1), (-1, None, 1)}:
            fixed[axis] = True
        return self.emit("slice", label, axis, part.start, part.stop, step, fixed=fixed)

    def _chain(self, label: str, steps: Sequence[tuple[Callable[..., Symbol], Any]]) -> Symbol:
        """Apply `steps`; the last node has the label that users look for."""
        result = self
        for number, (step, argument) in enumerate(steps, 1):
            name = label if number == len(steps) else f"{label}.part"
            arguments = argument if isinstance(argument, tuple) else (argument,)
            result = step(result, *arguments, name)
        return result

    def _full_index(self, index: Any) -> list[Any]:
        """Return an index as a list that speaks of every dimension."""
        index = list(index) if isinstance(index, tuple) else [index]
        if any(
            isinstance(item, Symbol) or not (item is None or item is ... or _is_index(item)) for item in index
        ):
            raise UnsupportedError(
                f"{self._tracer.where}: a value is indexed with something else than integers, slices, "
                f"None and `...`; "
                "index outputs of the network instead"
            )
        used = sum(item is not None and item is not ... for item in index)
        if used > self.ndim:
            raise IndexError(f"{self._tracer.where}: {used} indices for a {self.ndim}-d value {self._shape}")
        if ... not in index:
            index.append(...)
        at = index.index(...)
        index[at : at + 1] = [slice(None)] * (self.ndim - used)
        return index

    def __getitem__(self, index: Any) -> Symbol:
        index = self._full_index(index)

        slices: list[tuple[Callable[..., Symbol], Any]] = []
        drops: list[int] = []
        inserts: list[int] = []
        axis = place = 0
        for item in index:
            if item is None:
                inserts.append(place)
                place += 1
                continue
            if isinstance(item, slice):
                if item != slice(None):
                    slices.append((Symbol._slice, (axis, item)))
                place += 1
            else:
                item = int(item)
                if not -self._shape[axis] <= item < self._shape[axis]:
                    raise IndexError(
                        f"{self._tracer.where}: index {item} is out of range for dimension {axis} of "
                        f"{self._shape}"
                    )
                slices.append((Symbol._slice, (axis, slice(item, item + 1 if item != -1 else None))))
                drops.append(axis)
            axis += 1
        steps = slices + [(Symbol._drop, d) for d in reversed(drops)] + [(Symbol._insert, i) for i in inserts]
        result = self._chain("getitem", steps)
        if result is not self:
            result.memory.item = self, index
        return result

    def split(self, split_size: int | Sequence[int], dim: int = 0) -> tuple[Symbol, ...]:
        """Cut one dimension into pieces of a size (the last may be smaller) or of given sizes."""
        axis = self.axis(dim)
        length = self.read(axis)
        if isinstance(split_size, int):
            split_size = [min(split_size, length - start) for start in range(0, length, split_size)]
        if sum(split_size) != length:
            raise ShapeError(
                f"{self._tracer.where}: pieces of {list(split_size)} do not add up to the {length} of "
                f"dimension {axis}"
            )
        pieces = []
        start = 0
        for size in split_size:
            fixed = list(self._fixed)
            pieces.append(self.emit("slice", "getitem", axis, start, start + size, 1, fixed=fixed))
            start += size
        return tuple(pieces)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Symbol, ...]:
        """Cut one dimension into at most `chunks` pieces of the same size (the last may be smaller)."""
        return self.split(-(-self.read(self.axis(dim)) // chunks), dim)

    # ---- what changes nothing at inference ----

    def contiguous(self) -> Symbol:
        """Return the same values: memory order is the engine's business."""
        return self.emit("identity", "contiguous", shares="copy")

    def clone(self) -> Symbol:
        """Return the same values as a symbol that no operation in place on this one changes."""
        tracer = self._tracer
        return Symbol(tracer, self.value_of(tracer), self._fixed, _alias.Memory(_alias.pointwise(self)))

    def detach(self) -> Symbol:
        """Return the symbol itself: there are no gradients."""
        return self

    def float(self) -> Symbol:
        """Return the symbol itself: everything is float32."""
        return self

    # ---- what cannot become a node ----

    def __setitem__(self, index: Any, value: Any) -> None:
        # `x[index] += y` assigns the part, which has been changed in place, to where it is.
        if not _alias.is_item(value, self, self._full_index(index)):
            self._refuse("assigning to a part of a value", "build the result with rvision.cat")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        # Arrays on the left of an operator come here.
        if ufunc.__name__ == "matmul" and method == "__call__" and not kwargs:
            left, right = inputs
            return left.matmul(right) if isinstance(left, Symbol) else right._matmul(left, reverse=True)
        kind = _UFUNCS.get(ufunc.__name__)
        if kwargs.get("out"):
            self._refuse(
                "an operation in place of a value on an array", "write `a = a + x` instead of `a += x`"
            )
        if kind is None or method != "__call__" or kwargs or len(inputs) != 2:
            self._refuse(
                f"np.{ufunc.__name__}", "use operators, rvision.nn.functional, or NumPy on the outputs"
            )
        left, right = inputs
        if isinstance(left, Symbol):
            return left._binary(*kind, right)
        return self._binary(*kind, left, reverse=True)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"{self._tracer.where}: a value of a network that is being traced has no attribute {name!r}; "
            "it has those of rvision._trace.Symbol"
        )

    def __repr__(self) -> str:
        return f"Symbol({self._shape}, in {self._tracer.where})"


_UFUNCS = {
    "add": ("add", "add"),
    "subtract": ("sub", "sub"),
    "multiply": ("mul", "mul"),
    "divide": ("div", "truediv"),
    "true_divide": ("div", "truediv"),
    "maximum": ("maximum", "maximum"),
    "minimum": ("minimum", "minimum"),
}


def concat(values: Sequence[Any], dim: int) -> Symbol:
    """Put values side by side along `dim`; at least one is a symbol, arrays become constants."""
    tracer = tracer_of(values)
    if tracer is None:
        raise TypeError("concat needs at least one symbol")
    symbols = [value if isinstance(value, Symbol) else tracer.constant(value) for value in values]
    axis = symbols[0].axis(dim)
    fixed = [any(flags) for flags in zip(*(s.fixed for s in symbols), strict=False)]
    if all(s.ndim == symbols[0].ndim for s in symbols):
        fixed[axis] = all(s.fixed[axis] for s in symbols)
    value = tracer.builder.concat(tracer.name("cat"), [s.value_of(tracer) for s in symbols], axis)
    # Torch looks at the order of elements of pictures only.
    memory = _alias.joined(symbols) if symbols[0].ndim in (4, 5) else _alias.Memory(_alias.PLAIN)
    return Symbol(tracer, value, tuple(fixed), memory)


def _broadcast_fixed(left: list[tuple[int, bool]], right: list[tuple[int, bool]]) -> tuple[bool, ...]:
    """Tell which sizes that two shapes broadcast to are fixed, from their sizes and whether these are."""
    rank = max(len(left), len(right))
    pairs = [[(1, True)] * (rank - len(sizes)) + sizes for sizes in (left, right)]
    # A size one that is fixed takes the other's size; any other fixed size stays.
    return tuple(
        (f and g) or (f and size != 1) or (g and other != 1)
        for (size, f), (other, g) in zip(*pairs, strict=True)
    )


def _is_index(item: Any) -> bool:
    if isinstance(item, slice):
        return all(
            part is None or isinstance(part, int | np.integer) for part in (item.start, item.stop, item.step)
        )
    return isinstance(item, int | np.integer) and not isinstance(item, bool)
