"""Helpers of several families."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision import nn

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["IntermediateLayerGetter", "settled", "width_of"]


class IntermediateLayerGetter(nn.ModuleDict):
    """A network's children up to the last wanted one: `torchvision.models._utils.IntermediateLayerGetter`.

    They are called one after another, so this is for networks whose `forward` does the same, such as a
    ResNet; :func:`rvision.models.feature_extraction.create_feature_extractor` is for any network.

    Parameters
    ----------
    model : Module
        The network; its layers are shared.
    return_layers : dict of str to str
        The keys of the result by the name of a child.

    Raises
    ------
    ValueError
        If the network has no such child.

    Examples
    --------
    >>> backbone = IntermediateLayerGetter(resnet18(), {"layer1": "low", "layer4": "high"})
    >>> [(key, value.shape) for key, value in backbone(x).items()]
    [('low', (1, 64, 56, 56)), ('high', (1, 512, 7, 7))]
    """

    def __init__(self, model: nn.Module, return_layers: Mapping[str, str]) -> None:
        names = [name for name, _ in model.named_children()]
        wanted = {str(name): str(key) for name, key in return_layers.items()}
        if missing := wanted.keys() - set(names):
            raise ValueError(
                f"return_layers: {type(model).__name__} has no child {min(missing)!r}; it has: "
                f"{', '.join(names)}"
            )
        end = max((names.index(name) + 1 for name in wanted), default=len(names))
        super().__init__(OrderedDict(list(model.named_children())[:end]))
        self.return_layers = wanted

    def forward(self, x: Any) -> OrderedDict[str, Any]:
        """Return the wanted children's outputs by key."""
        out = OrderedDict()
        for name, module in self.items():
            x = module(x)
            if name in self.return_layers:
                out[self.return_layers[name]] = x
        return out


def settled(kwargs: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return `kwargs` with the arguments that define a variant.

    Raises
    ------
    ValueError
        If `kwargs` already holds another value for one of them.
    """
    for key, value in values.items():
        if kwargs.get(key, value) != value:
            raise ValueError(
                f"The parameter '{key}' expected value {value} but got {kwargs[key]} instead: "
                "this builder decides it. Make other variants from the class."
            )
    return {**kwargs, **values}


def _make_divisible(v: float, divisor: int, min_value: int | None = None) -> int:
    """Round a channel count to a multiple of `divisor`, up if down would lose more than a tenth.

    `min_value` is the least result, `divisor` by default.
    """
    rounded = max(divisor if min_value is None else min_value, int(v + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * v else rounded


# Common widths, as published for MobileNets; others are tried in steps of a twentieth.
_WIDTHS = (1.0, 0.35, 0.75, 1.3, 1.4, *(round(0.05 * step, 2) for step in range(1, 61)))


def width_of(channels: Sequence[int], usual: Sequence[int]) -> float | None:
    """Return the width multiplier that turns the `usual` channels into `channels`, or None."""
    fitting = (w for w in _WIDTHS if [_make_divisible(c * w, 8) for c in usual] == list(channels))
    return next(fitting, None)


def _relative_position_index(height: int, width: int) -> NDArray[np.int64]:
    """Return the index of the offset for each pair of a window's T pixels, row by row: (T, T)."""
    row, column = np.divmod(np.arange(height * width), width)
    down = row[:, None] - row + height - 1
    across = column[:, None] - column + width - 1
    return (down * (2 * width - 1) + across).astype(np.int64)
