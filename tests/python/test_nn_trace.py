"""Tracing: node names, one trace for many sizes, detected changes, what forward cannot do."""

from __future__ import annotations

import gc
import math
import multiprocessing
import os
import threading
import weakref
from collections import namedtuple

import numpy as np
import pytest
import rvision
from rvision import nn
from rvision.nn import functional as F


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def traced(function, *arguments):
    """Run a function of symbols as a module."""

    class Traced(nn.Module):
        def forward(self, *symbols):
            return function(*symbols)

    module = Traced()
    return module, module(*arguments)


def node_names(module: nn.Module) -> list[str]:
    (trace,) = module._links.traces
    return trace.graph.node_names


class Block(nn.Module):
    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.conv2(out)
        out += x
        return self.relu(out)


class Net(nn.Module):
    calls = 0

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.layer1 = nn.Sequential(Block(), Block())
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        type(self).calls += 1
        x = self.layer1(self.stem(x))
        x = F.adaptive_avg_pool2d(x, 1)
        x = rvision.flatten(x, 1)
        return self.fc(x) + self.fc(F.dropout(x, training=self.training))


# ---- names ----


def test_nodes_have_torchvisions_names():
    net = Net()
    net(array(1, 3, 6, 6))
    assert node_names(net) == [
        "x",
        "stem",
        *(
            f"layer1.{block}.{name}"
            for block in range(2)
            for name in ("conv1", "bn1", "relu", "conv2", "add", "relu_1")
        ),
        "adaptive_avg_pool2d",
        "flatten",
        "fc",
        "dropout",
        "fc_1",
        "add",
    ]


def test_torchvisions_feature_extraction_agrees():
    torch = pytest.importorskip("torch")
    extraction = pytest.importorskip("torchvision.models.feature_extraction")

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv_1 = torch.nn.Conv2d(3, 4, 1)
            self.relu = torch.nn.ReLU()

        def forward(self, x):
            y = self.relu(self.conv_1(x)) * 2
            z = self.relu(y - 1) / y
            return torch.cat([z.mean([2, 3]), y.flatten(2).transpose(1, 2)[:, 0]], 1)

    class Ours(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv_1 = nn.Conv2d(3, 4, 1)
            self.relu = nn.ReLU()

        def forward(self, x):
            y = self.relu(self.conv_1(x)) * 2
            z = self.relu(y - 1) / y
            return rvision.cat([z.mean([2, 3]), y.flatten(2).transpose(1, 2)[:, 0]], 1)

    theirs, ours = Theirs().eval(), Ours()
    ours.load_state_dict(theirs.state_dict())
    x = array(2, 3, 4, 4)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ours(x), expected, rtol=1e-5, atol=1e-5)
    names = [name for name in node_names(ours) if ".part" not in name]
    assert names == extraction.get_graph_node_names(theirs)[1]


def test_a_layer_run_alone_and_a_layer_in_a_list():
    conv = nn.Conv2d(3, 4, 1)
    conv(array(1, 3, 4, 4))
    assert node_names(conv) == ["input", "conv2d"]

    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.ReLU()]

        def forward(self, x):
            return self.layers[0](x)

    hidden = Hidden()
    hidden(array(1, 3))
    assert node_names(hidden) == ["x", "relu"]


# ---- one trace for many inputs ----


def test_one_trace_serves_every_batch_and_picture_size():
    net = Net()
    Net.calls = 0
    x = array(2, 3, 8, 6)
    whole = net(x)
    assert np.array_equal(net(x[1:]), whole[1:])
    assert net(array(1, 3, 13, 17)).shape == (1, 5)
    assert Net.calls == 1
    assert net(x[0]).shape == (5,) and net(x[0, :, 2:]).shape == (5,)
    assert Net.calls == 2
    assert len(net._links.traces) == 2


def test_reading_channels_does_not_bind_a_trace():
    def normalised(x):
        return (x * (1 / math.sqrt(x.shape[1]))).permute(0, 2, 3, 1)[..., : x.size(1) - 1]

    module, y = traced(normalised, array(1, 4, 5, 6))
    assert y.shape == (1, 5, 6, 3)
    assert module(array(2, 4, 7, 3)).shape == (2, 7, 3, 3)
    assert not module._links.traces[0].size_bound
    assert len(module._links.traces) == 1


# What forward uses, and how many traces three shapes take: (1, 3, 4, 5), (2, 3, 4, 5), (1, 3, 6, 4).
READS = {
    "height": (lambda x: x * x.shape[2], 2),
    "batch": (lambda x: x * x.size(0), 2),
    "slice": (lambda x: x * sum(x.shape[-2:]), 2),
    "compared": (lambda x: x + 1 if x.shape[2:] == (4, 5) else x, 2),
    "equal": (lambda x: x + 1 if x.shape == (1, 3, 4, 5) else x, 3),
    "after permute": (lambda x: x.permute(0, 2, 3, 1) * x.permute(0, 2, 3, 1).shape[1], 2),
    "after flatten": (lambda x: x.flatten(2) * x.flatten(2).shape[-1], 2),
    "after a join": (lambda x: x * rvision.cat([x, x], 2).shape[2], 2),
    "after a pool": (lambda x: x * F.max_pool2d(x, 2).shape[3], 2),
    "numel": (lambda x: x * (1 / x.shape.numel()), 3),
    "printed": (lambda x: x * len(str(x.shape)), 3),
    "chunks": (lambda x: rvision.cat(list(reversed(x.chunk(2, 2))), 2), 2),
    "squeeze": (lambda x: x[:, :1].squeeze(), 3),
}


@pytest.mark.parametrize(("read", "traces"), READS.values(), ids=READS)
def test_reading_a_size_binds_the_trace_to_it(read, traces):
    module, _ = traced(read, array(1, 3, 4, 5))
    assert module._links.traces[0].size_bound
    for shape in [(2, 3, 4, 5), (1, 3, 6, 4), (1, 3, 4, 5)]:
        x = array(*shape)
        fresh, expected = traced(read, x)
        assert np.array_equal(module(x), expected)
        del fresh
    assert len(module._links.traces) == traces


FREE = {
    "channels after a pool": lambda x: (
        x * F.max_pool2d(x, 2, ceil_mode=True).mean([2, 3], keepdim=True).shape[1]
    ),
    "a pool to a size": lambda x: F.adaptive_avg_pool2d(x, 2) * F.adaptive_avg_pool2d(x, 2).shape[2],
    "features": lambda x: (
        F.adaptive_avg_pool2d(x, 2).flatten(1) * F.adaptive_avg_pool2d(x, 2).flatten(1).shape[1]
    ),
    "rank": lambda x: x * x.dim() * len(x.shape),
    "added channels": lambda x: x + F.pad(x, (0, 0, 0, 0, 0, 0)) * (x + x).shape[1],
    "printed": lambda x: x * len(repr(x)),
    "batch kept": lambda x: x.view(x.size(0), -1),
    "all kept": lambda x: x.reshape(*x.shape),
    "equal to itself": lambda x: x + 1 if x.shape == F.relu(x).shape else x,
    "chunked channels": lambda x: rvision.cat(x.split([1, 2], dim=1)[::-1], 1),
    "first row dropped": lambda x: x[:, 0],
    "inserted": lambda x: x.unsqueeze(0).unsqueeze(-1),
    "new axes": lambda x: x[:, None, :, None],
    "shuffled channels": lambda x: x.unflatten(1, (3, -1)).transpose(1, 2).flatten(1, 2),
    "rolled": lambda x: x.roll((1, -1), (2, 3)),
    "expanded": lambda x: x[:, :1].expand(-1, 2, -1, -1) * x[:, :1].expand_as(x[:, :2]),
    "attended": lambda x: F.scaled_dot_product_attention(*[x.flatten(2).transpose(1, 2)] * 3),
    "multiplied": lambda x: x.flatten(2) @ x.flatten(2).transpose(1, 2),
    "its channels": lambda x: x * (x.flatten(2) @ x.flatten(2).transpose(1, 2)).shape[1],
}


@pytest.mark.parametrize("read", FREE.values(), ids=FREE)
def test_what_does_not_vary_can_be_read(read):
    module, _ = traced(read, array(1, 3, 4, 5))
    module(array(2, 3, 6, 7))
    assert len(module._links.traces) == 1 and not module._links.traces[0].size_bound


def test_the_number_of_traces_is_bounded():
    module, _ = traced(lambda x: x * x.shape[2], array(1, 1, 1, 1))
    for size in range(1, 40):
        assert module(array(1, 1, size, 1)).shape == (1, 1, size, 1)
    assert 0 < len(module._links.traces) <= 16
    # The last ones are kept.
    before = module._links.traces[-1]
    module(array(1, 1, 39, 1))
    assert module._links.traces[-1] is before


# ---- changes ----


def test_a_replaced_layer_takes_effect():
    net, x = Net(), array(1, 3, 5, 5)
    net(x)
    net.fc = nn.Linear(4, 7)
    assert net(x).shape == (1, 7)
    net.layer1[1] = nn.Identity()
    net.layer1[0].relu = nn.Tanh()
    fresh = Net()
    fresh.fc, fresh.layer1[1], fresh.layer1[0].relu = net.fc, nn.Identity(), nn.Tanh()
    fresh.load_state_dict(net.state_dict())
    assert np.array_equal(net(x), fresh(x))


CHANGES = {
    "a parameter": lambda net: setattr(net.layer1[0].conv1, "weight", net.layer1[0].conv1.weight * 2),
    "a buffer": lambda net: setattr(net.layer1[1].bn1, "running_mean", np.ones(4)),
    "an attribute": lambda net: setattr(net.layer1[1].bn1, "eps", 0.5),
    "a stride": lambda net: (
        setattr(net.layer1[0].conv1, "dilation", (2, 2)) or setattr(net.layer1[0].conv1, "padding", (2, 2))
    ),
    "a bias": lambda net: setattr(net.fc, "bias", np.ones(5)),
    "a block": lambda net: net.layer1.append(nn.Tanh()),
    "a deleted block": lambda net: net.layer1.__delitem__(0),
    "forward": lambda net: setattr(net.layer1[0], "forward", lambda x: x * 3),
    "a state dict": lambda net: net.load_state_dict({k: v * 2 for k, v in net.state_dict().items()}),
    "a part's state dict": lambda net: net.layer1[1].conv2.load_state_dict(
        {"weight": np.ones((4, 4, 3, 3)), "bias": np.ones(4)}
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_takes_effect_at_the_next_call(change):
    x = array(2, 3, 5, 5)
    changed, fresh = Net(), Net()
    fresh.load_state_dict(changed.state_dict())
    before = changed(x)
    for net in (changed, fresh):
        if net is fresh:
            net.layer1(net.stem(x))
        change(net)
    after = changed(x)
    assert np.array_equal(after, fresh(x))
    assert not np.array_equal(after, before)


def test_a_part_in_two_trees_changes_both():
    part = nn.Linear(3, 3)
    first, second, x = nn.Sequential(part), nn.Sequential(nn.ReLU(), part), array(2, 3)
    first(x), second(x)
    part.bias = np.full(3, 5)
    assert np.array_equal(first(x), part(x))
    assert np.array_equal(second(x), part(np.maximum(x, 0)))


def test_parts_share_the_packed_weights():
    net, x = Net(), array(1, 3, 9, 9)
    net(x)
    conv = net.layer1[0].conv1.weight
    forms = conv._handle.forms()
    assert forms
    net.layer1(net.stem(x))
    net.layer1[0].conv1(net.stem(x))
    assert conv is net.layer1[0].conv1.weight
    assert conv._handle.forms() == forms


def test_an_old_trace_is_freed_with_its_parameters():
    net, x = nn.Sequential(nn.Linear(3, 3)), array(1, 3)
    net(x)
    old = weakref.ref(net[0].weight)
    net[0].weight = np.zeros((3, 3))
    gc.collect()
    assert old() is None


def test_what_forward_computes_once_is_kept_until_a_change():
    net, x = Net(), array(1, 3, 4, 4)
    Net.calls = 0
    for _ in range(3):
        net(x)
    assert Net.calls == 1
    net.note = "changed"
    net(x)
    assert Net.calls == 2


# ---- what forward returns ----

Pair = namedtuple("Pair", "first second")


def test_results_keep_their_structure():
    x = array(2, 3)
    _, out = traced(lambda x: Pair(x + 1, {"twice": [x * 2, None, 7]}), x)
    assert isinstance(out, Pair) and np.array_equal(out.first, x + 1)
    assert np.array_equal(out.second["twice"][0], 2 * x) and out.second["twice"][1:] == [None, 7]


def test_results_may_be_the_input_a_constant_or_twice_the_same():
    x = array(2, 3)
    _, (same, double, again) = traced(lambda x: (x, x * 2, x), x)
    assert np.array_equal(same, x) and np.array_equal(again, x) and np.array_equal(double, 2 * x)
    module, constant = traced(lambda x: np.arange(3), x)
    constant[0] = 9
    assert module(x).tolist() == [0, 1, 2]
    assert traced(lambda x: "text", x)[1] == "text"
    assert nn.Sequential()(x).tolist() == x.tolist()


def test_without_inputs():
    class Prior(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter([1.0, 2.0])

        def forward(self):
            return self.scale * 2

    assert Prior()().tolist() == [2, 4]


# ---- symbols ----

EXPRESSIONS = {
    "arithmetic": lambda x: (2 - x) * 3 + x / 2 - x * x + 1 / (x * x + 1),
    "negation": lambda x: -x + 1,
    "product": lambda x: x @ np.arange(10, dtype=np.float32).reshape(5, 2),
    "product on the left": lambda x: np.arange(8, dtype=np.float32).reshape(2, 4) @ x,
    "numpy scalars": lambda x: np.float32(2) * x - np.float64(1) + x * np.float32(3),
    "array on the left": lambda x: np.arange(1, 6, dtype=np.float32) * x,
    "array on the right": lambda x: x - np.arange(12, dtype=np.float64).reshape(3, 4, 1),
    "array divided": lambda x: np.ones((4, 5), np.float32) / (x * x + 1),
    "slices": lambda x: x[:, 1:, ::2, -3:-1],
    "integers": lambda x: x[1, :, -1],
    "ellipsis": lambda x: x[..., 0],
    "nothing": lambda x: x[:],
    "new axis": lambda x: x[:, None, :, 1],
    "last channel": lambda x: x[:, -1, :, 2],
}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_expressions_equal_numpys(expression):
    x = array(2, 3, 4, 5)
    _, ours = traced(expression, x)
    expected = expression(x)
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)


def test_methods_equal_numpys():
    x = array(2, 3, 4, 5)
    for ours, expected in [
        (lambda x: x.mean([2, 3]), x.mean((2, 3))),
        (lambda x: x.mean(-1, keepdim=True), x.mean(-1, keepdims=True)),
        (lambda x: x.flatten(1, 2), x.reshape(2, 12, 5)),
        (lambda x: x.flatten(), x.reshape(-1)),
        (lambda x: x.reshape(2, -1), x.reshape(2, -1)),
        (lambda x: x.view((6, 20)), x.reshape(6, 20)),
        (lambda x: x.permute(0, 3, 1, 2), x.transpose(0, 3, 1, 2)),
        (lambda x: x.transpose(1, -1), x.swapaxes(1, -1)),
        (lambda x: x.unsqueeze(1), x[:, None]),
        (lambda x: x.unsqueeze(-1), x[..., None]),
        (lambda x: x.unflatten(2, (2, -1)), x.reshape(2, 3, 2, 2, 5)),
        (lambda x: x.unflatten(-1, (5, 1)).flatten(3), x),
        (lambda x: x.matmul(x.transpose(-2, -1)), x @ x.swapaxes(2, 3)),
        (lambda x: x[:1, :, :, :4] @ x[..., 1:], x[:1, :, :, :4] @ x[..., 1:]),
        (lambda x: x.roll((1, -2), (0, 3)), np.roll(x, (1, -2), (0, 3))),
        (lambda x: x.roll(9, -1), np.roll(x, 9, -1)),
        (lambda x: x[:, :1].expand(-1, 6, 4, -1), np.broadcast_to(x[:, :1], (2, 6, 4, 5))),
        (lambda x: x[0].expand(7, -1, -1, -1), np.broadcast_to(x[0], (7, 3, 4, 5))),
        (lambda x: x[:, :1].expand_as(x) * x, x[:, :1] * x),
        (lambda x: x.unbind(1)[2], x[:, 2]),
        (lambda x: x.unsqueeze(-1).squeeze(-1), x),
        (lambda x: x.relu(), np.maximum(x, 0)),
        (lambda x: x.clamp(-0.5, 0.5), x.clip(-0.5, 0.5)),
        (lambda x: x.maximum(0.25 * x), np.maximum(x, 0.25 * x)),
        (lambda x: x.minimum(0.1), np.minimum(x, 0.1)),
        (lambda x: x.contiguous().clone().detach().float(), x),
        (lambda x: x.chunk(2, dim=1)[1], x[:, 2:]),
        (lambda x: rvision.cat(x.split(2, dim=3), 3), x),
    ]:
        _, got = traced(ours, x)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


class Tokens(nn.Module):
    """A class token before the pixels, and a scale."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(np.arange(3.0).reshape(1, 1, 3))
        self.scale = nn.Parameter(np.ones(3))

    def forward(self, x):
        x = x.flatten(2).permute(0, 2, 1)
        return rvision.cat([self.token.expand_as(x[:, :1]), x], dim=1) * self.scale


def test_a_class_token_serves_every_batch_and_follows_the_state_dict():
    tokens = Tokens()
    for seed in range(3):
        state = {"token": array(1, 1, 3, seed=seed), "scale": array(3, seed=seed + 9)}
        tokens.load_state_dict(state)
        for shape in [(1, 3, 2, 4), (5, 3, 2, 4), (2, 3, 1, 1)]:
            x = array(*shape)
            rows = np.moveaxis(x, 1, -1).reshape(shape[0], -1, 3)
            first = np.broadcast_to(state["token"], (shape[0], 1, 3))
            assert np.array_equal(tokens(x), np.concatenate([first, rows], 1) * state["scale"])
        (trace,) = tokens._links.traces
        assert not trace.size_bound


def test_a_constant_repeats_like_an_array():
    token = nn.Parameter(array(1, 2, 1))
    assert np.array_equal(token.expand(3, -1, 4), np.broadcast_to(token.data, (3, 2, 4)))
    assert np.array_equal(token.expand((2, 1, 2, 5)), np.broadcast_to(token.data, (2, 1, 2, 5)))
    assert np.array_equal(token.expand_as(array(3, 2, 4)), np.broadcast_to(token.data, (3, 2, 4)))


def test_a_parameter_in_an_expression():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(np.arange(3.0).reshape(3, 1, 1))

        def forward(self, x):
            return self.scale * x + self.scale

    scaled, x = Scaled(), array(2, 3, 4, 4)
    scale = np.arange(3, dtype=np.float32).reshape(3, 1, 1)
    assert np.array_equal(scaled(x), scale * x + scale)
    assert np.array_equal(scaled(x[:1, :, 1:]), (scale * x + scale)[:1, :, 1:])
    scaled.scale = np.ones((3, 1, 1))
    assert np.array_equal(scaled(x), x + 1)


REFUSED = {
    "bool": (lambda x: x + 1 if x else x, r"a decision on a value \(bool\)"),
    "comparison": (lambda x: x + 1 if x.mean() > 0 else x, r"a decision on a value \(bool\)"),
    "equality": (lambda x: x + 1 if x == 0 else x, r"a decision on a value \(bool\)"),
    "float": (lambda x: float(x.mean()), r"\(float\)"),
    "int": (lambda x: int(x.mean()), r"\(float\)"),
    "range": (lambda x: range(x), r"\(float\)"),
    "sqrt": (lambda x: math.sqrt(x), r"\(float\)"),
    "iteration": (lambda x: list(x), "iterating"),
    "len": (lambda x: len(x), "len"),
    "ufunc": (lambda x: np.exp(x), r"np\.exp"),
    "reduction": (lambda x: np.add.reduce(x), r"np\.add"),
    "function": (lambda x: np.concatenate([x, x]), r"np\.concatenate"),
    "array": (lambda x: np.asarray(x), "NumPy array"),
    "in": (lambda x: 3 in x, "`in`"),
    "assignment": (lambda x: x.__setitem__(0, 1), "assigning"),
    "mask": (lambda x: x[np.ones(2, bool)], "indexed with something else"),
    "weights": (lambda x: F.linear(x, x), "weights must be parameters or arrays"),
}


@pytest.mark.parametrize(("forbidden", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_become_a_node_names_the_module(forbidden, message):
    class Inner(nn.Module):
        def forward(self, x):
            return forbidden(x)

    net = nn.Sequential(nn.ReLU(), nn.Sequential(Inner()))
    with pytest.raises(rvision.UnsupportedError, match=rf"^1\.0: .*{message}"):
        net(array(2, 3))


def test_unknown_attributes_name_the_module():
    with pytest.raises(AttributeError, match=r"^0: .* has no attribute 'backward'"):
        nn.Sequential(type("Inner", (nn.Module,), {"forward": lambda self, x: x.backward()})())(array(1, 2))


def test_symbols_cannot_be_kept():
    class Keeps(nn.Module):
        def forward(self, x):
            self.last = x
            return x

    with pytest.raises(rvision.UnsupportedError, match=r"Keeps\.last: .* return it from forward"):
        Keeps()(array(1, 2))
    kept = []

    def leak(x):
        kept.append(x)
        return x + kept[0]

    module, _ = traced(leak, array(1, 2))
    module.changed = True
    with pytest.raises(rvision.UnsupportedError, match="of another call of the network"):
        module(array(1, 2))


def test_wrong_dimensions_name_the_module():
    inner = type("Inner", (nn.Module,), {"forward": lambda self, x: x.mean(4)})
    with pytest.raises(rvision.ShapeError, match=r"^0: dimension 4 is out of range for a 2-d value \(1, 2\)"):
        nn.Sequential(inner())(array(1, 2))


# ---- threads and processes ----


def test_many_threads_may_make_the_first_call():
    net, x = Net(), array(2, 3, 7, 7)
    expected = Net()
    expected.load_state_dict(net.state_dict())
    expected = expected(x)
    Net.calls = 0
    results: list[np.ndarray] = []
    start = threading.Barrier(8)

    def call() -> None:
        start.wait()
        results.extend(net(x) for _ in range(5))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 40 and all(np.array_equal(result, expected) for result in results)
    assert Net.calls == 1


def test_changes_from_another_thread_are_seen():
    net, x = nn.Sequential(nn.Linear(3, 3)), array(1, 3)
    stop = threading.Event()
    failures = []

    def call() -> None:
        while not stop.is_set():
            y = net(x)
            if not np.isfinite(y).all():
                failures.append(y)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for value in range(100):
        net[0].weight = np.full((3, 3), value)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    np.testing.assert_allclose(net(x), np.full((1, 3), 99 * x.sum()) + net[0].bias, rtol=1e-4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_use_after_fork_while_another_thread_traces():
    tracing, go_on = threading.Event(), threading.Event()

    class Slow(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x):
            if not tracing.is_set():
                tracing.set()
                go_on.wait(60)
            return self.fc(x)

    net, x = Slow(), array(1, 3)
    expected = net.fc(x)
    thread = threading.Thread(target=net, args=(x,))
    thread.start()
    assert tracing.wait(60)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put(net(x)))
    child.start()
    child.join(60)
    alive = child.is_alive()
    if alive:
        child.kill()
    go_on.set()
    thread.join()
    assert not alive, "the child waits for a lock that its parent's thread holds"
    assert np.array_equal(queue.get(), expected)
