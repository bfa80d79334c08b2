"""A convolutional highway network with FitNet 4's channels."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Gated(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1)
        self.gate = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.lerp(x, torch.relu(self.conv(x)), torch.sigmoid(self.gate(x)))


class HighwayNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        # Name, channels before and after; "P" is a pool.
        rows = [("0", 3, 32), ("2", 32, 32), ("3", 32, 32), ("4", 32, 48), ("6", 48, 48), ("7", "P", 0)]
        rows += [("8", 48, 80), *((str(i), 80, 80) for i in range(10, 15)), ("15", "P", 0)]
        rows += [("16", 80, 128), *((str(i), 128, 128) for i in range(18, 23))]
        self.order = [name for name, *_ in rows]
        self.features = nn.ModuleDict()
        for name, before, after in rows:
            if before == "P":
                continue
            self.features[name] = Gated(after) if before == after else nn.Conv2d(before, after, 3, 1, 1)
        self.classifier = nn.ModuleDict({"0": nn.Linear(128, 500), "2": nn.Linear(500, 10)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in self.order:
            if name not in self.features:
                x = F.max_pool2d(x, 2)
                continue
            layer = self.features[name]
            x = layer(x) if isinstance(layer, Gated) else torch.relu(layer(x))
        x = torch.relu(self.classifier["0"](x.amax((2, 3))))
        return self.classifier["2"](x)
