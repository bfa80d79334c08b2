"""Weights given to builders as a file: recognition, settings and prefixes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rvision._frames import warn
from rvision.models._lookalikes import lookalikes, settled_by
from rvision.models._prefix import unwrapped
from rvision.nn.parameter import loaded
from rvision.weights._identify import Recognised, recognise
from rvision.weights._origin import Origin, origin

if TYPE_CHECKING:
    from rvision.weights import WeightsEnum
    from rvision.weights._files import StateDict

__all__ = ["as_origin_says", "load_without_prefix", "read", "recognised", "say_unseen"]


def read(path: str | os.PathLike[str], *, key: str | None = None) -> StateDict:
    """Read a state dict whose values a network uses without a copy: they are read-only.

    Otherwise as :func:`rvision.load`.
    """
    from rvision import _rvision
    from rvision.weights._files import load_parameters

    state = load_parameters(path, key=key)
    for name, value in state.items():
        if isinstance(value, _rvision.Parameter):
            state[name] = loaded(value)
    return state


def _path_of(source: Any) -> str | os.PathLike[str] | None:
    """Return the weights' file, or the file that they were loaded from."""
    if isinstance(source, os.PathLike):
        return source
    path = getattr(getattr(source, "source", None), "path", None)
    return path if isinstance(path, str) and Path(path).is_file() else None


def recognised(enum: type[WeightsEnum] | None, source: Any) -> Recognised | None:
    """Return which of a network's published weights a file, or a state dict loaded from one, holds."""
    path = _path_of(source)
    if enum is None or path is None or not Path(path).is_file():
        return None
    found = recognise(path)
    return found if found is not None and isinstance(found.weights, enum) else None


def say_unseen(
    builder: str, source: Any, known: Recognised, defaults: Mapping[str, Any], kwargs: dict[str, Any]
) -> None:
    """Warn about settings that follow from a file's origin and that its contents do not show."""
    unsaid = {key: value for key, value in defaults.items() if key not in kwargs}
    if not unsaid:
        return
    told = ", ".join(f"{key}={value!r}" for key, value in unsaid.items())
    others = " or ".join(f"{key}={not value}" for key, value in unsaid.items() if isinstance(value, bool))
    warn(
        f"{os.fspath(_path_of(source) or '')} {known}, so {builder} is made with {told}; pass this "
        f"explicitly to silence this warning, or {others} to change it",
    )


def as_origin_says(
    builder: str, source: Any, known: Recognised | None, kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Complete the arguments from a file's origin, if networks of the same shapes differ."""
    alike = lookalikes(builder)
    path = _path_of(source)
    if not alike or (known is not None and known.certain) or (path is not None and not Path(path).is_file()):
        return kwargs
    choices = {key for each in alike for key in each.config or {}}
    if choices & kwargs.keys():
        return kwargs
    said = origin(path) if path is not None else Origin()
    found = settled_by(builder, said, os.fspath(path or ""))
    told = [f"{key}={value!r}" for key, value in (found.config or {} if found else {}).items()]
    if told:
        warn(
            f"{builder}: {os.fspath(path or '')} is of {found.theirs}, says {said.said_by}; made with "
            f"{', '.join(told)} (pass this explicitly to silence this warning)",
        )
        return {**found.config, **kwargs}
    if choices and not (isinstance(source, Mapping) and "_conv_stem.weight" in source):
        listed = " or ".join(
            f"{key}={value!r} ({each.theirs})" for each in alike for key, value in (each.config or {}).items()
        )
        warn(
            f"{builder}: the weights have the names and shapes of several networks and do not say which: "
            f"{alike[0].difference}. The first was taken; say {listed}",
        )
    return kwargs


def load_without_prefix(builder: str, model: Any, state: Mapping[str, Any]) -> None:
    """Load a state dict into a network without a wrapper's prefix, and warn about the prefix."""
    state, note = unwrapped(model, state)
    if note:
        warn(f"{builder}: {note}")
    model.load_state_dict(state)
