"""The time of a network on this machine."""

from __future__ import annotations

import gc
import math
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from rvision import _rvision, models
from rvision._benchmark._results import BenchmarkRow
from rvision._summary import summary
from rvision.errors import ArgumentError
from rvision.nn import Module
from rvision.weights import WeightsEnum

# One or two networks of each family, none of which takes long.
_CHOSEN = [
    *("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0"),
    *("efficientnet_b2", "googlenet", "inception_v3", "maxvit_t"),
    *("mnasnet0_5", "mnasnet1_0", "mobilenet_v2", "mobilenet_v3_small"),
    *("mobilenet_v3_large", "regnet_x_400mf", "regnet_y_1_6gf", "resnet18"),
    *("resnet50", "resnext50_32x4d", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0"),
    *("squeezenet1_1", "swin_t", "vgg11", "vit_b_32"),
]

# A median of fewer runs means little; of more, nothing more.
_LEAST_RUNS, _MOST_RUNS = 3, 10_000

# Seconds of a first run after which no second one is made to warm up.
_LONG = 2.0

_DATA = "ImageNet-1K"


def chosen(networks: str | Sequence[str] | None) -> list[str]:
    """Return the networks' names, each once, all of which exist."""
    if networks is None:
        return list(_CHOSEN)
    if isinstance(networks, str):
        if networks == "all":
            return _published()
        networks = [networks]
    known = set(models.list_models())
    names = []
    for name in networks:
        if not isinstance(name, str):
            raise TypeError(f"benchmark: networks: expected names of networks, got {name!r}")
        models.get_model_builder(name)
        names.append(name if name in known else name.lower())
    if not names:
        raise ArgumentError('benchmark: networks: name at least one, or "all"')
    return list(dict.fromkeys(names))


def _published() -> list[str]:
    """Return the networks with published accuracy; those that share their weights are there once."""
    names: dict[WeightsEnum, str] = {}
    for name in models.list_models():
        member = _default_weights(name)
        if member is not None and _metric(member, "acc@1") is not None:
            names.setdefault(member, name)
    return list(names.values())


def _default_weights(name: str) -> WeightsEnum | None:
    try:
        return getattr(models.get_model_weights(name), "DEFAULT", None)
    except ValueError:
        return None


def _metric(member: WeightsEnum, metric: str) -> float | None:
    value = member.meta["_metrics"].get(_DATA, {}).get(metric, math.nan)
    return None if math.isnan(value) else value


def _drawn(name: str, member: WeightsEnum | None) -> tuple[Module, tuple[int, int, int]]:
    """Return a network with drawn weights, and (C, H, W) of the pictures of its default weights."""
    model = models.get_model(name)
    size: tuple[int, int, int] | None = getattr(model, "input_size", None)
    if size is None:
        raise ArgumentError(f"benchmark: {name} does not say which pictures it takes (its input_size)")
    crop = getattr(member.transforms(), "crop_size", None) if member is not None else None
    if crop:
        size = (size[0], crop[0], crop[0])
    # A vision transformer is made for one size.
    if getattr(model, "image_size", size[1]) != size[1]:
        # The first one is freed before the other one is made.
        del model
        model = models.get_model(name, image_size=size[1])
    return model, size


def measured(name: str, batch_size: int, seconds: float) -> BenchmarkRow:
    member = _default_weights(name)
    model, size = _drawn(name, member)
    # Noise: zeros would change the memory traffic, and denormals the speed of the arithmetic.
    pictures = np.random.default_rng(0).standard_normal((batch_size, *size), np.float32)
    # The first run packs the weights. The second finds the caches as later ones do, which matters to
    # short runs only.
    start = time.perf_counter()
    model(pictures)
    if time.perf_counter() - start < _LONG:
        model(pictures)
    times: list[int] = []
    end = time.perf_counter() + seconds
    while len(times) < _LEAST_RUNS or (time.perf_counter() < end and len(times) < _MOST_RUNS):
        start = time.perf_counter_ns()
        model(pictures)
        times.append(time.perf_counter_ns() - start)
    median, best = statistics.median(times) / 1e6, min(times) / 1e6
    if member is None:
        info = summary(model, (1, *size))
        parameters, gflops = info.num_params, info.gflops
        megabytes = sum(np.asarray(value).nbytes for value in model.state_dict().values()) / 2**20
    else:
        parameters, gflops = member.meta["num_params"], member.meta["_ops"]
        megabytes = member.meta["_file_size"]
    del model
    # A network of gigabytes is freed before the next one is made.
    gc.collect()
    return BenchmarkRow(
        network=name,
        weights=None if member is None else repr(member),
        parameters=parameters,
        megabytes=megabytes,
        gflops=gflops,
        acc1=None if member is None else _metric(member, "acc@1"),
        acc5=None if member is None else _metric(member, "acc@5"),
        image_size=size[1:],
        median_ms=median,
        best_ms=best,
        pictures_per_second=1e3 * batch_size / median,
        runs=len(times),
    )


# ---- the machine ----


def machine() -> dict[str, Any]:
    build = _rvision.build_info()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    system = f"{platform.system()} {platform.machine()}"
    return {
        "cpu": _cpu(),
        "cores": cores,
        "system": system,
        "isa": build["isa"],
        "profile": build["profile"],
    }


def _cpu() -> str:
    """Return the processor's name, as well as the system knows it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    if platform.system() == "Darwin":
        with suppress(OSError, subprocess.SubprocessError):
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            name = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
            if name.strip():
                return name.strip()
    return platform.processor() or platform.machine() or "an unknown processor"
