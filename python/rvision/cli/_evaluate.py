"""`rvision evaluate`."""

from __future__ import annotations

import json
import sys
from typing import Any

from rvision._evaluate import evaluate, labelled
from rvision._pictures import of_ignored_orientation
from rvision.cli._network import network, say

__all__ = ["run"]


def run(args: Any) -> int:
    """Evaluate a network and return the exit status: 2 if some pictures could not be read."""
    chosen = network(args)
    data = labelled(args.data, args.labels, categories=chosen.categories or None)
    result = evaluate(
        chosen.model,
        data,
        categories=chosen.categories or None,
        transforms=chosen.transforms,
        batch_size=args.batch,
        skip_unreadable=True,
        orient=args.orient,
        progress=sys.stderr.isatty(),
    )
    if result.rule:
        say(f"class folders are taken by {result.rule}")
    if result.ignored_orientation:
        say(of_ignored_orientation(result.ignored_orientation))
    for error in result.unreadable:
        print(f"rvision: error: {' '.join(str(error).split())}", file=sys.stderr)
    if args.json:
        rates = {
            f"top{k}_{what}": getattr(result, what)(k) for k in result.hits for what in ("accuracy", "error")
        }
        counts: dict[str, Any] = {"n": result.n, "unreadable": len(result.unreadable)}
        if result.rule:
            counts["rule"] = result.rule
        print(json.dumps({"model": chosen.name, "weights": chosen.weights, **counts, **rates}))
    else:
        print(f"{chosen.name} ({chosen.weights})")
        print(result)
    return 2 if result.unreadable else 0
