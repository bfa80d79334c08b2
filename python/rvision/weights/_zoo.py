"""The table of published weights: `zoo.json` and `imagenet_classes.txt`, each read once.

Both are written by `tools/export_zoo.py` and hold every classification network of torchvision, so a
new network needs only a builder, no data and no enum class.
"""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import Any

from rvision.transforms import ImageClassification, InterpolationMode
from rvision.weights._base import Weights

_FOLDER = Path(__file__).parent
# The preset's values that the table omits: the transform's own defaults.
_PRESET_DEFAULTS = {
    "resize_size": 256,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "interpolation": InterpolationMode.BILINEAR,
}


@cache
def imagenet_categories() -> list[str]:
    """Return the names of ImageNet's 1000 classes, in the order of a network's outputs."""
    return (_FOLDER / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()


@cache
def imagenet_wordnet_ids() -> list[str]:
    """Return the WordNet 3.0 ids of ImageNet's 1000 classes, such as n01440764 (tench), in the same order.

    They are sorted: ILSVRC numbered its classes by them.
    """
    return (_FOLDER / "imagenet_wordnet_ids.txt").read_text(encoding="ascii").split()


@cache
def table() -> dict[str, Any]:
    """Return the table: `networks` (name to enum class name) and `weights` (full name to a row)."""
    return json.loads((_FOLDER / "zoo.json").read_text(encoding="utf-8"))


def preset(crop_size: int, **config: Any) -> partial[ImageClassification]:
    """Return a constructor of `ImageClassification` with these settings, without those that are defaults."""
    told = {key: value for key, value in config.items() if value != _PRESET_DEFAULTS[key]}
    return partial(ImageClassification, crop_size=crop_size, **told)


def published(name: str) -> Weights:
    """Return the weights that torchvision publishes under a full name.

    Parameters
    ----------
    name : str
        For instance ``"ResNet50_Weights.IMAGENET1K_V2"``.
    """
    row = table()["weights"][name]
    nan = float("nan")
    meta = {
        "categories": imagenet_categories() if row.get("categories", True) else None,
        "num_params": row["num_params"],
        "min_size": tuple(row["min_size"]),
        "recipe": row["recipe"],
        "_metrics": {
            "ImageNet-1K": dict(
                zip(("acc@1", "acc@5"), (nan if a is None else a for a in row["acc"]), strict=True)
            )
        },
        "_ops": row["ops"],
        "_file_size": row["file_size"],
        "_docs": table()["notes"][row["note"]],
    }
    if "license" in row:
        meta["license"] = row["license"]
    transforms = preset(
        row["crop"],
        resize_size=row["resize"],
        mean=tuple(row["mean"]),
        std=tuple(row["std"]),
        interpolation=InterpolationMode(row["interpolation"]),
    )
    return Weights(url=table()["base"] + row["file"], transforms=transforms, meta=meta)
