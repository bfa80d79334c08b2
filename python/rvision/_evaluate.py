"""A classifier's accuracy: `rvision.evaluate`, and the sources of labels."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision._class_folders import classes_of_folders
from rvision._confusion import Confusion, Mistake, Worst, name_of
from rvision._frames import ends_at_caller
from rvision._html import document, escape, folded, html_table
from rvision._numbers import integer
from rvision._pictures import PictureError, Prepared, Source, find_pictures, no_file, outputs
from rvision._progress import bar
from rvision._top import guesses, own_categories
from rvision.errors import ArgumentError
from rvision.nn import Module

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Evaluation", "Labelled", "class_folders", "evaluate", "labelled"]


def _none() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` counted.

    Attributes
    ----------
    n : int
        Pictures that were classified.
    hits : dict of int to int
        For each k, how often the label was among the k largest outputs.
    ranks : numpy.ndarray
        int64 (n,): the rank of each label's output, 0 for the largest; a NaN has the last rank.
    unreadable : list of PictureError
        Pictures that could not be read and were left out.
    rule : str
        How class folders were mapped to classes, such as
        ``"their WordNet ids (folder 'n01440764' is class 0, tench)"``; empty if labels were given
        in another way.
    ignored_orientation : list of paths
        Files whose EXIF orientation was not applied.
    truths, guesses : numpy.ndarray
        int64 (n,): each picture's class, and the class with the largest output.
    probabilities : numpy.ndarray
        float32 (n,): the probability (softmax) of the guess.
    sources : sequence
        Each picture's file; its place in the data, from 0, if it was not a file.
    classes : int
        The number of the network's classes.
    categories : sequence of str, optional
        Their names.
    """

    n: int
    hits: dict[int, int]
    ranks: NDArray[np.int64] = field(repr=False)
    unreadable: list[PictureError] = field(default_factory=list)
    rule: str = ""
    ignored_orientation: list[str | os.PathLike[str]] = field(default_factory=list, repr=False)
    truths: NDArray[np.int64] = field(default_factory=_none, repr=False)
    guesses: NDArray[np.int64] = field(default_factory=_none, repr=False)
    probabilities: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32), repr=False)
    sources: Sequence[Any] = field(default=(), repr=False)
    classes: int = 0
    categories: Sequence[str] | None = field(default=None, repr=False)

    def accuracy(self, k: int = 1) -> float:
        """Return the fraction of pictures whose label was among the k largest outputs; NaN if n is 0."""
        return self.hits[k] / self.n if self.n else float("nan")

    def error(self, k: int = 1) -> float:
        """Return one minus the accuracy."""
        return 1.0 - self.accuracy(k)

    @ends_at_caller
    def confusion(self) -> Confusion:
        """Return how often pictures of each class were taken for each class.

        Raises
        ------
        ArgumentError
            If the evaluation holds no guesses.
        """
        if len(self.guesses) != self.n:
            raise ArgumentError("Evaluation.confusion: this evaluation holds no guesses")
        counts = np.zeros((self.classes, self.classes), np.int64)
        np.add.at(counts, (self.truths, self.guesses), 1)
        return Confusion(counts, self.categories)

    @ends_at_caller
    def worst(self, k: int = 10) -> Worst:
        """Return the mistakes of which the network was most certain.

        Parameters
        ----------
        k : int
            The number of mistakes; all if there are fewer.

        Returns
        -------
        Worst
            Rows of `source`, `truth`, `guess` and `probability`, the most certain first.

        Raises
        ------
        ArgumentError
            If `k` is below 1, or the evaluation holds no guesses.
        """
        k = integer(k, "Evaluation.worst: k", 1)
        if len(self.guesses) != self.n:
            raise ArgumentError("Evaluation.worst: this evaluation holds no guesses")
        wrong = np.flatnonzero(self.truths != self.guesses)
        order = wrong[np.argsort(-self.probabilities[wrong], kind="stable")[:k]]
        return Worst(
            tuple(
                Mistake(
                    self.sources[place],
                    name_of(self.categories, int(self.truths[place])),
                    name_of(self.categories, int(self.guesses[place])),
                    float(self.probabilities[place]),
                )
                for place in order
            )
        )

    def _repr_html_(self) -> str:
        rows = [(f"top-{k}", f"{100 * self.accuracy(k):.2f} %", str(self.hits[k])) for k in self.hits]
        parts = [
            escape(str(self)),
            html_table(("", "accuracy", f"right of {self.n}"), rows, numbers=(1, 2)),
        ]
        if self.n and len(self.guesses) == self.n:
            worst = self.worst()
            if len(worst):
                parts.append(folded("The most certain mistakes", worst.html_rows()))
            parts.append(folded("Confusion", self.confusion().html_rows()))
        return document(*parts)

    def __str__(self) -> str:
        pictures = f"{self.n} {'picture' if self.n == 1 else 'pictures'}"
        rates = (
            f"top-{k} accuracy {100 * self.accuracy(k):.1f} % (error {100 * self.error(k):.1f} %)"
            for k in self.hits
        )
        missed = f"; {len(self.unreadable)} could not be read" if self.unreadable else ""
        return f"{pictures}: {', '.join(rates)}{missed}"


@dataclass(frozen=True)
class Labelled:
    """Pictures and the index of the class of each.

    Attributes
    ----------
    sources : sequence
        Files, pictures or arrays.
    labels : numpy.ndarray or None
        int64 (n,); None if `later` returns them.
    rule : str
        How class folders were mapped to classes.
    later : callable, optional
        Returns labels and rule, given the number of the network's classes.
    """

    sources: Sequence[Source]
    labels: NDArray[np.int64] | None
    rule: str = ""
    later: Callable[[int], tuple[NDArray[np.int64], str]] | None = field(default=None, repr=False)

    def of(self, classes: int) -> tuple[NDArray[np.int64], str]:
        """Return labels and rule for a network with this number of classes."""
        if self.labels is not None:
            return self.labels, self.rule
        assert self.later is not None
        return self.later(classes)


@ends_at_caller
def evaluate(
    model: Callable[[Any], Any],
    data: str | os.PathLike[str] | Sequence[Source] | NDArray[Any] | Labelled,
    labels: str | os.PathLike[str] | ArrayLike | None = None,
    *,
    transforms: Callable[[Any], Prepared] | None = None,
    categories: Sequence[str] | None = None,
    topk: Sequence[int] = (1, 5),
    batch_size: int = 16,
    skip_unreadable: bool = False,
    orient: bool = False,
    progress: bool = False,
) -> Evaluation:
    """Count how often a classifier puts the right class first, and among the first five.

    Parameters
    ----------
    model : callable
        A module, an `Ensemble`, or any function from float32 (N, C, H, W) to (N, K).
    data : path, sequence or numpy.ndarray
        * an array (N, C, H, W): without `transforms` floats as the network takes them; with it
          anything whose elements `transforms` takes;
        * a sequence of files, Pillow images or arrays;
        * a folder of class folders, or a folder whose pictures `labels` lists;
        * a ``.npz`` file with arrays ``images`` and ``labels``.
    labels : array_like of int, or path, optional
        The index of each picture's class; or a CSV file with columns ``file`` and ``class_index`` (a folder's
        own ``labels.csv`` is found).
    transforms : callable, optional
        Maps a picture to float32 (C, H, W), such as ``weights.transforms()`` or
        ``ensemble.transforms``. If it returns a tuple, the model is called with a tuple. By default
        pictures that are not arrays of floats are prepared as the weights say that a network was
        built with, or by the attribute `transforms` of an ensemble or a network of `fit_head`.
    categories : sequence of str, optional
        Names of the classes in the order of the outputs, ``weights.meta["categories"]``. A folder
        stands for the class of its name, its WordNet id (ImageNet's, with 1,000 classes) or its
        number, counted from 0, if this gives every folder a different class. Otherwise, if there
        are as many folders as classes, it stands for its position among the sorted names, as in
        torchvision's `ImageFolder`. The result's `rule` says which. By default the names of the
        weights that a network was built with, or its attribute `categories`.
    topk : sequence of int
        The values of k. Those above the number of classes are left out, except the smallest k.
    batch_size : int
        Pictures per run. The result does not depend on it.
    skip_unreadable : bool
        Leave out pictures that cannot be read, and list them in the result.
    orient : bool
        Apply the EXIF orientation of picture files. torchvision's evaluations do not.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Evaluation

    Raises
    ------
    ArgumentError
        If pictures and labels do not match, a label is none of the network's classes, or the
        numbers of categories and classes differ.
    FileNotFoundError
        If the folder does not exist.
    PictureError
        If a picture cannot be read, unless `skip_unreadable`.
    TypeError
        If `transforms` is missing where it is needed.

    Examples
    --------
    >>> logits = np.float32([[[[3]], [[1]]], [[[1]], [[2]]], [[[5]], [[0]]]])
    >>> result = rvision.evaluate(nn.Flatten(), logits, [0, 1, 1])
    >>> print(result)
    3 pictures: top-1 accuracy 66.7 % (error 33.3 %)

    A folder of class folders, with published weights::

        rvision.evaluate(resnet50(weights="DEFAULT"), "val/")
    """
    member = model._links.noted("weights") if isinstance(model, Module) else None
    if categories is None:
        categories = own_categories(model) if member is None else member.meta["categories"]
    if isinstance(data, Labelled):
        given = data
    elif isinstance(data, str | os.PathLike):
        if labels is not None and not isinstance(labels, str | os.PathLike):
            raise ArgumentError(f"{os.fspath(data)}: its labels come from folders, a CSV file or the .npz")
        given = labelled([data], labels, categories=categories)
    elif isinstance(labels, str | os.PathLike):
        given = labelled(list(data), labels, categories=categories)  # type: ignore[arg-type]
    else:
        given = _paired(data, labels)
    if transforms is None and not _is_prepared(given.sources):
        transforms = getattr(model, "transforms", None) if member is None else member.transforms()
    _check_inputs(given.sources, transforms)
    ranks: list[int] = []
    kept: list[tuple[int, int, int, float]] = []
    unreadable: list[PictureError] = []
    classes, indices, rule = 0, None, given.rule
    ignored: list[str | os.PathLike[str]] = []
    rows = outputs(model, given.sources, transforms, batch_size, orient=orient, ignored=ignored)
    for place, row in enumerate(_with_bar(rows, len(given.sources), progress)):
        if isinstance(row, PictureError):
            if not skip_unreadable:
                raise row
            unreadable.append(row)
            continue
        if indices is None:
            classes = len(row)
            if categories is not None and len(categories) != classes:
                raise ArgumentError(
                    f"categories: {len(categories)} names, but the network has {classes} classes"
                )
            indices, rule = given.of(classes)
        label = indices[place]
        if not 0 <= label < classes:
            raise ArgumentError(f"label {label}: the network has classes 0 to {classes - 1}")
        ranks.append(_rank(row, int(label)))
        guess = guesses(row, None, 1)[0]
        kept.append((place, int(label), guess.index, guess.probability))
    places = np.array(ranks, np.int64)
    counted = [k for k in sorted(topk) if k <= classes or k == min(topk)]
    return Evaluation(
        len(ranks),
        {k: int((places < k).sum()) for k in counted},
        places,
        unreadable,
        rule,
        ignored,
        truths=np.array([label for _, label, _, _ in kept], np.int64),
        guesses=np.array([guess for _, _, guess, _ in kept], np.int64),
        probabilities=np.array([probability for *_, probability in kept], np.float32),
        # Not the pictures themselves: they may be large.
        sources=[_as_source(given.sources[place], place) for place, *_ in kept],
        classes=classes,
        categories=categories,
    )


def _as_source(source: Source, place: int) -> Any:
    return source if isinstance(source, str | os.PathLike) else place


def _rank(row: NDArray[np.float32], label: int) -> int:
    """Return how many outputs rank before the label's: larger ones, equal ones before it, all NaN."""
    value = row[label]
    if np.isnan(value):
        return len(row)
    return int((~(row <= value)).sum() + (row[:label] == value).sum())


def _with_bar(rows: Iterator[Any], total: int, progress: bool) -> Iterator[Any]:
    if not progress:
        return rows
    return iter(bar(rows, total=total, unit="picture", leave=False))


def _paired(data: Any, labels: Any) -> Labelled:
    if labels is None:
        raise ArgumentError("labels: expected the index of each picture's class, got None")
    indices = np.asarray(labels)
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise ArgumentError(
            f"labels: expected whole numbers of shape (N,), got {indices.dtype} of shape {indices.shape}"
        )
    sources = data if isinstance(data, np.ndarray) else list(data)
    if len(sources) != len(indices):
        raise ArgumentError(f"{len(sources)} pictures, but {len(indices)} labels")
    return Labelled(sources, indices.astype(np.int64))  # type: ignore[arg-type]


def _is_prepared(sources: Sequence[Source]) -> bool:
    """Whether pictures without transforms are what the network takes: arrays of floats, or none at all."""
    first = sources[0] if len(sources) else None
    return first is None or (isinstance(first, np.ndarray) and first.dtype.kind == "f")


def _check_inputs(sources: Sequence[Source], transforms: Any) -> None:
    first = sources[0] if len(sources) else None
    if transforms is None and not _is_prepared(sources):
        kind = f"arrays of {first.dtype}" if isinstance(first, np.ndarray) else "pictures"
        raise TypeError(f"evaluate: {kind} need transforms=, such as weights.transforms()")


# ---- where labels come from ----


def labelled(
    paths: Sequence[str | os.PathLike[str]],
    labels: str | os.PathLike[str] | None = None,
    *,
    categories: Sequence[str] | None = None,
) -> Labelled:
    """Find pictures and the classes they belong to.

    Parameters
    ----------
    paths : sequence of paths
        One folder, one ``.npz`` file, or picture files.
    labels : path, optional
        A CSV file with columns ``file`` and ``class_index``. Its files are relative to the folder,
        or to the CSV file if picture files are given. A folder's own ``labels.csv`` is used by
        default.
    categories : sequence of str, optional
        Names of the classes; see `evaluate`.

    Raises
    ------
    ArgumentError
        If there are no labels, or a picture has none.
    OSError
        From the system, such as when a folder does not exist.
    """
    first = Path(paths[0])
    if len(paths) == 1 and not first.exists():
        raise FileNotFoundError(no_file(paths[0]))
    if len(paths) == 1 and first.suffix.lower() == ".npz":
        if labels is not None:
            raise ArgumentError(f"{first}: holds its own labels; --labels is for picture files")
        return _from_npz(first)
    if len(paths) == 1 and first.is_dir():
        own = first / "labels.csv"
        if labels is not None or own.is_file():
            rows = _from_csv(Path(labels or own))
            return _as_labelled([(first / name, index) for name, index in rows])
        return _from_folders(first, categories)
    if labels is None:
        raise ArgumentError(
            "labels are needed: a CSV file with columns file and class_index, or one folder of class folders"
        )
    return _of_files(find_pictures(paths), Path(labels))


def _of_files(files: list[Path], labels: Path) -> Labelled:
    by_path: dict[str, int] = {}
    for name, index in _from_csv(labels):
        by_path[os.path.realpath(labels.parent / name)] = by_path.setdefault(name, index)
    pairs = []
    for file in files:
        keys = [key for key in (os.path.realpath(file), str(file), file.name) if key in by_path]
        if not keys:
            raise ArgumentError(f"{file}: {labels} has no label for it")
        pairs.append((file, by_path[keys[0]]))
    return _as_labelled(pairs)


def _as_labelled(pairs: Sequence[tuple[Path, int]]) -> Labelled:
    return Labelled([path for path, _ in pairs], np.array([index for _, index in pairs], np.int64))


def _from_csv(path: Path) -> list[tuple[str, int]]:
    rows = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            columns = table.fieldnames or []
            if not {"file", "class_index"} <= set(columns):
                raise ArgumentError(
                    f"{path}: expected columns file and class_index, found {', '.join(columns) or 'none'}"
                )
            for row in table:
                try:
                    rows.append((str(row["file"]), int(row["class_index"])))
                except (TypeError, ValueError):
                    raise ArgumentError(
                        f"{path}, line {table.line_num}: class_index {row['class_index']!r} is no number"
                    ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ArgumentError(f"{path}: not a CSV file: {error}") from None
    if not rows:
        raise ArgumentError(f"{path}: no pictures in it")
    return rows


def _from_npz(path: Path) -> Labelled:
    from zipfile import BadZipFile

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if not {"images", "labels"} <= set(arrays.files):
                raise ArgumentError(
                    f"{path}: expected arrays images and labels, found {', '.join(arrays.files) or 'none'}"
                )
            return _paired(arrays["images"], arrays["labels"])
    except (BadZipFile, EOFError, ValueError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"{path}: not a NumPy archive of plain arrays: {error}") from None


def class_folders(root: Path) -> list[Path]:
    """Return the folders in a folder, sorted, without hidden ones."""
    return sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _from_folders(root: Path, categories: Sequence[str] | None) -> Labelled:
    folders = class_folders(root)
    if not folders:
        raise ArgumentError(f"{root}: neither class folders nor a labels.csv in it; give one with --labels")
    inside = [find_pictures([folder]) for folder in folders]

    def labels_of(count: int) -> tuple[NDArray[np.int64], str]:
        classes, rule = classes_of_folders(root, [folder.name for folder in folders], count, categories)
        return np.repeat(np.array(classes, np.int64), [len(files) for files in inside]), rule

    files = [file for each in inside for file in each]
    if categories is None:
        return Labelled(files, None, later=labels_of)
    return Labelled(files, *labels_of(len(categories)))
