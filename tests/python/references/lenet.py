"""LeNet-5 as the lecture has it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class LeNet5(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict({"0": nn.Conv2d(1, 6, 5, padding=2), "3": nn.Conv2d(6, 16, 5)})
        sizes = (400, 120, 84, 10)
        self.classifier = nn.ModuleDict({str(2 * i): nn.Linear(*sizes[i : i + 2]) for i in range(3)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv in self.features.values():
            x = F.avg_pool2d(torch.tanh(conv(x)), 2)
        x = torch.tanh(self.classifier["0"](x.flatten(1)))
        return self.classifier["4"](torch.tanh(self.classifier["2"](x)))
