"""Networks as torchvision's: modules, names, shapes, `print`, arguments. Nothing is run here."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import rvision
from models_cases import CASES
from models_drawn import structure
from rvision import models, nn
from rvision.models import efficientnet_lite, mobilenetv2, resnet
from rvision.nn.parameter import Drawn

# Of those that torchvision does not have; the others' stand with their weights.
NUM_PARAMS = {
    "lenet5": 61_706,
    "efficientnet_lite0": 4_652_008,
    "cifar10_resnet20": 269_722,
    "cifar10_resnet32": 464_154,
    "cifar10_resnet44": 658_586,
    "cifar10_resnet56": 853_018,
    "cifar10_resnet110": 1_727_962,
    "preact_resnet20": 272_282,
    "preact_resnet110": 1_730_522,
    "preact_resnet164": 1_703_258,
    "densenet_bc_100_12": 769_162,
    "wrn_16_8": 10_961_370,
    "wrn_28_10": 36_479_194,
    "wrn_40_4": 8_949_210,
}


@pytest.fixture(autouse=True)
def _no_initial_values(monkeypatch):
    """Drawing a billion initial values would take longer than all the rest."""
    monkeypatch.setattr(Drawn, "make", lambda self, name: np.zeros(self.shape, np.float32))


def shapes_of(model) -> list[list]:
    return [[name, list(value.shape)] for name, value in model.state_dict().items()]


def parameters_of(model) -> int:
    return sum(math.prod(p.shape) for p in model.parameters())


@pytest.mark.parametrize("name", CASES)
def test_structure(name):
    case, expected = CASES[name], structure(name)
    model = models.get_model(case.builder, **case.kwargs)
    assert parameters_of(model) == expected["num_params"]
    assert shapes_of(model) == expected["state_dict"]
    if expected["print"] is not None:
        assert str(model).splitlines() == expected["print"].splitlines()
    if case.builder in NUM_PARAMS:
        assert NUM_PARAMS[case.builder] == expected["num_params"] or case.kwargs.get("shortcut") == "B"
    elif not case.kwargs:
        published = {w.meta["num_params"] for w in models.get_model_weights(case.builder)}
        assert published == {expected["num_params"]}


def test_every_builder_is_compared_with_its_reference():
    ours = {
        name
        for name in models.list_models()
        if models.get_model_builder(name).__module__.startswith("rvision.")
    }
    assert ours == {case.builder for case in CASES.values()}


VARIANTS = {
    "resnet18": [{"num_classes": 7}, {"zero_init_residual": True}],
    "resnet50": [
        {"groups": 2, "width_per_group": 32},
        {"replace_stride_with_dilation": [True, True, True]},
    ],
    "resnext50_32x4d": [{"groups": 32}],
    "wide_resnet50_2": [{"num_classes": 3}],
    "mobilenet_v2": [
        {"width_mult": 1.4, "dropout": 0.5},
        {"width_mult": 0.75, "round_nearest": 1},
        {"inverted_residual_setting": [[1, 16, 1, 1], [4, 24, 2, 2]]},
    ],
    "squeezenet1_1": [{"num_classes": 5, "dropout": 0.1}],
    "alexnet": [{"num_classes": 2, "dropout": 0.2}],
    "vgg11_bn": [{"num_classes": 2, "init_weights": False, "dropout": 0.3}],
}


@pytest.mark.parametrize(
    ("name", "kwargs"), [(name, kwargs) for name, rows in VARIANTS.items() for kwargs in rows]
)
def test_arguments_live(torch, name, kwargs):
    import torchvision

    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)(**kwargs)
    ours = models.get_model(name, **kwargs)
    assert str(ours).splitlines() == str(theirs).splitlines()
    assert shapes_of(ours) == shapes_of(theirs)


def test_structures_live(torch):
    from models_torch import reference

    for name, case in CASES.items():
        expected = structure(name)
        if expected["print"] is None:
            continue
        with torch.device("meta"):
            theirs = reference(case)
        assert str(theirs) == expected["print"], name
        assert shapes_of(theirs) == expected["state_dict"], name


def test_norm_layers_of_ones_own():
    norm = functools.partial(nn.BatchNorm2d, eps=1e-3)
    for model in (models.resnet18(norm_layer=norm), models.mobilenet_v2(norm_layer=norm)):
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        assert norms
        assert all(m.eps == 1e-3 for m in norms)


def test_networks_of_ones_own():
    """The classes are there to be used: ResNet-26 for small pictures, as many a user has made it."""

    class Small(models.ResNet):
        def __init__(self):
            super().__init__(models.Bottleneck, [2, 2, 2, 2], num_classes=10)
            self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
            self.maxpool = nn.Identity()

    model = Small()
    assert model.conv1.weight.shape == (64, 3, 3, 3)
    assert model.fc.weight.shape == (10, 2048)
    assert len(model.layer3) == 2
    lite4 = models.EfficientNetLite(channel_multiplier=1.4, depth_multiplier=1.8)
    assert [len(stage) for stage in lite4.blocks] == [1, 4, 4, 6, 6, 8, 1]
    assert parameters_of(lite4) == 13_006_568
    assert isinstance(lite4.blocks[1][0], efficientnet_lite.InvertedResidual)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.SqueezeNet("2_0"), "1_0 or 1_1"),
        (lambda: models.CifarResNet(3, shortcut="C"), "'C'"),
        (lambda: models.resnet18(groups=2), "groups=1"),
        (lambda: models.resnet18(replace_stride_with_dilation=[False, True, True]), "dilation=1, got 2"),
        (lambda: models.resnet50(replace_stride_with_dilation=[True]), "three stages"),
        (lambda: models.resnext50_32x4d(groups=16), "groups.*32.*16"),
        (lambda: models.mobilenet_v2(inverted_residual_setting=[[1, 16, 1]]), "four numbers"),
        (lambda: mobilenetv2.InvertedResidual(8, 8, 3, 6), "stride must be 1 or 2, got 3"),
    ],
)
def test_arguments_that_make_no_sense(make, message):
    with pytest.raises((ValueError, NotImplementedError), match=message):
        make()


def test_blocks_are_reached_as_in_torchvision():
    model = models.resnet50()
    assert isinstance(model.layer1[0], resnet.Bottleneck)
    assert model.layer1[0].conv2.stride == (1, 1)
    # V1.5: the stride stands in the 3x3 convolution.
    assert model.layer2[0].conv1.stride == (1, 1)
    assert model.layer2[0].conv2.stride == (2, 2)
    assert model.get_submodule("layer2.0.downsample.1").num_features == 512


def test_a_state_dict_of_another_network_is_named():
    with pytest.raises(rvision.StateDictError):
        models.cifar10_resnet20(shortcut="A").load_state_dict(
            models.cifar10_resnet20(shortcut="B").state_dict()
        )
