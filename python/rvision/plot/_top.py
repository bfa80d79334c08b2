"""The most probable classes as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rvision._frames import ends_at_caller
from rvision._numbers import integer
from rvision.errors import ShapeError
from rvision.plot._axes import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@ends_at_caller
def top(weights_or_categories: Any, logits: Any, k: int = 5, *, ax: Axes | None = None) -> Axes:
    """Draw the ``k`` largest probabilities (softmax of the logits) as bars.

    Parameters
    ----------
    weights_or_categories
        Weights whose ``meta`` has ``categories``, or the sequence of the classes' names.
    logits : float array ``[classes]`` or ``[1, classes]``
    k : int
        How many classes; all if there are fewer.
    ax : matplotlib Axes, optional
        Where to draw. A new figure by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ShapeError
        The number of logits is not the number of categories.
    ArgumentError
        `k` is below 1.
    """
    k = integer(k, "plot.top: k", 1)
    meta = getattr(weights_or_categories, "meta", None)
    names = list(weights_or_categories if meta is None else meta["categories"])
    values = np.asarray(logits, dtype=np.float64)
    if values.shape not in ((len(names),), (1, len(names))):
        raise ShapeError(f"plot.top: expected {len(names)} logits, found shape {values.shape}")
    values = values.reshape(-1)
    p = np.exp(values - values.max())
    p /= p.sum()
    order = np.argsort(-p, kind="stable")[:k]
    ax = axes_or_new(ax)
    bars = ax.barh(range(len(order)), p[order])
    ax.bar_label(bars, [f"{v:.1%}" for v in p[order]], padding=3)
    ax.set_yticks(range(len(order)), [names[i] for i in order])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.15)
    ax.set_xlabel("probability")
    ax.set_title(f"top {len(order)} classes")
    return ax
