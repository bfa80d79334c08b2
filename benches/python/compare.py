"""Time rvision side by side with the engines that its users could choose instead.

All engines of a network exist at the same time, each in its own process. They run in turn, with a
pause before each run so that the spinning threads of one engine do not disturb the next. Medians
over the same rounds are compared, as ratios. Outputs are compared too: the speed of engines that
compute different things is not compared.

    python benches/python/compare.py --json out.json --markdown out.md
    python benches/python/compare.py --networks resnet50 vgg19 --settings 2x1 --plot out.png

The report is written after every setting of every network. `--resume out.json` continues an
interrupted run and rebuilds the tables of a finished one. `--pages docs/performance.md README.md`
writes the tables into these pages, see tables.py.

Needs the engines in the environment: torch, torchvision, onnx, onnxruntime, openvino, ncnn, pnnx
(missing ones are skipped and named).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tables

WORKER = Path(__file__).with_name("engines.py")
# The modules that an engine needs, besides those that write the weights of every network.
NEEDS = {
    "rvision_half": ["rvision"],
    "torch_eager": [],
    "torch_channels_last": [],
    "onnxruntime": ["onnxruntime", "onnx"],
    "openvino": ["openvino", "onnx"],
    "ncnn": ["ncnn", "pnnx"],
}
ALL_NEED = ["rvision", "torch", "torchvision"]
# The formats that engines read besides .pth.
FORMS = {"onnxruntime": "onnx", "openvino": "onnx", "ncnn": "ncnn"}
NETWORKS = [
    "vgg19",
    "resnet18",
    "googlenet",
    "densenet121",
    "alexnet",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "convnext_tiny",
    "wide_resnet50_2",
    "resnet50",
    "resnext50_32x4d",
    "inception_v3",
    "squeezenet1_1",
    "shufflenet_v2_x1_0",
    "efficientnet_b0",
    "vit_b_16",
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
# Threads x batch.
SETTINGS = ["2x1", "1x1", "2x8"]
# If the logits of two engines differ by more than this share of the largest, one of them computes
# another network. float16 weights change the network slightly.
AGREEMENT = 1e-3
HALF_AGREEMENT = 1e-2
# With fewer rounds, the spread of a median is meaningless.
MIN_ROUNDS = 3
# The largest number of runs in one turn, for engines that take microseconds.
MAX_RUNS = 30


def environment(**more: str) -> dict[str, str]:
    """The environment without the variables that limit the threads of numpy's and torch's BLAS."""
    held = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    return {k: v for k, v in os.environ.items() if k not in held} | more


def ask(request: dict, **variables: str) -> subprocess.Popen:
    """Start a worker with these additional environment variables."""
    command = [sys.executable, str(WORKER), json.dumps(request)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment(**variables)
    )


def answer(process: subprocess.Popen) -> dict:
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the worker ended with status {process.wait()}")
    reply = json.loads(line)
    if "error" in reply:
        raise RuntimeError(reply["error"])
    return reply


def tell(process: subprocess.Popen, request: dict) -> dict:
    print(json.dumps(request), file=process.stdin, flush=True)
    return answer(process)


def end(process: subprocess.Popen) -> None:
    process.stdin.close()
    process.wait()


def installed(engines: list[str]) -> list[str]:
    """The installed engines of a list; the others are named, with the packages that are missing.

    Ends the program if something that all engines need is missing: torchvision generates the
    weights.
    """
    lacking = [module for module in ALL_NEED if find_spec(module) is None]
    if lacking:
        raise SystemExit(f"not installed: {', '.join(lacking)}; {advice(lacking)}")
    missing = {e: [m for m in NEEDS.get(e, [e]) if find_spec(m) is None] for e in engines}
    for engine, modules in missing.items():
        if modules:
            print(f"{engine} is left out, not installed: {', '.join(modules)}", file=sys.stderr)
    packages = list(dict.fromkeys(module for modules in missing.values() for module in modules))
    if packages:
        print(advice(packages), file=sys.stderr)
    return [engine for engine in engines if not missing[engine]]


def advice(packages: list[str]) -> str:
    """How to install packages: rvision is this project itself."""
    return "pip install " + " ".join("." if package == "rvision" else package for package in packages)


def prepare(name: str, engines: list[str], folder: str, size: int | None, batches: list[int]) -> dict:
    """Write a network's files for these engines, see engines.py."""
    exports = sorted({FORMS[e] for e in engines if e in FORMS})
    return answer(
        ask({"prepare": name, "folder": folder, "size": size, "batches": batches, "exports": exports})
    )


def start(
    name: str, engines: list[str], files: dict, threads: int, batch: int
) -> tuple[dict[str, subprocess.Popen], dict[str, dict]]:
    """Start a worker for each engine.

    Returns the workers whose outputs match rvision's (none if rvision itself does not run), and the
    information about all of them.
    """
    workers, results = {}, {}
    own = {**files, "onnx": files.get("onnx", {}).get(str(batch))}
    shape = [batch, 3, files["size"], files["size"]]
    for engine in engines:
        form = FORMS.get(engine)
        if form in files["failed"]:
            results[engine] = {"error": f"not exported: {files['failed'][form]}"}
            continue
        worker = ask({"engine": engine, "name": name, "files": own, "threads": threads, "shape": shape})
        try:
            results[engine] = answer(worker)
            workers[engine] = worker
        except RuntimeError as error:
            results[engine] = {"error": str(error)}
            end(worker)
    logits = {engine: np.array(results[engine].pop("logits")) for engine in workers}
    if "rvision" not in workers:
        for worker in workers.values():
            end(worker)
        return {}, results
    reference = logits["rvision"]
    for engine in list(workers):
        difference = float(np.abs(logits[engine] - reference).max() / np.abs(reference).max())
        results[engine]["difference"] = difference
        if not difference <= (HALF_AGREEMENT if engine == "rvision_half" else AGREEMENT):
            results[engine]["error"] = f"logits differ by {difference:.1e}"
            end(workers.pop(engine))
    return workers, results


def take_turns(
    workers: dict[str, subprocess.Popen],
    args: argparse.Namespace,
    circumstances: tuple[Callable[[], None], ...] = (lambda: None,),
) -> dict[str, list[dict[str, Any]]]:
    """Interleaved rounds: every engine runs under each of the conditions that the functions set up.

    Returns for each engine the measurements under each condition, in milliseconds.
    """
    one = {engine: min(tell(worker, {"runs": 2})["times"]) for engine, worker in workers.items()}
    rounds = max(MIN_ROUNDS, min(args.rounds, int(args.seconds / max(one.values(), default=1))))
    runs = {e: max(1, min(MAX_RUNS, round(args.seconds / rounds / took))) for e, took in one.items()}
    times: dict[str, list[list[float]]] = {engine: [[] for _ in circumstances] for engine in workers}
    for _ in range(rounds):
        for engine, worker in workers.items():
            for own, bring_about in zip(times[engine], circumstances, strict=True):
                bring_about()
                time.sleep(args.pause)
                own += tell(worker, {"runs": runs[engine]})["times"]
    return {e: [spread(own) for own in each] for e, each in times.items()}


def spread(times: list[float]) -> dict[str, float]:
    low, middle, high = np.percentile(np.array(times) * 1e3, [10, 50, 90])
    return {"median_ms": middle, "p10_ms": low, "p90_ms": high, "runs": len(times)}


def measure(
    name: str, files: dict, setting: str, engines: list[str], args: argparse.Namespace
) -> dict[str, dict]:
    """All engines on one network in one setting."""
    threads, batch = map(int, setting.split("x"))
    workers, results = start(name, engines, files, threads, batch)
    try:
        for engine, (found,) in take_turns(workers, args).items():
            results[engine] |= found
    finally:
        for worker in workers.values():
            end(worker)
    return results


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


def machine() -> dict[str, Any]:
    """The machine and the time of a measurement."""
    return {
        "machine": processor(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "started": datetime.now().isoformat(" ", "minutes"),
        "load_before": os.getloadavg()[0],
    }


def resumed(args: argparse.Namespace) -> dict:
    """The report to continue, or a new one."""
    same = {key: getattr(args, key) for key in ("size", "seconds", "rounds", "pause")}
    if not args.resume:
        return machine() | same | {"versions": {}, "networks": {}}
    report = json.loads(Path(args.resume).read_text(encoding="utf-8"))
    report["machine"] = report["machine"] or processor()
    differing = [key for key, value in same.items() if report[key] != value]
    if report["machine"] != processor() or differing:
        raise SystemExit(
            f"{args.resume} was measured on {report['machine']} with "
            + ", ".join(f"--{key} {report[key]}" for key in same)
            + ": go on with the same"
        )
    return report


def run(args: argparse.Namespace, report: dict) -> None:
    engines = ["rvision", *(e for e in installed(args.engines) if e != "rvision")]
    report["engines"] = list(dict.fromkeys([*report.get("engines", []), *engines]))
    for name in args.networks:
        done = report["networks"].setdefault(name, {})
        wanted = [setting for setting in args.settings if setting not in done]
        if not wanted:
            continue
        batches = sorted({int(setting.split("x")[1]) for setting in wanted})
        with tempfile.TemporaryDirectory() as folder:
            files = prepare(name, engines, folder, args.size, batches)
            for setting in wanted:
                done[setting] = measure(name, files, setting, engines, args)
                versions = {e: r["version"] for e, r in done[setting].items() if "version" in r}
                report["versions"] |= versions
                report["load_after"] = os.getloadavg()[0]
                fastest, factor = tables.ratio(done[setting])
                print(f"{name} {setting}: {factor:.2f} of {fastest}", file=sys.stderr, flush=True)
                if args.json:
                    write(args.json, report)


def write(path: str, report: dict) -> None:
    """Write a report atomically: an interruption leaves either the old or the new report."""
    part = Path(path + ".part")
    part.write_text(json.dumps(report, indent=1), encoding="utf-8")
    part.replace(path)


def setting(text: str) -> str:
    threads, _, batch = text.partition("x")
    if not (threads.isdecimal() and batch.isdecimal() and int(threads) and int(batch)):
        raise argparse.ArgumentTypeError(f"threads x batch, as in 2x8, not {text!r}")
    return f"{int(threads)}x{int(batch)}"


def add_rounds(parser: argparse.ArgumentParser, seconds: float) -> None:
    """Add the options of `take_turns`."""
    parser.add_argument("--rounds", type=int, default=8, help="most turns of an engine; at least 3")
    parser.add_argument("--seconds", type=float, default=seconds, help="timed in all turns of an engine")
    parser.add_argument("--pause", type=float, default=0.3, help="seconds of rest before each turn")


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--networks", nargs="+", default=NETWORKS)
    which.add_argument(
        "--families",
        dest="networks",
        action="store_const",
        const=FAMILIES,
        help="one or two networks of each family",
    )
    engines = ["rvision_half", *tables.PEERS]
    parser.add_argument("--engines", nargs="+", default=engines, choices=engines)
    parser.add_argument(
        "--settings", nargs="+", type=setting, default=SETTINGS, help="threads x batch: 2x1 1x1 2x8"
    )
    parser.add_argument("--size", type=int, help="height and width; default: those of each network's preset")
    add_rounds(parser, 3.0)
    parser.add_argument("--json", help="write the report there, after every setting")
    parser.add_argument("--resume", metavar="JSON", help="go on with this report, and write it")
    parser.add_argument("--markdown", metavar="FILE", help="write all tables there")
    parser.add_argument("--pages", nargs="+", default=[], help="fill the tables in where these pages say so")
    parser.add_argument("--plot", help="write a bar chart of the first setting there (needs matplotlib)")
    args = parser.parse_args()
    args.json = args.json or args.resume
    report = resumed(args)
    run(args, report)
    full, short = tables.full(report), tables.short(report, args.settings[0])
    print(full)
    if args.markdown:
        Path(args.markdown).write_text(full + "\n", encoding="utf-8")
    for page in args.pages:
        tables.fill(page, {"compare": full, "compare-short": short})
    if args.plot:
        tables.plot(report, args.settings[0], args.plot)


if __name__ == "__main__":
    main()
