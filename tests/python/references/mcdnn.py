"""The multi-column network for MNIST: 1x29x29-20C4-MP2-40C5-MP3-150N-10N, 35 times."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def squash(x: torch.Tensor) -> torch.Tensor:
    return 1.7159 * torch.tanh(2 * x / 3)


class Column(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict({"0": nn.Conv2d(1, 20, 4), "3": nn.Conv2d(20, 40, 5)})
        self.classifier = nn.ModuleDict({"0": nn.Linear(360, 150), "2": nn.Linear(150, 10)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(squash(self.features["0"](x)), 2)
        x = F.max_pool2d(squash(self.features["3"](x)), 3)
        return self.classifier["2"](squash(self.classifier["0"](x.flatten(1))))


class MCDNN(nn.Module):
    def __init__(self, blocks: int = 7, columns_per_block: int = 5) -> None:
        super().__init__()
        self.columns = nn.ModuleList([Column() for _ in range(blocks * columns_per_block)])
        self.each = columns_per_block

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = x.repeat_interleave(self.each, 1).split(1, 1)
        logits = torch.stack([column(view) for column, view in zip(self.columns, seen, strict=True)])
        return logits.softmax(-1).mean(0)
