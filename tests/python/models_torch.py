"""The same networks in torch: torchvision's, timm's, and those of `references`. Needs torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torchvision
from models_cases import Case
from references.cifar_resnet import CifarResNet
from references.densenet_cifar import CifarDenseNet
from references.lenet import LeNet5
from references.preact_resnet import PreActResNet
from torch import nn

# In timm, under its name.
TIMM = {"efficientnet_lite0": "tf_efficientnet_lite0"}

# In neither.
OWN: dict[str, Callable[..., nn.Module]] = {
    "lenet5": LeNet5,
    **{f"cifar10_resnet{depth}": partial(CifarResNet, depth) for depth in (20, 32, 44, 56, 110)},
    "densenet_bc_100_12": partial(CifarDenseNet, 100, 12),
    **{f"preact_resnet{depth}": partial(PreActResNet, depth) for depth in (20, 110)},
    "preact_resnet164": partial(PreActResNet, 164, bottleneck=True),
    **{f"wrn_{depth}_{k}": partial(PreActResNet, depth, k) for depth, k in ((16, 8), (28, 10), (40, 4))},
}


def reference(case: Case) -> nn.Module:
    """Return the reference for a case, in eval mode."""
    name, kwargs = case.builder, case.kwargs
    if name in OWN:
        model = OWN[name](**kwargs)
    elif name in TIMM:
        model = _timm(TIMM[name], **kwargs)
    else:
        model = getattr(torchvision.models, name)(**kwargs)
    return model.eval()


def _timm(name: str, **kwargs: Any) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import timm
    return timm.create_model(name, **kwargs)
