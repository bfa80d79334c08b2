"""The time of a network's runs, step by step: `rvision.profile`."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rvision import _rvision
from rvision._frames import ends_at_caller
from rvision._html import document, folded, html_table, swatch
from rvision._progress import bar
from rvision._table import shown, table
from rvision._trace import tracer_of
from rvision.errors import ArgumentError
from rvision.nn import Module
from rvision.nn._run import profile_module

__all__ = ["Profile", "ProfileRow", "profile"]

_HEADER = ("step", "kernel", "output", "multiply-adds", "ms", "% of run", "GFLOP/s", "% of peak", "GB/s")


@dataclass(frozen=True)
class ProfileRow:
    """A step of a run: a kernel that computes a layer and the operations fused with it.

    Attributes
    ----------
    name : str
        The layer or operation of the step, such as ``layer1.0.conv2``. A layer has several steps if
        its input must first be copied into another order, or if it is a transposed convolution, each
        of whose steps computes some of the rows and columns.
    kernel : str
        The kernel that computes it.
    output_shape : tuple of int
        The shape of the output.
    multiply_adds : int
        Multiply-adds of convolutions and matrix products by definition; 0 for other operations.
    bytes : int
        The least it must move: inputs, output and packed weights, each value once, from memory or
        from a cache. Weights that are multiplied by zeros count too, although large linear layers
        of one row do not read them.
    milliseconds, least_milliseconds : float
        Median and minimum over the runs.
    share : float
        Fraction of the median run's time, in [0, 1].
    gflop_per_second : float
        Two operations for each multiply-add.
    gb_per_second : float
        `bytes` in units of 1e9 per second.
    peak_share : float
        `gflop_per_second` divided by the machine's peak. Winograd kernels do fewer multiplications
        than the definition of a convolution, so theirs may be above 1.
    """

    name: str
    kernel: str
    output_shape: tuple[int, ...]
    multiply_adds: int
    bytes: int
    milliseconds: float
    least_milliseconds: float
    share: float
    gflop_per_second: float
    gb_per_second: float
    peak_share: float


@dataclass(frozen=True)
class Profile:
    """What `profile` measured: a table as text and in a notebook, and `pandas.DataFrame(it)` takes its rows.

    Attributes
    ----------
    rows : tuple of ProfileRow
        In execution order.
    milliseconds, least_milliseconds : float
        Median and minimum of whole runs: the steps, and waking the threads before the first one.
        Work in Python around a run is not included.
    runs : int
        Number of timed runs.
    threads : int
        Number of threads used.
    isa : str
        The instruction set in use.
    peak_gflop_per_second : float
        What all threads reach with multiply-adds in registers only.
    peak_gb_per_second : float
        What all threads reach when reading from main memory only; caches are faster.
    """

    rows: tuple[ProfileRow, ...]
    milliseconds: float
    least_milliseconds: float
    runs: int
    threads: int
    isa: str
    peak_gflop_per_second: float
    peak_gb_per_second: float

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of all convolutions and matrix products."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def gflop_per_second(self) -> float:
        """Rate of the median run."""
        return _per_second(2 * self.multiply_adds, self.milliseconds)

    @property
    def peak_share(self) -> float:
        """`gflop_per_second` divided by the machine's."""
        return self.gflop_per_second / self.peak_gflop_per_second

    def __iter__(self) -> Iterator[ProfileRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def _cells(self) -> tuple[list[tuple[str, ...]], tuple[str, ...], str]:
        """Return the rows of the table, the totals, and the line below."""
        cells = [
            (
                row.name,
                row.kernel,
                shown(row.output_shape),
                f"{row.multiply_adds:,}",
                f"{row.milliseconds:.3f}",
                f"{100 * row.share:.1f}",
                # Without multiply-adds, a rate of zero would look like a slow kernel.
                f"{row.gflop_per_second:.1f}" if row.multiply_adds else "-",
                f"{100 * row.peak_share:.1f}" if row.multiply_adds else "-",
                f"{row.gb_per_second:.1f}",
            )
            for row in self.rows
        ]
        sums = [sum(getattr(row, name) for row in self.rows) for name in ("milliseconds", "share", "bytes")]
        total = (
            "total",
            "",
            "",
            f"{self.multiply_adds:,}",
            f"{sums[0]:.3f}",
            f"{100 * sums[1]:.1f}",
            f"{self.gflop_per_second:.1f}",
            f"{100 * self.peak_share:.1f}",
            f"{_per_second(sums[2], self.milliseconds):.1f}",
        )
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        line = (
            f"a run takes {self.milliseconds:.3f} ms (median of {self.runs}; the fastest "
            f"{self.least_milliseconds:.3f}) on {threads} with {self.isa}, which reach "
            f"{self.peak_gflop_per_second:.1f} GFLOP/s and {self.peak_gb_per_second:.1f} GB/s at most"
        )
        return cells, total, line

    def __str__(self) -> str:
        cells, total, line = self._cells()
        return f"{table(_HEADER, cells, total)}\n{line}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        cells, total, line = self._cells()
        header = (*_HEADER[:6], "", *_HEADER[6:])
        # The share of the time is a bar too.
        rows = [(*each[:6], swatch(row.share), *each[6:]) for each, row in zip(cells, self.rows, strict=True)]
        below = html_table(header, rows, (*total[:6], "", *total[6:]), numbers=(3, 4, 5, 7, 8, 9))
        return document(folded(line, below, opened=True))


@ends_at_caller
def profile(model: Module, *inputs: Any, runs: int = 20, progress: bool = False, **named: Any) -> Profile:
    """Time the steps of a network's runs, and compare them with the machine's peak.

    The network is run as `model(*inputs, **named)` runs it, with the threads of `set_num_threads`:
    once to warm up, then `runs` times. The steps are timed inside these runs, so the caches hold
    what they hold in normal use. Layers are listed as they run, after batch norms, activations and
    skip connections have been fused into convolutions; `summary` lists them as they are written.

    Parameters
    ----------
    model : Module
        A network or a part of one.
    *inputs, **named : array_like
        What the model is called with, such as pictures (N, C, H, W).
    runs : int
        Number of runs to time.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    Profile
        Its `rows`, the time of whole runs, and the machine's peaks, measured before and after the
        runs. Other programs on the machine increase times; the minimum is affected least.

    Raises
    ------
    ArgumentError
        If `model` is not a network, or `runs` is not an integer of at least 1.
    ShapeError
        If a layer cannot take the shape that reaches it.
    TypeError
        If an input is not an array of floats.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 2))
    >>> found = rvision.profile(model, np.zeros((1, 3, 3, 3), np.float32), runs=3)
    >>> [row.name for row in found]
    ['0', '2']
    """
    if not isinstance(model, Module) or tracer_of(*inputs, *named.values()) is not None:
        what = type(model).__name__ if not isinstance(model, Module) else "a value of a network being traced"
        raise ArgumentError(f"profile: expected a Module, and arrays that it is called with, got {what}")
    try:
        count = operator.index(runs)
    except TypeError:
        count = 0
    if count < 1:
        raise ArgumentError(f"profile: runs: expected a whole number from 1, got {runs!r}")
    # Before and after, so that a moment of load by other programs does not give shares above 1.
    with _Stages(3, progress) as stages:
        stages.begin("measuring the machine")
        peaks = [_peaks()]
        stages.begin(f"timing {count} runs")
        steps, (median, least) = profile_module(model, inputs, named, count)
        stages.begin("measuring the machine")
        peaks.append(_peaks())
    peak_gflop, peak_gb = (max(each) for each in zip(*peaks, strict=True))

    def row(
        name: str,
        kernel: str,
        shape: tuple[int, ...],
        multiply_adds: int,
        moved: int,
        seconds: float,
        least_seconds: float,
    ) -> ProfileRow:
        gflop = _per_second(2 * multiply_adds, 1e3 * seconds)
        return ProfileRow(
            name=name,
            kernel=kernel,
            output_shape=shape,
            multiply_adds=multiply_adds,
            bytes=moved,
            milliseconds=1e3 * seconds,
            least_milliseconds=1e3 * least_seconds,
            share=seconds / median,
            gflop_per_second=gflop,
            gb_per_second=_per_second(moved, 1e3 * seconds),
            peak_share=gflop / peak_gflop,
        )

    return Profile(
        rows=tuple(row(*step) for step in steps),
        milliseconds=1e3 * median,
        least_milliseconds=1e3 * least,
        runs=count,
        threads=_rvision.get_num_threads(),
        isa=_rvision.build_info()["isa"],
        peak_gflop_per_second=peak_gflop,
        peak_gb_per_second=peak_gb,
    )


class _Stages:
    """Shows progress on stderr if requested: a bar with one part for each stage."""

    def __init__(self, total: int, wanted: bool) -> None:
        self._bar: Any = None
        self._begun = False
        if wanted:
            self._bar = bar(total=total, leave=False, bar_format="{desc} |{bar:20}|")

    def __enter__(self) -> _Stages:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def begin(self, what: str) -> None:
        """End the previous stage, and begin this one."""
        if self._bar is not None:
            self._bar.update(int(self._begun))
            self._bar.set_description_str(what)
        self._begun = True


def _peaks() -> tuple[float, float]:
    """Return the machine's GFLOP/s and GB/s."""
    return 2 * _rvision.peak_multiply_adds() / 1e9, _rvision.peak_read_bytes() / 1e9


def _per_second(count: int, milliseconds: float) -> float:
    """Return a count in units of 1e9 per second; a step below the clock's resolution has no rate."""
    return count / milliseconds / 1e6 if milliseconds else 0.0
