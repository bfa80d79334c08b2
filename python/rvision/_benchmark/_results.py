"""What a benchmark holds, its file, and how it is shown."""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rvision._frames import ends_at_caller
from rvision._html import Html, document, escape, html_table, swatch
from rvision._table import table
from rvision.errors import ArgumentError
from rvision.weights._cache import own_folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FORMAT = "rvision benchmark 1"

HEADER = (
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
        return f"{table(HEADER, [cells(row) for row in self.rows], left=1)}\n{where(self)}"

    def _repr_html_(self) -> str:
        return document(html_rows(self.rows), faint(where(self)))

    def pareto(self) -> tuple[BenchmarkRow, ...]:
        """Return the networks for which none is both as fast and as accurate, the fastest first.

        The time is the median, the accuracy top-1. Networks without published accuracy are left out.
        """
        front: list[BenchmarkRow] = []
        for row in sorted(_with_accuracy(self.rows), key=lambda row: (row.median_ms, -accuracy(row))):
            if not front or accuracy(row) > accuracy(front[-1]):
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
        points = [(row.network, row.median_ms, accuracy(row)) for row in rows]
        return accuracy_against_time(
            points, {row.network for row in self.pareto()}, where(self), self.settings["batch_size"], ax
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
        file = default_file() if path is None else Path(path)
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


def _with_accuracy(rows: Sequence[BenchmarkRow]) -> list[BenchmarkRow]:
    return [row for row in rows if row.acc1 is not None]


def accuracy(row: BenchmarkRow) -> float:
    return -1.0 if row.acc1 is None else row.acc1


# ---- the file ----


def default_file() -> Path:
    return own_folder() / "benchmark.json"


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


def cells(row: BenchmarkRow) -> tuple[str, ...]:
    """Return a row as text, below `HEADER`."""
    return (
        row.network,
        f"{row.parameters / 1e6:.2f}",
        f"{row.megabytes:.1f}",
        _digits(row.gflops),
        *("-" if value is None else f"{value:.2f}" for value in (row.acc1, row.acc5)),
        " x ".join(map(str, row.image_size)),
        f"{row.median_ms:.2f}",
        f"{row.best_ms:.2f}",
        _digits(row.pictures_per_second),
    )


def _digits(value: float) -> str:
    """Return three digits of a number, and all of those before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def where(benchmark: Benchmark) -> str:
    """Return what was measured on what, as a line below a table."""
    threads, pictures = benchmark.settings["threads"], benchmark.settings["batch_size"]
    return (
        f"runs of {pictures} picture{'s' * (pictures > 1)} on {threads} thread{'s' * (threads > 1)} of "
        f"{benchmark.machine['cpu']} ({benchmark.machine['isa']}), rvision {benchmark.version}"
    )


def faint(line: str) -> Html:
    return Html(f'<div class="faint">{escape(line)}</div>')


def html_rows(rows: Sequence[BenchmarkRow]) -> Html:
    """Return a table in which each time is a bar too, as a share of the longest."""
    longest = max((row.median_ms for row in rows), default=0.0) or 1.0
    lines = [(*cells(row)[:8], swatch(row.median_ms / longest), *cells(row)[8:]) for row in rows]
    header = (*HEADER[:8], "", *HEADER[8:])
    return html_table(header, lines, numbers=(1, 2, 3, 4, 5, 6, 7, 9, 10))
