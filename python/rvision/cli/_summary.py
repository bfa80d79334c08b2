"""`rvision summary`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rvision import models
from rvision._summary import summary
from rvision.errors import ArgumentError

__all__ = ["run"]


def run(args: Any) -> int:
    """Print a network's layers."""
    model = models.get_model(args.model)
    size = args.input or model.input_size
    if size is None:
        raise ArgumentError(f"summary: {args.model} does not say which pictures it takes: --input C,H,W")
    info = summary(model, (1, *size))
    if args.json:
        totals = {"num_params": info.num_params, "multiply_adds": info.multiply_adds}
        rows = [asdict(row) for row in info.rows]
        print(json.dumps({"model": args.model, "input": [1, *size], **totals, "rows": rows}))
    else:
        print(info)
    return 0
