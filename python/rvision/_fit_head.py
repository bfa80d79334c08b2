"""A network's last layer fitted to one's own classes, on frozen features: `rvision.fit_head`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

# Packages are imported before their submodules, for threads that import at the same time.
import rvision.dense
import rvision.utils  # noqa: F401
from rvision import nn
from rvision._classify import _sources
from rvision._frames import ends_at_caller
from rvision._numbers import integer, real
from rvision._pictures import PictureError, outputs
from rvision._progress import bar
from rvision.errors import ArgumentError, UnsupportedError
from rvision.weights import Weights

__all__ = ["fit_head"]

M = TypeVar("M", bound=nn.Module)

# Strengths of the regularisation among which ridge regression chooses, as a share of the features' mean
# eigenvalue, and factors of its scores.
_STRENGTHS = np.logspace(-4, 2, 13)
_FACTORS = np.logspace(-0.5, 2.5, 31)
# Of the outputs that the removed layer gives from the features, relative to the largest.
_SAME = 1e-4


@ends_at_caller
def fit_head(
    model: M,
    pictures: Any,
    labels: Sequence[str] | Sequence[int] | NDArray[Any] | None = None,
    *,
    method: str = "ridge",
    regularisation: float | None = None,
    transforms: Callable[[Any], Any] | None = None,
    batch_size: int = 16,
    progress: bool = False,
) -> M:
    """Return a network whose last linear layer is fitted to pictures of your own classes.

    The network itself is not trained: its features, the inputs of its last linear layer, are computed once
    and a new layer is fitted to them. A few dozen pictures of each class are enough for many purposes.

    Parameters
    ----------
    model : Module
        A classifier with published weights that ends in a linear layer. It is not changed.
    pictures : ImageFolder, or what `rvision.classify` takes
        Files, Pillow images, arrays (C, H, W) or one (N, C, H, W). An `ImageFolder` also gives the labels.
    labels : sequence of str or of int, optional
        The class of each picture, by name, or by index from 0 on.
    method : {"ridge", "logistic"}
        Ridge regression, which needs nothing but NumPy, or multinomial logistic regression by scikit-learn
        (``pip install "rvision[heads]"``).
    regularisation : float, optional
        Its strength. For ridge regression a share of the features' mean eigenvalue, by default the one
        with the smallest leave-one-out error. For logistic regression 1 / C of scikit-learn, by default 1.
    transforms : callable, optional
        Prepares a picture; by default the preset of the network's published weights. Float arrays need none.
    batch_size : int
        Pictures in one run.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Module
        A copy that shares all other weights. `rvision.classify`, `dense.predict` and displays know the names
        of its classes and its preprocessing. Ridge scores are scaled so that their softmax is the best
        prediction of left-out pictures.

    Raises
    ------
    ArgumentError
        If the labels do not fit the pictures, there is one class only, or it is not known how to prepare
        pictures.
    UnsupportedError
        If the network does not end in a linear layer.

    Examples
    --------
    >>> x = np.zeros((6, 3, 64, 64), np.float32)
    >>> x[:3, 0] = x[3:, 2] = 1
    >>> mine = rvision.fit_head(models.resnet18(), x, ["red"] * 3 + ["blue"] * 3)
    >>> mine(x).argmax(1)  # classes are in alphabetical order
    Tensor([1, 1, 1, 0, 0, 0])
    """
    if method not in ("ridge", "logistic"):
        raise ArgumentError(f"fit_head: method: expected 'ridge' or 'logistic', got {method!r}")
    if regularisation is not None and not real(regularisation, "fit_head: regularisation") > 0:
        raise ArgumentError(f"fit_head: regularisation: expected a positive number, got {regularisation}")
    batch_size = integer(batch_size, "fit_head: batch_size", 1)
    names: Sequence[str] | None = None
    if labels is None and hasattr(pictures, "samples") and hasattr(pictures, "classes"):
        transforms = transforms or getattr(pictures, "transform", None)
        names, labels = list(pictures.classes), [label for _, label in pictures.samples]
        pictures = [path for path, _ in pictures.samples]
    if labels is None:
        raise ArgumentError("fit_head: labels: expected the class of each picture, got none")
    sources = _sources(pictures)
    classes, truths = _classes(labels, names)
    if len(truths) != len(sources):
        raise ArgumentError(
            f"fit_head: expected a label for each of {len(sources)} pictures, got {len(truths)}"
        )
    transforms = _preparation(model, sources, transforms)
    headless = copy.deepcopy(model)
    path, linear = _last_linear(headless)
    parent = headless.get_submodule(path.rpartition(".")[0])
    setattr(parent, path.rpartition(".")[2], nn.Identity())
    features = _features(model, headless, linear, sources, transforms, batch_size, progress)
    fit = _ridge if method == "ridge" else _logistic
    weight, bias = fit(features, truths, len(classes), regularisation)
    head = nn.Linear(linear.in_features, len(classes))
    head.weight, head.bias = weight.astype(np.float32), bias.astype(np.float32)
    setattr(parent, path.rpartition(".")[2], head)
    preset = transforms

    def own() -> Any:
        return preset

    # Displays and `classify` ask the weights for these two; they are not published ones.
    headless._links.note("weights", Weights("", cast("Any", own), {"categories": list(classes)}))
    return headless


def _classes(labels: Any, names: Sequence[str] | None) -> tuple[list[str], NDArray[np.int64]]:
    """Return the names of the classes, and each picture's class."""
    given = list(labels)
    texts = [isinstance(label, str) for label in given]
    if given and all(texts):
        classes = sorted(set(given))
        truths = np.array([classes.index(label) for label in given], np.int64)
    elif any(texts):
        raise ArgumentError("fit_head: labels: expected names or indices, got both")
    else:
        truths = np.array([integer(label, "fit_head: labels", 0) for label in given], np.int64)
        count = int(truths.max(initial=-1)) + 1
        classes = list(names) if names is not None else [f"class {index}" for index in range(count)]
        if count > len(classes):
            raise ArgumentError(f"fit_head: labels: expected indices below {len(classes)}, got {count - 1}")
    missing = [classes[index] for index in range(len(classes)) if index not in truths]
    if missing:
        raise ArgumentError(f"fit_head: labels: no picture is of {missing[0]!r}")
    if len(classes) < 2:
        raise ArgumentError("fit_head: labels: expected two classes or more, got one")
    return classes, truths


def _preparation(model: Any, sources: Any, transforms: Any) -> Any:
    if transforms is None:
        weights = model._links.noted("weights")
        if weights is not None:
            return weights.transforms()
        if not all(isinstance(source, np.ndarray) and source.dtype.kind == "f" for source in sources):
            raise ArgumentError(
                "fit_head: it is not known how to prepare pictures for this network: pass "
                "transforms=weights.transforms(), or prepared float arrays (C, H, W)"
            )
    return transforms


def _last_linear(model: nn.Module) -> tuple[str, Any]:
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not found or not found[-1][0]:
        raise UnsupportedError(
            f"fit_head: {type(model).__name__} has no linear layer to replace; give it one, as in "
            "nn.Sequential(backbone, nn.Flatten(), nn.Linear(512, 1000))"
        )
    return found[-1]


def _features(
    model: Any, headless: Any, linear: Any, sources: Any, transforms: Any, batch_size: int, progress: bool
) -> NDArray[np.float64]:
    results: Any = outputs(headless, sources, transforms, batch_size)
    if progress:
        results = bar(results, total=len(sources), unit="picture", leave=False)
    rows = []
    for row in results:
        if isinstance(row, PictureError):
            raise row
        rows.append(row)
    features = np.stack(rows).astype(np.float64)
    if features.shape[1] == linear.in_features:
        # What follows the layer, such as a softmax, would be lost.
        given = next(iter(outputs(model, sources[:1], transforms, 1)))
        made = np.asarray(linear(features[:1].astype(np.float32)))[0]
        if np.abs(given - made).max() <= _SAME * (np.abs(made).max() or 1.0):
            return features
    raise UnsupportedError(
        f"fit_head: the output of {type(model).__name__} is not that of its last linear layer; replace what "
        "follows it by nn.Identity()"
    )


def _ridge(
    features: NDArray[np.float64], truths: NDArray[np.int64], classes: int, strength: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weight and bias of ridge regression on one-hot targets, in closed form."""
    targets = np.eye(classes)[truths]
    centre, mean = features.mean(0), targets.mean(0)
    left, sizes, right = np.linalg.svd(features - centre, full_matrices=False)
    squares = sizes**2
    unit = squares.mean() or 1.0
    projected = left.T @ (targets - mean)

    def left_out(share: float) -> NDArray[np.float64]:
        """Predict each picture without it: the residual over one minus its leverage."""
        shrink = squares / (squares + share * unit)
        fitted = (left * shrink) @ projected + mean
        leverage = np.minimum((left**2) @ shrink + 1 / len(features), 1 - 1e-9)
        return targets - (targets - fitted) / (1 - leverage)[:, None]

    if strength is None:
        strength = min(_STRENGTHS, key=lambda share: float(((left_out(share) - targets) ** 2).sum()))
    scores = left_out(strength)

    def surprise(factor: float) -> float:
        scaled = scores * factor
        top = scaled.max(1)
        total = np.log(np.exp(scaled - top[:, None]).sum(1)) + top
        return float((total - scaled[np.arange(len(truths)), truths]).sum())

    factor = float(min(_FACTORS, key=surprise))
    weight = ((right.T * (sizes / (squares + strength * unit))) @ projected).T
    return factor * weight, factor * (mean - weight @ centre)


def _logistic(
    features: NDArray[np.float64], truths: NDArray[np.int64], classes: int, strength: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weight and bias of scikit-learn's logistic regression on standardised features."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise ImportError(
            'fit_head: method="logistic" needs scikit-learn: pip install "rvision[heads]"; ridge does not'
        ) from error
    centre, spread = features.mean(0), features.std(0)
    spread[spread == 0] = 1
    fitted = LogisticRegression(C=1 / (1.0 if strength is None else strength), max_iter=1000)
    fitted.fit((features - centre) / spread, truths)
    weight, bias = fitted.coef_, fitted.intercept_
    if classes == 2:
        # One row, of the second class against the first.
        weight, bias = np.stack([-weight[0], weight[0]]) / 2, np.array([-bias[0], bias[0]]) / 2
    weight = weight / spread
    return weight, bias - weight @ centre
