"""`rvision profile`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from rvision import models, set_num_threads
from rvision._profile import profile
from rvision.cli._network import network
from rvision.cli._windows import shows_progress
from rvision.errors import ArgumentError

__all__ = ["run"]


def run(args: Any) -> int:
    """Print where the time of a network's runs goes."""
    if args.weights is not None:
        model = network(args).model
    else:
        if args.threads is not None:
            set_num_threads(args.threads)
        model = models.get_model(args.model)
    known = model.input_size
    if known is None and args.size is None:
        raise ArgumentError(f"profile: {args.model} does not say which pictures it takes: --size N")
    channels, *sides = known or (3, 0, 0)
    sides = sides if args.size is None else [args.size, args.size]
    # Noise: zeros would change the memory traffic, and denormals the speed of the arithmetic.
    pictures = np.random.default_rng(0).standard_normal((args.batch, channels, *sides), np.float32)
    found = profile(model, pictures, runs=args.runs, progress=shows_progress(args))
    if args.json:
        totals = {"multiply_adds": found.multiply_adds, "gflop_per_second": found.gflop_per_second}
        print(json.dumps({"model": args.model, "input": pictures.shape, **totals, **asdict(found)}))
    else:
        print(found)
    return 0
