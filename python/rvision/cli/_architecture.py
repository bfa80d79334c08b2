"""Finds the network of a state dict by names and shapes, without reading or initialising weights.

`fingerprints.json` has the shapes of every network, without names, since old files have other
names. The few networks whose shapes are near those of a file are then built and compared with it
exactly. `tools/export_fingerprints.py` writes `fingerprints.json`, and a test compares it with the
networks.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision import models
from rvision.errors import StateDictError
from rvision.models._convert import conversion, in_own_names
from rvision.models._prefix import is_counter, one_of, prefixes, under
from rvision.nn import Conv2d, Parameter
from rvision.nn._state import compare
from rvision.weights._files import StateDict
from rvision.weights._zoo import table

if TYPE_CHECKING:
    from rvision.nn import Module
    from rvision.nn._state import Match

__all__ = ["Fit", "Found", "fingerprint", "fit", "make", "parameter_count", "recognise"]

Shapes = Mapping[str, tuple[int, ...]]

# The least fraction of shapes that a file and a network have in common if the file is of that
# network with another first or last layer, or without auxiliary heads. LeNet-5, with its ten
# shapes, has the least.
_NEAR = 0.5
# The nearest networks are built, and those within this distance of the nearest.
_NEARLY = 0.2
_MOST = 8

# A wrapper of a whole network has hardly any entries of its own.
_NEARLY_ALL = 0.95


@dataclass(frozen=True)
class Fit:
    """A network that a state dict fits.

    Attributes
    ----------
    name : str
        The network.
    config : dict
        Arguments of its builder.
    channels : int
        Channels of the pictures, if the first layer's differ from the network's.
    head : tuple of str
        The last layer's name in the state dict and in the network, if they differ.
    """

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    channels: int | None = None
    head: tuple[str, str] | None = None

    def __str__(self) -> str:
        told = [f"{key}={value!r}" for key, value in self.config.items()]
        if self.channels is not None:
            told.append(f"pictures of {self.channels} channel{'' if self.channels == 1 else 's'}")
        if self.head is not None:
            told.append(f"{self.head[0]} as its last layer ({self.head[1]})")
        return f"{self.name} with {', '.join(told)}" if told else self.name


@dataclass(frozen=True)
class Found:
    """The networks that a state dict fits.

    Attributes
    ----------
    prefix : str
        The prefix of the network's names.
    fits : list of Fit
        The networks, torchvision's own first.
    refusal : str
        Why none fits, if the names are another library's and its network is different.
    """

    prefix: str = ""
    fits: list[Fit] = field(default_factory=list)
    refusal: str = ""

    def chosen(self) -> Fit | None:
        """Return the network: the only one, or torchvision's own of several; None if ambiguous."""
        theirs = [each for each in self.fits if each.name in table()["networks"]]
        for candidates in (self.fits, theirs):
            if len(candidates) == 1:
                return candidates[0]
        return None


def recognise(shapes: Shapes, name: str | None = None) -> Found:
    """Return the networks that names and shapes fit (or how they fit the network `name`), and the prefix.

    Raises
    ------
    StateDictError
        If the state dict holds a network several times and it is ambiguous which is meant; if the
        names are another library's and its network differs from the one called `name`.
    """
    level: dict[str, list[Fit]] = {}
    refusal = ""
    for prefix in _likely_first(shapes):
        if any(prefix.startswith(other) or other.startswith(prefix) for other in level):
            continue
        inner = under(shapes, prefix)
        found: list[Fit] = []
        # Networks of the same shapes are equally near; once one fits, networks farther off are
        # ignored.
        near = [(1.0, name)] if name else _near(inner)
        for _, group in groupby(near, key=lambda each: each[0]):
            for _, one in group:
                try:
                    each = fit(one, inner)
                except StateDictError as error:
                    if name:
                        raise
                    refusal = refusal or str(error)
                else:
                    found += [each] if each is not None else []
            if found:
                level[prefix] = found
                break
    if not level:
        return Found(refusal=refusal)
    prefix = one_of(list(level))
    theirs = table()["networks"]
    return Found(prefix, sorted(level[prefix], key=lambda each: each.name not in theirs))


def _likely_first(names: Iterable[str]) -> list[str]:
    """Return prefixes in an order that builds few networks: those of nearly all names first."""
    names = list(names)
    every = list(prefixes(names))
    common = [p for p in every if sum(name.startswith(p) for name in names) >= _NEARLY_ALL * len(names)]
    return [*common[::-1], *(p for p in every if p not in common)]


def fit(name: str, shapes: Shapes) -> Fit | None:
    """Return how to build a network so that names and shapes fit, or None.

    Raises
    ------
    StateDictError
        If the names are another library's and its network of this family is different.
    """
    builder = models.get_model_builder(name)
    from_state = getattr(builder, "from_state", None)
    config: dict[str, Any] = from_state(shapes) if from_state else {}
    # Arrays of the right shapes without memory: modules rename entries and may read their shapes.
    state: Mapping[str, Any] = {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}
    model = builder(**config)
    converted = conversion(state, model)
    if converted is not None:
        state = converted.state
    match = compare(model, state)
    head = _other_head(match)
    if head is not None:
        match = compare(model, _with_head(state, head))
    if any(not is_counter(key) for key in (*match.missing, *match.unexpected)):
        return None
    misfits = list(match.misfits)
    channels = _other_channels(match, misfits)
    if channels is not None:
        misfits = misfits[1:]
    if misfits:
        classes = _other_classes(match, misfits)
        if classes is None:
            return None
        config["num_classes"] = classes
    return Fit(name, config, channels, head)


def _other_head(match: Match) -> tuple[str, str] | None:
    """Return the last layer's names if only it is renamed: `fc` made a Sequential, or the reverse."""
    missing = [key for key in match.missing if not is_counter(key)]
    unexpected = [key for key in match.unexpected if not is_counter(key)]
    layers = [{key.rpartition(".")[0] for key in keys} for keys in (unexpected, missing)]
    if len(missing) != len(unexpected) or any(len(each) != 1 for each in layers):
        return None
    theirs, ours = layers[0].pop(), layers[1].pop()
    related = f"{theirs}.".startswith(f"{ours}.") or f"{ours}.".startswith(f"{theirs}.")
    width = np.shape(match.state.get(f"{theirs}.weight", ()))[1:]
    entry = match.entries.get(f"{ours}.weight")
    return (theirs, ours) if related and entry is not None and entry.shape[1:] == width else None


def _with_head(state: Mapping[str, Any], head: tuple[str, str]) -> dict[str, Any]:
    theirs, ours = (f"{name}." for name in head)
    return {ours + k.removeprefix(theirs) if k.startswith(theirs) else k: v for k, v in state.items()}


def _other_channels(match: Match, misfits: list[str]) -> int | None:
    """Return the pictures' channels, if only these differ in the first layer."""
    first = next((key for key, entry in match.entries.items() if len(entry.shape) == 4), None)
    if not misfits or misfits[0] != first:
        return None
    entry, found = match.entries[first], np.shape(match.state[first])
    fits = isinstance(entry.module, Conv2d) and entry.module.groups == 1 and len(found) == 4
    return found[1] if fits and found[:1] + found[2:] == entry.shape[:1] + entry.shape[2:] else None


def _other_classes(match: Match, misfits: list[str]) -> int | None:
    """Return the number of classes, if only that differs."""
    pairs = {(match.entries[key].shape[:1], np.shape(match.state[key])[:1]) for key in misfits}
    rest_fits = all(match.entries[key].shape[1:] == np.shape(match.state[key])[1:] for key in misfits)
    last = list(match.entries)[-1] in misfits
    if len(pairs) != 1 or not rest_fits or not last or not all(pair := pairs.pop()):
        return None
    return int(pair[1][0])


def make(found: Fit, state: Mapping[str, Any]) -> Module:
    """Build a network and load a state dict whose prefix has been removed."""
    if found.head is not None:
        renamed = StateDict(_with_head(state, found.head))
        renamed._metadata.update(getattr(state, "_metadata", {}))
        renamed.source = getattr(state, "source", None)
        state = renamed
    if found.channels is None:
        return models.get_model(found.name, weights=state, **found.config)
    model = models.get_model(found.name, **found.config)
    stem = next(child for child in model.modules() if isinstance(child, Conv2d))
    stem.in_channels = found.channels
    stem.weight = Parameter(np.zeros((stem.out_channels, found.channels, *stem.kernel_size), np.float32))
    model.load_state_dict(in_own_names(state, model))
    return model


# ---- fingerprints ----


def fingerprint(name: str) -> dict[str, int]:
    """Return how many of a network's parameters and buffers have each shape, without counters."""
    entries = compare(models.get_model(name), {}).entries
    return _counted(entry.shape for key, entry in entries.items() if not is_counter(key))


def _counted(shapes: Iterable[tuple[int, ...]]) -> dict[str, int]:
    return dict(Counter("x".join(map(str, shape)) for shape in shapes))


@cache
def _fingerprints() -> dict[str, dict[str, int]]:
    return json.loads(Path(__file__).with_name("fingerprints.json").read_text(encoding="utf-8"))


def _near(shapes: Shapes) -> list[tuple[float, str]]:
    """Return the networks whose shapes are near a state dict's, nearest first, with the common fraction."""
    mine = _counted(shape for key, shape in shapes.items() if not is_counter(key))
    likeness: dict[str, float] = {}
    for name, theirs in _fingerprints().items():
        common = sum(min(count, theirs.get(shape, 0)) for shape, count in mine.items())
        likeness[name] = common / max(1, sum(mine.values()) + sum(theirs.values()) - common)
    best = max(likeness.values(), default=0.0)
    near = [name for name, value in likeness.items() if value >= max(_NEAR, best - _NEARLY)]
    near.sort(key=lambda name: -likeness[name])
    # Networks of other widths have the same names, but other shapes.
    wide = [name for name in _fingerprints() if _may_be_wider(name, shapes) and name not in near]
    return [(likeness[name], name) for name in near[:_MOST]] + [(0.0, name) for name in wide]


def _may_be_wider(name: str, shapes: Shapes) -> bool:
    from_state = getattr(models.get_model_builder(name), "from_state", None)
    return bool(from_state and from_state(shapes).get("width_mult"))


def parameter_count(name: str) -> int:
    """Return the number of a network's parameters, without its buffers."""
    entries = compare(models.get_model(name), {}).entries.values()
    return sum(math.prod(entry.shape) for entry in entries if entry.registry == "_parameters")
