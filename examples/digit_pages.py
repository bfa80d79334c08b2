"""Precision and recall of a sliding window that finds digits on generated pages.

    python examples/digit_pages.py --pages 200

Each page has twelve digits that LeNet-5 was not trained on, with sizes from 28 to 42 pixels, among
noise, strokes, halves of digits and digits that are cut off by the page's edge. A detection is
right if its box and a digit's field have an intersection over union of 0.5 or more, and its class
is the digit's. Of several detections of one digit, only the first is right. Nothing is downloaded:
the network, weights and digits are bundled.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
from rvision import dense
from rvision.models import LeNet5_Weights, lenet5


@dataclass(frozen=True)
class Counts:
    """The digits on the pages and the detections.

    Attributes
    ----------
    digits, found, right : int
        Digits on all pages, detections, and right detections.
    """

    digits: int
    found: int
    right: int

    @property
    def precision(self) -> float:
        """Return the share of the detections that are right."""
        return self.right / max(self.found, 1)

    @property
    def recall(self) -> float:
        """Return the share of the digits that were found."""
        return self.right / max(self.digits, 1)


def count(pages: int, seed: int) -> Counts:
    """Generate pages, find the digits on each, and count."""
    weights = LeNet5_Weights.MNIST
    detector = dense.SlidingWindowDetector(
        lenet5(weights=weights), transform=weights.transforms(), **dense.DIGIT_WINDOWS
    )
    digits = found = right = 0
    for number in range(pages):
        page = dense.digit_page(np.random.default_rng([seed, number]))
        detections = dense.find_digits(detector, page.pixels)
        digits += len(page.labels)
        found += len(detections["labels"])
        right += int(dense.matches(detections, page).sum())
    return Counts(digits, found, right)


def main() -> None:
    """Print precision and recall."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.perf_counter()
    counts = count(args.pages, args.seed)
    seconds = time.perf_counter() - start
    print(f"{args.pages} pages, {counts.digits} digits, {counts.found} found, {counts.right} of them right")
    print(f"precision {counts.precision:.4f}")
    print(f"recall    {counts.recall:.4f}")
    print(f"{seconds / max(args.pages, 1):.3f} s a page")


if __name__ == "__main__":
    main()
