"""The one device."""

from __future__ import annotations

from typing import Any

from rvision.errors import ArgumentError, UnsupportedError

__all__ = ["cpu_only", "device"]


class device(str):
    """Where a tensor is: `torch.device`. There is only ``device("cpu")``, which equals the string "cpu".

    Parameters
    ----------
    type : str
        "cpu", also with an index ("cpu:0").
    index : int, optional
        0 or None.

    Raises
    ------
    UnsupportedError
        For another device.
    """

    __slots__ = ()

    def __new__(cls, type: Any = "cpu", index: int | None = None) -> device:
        name = str(getattr(type, "type", type)) if index is None else f"{type}:{index}"
        if name.partition(":")[0] != "cpu":
            raise UnsupportedError(
                f"device {name!r}: rvision runs on the CPU only; use 'cpu', or leave the device out "
                "(rvision.cuda.is_available() is False)"
            )
        return super().__new__(cls, "cpu")

    @property
    def type(self) -> str:
        """The kind of device: "cpu"."""
        return "cpu"

    @property
    def index(self) -> None:  # type: ignore[override]
        """Always None: there is one CPU."""
        return None

    def __repr__(self) -> str:
        return "device(type='cpu')"


def cpu_only(wish: Any, where: str) -> None:
    """Raise unless `wish` is the CPU, or nothing.

    Raises
    ------
    ArgumentError
        If it is no device.
    UnsupportedError
        If it is another device.
    """
    if wish is None:
        return
    if not isinstance(wish, str) and not hasattr(wish, "type"):
        raise ArgumentError(f"{where}: expected a device such as 'cpu', got {wish!r}")
    device(wish)
