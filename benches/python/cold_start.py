"""Time from the start of a process to the first label of ResNet-50, and the memory it took.

Every measurement is a fresh Python process that imports an engine, loads weights that are in the
system's file cache, prepares a picture with Pillow and numpy, and runs once. Engines take turns.

    python benches/python/cold_start.py --rounds 7

All engines must have compiled bytecode, as `pip install` writes it. An editable install under
PYTHONDONTWRITEBYTECODE has none.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec

from compare import answer, ask, environment

PICTURE = """
import sys
import numpy as np
from PIL import Image
def picture():
    image = Image.new("RGB", (320, 256), (120, 90, 60)).crop((48, 16, 272, 240))
    x = np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 255
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return np.ascontiguousarray((x - mean[:, None, None]) / std[:, None, None])
pth, onnx = sys.argv[1:]
"""
CODE = {
    "numpy alone": "picture()",
    "rvision": """
import rvision
model = rvision.models.resnet50(weights=pth)
print(int(model(picture()).argmax()))
""",
    "torch_eager": """
import torch, torchvision
model = torchvision.models.resnet50()
model.load_state_dict(torch.load(pth, weights_only=True))
model.eval()
with torch.inference_mode():
    print(int(model(torch.from_numpy(picture())).argmax()))
""",
    "onnxruntime": """
import onnxruntime
session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
print(int(session.run(None, {session.get_inputs()[0].name: picture()})[0].argmax()))
""",
    "openvino": """
import openvino
model = openvino.Core().compile_model(onnx, "CPU")
print(int(model([picture()])[0].argmax()))
""",
}
NEEDS = {"numpy alone": "numpy", "torch_eager": "torchvision"}
REPORT = """
import resource
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def once(code: str, files: dict[str, str]) -> tuple[float, float]:
    """Seconds and MiB of one process."""
    start = time.perf_counter()
    command = [sys.executable, "-c", PICTURE + code + REPORT, files["pth"], files["onnx"]]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    return time.perf_counter() - start, int(result.stdout.split()[-1]) / 1024


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    engines = [e for e in CODE if find_spec(NEEDS.get(e, e)) is not None]
    with tempfile.TemporaryDirectory() as folder:
        request = {"prepare": "resnet50", "folder": folder, "size": 224, "batches": [1], "exports": ["onnx"]}
        files = answer(ask(request))
        files["onnx"] = files["onnx"]["1"]
        times: dict[str, list[tuple[float, float]]] = {engine: [] for engine in engines}
        # An uncounted round loads every library into the system's file cache.
        for engine in engines:
            once(CODE[engine], files)
        for _ in range(args.rounds):
            for engine in engines:
                times[engine].append(once(CODE[engine], files))
    rows = {e: [statistics.median(column) for column in zip(*t, strict=True)] for e, t in times.items()}
    print("| engine | seconds to the first label | peak MiB |\n| --- | --- | --- |")
    for engine, (seconds, mib) in rows.items():
        print(f"| {engine} | {seconds:.2f} | {mib:.0f} |")


if __name__ == "__main__":
    main()
