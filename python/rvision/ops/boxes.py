"""Boxes on pictures (`torchvision.ops.boxes`).

Boxes are arrays whose last dimension holds the four numbers of a box; by default its corners (x1,
y1, x2, y2) in pixels, "xyxy". Functions take anything that NumPy accepts, including integers. They
compute and return float32, as torchvision does for float32 tensors; indices of boxes are int64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvision import _rvision
from rvision.errors import ArgumentError, ShapeError
from rvision.nn._inputs import as_array

__all__ = [
    "as_boxes",
    "batched_nms",
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "nms",
    "remove_small_boxes",
]

_FORMATS = ("xyxy", "xywh", "cxcywh")


def nms(boxes: Any, scores: Any, iou_threshold: float) -> NDArray[np.int64]:
    """Return which boxes remain after non-maximum suppression, best first: `torchvision.ops.nms`.

    The box with the highest score is kept, the boxes that overlap it by more than `iou_threshold`
    are dropped, and so on with the remaining ones. Equal scores are ordered by index.

    Parameters
    ----------
    boxes : array_like
        (N, 4), xyxy.
    scores : array_like
        (N,).
    iou_threshold : float
        Intersection over union above which the lower-scoring of two boxes is dropped.

    Returns
    -------
    numpy.ndarray
        int64 (K,), indices into `boxes`.

    Raises
    ------
    ShapeError
        If `boxes` is not (N, 4) or `scores` not (N,).
    ArgumentError
        If a number is NaN. torchvision keeps such boxes, and ranks them first if the score is NaN.

    Examples
    --------
    >>> boxes = np.float32([[0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
    >>> ops.nms(boxes, np.float32([0.9, 0.8, 0.7]), 0.5).tolist()
    [0, 2]
    """
    return _rvision.nms(
        as_boxes(boxes, "nms: boxes", "(N, 4)"), _scores(scores, "nms: scores"), iou_threshold
    )


def batched_nms(boxes: Any, scores: Any, idxs: Any, iou_threshold: float) -> NDArray[np.int64]:
    """Return which boxes remain after suppression within each class: `torchvision.ops.batched_nms`.

    Exact for all coordinates. (For at most 1,000 boxes torchvision offsets the classes'
    coordinates, which rounds them; for more, the order of equal scores is unspecified. Here they
    are ordered by index.)

    Parameters
    ----------
    boxes : array_like
        (N, 4), xyxy.
    scores : array_like
        (N,).
    idxs : array_like
        (N,) integers: the class of each box.
    iou_threshold : float
        Intersection over union above which the lower-scoring of two boxes is dropped.

    Returns
    -------
    numpy.ndarray
        int64 (K,), indices into `boxes`, best first.

    Raises
    ------
    ShapeError
        If `boxes` is not (N, 4), or `scores` or `idxs` not (N,).
    ArgumentError
        If a number is NaN.
    TypeError
        If `idxs` are not integers.
    """
    where = "batched_nms: idxs"
    classes = as_array(idxs, where)
    if classes.dtype.kind not in "iub" and classes.size:
        raise TypeError(
            f"{where}: expected whole numbers, got an array of {classes.dtype}; use .astype(np.int64)"
        )
    return _rvision.nms(
        as_boxes(boxes, "batched_nms: boxes", "(N, 4)"),
        _scores(scores, "batched_nms: scores"),
        iou_threshold,
        _vector(classes, where, np.int64),
    )


def box_area(boxes: Any, fmt: str = "xyxy") -> NDArray[np.float32]:
    """Return the areas of boxes: `torchvision.ops.box_area`.

    Parameters
    ----------
    boxes : array_like
        (..., 4).
    fmt : str
        The format: "xyxy", "xywh" or "cxcywh", as in :func:`box_convert`.

    Returns
    -------
    numpy.ndarray
        float32 (...). Negative if the corners are swapped in one direction.
    """
    _check_format("box_area", "fmt", fmt)
    boxes = as_boxes(boxes, "box_area: boxes")
    return _area(boxes, fmt)


def box_iou(boxes1: Any, boxes2: Any, fmt: str = "xyxy") -> NDArray[np.float32]:
    """Return the pairwise intersection over union of two sets of boxes: `torchvision.ops.box_iou`.

    Parameters
    ----------
    boxes1, boxes2 : array_like
        (..., N, 4) and (..., M, 4).
    fmt : str
        The format: "xyxy", "xywh" or "cxcywh", as in :func:`box_convert`.

    Returns
    -------
    numpy.ndarray
        float32 (..., N, M). NaN if both boxes have no area (0 / 0).

    Examples
    --------
    >>> ops.box_iou(np.float32([[0, 0, 2, 2]]), np.float32([[0, 0, 2, 1]])).tolist()
    [[0.5]]
    """
    _check_format("box_iou", "fmt", fmt)
    first = as_boxes(boxes1, "box_iou: boxes1", "(..., N, 4)")
    second = as_boxes(boxes2, "box_iou: boxes2", "(..., N, 4)")
    areas = _area(first, fmt)[..., :, None], _area(second, fmt)[..., None, :]
    left, top, right, bottom = (side[..., :, None] for side in _sides(_corners(first, fmt)))
    left2, top2, right2, bottom2 = (side[..., None, :] for side in _sides(_corners(second, fmt)))
    # In place, since the (N, M) arrays dominate the time; non-finite values stay non-finite, as in
    # torch.
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        inter = np.minimum(right, right2)
        inter -= np.maximum(left, left2)
        np.maximum(inter, 0, out=inter)
        height = np.minimum(bottom, bottom2)
        height -= np.maximum(top, top2)
        np.maximum(height, 0, out=height)
        inter *= height
        union = np.add(*areas, out=height)
        union -= inter
        return np.divide(inter, union, out=inter)


def box_convert(boxes: Any, in_fmt: str, out_fmt: str) -> NDArray[np.float32]:
    """Return boxes in another format: `torchvision.ops.box_convert`.

    Parameters
    ----------
    boxes : array_like
        (..., 4).
    in_fmt, out_fmt : str
        "xyxy": corners (x1, y1, x2, y2). "xywh": the upper left corner, width and height. "cxcywh": the
        centre, width and height.

    Returns
    -------
    numpy.ndarray
        float32 (..., 4), a new array.

    Raises
    ------
    ArgumentError
        If a format is not one of these; torchvision's rotated boxes are not supported.
    """
    _check_format("box_convert", "in_fmt", in_fmt)
    _check_format("box_convert", "out_fmt", out_fmt)
    boxes = as_boxes(boxes, "box_convert: boxes")
    if in_fmt == out_fmt:
        return boxes.copy()
    corners = _corners(boxes, in_fmt)
    if out_fmt == "xyxy":
        return corners
    x1, y1, x2, y2 = _sides(corners)
    if out_fmt == "xywh":
        return np.stack([x1, y1, x2 - x1, y2 - y1], axis=-1)
    return np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], axis=-1)


def clip_boxes_to_image(boxes: Any, size: tuple[int, int]) -> NDArray[np.float32]:
    """Clip boxes to a picture: `torchvision.ops.clip_boxes_to_image`.

    Parameters
    ----------
    boxes : array_like
        (..., 4), xyxy.
    size : (int, int)
        The picture's height and width.

    Returns
    -------
    numpy.ndarray
        float32 (..., 4), x within [0, width] and y within [0, height]. A box outside the picture
        gets no area; :func:`remove_small_boxes` finds those.
    """
    boxes = as_boxes(boxes, "clip_boxes_to_image: boxes")
    try:
        height, width = (float(side) for side in size)
    except (TypeError, ValueError):
        raise ArgumentError(f"clip_boxes_to_image: size must be (height, width), got {size!r}") from None
    if not (0 <= height < math.inf and 0 <= width < math.inf):
        raise ArgumentError(f"clip_boxes_to_image: size must be (height, width), not negative, got {size!r}")
    return np.clip(boxes, np.float32(0), np.array([width, height, width, height], np.float32))


def remove_small_boxes(boxes: Any, min_size: float) -> NDArray[np.int64]:
    """Return which boxes are large enough: `torchvision.ops.remove_small_boxes`.

    Parameters
    ----------
    boxes : array_like
        (N, 4), xyxy.
    min_size : float
        Smallest width and height to keep.

    Returns
    -------
    numpy.ndarray
        int64 (K,), indices into `boxes`, ascending.
    """
    x1, y1, x2, y2 = _sides(as_boxes(boxes, "remove_small_boxes: boxes", "(N, 4)"))
    # Infinite coordinates give NaN, which does not count as large enough.
    with np.errstate(invalid="ignore"):
        large = (x2 - x1 >= min_size) & (y2 - y1 >= min_size)
    return np.flatnonzero(large).astype(np.int64)


# ---- inputs ----


# Shapes that boxes may have, by their names in messages: fewest and most dimensions.
_SHAPES = {"(..., 4)": (1, math.inf), "(N, 4)": (2, 2), "(..., N, 4)": (2, math.inf)}


def as_boxes(value: Any, where: str, shape: str = "(..., 4)") -> NDArray[np.float32]:
    """Return boxes as an aligned, C-contiguous float32 array of one of `_SHAPES`."""
    array = _floats(value, where)
    fewest, most = _SHAPES[shape]
    if not fewest <= array.ndim <= most or array.shape[-1] != 4:
        raise ShapeError(
            f"{where}: expected shape {shape}, got {array.shape}; no boxes at all are np.zeros((0, 4))"
        )
    return array


def _scores(value: Any, where: str) -> NDArray[np.float32]:
    return _vector(_floats(value, where), where, np.float32)


def _vector(array: NDArray[Any], where: str, dtype: Any) -> NDArray[Any]:
    if array.ndim != 1:
        raise ShapeError(f"{where}: expected shape (N,), one for each box, got {array.shape}")
    return np.ascontiguousarray(array, dtype)


def _floats(value: Any, where: str) -> NDArray[np.float32]:
    array = as_array(value, where)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{where}: expected an array of numbers, got one of {array.dtype}")
    with np.errstate(over="ignore"):
        return np.require(array, np.float32, ["C", "A"])


def _check_format(where: str, argument: str, fmt: str) -> None:
    if fmt not in _FORMATS:
        raise ArgumentError(f"{where}: {argument} must be one of {', '.join(_FORMATS)}, got {fmt!r}")


# ---- formats ----


def _sides(boxes: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Return each of the four numbers as an array."""
    return tuple(boxes[..., i] for i in range(4))


def _corners(boxes: NDArray[np.float32], fmt: str) -> NDArray[np.float32]:
    a, b, w, h = _sides(boxes)
    if fmt == "xywh":
        return np.stack([a, b, a + w, b + h], axis=-1)
    if fmt == "cxcywh":
        return np.stack([a - w / 2, b - h / 2, a + w / 2, b + h / 2], axis=-1)
    return boxes


def _area(boxes: NDArray[np.float32], fmt: str) -> NDArray[np.float32]:
    a, b, c, d = _sides(boxes)
    with np.errstate(invalid="ignore", over="ignore"):
        return (c - a) * (d - b) if fmt == "xyxy" else c * d
