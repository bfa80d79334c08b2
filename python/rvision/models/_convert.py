"""Conversion of state dicts of timm and Hugging Face to the names of the networks here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import takewhile
from math import isqrt, prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rvision._frames import ends_at_caller, warn
from rvision.errors import StateDictError
from rvision.models._foreign import FAMILIES, Family
from rvision.models._lookalikes import stranger
from rvision.nn._state import compare
from rvision.weights._files import StateDict
from rvision.weights._origin import origin

if TYPE_CHECKING:
    from rvision.nn import Module

__all__ = ["Conversion", "conversion", "convert_state_dict", "in_own_names"]

# The prefix of all names in Hugging Face's wrapper of timm's networks.
_WRAPPER = "timm_model."


class Conversion(NamedTuple):
    """A state dict in a network's own names, and the note to show about it."""

    state: StateDict
    note: str
    unsure: str


@ends_at_caller
def convert_state_dict(
    state_dict: Mapping[str, Any], model: Module, *, architecture: str | None = None
) -> Mapping[str, Any]:
    """Return a state dict of timm or Hugging Face with the names that `model` has.

    The families are ConvNeXt, EfficientNet, MNASNet, MobileNet V2 and V3, RegNet, ResNet, Swin, VGG
    and the vision transformer; timm's DenseNet, Inception v3 and ResNet have torchvision's names
    anyway. If the networks differ, an error is raised. A builder that is given such a file converts
    it by itself.

    Parameters
    ----------
    state_dict : mapping of str to array_like
        From :func:`rvision.load`, timm or transformers.
    model : Module
        The network to load it into.
    architecture : str, optional
        timm's name of the network, if the caller knows it. Some networks differ in ways that names
        and shapes do not show, such as the padding of ``tf_efficientnet_b0``; those are refused by
        this name, and for others it settles the question.

    Returns
    -------
    mapping of str to array
        `state_dict` itself if its names are the network's already.

    Raises
    ------
    StateDictError
        If the file is of a different network; the message says how it differs.

    Warns
    -----
    UserWarning
        If other networks have the same names, and `architecture` is not given.

    Examples
    --------
    >>> model = models.convnext_tiny()  # doctest: +SKIP
    >>> state = rvision.load("convnext_tiny.fb_in1k/model.safetensors")  # doctest: +SKIP
    >>> model.load_state_dict(models.convert_state_dict(state, model))  # doctest: +SKIP
    """
    found = conversion(state_dict, model, architecture)
    if found is None:
        return state_dict
    if found.unsure:
        warn(found.unsure)
    return found.state


def in_own_names(state_dict: Mapping[str, Any], model: Module) -> Mapping[str, Any]:
    """Convert a state dict that was given as a file, with a warning."""
    found = conversion(state_dict, model)
    if found is None:
        return state_dict
    warn(". ".join(filter(None, (found.note, found.unsure))))
    return found.state


def conversion(
    state_dict: Mapping[str, Any], model: Module, architecture: str | None = None
) -> Conversion | None:
    """Convert a state dict if its names are another library's; see `convert_state_dict`.

    Returns
    -------
    Conversion or None
        None if the names are the network's own, or unknown.
    """
    if not all(isinstance(name, str) for name in state_dict):
        return None
    state = {name.removeprefix(_WRAPPER): value for name, value in state_dict.items()}
    known = _known(state)
    if not known:
        # A wrapper's prefix of all names.
        prefix = _common_prefix(state)
        state = {name.removeprefix(prefix): value for name, value in state.items()}
        known = _known(state)
    kinds = [kind.__name__ for kind in type(model).__mro__]
    family = next((family for family in known if family.network in kinds), None)
    if family is None:
        # Networks with blur filters have a ResNet's own names; padding is settled elsewhere, where
        # it is a choice.
        _refuse_by_name(architecture, converted=False)
    if not known:
        return None
    entries = compare(model, {}).entries
    if all(name in entries for name in state_dict):
        return None
    if family is None:
        if 2 * sum(name in entries for name in state) >= len(entries):
            return None
        raise StateDictError(
            f"the names are {_whose(known[0])} of a {known[0].network}, and the network is a "
            f"{type(model).__name__}"
        )
    _refuse(family, state, architecture or _architecture_of(state_dict))
    for pattern, why in family.doubted if architecture is None else ():
        if any(re.match(pattern, name) for name in state):
            raise StateDictError(f"the state dict has {_whose(family)} names: {why}")
    renamed = _renamed(family, state, entries)
    _check_positions(renamed, entries, model)
    for name, entry in entries.items():
        if name not in renamed and re.match(family.own, name):
            renamed[name] = getattr(entry.module, entry.name)
    result = StateDict(
        (name, _value(family, name, value, entries.get(name))) for name, value in renamed.items()
    )
    result.source = getattr(state_dict, "source", None)
    note = f"the names are {_whose(family)} of a {family.network}, and were mapped to those here"
    return Conversion(result, note, family.unsure if architecture is None else "")


def _common_prefix(names: Iterable[str]) -> str:
    columns = zip(*(name.split(".")[:-1] for name in names), strict=False)
    return "".join(f"{parts[0]}." for parts in takewhile(lambda parts: len(set(parts)) == 1, columns))


def _known(names: Iterable[str]) -> list[Family]:
    names = list(names)
    return [family for family in FAMILIES if any(re.match(family.mark, name) for name in names)]


def _whose(family: Family) -> str:
    return family.library if family.library.endswith(")") or "'" in family.library else f"{family.library}'s"


def _refuse(family: Family, state: Mapping[str, Any], architecture: str | None) -> None:
    """Raise if the names are those of a different network."""
    for pattern, what in family.refused:
        name = next((name for name in state if re.match(pattern, name)), None)
        if name is not None:
            raise StateDictError(
                f"the state dict has {_whose(family)} names and is of another network than the "
                f"{family.network} here: {what} ({name})"
            )
    for pattern, what in family.needed:
        if not any(re.match(pattern, name) for name in state):
            raise StateDictError(
                f"the state dict has {_whose(family)} names and is of another network than the "
                f"{family.network} here: {what}"
            )
    _refuse_by_name(architecture, converted=True)


def _refuse_by_name(architecture: str | None, *, converted: bool) -> None:
    found = stranger(architecture, converted=converted) if architecture else None
    if found is not None:
        raise StateDictError(
            f"the state dict is of {architecture}, which is not the network here although its names and "
            f"shapes are those of one: {found.difference}"
        )


def _architecture_of(state_dict: Mapping[str, Any]) -> str | None:
    """Return the network's name that a state dict's file states."""
    source = getattr(state_dict, "source", None)
    return None if source is None else origin(source.path).architecture or None


# ---- names ----


def _renamed(family: Family, state: Mapping[str, Any], entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values under their names here, with queries, keys and values concatenated."""
    blocks = _inverted_residuals(family.blocks, state) if family.blocks else {}
    counts = {
        "stages": 1 + len({block.partition(".")[0] for block in blocks}),
        "blocks": 1 + len(blocks),
    }
    renamed: dict[str, Any] = {}
    parts: dict[str, dict[int, Any]] = {}
    lost = []
    for name, value in state.items():
        new = _block_name(name, blocks) or _rule_name(name, family, counts)
        if new == "":
            continue
        if new is None:
            new = name
            if name not in entries:
                lost.append(name)
        if "#" in new:
            new, _, part = new.partition("#")
            parts.setdefault(new, {})[int(part)] = value
        else:
            renamed[new] = value
    if lost:
        some = ", ".join(lost[:4]) + (", ..." if len(lost) > 4 else "")
        raise StateDictError(
            f"the state dict has {_whose(family)} names and is of another network than the {family.network} "
            f"here, which has nothing for {len(lost)} of them ({some})"
        )
    for name, pieces in parts.items():
        if sorted(pieces) != [0, 1, 2]:
            raise StateDictError(f"{name}: of queries, keys and values only {len(pieces)} are there")
        renamed[name] = np.concatenate([_array(pieces[part]) for part in (0, 1, 2)])
    return renamed


def _rule_name(name: str, family: Family, counts: Mapping[str, int]) -> str | None:
    """Map a name by the family's rules: empty if it is dropped, None if no rule matches."""
    for pattern, template in family.rules:
        found = re.match(rf"(?:{pattern})(?=\.|$)", name)
        if found is None:
            continue
        if template is None:
            return ""
        head, mark, part = template.partition("#")
        numbers = dict(counts)
        for key, text in found.groupdict().items():
            n = int(text)
            numbers |= {
                key: n,
                f"{key}_next": n + 1,
                f"{key}_before": n - 1,
                f"{key}_odd": 2 * n + 1,
                f"{key}_even": 2 * n,
                f"{key}_after": 2 * n + 2,
            }
        return head.format_map(numbers) + name[found.end() :] + mark + part
    return None


class _Places(NamedTuple):
    """The names of an inverted residual's parts in a network here.

    Templates of the block (stage s, number b in it, number n in the network), of the i-th convolution and its
    batch norm, and of the last convolution and its norm.
    """

    block: str
    conv: str
    norm: str
    last_conv: str
    last_norm: str


_PLACES = {
    "EfficientNet": _Places("features.{stage}.{b}.block", "{i}.0", "{i}.1", "{i}.0", "{i}.1"),
    "MobileNetV3": _Places("features.{n}.block", "{i}.0", "{i}.1", "{i}.0", "{i}.1"),
    "MobileNetV2": _Places("features.{n}.conv", "{i}.0", "{i}.1", "{i}", "{after}"),
    "MNASNet": _Places("layers.{place}.{b}.layers", "{third}", "{norm}", "{third}", "{norm}"),
}

# The convolutions of a block in order, with and without a leading expansion.
_EXPANDED = ("conv_pw", "conv_exp", "conv_dw", "conv_pwl")
_PLAIN = ("conv", "conv_dw", "conv_pw")


def _inverted_residuals(network: str, state: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the names here of the parts of each of timm's blocks ``s.b``."""
    found: dict[tuple[int, int], set[str]] = {}
    for name in state:
        match = re.match(r"blocks\.(\d+)\.(\d+)\.(\w+)\.", name)
        if match:
            found.setdefault((int(match[1]), int(match[2])), set()).add(match[3])
    places = _PLACES[network]
    result = {}
    for number, (s, b) in enumerate(sorted(found), start=1):
        parts = found[s, b]
        convs = [part for part in (_EXPANDED if "conv_pwl" in parts else _PLAIN) if part in parts]
        block = places.block.format(stage=s + 1, b=b, n=number, place=7 + s)
        if network == "MNASNet" and s == 0:
            # Its first block is not a separate module: layers.3 to layers.7.
            names = {"conv_dw": "layers.3", "bn1": "layers.4", "conv_pw": "layers.6", "bn2": "layers.7"}
        elif network == "MobileNetV3" and convs == ["conv"]:
            names = {"conv": f"features.{number}.0", "bn1": f"features.{number}.1"}
        else:
            names = {}
            i = 0
            for k, conv in enumerate(convs, start=1):
                last = k == len(convs)
                if last and "se" in parts:
                    names["se.conv_reduce"] = f"{block}.{i}.fc1"
                    names["se.conv_expand"] = f"{block}.{i}.fc2"
                    i += 1
                numbers = {"i": i, "after": i + 1, "third": 3 * i, "norm": 3 * i + 1}
                names[conv] = f"{block}.{(places.last_conv if last else places.conv).format_map(numbers)}"
                names[f"bn{k}"] = f"{block}.{(places.last_norm if last else places.norm).format_map(numbers)}"
                i += 1
        result[f"{s}.{b}"] = names
    return result


def _block_name(name: str, blocks: Mapping[str, Mapping[str, str]]) -> str | None:
    found = re.match(r"blocks\.(\d+\.\d+)\.((?:se\.)?\w+)\.(\w+)$", name)
    if found is None:
        return None
    place = blocks.get(found[1], {}).get(found[2])
    return place and f"{place}.{found[3]}"


# ---- values ----


def _value(family: Family, name: str, value: Any, entry: Any) -> Any:
    """Convert a value to the shape and eps that it has here."""
    if entry is None:
        return value
    shape = tuple(getattr(value, "shape", ()))
    if shape != entry.shape and re.match(family.reshaped, name) and prod(shape) == prod(entry.shape):
        value = _array(value).reshape(entry.shape)
    if entry.name == "running_var" and family.norm_eps is not None:
        shift = family.norm_eps - entry.module.eps
        if abs(shift) > 1e-9:
            # A norm reads only variance + eps, so the difference in eps can be moved into the
            # variance.
            value = (_array(value).astype(np.float64) + shift).astype(np.float32)
    return value


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if "bfloat16" in str(value.dtype):
            value = value.float()
    return np.asarray(value)


def _check_positions(state: Mapping[str, Any], entries: Mapping[str, Any], model: Module) -> None:
    """Raise if a transformer's positions are for another picture size, or for patches only."""
    name = "encoder.pos_embedding"
    if name not in entries or name not in state:
        return
    here, there = entries[name].shape, tuple(state[name].shape)
    if here == there or len(there) != 3 or there[2] != here[2]:
        return
    if isqrt(there[1]) ** 2 == there[1]:
        raise StateDictError(
            f"the state dict has positions for {there[1]} patches and none for the class token: another "
            "network than the VisionTransformer here"
        )
    side = isqrt(there[1] - 1)
    if side**2 == there[1] - 1:
        patch = model.patch_size
        raise StateDictError(
            f"the state dict is for pictures of {side * patch} pixels ({side} x {side} patches), the network "
            f"for {model.image_size}: build it with image_size={side * patch}"
        )
