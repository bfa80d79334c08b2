"""`rvision recommend`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rvision._benchmark import recommend
from rvision.errors import ArgumentError

__all__ = ["run"]


def run(args: Any) -> int:
    """Print the networks within limits; an error if there is none."""
    found = recommend(args.max_ms, args.max_mb, args.min_accuracy, args.benchmark)
    if args.json:
        nearest = None if found.nearest is None else asdict(found.nearest)
        rows = [asdict(row) for row in found]
        print(json.dumps({"limits": found.limits, "rows": rows, "nearest": nearest}))
    elif found.rows:
        print(found)
    if not found.rows:
        raise ArgumentError(f"recommend: {found.message}")
    return 0
