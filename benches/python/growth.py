"""How rvision's time scales with the work: picture area, batch size, threads, and channels.

The time per multiply-add should be the same in all cells of a series, or decrease towards the
larger ones. A cell that is more than a quarter above the better of its neighbours is marked ("falls
off"). Small pictures cost more, because part of a network's cost does not depend on the picture,
above all reading the weights of its fully connected layers.

    python benches/python/growth.py --json growth.json --plots docs/plots
    python benches/python/growth.py --quick

The result of a cell is its least time over all rounds, in which the cells of a series take turns: a
slow shape is slow in every round, whereas other programs disturb only some of them.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rvision
import tables
from compare import machine, write
from rvision import nn

NETWORKS = ("resnet50", "vgg16")
SIDES = (64, 96, 128, 160, 192, 224, 225, 256, 299, 320, 384, 448, 512, 513, 640, 768, 1024, 1536, 2048)
BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
WIDTHS = (range(60, 69), range(120, 137))
LAYERS: dict[str, tuple[int, bool]] = {"3x3": (3, False), "1x1": (1, False), "depthwise 3x3": (3, True)}
# The map size of the layers, and how many of them run in sequence, so that converting the input and
# output is a small part of the time.
MAP = 28
DEPTH = 8
# `--quick` skips larger pictures and batches.
QUICK_SIDE = 513
QUICK_BATCH = 8
# A cell that exceeds the better of its neighbours by more than this factor is marked, so that a
# step is marked where it begins.
FALL = 1.25


@dataclass
class Cell:
    """One shape: its position in the series, the function that runs it, and its multiply-adds."""

    at: int
    run: Callable[[], Any]
    multiply_adds: int
    seconds: float = math.inf

    @property
    def picoseconds(self) -> float:
        """Time per multiply-add."""
        return self.seconds / self.multiply_adds * 1e12


@dataclass
class Series:
    """Cells that should take the same time per multiply-add."""

    kind: str
    name: str
    threads: int
    cells: list[Cell] = field(default_factory=list)

    def measure(self, rounds: int, seconds: float) -> None:
        """Let the cells take turns, each for at least `seconds` per round."""
        rvision.set_num_threads(self.threads)
        for _ in range(rounds):
            for cell in self.cells:
                cell.run()
                spent = 0.0
                while spent < seconds:
                    start = time.perf_counter()
                    cell.run()
                    took = time.perf_counter() - start
                    cell.seconds = min(cell.seconds, took)
                    spent += took

    def rows(self) -> list[dict[str, Any]]:
        """The time of each cell, also relative to the best of the series and to its neighbours."""
        each = [cell.picoseconds for cell in self.cells]
        rows = []
        for i, cell in enumerate(self.cells):
            beside = each[max(i - 1, 0) : i] + each[i + 1 : i + 2]
            better = min(beside, default=each[i])
            rows.append(
                {
                    "at": cell.at,
                    "ms": cell.seconds * 1e3,
                    "picoseconds": each[i],
                    "to_best": each[i] / min(each),
                    "to_neighbour": each[i] / better,
                    "falls_off": each[i] > FALL * better,
                }
            )
        return rows


def picture(batch: int, channels: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((batch, channels, side, side), dtype=np.float32)


def network_cell(model: nn.Module, at: int, batch: int, side: int) -> Cell:
    x = picture(batch, 3, side)
    return Cell(at, lambda: model(x), batch * rvision.summary(model, (3, side, side)).multiply_adds)


def by_area(network: str, threads: int, quick: bool) -> Series:
    model = rvision.models.get_model(network).eval()
    sides = [side for side in SIDES if not quick or side <= QUICK_SIDE]
    return Series("area", network, threads, [network_cell(model, side, 1, side) for side in sides])


def by_batch(network: str, threads: int, quick: bool) -> Series:
    model = rvision.models.get_model(network).eval()
    batches = [batch for batch in BATCHES if not quick or batch <= QUICK_BATCH]
    return Series("batch", network, threads, [network_cell(model, batch, batch, 224) for batch in batches])


def by_width(layer: str, widths: range, threads: int) -> Series:
    kernel, depthwise = LAYERS[layer]
    name = f"{layer}, {widths[0]} to {widths[-1]}"
    series = Series("width", name, threads)
    for channels in widths:
        groups = channels if depthwise else 1
        convolutions = [
            nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=groups) for _ in range(DEPTH)
        ]
        model = nn.Sequential(*convolutions).eval()
        x = picture(1, channels, MAP)
        multiply_adds = DEPTH * MAP * MAP * channels * (channels // groups) * kernel * kernel
        series.cells.append(Cell(channels, lambda model=model, x=x: model(x), multiply_adds))
    return series


def plan(args: argparse.Namespace) -> list[Callable[[], Series]]:
    """Return functions that create the series, so that only one is in memory at a time."""
    made: list[Callable[[], Series]] = []
    for network in args.networks:
        for threads in args.threads:
            if "area" in args.kinds:
                made.append(lambda n=network, t=threads: by_area(n, t, args.quick))
            if "batch" in args.kinds:
                made.append(lambda n=network, t=threads: by_batch(n, t, args.quick))
    if "width" in args.kinds:
        for layer in LAYERS:
            for widths in WIDTHS:
                made.append(lambda la=layer, w=widths: by_width(la, w, max(args.threads)))
    return made


UNITS = {"area": "side", "batch": "batch", "width": "channels"}


def markdown(report: dict) -> str:
    parts = [f"{tables.where(report)}."]
    for kind in UNITS:
        series = [each for each in report["series"] if each["kind"] == kind]
        names = list(dict.fromkeys(each["name"] for each in series))
        for name in names:
            same = [each for each in series if each["name"] == name]
            parts += [f"**{name}, by {'picture side' if kind == 'area' else UNITS[kind]}**", one(kind, same)]
    fallen = [
        f"* {each['name']}, {tables.threads(each['threads'])}, {UNITS[each['kind']]} {row['at']}: "
        f"{row['to_neighbour']:.2f} times its better neighbour's time per multiply-add"
        for each in report["series"]
        for row in each["rows"]
        if row["falls_off"]
    ]
    parts += ["What falls off:", "\n".join(fallen)] if fallen else ["No shape falls off."]
    return "\n\n".join(parts)


def one(kind: str, same: list[dict]) -> str:
    """The table of one network or layer, with a group of columns for each number of threads."""
    head = [UNITS[kind]]
    for each in same:
        head += [f"ms, {tables.threads(each['threads'])}", "ps per multiply-add", "to the best"]
    several = len(same) == 2
    head += ["gain by threads"] * several
    rows = []
    for cells in zip(*(each["rows"] for each in same), strict=True):
        row: list[object] = [cells[0]["at"]]
        for cell in cells:
            mark = " falls off" if cell["falls_off"] else ""
            row += [f"{cell['ms']:.3g}", f"{cell['picoseconds']:.3g}", f"{cell['to_best']:.2f}{mark}"]
        if several:
            row.append(f"{cells[0]['ms'] / cells[1]['ms']:.2f}")
        rows.append(row)
    return tables.table(head, rows)


def plot(report: dict, folder: str) -> None:
    """Write one SVG for each kind of series."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    # Small files, identical for identical numbers.
    plt.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "rvision", "font.size": 9}
    Path(folder).mkdir(parents=True, exist_ok=True)
    for kind, unit in UNITS.items():
        series = [each for each in report["series"] if each["kind"] == kind]
        if not series:
            continue
        figure, axes = plt.subplots(figsize=(7, 3.8))
        for each in series:
            label = f"{each['name']}, {tables.threads(each['threads'])}"
            at = [row["at"] for row in each["rows"]]
            axes.plot(at, [row["picoseconds"] for row in each["rows"]], ".-", linewidth=1, label=label)
        if kind != "width":
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter("{x:.0f}")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:.3g}")
        axes.yaxis.set_minor_formatter("{x:.3g}")
        axes.set_xlabel("picture side" if kind == "area" else unit)
        axes.set_ylabel("ps per multiply-add")
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(Path(folder) / f"{kind}.svg", metadata={"Date": None})
        plt.close(figure)


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--kinds", nargs="+", default=list(UNITS), choices=list(UNITS))
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each cell in each round")
    parser.add_argument(
        "--quick", action="store_true", help=f"pictures to {QUICK_SIDE}, to {QUICK_BATCH} of them"
    )
    parser.add_argument("--json", help="write the report there, after every series")
    parser.add_argument("--tables-of", metavar="JSON", help="measure nothing; this report's tables and plots")
    parser.add_argument(
        "--plots", metavar="FOLDER", help="write an SVG of each kind there (needs matplotlib)"
    )
    parser.add_argument("--markdown", metavar="FILE", help="write the tables there")
    parser.add_argument("--pages", nargs="+", default=[], help="fill the tables in where these pages say so")
    args = parser.parse_args()
    if args.tables_of:
        report = json.loads(Path(args.tables_of).read_text(encoding="utf-8"))
    else:
        report = machine() | {"series": []}
        for make in plan(args):
            series = make()
            series.measure(args.rounds, args.seconds)
            own = {"kind": series.kind, "name": series.name, "threads": series.threads}
            report["series"].append(own | {"rows": series.rows()})
            print(
                f"{series.kind}: {series.name}, {tables.threads(series.threads)}", file=sys.stderr, flush=True
            )
            if args.json:
                write(args.json, report)
            del series
            gc.collect()
    text = markdown(report)
    print(text)
    if args.markdown:
        Path(args.markdown).write_text(text + "\n", encoding="utf-8")
    for page in args.pages:
        tables.fill(page, {"growth": text})
    if args.plots:
        plot(report, args.plots)


if __name__ == "__main__":
    main()
