"""Fitting a network's last layer to one's own classes: `rvision.fit_head`."""

from __future__ import annotations

import copy
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rvision import nn
from rvision._classify import check_sources, network_of
from rvision._evaluate import class_folders, labelled
from rvision._frames import ends_at_caller
from rvision._numbers import real
from rvision._pictures import PictureError, Prepared, Source, as_sources, outputs
from rvision._progress import bar
from rvision.errors import ArgumentError, UnsupportedError
from rvision.models.feature_extraction import get_graph_node_names
from rvision.transforms._pictures import is_pil
from rvision.utils.data import Dataset
from rvision.weights import WeightsEnum

__all__ = ["fit_head"]

# The penalties that ridge regression chooses from, as shares of the features' mean squared norm.
_PENALTIES = 10.0 ** np.arange(-6, 2.25, 0.25)

# The largest factor of ridge regression's scores, for pictures that all are far from the boundary.
_STEEPEST = 1e6

# Steps of scikit-learn's solver; standardised features need far fewer.
_ITERATIONS = 10_000

# What may follow the last layer: layers and functions that pass on (N, classes) as it is.
_NEUTRAL_LAYERS = (nn.Identity, nn.Dropout, nn.Flatten)
_NEUTRAL = re.compile(r"(.*\.)?(dropout|flatten)(_\d+)?")

# The auxiliary classifiers of GoogLeNet and Inception.
_AUXILIARIES = ("aux1", "aux2", "AuxLogits")

# Weights (classes, features) and biases (classes,) for features as they are.
_Head = tuple[NDArray[np.float64], NDArray[np.float64]]


@ends_at_caller
def fit_head(
    model: nn.Module | str,
    pictures: Source | Sequence[Source] | Dataset,
    labels: Sequence[str] | ArrayLike | str | os.PathLike[str] | None = None,
    weights: WeightsEnum | str | os.PathLike[str] | None = None,
    *,
    method: str = "ridge",
    regularisation: float | None = None,
    categories: Sequence[str] | None = None,
    transforms: Callable[[Any], Prepared] | None = None,
    batch_size: int = 16,
    orient: bool = False,
    progress: bool = False,
) -> nn.Module:
    """Return a network with a new last layer, fitted to pictures of one's own classes.

    Each picture is run once through the network without its last linear layer. A linear layer from
    these features to the classes is then fitted; all other layers stay as they are.

    Parameters
    ----------
    model : Module or str
        A network whose last operation is a linear layer, or the name of one.
    pictures : path, PIL.Image.Image, numpy.ndarray, sequence of these, or Dataset
        * a folder of class folders;
        * files, Pillow images, uint8 pixels (H, W, C), or arrays (C, H, W) of uint8 or of floats between 0
          and 1; an array (N, C, H, W) stands for N pictures;
        * a dataset of pairs of a picture and a label, such as `datasets.ImageFolder`. Floats that it
          returns are prepared already, by its `transform`.
    labels : sequence of str, array_like of int, or path, optional
        The class of each picture: its name or its index. Or a CSV file with columns ``file`` and
        ``class_index``. Not for datasets and folders of class folders, which have labels.
    weights : WeightsEnum member, str or path, optional
        As for `classify`: for a name the weights to load, for a network the published weights whose
        preprocessing is used.
    method : {"ridge", "logistic"}
        ``"ridge"``
            Ridge regression of the classes' indicators. It is computed in closed form and needs no
            further package.
        ``"logistic"``
            Multinomial logistic regression by scikit-learn (``pip install "rvision[heads]"``).
    regularisation : float, optional
        The strength of the L2 penalty; more keeps weights smaller. For ``"ridge"`` it is a share of
        the features' mean squared norm, and by default the value from 1e-6 to 100 with the least
        leave-one-out error is used. For ``"logistic"`` it is the inverse of scikit-learn's `C`, by
        default 1.
    categories : sequence of str, optional
        Names of the classes, in the order of the outputs. By default the dataset's or folders' names, or the
        labels' names, sorted.
    transforms : callable, optional
        Prepares a picture, instead of the weights' preset. Where it is not known how to prepare
        pictures, arrays of floats (C, H, W) count as prepared.
    batch_size : int
        Pictures per run. The result does not depend on it.
    orient : bool
        Apply the EXIF orientation of picture files.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Module
        A new network, which shares all other parameters with `model`; `model` is not changed. It has
        two attributes that `classify`, `dense.predict` and the user take the classes' names and the
        preparation of pictures from: `categories` (list of str, or None if labels are indices) and
        `transforms`. A state dict does not hold them. It has no auxiliary classifiers, whose classes
        would be others.

    Raises
    ------
    ArgumentError
        If there are fewer than two classes, labels are missing or do not match the pictures, a class
        has no picture, the features are not finite or all equal, or it is not known how to prepare
        pictures.
    FileNotFoundError
        If a file or folder does not exist.
    ImportError
        If `method` is ``"logistic"`` and scikit-learn is missing.
    PictureError
        If a picture cannot be read.
    UnsupportedError
        If the network does not end in a linear layer, such as SqueezeNet, whose classifier is a
        convolution.

    Notes
    -----
    With x the features less their mean, y the classes' indicators less theirs, and s the mean of |x|^2,
    ridge regression minimises ``sum |y - W x|^2 + regularisation s |W|^2``. Its scores are then multiplied by
    one factor of at least 1, for which the softmax of the scores of left-out pictures fits their classes
    best (cross-entropy, with the share 1 / (N + 2) of a class spread over all classes, as in Platt 1999). So
    outputs are logits, and probabilities mean something.

    Logistic regression standardises features (mean 0, variance 1). The layer contains the
    standardisation. For two classes, outputs are plus and minus half of scikit-learn's decision
    function, so that their softmax is its probability. Where the network's last layer has no bias (MaxViT), a
    head without bias is fitted, and features are not centred.

    Only the last linear layer is replaced: in AlexNet and VGG, the two before it stay.

    Examples
    --------
    >>> colours = [(255, 0, 0), (250, 9, 9), (0, 0, 255), (9, 9, 250)]
    >>> pictures = [Image.new("RGB", (32, 32), colour) for colour in colours]
    >>> names = ["red", "red", "blue", "blue"]
    >>> mine = rvision.fit_head(models.resnet18(), pictures, names, transforms=transforms.ToTensor())
    >>> mine.categories
    ['blue', 'red']
    >>> [row.name for row in rvision.classify(mine, Image.new("RGB", (32, 32), (240, 5, 5)))]
    ['red']
    """
    where = "fit_head"
    fit = _method(method)
    strength = _strength(regularisation)
    network, member = network_of(model, weights, where)
    if not isinstance(network, nn.Module):
        raise TypeError(f"{where}: model: expected a network or its name, got {type(network).__name__}")
    if transforms is None:
        transforms = member.transforms() if member is not None else getattr(network, "transforms", None)
    sources, found, names = _labelled(pictures, labels, categories)
    if isinstance(sources, _Items):
        sources.transforms = transforms
        prepare: Callable[[Any], Prepared] | None = None
    else:
        _check_preparation(sources, transforms)
        check_sources(sources, transforms, where)
        prepare = transforms
    if found is not None:
        # Before the network runs; a dataset's labels are only known afterwards.
        if len(found) != len(sources):
            raise ArgumentError(f"fit_head: {len(sources)} pictures, but {len(found)} labels")
        _classes(found, names)
    backbone = _Backbone(network)
    rows: Any = outputs(backbone, sources, prepare, batch_size, orient=orient)
    if progress:
        rows = bar(rows, total=len(sources), unit="picture", leave=False)
    features = _features(rows)
    if isinstance(sources, _Items):
        found, transforms = sources.labels, sources.used()
    indices, names = _classes(found, names)
    _check_features(features, sources)
    weight, bias = fit(features.astype(np.float64), indices, strength, backbone.has_bias)
    return backbone.with_head(weight, bias, names, transforms)


# ---- pictures and labels ----


class _Items(Sequence[Any]):
    """The pictures of a dataset of pairs, read when they are used; it keeps their labels.

    Attributes
    ----------
    labels : list
        Those of the pictures that have been read.
    transforms : callable, optional
        Prepares pictures that the dataset has not prepared.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._own = False
        self.labels: list[Any] = []
        self.transforms: Callable[[Any], Prepared] | None = None

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, places: Any) -> Any:
        return [self._item(place) for place in range(*places.indices(len(self)))]

    def _item(self, place: int) -> Any:
        item = self._dataset[place]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise ArgumentError(
                "fit_head: pictures: expected a dataset of pairs of a picture and a label; item "
                f"{place} is of {type(item).__name__}"
            )
        picture, label = item
        self.labels.append(label)
        if not is_pil(picture):
            picture = np.asarray(picture.detach() if hasattr(picture, "detach") else picture)
            if picture.dtype.kind == "f":
                self._own = True
                return picture
        if self.transforms is None:
            raise ArgumentError(_UNKNOWN)
        return self.transforms(picture)

    def used(self) -> Callable[[Any], Prepared] | None:
        """Return what has prepared the pictures."""
        return _nested(self._dataset, "transform") if self._own else self.transforms


_UNKNOWN = (
    "fit_head: it is not known how to prepare pictures for this network: give weights=, such as "
    "ResNet50_Weights.DEFAULT, or transforms="
)


def _nested(dataset: Any, name: str) -> Any:
    """Return an attribute of a dataset, or of the one that it is a part of."""
    while dataset is not None:
        found = getattr(dataset, name, None)
        if found is not None:
            return found
        dataset = getattr(dataset, "dataset", None)
    return None


def _labelled(
    pictures: Any, labels: Any, categories: Sequence[str] | None
) -> tuple[Sequence[Any], Any, list[str] | None]:
    """Return pictures, their labels, and the names of the classes.

    A dataset's labels are None. So are the names if the labels are names themselves, or have none.
    """
    names = None if categories is None else [str(name) for name in categories]
    if names is not None and len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ArgumentError(f"fit_head: categories: expected different names, got {twice!r} twice")
    if _is_dataset(pictures):
        if labels is not None:
            raise ArgumentError("fit_head: labels: a dataset has its own; leave out labels")
        if not len(pictures):
            raise ArgumentError("fit_head: pictures: expected at least one, got none")
        return _Items(pictures), None, names if names is not None else _nested(pictures, "classes")
    of_files = labels is None or isinstance(labels, str | os.PathLike)
    if isinstance(pictures, str | os.PathLike) and of_files:
        root = Path(pictures)
        if names is None and labels is None and root.is_dir() and not (root / "labels.csv").is_file():
            names = [folder.name for folder in class_folders(root)]
        given = labelled([root], labels, categories=names)
        return given.sources, given.labels, names
    if labels is None:
        raise ArgumentError(
            "fit_head: labels: expected the class of each picture, got None; only a folder of class folders "
            "and a dataset have labels of their own"
        )
    if of_files:
        given = labelled(list(pictures), labels, categories=names)
        return given.sources, given.labels, names
    return as_sources(pictures, "fit_head"), labels, names


def _is_dataset(pictures: Any) -> bool:
    """Whether it is a dataset of pairs, rvision's or torch's, and neither a picture nor a list of them."""
    if isinstance(pictures, Dataset):
        return True
    if isinstance(pictures, str | os.PathLike | list | tuple | np.ndarray) or is_pil(pictures):
        return False
    return hasattr(pictures, "__getitem__") and hasattr(pictures, "__len__") and not _is_array(pictures)


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") or hasattr(value, "__dlpack__")


def _classes(labels: Any, names: list[str] | None) -> tuple[NDArray[np.int64], list[str] | None]:
    """Return each picture's class as an index, and the names of the classes if they are known."""
    values = [label.item() if hasattr(label, "item") and np.ndim(label) == 0 else label for label in labels]
    for place, label in enumerate(values):
        if label is None or (isinstance(label, float) and math.isnan(label)):
            raise ArgumentError(f"fit_head: labels: picture {place} has none ({label})")
    if all(isinstance(label, str) for label in values):
        names = sorted(set(values)) if names is None else names
        known = {name: index for index, name in enumerate(names)}
        for label in values:
            if label not in known:
                told = ", ".join(names)
                raise ArgumentError(f"fit_head: labels: {label!r} is none of the categories {told}")
        indices = np.array([known[label] for label in values], np.int64)
    else:
        array = np.asarray(values)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise ArgumentError(
                "fit_head: labels: expected names or whole numbers of shape (N,), got "
                f"{array.dtype} of shape {array.shape}"
            )
        indices = array.astype(np.int64)
    count = int(indices.max(initial=-1)) + 1 if names is None else len(names)
    if indices.size and not 0 <= indices.min() <= indices.max() < count:
        wrong = indices[(indices < 0) | (indices >= count)][0]
        raise ArgumentError(f"fit_head: labels: {wrong} is none of the classes 0 to {count - 1}")
    present = np.bincount(indices, minlength=count)
    if count < 2:
        raise ArgumentError(f"fit_head: expected pictures of two classes or more, got {count}")
    if not present.all():
        index = int(present.argmin())
        name = "" if names is None else f" ({names[index]})"
        raise ArgumentError(
            f"fit_head: labels: no picture is of class {index}{name}, of classes 0 to {count - 1}"
        )
    return indices, names


def _check_preparation(sources: Sequence[Any], transforms: Any) -> None:
    first = sources[0] if len(sources) else None
    if transforms is None and not (isinstance(first, np.ndarray) and first.dtype.kind == "f"):
        raise ArgumentError(_UNKNOWN)


# ---- features ----


class _Backbone:
    """A network without its last linear layer: pictures (N, C, H, W) to features (N, F).

    The layer is found when the first pictures come, whose size the network can take.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._twin: nn.Module | None = None
        self._head: nn.Linear | None = None

    def __call__(self, batch: Any) -> NDArray[np.float32]:
        if self._twin is None or self._head is None:
            self._head, self._twin = self._split(batch)
        features = self._twin(batch)
        if np.shape(features) != (len(batch), self._head.in_features):
            raise UnsupportedError(
                f"fit_head: {type(self._model).__name__}: its outputs depend on more than its last linear "
                f"layer, {self._name}"
            )
        return features

    def _split(self, batch: Any) -> tuple[nn.Linear, nn.Module]:
        """Return the last layer, and a network that shares all parameters and has `Identity` there."""
        model = self._model
        if isinstance(batch, tuple):
            raise UnsupportedError(f"fit_head: {type(model).__name__}: a picture is prepared in several ways")
        twin = copy.deepcopy(model)
        try:
            names = get_graph_node_names(model, input_size=np.shape(batch))[1]
        except ArgumentError:
            twin(batch)  # its own error, if the pictures are the reason
            raise
        layers = dict(model.named_modules())
        last = next(name for name in reversed(names) if not _is_neutral(layers.get(name), name))
        self._name = last
        layer = layers.get(last)
        if not isinstance(layer, nn.Linear):
            raise UnsupportedError(_not_linear(model, names, layers, last))
        _replace(twin, twin.get_submodule(last), nn.Identity())
        return layer, twin

    @property
    def has_bias(self) -> bool:
        """Whether the last layer has a bias; the new one has what the network's weight files have."""
        assert self._head is not None
        return self._head._parameters.get("bias") is not None

    def with_head(
        self,
        weight: NDArray[np.float64],
        bias: NDArray[np.float64],
        names: list[str] | None,
        transforms: Callable[[Any], Prepared] | None,
    ) -> nn.Module:
        """Return the network with a new last layer; it is no backbone any more."""
        assert self._twin is not None
        model: Any = self._twin
        head = nn.Linear(weight.shape[1], weight.shape[0], bias=self.has_bias)
        head.weight = weight
        if self.has_bias:
            head.bias = bias
        _replace(model, model.get_submodule(self._name), head)
        if getattr(model, "aux_logits", False) is True:
            model.aux_logits = False
            for name in _AUXILIARIES:
                if model._modules.get(name) is not None:
                    setattr(model, name, None)
        if isinstance(getattr(model, "num_classes", None), int):
            model.num_classes = len(weight)
        # Not by assignment: a module as `transforms` would become part of the network.
        model.__dict__.update(categories=None if names is None else list(names), transforms=transforms)
        return model


def _is_neutral(layer: nn.Module | None, name: str) -> bool:
    return isinstance(layer, _NEUTRAL_LAYERS) if layer is not None else bool(_NEUTRAL.fullmatch(name))


def _replace(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a layer in the place of another, under all names that this has."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is old:
                setattr(parent, name, new)


def _not_linear(model: nn.Module, names: Sequence[str], layers: dict[str, nn.Module], last: str) -> str:
    weighted = [name for name in names if isinstance(layers.get(name), nn.Linear | nn.Conv2d)]
    seen = f" after {weighted[-1]} ({type(layers[weighted[-1]]).__name__})" if weighted else ""
    kind = f"{last} ({type(layers[last]).__name__})" if last in layers else last
    return (
        f"fit_head: {type(model).__name__} ends in {kind}{seen}; expected a network whose last operation is "
        "a linear layer. Replace its classifier by one that ends in nn.Linear first, such as "
        "nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))"
    )


def _features(rows: Iterable[Any]) -> NDArray[np.float32]:
    found = []
    for row in rows:
        if isinstance(row, PictureError):
            raise row
        found.append(row)
    return np.stack(found)


def _check_features(features: NDArray[np.float32], sources: Sequence[Any]) -> None:
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if bad.size:
        place = int(bad[0])
        source = None if isinstance(sources, _Items) else sources[place]
        named = os.fspath(source) if isinstance(source, str | os.PathLike) else f"picture {place}"
        raise ArgumentError(f"fit_head: {named}: the network's features are not finite")
    if (features == features[0]).all():
        raise ArgumentError("fit_head: the network's features are the same for all pictures")


# ---- the two methods ----


def _method(method: str) -> Callable[[NDArray[np.float64], NDArray[np.int64], float | None, bool], _Head]:
    if method not in ("ridge", "logistic"):
        raise ArgumentError(f"fit_head: method: expected 'ridge' or 'logistic', got {method!r}")
    if method == "ridge":
        return _ridge
    try:
        import sklearn.linear_model  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "fit_head: method='logistic' needs scikit-learn: pip install \"rvision[heads]\"; method='ridge' "
            "needs nothing"
        ) from error
    return _logistic


def _strength(regularisation: float | None) -> float | None:
    if regularisation is None:
        return None
    value = real(regularisation, "fit_head: regularisation")
    if not 0 < value < math.inf:
        raise ArgumentError(f"fit_head: regularisation: expected a number above 0, got {value}")
    return value


def _ridge(
    features: NDArray[np.float64], classes: NDArray[np.int64], strength: float | None, bias: bool
) -> _Head:
    """Fit the classes' indicators by least squares with a penalty, see `fit_head`."""
    count = len(features)
    truth = np.eye(classes.max() + 1)[classes]
    middle = features.mean(axis=0) * bias
    offset = truth.mean(axis=0) * bias
    left, values, right = np.linalg.svd(features - middle, full_matrices=False)
    scale = (values**2).sum() / count
    projected = left.T @ (truth - offset)

    def left_out(penalty: float) -> NDArray[np.float64]:
        """Return the scores of each picture by a fit to the others, in closed form."""
        shrunk = values**2 / (values**2 + penalty * scale)
        fitted = (left * shrunk) @ projected + offset
        leverage = bias / count + (left**2) @ shrunk
        own = np.maximum(1 - leverage, np.finfo(float).eps)
        return truth - (truth - fitted) / own[:, None]

    if strength is None:
        errors = [((truth - left_out(penalty)) ** 2).sum() for penalty in _PENALTIES]
        strength = float(_PENALTIES[np.argmin(errors)])
    factor = _factor(left_out(strength), truth)
    weight = factor * ((projected.T * (values / (values**2 + strength * scale))) @ right)
    return weight, factor * offset - weight @ middle


def _factor(scores: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Return the factor of scores, from 1 on, whose softmax has the least cross-entropy to the truth.

    The truth is softened, so that the factor stays finite where all scores are right.
    """
    doubt = 1 / (len(truth) + 2)
    # The softmax depends on differences only.
    scores = scores - scores.max(axis=1, keepdims=True)
    wanted = (((1 - doubt) * truth + doubt / truth.shape[1]) * scores).sum(axis=1).mean()

    def excess(factor: float) -> float:
        likely = np.exp(factor * scores)
        likely /= likely.sum(axis=1, keepdims=True)
        return float((likely * scores).sum(axis=1).mean() - wanted)

    low, high = 1.0, _STEEPEST
    if excess(low) >= 0:
        return low
    # The cross-entropy is convex, so its derivative has one zero.
    for _ in range(100):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return low


def _logistic(
    features: NDArray[np.float64], classes: NDArray[np.int64], strength: float | None, bias: bool
) -> _Head:
    """Fit multinomial logistic regression to standardised features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

    scaler = StandardScaler(with_mean=bias)
    fitted = LogisticRegression(C=1 / (strength or 1.0), fit_intercept=bias, max_iter=_ITERATIONS)
    fitted.fit(scaler.fit_transform(features), classes)
    weight, offset = fitted.coef_, np.broadcast_to(fitted.intercept_, len(fitted.coef_))
    if len(weight) == 1:
        weight, offset = np.concatenate([-weight, weight]) / 2, np.concatenate([-offset, offset]) / 2
    weight = weight / scaler.scale_
    return weight, offset - weight @ (scaler.mean_ * bias)
