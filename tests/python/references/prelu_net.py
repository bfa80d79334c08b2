"""Model A of "Delving Deep into Rectifiers", table 3."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def pyramid(x: torch.Tensor, bins: int) -> torch.Tensor:
    """Largest values of the bins from floor(i H / bins) to ceil((i + 1) H / bins), as its paper has them."""
    _, _, height, width = x.shape
    rows = [
        torch.stack(
            [
                x[
                    :,
                    :,
                    i * height // bins : -(-(i + 1) * height // bins),
                    j * width // bins : -(-(j + 1) * width // bins),
                ].amax((2, 3))
                for j in range(bins)
            ],
            -1,
        )
        for i in range(bins)
    ]
    return torch.stack(rows, -2).flatten(1)


class ModelA(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict({"0": nn.Conv2d(3, 96, 7, 2, 3), "1": nn.PReLU(96)})
        before = 96
        for start, after in ((3, 256), (14, 512), (25, 512)):
            for i in range(start, start + 10, 2):
                self.features[str(i)] = nn.Conv2d(before, after, 3, 1, 1)
                self.features[str(i + 1)] = nn.PReLU(after)
                before = after
        self.classifier = nn.ModuleDict(
            {
                "0": nn.Linear(512 * 63, 4096),
                "1": nn.PReLU(4096),
                "3": nn.Linear(4096, 4096),
                "4": nn.PReLU(4096),
                "6": nn.Linear(4096, 1000),
            }
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name, layer in self.features.items():
            x = layer(F.max_pool2d(x, 2) if name in ("3", "14", "25") else x)
        x = torch.cat([pyramid(x, bins) for bins in (7, 3, 2, 1)], 1)
        for layer in self.classifier.values():
            x = layer(x)
        return x
