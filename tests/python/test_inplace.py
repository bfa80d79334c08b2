"""In-place operations change a value for all its names, as in torch.

The same functions run on symbols of rvision, on NumPy arrays with torch's methods
(`inplace_numpy.py`, whose views share memory by definition) and, where it is installed, on torch's
tensors.
"""

from __future__ import annotations

from types import SimpleNamespace

import inplace_numpy
import numpy as np
import pytest
import rvision
from inplace_patterns import PATTERNS
from rvision.nn import functional as F

nn = rvision.nn

WEIGHT = np.array([[0.5, -1.0, 0.25], [1.0, 0.5, -0.5], [-0.75, 1.0, 1.0]], np.float32)
NUMPY = SimpleNamespace(F=inplace_numpy.F, cat=inplace_numpy.cat)
RVISION = SimpleNamespace(F=F, cat=rvision.cat)


def picture(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def network(nn, function, lib):
    """Return a network of `nn`, rvision's or torch's, whose forward is `function(self, x, lib)`."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1, bias=False)
            self.relu = nn.ReLU(inplace=True)
            self.copying = nn.ReLU()
            self.relu6 = nn.ReLU6(inplace=True)
            self.silu = nn.SiLU(inplace=True)
            self.hardswish = nn.Hardswish(inplace=True)
            self.leaky = nn.LeakyReLU(0.1, inplace=True)
            self.hardtanh = nn.Hardtanh(-0.5, 0.5, inplace=True)
            self.dropout = nn.Dropout(0.5, inplace=True)
            self.identity = nn.Identity()
            self.head = nn.Sequential(nn.ReLU(inplace=True), self.conv)
            self.register_parameter("scale", None)

        def forward(self, x):
            return function(self, x, lib)

    return Network().eval()


def ours(function):
    net = network(nn, function, RVISION)
    net.conv.weight = WEIGHT[:, :, None, None]
    net.scale = nn.Parameter(np.arange(1, 4, dtype=np.float32).reshape(3, 1, 1))
    return net


def by_numpy(function, x):
    net = inplace_numpy.layers(WEIGHT)
    return arrays(function(net, x.copy().view(inplace_numpy.Array), NUMPY))


def by_torch(function, x):
    torch = pytest.importorskip("torch")
    torch_lib = SimpleNamespace(F=torch.nn.functional, cat=torch.cat)
    net = network(torch.nn, function, torch_lib)
    net.conv.weight = torch.nn.Parameter(torch.from_numpy(WEIGHT[:, :, None, None].copy()))
    net.scale = torch.nn.Parameter(torch.arange(1.0, 4.0).reshape(3, 1, 1))
    with torch.no_grad():
        return arrays(net(torch.from_numpy(x.copy())))


def arrays(result):
    """Return a result as a list of arrays."""
    if isinstance(result, dict):
        result = list(result.values())
    return [np.asarray(value) for value in (result if isinstance(result, list | tuple) else [result])]


def same(got, expected):
    got = arrays(got)
    assert [array.shape for array in got] == [array.shape for array in expected]
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("function", PATTERNS.values(), ids=PATTERNS)
def test_patterns_equal_memory_by_definition(function):
    net = ours(function)
    for seed, shape in enumerate([(2, 3, 4, 5), (1, 3, 4, 5), (3, 3, 2, 2)]):
        x = picture(*shape, seed=seed)
        kept = x.copy()
        same(net(x), by_numpy(function, x))
        assert np.array_equal(x, kept)  # a network does not write into what it is called with


@pytest.mark.parametrize("function", PATTERNS.values(), ids=PATTERNS)
def test_patterns_equal_torchs(function):
    net = ours(function)
    for seed, shape in enumerate([(1, 3, 3, 2), (2, 3, 4, 5), (3, 3, 2, 2)]):
        x = picture(*shape, seed=seed)
        same(net(x), by_torch(function, x))


# ---- refusals ----


def operand_is_larger(net, x, lib):
    y = x.mean((2, 3), True)
    y += x


def constant_is_larger(net, x, lib):
    y = x[:, :1]
    y += net.scale


def written_to_an_expanded(net, x, lib):
    y = x.mean((2, 3), True).expand_as(x)
    y += 1


def written_to_a_repeated_part(net, x, lib):
    net.relu(x[:, :1].expand(-1, 3, -1, -1)[:, :2])


def operand_overlaps(net, x, lib):
    x = net.conv(x)
    x += x[:, :1]


def operand_is_the_transposed(net, x, lib):
    x = net.conv(x)
    x += x.transpose(2, 3)


def written_to_a_parameter(net, x, lib):
    wide = net.scale.expand_as(net.scale + x.mean((0, 2, 3)).unflatten(0, (-1, 1, 1)))
    return wide.add_(1)


def order_not_known(net, x, lib):
    rows = net.conv(x).permute(0, 2, 3, 1).softmax(-1)
    flat = rows.flatten(1)
    flat += 1
    return rows


def order_not_known_and_the_other_way_round(net, x, lib):
    rows = net.conv(x).permute(0, 2, 3, 1).softmax(-1)
    flat = rows.contiguous()
    rows += 1
    return flat


def too_many_pieces(net, x, lib):
    y = lib.cat([x.flatten(2)] * 16, 2)
    y[..., ::2] += 1
    return y


def assigned(net, x, lib):
    x[:, 0] = net.conv(x)[:, 0]


def assigned_elsewhere(net, x, lib):
    x[:, 0] = x[:, 1]


def array_in_place(net, x, lib):
    total = np.zeros(3, np.float32)
    total += x


REFUSED = {
    operand_is_larger: (rvision.ShapeError, r"Network: add in place: an operand of shape \(2, 3, 3, 3\)"),
    constant_is_larger: (rvision.ShapeError, r"add in place: an operand of shape \(3, 1, 1\) does not fit"),
    written_to_an_expanded: (rvision.UnsupportedError, r"add in place: .*expanded.* use \.clone\(\) first"),
    written_to_a_repeated_part: (rvision.UnsupportedError, r"^relu: relu in place: .*expanded"),
    operand_overlaps: (rvision.UnsupportedError, r"may share memory .* use \.clone\(\) on it"),
    operand_is_the_transposed: (rvision.UnsupportedError, "may share memory"),
    order_not_known: (rvision.UnsupportedError, r"^Network: .* changed by add in place in Network: whether"),
    order_not_known_and_the_other_way_round: (rvision.UnsupportedError, r"use \.clone\(\) before"),
    too_many_pieces: (rvision.UnsupportedError, "every 2th of 144 elements"),
    assigned: (rvision.UnsupportedError, "assigning to a part of a value"),
    assigned_elsewhere: (rvision.UnsupportedError, "assigning to a part of a value"),
    array_in_place: (rvision.UnsupportedError, r"in place of a value on an array .*`a = a \+ x`"),
}


@pytest.mark.parametrize("function", REFUSED, ids=lambda function: function.__name__)
def test_what_cannot_be_done_in_place_says_why(function):
    error, message = REFUSED[function]
    with pytest.raises(error, match=message):
        ours(function)(picture(2, 3, 3, 3))


def test_a_parameter_is_not_written_to():
    class Token(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(np.ones((2, 3)))

        def forward(self, x):
            return self.change(x)

    net, x = Token(), picture(2, 3)
    net.change = lambda x: x.tracer.constant(net.token).relu_()
    with pytest.raises(rvision.UnsupportedError, match=r"Token: relu_ in place: .* change a parameter"):
        net(x)
    net.change = lambda x: F.relu(net.token, inplace=True) + x
    with pytest.raises(rvision.UnsupportedError, match="a Parameter that cannot be written to"):
        net(x)


def test_an_operand_of_another_type_is_an_error():
    with pytest.raises(TypeError, match="add_: expected a number, an array or a value, got str"):
        ours(lambda net, x, lib: x.add_("1"))(picture(1, 3, 1, 1))
    with pytest.raises(TypeError, match="unsupported operand"):
        ours(lambda net, x, lib: x.__iadd__("1"))(picture(1, 3, 1, 1)) + None


# ---- what a trace costs ----


def nodes_of(function, *shape):
    from rvision._trace import Tracer

    net = ours(function)
    tracer = Tracer({id(child): name for name, child in net.named_modules()}, "Network")
    net(tracer.input("x", shape, (False, True, False, False)))
    return [name for name, *_ in tracer.builder.nodes()][1:], tracer.size_bound


def test_nobody_pays_for_a_view_that_is_not_used_again():
    def forward(net, x, lib):
        flat = net.relu(net.conv(x).flatten(1))
        flat += 1
        return net.silu(flat.unsqueeze(0))

    names = ["conv", "flatten", "relu", "add", "unsqueeze", "silu"]
    assert nodes_of(forward, 2, 3, 4, 4) == (names, False)


def test_a_part_next_to_the_changed_one_is_left_alone():
    def forward(net, x, lib):
        parts = net.conv(x).unbind(1)
        parts[0].relu_()
        return parts[1] + parts[0]

    names, _ = nodes_of(forward, 2, 3, 4, 4)
    assert names[-2:] == ["relu_", "add"]


def test_nodes_that_bring_a_view_up_to_date_have_names_of_their_own():
    def forward(net, x, lib):
        x = net.conv(x)
        part = x[:, :2]
        net.relu(x)
        x[:, 2:] += 1
        return net.leaky(part), net.copying(x)

    names, bound = nodes_of(forward, 2, 3, 4, 4)
    assert names == [
        *("conv", "getitem", "relu", "getitem_1", "add"),
        *("leaky.write.part", "leaky.write", "leaky.getitem", "leaky"),
        *("copying.write.part", "copying.write", "copying"),
    ]
    assert not bound


def test_a_trace_is_bound_only_where_sizes_decide_what_is_shared():
    def shared(net, x, lib):
        part = net.conv(x)[:, :2]
        return part.flatten(), part

    def changed(net, x, lib):
        flat, part = shared(net, x, lib)
        part += 1
        return flat

    assert nodes_of(shared, 2, 3, 4, 4)[1] is False
    assert nodes_of(changed, 2, 3, 4, 4)[1] is True
    # With one picture `flatten` returns a view, with two a copy.
    net = ours(changed)
    for batch in (2, 1, 3, 1):
        x = picture(batch, 3, 4, 4, seed=batch)
        same(net(x), by_numpy(changed, x))


def test_a_value_of_size_one_in_another_run_does_not_take_the_operands_size():
    net = ours(lambda net, x, lib: x.__iadd__(np.ones((1, 3, 4, 4), np.float32)))
    assert net(picture(2, 3, 4, 4)).shape == (2, 3, 4, 4)
    with pytest.raises(rvision.ShapeError):
        net(picture(2, 3, 1, 1))


@pytest.mark.parametrize("layer", [False, True])
def test_sizes_of_another_run_do_not_broadcast_a_value_in_place(layer):
    class Net(rvision.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = rvision.nn.Conv2d(3, 3, 1)

        def forward(self, x, y):
            x = self.conv(x) if layer else x * 2
            x += y
            return x

    net = Net()
    assert net(picture(2, 3, 4, 4), picture(2, 3, 4, 4)).shape == (2, 3, 4, 4)
    assert net(picture(2, 3, 5, 5), picture(2, 3, 1, 5)).shape == (2, 3, 5, 5)
    with pytest.raises(rvision.ShapeError, match="in place"):
        net(picture(2, 3, 1, 5), picture(2, 3, 5, 5))


# ---- arrays ----


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("relu", ()),
        ("relu6", ()),
        ("leaky_relu", (0.2,)),
        ("hardtanh", (-0.3, 0.4)),
        ("hardswish", ()),
        ("hardsigmoid", ()),
        ("silu", ()),
        ("elu", (0.7,)),
        ("selu", ()),
        ("celu", (0.3,)),
        ("mish", ()),
    ],
)
def test_functions_write_into_an_array(name, arguments):
    x = picture(2, 3, 4)
    function = getattr(F, name)
    expected = function(x, *arguments)
    assert not np.shares_memory(expected, x)
    for call in (
        lambda y: function(y, *arguments, True),
        lambda y: function(y, *arguments, inplace=True),
        getattr(F, f"{name}_", None) and (lambda y: getattr(F, f"{name}_")(y, *arguments)),
    ):
        if call:
            y = x.copy()
            assert call(y) is y and np.array_equal(y, expected)
            part = np.stack([x, x], -1)[..., 1]  # an array may be a view itself
            assert call(part) is part and np.array_equal(part, expected)


def test_functions_of_the_package_write_into_an_array():
    for name in ("relu", "sigmoid", "tanh"):
        x = picture(3, 4)
        expected = getattr(rvision, name)(x)
        assert getattr(rvision, f"{name}_")(x) is x and np.array_equal(x, expected)


def test_dropout_in_place_returns_the_array():
    x = picture(2, 3)
    kept = x.copy()
    assert F.dropout(x, 0.5, False, True) is x and np.array_equal(x, kept)


def test_an_array_that_cannot_hold_the_result_is_refused():
    frozen = picture(2, 3)
    frozen.flags.writeable = False
    for array, found in [
        (np.ones(3), "an array of float64"),
        (frozen, "an array that cannot be written to"),
        (nn.Parameter(np.ones(3)), "a Parameter that cannot be written to"),
        ([1.0, -1.0], "list"),
    ]:
        for call in (lambda x: F.relu(x, inplace=True), F.relu_, rvision.relu_, rvision.sigmoid_):
            with pytest.raises(
                rvision.UnsupportedError, match=rf"expected a writable float32 .* got {found};"
            ):
                call(array)


def test_a_module_does_not_write_into_the_array_it_is_called_with():
    x = picture(2, 3, 4, 4)
    kept = x.copy()
    for module in (nn.ReLU(inplace=True), nn.SiLU(True), nn.Sequential(nn.Hardtanh(inplace=True))):
        assert not np.array_equal(module(x), kept)
        assert np.array_equal(x, kept)
