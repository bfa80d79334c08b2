"""Networks of other libraries with the names and shapes of one here that are different networks.

Their weights load without an error and give other results. A file's stated origin decides; if it
states none, a warning says so. The table was made by comparing all of timm's networks with all of
these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from rvision.errors import StateDictError
from rvision.transforms import ImageClassification, InterpolationMode
from rvision.weights._origin import FILE_NAME, Origin

__all__ = ["Lookalike", "lookalike_of", "lookalikes", "settled_by", "stranger"]


@dataclass(frozen=True)
class Lookalike:
    """A network of another library, or a family of them.

    Attributes
    ----------
    theirs : str
        Its name there; for a family, a pattern for the beginning of the names.
    ours : str
        The network here that has its names and shapes; empty for a family, which resembles several.
    difference : str
        How they differ.
    config : dict or None
        Arguments with which the builder here makes this network; None if it cannot.
    preset : ImageClassification or None
        The preset of its published weights, if it differs from the one here.
    converted : bool
        Whether it has the names of one here only after conversion by
        :mod:`rvision.models._convert`.
    """

    theirs: str
    ours: str
    difference: str
    config: dict[str, Any] | None = None
    preset: ImageClassification | None = field(default=None, compare=False)
    converted: bool = False


_BLUR = "it blurs maps before it takes every second pixel, by filters that are not in the file"
_TENSORFLOW = "it pads as TensorFlow does and normalises with eps 1e-3"
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
    Lookalike(r"resnetaa|resnetblur|seresnetaa|densenetblur", "", _BLUR),
    Lookalike(r".*quickgelu", "", "its GELU is an approximation (QuickGELU)"),
    # If the names are those here, padding is a choice: EfficientNet-Lite0's variants.
    Lookalike(r"tf_|efficientnet.*_ap_|mixnet|.*_ns_jft", "", _TENSORFLOW, converted=True),
)


def lookalikes(ours: str) -> list[Lookalike]:
    """Return the networks with the names and shapes of one here, including itself if it is one."""
    return [each for each in _ALL if each.ours == ours]


def lookalike_of(ours: str, origin: Origin) -> Lookalike | None:
    """Return which of the lookalikes of a network here a file's origin names.

    timm's names may be followed by a tag of the training, ``resnetaa50.a1h_in1k`` or ``resnetaa50_a1h``.
    """
    if origin.said_by == FILE_NAME and origin.architecture == ours:
        return None  # The file's name may mean the network here.
    for each in lookalikes(ours):
        if re.fullmatch(rf"(hf[-_]hub:)?(timm/)?{each.theirs}([._].*)?", origin.architecture):
            return each
    return None


def stranger(architecture: str, *, converted: bool) -> Lookalike | None:
    """Return the family of another library's network name, if none of the family exists here.

    Parameters
    ----------
    architecture : str
        The name there.
    converted : bool
        Whether the weights' names are mapped to those here, or are these already.
    """
    families = (each for each in _ALL if not each.ours and (converted or not each.converted))
    return next((each for each in families if re.match(each.theirs, architecture)), None)


def settled_by(ours: str, origin: Origin, path: str) -> Lookalike | None:
    """Return the network that a file's origin names, if it can be built here.

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
