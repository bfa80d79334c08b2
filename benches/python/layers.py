"""How close single layers come to the processor's peak.

Each layer runs between two others, so that its maps are laid out as within a network. The table
shows the least time of its kernel over many runs, the rate in multiply-adds of the plain
convolution (two operations each), and the share of the peak that the same process measures in turn.
The peak is the rate of multiply-adds in registers or, for layers with few multiply-adds per byte (a
linear layer, which reads each weight once), the memory read bandwidth. Winograd's algorithms need
fewer multiplications and may exceed 100 %. So may a linear layer, which does not read the weights
of zero inputs.

    python benches/python/layers.py --pages docs/performance.md
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import rvision
import tables
from compare import machine
from guard import Case, Layer, Linear, Peaks, Stem, measure
from rvision import nn

# Inputs, outputs, side of the map.
POINTWISE = [
    (64, 256, 56),
    (256, 64, 56),
    (128, 512, 28),
    (512, 128, 28),
    (256, 1024, 14),
    (1024, 256, 14),
    (512, 2048, 7),
    (2048, 512, 7),
]
WINOGRAD = [(64, 64, 56), (128, 128, 28), (256, 256, 14), (512, 512, 7)]
# Channels, side, kernel, stride.
DEPTHWISE = [
    (144, 56, 3, 1),
    (384, 14, 3, 1),
    (96, 112, 3, 2),
    (240, 14, 5, 1),
    (120, 28, 5, 1),
    (96, 56, 7, 1),
]
# Channels and side with 32 groups.
GROUPED = [(128, 56), (256, 28), (512, 14), (1024, 7)]
# Percentage of zero inputs, as after a ReLU.
ZEROS = [0, 40, 80]


def cases() -> list[Case]:
    draw = np.random.default_rng(0)

    def noise(*shape: int) -> np.ndarray:
        return draw.standard_normal(shape, dtype=np.float32)

    def conv(name: str, inputs: int, outputs: int, side: int, kernel: int, **options: int) -> Case:
        def build() -> nn.Module:
            return Layer(inputs, nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **options))

        step = f" stride {options['stride']}" if options.get("stride", 1) > 1 else ""
        return Case(f"{name}{step}, {inputs} to {outputs} at {side}", build, (noise(1, 3, side, side),))

    def linear(zeros: int) -> Case:
        x = noise(1, 9216)
        x[draw.random(x.shape) < zeros / 100] = 0
        return Case(f"linear, 9216 to 4096, {zeros} % of the inputs zero", lambda: Linear(9216), (x,))

    return [
        Case("7x7 stride 2, 3 to 64 at 224", Stem, (noise(1, 3, 224, 224),)),
        *(conv("1x1", inputs, outputs, side, 1) for inputs, outputs, side in POINTWISE),
        *(conv("3x3", inputs, outputs, side, 3) for inputs, outputs, side in WINOGRAD),
        *(
            conv(f"depthwise {k}x{k}", c, c, side, k, stride=stride, groups=c)
            for c, side, k, stride in DEPTHWISE
        ),
        *(conv("3x3 in 32 groups", c, c, side, 3, groups=32) for c, side in GROUPED),
        Case("linear, 4096 to 4096", Linear, (noise(1, 4096),)),
        *(linear(zeros) for zeros in ZEROS),
    ]


def rows(found: Sequence[Case], peaks: Peaks) -> list[list[str]]:
    """Return for each layer its kernel, milliseconds, GFLOP/s or GB/s, and share of the peak."""
    lines = []
    for case in found:
        seconds = sum(case.times.values())
        rate = f"{2e-9 * case.multiply_adds / seconds:.0f}"
        if case.bytes:
            rate = f"{1e-9 * case.bytes / seconds:.1f} GB/s"
        lines.append([f"`{case.kernel}`", f"{1e3 * seconds:.3f}", rate, f"{100 / case.ratio(peaks):.0f} %"])
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (1 2)")
    parser.add_argument("--rounds", type=int, default=12, help="times that everything takes its turn (12)")
    parser.add_argument("--pages", nargs="+", default=[], help="fill the table in where these pages say so")
    args = parser.parse_args(argv)
    columns, peaks_of = [], []
    here = machine()
    for threads in args.threads:
        rvision.set_num_threads(threads)
        found, peaks = cases(), Peaks()
        for case in found:
            case.measure()
        measure(found, peaks, args.rounds)
        columns.append(rows(found, peaks))
        speed, memory = 2e-9 * peaks.multiply_adds, 1e-9 * peaks.read_bytes
        peaks_of.append(f"{tables.threads(threads)}: {speed:.0f} GFLOP/s, {memory:.0f} GB/s")
    head = ["layer", "kernel"]
    for threads in args.threads:
        head += [f"ms, {tables.threads(threads)}", "GFLOP/s", "of the peak"]
    names = [case.name for case in found]
    lines = [
        [name, of_all[0][0], *(cell for row in of_all for cell in row[1:])]
        for name, *of_all in zip(names, *columns, strict=True)
    ]
    text = f"{tables.where(here)}. Peaks with {'; '.join(peaks_of)}.\n\n{tables.table(head, lines)}"
    print(text)
    for page in args.pages:
        tables.fill(page, {"layers": text})


if __name__ == "__main__":
    main()
