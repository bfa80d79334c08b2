"""Network in Network, as its authors' Caffe files list it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

IMAGENET = {
    "0": [(3, 96, 11, 4, 0), (96, 96, 1, 1, 0), (96, 96, 1, 1, 0)],
    "2": [(96, 256, 5, 1, 2), (256, 256, 1, 1, 0), (256, 256, 1, 1, 0)],
    "4": [(256, 384, 3, 1, 1), (384, 384, 1, 1, 0), (384, 384, 1, 1, 0)],
    "7": [(384, 1024, 3, 1, 1), (1024, 1024, 1, 1, 0), (1024, 1000, 1, 1, 0)],
}
CIFAR10 = {
    "0": [(3, 192, 5, 1, 2), (192, 160, 1, 1, 0), (160, 96, 1, 1, 0)],
    "3": [(96, 192, 5, 1, 2), (192, 192, 1, 1, 0), (192, 192, 1, 1, 0)],
    "6": [(192, 192, 3, 1, 1), (192, 192, 1, 1, 0), (192, 10, 1, 1, 0)],
}


class NiN(nn.Module):
    def __init__(self, layers: dict[str, list[tuple[int, ...]]], pools: str) -> None:
        super().__init__()
        self.features = nn.ModuleDict()
        for name, convs in layers.items():
            self.features[name] = nn.ModuleDict({str(2 * i): nn.Conv2d(*c) for i, c in enumerate(convs)})
        self.pools = pools

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pools = {"max": F.max_pool2d, "avg": F.avg_pool2d}
        for layer, kind in zip(self.features.values(), [*self.pools.split(), ""], strict=True):
            for conv in layer.values():
                x = torch.relu(conv(x))
            if kind:
                x = pools[kind](x, 3, 2, ceil_mode=True)
        return x.mean((2, 3))
