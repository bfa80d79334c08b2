"""`rvision dense`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from rvision.cli._classify import number
from rvision.cli._network import Network, network
from rvision.cli._windows import (
    box_in_words,
    check_out,
    class_index,
    picture_of,
    scales_of,
    shows_progress,
    told_as_options,
)
from rvision.dense import Map, predict
from rvision.errors import ArgumentError
from rvision.utils._heatmap import FLOOR, draw_heatmap, nowhere_above

__all__ = ["run"]


def run(args: Any) -> int:
    """Print and draw where a class is on a picture."""
    check_out(args.out)
    picture = picture_of(args.picture, args.orient)
    chosen = network(args)
    label = None if args.label is None else class_index(args.label, chosen.categories)
    with told_as_options():
        maps = predict(
            chosen.model,
            picture,
            args.stride,
            input_size=args.window,
            padding=args.padding,
            squeeze=args.squeeze,
            scales=scales_of(args, chosen, picture),
            transform=chosen.transforms,
            pad=args.pad,
            progress=shows_progress(args),
        )
    likely = [map.probabilities() for map in maps]
    chosen.check_categories(len(likely[0]))
    largest = np.max([each.max(axis=(1, 2)) for each in likely], axis=0)
    surest = int(np.nanargmax(largest))
    if label is None:
        label = surest
    elif label >= len(likely[0]):
        raise ArgumentError(f"--class {label}: the network has classes 0 to {len(likely[0]) - 1}")
    best = _best(maps, [each[label] for each in likely], args.top)
    if args.json:
        best_class = {
            "index": surest,
            "label": chosen.label(surest),
            "probability": number(largest[surest]),
        }
        report = _as_object(args, chosen, label, maps, best)
        print(json.dumps({**report, "surest_class": best_class}, ensure_ascii=False))
    elif best[0][3] < FLOOR:
        words = nowhere_above(FLOOR, chosen.label(label), chosen.label(surest), float(largest[surest]))
        print(f"{args.picture}: {chosen.label(label)}\n{words}")
    else:
        print(f"{args.picture}: {chosen.label(label)}")
        for rank, (_, _, _, probability, box) in enumerate(best, 1):
            print(f"#{rank} ({probability:.2f}) {box_in_words(box)}")
    if args.out is not None:
        draw_heatmap(
            picture,
            maps[best[0][0]],
            label,
            value_range=args.range,
            categories=[chosen.label(each) for each in range(len(largest))],
        ).save(args.out)
    return 0


# Number of the map, row, column, probability, box.
_Cell = tuple[int, int, int, np.float32, Sequence[float]]


def _best(maps: Sequence[Map], likely: Sequence[np.ndarray], count: int) -> list[_Cell]:
    """Return the cells of all maps with the highest probability, best first."""
    cells: list[_Cell] = []
    for number_, (map, probabilities) in enumerate(zip(maps, likely, strict=True)):
        for place in np.argsort(-probabilities, axis=None, kind="stable")[:count]:
            row, column = (int(index) for index in np.unravel_index(place, probabilities.shape))
            cells.append((number_, row, column, probabilities[row, column], map.window(row, column)))
    return sorted(cells, key=lambda cell: -cell[3])[:count]


def _as_object(
    args: Any, chosen: Network, label: int, maps: Sequence[Map], best: Sequence[_Cell]
) -> dict[str, Any]:
    return {
        "file": args.picture,
        "class": {"index": label, "label": chosen.label(label)},
        "maps": [
            {
                "scale": list(map.scale),
                "shape": list(map.scores.shape[1:]),
                "window_size": list(map.window_size),
                "stride": list(map.stride),
                "offset": list(map.offset),
            }
            for map in maps
        ],
        "best": [
            {
                "rank": rank,
                "map": map,
                "row": row,
                "column": column,
                "probability": number(probability),
                "box": [round(float(side), 2) for side in box],
            }
            for rank, (map, row, column, probability, box) in enumerate(best, 1)
        ],
    }
