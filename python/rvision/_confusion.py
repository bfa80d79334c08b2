"""A classifier's mistakes: which classes it confuses, and the mistakes of which it was most certain."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from rvision._html import Html, document, html_table, picture
from rvision._pictures import PictureError, read_picture
from rvision._table import table

__all__ = ["Confused", "Confusion", "Mistake", "Worst", "name_of"]

# Larger matrices are shown as their most frequent confusions.
_MATRIX = 20
_PAIRS = 20
_PAIR = ("truth", "guess", "pictures", "of the class")
_CORNER = "truth, guess"
_THUMBNAIL = 96


def name_of(categories: Sequence[str] | None, index: int) -> str:
    """Return a class's name, or its number."""
    return categories[index] if categories else f"class {index}"


class Confused(NamedTuple):
    """Pictures of one class that were taken for another.

    Attributes
    ----------
    truth, guess : str
        The pictures' class, and what they were taken for.
    pictures : int
        How many.
    share : float
        The fraction of the class's pictures, in [0, 1].
    """

    truth: str
    guess: str
    pictures: int
    share: float


@dataclass(frozen=True, repr=False, eq=False)
class Confusion:
    """How often pictures of each class were taken for each class.

    Attributes
    ----------
    counts : numpy.ndarray
        int64 (classes, classes): a row for each true class, a column for each guess.
    categories : sequence of str, optional
        Names of the classes.
    """

    counts: NDArray[np.int64]
    categories: Sequence[str] | None = None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy:
            return np.array(self.counts, dtype)
        return np.asarray(self.counts, dtype)

    def pairs(self, k: int = _PAIRS) -> list[Confused]:
        """Return the most frequent confusions: pairs of different classes, with their pictures."""
        wrong = self.counts.copy()
        np.fill_diagonal(wrong, 0)
        truths, guesses = np.nonzero(wrong)
        order = np.argsort(-wrong[truths, guesses], kind="stable")[:k]
        totals = self.counts.sum(axis=1)
        return [
            Confused(
                name_of(self.categories, int(truth)),
                name_of(self.categories, int(guess)),
                int(wrong[truth, guess]),
                float(wrong[truth, guess] / totals[truth]),
            )
            for truth, guess in zip(truths[order], guesses[order], strict=True)
        ]

    def _pair_cells(self) -> list[tuple[str, ...]]:
        return [(each.truth, each.guess, str(each.pictures), f"{each.share:.0%}") for each in self.pairs()]

    def _title(self) -> str:
        right, total = int(np.trace(self.counts)), int(self.counts.sum())
        return f"Confusion({len(self.counts)} classes, {right} of {total} pictures right)"

    def __repr__(self) -> str:
        classes = len(self.counts)
        if classes > _MATRIX:
            rows = [
                (each.truth, each.guess, str(each.pictures), f"{each.share:.0%}") for each in self.pairs()
            ]
            shown = table(("truth", "guess", "pictures", "of the class"), rows, left=2)
            return f"{self._title()}, most often:\n{shown}"
        names = [name_of(self.categories, index) for index in range(classes)]
        rows_ = [(name, *(str(count) for count in row)) for name, row in zip(names, self.counts, strict=True)]
        return f"{self._title()}\n" + table((_CORNER, *names), rows_, left=1)

    def html_rows(self) -> Html:
        """Return the matrix as a table, or for many classes the most frequent confusions."""
        classes = len(self.counts)
        if classes > _MATRIX:
            rows = [
                (each.truth, each.guess, str(each.pictures), f"{each.share:.0%}") for each in self.pairs()
            ]
            return html_table(("truth", "guess", "pictures", "of the class"), rows, numbers=(2, 3))
        names = [name_of(self.categories, index) for index in range(classes)]
        totals = np.maximum(self.counts.sum(axis=1, keepdims=True), 1)
        cells = [
            (
                name,
                *(
                    _cell(int(count), share, right == place)
                    for place, (count, share) in enumerate(zip(row, shares, strict=True))
                ),
            )
            for right, (name, row, shares) in enumerate(
                zip(names, self.counts, self.counts / totals, strict=True)
            )
        ]
        return html_table((_CORNER, *names), cells, numbers=range(1, classes + 1))

    def _repr_html_(self) -> str:
        return document(Html(f"<div>{self._title()}</div>"), self.html_rows())


def _cell(count: int, share: float, right: bool) -> Html:
    """Return a count on the colour of right or wrong, stronger for a larger share of the class."""
    colour = "60,140,220" if right else "225,90,50"
    faint = "" if count else ' class="faint"'
    return Html(
        f'<div{faint} style="background:rgba({colour},{0.55 * share:.2f});padding:0 .3em">{count}</div>'
    )


class Mistake(NamedTuple):
    """A picture that was classified wrongly.

    Attributes
    ----------
    source : path or int
        Its file; its place in the data if it was not a file.
    truth, guess : str
        Its class, and the class with the largest output.
    probability : float
        The probability of the guess.
    """

    source: Any
    truth: str
    guess: str
    probability: float


@dataclass(frozen=True, repr=False)
class Worst(Sequence[Mistake]):
    """Mistakes, the most certain first: a sequence of `Mistake`, which is shown as a table."""

    rows: tuple[Mistake, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Mistake: ...

    @overload
    def __getitem__(self, index: slice) -> Worst: ...

    def __getitem__(self, index: int | slice) -> Mistake | Worst:
        if isinstance(index, slice):
            return Worst(self.rows[index])
        return self.rows[operator.index(index)]

    def __iter__(self) -> Iterator[Mistake]:
        return iter(self.rows)

    def __repr__(self) -> str:
        rows = [(_title(row.source), row.truth, row.guess, f"{row.probability:.3f}") for row in self.rows]
        return table(("picture", "truth", "guess", "probability"), rows) if rows else "no mistakes"

    def html_rows(self) -> Html:
        """Return a table with thumbnails."""
        rows = [
            (_thumbnail(row), _title(row.source), row.truth, row.guess, f"{row.probability:.3f}")
            for row in self.rows
        ]
        return html_table(("", "picture", "truth", "guess", "probability"), rows, numbers=(4,))

    def _repr_html_(self) -> str:
        return document(self.html_rows()) if self.rows else document("no mistakes")


def _title(source: Any) -> str:
    return os.fspath(source) if isinstance(source, str | os.PathLike) else f"picture {source}"


def _thumbnail(row: Mistake) -> Html:
    if not isinstance(row.source, str | os.PathLike):
        return Html("")
    try:
        shown = read_picture(row.source)
    except PictureError:  # it may be gone by now
        return Html("")
    return picture(shown, f"{row.truth}, taken for {row.guess}", largest=_THUMBNAIL)
