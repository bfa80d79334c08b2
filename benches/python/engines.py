"""One worker process per engine: build a network, say what it computes, run it when asked.

A worker reads one JSON line per request from standard input and answers with one on standard
output. Every engine lives in a process of its own, so that no engine's threads, allocator or
libraries touch another's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[np.ndarray], np.ndarray]


def rvision(name: str, files: dict[str, str], threads: int) -> tuple[Run, str]:
    import rvision as rv

    rv.set_num_threads(threads)
    return rv.models.get_model(name, weights=files["pth"]), rv.__version__


def _torch(name: str, files: dict[str, str], threads: int):
    import torch
    import torchvision

    torch.set_num_threads(threads)
    model = torchvision.models.get_model(name, weights=None)
    model.load_state_dict(torch.load(files["pth"], weights_only=True))
    return torch, model.eval()


def torch_eager(name: str, files: dict[str, str], threads: int) -> tuple[Run, str]:
    torch, model = _torch(name, files, threads)

    def run(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(x)).numpy()

    return run, torch.__version__


def torch_channels_last(name: str, files: dict[str, str], threads: int) -> tuple[Run, str]:
    torch, model = _torch(name, files, threads)
    model = model.to(memory_format=torch.channels_last)

    def run(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(x).to(memory_format=torch.channels_last)).numpy()

    return run, torch.__version__


def onnxruntime(name: str, files: dict[str, str], threads: int) -> tuple[Run, str]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(files["onnx"], options, providers=["CPUExecutionProvider"])
    key = session.get_inputs()[0].name
    return (lambda x: session.run(None, {key: x})[0]), ort.__version__


def openvino(name: str, files: dict[str, str], threads: int) -> tuple[Run, str]:
    import openvino as ov

    core = ov.Core()
    config = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = core.compile_model(core.read_model(files["onnx"]), "CPU", config).create_infer_request()
    return (lambda x: request.infer([x], share_inputs=True)[0]), ov.__version__.split("-")[0]


def ncnn(name: str, files: dict[str, str], threads: int) -> tuple[Run, str]:
    import ncnn as nn

    net = nn.Net()
    net.opt.num_threads = threads
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    net.load_param(files["ncnn"] + ".param")
    net.load_model(files["ncnn"] + ".bin")

    def run(x: np.ndarray) -> np.ndarray:
        rows = []
        for picture in x:
            extractor = net.create_extractor()
            extractor.input("in0", nn.Mat(picture).clone())
            rows.append(np.array(extractor.extract("out0")[1]))
        return np.stack(rows)

    return run, nn.__version__


ENGINES = {f.__name__: f for f in (rvision, torch_eager, torch_channels_last, onnxruntime, openvino, ncnn)}


def prepare(name: str, folder: str, size: int | None, batch: int, exports: list[str]) -> dict[str, Any]:
    """Write a network's weights (drawn, seeded) and the peers' own formats into `folder`.

    Returns their paths by format, and the input's `shape`.
    """
    import torch
    import torchvision

    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 1.5)
            module.running_mean.normal_(0, 0.1)
    with torch.no_grad():
        # Parameters that begin all alike would leave some networks' logits at zero.
        for parameter in model.parameters():
            if parameter.numel() > 1 and parameter.std() == 0:
                parameter.add_(0.02 * torch.randn_like(parameter))
    if size is None:
        size = torchvision.models.get_model_weights(name).DEFAULT.transforms().crop_size[0]
    shape = [batch, 3, size, size]
    base = Path(folder) / name
    files: dict[str, Any] = {"pth": f"{base}.pth", "shape": shape}
    torch.save(model.state_dict(), files["pth"])
    example = torch.zeros(*shape)
    if "onnx" in exports:
        files["onnx"] = f"{base}.onnx"
        torch.onnx.export(model, (example,), files["onnx"], dynamo=False, opset_version=17)
    if "ncnn" in exports:
        traced = f"{base}.pt"
        torch.jit.trace(model, example).save(traced)
        command = [
            str(Path(sys.executable).with_name("pnnx")),
            traced,
            f"inputshape=[{','.join(map(str, shape))}]",
        ]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        files["ncnn"] = f"{base}.ncnn"
    return files


def serve(engine: str, name: str, files: dict[str, str], threads: int, shape: list[int]) -> None:
    """Answer requests until standard input ends."""
    # What an engine prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    start = time.perf_counter()
    run, version = ENGINES[engine](name, files, threads)
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    out = np.asarray(run(x)).reshape(shape[0], -1)
    ready = time.perf_counter() - start
    print(json.dumps({"version": version, "logits": out[0].tolist(), "start_s": ready}), file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        run(x)
        times = []
        for _ in range(request["runs"]):
            t = time.perf_counter()
            run(x)
            times.append(time.perf_counter() - t)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"times": times, "peak_mib": peak / 1024}), file=answers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("request", help="JSON: {engine, name, files, threads, shape} or {prepare, ...}")
    request = json.loads(parser.parse_args().request)
    if "prepare" in request:
        name = request.pop("prepare")
        print(json.dumps(prepare(name, **request)))
    else:
        serve(**request)


if __name__ == "__main__":
    main()
