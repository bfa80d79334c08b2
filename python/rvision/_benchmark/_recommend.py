"""Networks of a benchmark within limits: `rvision.recommend`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

from rvision._benchmark._measure import machine
from rvision._benchmark._results import (
    HEADER,
    Benchmark,
    BenchmarkRow,
    accuracy,
    cells,
    default_file,
    faint,
    html_rows,
    where,
)
from rvision._frames import ends_at_caller
from rvision._html import document
from rvision._numbers import real
from rvision._table import table
from rvision.errors import ArgumentError

# How a message names a limit.
_WORDS = {
    "max_ms": "at most {:g} ms",
    "max_mb": "at most {:g} MB",
    "min_accuracy": "at least {:g} % top-1",
}


@dataclass(frozen=True, repr=False)
class Recommendation:
    """What `recommend` found: a table as text and in a notebook; `pandas.DataFrame(it)` takes its rows.

    Attributes
    ----------
    rows : tuple of BenchmarkRow
        The networks within the limits, the most accurate first; those without a published accuracy
        are last.
    limits : dict
        The limits that were given: ``max_ms``, ``max_mb``, ``min_accuracy``.
    nearest : BenchmarkRow or None
        If there is none within the limits, the one whose worst ratio of a value to its limit is the
        smallest.
    benchmark : Benchmark
        What they were chosen from.
    """

    rows: tuple[BenchmarkRow, ...]
    limits: dict[str, float]
    nearest: BenchmarkRow | None
    benchmark: Benchmark

    def __iter__(self) -> Iterator[BenchmarkRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def message(self) -> str:
        """What was asked for, how many networks there are, and the nearest if there is none."""
        total = len(self.benchmark)
        wanted = ", ".join(_WORDS[name].format(value) for name, value in self.limits.items()) or "no limits"
        if self.rows:
            return f"{len(self.rows)} of {total} networks ({wanted})"
        if self.nearest is None:
            return f"none of {total} networks ({wanted}); none has a published accuracy"
        row = self.nearest
        top = "no published accuracy" if row.acc1 is None else f"{row.acc1:.2f} % top-1"
        return (
            f"none of {total} networks ({wanted}); the nearest is {row.network}: {row.median_ms:.2f} ms, "
            f"{row.megabytes:.1f} MB, {top}"
        )

    def __repr__(self) -> str:
        line = where(self.benchmark)
        if not self.rows:
            return f"{self.message}\n{line}"
        lines = [cells(row) for row in self.rows]
        return f"{table(HEADER, lines, left=1)}\n{self.message}; {line}"

    def _repr_html_(self) -> str:
        tables = [html_rows(self.rows)] if self.rows else []
        return document(self.message, *tables, faint(where(self.benchmark)))


@ends_at_caller
def recommend(
    max_ms: float | None = None,
    max_mb: float | None = None,
    min_accuracy: float | None = None,
    benchmark: Benchmark | str | os.PathLike[str] | None = None,
) -> Recommendation:
    """Return the networks of a benchmark that are within limits, the most accurate first.

    Parameters
    ----------
    max_ms : float, optional
        The most milliseconds that a run of the benchmark's batch may take (median).
    max_mb : float, optional
        The largest weight file, in units of 2**20 bytes.
    min_accuracy : float, optional
        The least top-1 accuracy on ImageNet-1K, per cent.
    benchmark : Benchmark or path, optional
        What to choose from: what `rvision.benchmark` returned or wrote. By default its default file,
        which must be of this machine.

    Returns
    -------
    Recommendation
        Its `rows`; without any, its `nearest`.

    Raises
    ------
    ArgumentError
        If there is no benchmark or it is empty, a limit is not a number above 0, or the default
        file is from another machine.

    Examples
    --------
    >>> found = rvision.benchmark(["squeezenet1_1", "resnet18"], 1, seconds=0, path="b.json", progress=False)
    >>> [row.network for row in rvision.recommend(max_mb=10, benchmark=found)]
    ['squeezenet1_1']
    """
    given = {"max_ms": max_ms, "max_mb": max_mb, "min_accuracy": min_accuracy}
    limits = {name: real(value, f"recommend: {name}") for name, value in given.items() if value is not None}
    for name, value in limits.items():
        if not 0 < value < math.inf:
            raise ArgumentError(f"recommend: {name}: expected a number above 0, got {value}")
    if (least := limits.get("min_accuracy")) is not None and not 1 < least <= 100:
        raise ArgumentError(f"recommend: min_accuracy is in per cent, such as 75: got {least}")
    source = benchmark if isinstance(benchmark, Benchmark) else _found(benchmark)
    if not source.rows:
        raise ArgumentError("recommend: the benchmark has no networks; run rvision.benchmark() first")

    def excess(row: BenchmarkRow) -> float:
        """Return the worst ratio of a value to its limit; above 1 if one is not met."""
        ratios = [0.0]
        if "max_ms" in limits:
            ratios.append(row.median_ms / limits["max_ms"])
        if "max_mb" in limits:
            ratios.append(row.megabytes / limits["max_mb"])
        if "min_accuracy" in limits:
            ratios.append(limits["min_accuracy"] / row.acc1 if row.acc1 else math.inf)
        return max(ratios)

    within = [row for row in source.rows if excess(row) <= 1]
    within.sort(key=lambda row: (-accuracy(row), row.median_ms))
    nearest = None if within else min(source.rows, key=excess)
    if nearest is not None and excess(nearest) == math.inf:
        nearest = None
    return Recommendation(tuple(within), limits, nearest, source)


def _found(path: str | os.PathLike[str] | None) -> Benchmark:
    """Return the benchmark that recommendations are to be chosen from."""
    try:
        source = Benchmark.load(path)
    except FileNotFoundError:
        file, argument = (default_file(), "") if path is None else (path, f"path={os.fspath(path)!r}")
        option = f" --json {os.fspath(path)}" if path is not None else ""
        raise ArgumentError(
            f"recommend: there is no benchmark yet ({file}). Run rvision.benchmark({argument}), or in a "
            f"terminal: rvision benchmark{option}"
        ) from None
    here = machine()
    if path is None and source.machine["cpu"] != here["cpu"]:
        raise ArgumentError(
            f"recommend: {default_file()} was measured on {source.machine['cpu']}, and this is "
            f"{here['cpu']}. Run rvision.benchmark(again=True), or pass the file as benchmark= "
            "to choose for that machine"
        )
    return source
