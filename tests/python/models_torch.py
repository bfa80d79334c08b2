"""The same networks in torch: torchvision's, timm's, and those of `references`. Needs torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import torch
import torchvision
from models_cases import Case
from references import lecture
from references.bn_inception import BNInception
from references.cifar_resnet import CifarResNet
from references.densenet_cifar import CifarDenseNet
from references.googlenet_lrn import GoogLeNet
from references.highway import HighwayNet
from references.lenet import LeNet5
from references.mcdnn import MCDNN
from references.nin import CIFAR10, IMAGENET, NiN
from references.overfeat import ACCURATE, FAST, OverFeat
from references.preact_resnet import PreActResNet
from references.prelu_net import ModelA
from references.resnext_cifar import ResNeXt29
from references.zfnet import ZFNet
from torch import nn
from torchvision.models.regnet import BlockParams

# In timm, under its name.
TIMM = {
    "efficientnet_lite0": "tf_efficientnet_lite0",
    "inception_v4": "inception_v4",
    "inception_resnet_v2": "inception_resnet_v2",
}

# In neither.
OWN: dict[str, Callable[..., nn.Module]] = {
    "lenet5": LeNet5,
    "nin_imagenet": partial(NiN, IMAGENET, "max max max"),
    "nin_cifar10": partial(NiN, CIFAR10, "max avg"),
    "alexnet_lecture": lecture.alexnet,
    "vgg19_lecture": lecture.vgg19,
    "overfeat_fast": partial(OverFeat, FAST, (36864, 3072, 4096, 1000)),
    "overfeat_accurate": partial(OverFeat, ACCURATE, (25600, 4096, 4096, 1000)),
    "zfnet": ZFNet,
    "googlenet_lrn": GoogLeNet,
    "bn_inception": BNInception,
    "highway_cifar10": HighwayNet,
    "mcdnn_mnist": MCDNN,
    "prelu_net_a": ModelA,
    **{f"cifar10_resnet{depth}": partial(CifarResNet, depth) for depth in (20, 32, 44, 56, 110)},
    "densenet_bc_100_12": partial(CifarDenseNet, 100, 12),
    **{f"resnext29_{groups}x64d": partial(ResNeXt29, groups) for groups in (8, 16)},
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


@contextmanager
def without_values() -> Iterator[None]:
    """Build networks with shapes only, which takes no time."""
    # RegNet computes its widths with tensors, and reads them.
    compute = BlockParams.from_init_params

    def with_values(*args: Any, **kwargs: Any) -> BlockParams:
        with torch.device("cpu"):
            return compute(*args, **kwargs)

    with mock.patch.object(BlockParams, "from_init_params", with_values), torch.device("meta"):
        yield


def _timm(name: str, **kwargs: Any) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import timm
    return timm.create_model(name, **kwargs)
