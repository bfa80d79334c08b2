"""The most probable classes of a classifier's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rvision._numbers import integer
from rvision.errors import ArgumentError, ShapeError

__all__ = ["Guess", "checked", "guesses", "own_categories", "probabilities", "top_of"]


class Guess(NamedTuple):
    """A class that a classifier names.

    Attributes
    ----------
    name : str
        The class.
    probability : float
        Its probability, in [0, 1].
    index : int
        Its place among the network's outputs.
    """

    name: str
    probability: float
    index: int  # type: ignore[assignment]  # hides tuple.index

    def __repr__(self) -> str:
        return f"({self.name!r}, {self.probability:.3g}, {self.index})"


def probabilities(row: NDArray[Any]) -> NDArray[np.float64]:
    """Return the softmax of a classifier's outputs (classes,), computed in float64."""
    values = np.asarray(row, np.float64)
    with np.errstate(invalid="ignore"):
        exponentials = np.exp(values - values.max())
        total: NDArray[np.float64] = exponentials / exponentials.sum()
    return total


def guesses(
    row: NDArray[Any], categories: Sequence[str] | None, k: int, *, are_probabilities: bool = False
) -> list[Guess]:
    """Return the k largest outputs of one picture, largest first, equal ones in order, NaN last.

    Parameters
    ----------
    row : numpy.ndarray, (classes,)
        Logits, or probabilities if `are_probabilities`.
    categories : sequence of str, optional
        Names of the classes; without them they are called ``class 3``.
    k : int
        The number of classes; all if there are fewer.
    """
    likely = np.asarray(row, np.float64) if are_probabilities else probabilities(row)
    order = np.argsort(-np.asarray(row), kind="stable")[:k]
    return [
        Guess(categories[index] if categories else f"class {index}", float(likely[index]), int(index))
        for index in order
    ]


def top_of(logits: Any, categories: Sequence[str], k: int, where: str) -> list[Guess] | list[list[Guess]]:
    """Return the k most probable classes of outputs (classes,), or a list of them for (N, classes).

    Raises
    ------
    ArgumentError
        If `k` is below 1.
    ShapeError
        If there are not as many outputs as categories.
    TypeError
        If the outputs are not numbers.
    """
    k = integer(k, f"{where}: k", 1)
    if hasattr(logits, "detach"):
        logits = logits.detach()
    array = np.asarray(logits)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{where}: expected outputs of a classifier, numbers, got {array.dtype}")
    if array.ndim not in (1, 2) or array.shape[-1] != len(categories):
        raise ShapeError(
            f"{where}: expected ({len(categories)},) or (N, {len(categories)}), an output for each of these "
            f"weights' classes, got shape {array.shape}"
        )
    if array.ndim == 1:
        return guesses(array, categories, k)
    return [guesses(row, categories, k) for row in array]


def checked(categories: Sequence[str] | None, classes: int, where: str) -> None:
    """Raise if names of classes are given, and there are not as many as classes."""
    if categories and len(categories) != classes:
        raise ArgumentError(
            f"{where}: categories: {len(categories)} names, but the network has {classes} classes"
        )


def own_categories(model: Any) -> list[str] | None:
    """Return the names of the classes that a network's attribute `categories` has, or None.

    `fit_head` sets it. A network of the user's may use this name for something else.
    """
    found = getattr(model, "categories", None)
    if not isinstance(found, list | tuple) or not all(isinstance(name, str) for name in found):
        return None
    return list(found) or None
