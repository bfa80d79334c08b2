"""Guard against slower kernels, on machines that other programs use as well.

A few more than ten representative layers and three networks are compared with a baseline that was
committed for this kind of processor. The compared quantity is a ratio: the time of a layer's kernel
within a run, divided by the time that the same process needs for as many multiply-adds in registers
or, if the layer reads each weight once, for reading as many bytes from memory. Both are the least
times of many short alternating rounds on one thread. A neighbour, a low clock or slow memory
therefore changes both in the same way, or affects only rounds that are discarded.

    python benches/python/guard.py             # exit status 1 if anything lost more than 10 %
    python benches/python/guard.py --update    # write this machine's ratios as the new baseline

A loss is measured again before it counts. On a processor without a baseline, the measurement is
printed and nothing fails. Problems that do not show on one thread, such as badly divided work, are
not detected.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rvision
from rvision import _rvision, models, nn
from rvision.nn import functional as F
from rvision.nn._run import profile_module

BASELINES = Path(__file__).with_name("baselines")
# The loss that is tolerated, and the gain above which the baseline should be renewed.
TOLERANCE = 0.10
# Multiply-adds per byte below which a product reads its weights once and is memory-bound: a linear
# layer has 0.25 for one row and 2 for eight rows.
MEMORY_BOUND = 0.5
# How often everything is measured for a baseline, which holds the medians: a single measurement may
# be lucky.
TIMES = 5
# How often a loss is measured again, and the seconds before each time: by then a neighbour's burst
# is over.
ATTEMPTS = 6
PAUSE = 5.0


@dataclass
class Case:
    """A layer or a network, and its measurements.

    `steps` are the names of the steps of a run that count; for a network, all of them.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: tuple[np.ndarray, ...]
    steps: str | None = "layer"
    runs: int = 5
    module: nn.Module | None = None
    times: dict[int, float] = field(default_factory=dict)
    kernels: list[str] = field(default_factory=list)
    multiply_adds: int = 0
    bytes: int = 0

    def measure(self) -> None:
        """Run several times; keep the least time of each step."""
        if self.module is None:
            self.module = self.build()
        steps, _ = profile_module(self.module, self.inputs, {}, self.runs)
        # The copy after a single layer converts its result to the caller's order, which a network
        # does only once.
        chosen = [s for s in steps if self.steps is None or (s[0] == self.steps and s[1] != "f32_copy")]
        self.kernels = [step[1] for step in chosen]
        self.multiply_adds = self.bytes = 0
        for place, (_, _, _, multiply_adds, moved, _, least) in enumerate(chosen):
            self.times[place] = min(least, self.times.get(place, least))
            if 0 < multiply_adds < MEMORY_BOUND * moved:
                self.bytes += moved
            elif multiply_adds or self.steps is not None:
                # Pools have no products; for them, any constant amount of work will do.
                self.multiply_adds += multiply_adds or moved

    def forget(self) -> None:
        """Rebuild the network next time: the memory pages of its weights make a difference too."""
        self.module = None

    def restart(self) -> None:
        """Discard the measurements as well."""
        self.forget()
        self.times = {}

    def ratio(self, peaks: Peaks) -> float:
        """Return the time divided by that of the same work at the machine's peak."""
        least = self.multiply_adds / peaks.multiply_adds
        if self.bytes:
            least += self.bytes / peaks.read_bytes
        return sum(self.times.values()) / least

    @property
    def kernel(self) -> str:
        """The kernel of a layer, or the number of steps of a network."""
        return self.kernels[0] if len(self.kernels) == 1 else f"{len(self.kernels)} steps"


@dataclass
class Peaks:
    """The reference: the best rates of one thread so far."""

    multiply_adds: float = 0.0
    read_bytes: float = 0.0

    def measure(self, memory: bool) -> None:
        self.multiply_adds = max(self.multiply_adds, _rvision.peak_multiply_adds())
        if memory:
            self.read_bytes = max(self.read_bytes, _rvision.peak_read_bytes())


class Layer(nn.Module):
    """A layer between two others, so that its input and output are laid out as within a network."""

    def __init__(self, channels: int, layer: nn.Module) -> None:
        super().__init__()
        # Not 1x1: that would be fused with a depthwise layer.
        self.before = nn.Conv2d(3, channels, 3, padding=1)
        self.layer = layer
        # An average pool would be swapped with a convolution.
        self.after = nn.AdaptiveMaxPool2d(1)

    def forward(self, x: Any) -> Any:
        return self.after(self.layer(self.before(x)))


class Stem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.after = nn.MaxPool2d(3, 2, 1)

    def forward(self, x: Any) -> Any:
        return self.after(self.layer(x))


class Linear(nn.Module):
    def __init__(self, inputs: int = 4096) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, 4096)

    def forward(self, x: Any) -> Any:
        return self.layer(x)


class Attention(nn.Module):
    def forward(self, query: Any, key: Any, value: Any) -> Any:
        return F.scaled_dot_product_attention(query, key, value)


def cases() -> list[Case]:
    """Return the cases: for each kernel, a layer on which networks spend their time."""
    draw = np.random.default_rng(0)

    def noise(*shape: int) -> np.ndarray:
        return draw.standard_normal(shape, dtype=np.float32)

    def layer(name: str, size: int, channels: int, build: Callable[[], nn.Module]) -> Case:
        return Case(name, lambda: Layer(channels, build()), (noise(1, 3, size, size),))

    def conv(name: str, size: int, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        def build() -> nn.Module:
            return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups)

        return layer(f"{name} {inputs}-{outputs} at {size}", size, inputs, build)

    def network(builder: Callable[[], nn.Module]) -> Case:
        return Case(builder.__name__, builder, (noise(1, 3, 224, 224),), steps=None, runs=2)

    return [
        Case("7x7 stride 2 3-64 at 224", Stem, (noise(1, 3, 224, 224),)),
        conv("1x1", 56, 64, 256, 1),
        conv("1x1", 14, 1024, 256, 1),
        conv("1x1", 7, 2048, 512, 1),
        conv("3x3", 56, 64, 64, 3),
        conv("3x3", 14, 256, 256, 3),
        # Not 512-512: its 17 MB of packed weights fit the last-level cache only if no neighbour
        # uses it, which was worth 10 %.
        conv("3x3", 7, 192, 384, 3),
        conv("depthwise 3x3", 56, 144, 144, 3, groups=144),
        conv("depthwise 3x3 stride 2", 112, 96, 96, 3, stride=2, groups=96),
        conv("32 groups 3x3", 56, 128, 128, 3, groups=32),
        Case("linear 4096-4096", Linear, (noise(1, 4096),)),
        # Not at 112: its maps do not fit the second-level cache, and the next level is shared with
        # others.
        layer("max pool 3x3 stride 2 64 at 56", 56, 64, lambda: nn.MaxPool2d(3, 2, 1)),
        Case(
            "attention 12 x 197 x 64",
            Attention,
            (noise(1, 12, 197, 64),) * 3,
            "scaled_dot_product_attention",
        ),
        network(models.mobilenet_v2),
        network(models.resnet50),
        network(models.vgg16),
    ]


def measure(chosen: Sequence[Case], peaks: Peaks, rounds: int) -> None:
    """Measure cases in turn, and the machine's peaks in between."""
    for _ in range(rounds):
        peaks.measure(memory=any(case.bytes for case in chosen))
        for case in chosen:
            peaks.measure(memory=False)
            case.measure()


def medians(chosen: Sequence[Case], peaks: Peaks, rounds: int) -> dict[str, float]:
    """Return the medians of the ratios over several measurements."""
    taken: list[list[dict[int, float]]] = [[] for _ in chosen]
    for _ in range(TIMES):
        for case in chosen:
            case.restart()
        measure(chosen, peaks, rounds)
        for case, times in zip(chosen, taken, strict=True):
            times.append(case.times)
    # The peaks are known best at the end.
    ratios = {}
    for case, times in zip(chosen, taken, strict=True):
        found = []
        for case.times in times:
            found.append(case.ratio(peaks))
        ratios[case.name] = statistics.median(found)
    return ratios


def processor() -> str:
    """Return the kind of processor and the instruction set, which determine the relative speed of kernels."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    kind = [fields.get(key, "unknown") for key in ("vendor_id", "cpu family", "model")]
    return "-".join([*kind, rvision.build_info()["isa"]])


def changed(case: Case, baseline: dict[str, Any], peaks: Peaks) -> float:
    """Return the ratio divided by the baseline's; 1 for a case that the baseline does not have."""
    return case.ratio(peaks) / baseline[case.name]["ratio"] if case.name in baseline else 1.0


def losses(found: Sequence[Case], baseline: dict[str, Any], peaks: Peaks) -> list[Case]:
    return [case for case in found if changed(case, baseline, peaks) > 1 + TOLERANCE]


def report(found: Sequence[Case], baseline: dict[str, Any], peaks: Peaks) -> str:
    """Return a table with the changes in the last column."""
    lines = [f"{'layer':36} {'kernel':28} {'ms':>8} {'baseline':>8} {'found':>7} {'change':>7}"]
    for case in found:
        known = baseline.get(case.name)
        factor = changed(case, baseline, peaks)
        note = "  LOST" if factor > 1 + TOLERANCE else "  gained" if factor < 1 - TOLERANCE else ""
        if known is not None and known["kernel"] != case.kernel:
            note += f"  (was {known['kernel']})"
        before = "-" if known is None else f"{known['ratio']:.3f}"
        change = "new" if known is None else f"{100 * (factor - 1):+.1f} %"
        milliseconds = 1e3 * sum(case.times.values())
        lines.append(
            f"{case.name:36} {case.kernel:28} {milliseconds:8.3f} {before:>8} {case.ratio(peaks):7.3f} "
            f"{change:>7}{note}"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", action="store_true", help="write the baseline of this kind of processor")
    parser.add_argument("--rounds", type=int, default=12, help="times that everything takes its turn (12)")
    parser.add_argument("--only", default="", metavar="PART", help="cases whose name contains this")
    parser.add_argument("--json", metavar="FILE", help="write the ratios there")
    args = parser.parse_args(argv)
    if args.rounds < 1:
        parser.error(f"--rounds: expected a number from 1, got {args.rounds}")
    file = BASELINES / f"{processor()}.json"
    baseline = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    rvision.set_num_threads(1)
    found = [case for case in cases() if args.only in case.name]
    if not found:
        parser.error(f"--only: no case's name contains {args.only!r}")
    peaks = Peaks()
    # Creates traces, plans and packed weights, and determines which cases need the memory's speed.
    for case in found:
        case.measure()
    lost: list[Case] = []
    if args.update:
        ratios = medians(found, peaks, args.rounds)
    else:
        measure(found, peaks, args.rounds)
        lost = losses(found, baseline, peaks)
    for _ in range(ATTEMPTS):
        if not lost:
            break
        names = ", ".join(case.name for case in lost)
        print(f"measuring again in {PAUSE:.0f} s: {names}", file=sys.stderr)
        time.sleep(PAUSE)
        for case in lost:
            case.forget()
        measure(lost, peaks, args.rounds)
        # Of all cases, because the peaks that everything is compared with may have increased.
        lost = losses(found, baseline, peaks)
    print(report(found, baseline, peaks))
    if not args.update:
        ratios = {case.name: case.ratio(peaks) for case in found}
    entries = {case.name: {"ratio": round(ratios[case.name], 4), "kernel": case.kernel} for case in found}
    if args.json:
        Path(args.json).write_text(json.dumps(entries, indent=1), encoding="utf-8")
    command = "python benches/python/guard.py --update"
    if args.update:
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(baseline | entries, indent=1) + "\n", encoding="utf-8")
        print(f"wrote {file}")
        return 0
    if not baseline:
        print(f"no baseline for {processor()}, so nothing was compared; '{command}' writes one")
        return 0
    if any(changed(case, baseline, peaks) < 1 - TOLERANCE for case in found):
        print(f"gained more than {100 * TOLERANCE:.0f} %: '{command}' keeps it")
    if lost:
        names = ", ".join(case.name for case in lost)
        print(f"lost more than {100 * TOLERANCE:.0f} % against {file.name}: {names}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
