"""`rvision benchmark`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rvision._benchmark import benchmark
from rvision._benchmark._results import default_file
from rvision.cli._network import say
from rvision.errors import ArgumentError

__all__ = ["run"]


def run(args: Any) -> int:
    """Time networks, and print and draw the times."""
    if args.plot is not None:
        # What is missing for the plot is noticed before anything is measured.
        _new_axes()
        if not Path(args.plot).absolute().parent.is_dir():
            raise ArgumentError(f"benchmark: --plot {args.plot}: there is no such folder")
    networks = "all" if args.networks == ["all"] else args.networks or None
    found = benchmark(
        networks,
        args.batch_size,
        args.threads,
        args.seconds,
        args.json,
        args.again,
        progress=sys.stderr.isatty(),
    )
    print(found)
    if args.json is None:
        say(f"the times are in {default_file()}")
    if args.plot is not None:
        axes = _new_axes()
        found.plot(axes)
        axes.get_figure().savefig(args.plot, dpi=150)
        say(f"the plot is in {args.plot}")
    return 0


def _new_axes() -> Any:
    """Return axes of a figure that is in no window."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ArgumentError('benchmark: --plot needs matplotlib: pip install "rvision[plot]"') from error
    return Figure(figsize=(9, 6), layout="constrained").subplots()
