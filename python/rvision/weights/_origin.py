"""The stated origin of a weight file: the network's name, and the preparation of its pictures.

Different networks may have the same names and shapes. Then other information distinguishes them:

* the header of a safetensors file (`architecture`);
* entries of a training checkpoint (`arch`, of timm's and PyTorch's example; Lightning's `hyper_parameters`);
* Hugging Face's `config.json` next to `model.safetensors` or `pytorch_model.bin`;
* the file's own name (`tf_efficientnet_lite0-0aa007d2.pth`).
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from rvision import _rvision
from rvision.errors import RVisionError
from rvision.transforms import ImageClassification, InterpolationMode

__all__ = ["FILE_NAME", "Origin", "origin"]

# The source in messages if only the file's name states the origin.
FILE_NAME = "its name"

_NAMES = ("architecture", "arch", "model_name", "model")
_SETTINGS = ("hyper_parameters", "args", "config")
_HUB_FILES = {"model.safetensors", "pytorch_model.bin"}


@dataclass(frozen=True)
class Origin:
    """The origin of a file.

    Attributes
    ----------
    architecture : str
        The network's name there: timm's, torchvision's or another; empty if not stated.
    said_by : str
        The source of the information, for messages.
    preset : ImageClassification or None
        The preparation of its pictures, if timm's configuration states it.
    """

    architecture: str = ""
    said_by: str = ""
    preset: ImageClassification | None = None


def origin(path: str | os.PathLike[str]) -> Origin:
    """Return the origin that a file, or a file next to it, states."""
    file = Path(path)
    config = _hub_config(file)
    if config:
        name = config.get("architecture")
        return Origin(
            name if isinstance(name, str) else "", "its config.json", _preset(config.get("pretrained_cfg"))
        )
    name, where = _inside_of(file)
    if name:
        return Origin(name, where)
    # The network's name is followed by a tag of the training and a hash.
    return Origin(re.split(r"[-.]", file.name, maxsplit=1)[0], FILE_NAME)


def _hub_config(file: Path) -> dict[str, Any]:
    if file.name not in _HUB_FILES:
        return {}
    try:
        config = json.loads((file.parent / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _inside_of(file: Path) -> tuple[str, str]:
    try:
        stat = file.stat()
    except OSError:
        return "", ""  # loading it reports the error
    return _inside(file, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _inside(file: Path, size: int, changed: int) -> tuple[str, str]:
    """Return the name in the file and its source; `size` and `changed` keep the cache valid."""
    try:
        checkpoint = _rvision.Checkpoint.open(os.fspath(file))
        if checkpoint.header:
            return _named(checkpoint.header, "its header")
        # Only a checkpoint has entries besides the weights; it is then read a second time.
        content = checkpoint.content() if checkpoint.state_dict().key else None
    except (OSError, RVisionError):
        return "", ""
    if not isinstance(content, Mapping):
        return "", ""
    name, where = _named(content, "its entry")
    for key in _SETTINGS:
        inner = content.get(key)
        if not name and isinstance(inner, Mapping):
            name, where = _named(inner, f"its entry {key!r},")
    return name, where


def _named(entries: Mapping[Any, Any], where: str) -> tuple[str, str]:
    for key in _NAMES:
        if isinstance(entries.get(key), str) and entries[key]:
            return entries[key], f"{where} {key!r}"
    return "", ""


def _preset(config: Any) -> ImageClassification | None:
    """Return timm's preparation of pictures for evaluation, if it is a resize and a centre crop."""
    try:
        _, height, width = config["input_size"]
        if height != width or config.get("crop_mode", "center") != "center":
            return None
        return ImageClassification(
            crop_size=height,
            resize_size=math.floor(height / config["crop_pct"]),
            mean=[float(value) for value in config["mean"]],
            std=[float(value) for value in config["std"]],
            interpolation=InterpolationMode(config["interpolation"]),
        )
    except (TypeError, KeyError, ValueError, ZeroDivisionError, AttributeError):
        return None
