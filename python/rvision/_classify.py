"""Classifying pictures in one line: `rvision.classify`."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

# Packages are imported before their submodules, for threads that import at the same time.
import rvision.dense
import rvision.utils  # noqa: F401
from rvision import models
from rvision._ensemble import Ensemble
from rvision._frames import ends_at_caller
from rvision._html import Html, document, escape, html_table, picture, swatch
from rvision._numbers import integer
from rvision._pictures import PictureError, Prepared, Source, as_sources, outputs, read_picture
from rvision._progress import bar
from rvision._table import table
from rvision._top import Guess, checked, guesses, own_categories
from rvision.dense._pictures import check_levels
from rvision.errors import ArgumentError
from rvision.nn import Module
from rvision.transforms import ImageClassification
from rvision.utils._images import as_picture
from rvision.weights import WeightsEnum

__all__ = ["Classification", "ClassificationRow", "check_sources", "classify", "network_of"]

# Pictures that a cell shows; thumbnails of thousands would make a notebook slow.
_SHOWN = 50
_THUMBNAIL = 96


@dataclass(frozen=True)
class ClassificationRow:
    """A picture and its most probable classes.

    Attributes
    ----------
    source : path, PIL.Image.Image or numpy.ndarray
        The picture as it was given; for a folder, each file in it.
    name : str
        The most probable class.
    probability : float
        Its probability, in [0, 1].
    index : int
        Its place among the network's outputs.
    top : tuple of Guess
        The most probable classes, as `(name, probability, index)`.
    """

    source: Any = field(repr=False)
    name: str
    probability: float
    index: int
    top: tuple[Guess, ...]


@dataclass(frozen=True, repr=False)
class Classification(Sequence[ClassificationRow]):
    """What `classify` found: a sequence of rows, which is shown as a table.

    Attributes
    ----------
    rows : tuple of ClassificationRow
        One for each picture, in order.
    """

    rows: tuple[ClassificationRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> ClassificationRow: ...

    @overload
    def __getitem__(self, index: slice) -> Classification: ...

    def __getitem__(self, index: int | slice) -> ClassificationRow | Classification:
        if isinstance(index, slice):
            return Classification(self.rows[index])
        return self.rows[operator.index(index)]

    def __iter__(self) -> Iterator[ClassificationRow]:
        return iter(self.rows)

    def __repr__(self) -> str:
        cells = [
            (_title(row.source, place) if rank == 0 else "", guess.name, f"{100 * guess.probability:.1f} %")
            for place, row in enumerate(self.rows[:_SHOWN])
            for rank, guess in enumerate(row.top)
        ]
        text = table(("picture", "class", "probability"), cells, left=2)
        hidden = len(self) - _SHOWN
        return f"{text}\n... and {hidden} more" if hidden > 0 else text

    def _repr_html_(self) -> str:
        rows = [
            (_thumbnail(row.source, place), _title(row.source, place), _bars(row.top))
            for place, row in enumerate(self.rows[:_SHOWN])
        ]
        hidden = len(self) - _SHOWN
        more = [Html(f'<div class="faint">... and {hidden} more</div>')] if hidden > 0 else []
        return document(html_table(("", "picture", "classes"), rows), *more)


def _title(source: Source, place: int) -> str:
    return os.fspath(source) if isinstance(source, str | os.PathLike) else f"picture {place}"


def _thumbnail(source: Source, place: int) -> Html:
    try:
        shown = read_picture(source) if isinstance(source, str | os.PathLike) else as_picture(source, "")
    # The file may be gone by now, and arrays need not be pictures.
    except (PictureError, ValueError, TypeError):
        return Html("")
    return picture(shown, _title(source, place), largest=_THUMBNAIL)


def _bars(top: Sequence[Guess]) -> Html:
    lines = "".join(
        f'<tr style="background:transparent"><td>{escape(guess.name)}</td>'
        f"<td>{swatch(guess.probability)}</td>"
        f'<td class="number">{100 * guess.probability:.1f} %</td></tr>'
        for guess in top
    )
    return Html(f'<table style="margin:0"><tbody>{lines}</tbody></table>')


@ends_at_caller
def classify(
    model: Callable[[Any], Any] | str,
    pictures: Source | Sequence[Source],
    weights: WeightsEnum | str | os.PathLike[str] | None = None,
    k: int = 5,
    *,
    batch_size: int = 16,
    transforms: Callable[[Any], Prepared] | None = None,
    categories: Sequence[str] | None = None,
    orient: bool = False,
    progress: bool = False,
) -> Classification:
    """Name what is on pictures: the most probable classes of each.

    Parameters
    ----------
    model : Module, callable or str
        A network, a function from float32 (N, C, H, W) to logits (N, classes), or the name of a network.
    pictures : path, PIL.Image.Image, numpy.ndarray, or a sequence of these
        Files, folders (all pictures in them and below), Pillow images, uint8 pixels (H, W, C), or arrays
        (C, H, W) of uint8 or of floats between 0 and 1; an array (N, C, H, W) stands for N pictures.
    weights : WeightsEnum member, str or path, optional
        For a name: the weights to load, the network's default ones if None. For a network: the published
        weights whose preprocessing and classes are used; not needed for a network that was built with
        ``weights=`` and has not been changed since, or that `fit_head` returned.
    k : int
        The number of classes to name; all if there are fewer.
    batch_size : int
        Pictures per run. The result does not depend on it.
    transforms : callable, optional
        Prepares a picture, instead of the weights' preset.
    categories : sequence of str, optional
        Names of the classes, instead of the weights' own.
    orient : bool
        Apply the EXIF orientation of picture files.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Classification
        A row for each picture: `source`, `name`, `probability` and `index` of the most probable class,
        and `top`, the `k` most probable ones. Probabilities are the softmax of the outputs.

    Raises
    ------
    ArgumentError
        If it is not known how to prepare pictures for the network, or `k` or `batch_size` is below 1.
    FileNotFoundError
        If a file or folder does not exist.
    PictureError
        If a picture cannot be read.

    Examples
    --------
    >>> model = rvision.models.resnet18(num_classes=3)
    >>> prepare = transforms.Compose([transforms.Resize(64), transforms.ToTensor()])
    >>> found = rvision.classify(model, "picture.jpg", transforms=prepare, categories=["a", "b", "c"])
    >>> len(found), len(found[0].top), found[0].source.name
    (1, 3, 'picture.jpg')
    """
    k = integer(k, "classify: k", 1)
    sources = as_sources(pictures, "classify")
    network, member = network_of(model, weights, "classify")
    if transforms is None:
        transforms = member.transforms() if member is not None else getattr(network, "transforms", None)
    if transforms is None:
        raise ArgumentError(
            "classify: it is not known how to prepare pictures for this network: give weights=, such as "
            "ResNet50_Weights.DEFAULT, or transforms="
        )
    if categories is None:
        categories = own_categories(network) if member is None else member.meta["categories"]
    check_sources(sources, transforms, "classify")
    # Such an ensemble returns probabilities, everything else logits or log-probabilities.
    likely = isinstance(network, Ensemble) and network.average == "probs"
    results: Any = outputs(network, sources, transforms, batch_size, orient=orient)
    if progress:
        results = bar(results, total=len(sources), unit="picture", leave=False)
    rows = []
    for source, row in zip(sources, results, strict=True):
        if isinstance(row, PictureError):
            raise row
        checked(categories, len(row), "classify")
        top = tuple(guesses(row, categories, k, are_probabilities=likely))
        rows.append(ClassificationRow(source, *top[0], top))
    return Classification(tuple(rows))


def network_of(model: Any, weights: Any, where: str) -> tuple[Callable[[Any], Any], WeightsEnum | None]:
    """Return the network, and the published weights that name its classes, if there are any."""
    if isinstance(model, str):
        given = weights
        if given is None:
            given = models.get_model_weights(model)["DEFAULT"]
        model = models.get_model(model, weights=given)
        return model, model._links.noted("weights")
    if not callable(model):
        raise TypeError(f"{where}: model: expected a network or its name, got {type(model).__name__}")
    if isinstance(weights, str) and "." in weights:
        weights = models.get_weight(weights)
    if weights is not None and not isinstance(weights, WeightsEnum):
        raise TypeError(
            f"{where}: weights: expected published weights, such as ResNet50_Weights.DEFAULT, for a network "
            f"that has its weights already, got {weights!r}"
        )
    if weights is None and isinstance(model, Module):
        weights = model._links.noted("weights")
    return model, weights


def check_sources(sources: Sequence[Source], transforms: Any, where: str) -> None:
    """Raise if floats for a preset cannot be a picture's."""
    if isinstance(transforms, ImageClassification):
        for source in sources:
            check_levels(source, where)
