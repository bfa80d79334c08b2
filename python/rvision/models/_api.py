"""The registry of networks, and the handling of `weights=` in every builder.

A family's file uses it like this::

    from rvision.models._api import model_builder
    from rvision.weights import ResNet50_Weights

    @model_builder(ResNet50_Weights)
    def resnet50(**kwargs: Any) -> ResNet:
        \"\"\"ResNet-50 of "Deep Residual Learning for Image Recognition" (arXiv:1512.03385).\"\"\"
        return ResNet(Bottleneck, [3, 4, 6, 3], **kwargs)

The function only makes the network. The decorator registers it under its name, gives it
torchvision's signature ``(*, weights=None, progress=True, **kwargs)`` and the rest of its
docstring, resolves `weights`, forces `num_classes` to the number that the weights were trained on,
and loads them. A network without published weights uses ``@model_builder()``; it still takes a file
or a state dict. If the weights decide more than `num_classes`, such as a vision transformer's
`image_size`, ``forced=`` is a function from `meta` to these arguments. Values that they only set by
default, such as GoogLeNet's `transform_input`, are in ``defaults=``. Both also apply if published
weights are given as a file (recognised by `weights._identify`); then the caller's arguments take
precedence. If names in published files differ from the module's, the module maps them, since
`load_state_dict` gets them too.

A user's own builder, which handles `weights` itself, is registered with torchvision's `register_model`.
"""

from __future__ import annotations

import fnmatch
import functools
import inspect
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, get_args

from rvision._frames import ends_at_caller, warn
from rvision.models._convert import in_own_names
from rvision.models._from_file import as_origin_says, load_without_prefix, read, recognised, say_unseen
from rvision.nn import Module
from rvision.weights import WeightsEnum
from rvision.weights._fetch import local_file

if TYPE_CHECKING:
    import numpy as np


__all__ = [
    "get_model",
    "get_model_builder",
    "get_model_weights",
    "get_weight",
    "list_models",
    "model_builder",
    "register_model",
]

StateDict: TypeAlias = "Mapping[str, np.ndarray]"
M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])

_BUILDERS: dict[str, Callable[..., Any]] = {}
_WEIGHT_SUFFIXES = {".bin", ".ckpt", ".pkl", ".pt", ".pth", ".safetensors", ".tar"}


class Builder(Protocol[M_co]):
    """A function that makes a network, with torchvision's signature."""

    __name__: str

    def __call__(
        self,
        *,
        weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
        progress: bool = True,
        **kwargs: Any,
    ) -> M_co:
        """Make the network."""
        ...


# ---- the registry ----


def register_model(name: str | None = None) -> Callable[[F], F]:
    """Register a builder under `name`, or under its own (`torchvision.models.register_model`).

    Raises
    ------
    ValueError
        If the name is taken.
    """

    def register(fn: F) -> F:
        key = fn.__name__ if name is None else name
        if key in _BUILDERS:
            raise ValueError(f"An entry is already registered under the name '{key}'.")
        _BUILDERS[key] = fn
        return fn

    return register


def list_models(
    module: ModuleType | None = None,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
) -> list[str]:
    """Return the names of the registered networks, sorted (`torchvision.models.list_models`).

    Parameters
    ----------
    module : module, optional
        Only networks of this package or module, such as ``rvision.models`` or
        ``rvision.models.resnet``.
    include, exclude : str or iterable of str, optional
        Shell-style patterns: names that match any of `include` (by default all) and none of
        `exclude`.

    Examples
    --------
    >>> rvision.models.list_models(include="resnet1*")
    ['resnet101', 'resnet152', 'resnet18']
    """
    names: Iterable[str] = _BUILDERS
    if module is not None:
        homes = {name: fn.__module__ for name, fn in _BUILDERS.items()}
        names = [n for n in names if module.__name__ in (homes[n], homes[n].rpartition(".")[0])]
    included, excluded = (
        [patterns] if isinstance(patterns, str) else list(patterns or []) for patterns in (include, exclude)
    )
    return sorted(
        name
        for name in names
        if (not included or any(fnmatch.fnmatchcase(name, p) for p in included))
        and not any(fnmatch.fnmatchcase(name, p) for p in excluded)
    )


@ends_at_caller
def get_model_builder(name: str) -> Callable[..., Module]:
    """Return the builder registered under a name, in lower or upper case.

    Raises
    ------
    ValueError
        If there is none; the message suggests the nearest names.

    Examples
    --------
    >>> rvision.models.get_model_builder("resnet18").__name__
    'resnet18'
    """
    if not isinstance(name, str):
        raise TypeError(f"expected the name of a network, got {type(name).__name__}")
    builder = _BUILDERS.get(name) or _BUILDERS.get(name.lower())
    if builder is None:
        from rvision.models._names import unknown

        raise ValueError(unknown(name, _BUILDERS))
    return builder


@ends_at_caller
def get_model(name: str, **config: Any) -> Module:
    """Make the network registered under a name: ``get_model("resnet50", weights="DEFAULT")``.

    Parameters
    ----------
    name : str
        One of `list_models()`.
    **config
        Passed to the builder.

    Raises
    ------
    ValueError
        If there is no such network.

    Examples
    --------
    >>> model = rvision.models.get_model("resnet18", num_classes=10)
    >>> model(np.zeros((1, 3, 64, 64), np.float32)).shape
    (1, 10)
    """
    return get_model_builder(name)(**config)


@ends_at_caller
def get_model_weights(name: Callable[..., Any] | str) -> type[WeightsEnum]:
    """Return the enum class of the weights published for a network.

    Parameters
    ----------
    name : str or callable
        A registered name or a builder. The class is read from the annotation of the builder's `weights`.

    Raises
    ------
    ValueError
        If the network does not exist, or no weights are published for it.

    Examples
    --------
    >>> list(rvision.models.get_model_weights("resnet50"))
    [ResNet50_Weights.IMAGENET1K_V1, ResNet50_Weights.IMAGENET1K_V2]
    """
    builder = get_model_builder(name) if isinstance(name, str) else name
    parameter = inspect.signature(builder, eval_str=True).parameters.get("weights")
    if parameter is not None:
        for kind in (parameter.annotation, *get_args(parameter.annotation)):
            if isinstance(kind, type) and issubclass(kind, WeightsEnum):
                return kind
    raise ValueError(
        f"No weights are published for {builder.__name__}: its argument 'weights' names no WeightsEnum class"
    )


@ends_at_caller
def get_weight(name: str) -> WeightsEnum:
    """Return weights by their full name, such as ``"ResNet50_Weights.IMAGENET1K_V2"``.

    Raises
    ------
    ValueError
        If the name is not of this form, or the class does not exist.
    KeyError
        If the class has no such member.

    Examples
    --------
    >>> rvision.models.get_weight("ResNet50_Weights.DEFAULT")
    ResNet50_Weights.IMAGENET1K_V2
    """
    class_name, dot, member = name.partition(".")
    if not dot or "." in member:
        raise ValueError(
            f"Invalid weight name provided: '{name}'; expected one like 'ResNet50_Weights.IMAGENET1K_V2'."
        )
    for enum in WeightsEnum.__subclasses__():
        if enum.__name__ == class_name:
            if member not in enum.__members__:
                raise KeyError(f"{class_name} has no {member!r}; it has {', '.join(enum.__members__)}")
            return enum[member]
    raise ValueError(f"There is no weights class '{class_name}' (asked for '{name}').")


# ---- what builders share ----


def model_builder(
    weights: type[WeightsEnum] | None = None,
    *,
    name: str | None = None,
    forced: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    defaults: Mapping[str, Any] | None = None,
    input_size: tuple[int, int, int] | None = None,
    from_state: Callable[[Mapping[str, tuple[int, ...]]], dict[str, Any]] | None = None,
) -> Callable[[Callable[..., M]], Builder[M]]:
    """Turn a function that makes a network into a registered builder; see the module's introduction.

    Parameters
    ----------
    weights : WeightsEnum class, optional
        The weights published for the network.
    name : str, optional
        The name to register, the function's own by default.
    forced : callable, optional
        Returns the arguments that the weights decide besides `num_classes`, given their `meta`.
    defaults : mapping, optional
        Defaults of other arguments with published weights.
    input_size : tuple of int, optional
        (C, H, W) of the pictures that the network is made for, its attribute `input_size`. By
        default the size at which its weights (given or published) were evaluated.
    from_state : callable, optional
        Returns the arguments besides `num_classes` with which the network has the names and shapes
        of a state dict, if they are not the default ones. Used by the command line.
    """
    enum = weights

    def decorate(fn: Callable[..., M]) -> Builder[M]:
        @functools.wraps(fn)
        def build(*args: Any, **kwargs: Any) -> M:
            if args:
                kwargs = _named(fn.__name__, args, kwargs)
            progress = kwargs.pop("progress", True)
            source = _legacy(fn.__name__, enum, kwargs)
            source = _resolve(fn.__name__, enum, source)
            if source is None:
                return _sized(fn(**kwargs), input_size or _evaluated_size(enum, None))
            member = source
            if isinstance(source, WeightsEnum):
                _force(kwargs, _decided(source.meta, forced))
                kwargs = {**(defaults or {}), **kwargs}
            else:
                known = recognised(enum, source)
                kwargs = as_origin_says(fn.__name__, source, known, kwargs)
                member = known and known.weights
                if known is not None:
                    say_unseen(fn.__name__, source, known, defaults or {}, kwargs)
                    kwargs = {**(defaults or {}), **_decided(known.weights.meta, forced), **kwargs}
            size = input_size or _evaluated_size(enum, member)
            # The file first: a failing download should not wait until a network is made.
            state_dict = _read(source, progress)
            model = fn(**kwargs)
            if isinstance(source, WeightsEnum) or not isinstance(model, Module):
                model.load_state_dict(state_dict)  # type: ignore[attr-defined]
            else:
                state_dict = in_own_names(state_dict, model)
                load_without_prefix(fn.__name__, model, state_dict)
            model = _sized(model, size)
            if isinstance(model, Module) and isinstance(member, WeightsEnum):
                # Displays name the classes by them.
                model._links.note("weights", member)
            return model

        signature = _signature(fn, enum)
        build.__signature__ = signature  # type: ignore[attr-defined]
        build.__annotations__ = {
            **{p.name: p.annotation for p in signature.parameters.values()},
            "return": signature.return_annotation,
        }
        build.__doc__ = _docstring(fn, enum)
        build.from_state = from_state  # type: ignore[attr-defined]
        # A file's names show auxiliary heads, but not other settings.
        build.unseen = tuple(key for key in defaults or {} if key != "aux_logits")  # type: ignore[attr-defined]
        return register_model(name)(ends_at_caller(build))  # type: ignore[return-value]

    return decorate


def _evaluated_size(enum: type[WeightsEnum] | None, source: Any) -> tuple[int, int, int] | None:
    """Return the smallest (C, H, W) at which the given, else the published weights were evaluated."""
    members = [source] if isinstance(source, WeightsEnum) else list(enum or [])
    sides = [crop[0] for member in members if (crop := getattr(member.transforms(), "crop_size", None))]
    return (3, min(sides), min(sides)) if sides else None


def _sized(model: M, size: tuple[int, int, int] | None) -> M:
    if size is not None:
        model.input_size = size  # type: ignore[attr-defined]
    return model


def _named(builder: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    names = ("weights", "progress")
    if len(args) > len(names):
        raise TypeError(f"{builder}() takes 0 positional arguments but {len(args)} were given")
    given = dict(zip(names, args, strict=False))
    if clash := given.keys() & kwargs.keys():
        raise TypeError(f"{builder}() got multiple values for argument '{clash.pop()}'")
    warn(
        f"Using '{' and '.join(given)}' as positional parameter(s) is deprecated since 0.13 and may be "
        "removed in the future. Please use keyword parameter(s) instead.",
    )
    return {**given, **kwargs}


def _legacy(builder: str, enum: type[WeightsEnum] | None, kwargs: dict[str, Any]) -> Any:
    """Pop `weights` from the arguments, translating `pretrained` of torchvision before 0.13."""
    source = kwargs.pop("weights", None)
    if "pretrained" in kwargs:
        wanted, spelled = kwargs.pop("pretrained"), "The parameter 'pretrained' is"
        if source is not None:
            raise TypeError(f"{builder}() got both 'pretrained' and 'weights'; use 'weights' alone")
    elif isinstance(source, bool):
        wanted, spelled = source, "Arguments other than a weight enum or `None` for 'weights' are"
    else:
        return source
    # torchvision's `pretrained=True` has always meant the first weights, not the best.
    first = getattr(enum, "IMAGENET1K_V1", None)
    if wanted and first is None:
        raise ValueError(f"No weights available for model {builder}")
    chosen = first if wanted else None
    best = f"; 'weights={enum.__name__}.DEFAULT' gives the best ones" if wanted and enum is not None else ""
    warn(
        f"{spelled} deprecated since 0.13 and may be removed in the future, "
        f"please use 'weights={chosen!r}' instead{best}.",
    )
    return chosen


def _resolve(
    builder: str, enum: type[WeightsEnum] | None, source: Any
) -> WeightsEnum | os.PathLike[str] | StateDict | None:
    """Return what `weights=` means: a member of `enum`, a path, a state dict, or None."""
    if source is None or isinstance(source, Mapping | os.PathLike):
        return source
    if isinstance(source, str):
        if enum is not None and source.removeprefix(f"{enum.__name__}.") in enum.__members__:
            return enum.verify(source)
        path = Path(source).expanduser()
        if path.exists() or path.suffix in _WEIGHT_SUFFIXES or len(path.parts) > 1:
            return path
        if enum is None:
            raise ValueError(f"{builder}: no weights are published for it, and '{source}' is not a file")
        raise ValueError(
            f"{builder}: weights='{source}' is none of {enum.__name__}'s ({', '.join(enum.__members__)}) "
            "and not a file"
        )
    if enum is not None:
        return enum.verify(source)
    raise TypeError(
        f"{builder}: weights must be a file or a state dict (none are published), got {type(source).__name__}"
    )


def _decided(
    meta: dict[str, Any], forced: Callable[[dict[str, Any]], dict[str, Any]] | None
) -> dict[str, Any]:
    decided = {} if meta["categories"] is None else {"num_classes": len(meta["categories"])}
    return decided if forced is None else {**decided, **forced(meta)}


def _force(kwargs: dict[str, Any], decided: dict[str, Any]) -> None:
    for key, value in decided.items():
        if kwargs.setdefault(key, value) != value:
            raise ValueError(
                f"The parameter '{key}' expected value {value} but got {kwargs[key]} instead: the weights "
                "decide it. To change the network, build it with the weights and then replace the layer."
            )


# How published weights are read, unless a class says otherwise.
_DOWNLOADED = WeightsEnum.get_state_dict


def _read(source: WeightsEnum | os.PathLike[str] | StateDict, progress: bool) -> StateDict:
    if isinstance(source, WeightsEnum):
        if type(source).get_state_dict is not _DOWNLOADED:
            # Weights that are read in a way of their own.
            return source.get_state_dict(progress=progress, check_hash=True)
        source = local_file(source.url, progress=progress, check_hash=True)
    if isinstance(source, Mapping):
        return source
    with warnings.catch_warnings():
        # `load_without_prefix` handles the prefix.
        warnings.filterwarnings("ignore", message=".*every name begins with")
        return read(source)


def _signature(fn: Callable[..., Any], enum: type[WeightsEnum] | None) -> inspect.Signature:
    own = inspect.signature(fn)
    annotation: Any = str | os.PathLike | Mapping | None
    if enum is not None:
        annotation = enum | annotation
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter("weights", keyword, default=None, annotation=annotation),
        inspect.Parameter("progress", keyword, default=True, annotation=bool),
    ]
    return own.replace(parameters=[*shared, *own.parameters.values()])


def _docstring(fn: Callable[..., Any], enum: type[WeightsEnum] | None) -> str:
    """Complete a builder's docstring, which names the network, with the part all builders share."""
    made = fn.__annotations__.get("return", "the network")
    made = made if isinstance(made, str) else made.__name__
    if enum is None:
        kinds, listed = "path, mapping or None", "None are published."
    else:
        kinds = f"{enum.__name__}, str, path, mapping or None"
        rows = [
            f"    * ``{member.name}`` ({', '.join(_facts(member.meta))}).{_default_mark(member, enum)}"
            for member in enum
        ]
        listed = "\n".join(["Published are:", "", *rows])
    return f"""{inspect.cleandoc(fn.__doc__ or fn.__name__)}

Parameters
----------
weights : {kinds}, optional
    The weights to load: published ones by member or name, a file (.pth, .pt, .safetensors), or a
    state dict. None, the default, initialises the network. {listed}
progress : bool, optional
    Show a bar on stderr while downloading.
**kwargs
    Passed to `{made}`.

Returns
-------
{made}

Raises
------
ValueError
    If `weights` names nothing that is there, or an argument contradicts the weights.
StateDictError
    If the weights do not fit the network.
OSError
    If the file cannot be downloaded or read.
"""


def _facts(meta: dict[str, Any]) -> list[str]:
    accuracy = [
        f"{metrics['acc@1']:.3f} % top-1{'' if data == 'ImageNet-1K' else f' on {data}'}"
        for data, metrics in meta["_metrics"].items()
        if metrics["acc@1"] == metrics["acc@1"]
    ]
    return [*accuracy, f"{meta['_file_size']:.1f} MiB"]


def _default_mark(member: WeightsEnum, enum: type[WeightsEnum]) -> str:
    return " ``DEFAULT``." if len(enum) > 1 and member is enum.__members__["DEFAULT"] else ""
