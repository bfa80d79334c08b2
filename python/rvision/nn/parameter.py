"""Constants of a model: parameters and float buffers.

A constant never changes. The engine holds its values and the packed forms that kernels made of them; if a
packed form is a permutation of the values, it holds only that form. A module keeps a :class:`Held`. From
this, the read-only NumPy array of the values is made when it is read. A new value is a new object, so
identity is the version: packed forms can never be stale, and everything that uses a constant (a model, its
`features` alone, a copy) shares them.

Values of a new layer are :class:`Drawn`: described, but only initialised when they are first read
or run. A model whose weights come from a file never initialises any.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rvision import _rvision
from rvision._sizes import Size
from rvision._trace import Traced
from rvision.errors import UnsupportedError

__all__ = ["Buffer", "Constant", "Drawn", "Held", "Parameter", "to_float32"]


_FLOAT32 = np.dtype(np.float32)


class Held:
    """A constant as a module keeps it: the engine's handle, and the array while it is in use.

    Parameters
    ----------
    kind : type
        :class:`Parameter` or :class:`Buffer`.
    handle : _rvision.Parameter
        The engine's object.
    """

    __slots__ = ("__weakref__", "_array", "handle", "kind")

    def __init__(self, kind: type[Constant], handle: _rvision.Parameter) -> None:
        self.kind = kind
        self.handle = handle
        self._array: Callable[[], Any] = lambda: None

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self.handle.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float16."""
        return np.dtype(self.handle.dtype)

    def array(self) -> Any:
        """Return the constant as an array: the same one as long as it is in use."""
        array = self._array()
        if array is None:
            with _LOCK:
                array = self._array()
                if array is None:
                    array = np.asarray(self.handle.values()).view(self.kind)
                    array._held = self
                    self._array = weakref.ref(array)
        return array

    def _as(self, dtype: Any) -> Held:
        """Return the same constant with float32 or float16 values; itself if it has them."""
        if self.dtype == dtype:
            return self
        return Held(self.kind, self.handle.half() if dtype == np.float16 else self.handle.float())

    def __copy__(self) -> Held:
        return self

    def __deepcopy__(self, memo: Any) -> Held:
        # Another parameter with the same values and memory: modules that share a `Held` are tied.
        return Held(self.kind, self.handle)

    def __reduce__(self) -> Any:
        return _held_of, (self.kind, _plain(self.array()))


def _held_of(kind: type[Constant], values: NDArray[Any]) -> Held:
    return Held(kind, _rvision.Parameter(values))


_LOCK = threading.Lock()


class Constant(np.ndarray):
    """A read-only float array held by the engine; base of :class:`Parameter` and :class:`Buffer`.

    Arithmetic, slices and reshaped views are plain arrays. To change a value, assign a new array to
    the module's attribute.

    Parameters
    ----------
    data : array_like
        Real numbers of any shape; NumPy arrays and PyTorch CPU tensors included. They are copied:
        float16 as float16, everything else as float32.
    """

    _held: Held | None

    def __new__(cls, data: ArrayLike, requires_grad: bool = False) -> Constant:
        """Make a constant of `data`; `requires_grad` is accepted for compatibility with torch."""
        if isinstance(data, Constant) and data._held is not None:
            handle = data._held.handle
        else:
            handle = _rvision.Parameter(_to_stored(data))
        return cls._of(handle)

    @classmethod
    def _of(cls, handle: _rvision.Parameter) -> Any:
        return Held(cls, handle).array()

    @property
    def _handle(self) -> _rvision.Parameter | None:
        """The engine's object, unless this is an array that was derived from a constant."""
        return None if self._held is None else self._held.handle

    @classmethod
    def zeros(cls, shape: tuple[int, ...]) -> Any:
        """Return a constant of zeros, which take no memory until they are read."""
        return cls._of(_rvision.Parameter.zeros(shape))

    def __array_finalize__(self, source: Any) -> None:
        # Arrays that NumPy derives from a constant (a view, a stacked copy) are not the constant.
        self._held = None

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any
    ) -> Any:
        if any(isinstance(value, Traced) for value in inputs):
            # The symbol's operator takes the constant itself, with its packed forms and identity.
            return NotImplemented
        if out is not None:
            kwargs["out"] = tuple(_plain(array) for array in out)
        return getattr(ufunc, method)(*(_plain(value) for value in inputs), **kwargs)

    def __getitem__(self, index: Any) -> Any:
        return _plain(self)[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._refuse_write("writing to a part")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("shape", "strides", "dtype"):
            self._refuse_write(f"assigning to the {name}")
        super().__setattr__(name, value)

    def _refuse_write(self, what: str) -> None:
        name = type(self).__name__
        raise UnsupportedError(
            f"{what} of a {name}, which is read-only: assign a new array to the module's attribute, as in "
            "`layer.weight = values`"
        )

    def _as(self, dtype: Any) -> Any:
        """Return the constant with float32 or float16 values; itself if it has them."""
        if self.dtype == dtype:
            return self
        handle = self._handle or _rvision.Parameter(_plain(self))
        return type(self)._of(handle.half() if dtype == np.float16 else handle.float())

    @property
    def data(self) -> NDArray[Any]:  # type: ignore[override]
        """The values as a plain read-only array; torch's name."""
        return _plain(self)

    @data.setter
    def data(self, values: Any) -> None:
        self._refuse_write(f"assigning a value of type {type(values).__name__} to the data")

    @property
    def requires_grad(self) -> bool:
        """Always False, and False may be assigned: rvision is for inference."""
        return False

    @requires_grad.setter
    def requires_grad(self, requires_grad: bool) -> None:
        if requires_grad:
            raise UnsupportedError("requires_grad = True: rvision is for inference only and has no gradients")

    def requires_grad_(self, requires_grad: bool = True) -> Constant:
        """Accept False; there are no gradients."""
        if requires_grad:
            raise UnsupportedError("requires_grad_(True): rvision is for inference only and has no gradients")
        return self

    def numel(self) -> int:
        """Return the number of elements."""
        return self.size

    def dim(self) -> int:
        """Return the number of dimensions."""
        return self.ndim

    def expand(self, *sizes: Any) -> Any:
        """Return the values repeated along dimensions of size one and new leading ones; -1 keeps a size.

        Returns a symbol if sizes are a symbol's, such as ``x.shape[0]``.
        """
        if len(sizes) == 1 and not isinstance(sizes[0], int):
            sizes = tuple(sizes[0])
        of = next((size.symbol for size in sizes if type(size) is Size), None)
        if of is not None:
            return of.tracer.constant(self).expand(*sizes)
        own = (1,) * (len(sizes) - self.ndim) + self.shape
        shape = tuple(old if size == -1 else size for size, old in zip(sizes, own, strict=True))
        return np.broadcast_to(_plain(self), shape)

    def repeat(self, *repeats: Any, axis: int | None = None) -> Any:
        """Return what `numpy.ndarray.repeat` does; with more than two numbers, or sizes of a symbol, torch's.

        ``repeat(2, 1)`` is NumPy's, which repeats each element twice along dimension 1; ``repeat(2, 1, 1)``
        is torch's, which concatenates two copies of the array.
        """
        times = tuple(repeats[0]) if len(repeats) == 1 and isinstance(repeats[0], tuple) else repeats
        of = next((time.symbol for time in times if type(time) is Size), None)
        if of is not None:
            return of.tracer.constant(self).repeat(*times)
        if len(times) > 2:
            return np.tile(_plain(self), times)
        return np.ndarray.repeat(_plain(self), *repeats, **({} if axis is None else {"axis": axis}))

    def expand_as(self, other: Any) -> Any:
        """Return the values repeated to the shape of `other`, which may be a symbol of any size."""
        if isinstance(other, Traced):
            return other.tracer.constant(self).expand_as(other)
        return np.broadcast_to(_plain(self), other.shape)

    def transpose(self, *dims: Any) -> NDArray[Any]:
        """Return the values with two dimensions exchanged, as torch does; else as `numpy.ndarray.transpose`.

        NumPy's ``transpose(0, 1)`` of a matrix would leave it as it is, and for ``(1, 0)`` both are the same.
        """
        if len(dims) == 2 and not any(isinstance(dim, tuple | list) for dim in dims):
            return _plain(self).swapaxes(*dims)
        return _plain(self).transpose(*dims)

    def numpy(self) -> NDArray[Any]:
        """Return the values as a plain read-only array."""
        return _plain(self)

    def detach(self) -> Constant:
        """Return the constant itself: there are no gradients."""
        return self

    cpu = contiguous = detach

    def float(self) -> Any:
        """Return the constant in float32: itself, or a new one with the same values."""
        return self._as(np.float32)

    def half(self) -> Any:
        """Return the constant in float16: itself, or a new one whose values are rounded."""
        return self._as(np.float16)

    def copy(self, order: Any = "C") -> NDArray[Any]:  # type: ignore[override]
        """Return a plain, writable array."""
        return _plain(self).copy(order)

    clone = copy

    def __copy__(self) -> Constant:
        return self

    def __deepcopy__(self, memo: Any) -> Constant:
        return type(self)(self)

    def __reduce__(self) -> Any:
        return type(self), (_plain(self),)

    def __repr__(self) -> str:
        return f"{type(self).__name__} containing:\n{_plain(self)!r}"

    __str__ = __repr__


def _derived(name: str) -> Callable[..., Any]:
    method = getattr(np.ndarray, name)

    def derive(self: Constant, *args: Any, **kwargs: Any) -> Any:
        return method(_plain(self), *args, **kwargs)

    derive.__name__ = name
    derive.__doc__ = f"Return what `numpy.ndarray.{name}` does, as a plain array."
    return derive


for _name in ("astype", "flatten", "ravel", "reshape", "squeeze", "swapaxes", "take"):
    setattr(Constant, _name, _derived(_name))
Constant.T = property(lambda self: _plain(self).T, doc="The transposed values as a plain array.")  # type: ignore


class Parameter(Constant):
    """A module's parameter: torch's `nn.Parameter`.

    When assigned to a module's attribute, it is registered under that name. `requires_grad` is
    always False.
    """


class Buffer(Constant):
    """A module's float buffer, such as the statistics of a batch normalisation."""


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Constant) else value


def _to_stored(data: Any) -> NDArray[Any]:
    """Return real numbers in a type that a constant can hold: float16 unchanged, others as float32."""
    if str(getattr(data, "dtype", "")).removeprefix("torch.") != "float16":
        return to_float32(data)
    return np.asarray(data.detach().cpu() if hasattr(data, "detach") else data, order="C")


def to_float32(data: Any) -> NDArray[np.float32]:
    """Return real numbers as a contiguous float32 array.

    Parameters
    ----------
    data : array_like
        Arrays and tensors of any real type. Tensors are detached and copied to the CPU.

    Raises
    ------
    TypeError
        If the values are not real numbers.
    """
    if not isinstance(data, np.ndarray) and hasattr(data, "detach"):
        data = data.detach().cpu()
        if not hasattr(data, "__array__") or "bfloat16" in str(data.dtype):
            data = data.float()
    array = np.asarray(data)
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise TypeError(f"parameters and buffers hold real numbers, got an array of {array.dtype}")
    with np.errstate(over="ignore"):
        return np.asarray(array, np.float32, order="C")


@dataclass(frozen=True)
class Drawn:
    """A constant that is initialised when it is first read.

    Parameters
    ----------
    shape : tuple of int
        Its shape, known at once.
    fill : float
        The value of all elements if `fan_in` is 0.
    fan_in : int
        Inputs that one output sums over. If positive, values are uniform in plus or minus
        ``sqrt(6 / fan_in)``, He's initialisation for rectifiers ("Delving Deep into Rectifiers",
        arXiv:1502.01852).
    name : str, optional
        The full name that random numbers depend on, for the copy of a parameter in another tree.
    dtype : numpy.dtype
        The type that the initialised values are rounded to: float32 or float16.

    Notes
    -----
    The random numbers depend only on the parameter's full name in the tree that contains it when it
    is first read: raw integers of Philox 4x64 with the first 16 bytes of the name's SHA-256 as the
    key, each split into two of 32 bits, low half first, of which the upper 24 become a fraction. So
    they are the same on every machine and with every NumPy version, regardless of earlier draws.
    """

    shape: tuple[int, ...]
    fill: float = 0.0
    fan_in: int = 0
    name: str | None = None
    dtype: np.dtype[Any] = _FLOAT32

    def _as(self, dtype: Any) -> Drawn:
        """Return the same constant with values of another type."""
        return replace(self, dtype=np.dtype(dtype))

    def make(self, name: str) -> NDArray[np.float32]:
        """Return the values for the full name `name`, unless it has a name already.

        They are float32 for any `dtype`.
        """
        if self.fan_in <= 0:
            return np.full(self.shape, self.fill, np.float32)
        import hashlib  # loads OpenSSL, which a model with weights does not need

        digest = hashlib.sha256((self.name or name).encode()).digest()
        source = np.random.Philox(key=np.frombuffer(digest[:16], "<u8").astype(np.uint64))
        values = np.empty(math.prod(self.shape), np.float32)
        bound = np.float32(math.sqrt(6.0 / self.fan_in))
        step = np.float32(2.0 * bound * 2.0**-24)
        # A piece that fits in the cache, of an even number of values.
        piece = 1 << 16
        for start in range(0, values.size, piece):
            part = values[start : start + piece]
            words = source.random_raw((part.size + 1) // 2).astype("<u8", copy=False).view("<u4")
            words >>= 8
            # As signed integers, whose conversion is fast.
            np.multiply(words.view("<i4")[: part.size].astype(np.float32), step, out=part)
            part -= bound
        return values.reshape(self.shape)
