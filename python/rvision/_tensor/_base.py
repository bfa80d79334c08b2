"""The class: NumPy's array with torch's names."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from rvision._tensor._device import cpu_only, device
from rvision._tensor._shapes import Shapes
from rvision._tensor._size import Count
from rvision._tensor._values import Values
from rvision._tensor._writes import Writes
from rvision.errors import ArgumentError, UnsupportedError

__all__ = ["Tensor"]

# Longer tensors are shown in part.
_SHOWN = 200

# torch's names of the types.
_TYPE_NAMES = {
    "float32": "FloatTensor",
    "float64": "DoubleTensor",
    "float16": "HalfTensor",
    "int64": "LongTensor",
    "int32": "IntTensor",
    "int16": "ShortTensor",
    "int8": "CharTensor",
    "uint8": "ByteTensor",
    "bool": "BoolTensor",
}
_TYPES = {name: kind for kind, name in _TYPE_NAMES.items()}


class Tensor(Shapes, Values, Writes, np.ndarray):
    """A NumPy array that also has torch's names. Outputs, transforms and parameters come as it.

    Everything that NumPy does stays NumPy's; ``np.asarray(x)`` is the plain array of the same memory.
    Names that NumPy lacks have torch's meaning (`unsqueeze`, `topk`, `softmax`, ...), and so has a call
    with torch's words `dim` and `keepdim`. ``x.size`` is the number of elements, and ``x.size()`` and
    ``x.size(0)`` are torch's. Pickled, it is a plain array. Functions that compute (`softmax`, `exp`,
    `sigmoid`, ...) return float32.

    Examples
    --------
    >>> import rvision
    >>> x = rvision.tensor([[1.0, 3.0, 2.0]])
    >>> x.size(1), x.unsqueeze(0).shape
    (3, (1, 1, 3))
    >>> values, indices = x.topk(2)
    >>> indices
    Tensor([[1, 2]])
    """

    __slots__ = ()

    def __new__(cls, data: Any = (), dtype: Any = None) -> Tensor:
        """Make a tensor of a copy of `data`: float32 if it has no type of its own, as `torch.Tensor`."""
        if dtype is None and not hasattr(data, "dtype"):
            dtype = np.float32
        return np.array(data, dtype).view(cls)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        # What NumPy returns for a plain array: a number where there are no dimensions.
        if array.ndim == 0 and (return_scalar or self.ndim):
            return array[()]
        return array.view(Tensor) if isinstance(array, np.ndarray) else array

    def __reduce_ex__(self, protocol: Any) -> Any:
        return np.ndarray.view(self, np.ndarray).__reduce_ex__(protocol)

    def __reduce__(self) -> Any:
        return np.ndarray.view(self, np.ndarray).__reduce__()

    def __repr__(self) -> str:
        threshold = min(_SHOWN, np.get_printoptions()["threshold"])
        plain = np.ndarray.view(self, np.ndarray)
        with np.printoptions(threshold=threshold):
            text = repr(plain)
        text = text.replace("array(", "Tensor(", 1).replace("\n", "\n ")
        if plain.size > threshold and "shape=" not in text:
            text = f"{text[:-1]}, shape={plain.shape})"  # NumPy before 2.2
        return text

    @property
    def size(self) -> Any:  # type: ignore[override]
        """The number of elements; called, the sizes: ``size()``, ``size(dim)``."""
        return Count(np.ndarray.size.__get__(self), self.shape)  # type: ignore[attr-defined]

    @property
    def data(self) -> Any:  # type: ignore[override]
        """The tensor itself, of the same memory; torch's name. ``memoryview(x)`` is NumPy's `data`."""
        return self

    @data.setter
    def data(self, values: Any) -> None:
        self.copy_(values)

    @property
    def device(self) -> Any:  # type: ignore[override]
        """The CPU."""
        return device("cpu")

    @property
    def is_cuda(self) -> bool:
        """Always False."""
        return False

    @property
    def is_leaf(self) -> bool:
        """Always True: there are no gradients."""
        return True

    @property
    def grad(self) -> None:
        """Always None: there are no gradients."""

    @property
    def requires_grad(self) -> bool:
        """Always False, and False may be assigned: rvision is for inference."""
        return False

    @requires_grad.setter
    def requires_grad(self, requires_grad: bool) -> None:
        if requires_grad:
            raise UnsupportedError("requires_grad = True: rvision is for inference only and has no gradients")

    def dim(self) -> int:
        """Return the number of dimensions."""
        return self.ndim

    ndimension = dim

    def numel(self) -> int:
        """Return the number of elements."""
        return int(self.size)

    nelement = numel

    def element_size(self) -> int:
        """Return the bytes of one element."""
        return self.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Return the distance between neighbours of each dimension, or of one, in elements."""
        steps = tuple(step // self.itemsize for step in self.strides)
        return steps if dim is None else steps[self._dim(dim, "stride")]

    def is_contiguous(self) -> bool:
        """Return whether the values lie in memory in order."""
        return bool(self.flags.c_contiguous)

    def contiguous(self) -> Tensor:
        """Return the values in order in memory: the tensor itself if they are."""
        return self if self.flags.c_contiguous else np.ndarray.copy(self, "C")

    def is_floating_point(self) -> bool:
        """Return whether the type is a float's."""
        return self.dtype.kind == "f"

    def numpy(self) -> Any:
        """Return the plain NumPy array of the same memory."""
        return np.ndarray.view(self, np.ndarray)

    def detach(self) -> Any:
        """Return the tensor itself: there are no gradients."""
        return self

    def cpu(self) -> Any:
        """Return the tensor itself: it is there."""
        return self

    def detach_(self) -> Any:
        """Return the tensor itself: there are no gradients."""
        return self

    def clone(self) -> Any:
        """Return a copy."""
        return np.array(self, subok=False).view(Tensor)

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """Return the tensor in another type; "cpu" is the only device.

        Parameters
        ----------
        *args, **kwargs
            A device, a type, both, or another tensor whose type is taken; `copy`. `non_blocking` and
            `memory_format` have no effect.
        """
        copy = kwargs.pop("copy", False)
        kwargs.pop("non_blocking", None)
        kwargs.pop("memory_format", None)
        kind = kwargs.pop("dtype", None)
        cpu_only(kwargs.pop("device", None), "to")
        if kwargs:
            raise TypeError(f"to() got an unexpected keyword argument {next(iter(kwargs))!r}")
        for wish in args:
            if isinstance(wish, bool) or wish is None:
                continue
            if isinstance(wish, np.ndarray):
                kind = wish.dtype
            elif isinstance(wish, device) or (isinstance(wish, str) and not _is_type(wish)):
                cpu_only(wish, "to")
            elif isinstance(wish, str) or _is_type(wish):
                kind = wish
            else:
                cpu_only(wish, "to")
        return self._typed(self.dtype if kind is None else kind, copy)

    def _typed(self, kind: Any, copy: bool = False) -> Any:
        kind = np.dtype(kind)
        if kind == self.dtype and not copy:
            return self
        with np.errstate(over="ignore", invalid="ignore"):
            return np.array(self, kind, subok=False).view(Tensor)

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """Return torch's name of the type ("torch.FloatTensor"), or the tensor in another type."""
        if dtype is None:
            return f"torch.{_TYPE_NAMES.get(self.dtype.name, self.dtype.name)}"
        if isinstance(dtype, str):
            dtype = _TYPES.get(dtype.removeprefix("torch."), dtype)
        return self._typed(dtype)

    def type_as(self, other: Any) -> Any:
        """Return the tensor in the type of `other`."""
        return self._typed(other.dtype)

    def float(self) -> Any:
        """Return the tensor in float32."""
        return self._typed(np.float32)

    def double(self) -> Any:
        """Return the tensor in float64."""
        return self._typed(np.float64)

    def half(self) -> Any:
        """Return the tensor in float16."""
        return self._typed(np.float16)

    def long(self) -> Any:
        """Return the tensor in int64."""
        return self._typed(np.int64)

    def int(self) -> Any:
        """Return the tensor in int32."""
        return self._typed(np.int32)

    def byte(self) -> Any:
        """Return the tensor in uint8."""
        return self._typed(np.uint8)

    def bool(self) -> Any:
        """Return where the values are not zero."""
        return self._typed(np.bool_)

    def new_tensor(self, data: Any) -> Any:
        """Return a tensor of `data` of the same type."""
        return np.array(data, self.dtype).view(Tensor)

    def new_zeros(self, *size: Any) -> Any:
        """Return zeros of the same type."""
        return np.zeros(_shape(size), self.dtype).view(Tensor)

    def new_ones(self, *size: Any) -> Any:
        """Return ones of the same type."""
        return np.ones(_shape(size), self.dtype).view(Tensor)

    def new_empty(self, *size: Any) -> Any:
        """Return a tensor of the same type whose values are not set."""
        return np.empty(_shape(size), self.dtype).view(Tensor)

    def new_full(self, size: Any, fill_value: Any) -> Any:
        """Return one value everywhere, of the same type."""
        return np.full(size, fill_value, self.dtype).view(Tensor)

    def backward(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise UnsupportedError: there are no gradients."""
        raise UnsupportedError(
            "backward: rvision is for inference only and has no gradients; train with torch and load the "
            "weights here, or fit a new last layer with rvision.fit_head"
        )

    def cuda(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise UnsupportedError: there is only the CPU."""
        raise UnsupportedError(
            "cuda: rvision runs on the CPU only; leave .cuda() out, or guard it with "
            "rvision.cuda.is_available(), which is False"
        )


def _shape(size: tuple[Any, ...]) -> Any:
    return size[0] if len(size) == 1 and not isinstance(size[0], int | np.integer) else size


def _is_type(wish: Any) -> bool:
    try:
        np.dtype(wish)
    except TypeError:
        if isinstance(wish, str) or hasattr(wish, "type"):
            return False
        raise ArgumentError(f"to: expected a type or the device 'cpu', got {wish!r}") from None
    return True
