"""torch's switches for gradients, which do nothing here: there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from rvision._tensor import Tensor

__all__ = ["inference_mode", "is_grad_enabled", "is_tensor", "no_grad", "set_grad_enabled"]

if TYPE_CHECKING:
    from typing_extensions import Self

F = TypeVar("F", bound=Callable[..., Any])


class no_grad:
    """A context and a decorator, with or without parentheses, that does nothing: `torch.no_grad`.

    Examples
    --------
    >>> import rvision
    >>> with rvision.no_grad():
    ...     x = rvision.ones(2) * 3
    """

    @overload
    def __new__(cls, function: F) -> F: ...  # type: ignore[misc]
    @overload
    def __new__(cls, function: None = None) -> Self: ...
    def __new__(cls, function: Any = None) -> Any:
        """Return the decorated function if there is one, else a context."""
        self = super().__new__(cls)
        return self(function) if callable(function) else self

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: Any) -> None:
        pass

    def __call__(self, function: F) -> F:
        """Return the function."""
        return function


class inference_mode(no_grad):
    """A context and a decorator that does nothing: `torch.inference_mode`."""

    @overload
    def __new__(cls, mode: bool = True) -> Self: ...
    @overload
    def __new__(cls, mode: F) -> F: ...  # type: ignore[misc]
    def __new__(cls, mode: Any = True) -> Any:
        """Return the decorated function if there is one, else a context."""
        return super().__new__(cls, mode if callable(mode) else None)


class set_grad_enabled(no_grad):
    """A context, a decorator and a call that does nothing: `torch.set_grad_enabled`.

    Training code calls it with True for its training half, and the calls that need gradients there,
    such as `backward`, raise an error of their own.
    """

    def __new__(cls, mode: bool) -> Self:
        """Return a context, whatever the mode is."""
        return cast("Self", super().__new__(cls))


def is_grad_enabled() -> bool:
    """Return False: `torch.is_grad_enabled`."""
    return False


def is_tensor(obj: Any) -> bool:
    """Return whether an object is a :class:`rvision.Tensor`: `torch.is_tensor`."""
    return isinstance(obj, Tensor)
