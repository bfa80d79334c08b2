"""Pre-activation and wide ResNets for CIFAR, after the papers."""

from __future__ import annotations

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, channels: list[int], kernels: list[int], stride: int, first: bool) -> None:
        super().__init__()
        self.first, self.count = first, len(kernels)
        # The stride stands in the first 3x3 convolution.
        striding = kernels.index(3)
        for i, k in enumerate(kernels):
            a, b = channels[i : i + 2]
            step = stride if i == striding else 1
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(a))
            self.add_module(f"conv{i + 1}", nn.Conv2d(a, b, k, step, k // 2, bias=False))
        if channels[0] != channels[-1]:
            self.downsample = nn.Conv2d(channels[0], channels[-1], 1, stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = x
        for i in range(1, self.count + 1):
            out = torch.relu(self.get_submodule(f"bn{i}")(out))
            if i == 1:
                pre = out
            out = self.get_submodule(f"conv{i}")(out)
        if hasattr(self, "downsample"):
            return self.downsample(pre) + out
        return (pre if self.first else x) + out


class PreActResNet(nn.Module):
    def __init__(self, depth: int, width: int = 1, bottleneck: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        last = 16
        for stage, planes in enumerate((16 * width, 32 * width, 64 * width)):
            layer = nn.Sequential()
            for i in range(depth // (9 if bottleneck else 6)):
                stride = 2 if i == 0 and stage else 1
                inside = [planes, planes, 4 * planes] if bottleneck else [planes, planes]
                kernels = [1, 3, 1] if bottleneck else [3, 3]
                layer.append(Block([last, *inside], kernels, stride, not stage and not i))
                last = inside[-1]
            self.add_module(f"layer{stage + 1}", layer)
        self.bn = nn.BatchNorm2d(last)
        self.fc = nn.Linear(last, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(torch.relu(self.bn(x)).mean((2, 3)))
