"""torch's functions that make tensors: from data, of one value, of random numbers.

`device` may be "cpu"; `requires_grad` may be False; there is nothing else. Random numbers are torch's for the
same seed (:class:`rvision.Generator`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rvision._dtypes import to_dtype
from rvision._frames import ends_at_caller
from rvision._tensor import Generator, Tensor, cpu_only, default_generator
from rvision.errors import ArgumentError, UnsupportedError

__all__ = [
    "arange",
    "as_tensor",
    "empty",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "initial_seed",
    "linspace",
    "manual_seed",
    "ones",
    "ones_like",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "seed",
    "tensor",
    "zeros",
    "zeros_like",
]


def _accepted(where: str, options: dict[str, Any]) -> Any:
    """Check the options that all of torch's functions have, and return the type."""
    kind = options.pop("dtype", None)
    cpu_only(options.pop("device", None), where)
    if options.pop("requires_grad", False):
        raise UnsupportedError(f"{where}: requires_grad=True: rvision is for inference and has no gradients")
    for name in ("layout", "memory_format", "pin_memory"):
        options.pop(name, None)
    if options:
        raise TypeError(f"{where}() got an unexpected keyword argument {next(iter(options))!r}")
    return None if kind is None else to_dtype(kind, where)


def _sizes(size: tuple[Any, ...], where: str) -> tuple[int, ...]:
    sizes = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int | np.integer) else size
    if any(not isinstance(n, int | np.integer) or n < 0 for n in sizes):
        raise ArgumentError(f"{where}: expected sizes of at least 0, got {size}")
    return tuple(int(n) for n in sizes)


@ends_at_caller
def tensor(data: Any, **options: Any) -> Tensor:
    """Return a tensor with a copy of `data`: `torch.tensor`.

    Parameters
    ----------
    data : array_like
        Python's floats become float32 and its integers int64; arrays keep their type.
    **options
        `dtype`; `device` "cpu"; `requires_grad` False.

    Examples
    --------
    >>> import rvision
    >>> rvision.tensor([0.5, 1.0])
    Tensor([0.5, 1. ], dtype=float32)
    """
    kind = _accepted("tensor", options)
    if hasattr(data, "detach") and not isinstance(data, np.ndarray):
        data = data.detach().cpu().numpy()
    array = np.array(data, subok=False)
    if array.dtype == object:
        raise TypeError(f"tensor: expected numbers, got {type(data).__name__} of objects")
    if kind is None and array.dtype == np.float64 and not _has_type(data):
        kind = np.float32
    with np.errstate(over="ignore"):
        return array.astype(array.dtype if kind is None else kind, copy=False).view(Tensor)


def _has_type(data: Any) -> bool:
    """Return whether data, or the numbers in its nested lists, have a type of NumPy's."""
    while isinstance(data, list | tuple):
        if not data:
            return False
        data = data[0]
    return hasattr(data, "dtype")


@ends_at_caller
def as_tensor(data: Any, **options: Any) -> Tensor:
    """Return data as a tensor, of the same memory if it is an array of the type: `torch.as_tensor`."""
    if not isinstance(data, np.ndarray):
        return tensor(data, **options)
    kind = _accepted("as_tensor", options)
    return np.asarray(data, kind).view(Tensor)


@ends_at_caller
def from_numpy(ndarray: Any) -> Tensor:
    """Return the tensor of an array's memory: `torch.from_numpy`."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(
            f"from_numpy: expected a NumPy array, got {type(ndarray).__name__}; use rvision.tensor"
        )
    return ndarray.view(Tensor)


@ends_at_caller
def zeros(*size: Any, **options: Any) -> Tensor:
    """Return zeros: `torch.zeros`."""
    return np.zeros(_sizes(_named(size, options), "zeros"), _accepted("zeros", options) or np.float32).view(
        Tensor
    )


@ends_at_caller
def ones(*size: Any, **options: Any) -> Tensor:
    """Return ones: `torch.ones`."""
    return np.ones(_sizes(_named(size, options), "ones"), _accepted("ones", options) or np.float32).view(
        Tensor
    )


@ends_at_caller
def empty(*size: Any, **options: Any) -> Tensor:
    """Return a tensor whose values are not set: `torch.empty`."""
    return np.empty(_sizes(_named(size, options), "empty"), _accepted("empty", options) or np.float32).view(
        Tensor
    )


def _named(size: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, ...]:
    return (options.pop("size"),) if "size" in options else size


@ends_at_caller
def full(size: Any, fill_value: Any, **options: Any) -> Tensor:
    """Return one value everywhere: `torch.full`."""
    kind = _accepted("full", options)
    if kind is None and isinstance(fill_value, float):
        kind = np.float32
    return np.full(_sizes((size,), "full"), fill_value, kind).view(Tensor)


def _like(input: Any, where: str, options: dict[str, Any]) -> tuple[tuple[int, ...], Any]:
    array = np.asarray(input)
    kind = _accepted(where, options)
    return array.shape, array.dtype if kind is None else kind


@ends_at_caller
def zeros_like(input: ArrayLike, **options: Any) -> Tensor:
    """Return zeros of the sizes and the type of `input`: `torch.zeros_like`."""
    return np.zeros(*_like(input, "zeros_like", options)).view(Tensor)


@ends_at_caller
def ones_like(input: ArrayLike, **options: Any) -> Tensor:
    """Return ones of the sizes and the type of `input`: `torch.ones_like`."""
    return np.ones(*_like(input, "ones_like", options)).view(Tensor)


@ends_at_caller
def full_like(input: ArrayLike, fill_value: Any, **options: Any) -> Tensor:
    """Return one value of the sizes and the type of `input`: `torch.full_like`."""
    shape, kind = _like(input, "full_like", options)
    return np.full(shape, fill_value, kind).view(Tensor)


@ends_at_caller
def eye(n: int, m: int | None = None, **options: Any) -> Tensor:
    """Return ones on the diagonal of a matrix (n, m): `torch.eye`."""
    return np.eye(n, m, dtype=_accepted("eye", options) or np.float32).view(Tensor)


@ends_at_caller
def arange(*bounds: Any, **options: Any) -> Tensor:
    """Return the numbers from 0 or a start up to but without an end: `torch.arange`."""
    bounds += tuple(options.pop(name) for name in ("start", "end", "step") if name in options)
    kind = _accepted("arange", options)
    if kind is None:
        kind = np.float32 if any(isinstance(bound, float | np.floating) for bound in bounds) else np.int64
    # In double precision, as torch computes them.
    return np.arange(*bounds).astype(kind, copy=False).view(Tensor)


@ends_at_caller
def linspace(start: float, end: float, steps: int, **options: Any) -> Tensor:
    """Return `steps` numbers from `start` to `end`, both included: `torch.linspace`."""
    return np.linspace(start, end, steps).astype(_accepted("linspace", options) or np.float32).view(Tensor)


def _generator(options: dict[str, Any]) -> Generator:
    return options.pop("generator", None) or default_generator


@ends_at_caller
def rand(*size: Any, **options: Any) -> Tensor:
    """Return random numbers from 0 up to but without 1: `torch.rand`, the same numbers for the same seed.

    Parameters
    ----------
    *size : int
        The sizes, also as one tuple.
    **options
        `generator`; `dtype`; `device` "cpu"; `requires_grad` False.

    Examples
    --------
    >>> import rvision
    >>> _ = rvision.manual_seed(0)
    >>> rvision.rand(2)
    Tensor([0.49625659, 0.76822180], dtype=float32)
    """
    source, sizes = _generator(options), _sizes(_named(size, options), "rand")
    return source.uniform(sizes, dtype=_accepted("rand", options) or np.float32).view(Tensor)


@ends_at_caller
def randn(*size: Any, **options: Any) -> Tensor:
    """Return normally distributed random numbers: `torch.randn`, for the same seed to the last bits.

    Parameters and options are those of :func:`rand`.
    """
    source, sizes = _generator(options), _sizes(_named(size, options), "randn")
    return source.normal(sizes, dtype=_accepted("randn", options) or np.float32).view(Tensor)


@ends_at_caller
def rand_like(input: ArrayLike, **options: Any) -> Tensor:
    """Return random numbers of the sizes of `input`: `torch.rand_like`."""
    shape, kind = _like(input, "rand_like", options)
    return default_generator.uniform(shape, dtype=kind).view(Tensor)


@ends_at_caller
def randn_like(input: ArrayLike, **options: Any) -> Tensor:
    """Return normally distributed random numbers of the sizes of `input`: `torch.randn_like`."""
    shape, kind = _like(input, "randn_like", options)
    return default_generator.normal(shape, dtype=kind).view(Tensor)


@ends_at_caller
def randint(*args: Any, **options: Any) -> Tensor:
    """Return random integers: ``randint(high, size)`` or ``randint(low, high, size)``, as `torch.randint`."""
    args += tuple(options.pop(name) for name in ("low", "high", "size") if name in options)
    if len(args) not in (2, 3):
        raise TypeError(f"randint: expected (high, size) or (low, high, size), got {len(args)} arguments")
    low, high, size = (0, *args) if len(args) == 2 else args
    source = _generator(options)
    values = source.integers(_sizes((size,), "randint"), low, high)
    return values.astype(_accepted("randint", options) or np.int64, copy=False).view(Tensor)


@ends_at_caller
def randperm(n: int, **options: Any) -> Tensor:
    """Return the integers below `n` in random order: `torch.randperm`."""
    source = _generator(options)
    return source.permutation(n).astype(_accepted("randperm", options) or np.int64, copy=False).view(Tensor)


@ends_at_caller
def manual_seed(seed: int) -> Generator:
    """Begin the sequence of random numbers of `seed`: `torch.manual_seed`.

    It determines `rand`, `randn`, `randint`, `randperm`, `nn.init` and random transforms of tensors. New
    layers do not draw from it: their values depend on their names (:class:`rvision.nn.Module`).
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Begin a sequence that the system chooses, and return its seed: `torch.seed`."""
    return default_generator.seed()


def initial_seed() -> int:
    """Return the seed of the present sequence: `torch.initial_seed`."""
    return default_generator.initial_seed()
