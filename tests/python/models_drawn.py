"""Networks with every value drawn, and pictures for them: the same with torch, without, and on every machine.

Default initialisation hides errors (zero biases, unit scales, statistics 0 and 1), and white noise as a
picture does too (all its averages are alike). So everything here is drawn from raw Philox integers under the
value's name, by arithmetic that rounds alike everywhere. Only the statistics of the batch norms are measured,
by `tests/golden/make_models.py`, on a few pictures of this kind: drawn ones would let the signal of a deep
network die. They are rounded to a coarse grid, which moves them by up to a tenth, and take two bytes a
channel.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden" / "models"


@dataclass(frozen=True)
class Case:
    """A network to compare.

    `sizes` are the inputs' shapes, the preset's first. `branch_end` matches the parameters of the last batch
    norm of each residual branch; they are scaled by 0.3. Without that every block would amplify the rounding
    errors of those before it, and a sum of fifty branches would drown the first.
    """

    builder: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    sizes: tuple[tuple[int, ...], ...] = ((1, 3, 224, 224), (3, 3, 225, 193))
    branch_end: str | None = None


def _cases() -> dict[str, Case]:
    cases = {name: Case(name) for name in ("alexnet", "squeezenet1_0", "squeezenet1_1")}
    for depth in (11, 13, 16, 19):
        cases |= {name: Case(name) for name in (f"vgg{depth}", f"vgg{depth}_bn")}
    basic, bottleneck = r"layer\d\.\d+\.bn2\.", r"layer\d\.\d+\.bn3\."
    cases |= {name: Case(name, branch_end=basic) for name in ("resnet18", "resnet34")}
    for name in (
        "resnet50",
        "resnet101",
        "resnet152",
        "resnext50_32x4d",
        "resnext101_32x8d",
        "resnext101_64x4d",
        "wide_resnet50_2",
        "wide_resnet101_2",
    ):
        cases[name] = Case(name, branch_end=bottleneck)
    dilated = {"replace_stride_with_dilation": [False, True, True], "num_classes": 21}
    cases["resnet50-dilated"] = Case("resnet50", dilated, branch_end=bottleneck)
    inverted = r"features\.(3|5|6|8|9|10|12|13|15|16)\.conv\.3\."
    cases["mobilenet_v2"] = Case("mobilenet_v2", branch_end=inverted)
    cases["mobilenet_v2-narrow"] = Case(
        "mobilenet_v2", {"width_mult": 0.35, "num_classes": 10}, branch_end=inverted
    )
    cases["efficientnet_lite0"] = Case("efficientnet_lite0", branch_end=r"blocks\.\d\.[1-9]\.bn3\.")
    small = ((1, 3, 32, 32), (3, 3, 37, 45))
    for depth in (20, 32, 44, 56, 110):
        for shortcut in "AB":
            name = f"cifar10_resnet{depth}"
            cases[f"{name}-{shortcut}"] = Case(name, {"shortcut": shortcut}, small, basic)
    cases["lenet5"] = Case("lenet5", sizes=((1, 1, 28, 28), (3, 1, 28, 28)))
    return cases


CASES = _cases()


@functools.cache
def structures() -> dict[str, dict[str, Any]]:
    """Return of each case what `print` shows in torch, and the state dict's keys and shapes."""
    return json.loads(gzip.decompress((GOLDEN / "structures.json.gz").read_bytes()))


# ---- values ----


def uniform(name: str, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    """Return float32 values of 16 random bits each, uniform over [low, high)."""
    count = int(np.prod(shape, dtype=np.int64))
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
    bits = np.random.Philox(key=key).random_raw(-(-count // 4)).astype("<u8", copy=False).view("<u2")[:count]
    values = bits.astype(np.float32)
    values *= np.float32((high - low) / 65536)
    values += np.float32(low)
    return values.reshape(shape)


def draw(
    case: Case, shapes: Iterable[tuple[str, tuple[int, ...]]], statistics: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return a state dict for names and shapes.

    Parameters
    ----------
    case : Case
        The network.
    shapes : iterable of (str, tuple)
        Its state dict's keys with their shapes.
    statistics : mapping
        The running means and variances; see `unpack_statistics`.
    """
    shapes = list(shapes)
    norms = {name.removesuffix("running_mean") for name, _ in shapes if name.endswith(".running_mean")}
    values = {}
    for name, shape in shapes:
        prefix, _, kind = name.rpartition(".")
        if name in statistics:
            values[name] = statistics[name]
        elif kind in ("running_mean", "running_var"):
            # Only where the statistics are still to be measured.
            values[name] = np.full(shape, float(kind == "running_var"), np.float32)
        elif kind == "num_batches_tracked":
            values[name] = np.array(1, np.int64)
        elif f"{prefix}." in norms:
            low, high = (0.5, 1.5) if kind == "weight" else (-0.5, 0.5)
            scale = 0.3 if case.branch_end and re.match(case.branch_end, name) else 1.0
            values[name] = uniform(f"{case.builder}.{name}", shape, scale * low, scale * high)
        elif kind == "weight":
            bound = (6 / np.prod(shape[1:])) ** 0.5  # He's, for the second moment to stay
            values[name] = uniform(f"{case.builder}.{name}", shape, -bound, bound)
        else:
            values[name] = uniform(f"{case.builder}.{name}", shape, -0.3, 0.3)
    return values


# ---- statistics on a grid ----

_QUARTERS = np.array([1.0, 1.189207115, 1.414213562, 1.681792831], np.float32)


def round_statistics(mean: np.ndarray, var: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 codes: the variance to a power of 2^(1/4), the mean to 1/16 to 1/8 of the deviation.

    A channel that hardly varies about a large mean is given a larger variance: normalised by its own, it
    would be its rounding errors.
    """
    var = np.maximum(var, mean**2 / 16)
    code = np.clip(np.rint(4 * np.log2(np.maximum(var, 1e-30))), -80, 120).astype(np.int8)
    steps = mean / np.ldexp(1.0, code.astype(int) // 8 - 3)
    return np.clip(np.rint(steps), -127, 127).astype(np.int8), code


def decode_statistics(mean: np.ndarray, var: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 mean and variance for codes of `round_statistics`."""
    code = var.astype(np.int32)
    return (
        np.ldexp(mean.astype(np.float32), code // 8 - 3),
        np.ldexp(_QUARTERS[code % 4], code // 4),
    )


def unpack_statistics(
    shapes: Iterable[tuple[str, tuple[int, ...]]], codes: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the running means and variances that `codes` (2, channels of all batch norms) hold, by name."""
    statistics = {}
    start = 0
    for name, shape in shapes:
        if name.endswith(".running_mean"):
            stop = start + shape[0]
            mean, var = decode_statistics(*codes[:, start:stop])
            statistics[name] = mean
            statistics[name.replace("running_mean", "running_var")] = var
            start = stop
    if start != codes.shape[1]:
        raise ValueError(f"the golden file has statistics for {codes.shape[1]} channels, the network {start}")
    return statistics


# ---- pictures ----


def pictures(shape: tuple[int, ...], name: str = "pictures") -> np.ndarray:
    """Return smooth pictures (N, C, H, W), float32, about zero and of unit size, all different.

    Sums of four grids of random values, each twice as fine as the last and half as strong, smoothly enlarged;
    every picture has its own brightness and contrast.
    """
    n, c, h, w = shape
    out = np.zeros(shape, np.float64)
    for octave in range(4):
        cells = 3 * 2**octave
        grid = uniform(f"{name}.{octave}", (n, c, cells + 1, cells + 1), -1, 1).astype(np.float64)
        y, ty = _cells(h, cells)
        x, tx = _cells(w, cells)
        rows = grid[:, :, y] + ty[:, None] * (grid[:, :, y + 1] - grid[:, :, y])
        out += 0.5**octave * (rows[..., x] + tx * (rows[..., x + 1] - rows[..., x]))
    contrast = uniform(f"{name}.contrast", (n, 1, 1, 1), 0.5, 2)
    brightness = uniform(f"{name}.brightness", (n, c, 1, 1), -0.7, 0.7)
    return (contrast * out + brightness).astype(np.float32)


def _cells(size: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel's cell and its place inside, eased so that the slope is continuous."""
    position = np.arange(size) * (cells / size)
    cell = position.astype(np.int64)
    t = position - cell
    return cell, t * t * (3 - 2 * t)
