"""The cost of a busy neighbour: rvision and its peers alone, and beside a process that keeps one core busy.

The neighbour is a plain loop, pinned to one of the cores that the engines use and stopped while
they run alone. Each engine runs under both conditions in every round, and medians are compared. On
two cores, the fair share of an engine with two threads is one core and a half, which is 1.33 times
the time.

The script also measures the processor time that each engine uses in the second after a run, while
its process sleeps.

    python benches/python/neighbour.py --networks resnet50 mobilenet_v2 --json neighbour.json
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import tables
from compare import add_rounds, end, installed, machine, prepare, start, take_turns, tell, write

# Ends with this script, however the script ends.
LOOP = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"
# How long the process sleeps while the processor time of its idle threads is measured.
IDLE = 1.0


def measure(name: str, engines: list[str], neighbour: subprocess.Popen, args: argparse.Namespace) -> dict:
    """The medians of each engine alone and beside the neighbour, and its processor time when idle."""

    def alone() -> None:
        neighbour.send_signal(signal.SIGSTOP)

    def beside() -> None:
        neighbour.send_signal(signal.SIGCONT)

    with tempfile.TemporaryDirectory() as folder:
        files = prepare(name, engines, folder, None, [1])
        workers, results = start(name, engines, files, args.threads, 1)
        try:
            alone()
            for engine, worker in workers.items():
                results[engine]["idle_ms"] = tell(worker, {"idle": IDLE})["idle_s"] * 1e3
            for engine, (quiet, busy) in take_turns(workers, args, (alone, beside)).items():
                factor = busy["median_ms"] / quiet["median_ms"]
                results[engine] |= {"alone": quiet, "beside": busy, "factor": factor}
        finally:
            for worker in workers.values():
                end(worker)
    return results


def markdown(report: dict) -> str:
    head = ["network", "engine", "alone, ms", "beside, ms", "times as long", "processor ms in an idle second"]
    rows = []
    for name, results in report["networks"].items():
        for engine, found in results.items():
            if "factor" in found:
                times = [tables.cell(found[key], True) for key in ("alone", "beside")]
                rows.append([name, engine, *times, f"{found['factor']:.2f}", f"{found['idle_ms']:.1f}"])
            else:
                rows.append([name, engine, found["error"], "-", "-", "-"])
    text = f"Medians (10 % - 90 %), {tables.threads(report['threads'])}, batch 1; {tables.where(report)}."
    return f"{text}\n\n{tables.table(head, rows)}"


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--networks", nargs="+", default=["resnet50", "mobilenet_v2"])
    parser.add_argument("--engines", nargs="*", default=tables.PEERS, choices=tables.PEERS)
    parser.add_argument("--threads", type=int, default=2)
    add_rounds(parser, 3.0)
    parser.add_argument("--json", help="write the report there")
    parser.add_argument("--markdown", metavar="FILE", help="write the table there")
    parser.add_argument("--pages", nargs="+", default=[], help="fill the table in where these pages say so")
    args = parser.parse_args()
    engines = ["rvision", *installed(args.engines)]
    report = machine() | {"threads": args.threads, "networks": {}}
    neighbour = subprocess.Popen([sys.executable, "-c", LOOP])
    try:
        os.sched_setaffinity(neighbour.pid, {max(os.sched_getaffinity(0))})
        for name in args.networks:
            report["networks"][name] = measure(name, engines, neighbour, args)
            if args.json:
                write(args.json, report)
    finally:
        neighbour.kill()
        neighbour.wait()
    text = markdown(report)
    print(text)
    if args.markdown:
        Path(args.markdown).write_text(text + "\n", encoding="utf-8")
    for page in args.pages:
        tables.fill(page, {"neighbour": text})


if __name__ == "__main__":
    main()
