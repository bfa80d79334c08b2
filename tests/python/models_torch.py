"""The same networks in torch: torchvision's, timm's, and two that neither has. Needs torch."""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torchvision
from models_drawn import Case
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock


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


def reference(case: Case) -> nn.Module:
    """Return the reference for a case, in eval mode."""
    name, kwargs = case.builder, case.kwargs
    if name == "lenet5":
        model: nn.Module = LeNet5()
    elif name.startswith("cifar10_resnet"):
        model = CifarResNet(int(name.removeprefix("cifar10_resnet")), **kwargs)
    elif name == "efficientnet_lite0":
        model = _timm("tf_efficientnet_lite0", **kwargs)
    else:
        model = getattr(torchvision.models, name)(**kwargs)
    return model.eval()


def _timm(name: str, **kwargs: Any) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import timm
    return timm.create_model(name, **kwargs)
