"""What a symbol cannot do, since `forward` is traced before there are values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from rvision.errors import UnsupportedError

__all__ = ["Opaque"]


class Opaque:
    """Operators and protocols that need a value; each raises, naming the module and the remedy."""

    __slots__ = ()

    def _refuse(self: Any, what: str, instead: str) -> NoReturn:
        raise UnsupportedError(
            f"{self.tracer.where}: {what} is not possible while the network is traced "
            f"(forward is run once, before there are values); {instead}"
        )

    def __bool__(self) -> bool:
        self._refuse("a decision on a value (bool)", "decide on shapes or attributes, or outside of forward")

    def __float__(self) -> Any:
        self._refuse("a value as a Python number (float)", "return it from forward and convert it there")

    __int__ = __index__ = __complex__ = __float__

    def __iter__(self) -> Iterator[Any]:
        self._refuse("iterating over a value", "use chunk or split, or index it")

    def __len__(self) -> int:
        self._refuse("len() of a value", "use .shape[0]")

    def __contains__(self, item: object) -> bool:
        self._refuse("`in` on a value", "return it from forward and look there")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("converting a value to a NumPy array", "return it from forward and convert it there")

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        self._refuse(
            f"np.{function.__name__}",
            "use the value's methods, rvision.cat, rvision.nn.functional, or NumPy on the outputs",
        )

    def __reduce__(self) -> Any:
        self._refuse("copying or pickling a value", "return it from forward")
