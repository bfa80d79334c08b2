"""One worker process per engine: it builds a network, reports its outputs, and runs it on request.

A worker reads requests from standard input, one JSON line each, and answers each with a line on
standard output. Every engine has its own process, so that its threads, allocator and libraries do
not affect the others.
"""

from __future__ import annotations

import argparse
import json
import os
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


def rvision_half(name: str, files: dict[str, str], threads: int) -> tuple[Run, str]:
    model, version = rvision(name, files, threads)
    return model.half(), version


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


def torch_float64(name: str, files: dict[str, str], threads: int) -> tuple[Run, str]:
    """The reference for the errors of the others; it does not take part in the speed comparison."""
    torch, model = _torch(name, files, threads)
    model = model.double()

    def run(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(x).double()).numpy()

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


ENGINES = {
    f.__name__: f
    for f in (
        rvision,
        rvision_half,
        torch_eager,
        torch_float64,
        torch_channels_last,
        onnxruntime,
        openvino,
        ncnn,
    )
}


def draw(name: str) -> Any:
    """Return torchvision's network with random weights, the same ones every time."""
    import torch
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 1.5)
            module.running_mean.normal_(0, 0.1)
    with torch.no_grad():
        # If all elements of a parameter had the same value, the logits of some networks would be
        # zero.
        for parameter in model.parameters():
            if parameter.numel() > 1 and parameter.std() == 0:
                parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def preset_size(name: str) -> int:
    """Return the height and width at which a network's published weights are used."""
    import torchvision

    return torchvision.models.get_model_weights(name).DEFAULT.transforms().crop_size[0]


def prepare(
    name: str, folder: str, size: int | None, batches: list[int], exports: list[str]
) -> dict[str, Any]:
    """Write a network's random weights and the peers' own formats into `folder`.

    Returns their paths by format (for "onnx" by batch size), the picture's `size`, and in `failed`
    the reasons why formats could not be written. An ONNX file has a fixed batch size: a variable
    one leaves shape arithmetic in the network that the others do not have. ncnn has no batch
    dimension.
    """
    import torch

    warnings.simplefilter("ignore")
    model = draw(name)
    size = preset_size(name) if size is None else size
    base = Path(folder) / name
    files: dict[str, Any] = {"pth": f"{base}.pth", "size": size, "failed": {}}
    torch.save(model.state_dict(), files["pth"])
    for form in exports:
        try:
            files[form] = EXPORTS[form](model, base, size, batches)
        except Exception as error:
            files["failed"][form] = in_a_line(error)
    return files


def in_a_line(error: Exception) -> str:
    # An exporter's message can be as long as the whole network.
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def export_onnx(model: Any, base: Path, size: int, batches: list[int]) -> dict[str, str]:
    import torch

    files = {str(batch): f"{base}_{batch}.onnx" for batch in batches}
    for batch in batches:
        example = (torch.zeros(batch, 3, size, size),)
        torch.onnx.export(model, example, files[str(batch)], dynamo=False, opset_version=17)
    return files


def export_ncnn(model: Any, base: Path, size: int, batches: list[int]) -> str:
    import torch

    # Attention has a fast path that only the second trace takes, so the traces would differ.
    torch.jit.trace(model, torch.zeros(1, 3, size, size), check_trace=False).save(f"{base}.pt")
    program = str(Path(sys.executable).with_name("pnnx"))
    # Without fp16=0, the weights in the file are rounded to float16.
    command = [program, f"{base}.pt", f"inputshape=[1,3,{size},{size}]", "fp16=0"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(command, cwd=base.parent, check=True, **quiet)
    return f"{base}.ncnn"


EXPORTS = {"onnx": export_onnx, "ncnn": export_ncnn}


def serve(engine: str, name: str, files: dict[str, str], threads: int, shape: list[int]) -> None:
    """Answer requests until standard input ends.

    {"runs": n} times n runs after one that is not counted; {"idle": s} returns the processor time,
    in seconds, that the process uses while it sleeps for s seconds after a run.
    """
    # An engine's own output must not be mistaken for an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    start = time.perf_counter()
    try:
        run, version = ENGINES[engine](name, files, threads)
        x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
        out = np.asarray(run(x)).reshape(shape[0], -1)
    except Exception as error:
        print(json.dumps({"error": in_a_line(error)}), file=answers)
        return
    ready = time.perf_counter() - start
    print(json.dumps({"version": version, "logits": out[0].tolist(), "start_s": ready}), file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        run(x)
        if "idle" in request:
            before = time.process_time()
            time.sleep(request["idle"])
            print(json.dumps({"idle_s": time.process_time() - before}), file=answers)
            continue
        times = []
        for _ in range(request["runs"]):
            t = time.perf_counter()
            run(x)
            times.append(time.perf_counter() - t)
        print(json.dumps({"times": times}), file=answers)


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
