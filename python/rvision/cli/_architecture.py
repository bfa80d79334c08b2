"""Which network a state dict is of, by names and shapes: no weight is looked at, none is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision import models
from rvision.nn._state import compare

if TYPE_CHECKING:
    from rvision.nn import Module

__all__ = ["Fit", "fit", "fits", "parameter_count", "wrapper_prefix"]

Shapes = Mapping[str, tuple[int, ...]]

# What a builder may be told so that its network has other parameters, by the beginning of its name.
_VARIANTS: dict[str, list[dict[str, Any]]] = {"cifar10_resnet": [{}, {"shortcut": "B"}]}

# What wrappers of a whole model put in front of every name.
_WRAPPERS = ("module.", "_orig_mod.")


@dataclass(frozen=True)
class Fit:
    """A network that a state dict fits.

    Attributes
    ----------
    name : str
        The network.
    config : dict
        What to tell its builder.
    """

    name: str
    config: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = ", ".join(f"{key}={value!r}" for key, value in self.config.items())
        return f"{self.name} with {told}" if told else self.name


def wrapper_prefix(names: Mapping[str, Any]) -> str:
    """Return what a wrapper has put in front of every name, or nothing."""
    return next((p for p in _WRAPPERS if names and all(name.startswith(p) for name in names)), "")


def fits(shapes: Shapes) -> list[Fit]:
    """Return the networks that names and shapes fit, at most with another number of classes."""
    return [found for name in models.list_models() if (found := fit(name, shapes)) is not None]


def fit(name: str, shapes: Shapes) -> Fit | None:
    """Return how a network is to be built so that names and shapes fit, or None."""
    # Arrays of the right shapes, without memory: modules rename entries, and may look at their shapes.
    state = {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}
    for config in _variants(name):
        classes = _classes_if_fitting(models.get_model(name, **config), state)
        if classes is not None:
            return Fit(name, config | ({"num_classes": classes} if classes else {}))
    return None


def _variants(name: str) -> Iterator[dict[str, Any]]:
    for start, variants in _VARIANTS.items():
        if name.startswith(start):
            yield from variants
            return
    yield {}


def _classes_if_fitting(model: Module, state: Mapping[str, Any]) -> int | None:
    """Return 0 if a state dict fits, the number of classes if only that differs, else None."""
    match = compare(model, state)
    # Batch norm's counters came with PyTorch 0.4.1, and inference ignores them.
    if any(not key.endswith("num_batches_tracked") for key in (*match.missing, *match.unexpected)):
        return None
    if not match.misfits:
        return 0
    last = list(match.entries)[-len(match.misfits) :]
    sizes = {np.shape(match.state[key])[:1] for key in match.misfits}
    rest_fits = all(
        np.shape(match.state[key])[1:] == match.entries[key].shape[1:] and match.entries[key].shape
        for key in match.misfits
    )
    if match.misfits != last or len(last) > 2 or len(sizes) != 1 or not rest_fits:
        return None
    return sizes.pop()[0]


def parameter_count(name: str) -> int:
    """Return the number of a network's parameters, without its buffers."""
    entries = compare(models.get_model(name), {}).entries.values()
    return sum(int(np.prod(entry.shape)) for entry in entries if entry.registry == "_parameters")
