"""Networks with random values, and pictures: the same on every machine, with and without torch.

Default initialisation hides errors (zero biases, unit scales, statistics 0 and 1), and so does
white noise as a picture (all its averages are alike). So everything here is generated from raw
Philox integers, seeded by the value's name, with arithmetic that rounds identically everywhere.
Only the statistics of the batch norms are measured, by `tests/golden/make_models.py`, on a few
pictures of this kind: with random ones, the signal of a deep network would die out. They are
rounded to a coarse grid, which changes them by up to a tenth, and take two bytes per channel.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from models_cases import Case

GOLDEN = Path(__file__).parents[1] / "golden" / "models"


def structure(name: str) -> dict[str, Any]:
    """Return a case's `print` output in torch, its parameter count and its state dict's shapes."""
    with np.load(GOLDEN / f"{name}.npz") as golden:
        return json.loads(golden["structure"].tobytes())


def pack_structure(structure: Mapping[str, Any]) -> np.ndarray:
    """Return the contents of a golden file for `structure`: the bytes of its JSON."""
    return np.frombuffer(json.dumps(structure).encode(), np.uint8)


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
    names = dict(shapes)
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
        elif kind == "relative_position_index":
            values[name] = position_index(shape)
        else:
            slopes = kind == "weight" and f"{prefix}.bias" not in names and f"{prefix}." not in norms
            low, high = (
                (0.0, 0.5) if slopes and len(shape) == 1 else _range(kind, shape, f"{prefix}." in norms)
            )
            scale = case.gain if kind.endswith("weight") and len(shape) > 1 else 1.0
            if case.branch_end and re.match(case.branch_end, name):
                scale *= case.branch_scale
            values[name] = uniform(f"{case.builder}.{name}", shape, scale * low, scale * high)
    return values


def _range(kind: str, shape: tuple[int, ...], batch_norm: bool) -> tuple[float, float]:
    if kind == "logit_scale":
        return 1.5, 5.0  # about 10 to beyond 100, where it is cut off
    if kind.endswith("weight"):
        if len(shape) == 1:
            return 0.5, 1.5
        bound = (6 / np.prod(shape[1:])) ** 0.5  # He's, for the second moment to stay
        return -bound, bound
    if kind in ("layer_scale", "class_token", "pos_embedding", "relative_position_bias_table"):
        return -1.0, 1.0
    return (-0.5, 0.5) if batch_norm else (-0.3, 0.3)


def position_index(shape: tuple[int, ...]) -> np.ndarray:
    """Return the index of each pair's offset in a square window, row by row; it is not random."""
    side = round(float(np.prod(shape)) ** 0.25)
    row, column = np.divmod(np.arange(side * side), side)
    across = column[:, None] - column + side - 1
    down = row[:, None] - row + side - 1
    return (down * (2 * side - 1) + across).astype(np.int64).reshape(shape)


# ---- statistics on a grid ----

_QUARTERS = np.array([1.0, 1.189207115, 1.414213562, 1.681792831], np.float32)


def round_statistics(mean: np.ndarray, var: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 codes: variance to a power of 2^(1/4), mean to 1/16 to 1/8 of the deviation.

    If a channel hardly varies about a large mean, its variance is increased: normalised by its own,
    it would consist of rounding errors.
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
    """Return running means and variances from `codes` (2, channels of all batch norms), by name."""
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
    """Return smooth, distinct pictures (N, C, H, W), float32, with mean near zero and unit scale.

    They are sums of four smoothly enlarged grids of random values, each twice as fine and half as
    strong as the last; every picture has its own brightness and contrast.
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
    """Return each pixel's cell and its position inside, eased so that the slope is continuous."""
    position = np.arange(size) * (cells / size)
    cell = position.astype(np.int64)
    t = position - cell
    return cell, t * t * (3 - 2 * t)
