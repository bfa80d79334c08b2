"""Compare one pass of a convolutionized network with classifying the crops of all its windows.

Each method runs in its own process, in turn; the medians of the rounds are printed with the peak
memory. Crops are classified by rvision and by onnxruntime, each at its best batch size: in every
round, one batch is timed for a second, and the time of all crops is extrapolated from it.
Multiply-adds are counted over whole maps.

    python benches/python/dense.py --threads 2 --rounds 3 --json dense.json

The networks have random weights, which take as long as trained ones.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from compare import environment

WINDOW = 224
BATCHES = (1, 4, 16)
WAYS = ("dense", "rvision", "onnxruntime")

# Network, picture, strides.
CASES = (
    ("alexnet", (451, 451), (32, 16, 8, 1)),
    ("alexnet", (768, 1024), (32, 16, 8)),
    ("vgg16", (451, 451), (32, 16, 8)),
    ("vgg16", (768, 1024), (32, 16)),
    ("squeezenet1_1", (768, 1024), (32, 16, 8, 1)),
    ("squeezenet1_1", (3000, 4000), (32, 16)),
)
# These take minutes each.
LONG = (
    ("vgg16", (451, 451), (1,)),
    ("vgg16", (768, 1024), (8,)),
    ("alexnet", (768, 1024), (1,)),
    ("squeezenet1_1", (3000, 4000), (1,)),
)
# Larger maps are computed in blocks with this much memory.
MEMORY = 4 << 30
# The number of cells above which a map is computed in blocks.
WHOLE = 500_000
# A pass that takes longer than this many seconds is run only once.
SLOW = 30.0


def cells(size: tuple[int, int], stride: int) -> int:
    """Return the number of windows inside a picture."""
    return int(np.prod([(side - WINDOW) // stride + 1 for side in size]))


# ---- in the worker process ----


def dense_pass(name: str, size: tuple[int, int], stride: int, threads: int) -> Callable[[], Any]:
    """Return a function that runs a network over a picture once."""
    import rvision
    from rvision import dense

    rvision.set_num_threads(threads)
    model = rvision.models.get_model(name)
    x = np.random.default_rng(0).standard_normal((3, *size), dtype=np.float32)
    if cells(size, stride) > WHOLE:
        return lambda: dense.scan(model, x, stride, memory=MEMORY)
    return lambda: dense.predict(model, x, stride)


def rvision_crops(name: str, batch: int, threads: int) -> Callable[[], Any]:
    """Return what classifies a batch of crops."""
    import rvision

    rvision.set_num_threads(threads)
    model = rvision.models.get_model(name)
    x = np.random.default_rng(0).standard_normal((batch, 3, WINDOW, WINDOW), dtype=np.float32)
    return lambda: model(x)


def onnxruntime_crops(file: str, batch: int, threads: int) -> Callable[[], Any]:
    """Return what classifies a batch of crops."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    key = session.get_inputs()[0].name
    x = np.random.default_rng(0).standard_normal((batch, 3, WINDOW, WINDOW), dtype=np.float32)
    return lambda: session.run(None, {key: x})


def export(name: str, folder: str) -> str:
    """Write a network as ONNX with a variable batch size."""
    import warnings

    import torch
    import torchvision

    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    file = str(Path(folder) / f"{name}.onnx")
    model = torchvision.models.get_model(name, weights=None).eval()
    example = torch.zeros(1, 3, WINDOW, WINDOW)
    axes = {"x": {0: "n"}, "y": {0: "n"}}
    names = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": axes}
    torch.onnx.export(model, (example,), file, dynamo=False, opset_version=17, **names)
    return file


def multiply_adds(name: str, size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Return the multiply-adds of one dense pass, and of one crop."""
    import rvision
    from rvision._trace import Tracer

    model = rvision.models.get_model(name)
    fully = rvision.convolutionize(model, stride=stride)
    tracer = Tracer({}, name)
    fully.forward(tracer.input("x", (1, 3, *size), (False, True, False, False)))
    whole = sum(node[3] for node in tracer.builder.nodes())
    return whole, rvision.summary(model, (3, WINDOW, WINDOW)).multiply_adds


def worker(request: dict[str, Any]) -> Any:
    """Answer one request: {"do": name of a function above, its arguments, "seconds": duration}."""
    seconds, do = request.pop("seconds", 0), request.pop("do")
    made = globals()[do](**{k: tuple(v) if isinstance(v, list) else v for k, v in request.items()})
    if not callable(made):
        return made
    run = made
    start = time.perf_counter()
    run()
    # The first run also packs weights, which is negligible in a run of many seconds.
    first = time.perf_counter() - start
    times: list[float] = [first] if first > SLOW else []
    while not times or sum(times) < seconds:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": statistics.median(times), "peak_mib": peak}


# ---- the table ----


def ask(do: str, **request: Any) -> Any:
    """Run a request in a fresh process."""
    text = json.dumps({"do": do, **request})
    command = [sys.executable, __file__, "--worker", text]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if result.returncode:
        raise SystemExit(f"{text}: {result.stderr}")
    return json.loads(result.stdout.splitlines()[-1])


def best_batch(do: str, threads: int, **request: Any) -> tuple[int, dict[str, float]]:
    """Return the batch size with the least time per crop, and its measurement."""
    found = {n: ask(do, batch=n, threads=threads, seconds=1.0, **request) for n in BATCHES}
    return min(found.items(), key=lambda item: item[1]["seconds"] / item[0])


def measure(args: argparse.Namespace, folder: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    wanted = [case for case in (*CASES, *(LONG if args.long else ())) if case[0] in args.networks]
    for name in dict.fromkeys(case[0] for case in wanted):
        file = ask("export", name=name, folder=folder)
        batches = {
            "rvision": best_batch("rvision_crops", args.threads, name=name)[0],
            "onnxruntime": best_batch("onnxruntime_crops", args.threads, file=file)[0],
        }
        for case, size, strides in wanted:
            for stride in strides if case == name else ():
                rows.append(one(name, size, stride, file, batches, args))
                print(line(rows[-1]), flush=True)
    return rows


def one(
    name: str,
    size: tuple[int, int],
    stride: int,
    file: str,
    batches: dict[str, int],
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Measure one network, picture and stride, in turns."""
    count = cells(size, stride)
    took: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    threads, seconds = args.threads, args.seconds
    for _ in range(args.rounds):
        took["dense"].append(
            ask("dense_pass", name=name, size=size, stride=stride, threads=threads, seconds=seconds)
        )
        for engine, key in (("rvision", {"name": name}), ("onnxruntime", {"file": file})):
            batch = batches[engine]
            found = ask(f"{engine}_crops", batch=batch, threads=threads, seconds=seconds, **key)
            took[engine].append({**found, "seconds": found["seconds"] * count / batch})
    whole, crop = ask("multiply_adds", name=name, size=size, stride=stride)
    row: dict[str, Any] = {"network": name, "size": size, "stride": stride, "cells": count}
    for way, found in took.items():
        row[way] = {key: statistics.median(each[key] for each in found) for key in found[0]}
    return {**row, "batches": batches, "macs": whole, "macs_ratio": crop * count / whole}


HEADER = (
    "| network | picture | stride | windows | one pass | crops, rvision | crops, onnxruntime | "
    "multiply-adds | rvision's crops | onnxruntime's |\n" + "| --- " * 10 + "|"
)


def line(row: dict[str, Any]) -> str:
    """Return a row of the table: seconds (MiB), and how many times as long the crops take."""
    dense = row["dense"]["seconds"]
    ways = [f"{row[w]['seconds']:.3g} s, {row[w]['peak_mib']:.0f} MiB" for w in WAYS]
    ratios = [f"{row[w]['seconds'] / dense:.1f}" for w in ("rvision", "onnxruntime")]
    cells_ = [
        row["network"],
        f"{row['size'][1]}x{row['size'][0]}",
        row["stride"],
        row["cells"],
        *ways,
        f"{row['macs_ratio']:.1f}",
        *ratios,
    ]
    return f"| {' | '.join(map(str, cells_))} |"


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="time of each way in each round")
    parser.add_argument("--networks", nargs="+", default=["alexnet", "vgg16", "squeezenet1_1"])
    parser.add_argument("--long", action="store_true", help="also those that take minutes")
    parser.add_argument("--json", help="write all figures to this file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker is not None:
        print(json.dumps(worker(json.loads(args.worker))))
        return
    print(HEADER)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(args, folder)
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
