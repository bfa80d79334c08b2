"""Constants of a model: parameters and float buffers.

The engine's object never changes. It holds the values and the packed forms that kernels made of them; if a
packed form is a permutation of the values, it holds only that form. A new value is a new object, so identity
is the version: packed forms can never be stale, and everything that uses a constant (a model, its `features`
alone, a copy) shares them.

A module keeps a :class:`Held`. From this, an array with a copy of the values is made when it is read. NumPy
cannot write to it. Methods of :class:`rvision.Tensor` can (`copy_`, `fill_`, item assignment, ``+=``), on the
constant and on any view of it: they write to the array, so all its views see it, and the engine gets a new
object when the network is traced next.

Values of a new layer are :class:`Drawn`: described, but only initialised when they are first read
or run. A model whose weights come from a file never initialises any.
"""

from __future__ import annotations

import functools
import math
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rvision import _rvision
from rvision._sizes import Size
from rvision._tensor import Tensor
from rvision._trace import Traced
from rvision.errors import UnsupportedError

__all__ = ["Buffer", "Constant", "Drawn", "Held", "Parameter", "to_float32"]


_FLOAT32 = np.dtype(np.float32)


class _Owner(Protocol):
    """The part of a module that this file uses."""

    def _written(self, held: Held) -> None:
        """Note that the values of one of its constants have changed."""


class Held:
    """A constant as a module keeps it: the engine's handle, and the array while it is in use.

    Parameters
    ----------
    kind : type
        :class:`Parameter` or :class:`Buffer`.
    handle : _rvision.Parameter
        The engine's object.
    """

    __slots__ = ("__weakref__", "_array", "_handle", "_memory", "_owners", "_unread", "kind", "version")

    def __init__(self, kind: type[Constant], handle: _rvision.Parameter) -> None:
        self.kind = kind
        # Counts the writes.
        self.version = 0
        self._handle = handle
        self._array: Callable[[], Any] = lambda: None
        # The memory of the array and of all its views, which keep it alive.
        self._memory: Callable[[], Any] = lambda: None
        # That memory after a write, until the engine has read it.
        self._unread: NDArray[Any] | None = None
        self._owners: list[weakref.ref[_Owner]] = []

    @property
    def handle(self) -> _rvision.Parameter:
        """The engine's object of the present values."""
        if self._unread is not None:
            with _LOCK:
                if self._unread is not None:
                    self._handle = _rvision.Parameter(self._unread)
                    self._unread = None
        return self._handle

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self._handle.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float16."""
        return np.dtype(self._handle.dtype)

    def array(self) -> Any:
        """Return the constant as an array: the same one as long as it is in use."""
        array = self._array()
        if array is None:
            with _LOCK:
                array = self._array()
                if array is None:
                    memory = self._memory()
                    if memory is None:
                        # The engine's own memory may be shared with other networks.
                        memory = np.array(self._handle.values())
                        self._memory = weakref.ref(memory)
                    array = memory.view(self.kind)
                    array.flags.writeable = False
                    array._held = self
                    self._array = weakref.ref(array)
        return array

    def own(self, module: _Owner) -> None:
        """Note a module that uses the constant; it is told of writes."""
        alive = [owner for owner in self._owners if owner() is not None]
        if all(owner() is not module for owner in alive):
            alive.append(weakref.ref(module))
        self._owners = alive

    def write(self, view: NDArray[Any], write: Callable[[NDArray[Any]], Any]) -> bool:
        """Write through a view of the array, unless its memory is another.

        Parameters
        ----------
        view : numpy.ndarray
            Any view of :meth:`array`.
        write : callable
            Called with a plain array of the same memory, which can be written to.

        Returns
        -------
        bool
            Whether it is a view.
        """
        memory = self._memory()
        if memory is None or not np.may_share_memory(memory, view):
            return False
        offset = view.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
        write(np.ndarray(view.shape, view.dtype, memory, offset, view.strides))
        self._unread = memory
        self.version += 1
        for owner in [owner() for owner in self._owners]:
            if owner is not None:
                owner._written(self)
        return True

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
        return held_of, (self.kind, np.asarray(self.array()))


def held_of(kind: type[Constant], data: Any) -> Held:
    """Return a constant of `data` without making an array of its values.

    The engine's parameters, constants and what :func:`loaded` returns are used as they are.
    """
    handle = data if isinstance(data, _rvision.Parameter) else getattr(data, "_handle", None)
    return Held(kind, _rvision.Parameter(_to_stored(data)) if handle is None else handle)


_LOCK = threading.Lock()


class _View(Tensor):
    """A view of a constant's values; writes go to the constant. Results of arithmetic are plain tensors."""

    __slots__ = ("_held",)

    _held: Held | None

    def __array_finalize__(self, source: Any) -> None:
        # Also of what NumPy derives without sharing memory; `Held.write` tells them apart.
        self._held = getattr(source, "_held", None)

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any
    ) -> Any:
        if any(isinstance(value, Traced) for value in inputs):
            # The symbol's operator takes the constant itself, with its packed forms and identity.
            return NotImplemented
        found = getattr(ufunc, method)(*(_tensor(value) for value in inputs), **kwargs)
        if out is None:
            return found
        results = found if isinstance(found, tuple) else (found,)
        for target, result in zip(out, results, strict=True):
            if isinstance(target, _View):
                target._set(result, ufunc.__name__)
            elif target is not None:
                np.copyto(target, result)
        return out[0] if len(out) == 1 else out

    def _write(self, write: Callable[[Any], Any]) -> None:
        if self._held is None or not self._held.write(self, write):
            super()._write(write)

    def __setitem__(self, index: Any, value: Any) -> None:
        self._write(lambda target: target.__setitem__(index, value))

    @property
    def data(self) -> Any:  # type: ignore[override]
        """The values, of the same memory; torch's name. Assigned values are copied in."""
        return np.ndarray.view(self, _View)

    @data.setter
    def data(self, values: Any) -> None:
        self.copy_(values)

    def copy(self, order: Any = "C") -> Any:  # type: ignore[override]
        """Return a writable tensor."""
        return np.array(self, order=order, subok=False).view(Tensor)

    clone = copy

    def astype(self, *args: Any, **kwargs: Any) -> Any:
        """Return what `numpy.ndarray.astype` does, as a tensor."""
        return np.ndarray.astype(_tensor(self), *args, **kwargs)

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()


class Constant(_View):
    """A float tensor held by the engine; base of :class:`Parameter` and :class:`Buffer`.

    NumPy cannot write to it. Item assignment, ``+=`` and torch's methods (`copy_`, `fill_`, ...) do, also on
    views of it (``weight.data.view(-1)``). Arithmetic gives tensors that are independent of it.

    Parameters
    ----------
    data : array_like
        Real numbers of any shape; NumPy arrays and PyTorch CPU tensors included. They are copied:
        float16 as float16, everything else as float32.
    """

    __slots__ = ()

    def __new__(cls, data: ArrayLike, requires_grad: bool = False) -> Constant:
        """Make a constant of `data`; `requires_grad` is accepted for compatibility with torch."""
        return held_of(cls, data).array()

    @property
    def _handle(self) -> _rvision.Parameter | None:
        """The engine's object, unless this is an array that was derived from a constant."""
        return None if self._held is None or self._held._array() is not self else self._held.handle

    @classmethod
    def zeros(cls, shape: tuple[int, ...]) -> Any:
        """Return a constant of zeros, which take no memory until they are read."""
        return Held(cls, _rvision.Parameter.zeros(shape)).array()

    def __getitem__(self, index: Any) -> Any:
        return self.data[index]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("shape", "strides", "dtype"):
            raise UnsupportedError(
                f"assigning to the {name} of a {type(self).__name__}: assign a new array to the module's "
                "attribute, as in `layer.weight = values`"
            )
        super().__setattr__(name, value)

    def _as(self, dtype: Any) -> Any:
        """Return the constant with float32 or float16 values; itself if it has them."""
        if self.dtype == dtype:
            return self
        return held_of(type(self), self)._as(dtype).array()

    def expand(self, *sizes: Any) -> Any:
        """Return the values repeated along dimensions of size one and new leading ones; -1 keeps a size.

        Returns a symbol if sizes are a symbol's, such as ``x.shape[0]``.
        """
        if len(sizes) == 1 and not isinstance(sizes[0], int):
            sizes = tuple(sizes[0])
        of = next((size.symbol for size in sizes if type(size) is Size), None)
        if of is not None:
            return of.tracer.constant(self).expand(*sizes)
        return self.data.expand(*sizes)

    def repeat(self, *repeats: Any, axis: int | None = None) -> Any:
        """Return what `numpy.ndarray.repeat` does; with more than two numbers, or sizes of a symbol, torch's.

        ``repeat(2, 1)`` is NumPy's, which repeats each element twice along dimension 1; ``repeat(2, 1, 1)``
        is torch's, which concatenates two copies of the array.
        """
        times = tuple(repeats[0]) if len(repeats) == 1 and isinstance(repeats[0], tuple) else repeats
        of = next((time.symbol for time in times if type(time) is Size), None)
        if of is not None:
            return of.tracer.constant(self).repeat(*times)
        return _tensor(self).repeat(*repeats, axis=axis)

    def expand_as(self, other: Any) -> Any:
        """Return the values repeated to the shape of `other`, which may be a symbol of any size."""
        if isinstance(other, Traced):
            return other.tracer.constant(self).expand_as(other)
        return self.data.expand(*other.shape)

    def transpose(self, *dims: Any, **kwargs: Any) -> Any:
        """Return the values with two dimensions exchanged, as torch does; else as `numpy.ndarray.transpose`.

        NumPy's ``transpose(0, 1)`` of a matrix would leave it as it is, and for ``(1, 0)`` both are the same.
        """
        if len(dims) == 2 and not any(isinstance(dim, tuple | list) for dim in dims):
            return self.data.swapaxes(*dims)
        return self.data.transpose(*dims, **kwargs)

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

    def __copy__(self) -> Constant:
        return self

    def __deepcopy__(self, memo: Any) -> Constant:
        return type(self)(self)

    def __reduce__(self) -> Any:
        return type(self), (np.asarray(self),)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__reduce__()

    def __repr__(self) -> str:
        return f"{type(self).__name__} containing:\n{self.data!r}"

    __str__ = __repr__


def _tensor(value: Any) -> Any:
    """Return a view of a constant that is no longer tied to it; anything else as it is."""
    return np.ndarray.view(value, Tensor) if isinstance(value, _View) else value


def _derived(name: str) -> Callable[..., Any]:
    method = getattr(Tensor, name)

    @functools.wraps(method)
    def derive(self: Constant, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.data, name)(*args, **kwargs)

    return derive


# NumPy would give their results this class, of which they are none.
for _name in [
    "flatten",
    "permute",
    "ravel",
    "reshape",
    "squeeze",
    "swapaxes",
    "t",
    "take",
    "unflatten",
    "unsqueeze",
    "view",
]:
    setattr(Constant, _name, _derived(_name))
Constant.T = property(lambda self: self.data.T, doc="The transposed values.")  # type: ignore


class _Loaded(Tensor):
    """The engine's memory of a file's values as a read-only array; see :func:`loaded`."""

    _handle: _rvision.Parameter | None

    def __array_finalize__(self, source: Any) -> None:
        # What is derived from it has other values or another shape.
        self._handle = None


def loaded(handle: _rvision.Parameter) -> Any:
    """Return a parameter of the engine as a read-only array, for state dicts: networks use it uncopied."""
    array = np.asarray(handle.values()).view(_Loaded)
    array._handle = handle
    return array


class Parameter(Constant):
    """A module's parameter: torch's `nn.Parameter`.

    When assigned to a module's attribute, it is registered under that name. `requires_grad` is
    always False.
    """


class Buffer(Constant):
    """A module's float buffer, such as the statistics of a batch normalisation."""


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
