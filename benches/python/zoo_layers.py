"""List every distinct convolution and linear layer of the networks with published weights.

    python benches/python/zoo_layers.py

Traces each network for one picture of the size at which its weights were evaluated, and writes
`benches/zoo_layers.csv`, which `cargo bench --bench choice` reads. A linear layer is a convolution
of a map that is one pixel high and as wide as the number of rows; a flattened map in front of it is
one row.
"""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from rvision._trace import Tracer
from rvision.models import get_model, get_model_weights, list_models
from rvision.nn._state import undrawn

TARGET = Path(__file__).parents[1] / "zoo_layers.csv"
HEADER = [
    "kernel_h",
    "kernel_w",
    "stride_h",
    "stride_w",
    "pad_top",
    "pad_left",
    "dilation_h",
    "dilation_w",
    "groups",
    "in_channels",
    "out_channels",
    "in_h",
    "in_w",
    "out_h",
    "out_w",
    "planar",
    "networks",
]


class Recorder:
    """A graph builder that records the geometry of the layers it adds."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.inputs: set[int] = set()
        self.layers: list[tuple[int, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.builder, name)

    def input(self, name: str, shape: Any) -> int:
        value = self.builder.input(name, shape)
        self.inputs.add(value)
        return value

    def conv2d(
        self, name: str, x: int, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
    ) -> int:
        value = self.builder.conv2d(name, x, weight, bias, stride, padding, dilation, groups)
        _, inputs, *size = self.builder.shape(x)
        _, outputs, *out = self.builder.shape(value)
        kernel = weight.shape[2:]
        if padding == "same_upper":
            before = [
                max((out[i] - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1 - size[i], 0) // 2
                for i in range(2)
            ]
        else:
            before = padding[:2]
        # A network's own input is planar (NCHW).
        planar = int(x in self.inputs)
        self.layers.append(
            (*kernel, *stride, *before, *dilation, groups, inputs, outputs, *size, *out, planar)
        )
        return value

    def linear(self, name: str, x: int, weight: Any, bias: Any) -> int:
        value = self.builder.linear(name, x, weight, bias)
        *rows, inputs = self.builder.shape(x)
        size = (1, math.prod(rows))
        self.layers.append((1, 1, 1, 1, 0, 0, 1, 1, 1, inputs, weight.shape[0], *size, *size, 0))
        return value


def layers(name: str) -> list[tuple[int, ...]]:
    """Trace a network for one picture of the smallest size for which weights are published."""
    sizes = (weights.transforms().crop_size for weights in get_model_weights(name))
    # Some weights are for larger pictures, and the network must be built for their size.
    side = min(size[0] if isinstance(size, list | tuple) else size for size in sizes)
    model = undrawn(get_model(name, weights=None).eval())
    # The first convolution's; class tokens come before it.
    channels = next(weight.shape[1] for weight in model.parameters() if weight.ndim == 4)
    tracer = Tracer({id(child): name for name, child in model.named_modules()}, type(model).__name__)
    tracer.builder = recorder = Recorder(tracer.builder)
    model(tracer.input("input", (1, channels, side, side), (True,) * 4))
    return recorder.layers


def main() -> None:
    users: dict[tuple[int, ...], Counter[str]] = defaultdict(Counter)
    for name in list_models():
        try:
            get_model_weights(name)
        except ValueError:
            # It has no published weights.
            continue
        for layer in layers(name):
            users[layer][name] += 1
    with TARGET.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        for layer, counts in sorted(users.items()):
            names = (name if count == 1 else f"{name}*{count}" for name, count in sorted(counts.items()))
            writer.writerow([*layer, " ".join(names)])
    print(f"{len(users)} layers in {TARGET}")


if __name__ == "__main__":
    main()
