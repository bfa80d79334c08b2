"""Make `tests/golden/models/`, a file a case: exact logits, batch-norm statistics, structure, from torch.

    python tests/golden/make_models.py [CASE ...]

For each case it also checks that the drawing deserves trust, and prints it:

* torch's own float32 error, against its float64 run, is below 2e-5 of the largest logit;
* taking any block away moves the logits by more than one percent;
* different pictures have different logits, by more than one percent.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))

from models_cases import CASES, Case
from models_drawn import (
    GOLDEN,
    decode_statistics,
    draw,
    pack_structure,
    pictures,
    round_statistics,
    unpack_statistics,
)
from models_torch import reference

CALIBRATION_PICTURES = 4
MOST_BLOCKS = 60


def shapes_of(model: nn.Module) -> list[tuple[str, tuple[int, ...]]]:
    return [(name, tuple(value.shape)) for name, value in model.state_dict().items()]


def load(model: nn.Module, values: dict[str, np.ndarray]) -> None:
    model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in values.items()})


def measure_statistics(model: nn.Module, case: Case) -> np.ndarray:
    """Set each batch norm's statistics to those of its input, rounded; return the codes (2, channels)."""
    codes: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def hook(name: str):
        def measure(norm: nn.BatchNorm2d, inputs: tuple[torch.Tensor]) -> None:
            x = inputs[0].double()
            mean, var = x.mean((0, 2, 3)).numpy(), x.var((0, 2, 3)).numpy()
            codes[name] = round_statistics(mean, var)
            rounded = decode_statistics(*codes[name])
            norm.running_mean.copy_(torch.from_numpy(rounded[0]))
            norm.running_var.copy_(torch.from_numpy(rounded[1]))

        return measure

    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    hooks = [norm.register_forward_pre_hook(hook(name)) for name, norm in norms.items()]
    _, *chw = case.sizes[0]
    run(model, pictures((CALIBRATION_PICTURES, *chw), "calibration"))
    for handle in hooks:
        handle.remove()
    if not norms:
        return np.zeros((2, 0), np.int8)
    return np.stack([np.concatenate([codes[name][i] for name in norms]) for i in range(2)])


def run(model: nn.Module, x: np.ndarray) -> np.ndarray:
    dtype = next(model.parameters()).dtype
    with torch.inference_mode():
        return model(torch.from_numpy(x).to(dtype)).numpy()


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference relative to the largest value of `b`."""
    return float(np.abs(a - b).max() / np.abs(b).max())


def least_effect(model: nn.Module, case: Case) -> tuple[float, str]:
    """Take each residual branch or projection away, else each layer; return the least move and its block."""
    groups: dict[str, list[str]] = {}
    for name, _ in model.named_parameters():
        layer = name.rpartition(".")[0]
        if case.branch_end is None:
            if name.endswith(".weight"):
                groups[name] = [name]
        elif re.match(case.branch_end, name) or re.search(r"\.(downsample|proj)\.1\.", name):
            groups.setdefault(layer, []).append(name)
    n, c, h, w = case.sizes[0]
    # Half the size is enough, where the network takes another.
    halved = h == 224 and case.sizes[1][2:] != (h, w)
    x = pictures((n, c, h // 2, w // 2) if halved else case.sizes[0])
    logits = run(model, x)
    parameters = dict(model.named_parameters())
    least = (np.inf, "")
    # Of a deep network a sample, the first and the last layers among them: each costs a run.
    labels = list(groups)
    if len(labels) > MOST_BLOCKS:
        labels = [labels[i] for i in np.linspace(0, len(labels) - 1, MOST_BLOCKS).round().astype(int)]
    for label in labels:
        names = groups[label]
        kept = {name: parameters[name].detach().clone() for name in names}
        with torch.no_grad():
            for name in names:
                parameters[name].zero_()
        least = min(least, (distance(run(model, x), logits), label))
        with torch.no_grad():
            for name in names:
                parameters[name].copy_(kept[name])
    return least


def structure_of(model: nn.Module) -> dict[str, Any]:
    return {
        # The others have other class names inside.
        "print": str(model) if type(model).__module__.startswith("torchvision.") else None,
        "num_params": sum(p.numel() for p in model.parameters()),
        "state_dict": shapes_of(model),
    }


def make(name: str, case: Case) -> None:
    start = time.perf_counter()
    model = reference(case)
    shapes = shapes_of(model)
    load(model, draw(case, shapes, {}))
    codes = measure_statistics(model, case)
    # The way the tests go.
    load(model, draw(case, shapes, unpack_statistics(shapes, codes)))
    inputs = [pictures(size) for size in case.sizes]
    logits = [run(model, x) for x in inputs]
    effect, block = least_effect(model, case)
    model.double()
    exact = [run(model, x) for x in inputs]
    errors = [distance(a, b) for a, b in zip(logits, exact, strict=True)]
    spread = min(distance(exact[1][[i]], exact[1][[j]]) for i in range(3) for j in range(3) if i != j)
    print(
        f"{name:22s} float32 error {' '.join(f'{e:.1e}' for e in errors)}"
        f"  least block {100 * effect:5.1f} % ({block})  pictures {100 * spread:5.1f} %"
        f"  largest {np.abs(exact[0]).max():.3g}  {time.perf_counter() - start:.0f} s",
        flush=True,
    )
    assert max(errors) < 2e-5, "torch's own error is too large"
    assert effect > 0.01, f"without {block} the logits hardly move"
    assert spread > 0.01, "the pictures' logits are all alike"
    np.savez_compressed(
        GOLDEN / f"{name}.npz",
        structure=pack_structure(structure_of(model)),
        statistics=codes,
        **{f"exact{i}": value.astype(np.float32) for i, value in enumerate(exact)},
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    GOLDEN.mkdir(exist_ok=True)
    for wanted in sys.argv[1:] or CASES:
        make(wanted, CASES[wanted])
