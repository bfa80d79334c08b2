"""`rvision summary`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rvision import models
from rvision._summary import summary
from rvision.cli._network import members
from rvision.errors import ArgumentError

__all__ = ["run"]


def run(args: Any) -> int:
    """Print a network's layers."""
    model = models.get_model(args.model)
    size = args.input or _published_size(args.model)
    info = summary(model, (1, *size))
    if args.json:
        totals = {"num_params": info.num_params, "multiply_adds": info.multiply_adds}
        rows = [asdict(row) for row in info.rows]
        print(json.dumps({"model": args.model, "input": [1, *size], **totals, "rows": rows}))
    else:
        print(info)
    return 0


def _published_size(name: str) -> tuple[int, int, int]:
    """Return the size of picture that a network is made for: the smallest that weights were evaluated at."""
    crops = [member.transforms().crop_size[0] for member in members(name)]
    if not crops:
        raise ArgumentError(
            f"summary: no weights are published for {name}, so say what it takes: --input C,H,W"
        )
    return (3, min(crops), min(crops))
