"""ZFNet, figure 3 of its paper."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def contrast(x: torch.Tensor) -> torch.Tensor:
    """Krizhevsky's formula, written out."""
    squares = F.pad(x.square(), (0, 0, 0, 0, 2, 2))
    total = sum(squares[:, i : i + x.shape[1]] for i in range(5))
    return x / (2 + 1e-4 * total) ** 0.75


class ZFNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict(
            {
                "0": nn.Conv2d(3, 96, 7, 2, 1),
                "4": nn.Conv2d(96, 256, 5, 2),
                "8": nn.Conv2d(256, 384, 3, 1, 1),
                "10": nn.Conv2d(384, 384, 3, 1, 1),
                "12": nn.Conv2d(384, 256, 3, 1, 1),
            }
        )
        sizes = (9216, 4096, 4096, 1000)
        self.classifier = nn.ModuleDict({str(3 * i): nn.Linear(*sizes[i : i + 2]) for i in range(3)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        f = self.features
        for name in "04":
            x = contrast(F.max_pool2d(torch.relu(f[name](x)), 3, 2, ceil_mode=True))
        for name in ("8", "10", "12"):
            x = torch.relu(f[name](x))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True).flatten(1)
        for name in "03":
            x = torch.relu(self.classifier[name](x))
        return self.classifier["6"](x)
