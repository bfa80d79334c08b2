"""Sizes in a network being traced: which are the same in every run, and which code reads others.

A symbol has a *flag* for each dimension: True if the size is the same for every input that may use
the trace, and otherwise a :class:`Varying`, which is false. Dimensions with the same `Varying` have
the same size in every run, so code can pass a size from one symbol to another, or back to the same
one (``x.view(x.size(0), -1)``), without depending on it. Only code that needs the number itself
binds the trace, and only to the input sizes that this number depends on.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rvision._numbers import integer, integers
from rvision.errors import ArgumentError, ShapeError

__all__ = [
    "Flag",
    "Shape",
    "Size",
    "Varying",
    "broadcast_flags",
    "chunk_sizes",
    "clipped",
    "expanded_sizes",
    "is_index",
    "merged_flag",
    "piece_sizes",
    "plain",
    "reshaped_sizes",
    "resized",
]


# rvision._trace.Symbol; that module imports this one.
Symbol = Any


class Varying:
    """A size that differs from run to run.

    Parameters
    ----------
    reads : frozenset of (int, int)
        The inputs' sizes that it is a function of: the input's number and the dimension.
    """

    __slots__ = ("reads",)

    def __init__(self, reads: frozenset[tuple[int, int]]) -> None:
        self.reads = reads

    def __bool__(self) -> bool:
        return False


Flag = bool | Varying


def kept(dim: int) -> int:
    """Return the engine's encoding of "the size that dimension `dim` has in a run"."""
    return -2 - dim


def resized(*flags: Flag) -> Flag:
    """Return the flag of a size that is a function of other sizes but equal to none of them."""
    reads = [flag.reads for flag in flags if isinstance(flag, Varying)]
    return Varying(frozenset().union(*reads)) if reads else True


def merged_flag(sizes: Sequence[tuple[int, Flag]]) -> Flag:
    """Return the flag of a product of sizes, given with their flags."""
    open_ones = [flag for _, flag in sizes if not flag]
    if len(open_ones) == 1 and math.prod(size for size, flag in sizes if flag) == 1:
        return open_ones[0]
    return resized(*open_ones)


def broadcast_flags(left: Sequence[tuple[int, Flag]], right: Sequence[tuple[int, Flag]]) -> tuple[Flag, ...]:
    """Return the flags of the shape that two shapes broadcast to, from their sizes and flags."""
    rank = max(len(left), len(right))
    pairs = [[(1, True)] * (rank - len(sizes)) + list(sizes) for sizes in (left, right)]
    return tuple(_broadcast(*one, *other) for one, other in zip(*pairs, strict=True))


def _broadcast(size: int, flag: Flag, other: int, other_flag: Flag) -> Flag:
    # A fixed size of one takes the other's size; any other fixed size stays.
    if (flag and size != 1) or (other_flag and other != 1):
        return True
    if flag or other_flag:
        return other_flag if flag else flag
    return flag if flag is other_flag else resized(flag, other_flag)


def plain(value: Any) -> Any:
    """Return sizes and shapes as plain integers and tuples, which binds the trace; others unchanged."""
    kind = type(value)
    if kind is Size:
        return value.use()
    return tuple(map(operator.index, value)) if kind is Shape else value


class Shape(Sequence[int]):
    """A symbol's sizes. Using the value of one that varies with the input binds the trace to it."""

    __slots__ = ("_symbol",)

    def __init__(self, symbol: Symbol) -> None:
        self._symbol = symbol

    def __len__(self) -> int:
        return len(self._symbol.fixed)

    def _at(self, dim: int) -> Any:
        symbol = self._symbol
        return symbol.traced_shape[dim] if symbol.fixed[dim] else Size(symbol, dim)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(self._at(dim) for dim in range(*index.indices(len(self))))
        return self._at(range(len(self))[index])

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
        return repr(plain(self))

    def numel(self) -> int:
        """Return the number of elements."""
        return math.prod(map(operator.index, self))


def _unary(function: Callable[[int], Any]) -> Callable[[Size], Any]:
    def method(self: Size) -> Any:
        return function(self.use())

    return method


def _binary(function: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def forward(self: Size, other: Any) -> Any:
        if not _is_number(other):
            return NotImplemented
        return function(self.use(), plain(other))

    def backward(self: Size, other: Any) -> Any:
        if not _is_number(other):
            return NotImplemented
        return function(plain(other), self.use())

    return forward, backward


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | complex | np.number | np.ndarray)


class Size:
    """A size that varies with the input: an integer whose value binds the trace as soon as it is used.

    It is not a subclass of `int`, whose value C code reads unnoticed; every use as a number goes
    through one of the methods below. `isinstance(size, int)` still holds, since code that takes a
    number or a pair checks it.
    """

    __slots__ = ("_dim", "_symbol")

    def __init__(self, symbol: Symbol, dim: int) -> None:
        self._symbol = symbol
        self._dim = dim

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return int

    @property
    def symbol(self) -> Symbol:
        """The symbol whose size it is."""
        return self._symbol

    @property
    def dim(self) -> int:
        """The dimension of the symbol."""
        return self._dim

    @property
    def flag(self) -> Flag:
        """The flag; sizes that are equal in every run share it."""
        return self._symbol.fixed[self._dim]

    def use(self) -> int:
        """Return the size in this trace, and bind the trace to it."""
        return self._symbol.read(self._dim)

    def __eq__(self, other: object) -> Any:
        if type(other) is Size and other.flag is self.flag:
            return True
        return self.use() == plain(other)

    def __ne__(self, other: object) -> Any:
        equal = self == other
        return equal if equal is NotImplemented else not equal

    def __hash__(self) -> int:
        return hash(self.use())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self.use(), dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        # As a Python number, which does not change the other operand's type.
        return getattr(ufunc, method)(*map(plain, inputs), **kwargs)

    def __format__(self, spec: str) -> str:
        return format(self.use(), spec)

    def __round__(self, digits: int | None = None) -> int:
        return round(self.use()) if digits is None else round(self.use(), digits)

    def __pow__(self, other: Any, modulo: int | None = None) -> Any:
        return pow(self.use(), plain(other), plain(modulo))

    def __rpow__(self, other: Any) -> Any:
        return pow(other, self.use())

    def __copy__(self) -> int:
        return self.use()

    def __deepcopy__(self, memo: Any) -> int:
        return self.use()

    def __reduce__(self) -> Any:
        return int, (self.use(),)

    def __getattr__(self, name: str) -> Any:
        # Other attributes of integers, such as bit_length.
        return getattr(self.use(), name)


for _name, _function in {
    "index": int,
    "int": int,
    "float": float,
    "complex": complex,
    "bool": bool,
    "neg": operator.neg,
    "pos": operator.pos,
    "abs": abs,
    "invert": operator.invert,
    "trunc": math.trunc,
    "floor": math.floor,
    "ceil": math.ceil,
    "repr": repr,
    "str": str,
}.items():
    setattr(Size, f"__{_name}__", _unary(_function))
for _name, _function in {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "divmod": divmod,
    "lshift": operator.lshift,
    "rshift": operator.rshift,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
}.items():
    for _reflected, _method in zip(("", "r"), _binary(_function), strict=True):
        setattr(Size, f"__{_reflected}{_name}__", _method)
for _name, _function in {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}.items():
    setattr(Size, f"__{_name}__", _binary(_function)[0])


# ---- sizes that operations request ----


def _number(size: Any, what: str, asked: Sequence[Any]) -> int:
    number = integer(size, f"{what}: sizes")
    if number < -1:
        raise ArgumentError(f"{what}: sizes must be 0 or more, or -1, got {tuple(asked)}")
    return number


def reshaped_sizes(symbol: Symbol, shape: Sequence[Any], label: str) -> tuple[list[int], list[Flag]]:
    """Return the sizes of a reshape of `symbol` in the engine's encoding, and the result's flags.

    The symbol's own sizes stay "its size in a run"; for other sizes the number is used.
    """
    what = f"{symbol.tracer.where}: {label}"
    sizes: list[int] = []
    flags: list[Flag] = []
    for size in shape:
        own = None
        if type(size) is Size:
            own = next((dim for dim, flag in enumerate(symbol.fixed) if flag is size.flag), None)
        sizes.append(_number(size, what, shape) if own is None else kept(own))
        flags.append(True if own is None else symbol.fixed[own])
    if sizes.count(-1) > 1:
        raise ArgumentError(f"{what}: at most one size may be -1, got {tuple(shape)}")
    if -1 in sizes:
        flags[sizes.index(-1)] = _inferred_flag(symbol, sizes, flags)
    return sizes, flags


def _inferred_flag(symbol: Symbol, sizes: Sequence[int], flags: Sequence[Flag]) -> Flag:
    """Return the flag of a reshape's -1."""
    left = list(zip(symbol.traced_shape, symbol.fixed, strict=True))
    for flag in flags:
        if isinstance(flag, Varying):
            # A size that is kept cancels, once for each time that the symbol has it.
            own = next((pair for pair in left if pair[1] is flag), None)
            if own is None:
                return resized(*symbol.fixed)
            left.remove(own)
    open_ones = [flag for _, flag in left if not flag]
    fixed = math.prod(size for size, flag in left if flag)
    if len(open_ones) == 1 and fixed == math.prod(size for size in sizes if size >= 0):
        return open_ones[0]
    return resized(*open_ones)


def expanded_sizes(symbol: Symbol, sizes: Sequence[Any]) -> tuple[list[int], list[Flag], Symbol | None]:
    """Return an expansion's sizes in the engine's encoding, the result's flags, and the symbol it follows.

    A size of another symbol, such as the batch for a class token, stays "its size in a run".
    """
    what = f"{symbol.tracer.where}: expand"
    own = (True,) * (len(sizes) - symbol.ndim) + symbol.fixed
    like: Symbol | None = None
    asked: list[int] = []
    flags: list[Flag] = []
    for size, flag in zip(sizes, own, strict=False):
        if type(size) is Size and size.flag is flag:
            asked.append(-1)
            flags.append(flag)
        elif type(size) is Size and (like is None or like is size.symbol):
            like = size.symbol
            asked.append(kept(size.dim))
            flags.append(size.flag)
        else:
            asked.append(_number(size, what, sizes))
            flags.append(True if asked[-1] >= 0 else flag)
    return asked, flags, like


def piece_sizes(length: int, split_size: int | Sequence[int], where: str) -> list[int]:
    """Return the sizes of a dimension's pieces by torch's rules for `split`."""
    if isinstance(split_size, int | np.integer):
        size = integer(split_size, f"{where}: split: split_size", 1 if length else 0)
        # A dimension of size 0 gives one piece.
        return [min(size, length - start) for start in range(0, length, size or 1)] or [0]
    sizes = integers(split_size, f"{where}: split: split_size")
    if min(sizes, default=0) < 0 or sum(sizes) != length:
        raise ShapeError(f"{where}: pieces of {sizes} do not add up to the {length} of the dimension")
    return sizes


def chunk_sizes(length: int, chunks: int, where: str) -> list[int]:
    """Return the sizes of a dimension's pieces by torch's rules for `chunk`."""
    chunks = integer(chunks, f"{where}: chunk: chunks", 1)
    return piece_sizes(length, -(-length // chunks), where) if length else [0] * chunks


def clipped(bound: Any) -> int:
    """Return a slice's bound as the engine's integer; all bounds beyond every size are equivalent."""
    return max(-(2**62), min(operator.index(bound), 2**62))


def is_index(item: Any) -> bool:
    """Return whether a value can be indexed with `item`: an integer, or a slice of integers."""
    if isinstance(item, slice):
        return all(
            part is None or isinstance(part, int | np.integer) for part in (item.start, item.stop, item.step)
        )
    return isinstance(item, int | np.integer) and not isinstance(item, bool)
