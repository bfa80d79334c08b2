"""`rvision detect`."""

from __future__ import annotations

import json
from typing import Any

from rvision.cli._classify import number
from rvision.cli._network import network
from rvision.cli._windows import box_in_words, check_out, class_index, picture_of, scales_of
from rvision.dense import SlidingWindowDetector

__all__ = ["run"]


def run(args: Any) -> int:
    """Print, and draw, what is found on a picture."""
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
    found = detector(picture)
    best = list(zip(found["boxes"], found["labels"], found["scores"], strict=True))
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
        print(json.dumps({"file": args.picture, "detections": detections}, ensure_ascii=False))
    else:
        print(args.picture)
        for rank, (box, label, score) in enumerate(best, 1):
            print(f"#{rank} ({score:.2f}) {chosen.label(int(label))} {box_in_words(box)}")
        if not best:
            print(f"nothing above {args.threshold:g}")
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
    return 0
