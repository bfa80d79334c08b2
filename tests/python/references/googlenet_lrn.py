"""GoogLeNet from the table of its paper, with the auxiliary classifiers of its section 5."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

# Input channels, then table 1's columns.
ROWS = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


def conv(channels: int, width: int, kernel: int, stride: int = 1) -> nn.ModuleDict:
    return nn.ModuleDict({"0": nn.Conv2d(channels, width, kernel, stride, kernel // 2)})


def apply(layer: nn.ModuleDict, x: torch.Tensor) -> torch.Tensor:
    return torch.relu(layer["0"](x))


def contrast(x: torch.Tensor) -> torch.Tensor:
    """Caffe's LRN over five channels, written out."""
    squares = F.pad(x**2, (0, 0, 0, 0, 2, 2))
    total = sum(squares[:, i : i + x.shape[1]] for i in range(5))
    return x / (1 + 1e-4 / 5 * total) ** 0.75


class NaiveInception(nn.Module):
    def __init__(self, channels: int, c1: int, c3: int, c5: int) -> None:
        super().__init__()
        self.branch1, self.branch2, self.branch3 = (
            conv(channels, c1, 1),
            conv(channels, c3, 3),
            conv(channels, c5, 5),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        convs = [apply(layer, x) for layer in (self.branch1, self.branch2, self.branch3)]
        return torch.cat([*convs, F.max_pool2d(x, 3, 1, 1)], 1)


class Inception(nn.Module):
    def __init__(self, channels: int, c1: int, r3: int, c3: int, r5: int, c5: int, pool: int) -> None:
        super().__init__()
        self.branch1 = conv(channels, c1, 1)
        self.branch2 = nn.ModuleDict({"0": conv(channels, r3, 1), "1": conv(r3, c3, 3)})
        self.branch3 = nn.ModuleDict({"0": conv(channels, r5, 1), "1": conv(r5, c5, 5)})
        self.branch4 = nn.ModuleDict({"1": conv(channels, pool, 1)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        two, three = (apply(b["1"], apply(b["0"], x)) for b in (self.branch2, self.branch3))
        four = apply(self.branch4["1"], F.max_pool2d(x, 3, 1, 1))
        return torch.cat([apply(self.branch1, x), two, three, four], 1)


class Auxiliary(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv(channels, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = apply(self.conv, F.avg_pool2d(x, 5, 3))
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


class GoogLeNet(nn.Module):
    def __init__(self, aux_logits: bool = False) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = conv(3, 64, 7, 2), conv(64, 64, 1), conv(64, 192, 3)
        for name, row in ROWS.items():
            self.add_module(f"inception{name}", Inception(*row))
        if aux_logits:
            self.aux1, self.aux2 = Auxiliary(512), Auxiliary(528)
        self.fc = nn.Linear(1024, 1000)

    def maps(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return what each module gives."""
        x = contrast(F.max_pool2d(apply(self.conv1, x), 3, 2, ceil_mode=True))
        x = F.max_pool2d(contrast(apply(self.conv3, apply(self.conv2, x))), 3, 2, ceil_mode=True)
        maps = {}
        for name in ROWS:
            if name in ("4a", "5a"):
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            x = maps[name] = self.get_submodule(f"inception{name}")(x)
        return maps

    def heads(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the logits, and those of the second and the first auxiliary classifier."""
        maps = self.maps(x)
        return self.fc(maps["5b"].mean((2, 3))), self.aux2(maps["4d"]), self.aux1(maps["4a"])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.maps(x)["5b"].mean((2, 3)))
