"""rvision.testing: networks compared layer by layer, with torch's and with each other."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import rvision
from rvision import models, nn
from rvision.testing import assert_matches, compare

X = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)


class Small(nn.Module):
    def __init__(self, eps=1e-5):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.bn = nn.BatchNorm2d(4, eps=eps)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        x = self.relu(self.bn(self.conv(x)))
        return self.fc(self.relu(x.mean((2, 3))))


def twins(**changes):
    first, second = Small(), Small(**changes)
    second.load_state_dict(first.state_dict())
    return first, second


def test_equal_networks_match_in_every_layer():
    first, second = twins()
    found = compare(first, second, X)
    # A layer that is called twice is there twice.
    assert [row.layer for row in found.rows] == ["conv", "bn", "relu", "relu_1", "fc", "output"]
    assert found.matches and found.first is None and all(row.difference == 0 for row in found.rows)
    assert "all 6 values match" in repr(found)
    assert assert_matches(first, second, X) is None


def test_the_first_layer_that_differs_is_named():
    first, second = twins()
    second.fc.weight[0, 1] += 1
    found = compare(first, second, X)
    assert not found.matches and found.first.layer == "fc" and found.first.type == "Linear"
    expected, wrong = second.fc, first.fc
    hidden = nn.Sequential(second.conv, second.bn, second.relu)(X).mean((2, 3))
    hidden = np.maximum(hidden, 0)
    difference = np.abs(expected(hidden) - wrong(hidden)).max()
    assert found.first.difference == pytest.approx(difference, rel=1e-4)
    assert found.first.relative == pytest.approx(difference / np.abs(expected(hidden)).max(), rel=1e-4)
    with pytest.raises(AssertionError, match=r"the first that differs is fc \(Linear\), by"):
        assert_matches(first, second, X)


def test_another_setting_is_found_where_it_acts():
    first, second = twins(eps=0.1)
    assert compare(first, second, X).first.layer == "bn"


def test_arrays_and_functions_are_references():
    net = Small()
    expected = np.array(net(X))
    assert_matches(net, expected, X)
    assert_matches(net, lambda x: net(x) * (1 + 1e-6), X)
    with pytest.raises(AssertionError, match="output"):
        assert_matches(net, expected + 1, X)
    with pytest.raises(AssertionError, match=r"output.*\(2, 2\) and not \(2,\)"):
        assert_matches(net, expected[:, 0], X)
    with pytest.raises(AssertionError, match="NaN"):
        assert_matches(net, expected * np.nan, X)
    assert_matches(net, expected * 1.01, X, rtol=0.02)


def test_layers_of_one_network_alone_are_listed():
    class More(Small):
        def __init__(self):
            super().__init__()
            self.last = nn.Identity()

        def forward(self, x):
            return self.last(super().forward(x))

    first, more = Small(), More()
    first.load_state_dict(more.state_dict())
    found = compare(first, more, X)
    assert found.only_in_reference == ["last"] and found.only_in_model == []
    assert "1 layer only in the reference: last" in repr(found)


def test_outputs_may_be_named():
    class Two(nn.Module):
        def forward(self, x):
            return {"out": x * 2, "aux": (x, x + 1)}

    found = compare(Two(), Two(), X)
    assert [row.layer for row in found.rows] == ["output['out']", "output['aux'][0]", "output['aux'][1]"]
    with pytest.raises(rvision.ArgumentError, match="the model returns"):
        compare(Two(), X, X)
    with pytest.raises(rvision.ArgumentError, match="inputs"):
        compare(Two(), Two())


def test_it_is_shown_as_a_table():
    first, second = twins()
    second.conv.weight.zero_()
    found = compare(first, second, X)
    assert "differs" in repr(found) and "conv" in repr(found)
    html = found._repr_html_()
    assert "<table" in html and "the first that differs is conv" in html
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(found.rows)
    assert list(frame["layer"][:2]) == ["conv", "bn"]


def test_the_networks_stay_as_they_were():
    first, second = twins()
    traced = first(X)
    compare(first, second, X)
    assert all(not module.__dict__.get("_hooks") for module in first.modules())
    assert np.array_equal(first(X), traced)


def test_torch_is_not_imported():
    if "torch" in sys.modules:
        pytest.skip("another test has imported it")
    compare(Small(), Small(), X)
    assert "torch" not in sys.modules


FAMILIES = ["resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "googlenet", "vit_b_32"]


@pytest.mark.parametrize("name", FAMILIES)
def test_networks_match_torchs_in_every_layer(name, torch):
    import torchvision

    options = {"init_weights": False} if name == "googlenet" else {}
    theirs = torchvision.models.get_model(name, weights=None, **options).eval()
    ours = models.get_model(name, weights=theirs.state_dict())
    x = torch.randn(1, 3, 224, 224) if name == "vit_b_32" else torch.randn(2, 3, 96, 96)
    found = compare(ours, theirs, x)
    assert found.matches and found.first is None, found
    layers = sum(1 for name, module in theirs.named_modules() if name and not list(module.children()))
    assert len(found.rows) >= layers - len(found.only_in_reference) > layers / 2
    assert_matches(ours, theirs, x)


def test_a_fault_beside_torch_is_found(torch):
    import torchvision

    theirs = torchvision.models.resnet18().eval()
    ours = models.resnet18(weights=theirs.state_dict())
    ours.layer2[0].bn2.eps = 0.1
    found = compare(ours, theirs, torch.randn(1, 3, 64, 64))
    assert found.first.layer == "layer2.0.bn2"
    ours.layer2[0].bn2.eps = 1e-5
    ours.layer3[1].conv1.weight[0] += 1
    with pytest.raises(AssertionError, match=r"layer3\.1\.conv1"):
        assert_matches(ours, theirs, torch.randn(1, 3, 64, 64))
    with pytest.raises(rvision.ArgumentError, match="training mode"):
        compare(ours, theirs.train(), X)


def test_outputs_go_into_torch_as_they_are(torch):
    net = Small()
    output = net(X)
    expected = torch.tensor(output.tolist())
    torch.testing.assert_close(torch.from_numpy(output), expected)
    np.testing.assert_allclose(output, expected, rtol=1e-6)
