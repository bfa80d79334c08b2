"""The times of networks on this machine, and the networks that they recommend."""

from __future__ import annotations

import gc
import json
import math
import os
import platform
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

# Packages are imported before their submodules, for threads that import at the same time.
import rvision.weights  # noqa: F401
from rvision import _rvision, models
from rvision._frames import ends_at_caller
from rvision._html import Html, document, escape, html_table, swatch
from rvision._numbers import integer, real
from rvision._progress import bar
from rvision._summary import summary
from rvision._table import table
from rvision.errors import ArgumentError
from rvision.nn import Module
from rvision.weights import WeightsEnum
from rvision.weights._cache import own_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Benchmark", "BenchmarkRow", "Recommendation", "benchmark", "recommend"]

# One or two networks of each family, none of which takes long.
_CHOSEN = [
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0"),
    *("efficientnet_b2", "googlenet", "inception_v3", "maxvit_t"),
    *("mnasnet0_5", "mnasnet1_0", "mobilenet_v2", "mobilenet_v3_small"),
    *("mobilenet_v3_large", "regnet_x_400mf", "regnet_y_1_6gf", "resnet18"),
    *("resnet50", "resnext50_32x4d", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0"),
    *("squeezenet1_1", "swin_t", "vgg11", "vit_b_32"),
]

# A median of fewer runs means little; of more, nothing more.
_LEAST_RUNS, _MOST_RUNS = 3, 10_000

# How a message names a limit.
_WORDS = {
    "max_ms": "at most {:g} ms",
    "max_mb": "at most {:g} MB",
    "min_accuracy": "at least {:g} % top-1",
}

_FORMAT = "rvision benchmark 1"
_DATA = "ImageNet-1K"

_HEADER = (
    *("network", "params (M)", "MB", "GFLOPS", "top-1", "top-5"),
    *("picture", "ms", "best ms", "pictures/s"),
)


@dataclass(frozen=True)
class BenchmarkRow:
    """A network: its published figures, and its time on this machine.

    Attributes
    ----------
    network : str
        Its name among `rvision.models`.
    weights : str or None
        The default weights, which the figures are of; None if none are published.
    parameters : int
    megabytes : float
        The size of the weight file in units of 2**20 bytes, as in torchvision's tables.
    gflops : float
        Multiply-adds of a picture in units of 1e9, which torchvision's tables call GFLOPS.
    acc1, acc5 : float or None
        Published top-1 and top-5 accuracy on ImageNet-1K, per cent; None if none is published.
    image_size : tuple of int
        Height and width of the pictures: those at which the accuracy was measured.
    median_ms, best_ms : float
        Time of a run, which is one batch, in milliseconds: the median and the shortest.
    pictures_per_second : float
        Pictures of a batch divided by the median time.
    runs : int
        Number of timed runs.
    """

    network: str
    weights: str | None
    parameters: int
    megabytes: float
    gflops: float
    acc1: float | None
    acc5: float | None
    image_size: tuple[int, int]
    median_ms: float
    best_ms: float
    pictures_per_second: float
    runs: int

    def _cells(self) -> tuple[str, ...]:
        return (
            self.network,
            f"{self.parameters / 1e6:.2f}",
            f"{self.megabytes:.1f}",
            f"{self.gflops:.3g}",
            *("-" if value is None else f"{value:.2f}" for value in (self.acc1, self.acc5)),
            " x ".join(map(str, self.image_size)),
            f"{self.median_ms:.2f}",
            f"{self.best_ms:.2f}",
            f"{self.pictures_per_second:.1f}",
        )


@dataclass(frozen=True, repr=False)
class Benchmark:
    """What `benchmark` measured: a table as text and in a notebook; `pandas.DataFrame(it)` takes its rows.

    Attributes
    ----------
    rows : tuple of BenchmarkRow
    version : str
        The version of rvision.
    machine : dict
        ``cpu``, the processor's name; ``cores``, those that the process may use; ``system``; and
        ``isa`` and ``profile`` as in `rvision.build_info`.
    settings : dict
        ``batch_size``, ``threads``, and ``seconds``, the least time for each network.
    """

    rows: tuple[BenchmarkRow, ...]
    version: str
    machine: dict[str, Any]
    settings: dict[str, Any]

    def __iter__(self) -> Iterator[BenchmarkRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"{table(_HEADER, [row._cells() for row in self.rows], left=1)}\n{self._where()}"

    def _repr_html_(self) -> str:
        return document(_html_rows(self.rows), _faint(self._where()))

    def _where(self) -> str:
        """Return what was measured on what, as a line below a table."""
        threads, pictures = self.settings["threads"], self.settings["batch_size"]
        return (
            f"runs of {pictures} picture{'s' * (pictures > 1)} on {threads} thread{'s' * (threads > 1)} of "
            f"{self.machine['cpu']} ({self.machine['isa']}), rvision {self.version}"
        )

    def pareto(self) -> tuple[BenchmarkRow, ...]:
        """Return the networks for which none is both as fast and as accurate, the fastest first.

        The time is the median, the accuracy top-1. Networks without published accuracy are left out.
        """
        front: list[BenchmarkRow] = []
        for row in sorted(_with_accuracy(self.rows), key=lambda row: (row.median_ms, -_accuracy(row))):
            if not front or _accuracy(row) > _accuracy(front[-1]):
                front.append(row)
        return tuple(front)

    @ends_at_caller
    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw top-1 accuracy against time, and the Pareto front as a line.

        Networks without published accuracy are left out.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw. A new figure by default.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ArgumentError
            If no network has a published accuracy.
        ImportError
            Without matplotlib: ``pip install "rvision[plot]"``.
        """
        from rvision.plot._scatter import accuracy_against_time

        rows = _with_accuracy(self.rows)
        if not rows:
            raise ArgumentError("Benchmark.plot: no network of the benchmark has a published accuracy")
        points = [(row.network, row.median_ms, _accuracy(row)) for row in rows]
        return accuracy_against_time(
            points, {row.network for row in self.pareto()}, self._where(), self.settings["batch_size"], ax
        )

    @ends_at_caller
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a JSON file, which `load` reads. It is written beside its place and renamed.

        Raises
        ------
        OSError
            From the system.
        """
        target = Path(path)
        content = {
            "format": _FORMAT,
            "version": self.version,
            "machine": self.machine,
            "settings": self.settings,
            "rows": [asdict(row) for row in self.rows],
        }
        draft = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            draft.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
            draft.replace(target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    @classmethod
    @ends_at_caller
    def load(cls, path: str | os.PathLike[str] | None = None) -> Benchmark:
        """Read a file that `benchmark` has written.

        Parameters
        ----------
        path : path, optional
            By default `benchmark`'s default file.

        Raises
        ------
        ArgumentError
            If the file is not such a file, or damaged.
        OSError
            If it is not there, or cannot be read.
        """
        file = _default_file() if path is None else Path(path)
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(content, dict) or content.get("format") != _FORMAT:
                raise ValueError(f"it has no entry 'format' that says {_FORMAT!r}")
            return _read(content)
        except (ValueError, KeyError, TypeError) as error:
            what = f"no entry {error}" if isinstance(error, KeyError) else error
            raise ArgumentError(
                f"{file} is not a benchmark of rvision, or damaged ({what}); it was left as it is. Name "
                "another file, or delete it to measure anew"
            ) from None


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
        words = {
            "max_ms": "at most {:g} ms",
            "max_mb": "at most {:g} MB",
            "min_accuracy": "at least {:g} % top-1",
        }
        wanted = ", ".join(words[name].format(value) for name, value in self.limits.items()) or "no limits"
        if self.rows:
            return f"{len(self.rows)} of {total} networks ({wanted})"
        if self.nearest is None:
            return f"none of {total} networks ({wanted}); none has a published accuracy"
        row = self.nearest
        accuracy = "no published accuracy" if row.acc1 is None else f"{row.acc1:.2f} % top-1"
        return (
            f"none of {total} networks ({wanted}); the nearest is {row.network}: {row.median_ms:.2f} ms, "
            f"{row.megabytes:.1f} MB, {accuracy}"
        )

    def __repr__(self) -> str:
        where = self.benchmark._where()
        if not self.rows:
            return f"{self.message}\n{where}"
        cells = [row._cells() for row in self.rows]
        return f"{table(_HEADER, cells, left=1)}\n{self.message}; {where}"

    def _repr_html_(self) -> str:
        tables = [_html_rows(self.rows)] if self.rows else []
        return document(self.message, *tables, _faint(self.benchmark._where()))


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
    to warm up, then for `seconds`, at least three times.

    The file is written after each network. If it is there already, the networks in it are not
    measured again, so a benchmark that was interrupted is resumed by the same call. Other programs on
    the machine increase times; the shortest is affected least.

    Parameters
    ----------
    networks : str or sequence of str, optional
        Names of networks; ``"all"`` for all with published accuracy on ImageNet, which takes several
        minutes and 8 GB of memory. By default one or two of each family.
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
    names = _names(networks)
    batch_size = integer(batch_size, "benchmark: batch_size", 1)
    before = _rvision.get_num_threads()
    count = before if threads is None else integer(threads, "benchmark: threads", 1)
    seconds = real(seconds, "benchmark: seconds")
    if not 0 <= seconds < math.inf:
        raise ArgumentError(f"benchmark: seconds: expected a number from 0, got {seconds}")
    settings = {"batch_size": batch_size, "threads": count, "seconds": seconds}
    file = _default_file() if path is None else Path(path)
    found = _continued(file, Benchmark((), _rvision.__version__, _machine(), settings), again)
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
            rows[name] = _measured(name, batch_size, seconds)
            found = replace(found, rows=tuple(rows.values()))
            found.save(file)
            if shown is not None:
                shown.update()
    finally:
        _rvision.set_num_threads(before)
        if shown is not None:
            shown.close()
    return replace(found, rows=tuple(rows[name] for name in names))


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
    within.sort(key=lambda row: (-_accuracy(row), row.median_ms))
    nearest = None if within else min(source.rows, key=excess)
    if nearest is not None and excess(nearest) == math.inf:
        nearest = None
    return Recommendation(tuple(within), limits, nearest, source)


# ---- networks ----


def _names(networks: str | Sequence[str] | None) -> list[str]:
    """Return the networks' names, each once, all of which exist."""
    if networks is None:
        return list(_CHOSEN)
    if isinstance(networks, str):
        if networks == "all":
            return _published()
        networks = [networks]
    known = set(models.list_models())
    names = []
    for name in networks:
        if not isinstance(name, str):
            raise TypeError(f"benchmark: networks: expected names of networks, got {name!r}")
        models.get_model_builder(name)
        names.append(name if name in known else name.lower())
    if not names:
        raise ArgumentError('benchmark: networks: name at least one, or "all"')
    return list(dict.fromkeys(names))


def _published() -> list[str]:
    """Return the networks with published accuracy; those that share their weights are there once."""
    names: dict[WeightsEnum, str] = {}
    for name in models.list_models():
        member = _default_weights(name)
        if member is not None and _metric(member, "acc@1") is not None:
            names.setdefault(member, name)
    return list(names.values())


def _default_weights(name: str) -> WeightsEnum | None:
    try:
        return getattr(models.get_model_weights(name), "DEFAULT", None)
    except ValueError:
        return None


def _metric(member: WeightsEnum, metric: str) -> float | None:
    value = member.meta["_metrics"].get(_DATA, {}).get(metric, math.nan)
    return None if math.isnan(value) else value


def _drawn(name: str, member: WeightsEnum | None) -> tuple[Module, tuple[int, int, int]]:
    """Return a network with drawn weights, and (C, H, W) of the pictures of its default weights."""
    model = models.get_model(name)
    size: tuple[int, int, int] | None = getattr(model, "input_size", None)
    if size is None:
        raise ArgumentError(f"benchmark: {name} does not say which pictures it takes (its input_size)")
    crop = getattr(member.transforms(), "crop_size", None) if member is not None else None
    if crop:
        size = (size[0], crop[0], crop[0])
    # A vision transformer is made for one size.
    if getattr(model, "image_size", size[1]) != size[1]:
        model = models.get_model(name, image_size=size[1])
    return model, size


def _measured(name: str, batch_size: int, seconds: float) -> BenchmarkRow:
    member = _default_weights(name)
    model, size = _drawn(name, member)
    # Noise: zeros would change the memory traffic, and denormals the speed of the arithmetic.
    pictures = np.random.default_rng(0).standard_normal((batch_size, *size), np.float32)
    for _ in range(2):
        model(pictures)
    times: list[int] = []
    end = time.perf_counter() + seconds
    while len(times) < _LEAST_RUNS or (time.perf_counter() < end and len(times) < _MOST_RUNS):
        start = time.perf_counter_ns()
        model(pictures)
        times.append(time.perf_counter_ns() - start)
    median, best = statistics.median(times) / 1e6, min(times) / 1e6
    if member is None:
        info = summary(model, (1, *size))
        parameters, gflops = info.num_params, info.gflops
        megabytes = sum(np.asarray(value).nbytes for value in model.state_dict().values()) / 2**20
    else:
        parameters, gflops = member.meta["num_params"], member.meta["_ops"]
        megabytes = member.meta["_file_size"]
    del model
    # A network of gigabytes is freed before the next one is made.
    gc.collect()
    return BenchmarkRow(
        network=name,
        weights=None if member is None else repr(member),
        parameters=parameters,
        megabytes=megabytes,
        gflops=gflops,
        acc1=None if member is None else _metric(member, "acc@1"),
        acc5=None if member is None else _metric(member, "acc@5"),
        image_size=size[1:],
        median_ms=median,
        best_ms=best,
        pictures_per_second=1e3 * batch_size / median,
        runs=len(times),
    )


def _with_accuracy(rows: Sequence[BenchmarkRow]) -> list[BenchmarkRow]:
    return [row for row in rows if row.acc1 is not None]


def _accuracy(row: BenchmarkRow) -> float:
    return -1.0 if row.acc1 is None else row.acc1


# ---- the machine and the file ----


def _machine() -> dict[str, Any]:
    build = _rvision.build_info()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    system = f"{platform.system()} {platform.machine()}"
    return {
        "cpu": _cpu(),
        "cores": cores,
        "system": system,
        "isa": build["isa"],
        "profile": build["profile"],
    }


def _cpu() -> str:
    """Return the processor's name, as well as the system knows it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    if platform.system() == "Darwin":
        with suppress(OSError, subprocess.SubprocessError):
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            name = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
            if name.strip():
                return name.strip()
    return platform.processor() or platform.machine() or "an unknown processor"


def _default_file() -> Path:
    return own_folder() / "benchmark.json"


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


def _found(path: str | os.PathLike[str] | None) -> Benchmark:
    """Return the benchmark that recommendations are to be chosen from."""
    try:
        source = Benchmark.load(path)
    except FileNotFoundError:
        file, argument = (_default_file(), "") if path is None else (path, f"path={os.fspath(path)!r}")
        option = f" --json {os.fspath(path)}" if path is not None else ""
        raise ArgumentError(
            f"recommend: there is no benchmark yet ({file}). Run rvision.benchmark({argument}), or in a "
            f"terminal: rvision benchmark{option}"
        ) from None
    here = _machine()
    if path is None and source.machine["cpu"] != here["cpu"]:
        raise ArgumentError(
            f"recommend: {_default_file()} was measured on {source.machine['cpu']}, and this is "
            f"{here['cpu']}. Run rvision.benchmark(again=True), or pass the file as benchmark= "
            "to choose for that machine"
        )
    return source


def _read(content: dict[str, Any]) -> Benchmark:
    """Return a file's content; ValueError, KeyError or TypeError if it is not as it was written."""
    kinds: dict[str, dict[str, Any]] = {
        "machine": {"cpu": str, "cores": int, "system": str, "isa": str, "profile": str},
        "settings": {"batch_size": int, "threads": int, "seconds": (int, float)},
    }
    for part, entries in kinds.items():
        for name, kind in entries.items():
            if not isinstance(content[part][name], kind):
                raise ValueError(f"{part}: {name}: unexpected value {content[part][name]!r}")
    rows = [_read_row(place, row) for place, row in enumerate(content["rows"])]
    return Benchmark(tuple(rows), str(content["version"]), content["machine"], content["settings"])


def _read_row(place: int, row: dict[str, Any]) -> BenchmarkRow:
    values: dict[str, Any] = {}
    for entry in fields(BenchmarkRow):
        name, value = entry.name, row[entry.name]
        if name in ("network", "weights"):
            good = isinstance(value, str) or (value is None and name == "weights")
        elif name == "image_size":
            good = isinstance(value, list) and [type(side) for side in value] == [int, int]
            value = tuple(value) if good else value
        elif name in ("parameters", "runs"):
            good = type(value) is int and value >= 0
        else:
            good = _is_amount(value) or (value is None and name in ("acc1", "acc5"))
        if not good:
            raise ValueError(f"row {place}: {name}: unexpected value {value!r}")
        values[name] = value
    return BenchmarkRow(**values)


def _is_amount(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


# ---- display ----


def _faint(line: str) -> Html:
    return Html(f'<div class="faint">{escape(line)}</div>')


def _html_rows(rows: Sequence[BenchmarkRow]) -> Html:
    """Return a table in which each time is a bar too, as a share of the longest."""
    longest = max((row.median_ms for row in rows), default=0.0) or 1.0
    cells = [(*row._cells()[:8], swatch(row.median_ms / longest), *row._cells()[8:]) for row in rows]
    header = (*_HEADER[:8], "", *_HEADER[8:])
    return html_table(header, cells, numbers=(1, 2, 3, 4, 5, 6, 7, 9, 10))
