"""ResNeXt-29 for CIFAR, of torchvision's bottleneck."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models.resnet import Bottleneck


class ResNeXt29(nn.Module):
    def __init__(self, cardinality: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        last = 64
        for number, planes in ((1, 64), (2, 128), (3, 256)):
            stride = 1 if number == 1 else 2
            shortcut = nn.Sequential(
                nn.Conv2d(last, 4 * planes, 1, stride, bias=False), nn.BatchNorm2d(4 * planes)
            )
            last = 4 * planes
            blocks = [
                Bottleneck(64 if number == 1 else last // 2, planes, stride, shortcut, cardinality, 64),
                *(Bottleneck(last, planes, groups=cardinality, base_width=64) for _ in range(2)),
            ]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.fc = nn.Linear(last, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))
