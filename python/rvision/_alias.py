"""In-place operations while a network is traced: which symbols are the same memory in torch.

A symbol stands for a torch tensor. An in-place operation adds a node like any other and then
rebinds the *same symbol* to its result, so every name, list and attribute that holds the symbol
sees the new value. What torch calls a view (a slice, a permuted or flattened tensor, the output of
an `Identity`) is another symbol of the same :class:`Storage`. A storage records its writes in
order; a write does nothing else. A symbol that has missed some writes is brought up to date when it
is used next, by nodes that repeat its view steps or write a part back into the whole. Views that
are never used again add no nodes.

In torch, the order of the elements in memory decides whether `reshape`, `flatten` and `contiguous`
return a view or a copy (:mod:`rvision._layout`). If the order is not known, a write to one side
makes the other unusable: using it raises :class:`~rvision.UnsupportedError` instead of guessing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rvision._layout import PLAIN, UNKNOWN, Layout, depends_on_sizes, is_contiguous, moved, pointwise, repeats
from rvision.errors import ShapeError, UnsupportedError

__all__ = [
    "PLAIN",
    "UNKNOWN",
    "InPlace",
    "Memory",
    "Storage",
    "current",
    "derive",
    "is_item",
    "joined",
    "pointwise",
]

# A strided slice is written back element by element; more elements than this would add too many
# nodes.
_MAX_PIECES = 64

# Slices of a dimension that varies are compared index by index, up to this bound.
_MAX_BOUND = 1 << 20


# ---- which symbols share memory ----


class Storage:
    """Memory that several symbols may share, and the writes to it.

    Attributes
    ----------
    writes : list of (Symbol, int)
        In order: the symbol that an in-place operation wrote to, and its new value in the graph.
    constant : bool
        Whether it is a parameter or an array of the module, which a network must not write to.
    sized : bool
        Whether the sizes of this trace decided which symbols share it.
    doubtful : list of Storage
        Storages that may or may not be the same memory.
    spoiled : str
        Why its symbols cannot be used any more; empty if they can.
    """

    __slots__ = ("constant", "doubtful", "sized", "spoiled", "writes")

    def __init__(self, constant: bool = False) -> None:
        self.writes: list[tuple[Any, int]] = []
        self.constant = constant
        self.sized = False
        self.doubtful: list[Storage] = []
        self.spoiled = ""

    def doubted(self) -> list[Storage]:
        """Return all storages that may be this one."""
        found = [self]
        for storage in found:
            found += [other for other in storage.doubtful if other not in found]
        return found[1:]


@dataclass(frozen=True, slots=True)
class _Step:
    """The node that made a view: the builder's method, the node's label, the method's other arguments."""

    method: str
    label: str
    attributes: tuple[Any, ...]

    def equals(self, other: _Step) -> bool:
        return (self.method, self.attributes) == (other.method, other.attributes)

    @property
    def part(self) -> tuple[int, int | None, int | None, int] | None:
        """The dimension, start, stop and step of a slice or an index; None for other steps."""
        if self.method == "slice":
            return self.attributes  # type: ignore[return-value]
        if self.method == "index":
            axis, place = self.attributes
            return axis, place, None if place == -1 else place + 1, 1
        return None


class Memory:
    """A symbol's memory: a storage, and the step from a parent symbol unless it is the whole.

    Attributes
    ----------
    version : int
        How many of the storage's writes the symbol's value has seen.
    item : tuple, optional
        For ``x[index]``, the symbol `x` and the index.
    """

    __slots__ = ("item", "layout", "parent", "step", "storage", "version")

    def __init__(
        self, layout: Layout, storage: Storage | None = None, parent: Any = None, step: _Step | None = None
    ) -> None:
        self.storage = Storage() if storage is None else storage
        self.layout = layout
        self.parent = parent
        self.step = step
        self.version = len(self.storage.writes)
        self.item: tuple[Any, list[Any]] | None = None


_VIEWS = {"expand", "expand_as", "flatten", "identity", "index", "permute", "reshape", "slice", "unflatten"}
# Their results are contiguous even where their inputs are not.
_ALWAYS_PLAIN = {"linear", "layer_norm"}


def derive(
    source: Any, result: Any, method: str, label: str, attributes: tuple[Any, ...], shares: str | None = None
) -> Memory:
    """Return the memory of `result`, which the node `method` makes of `source`.

    In torch, most methods that move elements always return views. `shares` is given for the others:
    ``"copy"`` for an operator that copies if the order of elements requires it (`reshape`,
    `flatten`, `contiguous`), and ``"view"`` for `view`, which is then an error in torch and a copy
    here.
    """
    if method not in _VIEWS:
        if method in ("activation", "binary_scalar"):
            return Memory(pointwise(source))
        plain = source.memory.layout.plain or method in _ALWAYS_PLAIN
        return Memory(PLAIN if plain else UNKNOWN)
    storage = source.memory.storage
    layout = moved(source, result, method, attributes)
    step = _Step(method, label, attributes)
    if method == "flatten" and attributes[0] == attributes[1]:
        shares = None  # the same shape: torch returns the tensor itself
    if shares is not None and not layout.plain:
        known = source.memory.layout.strides_of(source.traced_shape)
        if known is not None:
            sized = depends_on_sizes(source)
            storage.sized |= sized
            if method == "identity":
                copied = not is_contiguous(source.traced_shape, known)
            else:
                copied = layout.strides is None
            if copied:
                other = Memory(PLAIN)
                other.storage.sized = sized
                return other
        elif shares != "view":
            other = Memory(PLAIN if method == "identity" else UNKNOWN)
            storage.doubtful.append(other.storage)
            other.storage.doubtful.append(storage)
            return other
    return Memory(layout, storage, source, step)


def joined(symbols: Sequence[Any]) -> Memory:
    """Return the memory of an operation's result on several symbols: contiguous if all of them are."""
    plain = bool(symbols) and all(symbol.memory.layout.plain for symbol in symbols)
    return Memory(PLAIN if plain else UNKNOWN)


def _lineage(symbol: Any) -> list[Any]:
    """Return the symbols from the whole to this one."""
    found = [symbol]
    while found[-1].memory.parent is not None:
        found.append(found[-1].memory.parent)
    return found[::-1]


def _parted(first: Any, second: Any) -> tuple[list[Any], list[Any]]:
    """Return the lineages of two symbols of one storage without their common beginning."""
    one, two = _lineage(first), _lineage(second)
    common = 0
    while common < min(len(one), len(two)) and one[common] is two[common]:
        common += 1
    return one[common:], two[common:]


def _disjoint(first: Any, second: Any) -> bool:
    """Return whether slices show that two symbols of one storage have no element in common."""
    for one, two in zip(*_parted(first, second), strict=False):
        left, right = one.memory.step, two.memory.step
        if left.equals(right):
            continue
        mine, theirs = left.part, right.part
        return (
            mine is not None
            and theirs is not None
            and mine[0] == theirs[0]
            and _apart(one.memory.parent, mine, theirs)
        )
    return False


def _apart(parent: Any, left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    axis = left[0]
    bounds = [bound for bound in (*left[1:3], *right[1:3]) if bound is not None]
    size = parent.traced_shape[axis]
    if not parent.fixed[axis]:
        if min(bounds, default=0) < 0 or max(bounds, default=0) > _MAX_BOUND:
            return False
        # Slices that are disjoint in a long dimension are disjoint in every shorter one.
        size = max([size, *bounds]) + left[3] * right[3]
    one, two = (range(size)[slice(*attributes[1:4])] for attributes in (left, right))
    return set(one).isdisjoint(two)


def _same(first: Any, second: Any) -> bool:
    """Return whether two symbols of one storage are the same elements in the same order."""
    one, two = (
        [symbol.memory.step for symbol in path if symbol.memory.step.method != "identity"]
        for path in _parted(first, second)
    )
    return len(one) == len(two) and all(a.equals(b) for a, b in zip(one, two, strict=True))


# ---- bringing a symbol up to date ----


def current(symbol: Any) -> int:
    """Return a symbol's value after all writes to its memory, adding the necessary nodes.

    Raises
    ------
    UnsupportedError
        If it is not known whether a write changed the symbol, or a part cannot be written back.
    """
    memory = symbol.memory
    storage = memory.storage
    if storage.spoiled:
        raise UnsupportedError(f"{symbol.tracer.where}: {storage.spoiled}")
    if memory.version == len(storage.writes):
        return symbol._value
    parts: list[tuple[list[Any], int]] = []
    value: int | None = None
    for written, new in reversed(storage.writes[memory.version :]):
        if written is symbol:
            value = new
            break
        if _disjoint(symbol, written):
            continue
        above, path = _parted(symbol, written)
        if above:
            # The write was made elsewhere: the symbol's parent has it.
            value, parts = _repeated(symbol, current(memory.parent)), []
            break
        parts.append((path, new))
        if all(_covers(part) for part in path):
            break
    with symbol.tracer.aside():
        found = symbol._value if value is None else value
        for path, new in reversed(parts):
            found = _put(lambda found=found: found, path, new)
    symbol.rebind(found)
    memory.version = len(storage.writes)
    return found


def _repeated(symbol: Any, base: int) -> int:
    """Repeat the step to a view on a new value of its parent."""
    step = symbol.memory.step
    tracer = symbol.tracer
    if step.method == "identity":
        return base
    with tracer.aside():
        return getattr(tracer.builder, step.method)(tracer.name(step.label), base, *step.attributes)


def _covers(part: Any) -> bool:
    """Return whether a view contains all elements of its parent in every run."""
    taken = part.memory.step.part
    if taken is None:
        return True
    axis, start, stop, stride = taken
    if stride == 1 and start in (None, 0) and stop is None:
        return True
    parent = part.memory.parent
    size = parent.traced_shape[axis]
    return parent.fixed[axis] and len(range(size)[start:stop:stride]) == size


def _put(base: Callable[[], int], path: Sequence[Any], value: int) -> int:
    """Return a whole after a write to a part.

    Parameters
    ----------
    base : callable
        Returns the whole before the write; only called if the part does not cover it.
    path : sequence of Symbol
        The views from the whole down to the part.
    value : int
        The part's new value.
    """
    part = path[0]
    if len(path) > 1:
        known: list[int] = []

        def before() -> int:
            if not known:
                known.append(_repeated(part, base()))
            return known[0]

        value = _put(before, path[1:], value)
    step = part.memory.step
    parent = part.memory.parent
    builder = parent.tracer.builder
    attributes = step.attributes

    def name() -> str:
        return parent.tracer.name("write")

    if step.method == "permute":
        axes = list(attributes[0])
        return builder.permute(name(), value, [axes.index(dim) for dim in range(len(axes))])
    if step.method == "unflatten":
        axis, sizes = attributes
        return builder.flatten(name(), value, axis, axis + len(sizes) - 1) if len(sizes) > 1 else value
    if step.method == "flatten":
        start, end = attributes
        return builder.unflatten(name(), value, start, _sizes(parent, range(start, end + 1)))
    if step.method == "reshape":
        return builder.reshape(name(), value, _sizes(parent, range(parent.ndim)))
    if step.part is not None and not _covers(part):
        return _replaced(parent, step.part, base, value)
    return value


def _sizes(symbol: Any, dims: Sequence[int]) -> list[int]:
    """Return sizes for a reshape; the engine infers one that varies, more of them bind the trace."""
    varying = [dim for dim in dims if not symbol.fixed[dim]]
    if len(varying) == 1 and 0 not in symbol.traced_shape:
        return [-1 if dim in varying else symbol.traced_shape[dim] for dim in dims]
    return [symbol.read(dim) for dim in dims]


def _replaced(parent: Any, attributes: tuple[Any, ...], base: Callable[[], int], value: int) -> int:
    """Return a whole with the elements of a slice replaced."""
    axis, start, stop, step = attributes
    size = parent.read(axis)
    places = range(size)[start:stop:step]
    if not places:
        return base()
    if step > 1 and len(places) > _MAX_PIECES:
        raise UnsupportedError(
            f"{parent.tracer.where}: every {step}th of {size} elements of a value was changed in place, and "
            "the whole is used afterwards, which is not supported for so many; build it with rvision.cat"
        )
    tracer, builder = parent.tracer, parent.tracer.builder

    def piece(of: int, first: int, end: int) -> int:
        return builder.slice(tracer.name("write.part"), of, axis, first, end, 1)

    whole = base()
    pieces: list[int] = []
    done = 0
    groups = [(places[0], len(places))] if step == 1 else [(place, 1) for place in places]
    for number, (place, count) in enumerate(groups):
        if place > done:
            pieces.append(piece(whole, done, place))
        pieces.append(value if len(groups) == 1 else piece(value, number, number + 1))
        done = place + count
    if done < size:
        pieces.append(piece(whole, done, size))
    return builder.concat(tracer.name("write"), pieces, axis) if len(pieces) > 1 else pieces[0]


def is_item(value: Any, symbol: Any, index: list[Any]) -> bool:
    """Return whether `value` is ``symbol[index]``, so that assigning it there changes nothing."""
    if all(item == slice(None) for item in index):
        return value is symbol
    memory = getattr(value, "memory", None)
    item = getattr(memory, "item", None)
    return item is not None and item[0] is symbol and item[1] == index


# ---- operations in place ----


class InPlace:
    """The in-place operations of a symbol; everything that holds the symbol sees the result."""

    __slots__ = ()

    def become(self: Any, result: Any, label: str) -> Any:
        """Rebind this symbol to `result`, which an in-place operation has computed.

        Parameters
        ----------
        result : Symbol
            The new value.
        label : str
            The operation, for messages.

        Returns
        -------
        Symbol
            This symbol.

        Raises
        ------
        ShapeError
            If the result has another shape.
        UnsupportedError
            If torch refuses to write there, or the memory is a parameter's.
        """
        where = f"{self.tracer.where}: {label} in place"
        if result.traced_shape != self.traced_shape:
            raise ShapeError(
                f"{where}: a value of shape {self.traced_shape} cannot take the result's shape "
                f"{result.traced_shape}"
            )
        for view in _lineage(self)[1:]:
            step = view.memory.step
            if repeats(view.memory.parent, step.method, step.attributes):
                raise UnsupportedError(
                    f"{where}: the value was expanded, so that several of its elements are the same memory; "
                    "use .clone() first"
                )
        storage = self.memory.storage
        if storage.constant:
            raise UnsupportedError(
                f"{where}: this would change a parameter or an array of the module at every call; "
                "use .clone() first, or the operation that is not in place"
            )
        value = result.value_of(self.tracer)
        storage.writes.append((self, value))
        self.memory.version = len(storage.writes)
        self.rebind(value, result.fixed)
        if storage.sized:
            # The first symbol's sizes decided which symbols share this memory.
            self.tracer.bind()
        for other in storage.doubted():
            other.spoiled = (
                f"a value is used that may have been changed by {label} in place in {self.tracer.where}: "
                "whether reshape, flatten or contiguous shared its memory depends on an order of elements "
                "that is not known here; use .clone() before, or the operation that is not in place"
            )
        return self

    def _operate(self: Any, kind: str, label: str, other: Any) -> Any:
        """Apply a binary operation in place."""
        operand = self._operand(other, kind)
        if operand is NotImplemented:
            return NotImplemented
        if not isinstance(operand, float) and operand is not self:
            operand = self._fitting(operand, label)
        return self.become(self._binary(kind, label, operand, in_place=True), label)

    def _fitting(self: Any, other: Any, label: str) -> Any:
        """Return the second operand of an in-place operation, after checking shared memory and sizes."""
        where = f"{self.tracer.where}: {label} in place"
        mine, theirs = self.memory.storage, other.memory.storage
        apart = mine is not theirs and theirs not in mine.doubted()
        if not apart and (mine is not theirs or not (_same(self, other) or _disjoint(self, other))):
            raise UnsupportedError(
                f"{where}: the operand may share memory with the value that is changed; use .clone() on it"
            )
        lead = self.ndim - other.ndim
        if lead < 0 or any(
            size not in (1, own)
            for size, own in zip(other.traced_shape, self.traced_shape[max(lead, 0) :], strict=False)
        ):
            raise ShapeError(
                f"{where}: an operand of shape {other.traced_shape} does not fit into the value's shape "
                f"{self.traced_shape}"
            )
        for dim, (size, fixed) in enumerate(zip(other.traced_shape, other.fixed, strict=True)):
            own, own_fixed = self.traced_shape[lead + dim], self.fixed[lead + dim]
            if own == 1 and own_fixed and not fixed:
                other.read(dim)  # it would not fit if it were larger
            if size != 1 and fixed and not own_fixed:
                # A value that has size one in another run must not take the operand's size.
                return other.expand_as(self)
        return other

    def __iadd__(self, other: Any) -> Any:
        return self._operate("add", "add", other)

    def __isub__(self, other: Any) -> Any:
        return self._operate("sub", "sub", other)

    def __imul__(self, other: Any) -> Any:
        return self._operate("mul", "mul", other)

    def __itruediv__(self, other: Any) -> Any:
        return self._operate("div", "truediv", other)

    def add_(self, other: Any, *, alpha: float = 1) -> Any:
        """Add `alpha` times `other` in place."""
        return self._method("add", "add_", other if alpha == 1 else other * alpha)

    def sub_(self, other: Any, *, alpha: float = 1) -> Any:
        """Subtract `alpha` times `other` in place."""
        return self._method("sub", "sub_", other if alpha == 1 else other * alpha)

    def mul_(self, other: Any) -> Any:
        """Multiply in place."""
        return self._method("mul", "mul_", other)

    def div_(self, other: Any) -> Any:
        """Divide in place."""
        return self._method("div", "div_", other)

    def _method(self: Any, kind: str, label: str, other: Any) -> Any:
        result = self._operate(kind, label, other)
        if result is NotImplemented:
            raise TypeError(
                f"{self.tracer.where}: {label}: expected a number, an array or a value, "
                f"got {type(other).__name__}"
            )
        return result

    def relu_(self: Any) -> Any:
        """Apply `max(x, 0)` in place."""
        return self.become(self.activation("relu_", "relu"), "relu_")

    def sigmoid_(self: Any) -> Any:
        """Apply `1 / (1 + exp(-x))` in place."""
        return self.become(self.activation("sigmoid_", "sigmoid"), "sigmoid_")

    def tanh_(self: Any) -> Any:
        """Apply the hyperbolic tangent in place."""
        return self.become(self.activation("tanh_", "tanh"), "tanh_")

    def clamp_(self: Any, min: float | None = None, max: float | None = None) -> Any:
        """Limit values to `min` .. `max` in place; None is no limit."""
        low, high = -float("inf") if min is None else min, float("inf") if max is None else max
        return self.become(self.activation("clamp_", "clamp", low, high), "clamp_")
