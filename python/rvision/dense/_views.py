"""Test-time augmentation: crops, reflections and scales of a picture, classified and averaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvision.dense._convolutionize import Size
from rvision.dense._pictures import Scale, Transform, prepared, unprepared
from rvision.dense._predict import Forms, predict
from rvision.errors import ArgumentError
from rvision.nn import Module
from rvision.transforms.functional import hflip

__all__ = ["average", "five_crop", "multi_scale", "random_crops", "ten_crop"]

_AVERAGES = ("probs", "logprobs", "logits")


def average(logits: Any, how: str = "probs") -> NDArray[np.float32]:
    """Average the outputs of several views.

    Parameters
    ----------
    logits : array_like, (..., classes)
        Logits of each view.
    how : str
        What is averaged over all dimensions but the last, and returned, as in `rvision.Ensemble`:
        ``"probs"`` (the probabilities), ``"logprobs"`` (their logarithms, normalised again) or
        ``"logits"``.

    Returns
    -------
    numpy.ndarray, (classes,), float32

    Raises
    ------
    ArgumentError
        If `how` is something else, or there are no views.
    """
    if how not in _AVERAGES:
        raise ArgumentError(f"average: expected one of {', '.join(_AVERAGES)}, got {how!r}")
    views = np.asarray(logits, np.float64)
    if views.ndim < 2 or views.size == 0:
        raise ArgumentError(f"average: expected logits (views, classes), got shape {views.shape}")
    views = views.reshape(-1, views.shape[-1])
    if how == "logits":
        return views.mean(axis=0).astype(np.float32)
    logarithms = _log_softmax(views)
    if how == "probs":
        return np.exp(logarithms).mean(axis=0).astype(np.float32)
    return _log_softmax(logarithms.mean(axis=0)).astype(np.float32)


def _log_softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = values - values.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def five_crop(
    model: Module,
    image: Any,
    *,
    average: str = "probs",
    padding: str = "shared",
    input_size: Size | None = None,
    squeeze: str | None = None,
    transform: Transform | None = None,
) -> NDArray[np.float32]:
    """Classify the four corners and the centre of a picture, and average.

    The same as :func:`ten_crop` without the reflections.
    """
    forms = Forms(model, None, input_size, squeeze, "dense.five_crop")
    array = _array(image, transform, forms, "dense.five_crop")
    return _average(_five(forms, array, padding, "dense.five_crop"), average)


def ten_crop(
    model: Module,
    image: Any,
    *,
    average: str = "probs",
    padding: str = "shared",
    vertical_flip: bool = False,
    input_size: Size | None = None,
    squeeze: str | None = None,
    transform: Transform | None = None,
) -> NDArray[np.float32]:
    """Classify the four corners and the centre of a picture and their reflections, and average.

    The test of Krizhevsky et al. (2012) and of most papers after it.

    Parameters
    ----------
    model : Module
        A classifier, or what `convolutionize` made of one.
    image : array_like or PIL.Image.Image
        A prepared picture (C, H, W), usually 256 x 256 for windows of 224, or one that `transform`
        prepares without resizing, as for `dense.predict`; without `transform`, floats count as
        prepared.
    average : str
        ``"probs"``, ``"logprobs"`` or ``"logits"``, as for `dense.average`.
    padding : str
        ``"shared"`` runs crops whose distance is a multiple of the network's stride as cells of one
        map: at 256 x 256 the four corners, which makes the ten crops about twice as fast. Networks
        with padding then see pixels of the picture where a crop has zeros. ``"per_window"`` is
        exact: ten crops.
    vertical_flip : bool
        Whether to flip vertically instead of horizontally.
    input_size, squeeze, transform
        As for `dense.predict`.

    Returns
    -------
    numpy.ndarray, (classes,), float32

    Raises
    ------
    ArgumentError
        If the picture is smaller than the window, or an argument is out of range.
    """
    forms = Forms(model, None, input_size, squeeze, "dense.ten_crop")
    array = _array(image, transform, forms, "dense.ten_crop")
    mirrored = array[:, ::-1] if vertical_flip else array[:, :, ::-1]
    views = [_five(forms, each, padding, "dense.ten_crop") for each in (array, mirrored)]
    return _average(np.concatenate(views), average)


def random_crops(
    model: Module,
    image: Any,
    count: int = 10,
    *,
    average: str = "probs",
    flip: float = 0.5,
    generator: np.random.Generator | None = None,
    input_size: Size | None = None,
    transform: Transform | None = None,
) -> NDArray[np.float32]:
    """Classify crops at random positions, some of them reflected, and average.

    Parameters
    ----------
    model, image, average, input_size, transform
        As for :func:`ten_crop`.
    count : int
        Number of crops.
    flip : float
        The probability that a crop is flipped horizontally.
    generator : numpy.random.Generator, optional
        Draws the positions; a new one by default.

    Returns
    -------
    numpy.ndarray, (classes,), float32
    """
    where = "dense.random_crops"
    if count < 1:
        raise ArgumentError(f"{where}: count: expected 1 or more, got {count!r}")
    if not 0 <= flip <= 1:
        raise ArgumentError(f"{where}: flip: expected a probability, got {flip!r}")
    forms = Forms(model, None, input_size, None, where)
    array = _array(image, transform, forms, where)
    generator = np.random.default_rng() if generator is None else generator
    height, width = forms.window
    tops = generator.integers(0, array.shape[1] - height + 1, count)
    lefts = generator.integers(0, array.shape[2] - width + 1, count)
    mirrored = generator.random(count) < flip
    crops = [array[:, y : y + height, x : x + width] for y, x in zip(tops, lefts, strict=True)]
    views = [crop[:, :, ::-1] if flipped else crop for crop, flipped in zip(crops, mirrored, strict=True)]
    return _average(forms.classify(views, where), average)


def multi_scale(
    model: Module,
    image: Any,
    scales: Sequence[Scale] | str,
    stride: Size | None = None,
    *,
    average: str = "probs",
    flip: bool = True,
    padding: str = "shared",
    input_size: Size | None = None,
    squeeze: str | None = None,
    transform: Transform | None = None,
) -> NDArray[np.float32]:
    """Classify all windows of a picture at several scales, and average.

    Dense evaluation as by Simonyan and Zisserman (arXiv:1409.1556): each scale's map is averaged
    over its cells, then over the scales and reflections.

    Parameters
    ----------
    model, stride, padding, input_size, squeeze, transform
        As for `dense.predict`.
    image : PIL.Image.Image or array_like
        An unprepared picture, since it is resized first: a Pillow image, uint8 pixels (H, W, C), or
        an array (C, H, W) of uint8 or of floats between 0 and 1.
    scales : sequence, or "overfeat"
        Factors of the picture's size, or sizes (height, width), as for `dense.predict`.
    average : str
        ``"probs"``, ``"logprobs"`` or ``"logits"``, as for `dense.average`.
    flip : bool
        Whether to include the reflected picture.

    Returns
    -------
    numpy.ndarray, (classes,), float32
    """
    picture = unprepared(image, transform, "dense.multi_scale")
    if picture is None:
        raise ArgumentError(
            "dense.multi_scale: image: a picture is resized before it is prepared; give a Pillow image or "
            "uint8 pixels (H, W, C), or floats (C, H, W) between 0 and 1, and transform="
        )
    views = []
    for each in (picture, hflip(picture))[: 1 + flip]:
        maps = predict(
            model,
            each,
            stride,
            input_size=input_size,
            padding=padding,
            squeeze=squeeze,
            scales=scales,
            transform=transform,
        )
        views += [map.scores.reshape(len(map.scores), -1).T for map in maps]
    if average == "probs":
        # Averages of probabilities are averaged directly; for the others, their logarithms are.
        return np.mean([_average(view, "probs") for view in views], axis=0, dtype=np.float32)
    return _average(np.stack([_average(view, average) for view in views]), average)


_average = average


def _array(image: Any, transform: Transform | None, forms: Forms, where: str) -> NDArray[np.float32]:
    array = prepared(image, transform, where)
    forms.check(array.shape[1:], where)
    return array


def _five(forms: Forms, array: NDArray[np.float32], padding: str, where: str) -> NDArray[np.float32]:
    """Return the logits of the crops: top left, top right, bottom left, bottom right, centre."""
    forms.check_padding(padding, where)
    size, (height, width) = array.shape[1:], forms.window
    down, across = size[0] - height, size[1] - width
    # As in torchvision's centre crop: halves are rounded to even.
    centre = (round(down / 2), round(across / 2))
    places = [(0, 0), (0, across), (down, 0), (down, across), centre]
    if padding == "per_window" or forms.dense is None:
        return forms.classify([array[:, y : y + height, x : x + width] for y, x in places], where)
    found: dict[tuple[int, int], NDArray[np.float32]] = {}
    for group in _groups(places, forms.dense.stride):
        top, left = min(y for y, _ in group), min(x for _, x in group)
        bottom, right = max(y for y, _ in group) + height, max(x for _, x in group) + width
        scores = forms.dense(np.ascontiguousarray(array[None, :, top:bottom, left:right]))[0]
        for y, x in group:
            row, column = (y - top) // forms.dense.stride[0], (x - left) // forms.dense.stride[1]
            found[y, x] = scores[:, row, column]
    return np.stack([found[place] for place in places])


def _groups(places: Sequence[tuple[int, int]], stride: tuple[int, int]) -> Iterator[list[tuple[int, int]]]:
    """Yield groups of positions that are cells of one map."""
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for y, x in places:
        groups.setdefault((y % stride[0], x % stride[1]), []).append((y, x))
    yield from groups.values()
