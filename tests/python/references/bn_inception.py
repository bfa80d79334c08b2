"""BN-Inception from figure 5 of its paper, the pool projections of 4c and 4d as its channel sums want."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

# Input channels, each branch's convolutions as channels.kernel.stride, the pool and its projection.
TABLE = """
3a 192  64.1.1   64.1.1 64.3.1    64.1.1 96.3.1 96.3.1     avg 32
3b 256  64.1.1   64.1.1 96.3.1    64.1.1 96.3.1 96.3.1     avg 64
3c 320           128.1.1 160.3.2  64.1.1 96.3.1 96.3.2     max 0
4a 576  224.1.1  64.1.1 96.3.1    96.1.1 128.3.1 128.3.1   avg 128
4b 576  192.1.1  96.1.1 128.3.1   96.1.1 128.3.1 128.3.1   avg 128
4c 576  160.1.1  128.1.1 160.3.1  128.1.1 160.3.1 160.3.1  avg 96
4d 576  96.1.1   128.1.1 192.3.1  160.1.1 192.3.1 192.3.1  avg 96
4e 576           128.1.1 192.3.2  192.1.1 256.3.1 256.3.2  max 0
5a 1024 352.1.1  192.1.1 320.3.1  160.1.1 224.3.1 224.3.1  avg 128
5b 1024 352.1.1  192.1.1 320.3.1  192.1.1 224.3.1 224.3.1  max 128
"""


class Conv(nn.Module):
    def __init__(self, channels: int, width: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(width, 1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.bn(self.conv(x)))


class Module(nn.Module):
    def __init__(self, channels: int, branches: list[list[str]], pool: str, projection: int) -> None:
        super().__init__()
        self.pool, self.count = pool, len(branches)
        self.stride = max(int(layer[-1]) for branch in branches for layer in branch)
        for i, branch in enumerate(branches, 1):
            layers, width = [], channels
            for layer in branch:
                layers.append(Conv(width, *map(int, layer.split("."))))
                width = layers[-1].conv.out_channels
            self.add_module(f"branch{i}", layers[0] if len(layers) == 1 else nn.Sequential(*layers))
        if projection:
            self.branch4 = nn.ModuleDict({"1": Conv(channels, projection, 1)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = [self.get_submodule(f"branch{i + 1}")(x) for i in range(self.count)]
        pool = F.avg_pool2d if self.pool == "avg" else F.max_pool2d
        last = pool(x, 3, self.stride, 1)
        return torch.cat([*outputs, self.branch4["1"](last) if hasattr(self, "branch4") else last], 1)


def parse(row: str) -> tuple[str, Module]:
    name, channels, *words, pool, projection = row.split()
    branches: list[list[str]] = []
    for word in words:
        if ".1." in word:
            branches.append([])
        branches[-1].append(word)
    return name, Module(int(channels), branches, pool, int(projection))


class BNInception(nn.Module):
    def __init__(self, separable: bool = True) -> None:
        super().__init__()
        if separable:
            self.conv1 = nn.Module()
            self.conv1.depthwise = nn.Conv2d(3, 24, 7, 2, 3, groups=3, bias=False)
            self.conv1.pointwise = Conv(24, 64, 1)
        else:
            self.conv1 = Conv(3, 64, 7, 2)
        self.separable = separable
        self.conv2, self.conv3 = Conv(64, 64, 1), Conv(64, 192, 3)
        self.names = []
        for row in TABLE.split("\n")[1:-1]:
            name, module = parse(row)
            self.add_module(f"inception{name}", module)
            self.names.append(f"inception{name}")
        self.fc = nn.Linear(1024, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.conv1
        x = first.pointwise(first.depthwise(x)) if self.separable else first(x)
        x = F.max_pool2d(x, 3, 2, 1)
        x = F.max_pool2d(self.conv3(self.conv2(x)), 3, 2, 1)
        for name in self.names:
            x = self.get_submodule(name)(x)
        return self.fc(x.mean((2, 3)))
