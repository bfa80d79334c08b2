"""Masks: the results of comparisons of symbols, and their operations. In torch they are bool tensors.

The engine has float32 only. A mask is a value of zeros and ones there, and a type of its own here. It behaves
like a bool tensor, becomes a bool array when a network returns it, and is refused by layers for floats. torch
computes in int64 if a bool is combined with a whole number; rvision has no integers and raises an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from rvision import _alias
from rvision._moves import Moves
from rvision._sizes import Flag, broadcast_flags
from rvision.errors import ShapeError, UnsupportedError

__all__ = ["MIRRORED", "Comparing", "Logic", "kind_of", "where"]

# A comparison with its sides exchanged.
MIRRORED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge", "eq": "eq", "ne": "ne"}

# The operation on zeros and ones for each logical one, by the names of torch's functions.
_LOGIC = {"and": "minimum", "or": "maximum", "xor": "ne"}

# In torch, the sum of two bool tensors is "or", the product "and", the maximum "or", the minimum "and".
_OF_MASKS = {"add": "or", "mul": "and", "maximum": "or", "minimum": "and"}


def kind_of(value: Any) -> str | None:
    """Return an operand's kind for torch's type promotion: "bool", "int" or "float"; None for others."""
    if isinstance(value, Moves):
        return "bool" if isinstance(value, Logic) else "float"
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, int | np.integer):
        return "int"
    if isinstance(value, float | np.floating):
        return "float"
    if hasattr(value, "__array__") or hasattr(value, "__dlpack__"):
        dtype = str(getattr(value, "dtype", "")).removeprefix("torch.")
        return "bool" if dtype == "bool" else "int" if dtype.startswith(("int", "uint")) else "float"
    return None


def _lifted(tracer: Any, value: Any) -> Any:
    """Return an operand as a symbol or a mask; numbers become constants of no dimensions."""
    if isinstance(value, Moves):
        return value
    kind = kind_of(value)
    if kind is None:
        raise TypeError(
            f"{tracer.where}: expected a number, an array or a value of the network, got "
            f"{type(value).__name__}"
        )
    if not hasattr(value, "__array__") and not hasattr(value, "__dlpack__"):
        with np.errstate(over="ignore"):
            value = np.asarray(value, np.float32)
    constant = tracer.constant(value)
    return constant.as_mask() if kind == "bool" else constant


def _whole_numbers(where: str, what: str) -> NoReturn:
    raise UnsupportedError(
        f"{where}: {what} is a value of whole numbers (int64) in torch, which rvision does not have; write "
        "the numbers as floats (1.0), or call .float() on the mask"
    )


def where(condition: Any, input: Any, other: Any, label: str = "where") -> Any:
    """Take each element from `input` where a mask is true, else from `other`; one of them is traced.

    The element that is not taken does not matter, NaN included. Shapes broadcast. The result is a mask if
    both are bool.
    """
    tracer = next(value.tracer for value in (condition, input, other) if isinstance(value, Moves))
    if kind_of(condition) != "bool" or isinstance(condition, bool):
        found = "floats" if isinstance(condition, Moves) else type(condition).__name__
        raise TypeError(
            f"{tracer.where}: {label}: expected a mask (bool) as the condition, got {found}; compare first, "
            "as in x != 0"
        )
    kinds = {kind_of(value) for value in (input, other)}
    if "int" in kinds and "float" not in kinds and None not in kinds:
        _whole_numbers(tracer.where, f"{label} of whole numbers")
    condition, input, other = (_lifted(tracer, value) for value in (condition, input, other))
    symbols = [value.float() if isinstance(value, Logic) else value for value in (condition, input, other)]
    values = [symbol.value_of(tracer) for symbol in symbols]
    value = tracer.builder.select(tracer.name(label), *values)
    shape: tuple[int, ...] = ()
    fixed: tuple[Flag, ...] = ()
    for symbol in symbols:
        fixed = broadcast_flags(list(zip(shape, fixed, strict=True)), symbol._flagged())
        shape = np.broadcast_shapes(shape, symbol.traced_shape)
    result = type(symbols[0])(tracer, value, fixed, _alias.joined(symbols))
    varying = [s for s in symbols if not s.memory.storage.constant]
    if varying and all(s.value_of(tracer) in tracer.given and s.traced_shape == shape for s in varying):
        tracer.given.add(value)
    return result.as_mask() if kinds == {"bool"} else result


class Comparing:
    """Comparisons and choices, for symbols and masks. All comparisons with NaN are false, but for `!=`."""

    __slots__ = ()

    def _compare(self: Any, kind: str, other: Any, label: str | None = None) -> Any:
        operand = other.float() if isinstance(other, Logic) else other
        result = self.float()._binary(kind, label or kind, operand)
        return result if result is NotImplemented else result.as_mask()

    def _compared(self: Any, kind: str, other: Any) -> Any:
        result = self._compare(kind, other)
        if result is NotImplemented:
            raise TypeError(
                f"{self.tracer.where}: {kind}: expected a number, an array or a value of the network, got "
                f"{type(other).__name__}"
            )
        return result

    def __gt__(self, other: Any) -> Any:
        return self._compare("gt", other)

    def __ge__(self, other: Any) -> Any:
        return self._compare("ge", other)

    def __lt__(self, other: Any) -> Any:
        return self._compare("lt", other)

    def __le__(self, other: Any) -> Any:
        return self._compare("le", other)

    def __eq__(self, other: Any) -> Any:
        return self._compare("eq", other)

    def __ne__(self, other: Any) -> Any:
        return self._compare("ne", other)

    # Sets and dicts of symbols use identity.
    __hash__ = object.__hash__

    def gt(self, other: Any) -> Any:
        """Return the mask of elements that are greater than `other`."""
        return self._compared("gt", other)

    def ge(self, other: Any) -> Any:
        """Return the mask of elements that are greater than or equal to `other`."""
        return self._compared("ge", other)

    def lt(self, other: Any) -> Any:
        """Return the mask of elements that are less than `other`."""
        return self._compared("lt", other)

    def le(self, other: Any) -> Any:
        """Return the mask of elements that are less than or equal to `other`."""
        return self._compared("le", other)

    def eq(self, other: Any) -> Any:
        """Return the mask of elements that are equal to `other`."""
        return self._compared("eq", other)

    def ne(self, other: Any) -> Any:
        """Return the mask of elements that are not equal to `other`, as NaN is not to itself."""
        return self._compared("ne", other)

    greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne

    def isnan(self: Any) -> Any:
        """Return the mask of NaN."""
        symbol = self.float()
        return symbol._compare("ne", symbol, "isnan")

    def isinf(self: Any) -> Any:
        """Return the mask of positive and negative infinities."""
        return self._magnitude("isinf")._compare("eq", np.inf, "isinf")

    def isfinite(self: Any) -> Any:
        """Return the mask of elements that are neither infinite nor NaN."""
        return self._magnitude("isfinite")._compare("lt", np.inf, "isfinite")

    def _magnitude(self: Any, label: str) -> Any:
        return self.float().activation(f"{label}.part", "abs")

    def where(self: Any, condition: Any, other: Any) -> Any:
        """Return these elements where `condition`, a mask, is true, and those of `other` elsewhere."""
        return where(condition, self, other)

    def masked_fill(self: Any, mask: Any, value: Any) -> Any:
        """Return these elements with `value`, one number, where `mask` is true."""
        return self._filled(mask, value, "masked_fill")

    def _filled(self: Any, mask: Any, value: Any, label: str) -> Any:
        if isinstance(value, Moves) or hasattr(value, "__array__"):
            rank = value.ndim if isinstance(value, Moves) else np.ndim(value)
            if rank:
                raise ShapeError(
                    f"{self.tracer.where}: {label}: expected one number, got an array of {rank} dimensions; "
                    "use rvision.where"
                )
        if isinstance(self, Logic):
            value = bool(value) if kind_of(value) in ("int", "float") else value
        elif kind_of(value) == "bool" and not isinstance(value, Moves):
            value = float(value)
        return where(mask, value, self, label)

    def _nonzero(self: Any) -> Any:
        return self if isinstance(self, Logic) else self._compare("ne", 0.0, "bool")

    def bool(self: Any) -> Any:
        """Return the mask of elements that are not zero; NaN is not."""
        return self._nonzero()

    def any(self: Any, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Any:
        """Return the mask of whether any element along the dimensions (default: all) is not zero."""
        return self._count("any", self._nonzero(), dim, keepdim)._compare("gt", 0.0, "any")

    def all(self: Any, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Any:
        """Return the mask of whether no element along the dimensions (default: all) is zero."""
        zeros = self._compare("eq", 0.0, "all.part")
        return self._count("all", zeros, dim, keepdim)._compare("eq", 0.0, "all")

    def _count(self: Any, label: str, mask: Any, dim: Any, keepdim: bool) -> Any:
        """Count the true elements. The sum of no elements is 0, whereas an extreme would be refused."""
        symbol = mask.float()
        axes, fixed = symbol._reduced(dim, keepdim)
        return symbol.emit("reduce", f"{label}.part", "sum", axes, keepdim, fixed=fixed)

    def logical_and(self: Any, other: Any) -> Any:
        """Return the mask of elements where both values are not zero."""
        return self._logical("and", other)

    def logical_or(self: Any, other: Any) -> Any:
        """Return the mask of elements where at least one of the values is not zero."""
        return self._logical("or", other)

    def logical_xor(self: Any, other: Any) -> Any:
        """Return the mask of elements where one value is zero and the other is not."""
        return self._logical("xor", other)

    def logical_not(self: Any) -> Any:
        """Return the mask of elements that are zero."""
        return self._compare("eq", 0.0, "logical_not")

    def _logical(self: Any, kind: str, other: Any) -> Any:
        label = f"logical_{kind}"
        if kind_of(other) is None or isinstance(other, bool | int | float):
            raise TypeError(
                f"{self.tracer.where}: {label}: expected an array or a value of the network, got {other!r}"
            )
        other = _lifted(self.tracer, other)
        return self._nonzero()._logic(kind, label, other._nonzero())


class Logic:
    """The operators of a mask."""

    __slots__ = ()

    # ---- its numbers ----

    def type(self: Any, dtype: Any) -> Any:
        """Return the mask as floats (0 and 1) for float32, itself for bool."""
        name = getattr(dtype, "__name__", None) or str(dtype)
        name = name.removeprefix("torch.")
        if name in ("float32", "float"):
            return self.float()
        if name == "bool":
            return self
        raise UnsupportedError(
            f"{self.tracer.where}: a mask as {name}: values of a network are float32, masks bool; "
            "use .float()"
        )

    to = type

    def type_as(self: Any, other: Any) -> Any:
        """Return the mask in the type of another value: itself for a mask, else floats."""
        return self if kind_of(other) == "bool" else self.float()

    # ---- logic ----

    def _logic(
        self: Any, kind: str, label: str, other: Any, reverse: bool = False, in_place: bool = False
    ) -> Any:
        """Combine with another mask or a Python bool."""
        if not isinstance(other, Logic):
            return self.float()._binary(_LOGIC[kind], label, float(other), reverse).as_mask()
        left, right = (other, self) if reverse else (self, other)
        result = left.float()._binary(_LOGIC[kind], label, right.float(), in_place=in_place)
        return result.as_mask()

    def _bitwise(self: Any, kind: str, other: Any, reverse: bool = False) -> Any:
        operand = self._logic_operand(kind, other)
        if operand is NotImplemented:
            return NotImplemented
        return self._logic(kind, "xor" if kind == "xor" else f"{kind}_", operand, reverse)

    def _logic_operand(self: Any, kind: str, other: Any) -> Any:
        """Return the other side of `&`, `|` or `^` as a mask or a Python bool."""
        found = kind_of(other)
        if found == "bool":
            scalar = isinstance(other, bool | np.bool_)
            return bool(other) if scalar else _lifted(self.tracer, other)
        if found == "int":
            _whole_numbers(self.tracer.where, f"bitwise_{kind} of a mask and whole numbers")
        if found == "float":
            raise TypeError(
                f"{self.tracer.where}: bitwise_{kind}: expected a mask (bool), got floats; compare them "
                "first, as in x != 0"
            )
        return NotImplemented

    def __and__(self, other: Any) -> Any:
        return self._bitwise("and", other)

    def __or__(self, other: Any) -> Any:
        return self._bitwise("or", other)

    def __xor__(self, other: Any) -> Any:
        return self._bitwise("xor", other)

    def __rand__(self, other: Any) -> Any:
        return self._bitwise("and", other, reverse=True)

    def __ror__(self, other: Any) -> Any:
        return self._bitwise("or", other, reverse=True)

    def __rxor__(self, other: Any) -> Any:
        return self._bitwise("xor", other, reverse=True)

    def __invert__(self: Any) -> Any:
        return self._compare("eq", 0.0, "invert")

    def __iand__(self: Any, other: Any) -> Any:
        return self._write("and", other)

    def __ior__(self: Any, other: Any) -> Any:
        return self._write("or", other)

    def __ixor__(self: Any, other: Any) -> Any:
        return self._write("xor", other)

    def _write(self: Any, kind: str, other: Any) -> Any:
        """Apply `&=`, `|=` or `^=`."""
        operand = self._logic_operand(kind, other)
        if operand is NotImplemented:
            return NotImplemented
        label = "xor" if kind == "xor" else f"{kind}_"
        if isinstance(operand, Logic) and operand is not self:
            operand = self._fitting(operand, label)
        return self.become(self._logic(kind, label, operand, in_place=True), label)

    # ---- arithmetic ----

    def _arithmetic(self: Any, kind: str, label: str, other: Any, reverse: bool = False) -> Any:
        """Compute with the zeros and ones, if torch does."""
        found = kind_of(other)
        if found is None:
            return NotImplemented
        if kind == "sub":
            self._no_subtraction("subtraction with")
        if found == "bool" and kind in _OF_MASKS:
            return self._logic(_OF_MASKS[kind], label, self._logic_operand(_OF_MASKS[kind], other), reverse)
        if found == "bool" and kind == "pow":
            self._refuse_kind("a power of masks")
        if found == "int" and kind != "div":
            _whole_numbers(self.tracer.where, f"{label} of a mask and whole numbers")
        other = other.float() if isinstance(other, Logic) else other
        return self.float()._binary(kind, label, other, reverse)

    def _refuse_kind(self: Any, what: str) -> NoReturn:
        raise UnsupportedError(
            f"{self.tracer.where}: {what} is not possible, as in torch; use .float() for its zeros and ones"
        )

    def _no_subtraction(self: Any, what: str) -> NoReturn:
        raise UnsupportedError(
            f"{self.tracer.where}: {what} a mask (bool) is not possible, as in torch; use ~ to invert it, ^ "
            "for two masks, or .float() for its zeros and ones"
        )

    def __add__(self, other: Any) -> Any:
        return self._arithmetic("add", "add", other)

    def __radd__(self, other: Any) -> Any:
        return self._arithmetic("add", "add", other, reverse=True)

    def __sub__(self, other: Any) -> Any:
        return self._arithmetic("sub", "sub", other)

    def __rsub__(self, other: Any) -> Any:
        return self._arithmetic("sub", "sub", other, reverse=True)

    def __mul__(self, other: Any) -> Any:
        return self._arithmetic("mul", "mul", other)

    def __rmul__(self, other: Any) -> Any:
        return self._arithmetic("mul", "mul", other, reverse=True)

    def __truediv__(self, other: Any) -> Any:
        return self._arithmetic("div", "truediv", other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._arithmetic("div", "truediv", other, reverse=True)

    def __pow__(self, other: Any) -> Any:
        return self._arithmetic("pow", "pow", other)

    def __rpow__(self, other: Any) -> Any:
        return self._arithmetic("pow", "pow", other, reverse=True)

    def add(self, other: Any) -> Any:
        """Return "or" for a mask; for floats, their sum with the mask's zeros and ones."""
        return self + other

    def mul(self, other: Any) -> Any:
        """Return "and" for a mask; for floats, their product with the mask's zeros and ones."""
        return self * other

    def maximum(self, other: Any) -> Any:
        """Return the larger, element by element; a mask if `other` is one."""
        return self._arithmetic("maximum", "maximum", other)

    def minimum(self, other: Any) -> Any:
        """Return the smaller, element by element; a mask if `other` is one."""
        return self._arithmetic("minimum", "minimum", other)

    def __neg__(self) -> Any:
        self._no_subtraction("negation of")

    def __abs__(self) -> Any:
        self._refuse_kind("the absolute value of a mask")

    def _no_mean(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse_kind("the mean of a mask")

    def _no_sum(self: Any, *args: Any, **kwargs: Any) -> Any:
        _whole_numbers(self.tracer.where, "the sum of a mask")

    mean, sum = _no_mean, _no_sum

    def _no_write(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise UnsupportedError(
            f"{self.tracer.where}: arithmetic in place on a mask (bool) is not supported; use &=, |= or ^=, "
            "or write m = m + x"
        )

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = _no_write
    add_ = sub_ = mul_ = div_ = relu_ = sigmoid_ = tanh_ = clamp_ = _no_write
