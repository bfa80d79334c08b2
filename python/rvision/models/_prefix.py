"""Wrappers' prefixes of a network's names: `module.`, `_orig_mod.`, `model.`, any others, nested.

A wrapper of a whole model (`DataParallel`, `torch.compile`, `AveragedModel`, a Lightning module, a
contrastive learner with two encoders) saves the network's names after its own prefix. A prefix is
confirmed if the names after it are all the names of a network; entries without it (`n_averaged`, a
loss's weights) do not belong to the network.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from rvision.errors import StateDictError
from rvision.nn._state import compare
from rvision.weights._files import StateDict

if TYPE_CHECKING:
    from rvision.nn import Module

__all__ = ["is_counter", "one_of", "prefixes", "under", "unwrapped"]

T = TypeVar("T")

# The least fraction of names with a prefix; with less, a file would hold more than three networks.
_SHARE = 0.25
# `model.module._orig_mod.` has three parts.
_DEPTH = 6

# If a file holds two copies of a network, the one to use: MoCo's query encoder.
_PREFERRED = {"encoder_k": "encoder_q"}


def is_counter(name: str) -> bool:
    """Whether it is batch norm's counter, introduced in PyTorch 0.4.1 and ignored by inference."""
    return name.endswith("num_batches_tracked")


def prefixes(names: Iterable[str]) -> Iterator[str]:
    """Yield possible prefixes of a network's names, shortest first, beginning with the empty one."""
    names = list(names)
    level = [""]
    for _ in range(_DEPTH):
        yield from level
        parts = Counter(
            prefix + rest[: rest.index(".") + 1]
            for prefix in level
            for name in names
            if name.startswith(prefix) and "." in (rest := name.removeprefix(prefix))
        )
        level = [prefix for prefix, count in parts.items() if count >= _SHARE * len(names)]


def under(state: Mapping[str, T], prefix: str) -> Mapping[str, T]:
    """Return the entries with a prefix, under the names after it; torch's module versions stay."""
    if not prefix:
        return state
    inner: dict[str, T] = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    if not isinstance(state, StateDict):
        return inner
    result = StateDict(inner)
    result.source = state.source
    for name, versions in state._metadata.items():
        if f"{name}." == prefix or name.startswith(prefix):
            result._metadata["" if f"{name}." == prefix else name.removeprefix(prefix)] = versions
    return result


def one_of(found: list[str]) -> str:
    """Return which of several equally possible prefixes is meant.

    Raises
    ------
    StateDictError
        If it is ambiguous.
    """
    if len(found) == 2:
        for prefix, other in (found, found[::-1]):
            last = prefix.rstrip(".").rpartition(".")[2]
            if last in _PREFERRED and prefix.replace(last, _PREFERRED[last]) == other:
                return other
    if len(found) > 1:
        raise StateDictError(
            f"the state dict holds the network {len(found)} times, under {', '.join(map(repr, found))}: keep "
            "the names that begin with one of them, without it (on the command line: --strip-prefix)"
        )
    return found[0]


def unwrapped(model: Module, state: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return a state dict's entries for the model, and a note if a prefix was removed.

    A prefix is removed only if all of the model's names follow it; otherwise the state dict is
    returned unchanged.

    Raises
    ------
    StateDictError
        If it holds the model several times and it is ambiguous which is meant.
    """
    if not state or _whole(model, state):
        return state, ""
    found: list[str] = []
    for prefix in prefixes(state):
        nested = any(prefix.startswith(shorter) for shorter in found)
        if prefix and not nested and _whole(model, under(state, prefix)):
            found.append(prefix)
    if not found:
        return state, ""
    prefix = one_of(found)
    return under(state, prefix), note(state, prefix)


def note(state: Iterable[str], prefix: str) -> str:
    """Return a note that a prefix was removed, and which names were left out."""
    others = [name for name in state if not name.startswith(prefix)]
    some = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
    unused = f"; not used: {some}" if others else ""
    before = f"{len(list(state)) - len(others)} names" if others else "every name"
    return f"left out the prefix {prefix!r} that a wrapper put before {before}{unused}"


def _whole(model: Module, state: Mapping[str, Any]) -> bool:
    return all(map(is_counter, compare(model, state).missing))
