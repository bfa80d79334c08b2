"""The CIFAR-10 networks of He et al."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock


class OptionA(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = x[:, :, ::2, ::2]
        nothing = torch.zeros_like(small)[:, : x.shape[1] // 2]
        return torch.cat([nothing, small, nothing], 1)


class CifarResNet(nn.Module):
    def __init__(self, depth: int, shortcut: str) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(BasicBlock(16, 16) for _ in range(blocks)))
        for number, planes in ((2, 32), (3, 64)):
            projection = nn.Sequential(
                nn.Conv2d(planes // 2, planes, 1, stride=2, bias=False), nn.BatchNorm2d(planes)
            )
            first = BasicBlock(planes // 2, planes, 2, OptionA() if shortcut == "A" else projection)
            rest = (BasicBlock(planes, planes) for _ in range(blocks - 1))
            self.add_module(f"layer{number}", nn.Sequential(first, *rest))
        self.fc = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))
