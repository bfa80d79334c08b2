"""rvision.summary: the contents of the table, and totals compared with the published ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import rvision
from rvision import models, nn
from rvision.nn import functional as F
from rvision.nn.parameter import Drawn
from rvision.weights._zoo import table

# Of each class of weights, the network it is published for.
NETWORKS = {enum: name for name, enum in table()["networks"].items()}


def published_form(network: str, crop: int) -> dict[str, Any]:
    """Return the builder's arguments for the network that the table counts."""
    if network.startswith("vit_"):
        return {"image_size": crop}
    return {"aux_logits": False} if network == "googlenet" else {}


# ---- totals ----


@pytest.mark.parametrize("entry", table()["weights"])
def test_totals_are_the_published_ones(entry):
    row = table()["weights"][entry]
    network = NETWORKS[entry.partition(".")[0]]
    model = models.get_model(network, **published_form(network, row["crop"]))
    info = rvision.summary(model, (1, 3, row["crop"], row["crop"]))
    assert info.num_params == row["num_params"]
    assert info.gflops == pytest.approx(row["ops"], abs=0.0015)


@pytest.mark.parametrize("network", ["alexnet", "squeezenet1_1", "resnext50_32x4d", "mobilenet_v2"])
@pytest.mark.parametrize("size", [(224, 224), (131, 200)])
def test_multiply_adds_are_half_of_torchs_flops(torch, network, size):
    import torchvision
    from torch.utils.flop_counter import FlopCounterMode

    shape = (2, 3, *size)
    with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counter:
        getattr(torchvision.models, network)().eval()(torch.zeros(shape))
    info = rvision.summary(models.get_model(network), shape)
    assert 2 * info.multiply_adds == counter.get_total_flops()


def test_a_batch_costs_as_much_as_its_pictures():
    model = models.resnet18()
    one, four = (rvision.summary(model, (n, 3, 64, 64)) for n in (1, 4))
    assert four.multiply_adds == 4 * one.multiply_adds
    assert four.num_params == one.num_params == sum(p.size for p in model.parameters())


# ---- rows ----


def test_layers_stand_as_they_are_written_before_any_fusion():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 6, 3, padding=1, groups=2)
            self.bn = nn.BatchNorm2d(6)
            self.relu = nn.ReLU()

        def forward(self, x: Any) -> Any:
            y = self.relu(self.bn(self.conv(x)))
            return self.relu(y + y)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Block()
            self.fc = nn.Linear(6, 5)

        def forward(self, x: Any) -> Any:
            return self.fc(self.block(x).mean((2, 3)))

    info = rvision.summary(Net(), (4, 7, 8))
    picture = (1, 6, 7, 8)
    expected = [
        ("block.conv", "Conv2d", picture, 6 * 2 * 9 + 6, 6 * 7 * 8 * 2 * 9),
        ("block.bn", "BatchNorm2d", picture, 12, 0),
        ("block.relu", "ReLU", picture, 0, 0),
        ("block.add", "add", picture, 0, 0),
        ("block.relu_1", "ReLU", picture, 0, 0),
        ("mean", "mean", (1, 6), 0, 0),
        ("fc", "Linear", (1, 5), 35, 30),
    ]
    assert info.rows == tuple(rvision.SummaryRow(*row) for row in expected)
    assert (info.num_params, info.multiply_adds) == (161, 6078)
    lines = str(info).splitlines()
    assert repr(info) == str(info)
    assert lines[0].split() == ["layer", "type", "output", "parameters", "multiply-adds"]
    assert lines[2].split() == ["block.conv", "Conv2d", "(1,", "6,", "7,", "8)", "114", "6,048"]
    assert lines[-1].split() == ["total", "161", "6,078"]


def test_parameters_of_networks_themselves_and_of_layers_that_do_not_run():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(np.ones((1, 8), np.float32))
            self.fc = nn.Linear(8, 8)
            self.aux = nn.Sequential(nn.Linear(8, 3, bias=False))

        def forward(self, x: Any) -> Any:
            return self.fc(self.fc(x + self.token))

    rows = rvision.summary(Net(), (2, 8)).rows
    assert [(row.name, row.type, row.output_shape, row.num_params) for row in rows] == [
        ("token", "Parameter", (1, 8), 8),
        ("add", "add", (2, 8), 0),
        ("fc", "Linear", (2, 8), 72),
        ("fc_1", "Linear", (2, 8), 0),
        ("aux.0", "Linear", None, 24),
    ]
    assert [row.multiply_adds for row in rows] == [0, 0, 128, 128, 0]


def test_attention_is_one_layer_with_both_its_products():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(12, 3, batch_first=True)

        def forward(self, x: Any) -> Any:
            return self.attention(x, x, x, need_weights=False)[0]

    rows = rvision.summary(Net(), (2, 5, 12)).rows
    assert [(row.name, row.type) for row in rows] == [
        ("attention", "MultiheadAttention"),
        ("attention.out_proj", "NonDynamicallyQuantizableLinear"),
    ]
    projection = 2 * 5 * 12 * 12
    assert [row.multiply_adds for row in rows] == [3 * projection + 2 * (2 * 5 * 5 * 12), projection]
    assert rows[0].output_shape == rows[1].output_shape == (2, 5, 12)


def test_what_sees_only_constants_counts_too():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Buffer(np.eye(3, dtype=np.float32))
            self.bias = nn.Sequential(nn.Linear(3, 5, bias=False))

        def forward(self, x: Any) -> Any:
            return x + x.tracer.evaluate(self.bias, self.table).sum(0)

    net = Net()
    np.testing.assert_allclose(net(np.zeros((2, 5), np.float32))[0], net.bias[0].weight.sum(1), atol=1e-6)
    rows = rvision.summary(net, (2, 5)).rows
    assert [(row.name, row.num_params, row.multiply_adds) for row in rows] == [
        ("bias.0", 15, 45),
        ("add", 0, 0),
    ]


def test_a_layer_alone_and_a_function():
    class Scale(nn.Module):
        def forward(self, x: Any) -> Any:
            return F.linear(x, np.ones((7, 4), np.float32))

    (row,) = rvision.summary(nn.Conv2d(3, 2, 3), (3, 5, 5)).rows
    assert (row.type, row.output_shape, row.multiply_adds) == ("Conv2d", (1, 2, 3, 3), 9 * 2 * 27)
    (row,) = rvision.summary(Scale(), (3, 4)).rows
    assert (row.type, row.num_params, row.multiply_adds) == ("linear", 0, 84)


def test_several_inputs():
    class Sum(nn.Module):
        def forward(self, x: Any, y: Any) -> Any:
            return x + y

    (row,) = rvision.summary(Sum(), [(2, 3), (1, 3)]).rows
    assert row.output_shape == (2, 3)


def test_a_network_is_left_as_it_was(monkeypatch):
    def make(self, name):
        raise AssertionError(f"{name} has been initialised")

    model = models.vgg19()
    with monkeypatch.context() as patch:
        patch.setattr(Drawn, "make", make)
        info = rvision.summary(model, (1, 3, 224, 224))
    assert info.num_params == 143_667_240
    assert model._links.traces == []
    assert model.features[0].weight.any()


# ---- mistakes ----


@pytest.mark.parametrize("size", [(), 224, "224", (1, 3, "a"), (1, 3, -1, 5), [(1, 3), 4], None])
def test_sizes_that_are_none(size):
    with pytest.raises(rvision.ArgumentError, match=r"input_size: expected sizes such as \(1, 3, 224, 224\)"):
        rvision.summary(models.lenet5(), size)


def test_a_shape_that_does_not_fit_names_the_layer():
    with pytest.raises(rvision.ShapeError, match=r"conv1: .*3 input channels"):
        rvision.summary(models.resnet18(), (1, 4, 224, 224))


def test_a_dense_form_is_counted_for_the_picture():
    model = models.alexnet()
    fully = rvision.convolutionize(model)
    once, info = rvision.summary(model, (3, 224, 224)), rvision.summary(fully, (3, 451, 451))
    assert info.num_params == once.num_params
    assert rvision.summary(fully, (3, 224, 224)).multiply_adds == once.multiply_adds
    rows = {row.name: row for row in info.rows}
    assert rows["classifier.1"].output_shape == (1, 4096, 8, 8)
    assert rows["classifier.1"].num_params == 4096 * 9217
    # What Linear does 64 times, and convolutions share.
    assert rows["classifier.6"].multiply_adds == 64 * 4096 * 1000
    assert 9 < info.multiply_adds / once.multiply_adds < 10
