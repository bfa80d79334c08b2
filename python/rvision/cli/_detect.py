"""`rvision detect`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision._pictures import PictureError, find_pictures
from rvision.cli._classify import Output, number
from rvision.cli._network import Network, network, say
from rvision.cli._windows import (
    box_in_words,
    check_out,
    class_index,
    picture_of,
    scales_of,
    shows_progress,
    told_as_options,
)
from rvision.dense import SlidingWindowDetector
from rvision.dense._digits import DIGIT_WINDOWS, DigitPage, digit_page, find_digits, matches
from rvision.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["run"]

# Defaults of options.
_USUAL = {"scales": 6, "stride": None, "threshold": 0.5, "iou": 0.3}


def run(args: Any) -> int:
    """Print and draw detections on pictures; return the exit status: 2 if some could not be read."""
    page = None
    if args.demo:
        page = _lay_out(args)
    elif not args.pictures:
        raise ArgumentError("detect: name pictures or folders, or try --demo")
    elif args.seed is not None:
        raise ArgumentError("detect: --seed is for --demo")
    for option, value in (_USUAL if page is None else DIGIT_WINDOWS).items():
        if getattr(args, option) is None:
            setattr(args, option, value)
    files = find_pictures(args.pictures)
    targets = _targets(args, files)
    chosen = network(args)
    several = len(files) > 1
    failed = False
    with Output(several and shows_progress(args), len(files)) as out:
        for file, target in zip(files, targets, strict=True):
            try:
                picture = picture_of(file, args.orient)
            except PictureError as error:
                failed = True
                out.error(str(error))
                if args.json:
                    out.line(json.dumps({"file": str(file), "error": str(error)}, ensure_ascii=False))
            else:
                found = _found(args, chosen, picture, page, not several and shows_progress(args))
                _report(args, chosen, str(file), found, page, out)
                if target is not None:
                    _draw(chosen, picture, found, target)
            out.step()
    if page is not None:
        say(f"the boxes are in {args.out}")
    return 2 if failed else 0


def _targets(args: Any, files: Sequence[Path]) -> list[Path | None]:
    """Return the path to which each picture with its boxes is written.

    Raises
    ------
    ArgumentError
        If it cannot be written, or would overwrite an input picture.
    """
    if args.out is None:
        return [None] * len(files)
    folder = Path(args.out)
    if len(files) == 1 and not Path(args.pictures[0]).is_dir() and not folder.is_dir():
        check_out(args.out)
        return [folder]
    if not folder.is_dir() and (folder.exists() or folder.suffix or not folder.parent.is_dir()):
        raise ArgumentError(f"--out {args.out}: several pictures, or those of a folder, need a folder")
    folder.mkdir(exist_ok=True)
    targets: list[Path | None] = []
    for file in files:
        # Pictures in different folders may have the same name.
        names = (f"{file.stem}-boxes{'' if i == 1 else f'-{i}'}.png" for i in count(1))
        targets.append(next(folder / name for name in names if folder / name not in targets))
    looked_at = {file.resolve() for file in files}
    for target in targets:
        if target is not None and target.resolve() in looked_at:
            raise ArgumentError(f"--out {args.out}: would overwrite {target}, which is an input")
    return targets


def _found(
    args: Any, chosen: Network, picture: Image, page: DigitPage | None, progress: bool
) -> dict[str, NDArray[Any]]:
    """Return the detections on a picture, best first."""
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
        pad=args.pad,
        classes=None
        if args.labels is None
        else [class_index(name, chosen.categories) for name in args.labels],
        max_detections=args.top,
        progress=progress,
    )
    with told_as_options():
        if page is not None:
            return find_digits(detector, picture)
        maps = detector.maps(picture)
    chosen.check_categories(len(maps[0].scores))
    return detector.select(maps)


def _report(
    args: Any,
    chosen: Network,
    file: str,
    found: dict[str, NDArray[Any]],
    page: DigitPage | None,
    out: Output,
) -> None:
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
        report: dict[str, Any] = {"file": file, "detections": detections}
        if page is not None:
            report["demo"] = {"digits": len(page.labels), "found": right}
        out.line(json.dumps(report, ensure_ascii=False))
        return
    lines = [
        f"#{rank} ({score:.2f}) {chosen.label(int(label))} {box_in_words(box)}"
        for rank, (box, label, score) in enumerate(best, 1)
    ]
    if not best:
        lines.append(f"nothing above {args.threshold:g}")
    if page is not None:
        wrong = len(best) - right
        lines.append(
            f"found {right} of the {len(page.labels)} digits; "
            f"{'nothing else' if not wrong else f'{wrong} more where there is none'}"
        )
    out.block([file, *lines])


def _draw(chosen: Network, picture: Image, found: dict[str, NDArray[Any]], target: Path) -> None:
    """Write a picture with the boxes of its detections."""
    from rvision.utils import draw_bounding_boxes
    from rvision.utils._draw import distinct_colors

    # The best is drawn last, over the others.
    boxes, labels, scores = (found[name][::-1] for name in ("boxes", "labels", "scores"))
    draw_bounding_boxes(
        picture,
        boxes,
        [f"{chosen.label(int(label))} {score:.2f}" for label, score in zip(labels, scores, strict=True)],
        distinct_colors([int(label) for label in labels]),
        width=max(1, min(picture.size) // 200),
    ).save(target)


def _lay_out(args: Any) -> DigitPage:
    """Write a page of digits to a new file, and select the network and files for it."""
    from PIL import Image

    if args.pictures or args.model is not None or args.weights is not None:
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
    args.pictures = [str(picture)]
    say(f"a page of digits (MNIST: LeCun, Cortes, Burges) is in {picture}")
    return page
