"""Structure equals torchvision's: modules, names, shapes, `print`, arguments. Nothing is run."""

from __future__ import annotations

import functools
import math
import re
from collections import OrderedDict

import numpy as np
import pytest
import rvision
from models_cases import CASES
from models_drawn import structure
from rvision import models, nn, ops
from rvision.models import (
    efficientnet,
    efficientnet_lite,
    mobilenetv2,
    mobilenetv3,
    regnet,
    resnet,
    shufflenetv2,
)
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
    "nin_imagenet": 7_595_176,
    "nin_cifar10": 966_986,
    "overfeat_fast": 145_920_872,
    "overfeat_accurate": 144_656_488,
    "zfnet": 62_357_608,
    "highway_cifar10": 2_342_406,
    "inception_v4": 42_679_816,
    "inception_resnet_v2": 55_843_464,
    "mcdnn_mnist": 2_661_400,
    "googlenet_lrn": 6_998_552,
    "bn_inception": 11_188_288,
    "prelu_net_a": 178_032_072,
    "preact_resnet20": 272_282,
    "preact_resnet110": 1_730_522,
    "preact_resnet164": 1_703_258,
    "densenet_bc_100_12": 769_162,
    "resnext29_8x64d": 34_426_698,
    "resnext29_16x64d": 68_155_210,
    "wrn_16_8": 10_961_370,
    "wrn_28_10": 36_479_194,
    "wrn_40_4": 8_949_210,
}


@pytest.fixture(autouse=True)
def _no_initial_values(monkeypatch):
    """Initialising a billion values would take longer than all the rest."""
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
        # Other weights of a network may be for larger pictures; test_summary.py counts every entry.
        published = models.get_model_weights(case.builder).DEFAULT.meta["num_params"]
        assert published == expected["num_params"]


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
    "mobilenet_v3_large": [{"width_mult": 0.75, "dropout": 0.1}, {"dilated": True}],
    "mobilenet_v3_small": [{"reduced_tail": True, "num_classes": 3}, {"dilated": True, "width_mult": 0.5}],
    "efficientnet_b0": [{"num_classes": 3, "dropout": 0.1, "stochastic_depth_prob": 0.4}],
    "efficientnet_b5": [{"num_classes": 3}],
    "efficientnet_v2_s": [{"num_classes": 3, "dropout": 0.1}],
    "regnet_x_400mf": [{"num_classes": 3}],
    "regnet_y_400mf": [{"num_classes": 3, "stem_width": 16}],
    "squeezenet1_1": [{"num_classes": 5, "dropout": 0.1}],
    "densenet121": [{"num_classes": 4, "drop_rate": 0.1, "memory_efficient": True}, {"bn_size": 2}],
    "googlenet": [
        {"init_weights": False},
        {"init_weights": True, "num_classes": 3, "dropout": 0.1, "dropout_aux": 0.5},
    ],
    "inception_v3": [{"init_weights": False}, {"init_weights": True, "num_classes": 3, "dropout": 0.1}],
    "shufflenet_v2_x1_0": [{"num_classes": 6}],
    "mnasnet0_75": [{"num_classes": 6, "dropout": 0.3}],
    "alexnet": [{"num_classes": 2, "dropout": 0.2}],
    "convnext_tiny": [{"num_classes": 3, "stochastic_depth_prob": 0.3, "layer_scale": 0.1}],
    "vit_b_32": [
        {"image_size": 64, "dropout": 0.1, "attention_dropout": 0.2},
        {"representation_size": 24, "num_classes": 4},
    ],
    "swin_t": [{"num_classes": 3, "mlp_ratio": 2.0, "dropout": 0.1, "attention_dropout": 0.2}],
    "swin_v2_t": [{"num_classes": 3, "dropout": 0.1}],
    "maxvit_t": [{"num_classes": 3, "input_size": (448, 448), "mlp_ratio": 2, "mlp_dropout": 0.1}],
    "vgg11_bn": [{"num_classes": 2, "init_weights": False, "dropout": 0.3}],
}


@pytest.mark.parametrize(
    ("name", "kwargs"), [(name, kwargs) for name, rows in VARIANTS.items() for kwargs in rows]
)
def test_arguments_live(torch, name, kwargs):
    import torchvision
    from models_torch import without_values

    with without_values():
        theirs = getattr(torchvision.models, name)(**kwargs)
    ours = models.get_model(name, **kwargs)
    assert str(ours).splitlines() == str(theirs).splitlines()
    assert shapes_of(ours) == shapes_of(theirs)


def test_structures_live(torch):
    from models_torch import reference, without_values

    for name, case in CASES.items():
        expected = structure(name)
        if expected["print"] is None:
            continue
        with without_values():
            theirs = reference(case)
        assert str(theirs) == expected["print"], name
        assert shapes_of(theirs) == expected["state_dict"], name


def test_norm_layers_of_ones_own():
    norm = functools.partial(nn.BatchNorm2d, eps=1e-3)
    for model in (
        models.resnet18(norm_layer=norm),
        models.mobilenet_v2(norm_layer=norm),
        models.efficientnet_b6(norm_layer=norm),
    ):
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        assert norms
        assert all(m.eps == 1e-3 for m in norms)


def test_networks_of_ones_own():
    """Users may build on the classes: ResNet-26 for small pictures, a common example."""

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


def test_stages_of_ones_own():
    model = models.EfficientNet(
        [efficientnet.FusedMBConvConfig(2, 3, 2, 16, 24, 2), efficientnet.MBConvConfig(4, 5, 2, 24, 40, 3)],
        dropout=0.1,
        num_classes=5,
        last_channel=64,
    )
    assert [len(stage) for stage in model.features[1:-1]] == [2, 3]
    assert [block.use_res_connect for block in model.features[2]] == [False, True, True]
    assert model.features[2][0].stochastic_depth.p == pytest.approx(0.2 * 2 / 5)
    assert model.classifier[1].weight.shape == (5, 64)
    params = regnet.BlockParams.from_init_params(13, 24, 36.44, 2.49, 8, se_ratio=0.25)
    # The paper's RegNetY-200MF.
    assert (params.depths, params.widths) == ([1, 1, 4, 7], [24, 56, 152, 368])
    assert models.RegNet(params, num_classes=5).fc.weight.shape == (5, 368)


def test_settings_of_another_kind_are_told():
    for make in (
        lambda: models.EfficientNet([(1, 3, 1, 32, 16, 1)], 0.2),
        lambda: models.MobileNetV3([16], 8),
    ):
        with pytest.raises(TypeError, match="inverted_residual_setting must be a list of"):
            make()


def v3_block(activation="HS", stride=1):
    cnf = mobilenetv3.InvertedResidualConfig(16, 3, 64, 16, True, activation, stride, 1, 1.0)
    return mobilenetv3.InvertedResidual(cnf, nn.BatchNorm2d)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.SqueezeNet("2_0"), "1_0 or 1_1"),
        (lambda: models.NiN("mnist"), "'imagenet' or 'cifar10'"),
        (lambda: models.OverFeat("exact"), "'fast' or 'accurate'"),
        (lambda: models.HighwayNet(stages=[[32], []]), "a layer at least"),
        (lambda: models.HighwayConv2d(8, kernel_size=2), "odd"),
        (lambda: models.MCDNN(blocks=0), "at least 1, got 0"),
        (lambda: models.SpatialPyramidPool([]), "one grid at least"),
        (lambda: models.MLPConv(3, (96, 96), 5), "three numbers"),
        (lambda: models.CifarResNet(3, shortcut="C"), "'C'"),
        (lambda: models.CifarResNeXt(depth=28), "9 n \\+ 2, such as 29, got 28"),
        (lambda: models.CifarResNeXt(cardinality=0), "at least 1, got 0 and 64"),
        (lambda: models.resnet18(groups=2), "groups=1"),
        (lambda: models.resnet18(replace_stride_with_dilation=[False, True, True]), "dilation=1, got 2"),
        (lambda: models.resnet50(replace_stride_with_dilation=[True]), "three stages"),
        (lambda: models.resnext50_32x4d(groups=16), "groups.*32.*16"),
        (lambda: models.mobilenet_v2(inverted_residual_setting=[[1, 16, 1]]), "four numbers"),
        (lambda: models.densenet121(growth_rate=12), "growth_rate.*32.*12"),
        (lambda: models.GoogLeNet(blocks=[]), "three values.*got 0"),
        (lambda: models.Inception3(inception_blocks=[]), "seven values.*got 0"),
        (lambda: models.ShuffleNetV2([4, 8], [24, 48, 96, 192, 1024]), "three stages"),
        (lambda: models.ShuffleNetV2([4, 8, 4], [24, 48]), "five values"),
        (lambda: shufflenetv2.InvertedResidual(8, 8, 4), "stride must be 1, 2 or 3, got 4"),
        (lambda: shufflenetv2.InvertedResidual(8, 16, 1), "inp=8 and oup=16"),
        (lambda: models.MNASNet(0.0), "alpha must be positive, got 0.0"),
        (lambda: mobilenetv2.InvertedResidual(8, 8, 3, 6), "stride must be 1 or 2, got 3"),
        (lambda: models.MobileNetV3([], 1024), "at least one block"),
        (lambda: v3_block(stride=3), "stride must be 1 or 2, got 3"),
        (lambda: v3_block(activation="relu"), "'HS' or 'RE', got 'relu'"),
        (lambda: models.EfficientNet([], 0.2), "at least one stage"),
        (lambda: models.EfficientNet([efficientnet.MBConvConfig(1, 3, 4, 8, 8, 1)], 0.2), "stride .* got 4"),
        (lambda: regnet.BlockParams.from_init_params(13, 24, 36.0, 1.0, 8), "w_m=1.0"),
        (lambda: regnet.BlockParams.from_init_params(13, 25, 36.0, 2.5, 8), "w_0=25"),
        (lambda: ops.StochasticDepth(0.1, "column"), "'batch' or 'row', got 'column'"),
        (lambda: ops.StochasticDepth(1.5, "row"), "1.5"),
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


def test_densenet_reads_the_keys_of_old_files():
    model = models.densenet121(num_classes=3)
    state = {key: value + 1 for key, value in model.state_dict().items()}
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): v for key, v in state.items()}
    assert "features.denseblock1.denselayer1.norm.1.running_mean" in old
    model.load_state_dict(old)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, state[key])


@pytest.mark.parametrize(
    ("name", "enum", "heads", "kept"),
    [
        ("googlenet", models.GoogLeNet_Weights, ("aux1", "aux2"), False),
        ("inception_v3", models.Inception_V3_Weights, ("AuxLogits",), True),
    ],
)
def test_auxiliary_heads_of_published_weights(monkeypatch, name, enum, heads, kept):
    build = models.get_model_builder(name)
    published = build(aux_logits=True).state_dict()
    monkeypatch.setattr(enum, "get_state_dict", lambda self, *args, **kwargs: published)
    weights = enum.DEFAULT
    for kwargs, expected in (({}, kept), ({"aux_logits": True}, True), ({"aux_logits": False}, False)):
        model = build(weights=weights, **kwargs)
        assert model.transform_input
        assert model.aux_logits is expected
        assert all((getattr(model, head) is not None) is expected for head in heads)
    assert build(weights=weights, transform_input=False).transform_input is False
    assert build(aux_logits=True).transform_input is False
    assert parameters_of(build(weights=weights)) == weights.meta["num_params"]


@pytest.mark.parametrize("version", [1, None])
def test_mnasnet_reads_its_first_version(version):
    """Their stems have 32 and 16 channels whatever alpha is."""
    model = models.mnasnet0_5(num_classes=3)
    state = model.state_dict()
    old = {}
    for key, value in state.items():
        wider = {16: 32, 8: 16} if re.match(r"layers\.[0-7]\.", key) else {}
        wider = {24: 48, 8: 16} if key.startswith("layers.8.0.") else wider
        old[key] = np.ones([wider.get(size, size) for size in value.shape], value.dtype)
    old = OrderedDict(old)
    if version is not None:
        old._metadata = {"": {"version": version}}
    model.load_state_dict(old)
    assert model.layers[0].out_channels == 32
    assert model.layers[8][0].layers[0].in_channels == 16
    assert model.state_dict()._metadata[""]["version"] == 1
    # And back.
    model.load_state_dict(state)
    assert model.layers[0].out_channels == 16
    assert model.state_dict()._metadata[""]["version"] == 2


def test_a_state_dict_of_another_network_is_named():
    with pytest.raises(rvision.StateDictError):
        models.cifar10_resnet20(shortcut="A").load_state_dict(
            models.cifar10_resnet20(shortcut="B").state_dict()
        )


def test_digits_for_the_multi_column_network():
    digits = np.zeros((2, 28, 28), np.uint8)
    digits[0, 4:24, 10:16] = 255
    prepared = models.normalize_widths(digits)
    assert prepared.shape == (2, 7, 29, 29)
    assert prepared.dtype == np.float32
    ink = prepared[0] > -1
    assert [int(channel.any(0).sum()) for channel in ink] == [10, 12, 14, 16, 18, 20, 6]
    assert {int(channel.any(1).sum()) for channel in ink} == {20}
    assert (prepared[1] == -1).all()
    np.testing.assert_array_equal(models.normalize_widths(digits[0]), prepared[:1])
    with pytest.raises(TypeError, match="uint8"):
        models.normalize_widths(digits.astype(np.float32))
    with pytest.raises(rvision.ShapeError, match="28, 28"):
        models.normalize_widths(digits[:, :20])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "deeplabv3_resnet50",
            "semantic segmentation, and rvision has classification .* resnet50",
        ),
        ("lraspp_mobilenet_v3_large", "semantic segmentation.* mobilenet_v3_large"),
        ("fasterrcnn_resnet50_fpn_v2", "object detection.* resnet50"),
        ("ssd300_vgg16", "object detection.* vgg16"),
        ("swin3d_t", "video classification.* swin_t"),
        ("raft_large", "optical flow.*list_models"),
        ("quantized_resnet50", "a quantized network, and rvision has none; resnet50 is here"),
    ],
)
def test_names_of_networks_for_other_tasks(name, said):
    with pytest.raises(ValueError, match=f"^Unknown model {name}: .*{said}"):
        models.get_model(name)
    with pytest.raises(ValueError, match=f"^Unknown model {name}: "):
        models.get_model_weights(name)


def test_every_name_of_torchvisions_is_here_or_explained(torch):
    from torchvision.models import list_models

    for name in sorted(set(list_models()) - set(models.list_models())):
        with pytest.raises(ValueError, match=r"a network for |a quantized network"):
            models.get_model(name)


def test_something_that_is_no_name():
    with pytest.raises(TypeError, match="expected the name of a network, got int"):
        models.get_model(3)
