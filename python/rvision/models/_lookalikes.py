"""Networks of other libraries that have the names and shapes of one here, and are not the same.

Their weights load without a word and give other numbers. What a file says of its origin decides; where it
says nothing, that is told. Found by comparing all of timm's networks with all of these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from rvision.errors import StateDictError
from rvision.transforms import ImageClassification, InterpolationMode
from rvision.weights._origin import FILE_NAME, Origin

__all__ = ["Lookalike", "lookalike_of", "lookalikes", "settled_by"]


@dataclass(frozen=True)
class Lookalike:
    """A network of another library.

    Attributes
    ----------
    theirs : str
        Its name there.
    ours : str
        The network here that has its names and shapes.
    difference : str
        In what they differ.
    config : dict or None
        What to tell the builder here so that it makes this network; None if it cannot.
    preset : ImageClassification or None
        How pictures are prepared for its published weights, if other than for the ones here.
    """

    theirs: str
    ours: str
    difference: str
    config: dict[str, Any] | None = None
    preset: ImageClassification | None = field(default=None, compare=False)


_BLUR = "it blurs maps before it takes every second pixel, by filters that are not in the file"
_LITE = "padding as in TensorFlow and an eps of 1e-3, or symmetric padding and an eps of 1e-5"

_ALL = (
    Lookalike("tf_efficientnet_lite0", "efficientnet_lite0", _LITE, {"variant": "tf"}),
    Lookalike(
        "efficientnet_lite0",
        "efficientnet_lite0",
        _LITE,
        {"variant": "timm"},
        ImageClassification(crop_size=224, interpolation=InterpolationMode.BICUBIC),
    ),
    Lookalike("resnetblur18", "resnet18", _BLUR),
    Lookalike("resnetblur50", "resnet50", _BLUR),
    Lookalike("resnetaa50", "resnet50", _BLUR),
)


def lookalikes(ours: str) -> list[Lookalike]:
    """Return the networks that have the names and shapes of one here, itself among them where it is one."""
    return [each for each in _ALL if each.ours == ours]


def lookalike_of(ours: str, origin: Origin) -> Lookalike | None:
    """Return which of the networks like one here a file says it is of.

    timm's names may be followed by a tag of the training, ``resnetaa50.a1h_in1k`` or ``resnetaa50_a1h``.
    """
    if origin.said_by == FILE_NAME and origin.architecture == ours:
        return None  # Who named the file may have meant the network here.
    for each in lookalikes(ours):
        if re.fullmatch(rf"(hf[-_]hub:)?(timm/)?{each.theirs}([._].*)?", origin.architecture):
            return each
    return None


def settled_by(ours: str, origin: Origin, path: str) -> Lookalike | None:
    """Return the network that a file says it is of, which can be built here.

    Raises
    ------
    StateDictError
        If it cannot.
    """
    found = lookalike_of(ours, origin)
    if found is not None and found.config is None:
        raise StateDictError(
            f"{path} is of {found.theirs}, says {origin.said_by}; it has the names and shapes of {ours} "
            f"and is another network: {found.difference}. To load it anyway, pass dict(rvision.load(path))"
        )
    return found
