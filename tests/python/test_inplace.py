"""Operations in place change what every name of a value sees, as in torch.

The same functions run on symbols of rvision, on NumPy arrays with torch's methods (`inplace_numpy.py`, whose
views share memory by definition) and, where it is installed, on torch's tensors.
"""

from __future__ import annotations

from types import SimpleNamespace

import inplace_numpy
import numpy as np
import pytest
import rvision
from rvision.nn import functional as F

nn = rvision.nn

WEIGHT = np.array([[0.5, -1.0, 0.25], [1.0, 0.5, -0.5], [-0.75, 1.0, 1.0]], np.float32)
NUMPY = SimpleNamespace(F=inplace_numpy.F, cat=inplace_numpy.cat, roll=np.roll)
RVISION = SimpleNamespace(F=F, cat=rvision.cat, roll=rvision.roll)


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
    torch_lib = SimpleNamespace(F=torch.nn.functional, cat=torch.cat, roll=torch.roll)
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


# ---- patterns ----

PATTERNS = {}


def pattern(function):
    PATTERNS[function.__name__] = function
    return function


@pattern
def activation_at_the_head_of_a_block(net, x, lib):
    x = net.conv(x)
    return net.conv(net.relu(x)) + x


@pattern
def activation_that_is_not_in_place(net, x, lib):
    x = net.conv(x)
    return net.conv(net.copying(x)) + x


@pattern
def result_dropped(net, x, lib):
    x = net.conv(x)
    net.relu(x)
    return net.conv(x)


@pattern
def sum_while_another_name_holds_it(net, x, lib):
    x = net.conv(x)
    identity = x
    x += net.conv(x)
    return x + identity


@pattern
def difference_product_and_quotient(net, x, lib):
    a = net.conv(x)
    b = a
    a -= x
    a *= 1.5
    a /= 0.5
    a *= x
    return b, net.conv(b)


@pattern
def features_in_a_list(net, x, lib):
    features = [net.conv(x)]
    features.append(net.conv(lib.F.relu(features[0], inplace=True)))
    features.append(net.conv(net.relu(lib.cat(features, 1)[:, :3])))
    return lib.cat(features, 1)


@pattern
def features_in_a_dict(net, x, lib):
    features = {"a": net.conv(x)}
    features["b"] = net.relu6(features["a"])
    features["b"] += 1
    return features


@pattern
def values_in_an_object(net, x, lib):
    state = SimpleNamespace(x=net.conv(x))
    kept = state.x
    state.x += 2
    return kept, state.x


@pattern
def residual_block(net, x, lib):
    identity = x
    out = net.relu(net.conv(x))
    out = net.conv(out)
    out += identity
    return net.relu(out)


@pattern
def shortcut_from_an_input_in_place(net, x, lib):
    out = net.head(x)
    out += x
    return out


@pattern
def input_kept_by_the_caller_of_a_sequential(net, x, lib):
    x = net.conv(x)
    y = net.head(x)
    return y + x


@pattern
def input_symbol_changed(net, x, lib):
    y = x
    x *= 2
    x.relu_()
    return y, net.conv(y)


@pattern
def returned_and_changed_later(net, x, lib):
    x = net.conv(x)
    results = [x, net.conv(x)]
    x.relu_()
    return results


@pattern
def same_value_twice(net, x, lib):
    x = net.conv(x)
    y = net.relu(x)
    return x, y, x


@pattern
def sum_with_itself(net, x, lib):
    x = net.conv(x)
    y = x
    x += x
    x *= x
    return y


@pattern
def with_a_parameter(net, x, lib):
    x = net.conv(x)
    y = x
    x *= net.scale
    x += net.scale
    return y


@pattern
def with_scalars(net, x, lib):
    x = net.conv(x)
    y = x
    x += 1
    x -= np.float32(0.5)
    x *= 2
    x /= 4
    return x, y


@pattern
def methods(net, x, lib):
    x = net.conv(x)
    y = x.add_(1).mul_(x).sub_(0.5).div_(2.0).add_(x, alpha=0.5).sub_(1, alpha=2)
    z = net.conv(x)
    return y, z, z.sigmoid_().tanh_().clamp_(0.1, 0.6), x.clamp_(min=-0.2)


@pattern
def functions(net, x, lib):
    values = [net.conv(x) for _ in range(6)]
    kept = list(values)
    lib.F.relu(values[0], True)
    lib.F.relu6(values[1], inplace=True)
    lib.F.leaky_relu(values[2], 0.2, True)
    lib.F.hardtanh(values[3], -0.3, 0.3, True)
    lib.F.hardswish(values[4], inplace=True)
    lib.F.silu(values[5], inplace=True)
    return kept


@pattern
def layers(net, x, lib):
    values = [net.conv(x) for _ in range(6)]
    names = ("relu", "relu6", "silu", "hardswish", "leaky", "hardtanh")
    for name, value in zip(names, values, strict=True):
        getattr(net, name)(value)
    return values


@pattern
def identity_and_dropout_are_their_input(net, x, lib):
    x = net.conv(x)
    y = net.identity(net.dropout(lib.F.dropout(x, 0.5, False)))
    y += 1
    x *= 2
    return x, y


@pattern
def detach_and_float_are_their_input(net, x, lib):
    x = net.conv(x)
    x.detach().relu_()
    x.float().add_(1)
    return x


@pattern
def clone_is_a_copy(net, x, lib):
    x = net.conv(x)
    y = x.clone()
    x.relu_()
    z = y.clone()
    y -= 1
    return x, y, z


@pattern
def slice_then_the_whole(net, x, lib):
    x = net.conv(x)
    part = x[:, :2]
    x.relu_()
    return part, part + x[:, 1:]


@pattern
def part_then_the_whole(net, x, lib):
    x = net.conv(x)
    part = x[:, 1:2]
    part *= 3
    return net.conv(x)


@pattern
def part_read_before_and_after(net, x, lib):
    x = net.conv(x)
    part = x[:, 1]
    before = part * 1
    net.relu(x)
    after = part * 1
    part += 5
    return before, after, x


@pattern
def one_of_the_chunks(net, x, lib):
    x = net.conv(x)
    a, b = x.chunk(2, 1)
    a.relu_()
    return lib.cat([b, a], 1), x


@pattern
def all_parts_of_a_split(net, x, lib):
    x = net.conv(x)
    for number, part in enumerate(x.split(1, 1)):
        part += number
        net.relu(part)
    return x


@pattern
def unbound_parts(net, x, lib):
    x = net.conv(x)
    parts = x.unbind(1)
    parts[0].add_(parts[1])
    parts[2].mul_(parts[0])
    return x, parts[1], parts[2]


@pattern
def flattened_then_activated(net, x, lib):
    x = net.conv(x)
    flat = x.flatten(1)
    net.relu(flat)
    return x, flat


@pattern
def whole_after_flatten(net, x, lib):
    x = net.conv(x)
    flat = x.flatten(2)
    x += 1
    return flat, x.flatten(1)


@pattern
def reshaped_and_viewed(net, x, lib):
    x = net.conv(x)
    a = x.reshape(x.shape[0], -1)
    b = a.view(a.shape[0], 3, -1)
    b.relu_()
    a -= 1
    return x, a, b


@pattern
def permuted(net, x, lib):
    x = net.conv(x)
    last = x.permute(0, 2, 3, 1)
    last.relu_()
    x += 1
    return x, last


@pattern
def transposed(net, x, lib):
    x = net.conv(x).flatten(2)
    rows = x.transpose(1, 2)
    rows[:, :, 0] += 1
    rows[:, 1] *= 2
    return x, rows


@pattern
def copy_of_a_permuted(net, x, lib):
    x = net.conv(x)
    rows = x.flatten(2).transpose(1, 2).contiguous()
    rows.relu_()
    x -= 1
    return x, rows


@pattern
def flattened_copy_of_a_permuted(net, x, lib):
    x = net.conv(x)
    flat = x.permute(0, 2, 3, 1).flatten(1)
    flat.relu_()
    x -= 1
    return x, flat


@pattern
def view_of_a_permuted_part(net, x, lib):
    x = net.conv(x)
    flat = x.permute(0, 2, 3, 1).flatten(1, 2)
    flat.relu_()
    x -= 1
    return x, flat


@pattern
def contiguous_is_its_input(net, x, lib):
    x = net.conv(x)
    x.contiguous().relu_()
    return x


@pattern
def squeezed_and_unsqueezed(net, x, lib):
    x = net.conv(x).mean((2, 3), True)
    x.squeeze(-1).squeeze(-1).relu_()
    x.unsqueeze(0).mul_(3)
    return x


@pattern
def unflattened(net, x, lib):
    x = net.conv(x)
    groups = x.unflatten(1, (3, 1))
    groups[:, 1] += 1
    groups.relu_()
    return x, groups


@pattern
def expanded_after_a_write(net, x, lib):
    x = net.conv(x)
    mean = x.mean((2, 3), True)
    wide = mean.expand_as(x)
    mean += 1
    return x + wide, mean.expand(-1, -1, 2, -1)


@pattern
def strided_slices(net, x, lib):
    x = net.conv(x)
    x[:, :, ::2] += 1
    x[:, ::2, 1:] *= 2
    return x


@pattern
def views_of_views(net, x, lib):
    x = net.conv(x)
    a = x[:, 1:]
    b = a[:, :, 1:]
    c = b.permute(0, 2, 3, 1)[:, :, 0]
    c += 1
    a.relu_()
    b -= 0.5
    return x, a, b, c


@pattern
def items_changed_where_they_are(net, x, lib):
    x = net.conv(x)
    y = x
    x[:, 0] += x[:, 1]
    x[..., -1] *= 2
    x[:, 1:, None] -= 1
    x[:] /= 2
    x[:, 2] = x[:, 2].relu_()
    return y


@pattern
def dense_block(net, x, lib):
    features = [net.conv(x)]
    for _ in range(3):
        joint = lib.cat(features, 1)
        net.relu(joint)
        features.append(net.conv(joint[:, -3:]))
    return lib.cat(features, 1)


@pattern
def dense_block_that_activates_its_features(net, x, lib):
    features = [net.conv(x)]
    for _ in range(3):
        features.append(net.conv(net.relu(features[-1])))
    return lib.cat(features, 1)


@pattern
def helpers_that_change_their_argument(net, x, lib):
    def normalise(value):
        value -= 0.25
        value *= 4

    x = net.conv(x)
    y = net.identity(x)
    normalise(y[:, :2])
    return x, y


@pattern
def loop_over_one_accumulator(net, x, lib):
    total = net.conv(x)
    kept = [total]
    for _ in range(3):
        total += net.conv(total)
        kept.append(total)
    return kept


@pattern
def accumulator_made_by_a_sum(net, x, lib):
    total = 0
    for _ in range(3):
        total += net.conv(x)
    return total


@pattern
def batch_in_front(net, x, lib):
    x = net.conv(x)
    first = x[:1]
    first += 1
    return x, first.flatten()


@pattern
def overwritten_before_it_is_read(net, x, lib):
    x = net.conv(x)
    part, flat = x[:, :1], x.flatten(1)
    part += 1
    flat.relu_()
    part *= 2
    return x, flat, part


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
    too_many_pieces: (rvision.UnsupportedError, "every 2th of 144 places"),
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
