"""The message for an unknown network name: the kind of network, and the nearest names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

__all__ = ["unknown"]

# torchvision's networks that are not image classifiers, by the beginnings of their names.
_OTHER_TASKS = (
    ("semantic segmentation", r"deeplabv3|fcn_|lraspp"),
    ("object detection", r"fasterrcnn|maskrcnn|keypointrcnn|retinanet|fcos|ssd"),
    ("video classification", r"mc3_|r3d_|r2plus1d|mvit_|s3d|swin3d"),
    ("optical flow", r"raft"),
)

_ALL = "rvision.models.list_models() lists all"

_QUANTIZED = re.compile(r"quantized_(.+)")


def unknown(name: str, known: Iterable[str]) -> str:
    """Return the message for a name that no network has.

    Parameters
    ----------
    name : str
        The requested name.
    known : iterable of str
        The existing names.
    """
    names = list(known)
    lower = name.lower()
    message = f"Unknown model {name}"
    quantized = _QUANTIZED.fullmatch(lower)
    if quantized:
        plain = quantized[1]
        instead = f"{plain} is here" if plain in names else _nearest(plain, names)
        return f"{message}: a quantized network, and rvision has none; {instead}"
    task = next((task for task, pattern in _OTHER_TASKS if re.match(pattern, lower)), None)
    if task:
        return (
            f"{message}: a network for {task}, and rvision has classification networks only; "
            f"{_nearest(lower, names)}"
        )
    near = _near(lower, names)
    return f"{message}; did you mean {' or '.join(near)}?" if near else f"{message}; {_ALL}"


def _nearest(name: str, names: list[str]) -> str:
    near = _near(name, names)
    return f"the names that come nearest are {', '.join(near)}" if near else _ALL


def _near(name: str, names: list[str]) -> list[str]:
    # A network's name inside the name is its backbone: resnet50 in deeplabv3_resnet50.
    inside = sorted((known for known in names if len(known) > 3 and known in name), key=len, reverse=True)
    return list(dict.fromkeys([*inside[:1], *difflib.get_close_matches(name, names, n=3)]))[:3]
