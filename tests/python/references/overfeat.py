"""OverFeat from the columns of its paper's tables 1 and 3."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

# Channels, kernel, stride, zero padding, pool (its stride is the same).
FAST = [(96, 11, 4, 0, 2), (256, 5, 1, 0, 2), (512, 3, 1, 1, 0), (1024, 3, 1, 1, 0), (1024, 3, 1, 1, 2)]
ACCURATE = [
    (96, 7, 2, 0, 3),
    (256, 7, 1, 0, 2),
    (512, 3, 1, 1, 0),
    (512, 3, 1, 1, 0),
    (1024, 3, 1, 1, 0),
    (1024, 3, 1, 1, 3),
]


class OverFeat(nn.Module):
    def __init__(self, stages: list[tuple[int, ...]], full: tuple[int, ...]) -> None:
        super().__init__()
        self.features = nn.ModuleDict()
        self.pools = [pool for *_, pool in stages]
        index, channels = 0, 3
        for width, kernel, stride, padding, pool in stages:
            self.features[str(index)] = nn.Conv2d(channels, width, kernel, stride, padding)
            index += 3 if pool else 2
            channels = width
        layers = [nn.Linear(a, b) for a, b in pairwise(full)]
        self.classifier = nn.ModuleDict(dict(zip("146", layers, strict=True)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv, pool in zip(self.features.values(), self.pools, strict=True):
            x = torch.relu(conv(x))
            if pool:
                x = F.max_pool2d(x, pool)
        x = x.flatten(1)
        x = torch.relu(self.classifier["1"](x))
        x = torch.relu(self.classifier["4"](x))
        return self.classifier["6"](x)
