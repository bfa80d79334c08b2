"""Values inside a network by torchvision's names.

`python tests/python/test_feature_extraction.py` writes the golden names; it needs torchvision.
"""

from __future__ import annotations

import copy
import json
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import rvision
from rvision import nn
from rvision.models._utils import IntermediateLayerGetter
from rvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

GOLDEN = Path(__file__).parents[1] / "golden" / "node_names.json"

# All names are torchvision's.
SAME = [
    "alexnet",
    "vgg11_bn",
    "resnet18",
    "resnet50",
    "googlenet",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mnasnet0_5",
    "efficientnet_b0",
    "regnet_y_400mf",
    "squeezenet1_0",
]
# Here branches are computed in another order, or blocks are written in other operations.
OTHER = [
    "inception_v3",
    "densenet121",
    "convnext_tiny",
    "shufflenet_v2_x0_5",
    "swin_t",
    "swin_v2_t",
    "vit_b_16",
    "maxvit_t",
]


def torchvision_names(name: str) -> list[str]:
    import torchvision
    from torchvision.models import feature_extraction

    kwargs = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = getattr(torchvision.models, name)(**kwargs).eval()
    return feature_extraction.get_graph_node_names(model, suppress_diff_warning=True)[1]


def of_modules(names: list[str], model: nn.Module) -> list[str]:
    """Return the names of nodes that are calls of modules."""
    modules = dict(model.named_modules())
    return [name for name in names if re.sub(r"_\d+$", "", name) in modules or name in modules]


@pytest.fixture(scope="module")
def small() -> nn.Module:
    return rvision.models.resnet18(num_classes=10)


X = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)


@pytest.mark.parametrize("name", SAME)
def test_names_are_torchvisions(name):
    train, evaluation = get_graph_node_names(rvision.models.get_model(name))
    assert evaluation == json.loads(GOLDEN.read_text(encoding="utf-8"))[name]
    assert train == evaluation and train is not evaluation


@pytest.mark.parametrize("name", OTHER)
def test_names_of_modules_are_torchvisions(name):
    model = rvision.models.get_model(name)
    ours = of_modules(get_graph_node_names(model)[1], model)
    theirs = json.loads(GOLDEN.read_text(encoding="utf-8"))[name]
    if name.startswith("swin"):
        # There, attention is a function; and the layers that make the biases run in each call.
        ours = [each for each in ours if not each.endswith((".qkv", ".proj"))]
        theirs = [each for each in theirs if "cpb_mlp" not in each]
    assert sorted(ours) == sorted(theirs)


@pytest.mark.parametrize("name", [*SAME, *OTHER])
def test_values_are_torchvisions(torch, name):
    import torchvision
    from torchvision.models import feature_extraction

    torch.manual_seed(0)
    kwargs = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    theirs = getattr(torchvision.models, name)(num_classes=7, **kwargs).eval()
    for module in theirs.modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # what it computes, not what a later layer writes over it
    ours = getattr(rvision.models, name)(num_classes=7, **kwargs)
    ours.load_state_dict(theirs.state_dict())
    names = of_modules(get_graph_node_names(ours)[1], ours)
    known = set(feature_extraction.get_graph_node_names(theirs, suppress_diff_warning=True)[1])
    # F.relu in place overwrites the values of .bn and norm5 there; attention returns a tuple.
    others = (".bn", "norm5", "self_attention")
    names = [each for each in names if each in known and not each.endswith(others)]
    wanted = [names[at] for at in np.linspace(0, len(names) - 1, 7).astype(int)]
    size = 224 if name.startswith(("vit", "maxvit")) else 96
    x = np.random.default_rng(0).standard_normal((1, 3, size, size)).astype(np.float32)
    # Whole parts too: their last value. There, a node is given out under one name only.
    parts = list(dict.fromkeys(each.split(".")[0] for each in wanted if "." in each))
    for keys in (wanted, parts):
        with torch.no_grad():
            expected = feature_extraction.create_feature_extractor(
                theirs, eval_return_nodes=keys, train_return_nodes=[], suppress_diff_warning=True
            )(torch.from_numpy(x))
        got = create_feature_extractor(ours, keys)(x)
        assert list(got) == keys if keys is wanted else set(got) == set(keys)
        assert got.keys() == expected.keys()
        for key, value in expected.items():
            most = abs(value.numpy()).max()
            np.testing.assert_allclose(got[key], value.numpy(), rtol=1e-3, atol=2e-4 * most, err_msg=key)


def test_a_beginning_is_the_last_node_below_it(small):
    extractor = create_feature_extractor(
        small, {"layer4": "map", "layer1.0": "block", "x": "picture", "flatten": "flat"}
    )
    out = extractor(X)
    assert list(out) == ["picture", "block", "map", "flat"], "in the order of the run"
    assert {key: value.shape for key, value in out.items()} == {
        "picture": (2, 3, 64, 64),
        "block": (2, 64, 16, 16),
        "map": (2, 512, 2, 2),
        "flat": (2, 512),
    }
    assert all(type(value) is rvision.Tensor for value in out.values())
    np.testing.assert_array_equal(out["picture"], X)
    np.testing.assert_allclose(out["map"].mean((2, 3)), out["flat"], rtol=1e-5)
    np.testing.assert_allclose(
        out["flat"] @ np.asarray(small.fc.weight).T + np.asarray(small.fc.bias),
        small(X),
        rtol=1e-4,
        atol=1e-5,
    )


def test_values_before_layers_in_place(small):
    out = create_feature_extractor(small, ["bn1", "relu"])(X)
    assert out["bn1"].min() < 0
    np.testing.assert_allclose(out["relu"], np.maximum(out["bn1"], 0), rtol=1e-5, atol=1e-6)


def test_later_layers_do_not_run(small):
    extractor = create_feature_extractor(small, ["layer1.0.relu"])
    extractor(X)
    (trace,) = extractor._links.traces
    steps, _ = trace.profile([X], 1)
    assert steps and all(row[0].startswith(("conv1", "bn1", "relu", "maxpool", "layer1.0")) for row in steps)
    # conv1 and one convolution of layer1.0.
    multiply_adds = 2 * (32 * 32 * 64 * 3 * 49 + 16 * 16 * 64 * 64 * 9)
    assert sum(row[3] for row in steps) == multiply_adds


def test_pictures_may_be_too_small_for_later_layers():
    extractor = create_feature_extractor(rvision.models.vgg11(num_classes=2), ["features.2"])
    assert extractor(X[:, :, :8, :8])["features.2"].shape == (2, 64, 4, 4)


def test_sizes_batches_and_single_pictures(small):
    extractor = create_feature_extractor(small, {"layer3": "y"})
    assert extractor(X[0])["y"].shape == (256, 4, 4)
    assert extractor(X[:1])["y"].shape == (1, 256, 4, 4)
    assert extractor(X[:, :, :33, :47])["y"].shape == (2, 256, 3, 3)
    np.testing.assert_allclose(extractor(X[0])["y"], extractor(X)["y"][0], rtol=1e-4, atol=1e-5)


def test_the_extractor_follows_the_network():
    model = rvision.models.resnet18(num_classes=10)
    extractor = create_feature_extractor(model, {"conv1": "y"})
    before = extractor(X)["y"]
    assert list(extractor.state_dict()) == list(model.state_dict())
    assert extractor.conv1 is model.conv1
    model.conv1.weight = model.conv1.weight * 2
    np.testing.assert_allclose(extractor(X)["y"], 2 * before, rtol=1e-5, atol=1e-5)
    model.conv1 = nn.Conv2d(3, 8, 1)
    assert extractor(X)["y"].shape == (2, 8, 64, 64)
    extractor.conv1 = nn.Conv2d(3, 9, 1)
    assert model.conv1 is extractor.conv1
    twin = copy.deepcopy(extractor)
    np.testing.assert_array_equal(twin(X)["y"], extractor(X)["y"])
    assert twin.conv1 is not extractor.conv1


class Network(nn.Module):
    """Uses an extractor twice."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.body = extractor

    def forward(self, x):
        return self.body(x)["layer1"], self.body(x + 1)["layer1"]


def test_an_extractor_inside_a_network(small):
    extractor = create_feature_extractor(small, ["layer1"])
    first, second = Network(extractor)(X)
    np.testing.assert_allclose(first, extractor(X)["layer1"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(second, extractor(X + 1)["layer1"], rtol=1e-4, atol=1e-5)


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
        self.relu = nn.ReLU()

    def forward(self, values, scale=1.0):
        return self.relu(self.relu(self.block(values) * scale) - 1)


def test_ones_own_network():
    names = ["values", "block.0", "block.1", "mul", "relu", "sub", "relu_1"]
    assert get_graph_node_names(Own())[1] == names
    whole = ["values", "block", "mul", "relu", "sub", "relu_1"]
    model = Own()
    assert get_graph_node_names(model, {"leaf_modules": [nn.Sequential]})[1] == whole
    x = np.ones((1, 4), np.float32)
    one = create_feature_extractor(model, {"mul": "y"})(x)["y"]
    two = create_feature_extractor(model, {"mul": "y"}, concrete_args={"scale": 2.0})(x)["y"]
    np.testing.assert_allclose(two, 2 * one)


def test_wrong_names(small):
    with pytest.raises(rvision.ArgumentError, match=r"no node 'layr4' \(similar: 'layer4'"):
        create_feature_extractor(small, ["layr4"])
    with pytest.raises(ValueError, match="give return_nodes, or"):
        create_feature_extractor(small)
    with pytest.raises(ValueError, match="give both"):
        create_feature_extractor(small, train_return_nodes=["relu"])
    with pytest.raises(ValueError, match="not both"):
        create_feature_extractor(small, ["relu"], ["relu"], ["relu"])
    with pytest.raises(rvision.ArgumentError, match="expected a list or dict of names, got 'relu'"):
        create_feature_extractor(small, "relu")
    with pytest.raises(rvision.ArgumentError, match="give input_size="):
        get_graph_node_names(nn.Sequential(nn.Flatten(), nn.Linear(7, 2)), input_size=(1, 5))


def test_intermediate_layer_getter(small):
    getter = IntermediateLayerGetter(small, {"layer3": "high", "layer1": "low"})
    out = getter(X)
    assert type(out) is OrderedDict and list(out) == ["low", "high"]
    assert list(getter)[-1] == "layer3" and getter["conv1"] is small.conv1
    expected = create_feature_extractor(small, {"layer1": "low", "layer3": "high"})(X)
    for key, value in expected.items():
        np.testing.assert_allclose(out[key], value, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="has no child 'layer9'; it has: conv1, bn1"):
        IntermediateLayerGetter(small, {"layer9": "x"})


if __name__ == "__main__":
    lists = {name: torchvision_names(name) for name in SAME}
    for each in OTHER:
        lists[each] = of_modules(torchvision_names(each), rvision.models.get_model(each))
    GOLDEN.write_text(json.dumps(lists, separators=(",", ":")) + "\n", encoding="utf-8")
