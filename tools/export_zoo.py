"""Write the table of published weights that `rvision.weights` reads.

Run with a Python that has torchvision installed:

    python tools/export_zoo.py python/rvision/weights

It asks torchvision for every classification network and writes `zoo.json` (where the weights
are, what they score, how their pictures are prepared), `imagenet_classes.txt` (the 1000 class
names, one a line) and the stub of the enum classes. Facts only: the sentence that describes a
training recipe is this project's own, looked up in `NOTES`.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import torchvision
import weights_stub
from torchvision import models

BASE = "https://download.pytorch.org/models/"

# code -> (a phrase by which torchvision's description is recognised, what we say of it)
NOTES = {
    "features": (
        "can't be used for classification",
        "Only `features` holds trained values, for feature extraction; `classifier` must not be used. "
        "Trained on pictures standardised as in the paper.",
    ),
    "swag_e2e": (
        "end-to-end fine-tuning",
        "SWAG weights (arXiv:2201.08371), fine-tuned whole on ImageNet-1K.",
    ),
    "swag_linear": (
        "frozen",
        "SWAG weights (arXiv:2201.08371), frozen, under a linear classifier trained on ImageNet-1K.",
    ),
    "bn_momentum": (
        "momentum of 0.99",
        "Trained much as in the paper, with a batch-norm momentum of 0.99 where 0.01 was meant.",
    ),
    "lua": ("ported from LuaTorch", "Converted from the authors' Lua Torch files."),
    "ported": ("ported from the original paper", "Converted from the weights the paper's authors published."),
    "deit": ("DeIT", "Trained from scratch with a variant of DeiT's recipe (arXiv:2012.12877)."),
    "new_marginal": (
        "improve marginally",
        "Trained with a variant of torchvision's long recipe of 2021; slightly above the paper's accuracy.",
    ),
    "new_variant": (
        "using a modified version of TorchVision's `new",
        "Trained with a variant of torchvision's long recipe of 2021.",
    ),
    "new": ("TorchVision's `new training recipe", "Trained with torchvision's long recipe of 2021."),
    "better_simple": (
        "improve upon the results of the original paper by using a simple",
        "Trained with a plain recipe; above the paper's accuracy.",
    ),
    "similar": (
        "using a similar training recipe",
        "Trained much as in the paper, to about the paper's accuracy.",
    ),
    "simplified": ("simplified training recipe", "Trained with a recipe simpler than the paper's."),
    "simple": ("simple training recipe", "Trained with a plain recipe, to about the paper's accuracy."),
    "paper": ("results of the paper", "Trained to about the paper's accuracy."),
}


def note(docs: str) -> str:
    """Return the code in `NOTES` that a description belongs to."""
    text = " ".join(docs.split())
    return next(code for code, (phrase, _) in NOTES.items() if phrase in text)


def number(value: float) -> float | None:
    """Return a finite number, or None where torchvision has none (NaN is not JSON)."""
    return None if math.isnan(value) else value


def entry(weights: Any, default: bool) -> dict[str, Any]:
    """Return one row of the table."""
    meta = weights.meta
    assert weights.url.startswith(BASE), weights.url
    preset = weights.transforms()
    (metrics,) = meta["_metrics"].items()
    assert metrics[0] == "ImageNet-1K" and preset.antialias is True
    row: dict[str, Any] = {
        "file": weights.url.removeprefix(BASE),
        "default": default,
        "num_params": meta["num_params"],
        "min_size": list(meta["min_size"]),
        "acc": [number(metrics[1]["acc@1"]), number(metrics[1]["acc@5"])],
        "ops": meta["_ops"],
        "file_size": meta["_file_size"],
        "crop": preset.crop_size[0],
        "resize": preset.resize_size[0],
        "interpolation": preset.interpolation.value,
        "mean": list(preset.mean),
        "std": list(preset.std),
        "recipe": meta["recipe"],
        "note": note(meta["_docs"]),
    }
    if "license" in meta:
        row["license"] = meta["license"]
    if meta["categories"] is None:
        row["categories"] = None
    return row


def main(folder: Path) -> None:
    """Write the files into `folder`."""
    networks: dict[str, str] = {}
    weights: dict[str, dict[str, Any]] = {}
    for name in models.list_models(module=models):
        enum = models.get_model_weights(name)
        networks[name] = enum.__name__
        for member in enum:
            weights[f"{enum.__name__}.{member.name}"] = entry(member, member is enum.DEFAULT)
    lines = [
        "{",
        f' "source": "torchvision {torchvision.__version__.split("+")[0]}",',
        f' "base": "{BASE}",',
        f' "notes": {json.dumps({code: text for code, (_, text) in NOTES.items()}, indent=2)},',
        f' "networks": {json.dumps(networks, indent=2)},',
        ' "weights": {',
        ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in weights.items()),
        " }",
        "}",
    ]
    (folder / "zoo.json").write_text("\n".join(lines) + "\n")
    categories = models.AlexNet_Weights.DEFAULT.meta["categories"]
    (folder / "imagenet_classes.txt").write_text("\n".join(categories) + "\n")
    weights_stub.main(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
