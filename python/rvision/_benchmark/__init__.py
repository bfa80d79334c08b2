"""The times of networks on this machine, and the networks that they recommend."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

# Packages are imported before their submodules, for threads that import at the same time.
import rvision.weights  # noqa: F401
from rvision import _rvision
from rvision._benchmark import _measure
from rvision._benchmark._recommend import Recommendation, recommend
from rvision._benchmark._results import Benchmark, BenchmarkRow, default_file
from rvision._frames import ends_at_caller
from rvision._numbers import integer, real
from rvision._progress import bar
from rvision.errors import ArgumentError

__all__ = ["Benchmark", "BenchmarkRow", "Recommendation", "benchmark", "recommend"]


@ends_at_caller
def benchmark(
    networks: str | Sequence[str] | None = None,
    batch_size: int = 1,
    threads: int | None = None,
    seconds: float = 1.0,
    path: str | os.PathLike[str] | None = None,
    again: bool = False,
    progress: bool = True,
) -> Benchmark:
    """Time networks on this machine, and keep the times in a file.

    Each network is built with drawn weights, so nothing is downloaded; they run in the same time as
    published ones. It runs on noise of the size at which its default weights were evaluated: twice
    to warm up (once if a run takes seconds), then for `seconds`, at least three times.

    The file is written after each network. If it is there already, the networks in it are not
    measured again, so a benchmark that was interrupted is resumed by the same call. Other programs on
    the machine increase times; the shortest is affected least.

    Parameters
    ----------
    networks : str or sequence of str, optional
        Names of networks; ``"all"`` for all with published accuracy on ImageNet, the largest of which
        takes minutes on two cores (ViT-H/14). By default one or two of each family.
    batch_size : int
        Pictures in a run.
    threads : int, optional
        By default those of `get_num_threads`, which are as before afterwards.
    seconds : float
        The time for the runs of each network.
    path : path, optional
        The JSON file. By default ``rvision/benchmark.json`` in the user's cache (``$XDG_CACHE_HOME``,
        ``~/.cache``), which `recommend` uses.
    again : bool
        Whether networks in the file are measured again. A file of another machine, version or
        settings is then begun anew.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Benchmark
        The networks asked for, in order. `Benchmark.load` returns all in the file.

    Raises
    ------
    ArgumentError
        If the file is not a benchmark, or is from another machine, version of rvision or with other
        settings; or a network does not say which pictures it takes.
    ValueError
        If there is no network of a name.
    OSError
        If the file cannot be read or written.

    Examples
    --------
    >>> found = rvision.benchmark(["lenet5"], seconds=0, path="times.json", progress=False)
    >>> [row.network for row in found]
    ['lenet5']
    """
    names = _measure.chosen(networks)
    batch_size = integer(batch_size, "benchmark: batch_size", 1)
    before = _rvision.get_num_threads()
    count = before if threads is None else integer(threads, "benchmark: threads", 1)
    seconds = real(seconds, "benchmark: seconds")
    if not 0 <= seconds < math.inf:
        raise ArgumentError(f"benchmark: seconds: expected a number from 0, got {seconds}")
    settings = {"batch_size": batch_size, "threads": count, "seconds": seconds}
    file = default_file() if path is None else Path(path)
    found = _continued(file, Benchmark((), _rvision.__version__, _measure.machine(), settings), again)
    rows = {row.network: row for row in found.rows}
    missing = [name for name in names if again or name not in rows]
    if missing:
        if path is None:
            file.parent.mkdir(parents=True, exist_ok=True)
        # A file that cannot be written is noticed before anything is measured.
        found.save(file)
    shown: Any = bar(total=len(missing), unit="network", leave=False) if progress and missing else None
    try:
        _rvision.set_num_threads(count)
        for name in missing:
            if shown is not None:
                shown.set_description_str(name)
            rows[name] = _measure.measured(name, batch_size, seconds)
            found = replace(found, rows=tuple(rows.values()))
            found.save(file)
            if shown is not None:
                shown.update()
    finally:
        _rvision.set_num_threads(before)
        if shown is not None:
            shown.close()
    return replace(found, rows=tuple(rows[name] for name in names))


def _continued(file: Path, new: Benchmark, again: bool) -> Benchmark:
    """Return what a file holds if it can be continued, else the new benchmark."""
    try:
        old = Benchmark.load(file)
    except FileNotFoundError:
        return new
    differing = _differences(old, new)
    if not differing or not old.rows:
        return new if differing else old
    if again:
        return new
    raise ArgumentError(
        f"benchmark: {file} cannot be continued: {'; '.join(differing)}. Name another file, or measure "
        "all anew with again=True (--again), which replaces it"
    )


def _differences(old: Benchmark, new: Benchmark) -> list[str]:
    pairs = {"rvision": (old.version, new.version)}
    for before, now in ((old.machine, new.machine), (old.settings, new.settings)):
        pairs |= {key: (before[key], now[key]) for key in now}
    return [
        f"{key} is {now} here, {before} in the file" for key, (before, now) in pairs.items() if before != now
    ]
