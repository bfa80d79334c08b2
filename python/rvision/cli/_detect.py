"""`rvision detect`."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from rvision.cli._classify import number
from rvision.cli._network import network, say
from rvision.cli._windows import box_in_words, check_out, class_index, picture_of, scales_of
from rvision.dense import SlidingWindowDetector
from rvision.dense._digits import DIGIT_WINDOWS, DigitPage, digit_page, find_digits, matches
from rvision.errors import ArgumentError

__all__ = ["run"]

# What options are where they are not given.
_USUAL = {"scales": 6, "stride": None, "threshold": 0.5, "iou": 0.3}


def run(args: Any) -> int:
    """Print, and draw, what is found on a picture."""
    page = None
    if args.demo:
        page = _lay_out(args)
    elif args.picture is None:
        raise ArgumentError("detect: name a picture, or try --demo")
    elif args.seed is not None:
        raise ArgumentError("detect: --seed is for --demo")
    for option, value in (_USUAL if page is None else DIGIT_WINDOWS).items():
        if getattr(args, option) is None:
            setattr(args, option, value)
    check_out(args.out)
    picture = picture_of(args.picture)
    chosen = network(args)
    detector = SlidingWindowDetector(
        chosen.model,
        scales_of(args, chosen, picture),
        args.stride,
        args.threshold,
        args.iou,
        input_size=args.window,
        padding=args.padding,
        squeeze=args.squeeze,
        transform=chosen.transforms,
        classes=None
        if args.labels is None
        else [class_index(name, chosen.categories) for name in args.labels],
        max_detections=args.max_detections,
    )
    found = detector(picture) if page is None else find_digits(detector, picture)
    best = list(zip(found["boxes"], found["labels"], found["scores"], strict=True))
    right = 0 if page is None else int(matches(found, page).sum())
    if args.json:
        detections = [
            {
                "rank": rank,
                "index": int(label),
                "label": chosen.label(int(label)),
                "score": number(score),
                "box": [round(float(side), 2) for side in box],
            }
            for rank, (box, label, score) in enumerate(best, 1)
        ]
        report: dict[str, Any] = {"file": args.picture, "detections": detections}
        if page is not None:
            report["demo"] = {"digits": len(page.labels), "found": right}
        print(json.dumps(report, ensure_ascii=False))
    else:
        print(args.picture)
        for rank, (box, label, score) in enumerate(best, 1):
            print(f"#{rank} ({score:.2f}) {chosen.label(int(label))} {box_in_words(box)}")
        if not best:
            print(f"nothing above {args.threshold:g}")
        if page is not None:
            wrong = len(best) - right
            print(
                f"found {right} of the {len(page.labels)} digits; "
                f"{'nothing else' if not wrong else f'{wrong} more where there is none'}"
            )
    if args.out is not None:
        from rvision.utils import draw_bounding_boxes
        from rvision.utils._draw import distinct_colors

        # The best is drawn last, over the others.
        backwards = best[::-1]
        draw_bounding_boxes(
            picture,
            found["boxes"][::-1],
            [f"{chosen.label(int(label))} {score:.2f}" for _, label, score in backwards],
            distinct_colors([int(label) for _, label, _ in backwards]),
            width=max(1, min(picture.size) // 200),
        ).save(args.out)
        if page is not None:
            say(f"the boxes are in {args.out}")
    return 0


def _lay_out(args: Any) -> DigitPage:
    """Write a page of digits to a new file, and choose the network and the files for it."""
    from PIL import Image

    if args.picture is not None or args.model is not None or args.weights is not None:
        raise ArgumentError("detect: --demo brings its own picture and network; leave out either")
    if args.seed is not None and args.seed < 0:
        raise ArgumentError(f"--seed: expected a number from 0, got {args.seed}")
    page = digit_page(np.random.default_rng(args.seed or 0))
    args.model, args.weights = "lenet5", "MNIST"
    names = ("digits" if i == 1 else f"digits-{i}" for i in count(1))
    picture, boxes = next(
        (Path(f"{name}.png"), Path(f"{name}-boxes.png"))
        for name in names
        if not Path(f"{name}.png").exists() and not Path(f"{name}-boxes.png").exists()
    )
    if args.out is None:
        args.out = str(boxes)
    check_out(args.out)
    with picture.open("xb") as file:
        Image.fromarray(page.pixels).save(file, "PNG")
    args.picture = str(picture)
    say(f"a page of digits (MNIST: LeCun, Cortes, Burges) is in {picture}")
    return page
