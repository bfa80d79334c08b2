"""Which parts of a picture a classifier's answer comes from: class activation maps, and occlusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvision._frames import ends_at_caller
from rvision._numbers import integer
from rvision._tensor import Tensor
from rvision._top import own_categories
from rvision.dense._map import Map, as_shown
from rvision.dense._pictures import check_levels
from rvision.errors import ArgumentError, ShapeError, UnsupportedError
from rvision.models.feature_extraction import create_feature_extractor, get_graph_node_names
from rvision.nn import Linear, Module
from rvision.transforms import ImageClassification

__all__ = ["categories_of", "class_activation_map", "in_own_colours", "occlude", "prepare", "preset_of"]

# The mean that ends a network is among its last nodes.
_LAST = 12
# Of values between 0 and 1 that were normalised and back, in float32.
_ROUNDING = 0.01
# Relative to the largest logit; two orders of addition differ by much less.
_EXACT = 1e-4


def preset_of(model: Any) -> Any:
    """Return the preprocessing of a network's published weights, or its own; None if it has neither."""
    weights = model._links.noted("weights") if isinstance(model, Module) else None
    return getattr(model, "transforms", None) if weights is None else weights.transforms()


def prepare(model: Any, picture: Any, transform: Any, where: str) -> NDArray[np.float32]:
    """Return a picture as the network's input (1, C, H, W), float32.

    Pillow pictures and pixels go through `transform`, or the preset of the network's published weights.
    Float arrays (C, H, W) and (1, C, H, W) are inputs already.
    """
    array = None if hasattr(picture, "getbands") else np.asarray(picture)
    if array is not None and array.dtype.kind not in "fu":
        raise ArgumentError(
            f"{where}: expected a Pillow picture, uint8 pixels or a prepared float array (C, H, W), got "
            f"{array.dtype} of shape {array.shape}"
        )
    if transform is None and (array is None or array.dtype.kind == "u"):
        transform = preset_of(model)
        if transform is None:
            raise ArgumentError(
                f"{where}: this network was not built with published weights, so its preprocessing is not "
                "known; pass transform=weights.transforms(), or a prepared float array (C, H, W)"
            )
    if transform is not None:
        if isinstance(transform, ImageClassification):
            check_levels(picture, where)
        array = np.asarray(transform(picture))
    assert array is not None
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim != 3:
        raise ShapeError(f"{where}: expected one picture (C, H, W), got shape {array.shape}")
    return np.ascontiguousarray(array[None], np.float32)


def in_own_colours(model: Any, x: NDArray[np.float32], transform: Any) -> Any:
    """Return a prepared picture (C, H, W) as it looked before it was normalised, for drawing."""
    preset = preset_of(model) if transform is None else transform
    mean, std = getattr(preset, "mean", None), getattr(preset, "std", None)
    if mean is not None and std is not None and len(mean) == len(x):
        plain = x * np.asarray(std, np.float32)[:, None, None] + np.asarray(mean, np.float32)[:, None, None]
        # Otherwise it was normalised by something else.
        if plain.min() > -_ROUNDING and plain.max() < 1 + _ROUNDING:
            return plain.clip(0, 1)
    return as_shown(x)


@ends_at_caller
def class_activation_map(model: Module, picture: Any, *, transform: Any = None) -> Tensor:
    """Return each class's score at each position of the last feature map; their mean is the logits.

    Exact for networks that end in a mean over positions and one linear layer (ResNet, ResNeXt, GoogLeNet,
    Inception, DenseNet, MobileNetV2, EfficientNet, ...), or in a mean alone (SqueezeNet, NiN): the linear
    layer may as well come first, and its output has not been averaged yet. "Learning Deep Features for
    Discriminative Localization" (arXiv:1512.04150), with the bias included.

    Parameters
    ----------
    model : Module
        The classifier.
    picture : PIL.Image.Image or array_like
        A Pillow picture; or an input (C, H, W), float32, already prepared.
    transform : callable, optional
        Prepares the picture; by default the preset of the published weights that the network was built with.

    Returns
    -------
    Tensor
        (classes, rows, columns), float32, over the prepared picture: of its centre, if the preset crops.

    Raises
    ------
    UnsupportedError
        If the network does not end so.

    Examples
    --------
    >>> maps = rvision.dense.class_activation_map(models.resnet18(), rvision.zeros(3, 64, 64))
    >>> maps.shape
    (1000, 2, 2)
    """
    x = prepare(model, picture, transform, "class_activation_map")
    logits = np.asarray(model(x))
    names = get_graph_node_names(model, input_size=x.shape)[1][-_LAST:]
    found = create_feature_extractor(model, names, input_size=x.shape)(x)
    linear = [module for module in model.modules() if isinstance(module, Linear)][-1:]
    largest = float(np.abs(logits).max()) or 1.0
    one_cell = larger = False
    for name in reversed(names):
        if isinstance(found[name], tuple):
            continue
        features = np.asarray(found[name])
        if features.ndim != 4 or logits.shape != (1, logits.shape[-1]):
            continue
        larger |= features[0, 0].size > 1
        for layer in (None, *linear):
            maps = features
            if layer is not None:
                if features.shape[1] != layer.in_features:
                    continue
                maps = np.einsum("oc,nchw->nohw", np.asarray(layer.weight, np.float32), features)
                if layer.bias is not None:
                    maps = maps + np.asarray(layer.bias)[:, None, None]
            if maps.shape[:2] == logits.shape:
                apart = np.abs(maps.mean((2, 3), dtype=np.float64) - logits).max()
                if apart <= _EXACT * largest and maps[0, 0].size > 1:
                    return np.ascontiguousarray(maps[0], np.float32).view(Tensor)
                one_cell |= bool(apart <= _EXACT * largest)
    height, width = x.shape[2:]
    if one_cell and not larger:
        raise ShapeError(
            f"class_activation_map: the last feature map of {type(model).__name__} is a single position for "
            f"a picture of {height} x {width}; give a larger one"
        )
    raise UnsupportedError(
        f"class_activation_map: {type(model).__name__} does not end in a mean over positions and one linear "
        "layer, so a class has no exact map; rvision.dense.predict slides the network over the picture, and "
        "rvision.dense.occlude covers parts of it"
    )


@ends_at_caller
def occlude(
    model: Any,
    picture: Any,
    *,
    window: int | tuple[int, int] = 32,
    stride: int | tuple[int, int] = 16,
    fill: float = 0.0,
    transform: Any = None,
    batch_size: int = 16,
) -> Map:
    """Run a classifier with each part of the picture covered in turn.

    Where the class's probability falls, the covered part mattered: "Visualizing and Understanding
    Convolutional Networks" (arXiv:1311.2901). No gradients are needed.

    Parameters
    ----------
    model : Module
        The classifier.
    picture : PIL.Image.Image or array_like
        A Pillow picture; or an input (C, H, W), float32, already prepared.
    window, stride : int or (int, int)
        Height and width of the covered part, and the distance from one to the next, in pixels of the
        prepared picture.
    fill : float
        What covers it, in the prepared picture: with a preset, 0 is the mean colour, a grey.
    transform : callable, optional
        Prepares the picture; by default the preset of the published weights that the network was built with.
    batch_size : int
        Pictures in one run.

    Returns
    -------
    Map
        Each cell has the network's outputs with its window covered. The first window is centred half a stride
        from the top left, and the windows together cover the picture.

    Raises
    ------
    ArgumentError
        If the window is larger than the picture.

    Examples
    --------
    >>> covered = rvision.dense.occlude(models.lenet5(), rvision.zeros(1, 28, 28), window=8, stride=4)
    >>> covered.scores.shape
    (10, 7, 7)
    """
    x = prepare(model, picture, transform, "occlude")
    sides = _pair(window, "occlude: window")
    steps = _pair(stride, "occlude: stride")
    size = (x.shape[2], x.shape[3])
    if any(side > whole for side, whole in zip(sides, size, strict=True)):
        raise ArgumentError(
            f"occlude: window: expected at most the prepared picture's {size[0]} x {size[1]}, got "
            f"{sides[0]} x {sides[1]}"
        )
    batch_size = integer(batch_size, "occlude: batch_size", 1)
    # Windows are centred half a stride from the edge and every stride, so that the map covers the picture;
    # what overhangs is cut off.
    rows, columns = (-(-whole // step) for whole, step in zip(size, steps, strict=True))
    offset = steps[0] // 2 - sides[0] // 2, steps[1] // 2 - sides[1] // 2
    scores = []
    for start in range(0, rows * columns, batch_size):
        cells = range(start, min(start + batch_size, rows * columns))
        batch = np.repeat(x, len(cells), 0)
        for at, cell in enumerate(cells):
            top = offset[0] + cell // columns * steps[0]
            left = offset[1] + cell % columns * steps[1]
            batch[at, :, max(top, 0) : top + sides[0], max(left, 0) : left + sides[1]] = fill
        scores.append(np.asarray(model(batch)))
    outputs = np.concatenate(scores)
    if outputs.ndim != 2:
        raise ShapeError(
            f"occlude: expected a classifier's output (N, classes), got {outputs.shape[1:]} each"
        )
    maps = np.ascontiguousarray(outputs.T.reshape(-1, rows, columns))
    shown = in_own_colours(model, x[0], transform)
    return Map(maps, sides, steps, size, offset=offset, categories=categories_of(model), picture=shown)


def categories_of(model: Any) -> Sequence[str] | None:
    """Return the names of a network's classes: those of its published weights, or its own."""
    weights = model._links.noted("weights") if isinstance(model, Module) else None
    return own_categories(model) if weights is None else weights.meta["categories"]


def _pair(value: Any, what: str) -> tuple[int, int]:
    values = value if isinstance(value, tuple | list) else (value, value)
    if len(values) != 2:
        raise ArgumentError(f"{what}: expected a number or a pair, got {value!r}")
    return integer(values[0], what, 1), integer(values[1], what, 1)
