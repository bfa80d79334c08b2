"""Which class a folder of pictures stands for: by its name, WordNet id, number or position."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from rvision.errors import ArgumentError

__all__ = ["classes_of_folders", "plain"]

_PLACES = "their places among the sorted names, as in torchvision's ImageFolder"


def classes_of_folders(
    root: Path, names: Sequence[str], count: int, categories: Sequence[str] | None
) -> tuple[list[int], str]:
    """Return the class that each folder stands for, and by which rule.

    Class names, WordNet ids or numbers are used if they give every folder a different class. The
    position among the sorted names is used only if there are as many folders as classes and no
    folder's name says that it is another class.

    Parameters
    ----------
    root : Path
        Where the folders are, for messages.
    names : sequence of str
        The folders' names, sorted.
    count : int
        The network's classes.
    categories : sequence of str, optional
        Their names.

    Returns
    -------
    classes : list of int
        One for each folder.
    rule : str
        Such as ``"their WordNet ids (folder 'n01440764' is class 0, tench)"``.

    Raises
    ------
    ArgumentError
        If the folders stand for no classes, or it is ambiguous which.
    """
    ways = {
        "names": _by_name(categories),
        "WordNet ids": _by_wordnet_id(count),
        "numbers": _by_number(count),
    }
    found = {kind: [way(name) for name in names] for kind, way in ways.items()}
    for kind, classes in found.items():
        told = _different(classes)
        if told is not None:
            return told, _rule(kind, names, told, count, categories)
    mixed = [next((each for each in of if len(each) == 1), []) for of in zip(*found.values(), strict=True)]
    told = _different(mixed)
    if told is not None:
        return told, _rule("names and numbers", names, told, count, categories)
    if len(names) == count:
        return _by_place(root, names, mixed, categories)
    raise ArgumentError(
        f"{root}: {len(names)} class folders, but the network has {count} classes, and "
        f"{_reason(names, mixed, found['names'], count, categories)}; call each folder after its class, its "
        "WordNet id or its number (from 0), or list the pictures in a labels.csv"
    )


def plain(name: str) -> str:
    """Return a name without differences in spelling: case, underscores and hyphens."""
    return " ".join(re.split(r"[\s_-]+", name.casefold().strip()))


# The classes that a name may stand for: none, one, or several of the same name.
_Way = Callable[[str], list[int]]


def _by_name(categories: Sequence[str] | None) -> _Way:
    known: dict[str, list[int]] = {}
    for index, category in enumerate(categories or ()):
        known.setdefault(plain(category), []).append(index)
    return lambda name: known.get(plain(name), [])


def _by_wordnet_id(count: int) -> _Way:
    if count != 1000:
        return lambda _: []
    # Imported here: callers without class folders do not need the weights.
    from rvision.weights import _zoo

    known = {number: [index] for index, number in enumerate(_zoo.imagenet_wordnet_ids())}
    # Some datasets append the name to the id: n02085620-Chihuahua.
    return lambda name: known.get(re.split(r"[\s_-]", name.strip(), maxsplit=1)[0].lower(), [])


def _by_number(count: int) -> _Way:
    return lambda name: [int(name)] if _is_number(name) and int(name) < count else []


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _different(found: Sequence[list[int]]) -> list[int] | None:
    """Return one class for each folder, if each has exactly one and all differ."""
    classes = [each[0] for each in found if len(each) == 1]
    return classes if len(set(classes)) == len(found) else None


def _by_place(
    root: Path, names: Sequence[str], told: Sequence[list[int]], categories: Sequence[str] | None
) -> tuple[list[int], str]:
    ways_out = "give categories= (--categories FILE) in the order of the outputs, or a labels.csv"
    if all(map(_is_number, names)):
        values = [int(name) for name in names]
        if values != sorted(values):
            raise ArgumentError(
                f"{root}: the numbers of the class folders ({', '.join(names[:3])}, ...) are not 0 to "
                f"{len(names) - 1}; it is ambiguous whether their order is numeric or, as in "
                f"torchvision's ImageFolder, alphabetical: {ways_out}"
            )
    else:
        for place, (name, each) in enumerate(zip(names, told, strict=True)):
            if each and each != [place]:
                raise ArgumentError(
                    f"{root}: the folder {name!r} stands for class {each[0]}, but its place among the sorted "
                    f"names is {place}, and not all folders are called after classes; {ways_out}"
                )
    classes = list(range(len(names)))
    return classes, _rule("places", names, classes, len(names), categories)


def _rule(
    kind: str, names: Sequence[str], classes: Sequence[int], count: int, categories: Sequence[str] | None
) -> str:
    """Describe the rule, with an example."""
    place = next((place for place, index in enumerate(classes) if place != index), len(classes) - 1)
    index = classes[place]
    name = f", {categories[index]}" if categories is not None and kind != "names" else ""
    example = f"folder {names[place]!r} is class {index}{name}"
    if kind == "places":
        return f"{_PLACES} ({example})"
    if kind == "numbers" and len(names) == count and place != index:
        example += "; in torchvision's ImageFolder its place among the sorted names decides"
    return f"their {kind} ({example})"


def _reason(
    names: Sequence[str],
    told: Sequence[list[int]],
    by_name: Sequence[list[int]],
    count: int,
    categories: Sequence[str] | None,
) -> str:
    seen: dict[int, str] = {}
    for name, each, same in zip(names, told, by_name, strict=True):
        if len(same) > 1:
            return f"the folder {name!r} stands for classes {' and '.join(map(str, same))}"
        if not each:
            if _is_number(name):
                return f"the folder {name!r} is not one of 0 to {count - 1}"
            why = "is none of them" if categories is not None else "is no number (no categories= are given)"
            return f"the folder {name!r} {why}"
        if each[0] in seen:
            return f"the folders {seen[each[0]]!r} and {name!r} both stand for class {each[0]}"
        seen[each[0]] = name
    return "they stand for no classes"
