"""Time rvision side by side with the engines its users could pick instead.

All engines of a network live at the same time, each in its own process, and are asked in turn, with
a pause before each so that no engine's spinning threads disturb the next. What is compared are
medians of the same rounds, as ratios. Outputs are compared too: engines that compute different
things are not compared in speed.

    python benches/python/compare.py --networks resnet50 vgg19 --threads 2 --json out.json --plot out.png

Needs the engines in the environment: torch, torchvision, onnx, onnxruntime, openvino, ncnn, pnnx
(a missing one is left out and named).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

WORKER = Path(__file__).with_name("engines.py")
PEERS = ["torch_eager", "torch_channels_last", "onnxruntime", "openvino", "ncnn"]
NEEDS = {"torch_eager": "torchvision", "torch_channels_last": "torchvision"}
NETWORKS = [
    "alexnet",
    "vgg19",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "squeezenet1_1",
    "mobilenet_v2",
]
# One or two of each of torchvision's families.
FAMILIES = [
    "alexnet",
    "vgg16",
    "squeezenet1_1",
    "googlenet",
    "inception_v3",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "wide_resnet50_2",
    "densenet121",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "shufflenet_v2_x1_0",
    "mnasnet1_0",
    "efficientnet_b0",
    "efficientnet_b3",
    "efficientnet_v2_s",
    "regnet_x_400mf",
    "regnet_y_1_6gf",
    "convnext_tiny",
    "vit_b_16",
    "vit_b_32",
    "swin_t",
    "swin_v2_t",
    "maxvit_t",
]
# Larger differences than this between two engines' logits mean that one computes another network.
AGREEMENT = 1e-3


def environment() -> dict[str, str]:
    """The environment without the variables that hold numpy's and torch's BLAS back."""
    return {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}


def ask(request: dict) -> subprocess.Popen:
    command = [sys.executable, str(WORKER), json.dumps(request)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment()
    )


def answer(process: subprocess.Popen) -> dict:
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the worker ended with status {process.wait()}")
    return json.loads(line)


def measure(name: str, args: argparse.Namespace, engines: list[str], folder: str) -> dict:
    """Interleaved rounds of all engines on one network."""
    users = {"onnx": {"onnxruntime", "openvino"}, "ncnn": {"ncnn"}}
    exports = [form for form, engine in users.items() if engine & {*engines}]
    files = answer(
        ask({"prepare": name, "folder": folder, "size": args.size, "batch": args.batch, "exports": exports})
    )
    shape = files.pop("shape")
    workers, results = {}, {}
    for engine in engines:
        worker = ask(
            {"engine": engine, "name": name, "files": files, "threads": args.threads, "shape": shape}
        )
        try:
            results[engine] = answer(worker) | {"times": []}
            workers[engine] = worker
        except RuntimeError as error:
            results[engine] = {"error": str(error)}
    reference = np.array(results["rvision"]["logits"])
    for engine in list(workers):
        logits = np.array(results[engine].pop("logits"))
        difference = float(np.abs(logits - reference).max() / np.abs(reference).max())
        results[engine]["difference"] = difference
        if not difference <= AGREEMENT:
            results[engine]["error"] = f"logits differ by {difference:.1e}"
            workers.pop(engine).stdin.close()
    for _ in range(args.rounds):
        for engine, worker in workers.items():
            time.sleep(args.pause)
            print(json.dumps({"runs": args.runs}), file=worker.stdin, flush=True)
            reply = answer(worker)
            results[engine]["times"] += reply["times"]
            results[engine]["peak_mib"] = reply["peak_mib"]
    for engine, worker in workers.items():
        worker.stdin.close()
        worker.wait()
        times = np.array(results[engine].pop("times")) * 1e3
        low, middle, high = np.percentile(times, [10, 50, 90])
        results[engine] |= {"median_ms": middle, "p10_ms": low, "p90_ms": high, "runs": len(times)}
    return results


def ratio(results: dict) -> tuple[str, float]:
    """The fastest peer and its time divided by rvision's."""
    peers = {e: r["median_ms"] for e, r in results.items() if e != "rvision" and "median_ms" in r}
    if not peers:
        return "nobody", float("nan")
    fastest = min(peers, key=peers.get)
    return fastest, peers[fastest] / results["rvision"]["median_ms"]


def table(report: dict, engines: list[str]) -> str:
    head = ["network", *engines, "fastest peer / rvision"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for name, results in report["networks"].items():
        cells = [f"{results[e]['median_ms']:.1f}" if "median_ms" in results[e] else "-" for e in engines]
        fastest, factor = ratio(results)
        lines.append("| " + " | ".join([name, *cells, f"{factor:.2f} ({fastest})"]) + " |")
    return "\n".join(lines)


def plot(report: dict, engines: list[str], path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    networks = report["networks"]
    figure, axes = plt.subplots(figsize=(1.5 + 1.3 * len(networks), 4.5))
    width = 0.8 / len(engines)
    for i, engine in enumerate(engines):
        heights = [r[engine].get("median_ms", np.nan) / r["rvision"]["median_ms"] for r in networks.values()]
        axes.bar(np.arange(len(networks)) + i * width, heights, width, label=engine)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(np.arange(len(networks)) + 0.4 - width / 2, list(networks), rotation=20)
    axes.set_ylabel("time / rvision's time")
    axes.set_title(f"batch {report['batch']}, {report['threads']} threads, {report['machine']}")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        fields = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        wide = (
            "AVX-512" if "avx512f" in fields["flags"] else "AVX2" if "avx2" in fields["flags"] else "no AVX2"
        )
        return f"{fields['model name']} (family {fields['cpu family']}, model {fields['model']}, {wide})"
    except (OSError, KeyError):
        return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--networks", nargs="+", default=NETWORKS)
    which.add_argument(
        "--families",
        dest="networks",
        action="store_const",
        const=FAMILIES,
        help="one or two networks of each family",
    )
    parser.add_argument("--engines", nargs="+", default=PEERS, choices=PEERS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, help="height and width; default: those of each network's preset")
    parser.add_argument("--rounds", type=int, default=10, help="times that all engines take their turn")
    parser.add_argument("--runs", type=int, default=5, help="timed runs in one turn")
    parser.add_argument("--pause", type=float, default=0.3, help="seconds of rest before each turn")
    parser.add_argument("--json", help="write the report there")
    parser.add_argument("--plot", help="write a bar chart there (needs matplotlib)")
    args = parser.parse_args()
    missing = [e for e in args.engines if find_spec(NEEDS.get(e, e)) is None]
    engines = ["rvision", *(e for e in args.engines if e not in missing)]
    if missing:
        print("not installed, left out:", ", ".join(missing), file=sys.stderr)
    report = {
        "machine": processor(),
        "threads": args.threads,
        "batch": args.batch,
        "size": args.size,
        "load_before": os.getloadavg()[0],
        "networks": {},
    }
    for name in args.networks:
        with tempfile.TemporaryDirectory() as folder:
            report["networks"][name] = measure(name, args, engines, folder)
        fastest, factor = ratio(report["networks"][name])
        print(f"{name}: {factor:.2f} of {fastest}", file=sys.stderr)
    report["geometric_mean"] = statistics.geometric_mean(ratio(r)[1] for r in report["networks"].values())
    size = "the presets' sizes" if args.size is None else f"{args.size} x {args.size}"
    setting = f"{args.threads} threads, batch {args.batch}, {size}, median milliseconds"
    print(f"{report['machine']}, {setting}\n\n{table(report, engines)}\n")
    print(f"geometric mean of the last column: {report['geometric_mean']:.2f}")
    if args.json:
        Path(args.json).write_text(json.dumps(report, indent=1))
    if args.plot:
        plot(report, engines, args.plot)


if __name__ == "__main__":
    main()
