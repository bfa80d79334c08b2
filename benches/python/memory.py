"""Peak and steady memory of networks: rvision, onnxruntime and OpenVINO, each in a process of its own.

Every measurement is a fresh Python process that imports an engine, loads a weight file, and runs three
times on one picture at batch size 1.

    python benches/python/memory.py --networks alexnet vgg19 resnet50 vit_b_16

Columns: the weights in the file; the largest resident size of the process (peak); the resident size after
the third run (steady). For rvision also the steady size with a second network from the same file, and
what remains above the size after `import rvision` once both networks are deleted.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import tables
from compare import answer, ask, environment, machine
from engines import ENGINES

NETWORKS = ["alexnet", "vgg19", "resnet50", "vit_b_16"]
COMPARED = ["rvision", "rvision_half", "onnxruntime", "openvino"]


def resident(field: str = "VmRSS") -> float:
    """Return the resident size of this process in MiB; its largest so far for ``VmHWM``."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def measure(engine: str, name: str, files: dict[str, Any], threads: int) -> dict[str, float]:
    """Load and run a network in this process; sizes in MiB."""
    __import__(engine.removesuffix("_half"))
    found = {"imported": resident()}
    run, _ = ENGINES[engine](name, files, threads)
    found["loaded"] = resident()
    x = np.random.default_rng(0).standard_normal((1, 3, files["size"], files["size"]), dtype=np.float32)
    for _ in range(3):
        run(x)
    found |= {"steady": resident(), "peak": resident("VmHWM")}
    if engine.startswith("rvision"):
        other, _ = ENGINES[engine](name, files, threads)
        for _ in range(3):
            other(x)
        found["second"] = resident()
        del run, other
        gc.collect()
        found["deleted"] = resident() - found["imported"]
    return found


def rows(args: argparse.Namespace) -> Iterator[list[object]]:
    engines = [e for e in args.engines if find_spec(e.removesuffix("_half")) is not None]
    for name in args.networks:
        with tempfile.TemporaryDirectory() as folder:
            request = {"prepare": name, "folder": folder, "size": None, "batches": [1], "exports": ["onnx"]}
            files = answer(ask(request))
            files["onnx"] = files["onnx"]["1"]
            weights = Path(files["pth"]).stat().st_size / 2**20
            for engine in engines:
                work = {"engine": engine, "name": name, "files": files, "threads": args.threads}
                command = [sys.executable, __file__, "--worker", json.dumps(work)]
                done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
                found = json.loads(done.stdout.splitlines()[-1])
                sizes = (found.get(key) for key in ("peak", "steady", "second", "deleted"))
                cells = ("" if size is None else f"{size:.0f}" for size in sizes)
                print(name, engine, found, file=sys.stderr, flush=True)
                yield [name, f"{weights:.0f}", engine, *cells]


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, metavar="NAME")
    parser.add_argument("--engines", nargs="+", default=COMPARED, choices=COMPARED)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pages", nargs="*", default=[], metavar="PAGE", help="pages with <!-- memory -->")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(measure(**json.loads(args.worker))))
        return
    head = ["network", "weights", "engine", "peak", "steady", "a second network", "left after deletion"]
    text = f"{tables.where(machine())}. MiB:\n\n{tables.table(head, rows(args))}"
    print(text)
    for page in args.pages:
        tables.fill(page, {"memory": text})


if __name__ == "__main__":
    main()
