"""DenseNet-BC for CIFAR of torchvision's dense blocks."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models.densenet import _DenseBlock, _Transition


class CifarDenseNet(nn.Module):
    def __init__(self, depth: int, growth: int) -> None:
        super().__init__()
        layers = (depth - 4) // 6
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(3, 2 * growth, 3, padding=1, bias=False))
        width = 2 * growth
        for i in (1, 2, 3):
            self.features.add_module(f"denseblock{i}", _DenseBlock(layers, width, 4, growth, 0.0))
            width += layers * growth
            if i != 3:
                self.features.add_module(f"transition{i}", _Transition(width, width // 2))
                width //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(width))
        self.classifier = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.relu(self.features(x)).mean((2, 3)))
