"""Tracing: running a network's `forward` once with symbols to learn its graph.

A :class:`Symbol` stands for an array that does not exist yet. Operations on it add nodes to a
`GraphBuilder`; what cannot become a node (a branch on a value, a NumPy function) raises an error
that names the module. A :class:`Tracer` is one such run: it knows which module is being called, and
names nodes as torchvision's feature extraction does (`layer1.0.conv2`, `layer1.0.relu_1`,
`flatten`).

One trace serves every batch and picture size, because nodes hold attributes and not sizes. For
this, a symbol knows for each dimension whether it is *fixed* (the same for every input that may use
this trace: channels, features, the output of a pool to a given size) or not (batch, height, width).
Using the value of a size that is not fixed is allowed; it binds the trace to the input sizes that
it depends on, and the network is traced again for others (:mod:`rvision._sizes`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from rvision import _alias, _rvision
from rvision._mask import MIRRORED, Comparing, Logic, kind_of
from rvision._math import Math
from rvision._moves import Moves
from rvision._numbers import integer, real
from rvision._opaque import Opaque
from rvision._sizes import (
    Flag,
    Shape,
    Varying,
    broadcast_flags,
    resized,
)
from rvision.errors import ShapeError, UnsupportedError

__all__ = ["Mask", "Shape", "Symbol", "Traced", "Tracer", "Unbatched", "concat", "tracer_of"]

_NUMBERED = re.compile(r"_[0-9]+$")

# The integers up to here are doubles.
_EXACT = 2**53

# Operations after which an input picture is still a picture: they keep its dimensions.
_POINTWISE = {"activation", "identity", "pad", "pad_edges"}


class Unbatched(BaseException):
    """A layer for pictures was given an input (C, H, W): tracing restarts with a batch dimension.

    An `except Exception` in a `forward` does not catch it.
    """


class Tracer:
    """One run of `forward` with symbols.

    Parameters
    ----------
    paths : mapping of int to str
        Maps the `id` of each module of the tree to its name in the root.
    owner : str
        The root's name in messages, such as `ResNet`.
    pictures : bool
        Whether inputs (C, H, W) become batches of one as soon as a layer for pictures takes one.
    """

    def __init__(self, paths: Mapping[int, str], owner: str, pictures: bool = False) -> None:
        self.builder = _rvision.GraphBuilder()
        self.bound: set[tuple[int, int]] = set()
        self.finished = False
        self.unbatched = False
        self._pictures = pictures
        # Graph values that are an input (C, H, W), possibly after pointwise functions.
        self.given: set[int] = set()
        self.touched = False
        # Called with the name of each of the user's modules after it returns.
        self.check: Callable[[str], None] | None = None
        # Calls of modules with hooks (:mod:`rvision.nn._hooks`).
        self.seen: list[Any] = []
        # Told of each operation and each call of a module (:mod:`rvision.nn._nodes`).
        self.listeners: list[Any] = []
        self._named: tuple[str, str, bool] | None = None
        self._inputs: list[tuple[str, Symbol]] = []
        self._owner = owner
        self._paths = paths
        self._scopes: list[tuple[str, bool]] = []
        self._names: set[str] = set()
        self._counts: dict[str, int] = {}

    @property
    def path(self) -> str:
        """Name of the module being called; empty for the root."""
        return self._scopes[-1][0] if self._scopes else ""

    @property
    def where(self) -> str:
        """The module being called, for messages."""
        return self.path or self._owner

    @contextmanager
    def inside(self, module: object, leaf: bool) -> Iterator[None]:
        """Name nodes after `module` during its `forward`.

        The first node of a `leaf` gets the module's own name, since it is all that the module does.
        """
        path = self._paths.get(id(module))
        if path is None:
            # Created during forward, or stored where the registry does not look, such as in a list.
            name = type(module).__name__.lower()
            path = f"{self.path}.{name}" if self.path else name
        self._scopes.append((path, leaf and bool(path)))
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Name nodes within the current module, even if it is a leaf and they are not its own operation."""
        self._scopes.append((self.path, False))
        try:
            yield
        finally:
            self._scopes.pop()

    def name(self, label: str) -> str:
        """Give the next node its name: the module's for a leaf, else `label` within the module.

        As in torchvision, a trailing number is not part of a name but counts its uses.
        """
        self.touched = True
        path, leaf = self._scopes[-1] if self._scopes else ("", False)
        if self.listeners:
            self._named = (path, label, leaf)
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
        """Add an input of the network; `fixed` tells which of its sizes are the same in every run."""
        name = self._unique(name)
        number = len(self._inputs)
        flags = [f or Varying(frozenset({(number, dim)})) for dim, f in enumerate(fixed)]
        symbol = Symbol(self, self.builder.input(name, shape), tuple(flags), _alias.Memory(_alias.PLAIN))
        self._inputs.append((name, symbol))
        if self._pictures and len(shape) == 3:
            self.given.add(symbol._value)
        return symbol

    @property
    def size_bound(self) -> bool:
        """Whether `forward` has used a size that varies."""
        return bool(self.bound)

    def bind(self) -> None:
        """Depend on all sizes of the inputs."""
        for _, symbol in self._inputs:
            for dim in range(symbol.ndim):
                symbol.read(dim)

    def takes_picture(self, symbol: Symbol) -> None:
        """Note that `symbol` is the input of a layer for pictures.

        If it is an input (C, H, W), it and all other inputs become batches of one, in place if
        nothing has used them yet.

        Raises
        ------
        Unbatched
            If something has used them.
        """
        if symbol._value not in self.given:
            return
        shapes = [other._shape for _, other in self._inputs]
        if any(len(shape) == 4 for shape in shapes):
            raise ShapeError(
                f"{self._owner}: got inputs with and without a batch dimension "
                f"({', '.join(map(str, shapes))}); give all of them one"
            )
        if any(len(shape) != 3 for shape in shapes):
            return
        if self.touched:
            raise Unbatched
        self.builder = _rvision.GraphBuilder()
        self.unbatched = True
        self.given.clear()
        for number, (name, other) in enumerate(self._inputs):
            other._shape = (1, *other._shape)
            other._value = self.builder.input(name, other._shape)
            other._fixed = (True, True, *(Varying(frozenset({(number, dim)})) for dim in (2, 3)))

    def made(self, value: Traced) -> None:
        """Tell the listeners that `value` is the result of the operation that was named last."""
        if self._named is not None:
            path, label, leaf = self._named
            self._named = None
            for listener in self.listeners:
                listener.named(path, label, leaf, value)

    def side_name(self, label: str) -> str:
        """Return a name for an auxiliary node, so that the module's own operation keeps its name."""
        self.touched = True
        path = self.path
        return self._unique(f"{path}.{label}" if path else label)

    def _unique(self, name: str) -> str:
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name

    def constant(self, value: Any) -> Symbol:
        """Add an array that `forward` combines with symbols: a parameter itself, or a copy of an array."""
        if isinstance(value, Traced):
            raise TypeError(
                f"{self.where}: expected floats, got a mask (bool), which torch does not take here either; "
                "use .float() for its zeros and ones"
            )
        handle = getattr(value, "_handle", None)
        plain = handle is not None
        if handle is None:
            array = np.asarray(value)
            plain = array.flags.c_contiguous
            handle = _rvision.Parameter(np.asarray(array, np.float32, order="C"))
        name = self.side_name("constant")
        memory = _alias.Memory(_alias.PLAIN if plain else _alias.UNKNOWN, _alias.Storage(constant=True))
        return Symbol(self, self.builder.constant(name, handle), (True,) * len(handle.shape), memory)

    def evaluate(self, module: Callable[[Any], Any], value: Any) -> Any:
        """Run a part of the network that depends on constants only: once per trace, not per run.

        Parameters
        ----------
        module : Module
            The part, such as the one that makes Swin V2's position biases from a table of offsets.
        value : array_like
            Its argument.

        Returns
        -------
        numpy.ndarray
            Its result; in the graph it is a constant.
        """
        return module(value)

    def finish(
        self, outputs: Sequence[Traced], workspaces: _rvision.Workspaces | None = None
    ) -> _rvision.Graph:
        """Return the graph that computes `outputs`; it may share `workspaces` with other graphs."""
        for symbol in outputs:
            self.builder.output(symbol.value_of(self))
        self.finished = True
        return self.builder.finish(workspaces)


def tracer_of(*values: Any) -> Tracer | None:
    """Return the tracer of the first symbol in (nested) arguments, or None."""
    for value in values:
        if isinstance(value, Traced):
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


class Traced(Moves, Opaque):
    """A value of a network that is being traced: a :class:`Symbol` or a :class:`Mask`.

    Values are not known while tracing, so `bool`, `float`, iteration and NumPy functions raise
    :class:`~rvision.UnsupportedError`.

    Operations in place change what it stands for; `memory` tells which others they change
    (:mod:`rvision._alias`).
    """

    __slots__ = ("__weakref__", "_fixed", "_shape", "_tracer", "_value", "memory")

    def __init__(
        self, tracer: Tracer, value: int, fixed: tuple[Flag, ...], memory: _alias.Memory | None = None
    ) -> None:
        self.memory = _alias.Memory(_alias.UNKNOWN) if memory is None else memory
        self._tracer = tracer
        self._value = value
        self._shape: tuple[int, ...] = tuple(tracer.builder.shape(value))
        self._fixed = fixed
        if tracer.listeners:
            tracer.made(self)

    # ---- what it is ----

    @property
    def tracer(self) -> Tracer:
        """The run that this symbol belongs to."""
        return self._tracer

    @property
    def traced_shape(self) -> tuple[int, ...]:
        """The sizes of this trace, for messages: reading them does not bind the trace."""
        self._tracer.touched = True
        return self._shape

    @property
    def fixed(self) -> tuple[Flag, ...]:
        """For each dimension, whether its size is the same in every run of this trace."""
        self._tracer.touched = True
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
        self._tracer.touched = True
        return len(self._shape)

    def dim(self) -> int:
        """Return the number of dimensions."""
        return self.ndim

    def read(self, dim: int) -> int:
        """Return a size to Python code, which may then depend on it."""
        flag = self._fixed[dim]
        if isinstance(flag, Varying):
            self._tracer.bound |= flag.reads
        return self._shape[dim]

    def axis(self, dim: int) -> int:
        """Return `dim` counted from the front, after checking it."""
        if type(dim) is not int:
            dim = integer(dim, f"{self._tracer.where}: dim")
        if not -self.ndim <= dim < self.ndim:
            raise ShapeError(
                f"{self._tracer.where}: dimension {dim} is out of range for a {self.ndim}-d value "
                f"{self._shape}"
            )
        return dim % self.ndim

    def value_of(self, tracer: Tracer) -> int:
        """Return the symbol's value number in `tracer`'s graph, after checking that it belongs there."""
        if self._tracer is not tracer or tracer.finished:
            raise UnsupportedError(
                f"{tracer.where}: a value of another call of the network is used here; "
                "values must reach a module through the arguments of forward, not through attributes or "
                "globals"
            )
        return _alias.current(self)

    def rebind(self, value: int, fixed: Sequence[Flag] | None = None) -> None:
        """Rebind to another graph value of the same shape; sizes `fixed` there become fixed here too."""
        self._value = value
        if fixed is not None:
            self._fixed = tuple(other or one for one, other in zip(self._fixed, fixed, strict=True))

    def emit(
        self,
        method: str,
        label: str,
        *attributes: Any,
        fixed: Sequence[Flag] | None = None,
        shares: str | None = None,
        **named: Any,
    ) -> Any:
        """Add the node `GraphBuilder.method(name, self, *attributes)`.

        `fixed` tells which of the result's sizes are fixed, by default those of this symbol.
        `shares` tells whether torch's operator returns a view, see :func:`rvision._alias.derive`.
        """
        tracer = self._tracer
        value = self.value_of(tracer)
        made = getattr(tracer.builder, method)(tracer.name(label), value, *attributes, **named)
        if value in tracer.given and method in _POINTWISE:
            tracer.given.add(made)
        result = type(self)(tracer, made, self._fixed if fixed is None else tuple(fixed))
        result.memory = _alias.derive(self, result, method, label, attributes, shares)
        return result

    def _flagged(self) -> list[tuple[int, Flag]]:
        return list(zip(self._shape, self._fixed, strict=True))

    # ---- what changes nothing at inference ----

    def contiguous(self) -> Any:
        """Return the same values: the engine chooses the memory order."""
        return self.emit("identity", "contiguous", shares="copy")

    def clone(self) -> Any:
        """Return the same values as a symbol that in-place operations on this one do not change."""
        tracer = self._tracer
        memory = _alias.Memory(_alias.pointwise(self))
        return type(self)(tracer, self.value_of(tracer), self._fixed, memory)

    def detach(self) -> Any:
        """Return the symbol itself: there are no gradients."""
        return self

    # ---- what cannot become a node ----

    def __setitem__(self, index: Any, value: Any) -> None:
        # `x[index] += y` assigns the part, which was changed in place, back to itself.
        if not _alias.is_item(value, self, self._full_index(index)):
            self._refuse("assigning to a part of a value", "build the result with rvision.cat")

    def _ufunc(self, kind: str, label: str, other: Any, reverse: bool) -> Any:
        """Compute what a NumPy function of two operands is called on."""
        raise NotImplementedError

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        # Operators whose left operand is an array call this.
        if ufunc.__name__ == "matmul" and method == "__call__" and not kwargs:
            left, right = inputs
            return left.matmul(right) if isinstance(left, Symbol) else right.__rmatmul__(left)
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
        if isinstance(left, Traced):
            return left._ufunc(*kind, right, False)
        return right._ufunc(*kind, left, True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shape}, in {self._tracer.where})"


class Symbol(_alias.InPlace, Math, Comparing, Traced):
    """A float32 array of a network that is being traced, with the operators and methods that networks use."""

    __slots__ = ()

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Always float32."""
        return np.dtype(np.float32)

    def as_mask(self) -> Mask:
        """Return these zeros and ones as a mask."""
        return Mask(self._tracer, self._value, self._fixed, self.memory)

    def activation(self, label: str, kind: str, a: float = 0.0, b: float = 0.0) -> Symbol:
        """Add a pointwise function by the engine's name for it."""
        return self.emit("activation", label, kind, real(a, f"{self._tracer.where}: {label}"), real(b, label))

    # ---- arithmetic ----

    def _operand(self, other: Any, kind: str = "") -> Any:
        """Return an operator's other operand as a number or a symbol; NotImplemented if it is neither."""
        if isinstance(other, Mask):
            if kind == "sub":
                other._no_subtraction("subtraction with")
            return other.float()
        if type(other) is int and _EXACT < abs(other) < 2**63:
            # As in torch it is rounded once, to float32, and not to a double first.
            return float(np.int64(other).astype(np.float32))
        if isinstance(other, int | float | np.number) or (isinstance(other, np.ndarray) and other.ndim == 0):
            return real(other, f"{self._tracer.where}: operand")
        if isinstance(other, Symbol):
            return other
        if isinstance(other, np.ndarray) or hasattr(other, "__array__") or hasattr(other, "__dlpack__"):
            return self._tracer.constant(other)
        return NotImplemented

    def _binary(
        self, kind: str, label: str, other: Any, reverse: bool = False, in_place: bool = False
    ) -> Symbol:
        operand = self._operand(other, kind)
        if operand is NotImplemented:
            return NotImplemented
        if isinstance(operand, float):
            return self._with_scalar(kind, label, operand, reverse)
        left, right = (operand, self) if reverse else (self, operand)
        tracer = self._tracer
        values = left.value_of(tracer), right.value_of(tracer)
        value = tracer.builder.binary(tracer.name(label), kind, *values, in_place)
        fixed = broadcast_flags(left._flagged(), right._flagged())
        result = Symbol(tracer, value, fixed, _alias.joined((left, right)))
        if self._value in tracer.given and operand is not other and result._shape == self._shape:
            tracer.given.add(value)
        return result

    def _ufunc(self, kind: str, label: str, other: Any, reverse: bool) -> Any:
        if kind in MIRRORED:
            return self._compare(MIRRORED[kind] if reverse else kind, other)
        if kind in ("and", "or", "xor"):
            raise TypeError(f"{self._tracer.where}: bitwise_{kind}: expected a mask (bool), got floats")
        return self._binary(kind, label, other, reverse)

    def _with_scalar(self, kind: str, label: str, scalar: float, reverse: bool) -> Symbol:
        tracer = self._tracer
        value = self.value_of(tracer)
        result = tracer.builder.binary_scalar(tracer.name(label), kind, value, scalar, reverse)
        if value in tracer.given:
            tracer.given.add(result)
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
        """Return matrix products: (..., M, K) and (..., K, N) to (..., M, N)."""
        return self._matmul(other, reverse=False)

    def _matmul(self, other: Any, reverse: bool) -> Symbol:
        if not isinstance(other, Symbol):
            if not hasattr(other, "__array__") and not hasattr(other, "__dlpack__"):
                return NotImplemented
            other = self._tracer.constant(other)
        left, right = (other, self) if reverse else (self, other)
        tracer = self._tracer
        value = tracer.builder.matmul(tracer.name("matmul"), left.value_of(tracer), right.value_of(tracer))
        leads = broadcast_flags(left._flagged()[:-2], right._flagged()[:-2])
        # torch may return a transposed product if the right operand has more dimensions.
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
        """Return the elementwise maximum."""
        return self._binary("maximum", "maximum", other)

    def minimum(self, other: Any) -> Symbol:
        """Return the elementwise minimum."""
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

    def clamp(self, min: float | None = None, max: float | None = None) -> Symbol:
        """Limit values to `min` .. `max`; None is no limit."""
        low = -np.inf if min is None else min
        return self.activation("clamp", "clamp", low, np.inf if max is None else max)

    def softmax(self, dim: int) -> Symbol:
        """Return exponentials that sum to one along `dim`."""
        return self.emit("softmax", "softmax", self.axis(dim), False)

    def float(self) -> Symbol:
        """Return the symbol itself: everything is float32."""
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, Mask):
            self._fill(index, value)
        else:
            super().__setitem__(index, value)

    def _fill(self, mask: Mask, value: Any) -> None:
        """Assign one number to the elements where a mask is true: ``x[mask] = 0.0``."""
        leading = self._shape[: mask.ndim]
        if mask._shape != leading:
            raise IndexError(
                f"{self._tracer.where}: a mask of shape {mask._shape} does not index a value of shape "
                f"{self._shape}: it must have its first dimensions"
            )
        for _ in range(self.ndim - mask.ndim):
            mask = mask.unsqueeze(-1)
        self.masked_fill_(mask, value)

    def masked_fill_(self, mask: Any, value: Any) -> Symbol:
        """Put `value`, one number, where `mask` is true, in place."""
        if isinstance(mask, Mask):
            mask = self._fitting(mask, "masked_fill_")
        return self.become(self._filled(mask, value, "masked_fill_"), "masked_fill_")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"{self._tracer.where}: a value of a network that is being traced has no attribute {name!r}; "
            "it has those of rvision._trace.Symbol"
        )


class Mask(Logic, _alias.InPlace, Comparing, Traced):
    """A bool array of a network that is being traced: what comparisons give (:mod:`rvision._mask`)."""

    __slots__ = ()

    @property
    def dtype(self) -> np.dtype[np.bool_]:
        """Always bool."""
        return np.dtype(np.bool_)

    def float(self) -> Symbol:
        """Return ones where the mask is true, and zeros elsewhere."""
        tracer = self._tracer
        return Symbol(tracer, self.value_of(tracer), self._fixed, _alias.Memory(_alias.pointwise(self)))

    def _ufunc(self, kind: str, label: str, other: Any, reverse: bool) -> Any:
        if kind in MIRRORED:
            return self._compare(MIRRORED[kind] if reverse else kind, other)
        if kind in ("and", "or", "xor"):
            return self._bitwise(kind, other, reverse)
        return self._arithmetic(kind, label, other, reverse)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"{self._tracer.where}: a mask (bool) of a network that is being traced has no attribute "
            f"{name!r}; use .float() for its zeros and ones"
        )


_UFUNCS = {
    "add": ("add", "add"),
    "subtract": ("sub", "sub"),
    "multiply": ("mul", "mul"),
    "divide": ("div", "truediv"),
    "true_divide": ("div", "truediv"),
    "maximum": ("maximum", "maximum"),
    "minimum": ("minimum", "minimum"),
    "greater": ("gt", "gt"),
    "greater_equal": ("ge", "ge"),
    "less": ("lt", "lt"),
    "less_equal": ("le", "le"),
    "equal": ("eq", "eq"),
    "not_equal": ("ne", "ne"),
    "bitwise_and": ("and", "and_"),
    "bitwise_or": ("or", "or_"),
    "bitwise_xor": ("xor", "xor"),
}


def concat(values: Sequence[Any], dim: int) -> Symbol | Mask:
    """Put values side by side along `dim`; at least one is traced, arrays become constants.

    Of masks the result is a mask; beside floats their zeros and ones are taken.
    """
    tracer = tracer_of(values)
    if tracer is None:
        raise TypeError("concat needs at least one symbol")
    if any(isinstance(value, Mask) for value in values):
        kinds = {kind_of(value) for value in values}
        if kinds == {"bool"}:
            numbers = [value.float() if isinstance(value, Mask) else value for value in values]
            return concat(numbers, dim).as_mask()
        values = [value.float() if isinstance(value, Mask) else value for value in values]
    symbols = [value if isinstance(value, Symbol) else tracer.constant(value) for value in values]
    axis = symbols[0].axis(dim)
    # All have the same sizes, and some may be known to be fixed.
    fixed = [any(flags) or flags[0] for flags in zip(*(s.fixed for s in symbols), strict=False)]
    if all(s.ndim == symbols[0].ndim for s in symbols):
        fixed[axis] = resized(*(s.fixed[axis] for s in symbols))
    value = tracer.builder.concat(tracer.name("cat"), [s.value_of(tracer) for s in symbols], axis)
    # torch considers the memory order of pictures only.
    memory = _alias.joined(symbols) if symbols[0].ndim in (4, 5) else _alias.Memory(_alias.PLAIN)
    return Symbol(tracer, value, tuple(fixed), memory)
