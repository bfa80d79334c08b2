"""Batches of a dataset's items."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from rvision._frames import ends_at_caller
from rvision._tensor import Tensor
from rvision.errors import ShapeError
from rvision.transforms._pictures import is_pil

__all__ = ["collate", "convert", "default_collate"]


@ends_at_caller
def default_collate(batch: Sequence[Any]) -> Any:
    """Put items together into a batch, as torch's `default_collate`.

    Parameters
    ----------
    batch : sequence
        Items of the same kind: arrays of one shape, numbers, text, or these in dict, list, tuple and
        named tuple.

    Returns
    -------
    Tensor or container
        Arrays are stacked; integers become int64, floats float64 (as in torch); text stays a list. A
        tuple of items becomes a list of batches.

    Raises
    ------
    ShapeError
        If arrays have different shapes, or lists different lengths.
    TypeError
        If an item is something else, such as a Pillow picture.
    """
    return collate(batch, "")


def collate(batch: Sequence[Any], place: str) -> Any:
    """Put items together; `place` says where in the items they are, for messages."""
    first = batch[0]
    if hasattr(first, "__array__") and hasattr(first, "dtype"):
        return _stacked(batch, place)
    if isinstance(first, bool | int):
        return np.array(batch, _type_of(batch)).view(Tensor)
    if isinstance(first, float):
        return np.array(batch, np.float64).view(Tensor)
    if isinstance(first, str | bytes):
        return batch
    if isinstance(first, Mapping):
        made = {key: collate([item[key] for item in batch], f"{place}[{key!r}]") for key in first}
        return _filled(first, made)
    if isinstance(first, Sequence):
        lengths = {len(item) for item in batch}
        if len(lengths) > 1:
            raise ShapeError(
                f"default_collate: items{place} of different lengths ({_some(lengths)}); give collate_fn="
            )
        columns = [
            collate(column, f"{place}[{index}]") for index, column in enumerate(zip(*batch, strict=True))
        ]
        if isinstance(first, tuple):
            return type(first)(*columns) if hasattr(first, "_fields") else columns
        return _filled(first, columns)
    if is_pil(first):
        raise TypeError(
            f"default_collate: items{place} are Pillow pictures; give the dataset a transform that makes "
            "tensors, such as weights.transforms() or transforms.ToTensor(), or collate_fn="
        )
    raise TypeError(
        f"default_collate: items{place} must be arrays, numbers, text, dicts, lists or tuples, got "
        f"{type(first).__name__}; give collate_fn="
    )


def _type_of(numbers: Sequence[Any]) -> Any:
    """Return the type of numbers that begin with an integer, as `torch.tensor` chooses it."""
    if any(isinstance(number, float) for number in numbers):
        return np.float32
    return np.bool_ if all(isinstance(number, bool) for number in numbers) else np.int64


def _stacked(batch: Sequence[Any], place: str) -> Any:
    arrays = [np.asarray(item.detach() if hasattr(item, "detach") else item) for item in batch]
    if arrays[0].dtype.kind in "OUSV":
        raise TypeError(f"default_collate: items{place} are arrays of {arrays[0].dtype}; give collate_fn=")
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ShapeError(
            f"default_collate: items{place} are arrays of different shapes ({_some(shapes)}); resize or crop "
            "them to one in the dataset's transform, or give collate_fn="
        )
    return np.stack(arrays).view(Tensor)


def _some(found: set[Any]) -> str:
    return ", ".join(map(str, sorted(found)[:4]))


def _filled(first: Any, made: Any) -> Any:
    """Return a container of the type of `first` with other values, or a plain one if that cannot be made."""
    try:
        if isinstance(first, MutableMapping):
            clone = copy.copy(first)
            clone.update(made)
            return clone
        if isinstance(first, MutableSequence):
            clone = copy.copy(first)
            clone[:] = made
            return clone
        return type(first)(made)
    except TypeError:
        return made


def convert(item: Any) -> Any:
    """Return an item with its arrays as tensors: what a loader without batches yields."""
    if isinstance(item, np.ndarray | np.generic):
        array = np.asarray(item)
        return item if array.dtype.kind in "OUSV" else array.view(Tensor)
    if isinstance(item, Mapping):
        return _filled(item, {key: convert(value) for key, value in item.items()})
    if isinstance(item, tuple) and hasattr(item, "_fields"):
        return type(item)(*map(convert, item))
    if isinstance(item, tuple):
        return [convert(value) for value in item]
    if isinstance(item, list):
        return _filled(item, [convert(value) for value in item])
    return item
