"""Methods of a network's values that move, repeat and reduce, against NumPy's definitions and torch."""

from __future__ import annotations

import numpy as np
import pytest
import rvision
from rvision import nn


def numbers(*shape: int) -> np.ndarray:
    values = np.arange(np.prod(shape), dtype=np.float32) * 7919 % 31 / 8 - 1.5
    return values.astype(np.float32).reshape(shape)


def network(function):
    class Net(nn.Module):
        def forward(self, x):
            return function(x)

    return Net()


# Name: the method, the same of a NumPy array, and the shape of an input whose sizes then vary.
CASES = {
    "repeat": (lambda x: x.repeat(1, 2, 1, 3), lambda x: np.tile(x, (1, 2, 1, 3)), (2, 3, 2, 4)),
    "repeat a sequence": (lambda x: x.repeat((2, 2)), lambda x: np.tile(x, (2, 2)), (3, 2)),
    "repeat once": (lambda x: x.repeat(1, 1), lambda x: x, (3, 2)),
    "repeat new dimensions": (lambda x: x.repeat(2, 3, 1, 2), lambda x: np.tile(x, (2, 3, 1, 2)), (3, 2)),
    "repeat single values": (
        lambda x: x.mean(1, keepdim=True).repeat(1, 4, 2),
        lambda x: np.tile(x.mean(1, keepdims=True), (1, 4, 2)),
        (3, 2, 2),
    ),
    "repeat not at all": (lambda x: x.repeat(2, 0), lambda x: np.tile(x, (2, 0)), (3, 2)),
    "repeat by a size": (
        lambda x: x[:1].repeat(x.shape[0], 1),
        lambda x: np.tile(x[:1], (x.shape[0], 1)),
        (3, 2),
    ),
    "tile": (lambda x: x.tile((2,)), lambda x: np.tile(x, (2,)), (2, 3)),
    "tile by more": (lambda x: x.tile(2, 1, 2), lambda x: np.tile(x, (2, 1, 2)), (2, 3)),
    "squeeze": (lambda x: x[:1].squeeze(), lambda x: x[:1].squeeze(), (2, 3)),
    "squeeze one": (lambda x: x[:, :1].squeeze(1), lambda x: x[:, 0], (2, 3, 4)),
    "squeeze none": (lambda x: x.squeeze(1), lambda x: x, (2, 3, 4)),
    "squeeze several": (
        lambda x: x[:, :1, :, :1].squeeze((1, -1, 0)),
        lambda x: x[:, 0, :, 0],
        (2, 3, 4, 5),
    ),
    "split": (lambda x: x.split(2, 1)[-1], lambda x: x[:, (x.shape[1] - 1) // 2 * 2 :], (2, 3)),
    "split by sizes": (
        lambda x: x.split([1, x.shape[0] - 1])[1],
        lambda x: x[1:],
        (3, 2),
    ),
    "chunk": (lambda x: x.chunk(2, -1)[1], lambda x: x[..., -(-x.shape[-1] // 2) :], (2, 3)),
    "unbind": (lambda x: x.unbind(1)[-1], lambda x: x[:, -1], (2, 3)),
    "expand": (lambda x: x[:, :1].expand(-1, 5), lambda x: np.repeat(x[:, :1], 5, 1), (2, 3)),
    "expand new": (lambda x: x.expand(4, -1, -1), lambda x: np.stack([x] * 4), (2, 3)),
    "sum": (lambda x: x.sum((0, -1)), lambda x: x.sum((0, -1)), (2, 3, 4)),
    "amax": (lambda x: x.amax(-1, keepdim=True), lambda x: x.max(-1, keepdims=True), (2, 3, 4)),
    "amin": (lambda x: x.amin((0, 1)), lambda x: x.min((0, 1)), (2, 3, 4)),
    "max along": (lambda x: x.max(1)[0], lambda x: x.max(1), (2, 3, 4)),
    "max along, named": (
        lambda x: x.max(dim=-1, keepdim=True).values,
        lambda x: x.max(-1, keepdims=True),
        (2, 3, 4),
    ),
    "min along, taken apart": (lambda x: first(*x.min(0)), lambda x: x.min(0), (2, 3, 4)),
    "abs": (lambda x: x.abs(), np.abs, (2, 3)),
    "sqrt": (lambda x: (x * x).sqrt(), np.abs, (2, 3)),
    "exp": (lambda x: x.exp(), np.exp, (2, 3)),
    "pow": (lambda x: x.pow(2) + x**3, lambda x: x**2 + x**3, (2, 3)),
}


def first(values, indices):
    return values


@pytest.mark.parametrize("name", CASES)
def test_methods_are_as_numpy_defines_them_at_several_sizes(name):
    function, definition, shape = CASES[name]
    net = network(function)
    for more in (0, 2, 1, 0):
        x = numbers(*(size + more for size in shape))
        expected = definition(x)
        found = net(x)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=3e-6, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_methods_are_torchs_at_several_sizes(name):
    torch = pytest.importorskip("torch")
    function, _, shape = CASES[name]
    net = network(function)
    for more in (0, 2, 1):
        x = numbers(*(size + more for size in shape))
        expected = function(torch.from_numpy(x)).numpy()
        found = net(x)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=3e-6, atol=1e-6)


def test_what_is_repeated_is_a_copy():
    def function(x):
        y = x.repeat(1, 1)
        y += 1
        z = x[:, :1].repeat(1, 2)
        z *= 2
        return x, y, z

    x = numbers(2, 3)
    same, more, twice = network(function)(x)
    assert np.array_equal(same, x) and np.array_equal(more, x + 1)
    assert np.array_equal(twice, np.tile(x[:, :1], 2) * 2)


def test_a_parameter_is_repeated_as_torchs():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(numbers(1, 2, 3))

        def forward(self, x):
            fixed = self.token.repeat(2, 1, 1)
            return rvision.cat([self.token.repeat(x.shape[0], 1, 1), x], 1), fixed + x[:1]

    net = Net()
    for batch in (2, 5):
        x = numbers(batch, 2, 3)
        joined, added = net(x)
        assert np.array_equal(joined, np.concatenate([np.tile(net.token.data, (batch, 1, 1)), x], 1))
        assert np.array_equal(added, np.tile(net.token.data, (2, 1, 1)) + x[:1])
    # NumPy's meaning, where it has one.
    assert np.array_equal(net.token.repeat(2, 1), np.repeat(net.token.data, 2, 1))
    assert np.array_equal(net.token.repeat(2, axis=2), np.repeat(net.token.data, 2, 2))


def test_indices_are_refused_where_they_are_used():
    for use in (
        lambda x: x.max(1).indices + 1,
        lambda x: x.min(1)[1].float(),
        lambda x: x * x.max(1)[1],
    ):
        with pytest.raises(rvision.UnsupportedError, match="indices of the largest or smallest values"):
            network(use)(numbers(2, 3))
    values, indices = rvision.max(numbers(2, 3), 1)
    assert np.array_equal(values, numbers(2, 3).max(1)), "of arrays there are indices"
    assert np.array_equal(indices, numbers(2, 3).argmax(1))


def test_what_methods_refuse_says_why():
    for function, error, said in [
        (lambda x: x.repeat(2), rvision.ShapeError, r"at least one number for each of the 2 dimensions"),
        (lambda x: x.repeat(2, -1), rvision.ArgumentError, "repeat"),
        (lambda x: x.repeat(2, 1.5), TypeError, "repeat"),
        (lambda x: x.squeeze((0, -2)), rvision.ArgumentError, "stands twice"),
        (lambda x: x.squeeze(2), rvision.ShapeError, "out of range"),
        (lambda x: x.max(2), rvision.ShapeError, "out of range"),
    ]:
        with pytest.raises(error, match=said):
            network(function)(numbers(2, 3))


def test_functions_of_arrays_and_symbols():
    x, y = numbers(2, 3), numbers(2, 3)[::-1]
    cases = [
        (lambda x, y: rvision.sub(x, y), x - y),
        (lambda x, y: rvision.sub(1, x), 1 - x),
        (lambda x, y: rvision.div(x, 4), x / 4),
        (lambda x, y: rvision.pow(x, 2), x**2),
        (lambda x, y: rvision.pow(2, x), 2**x),
        (lambda x, y: rvision.maximum(x, y), np.maximum(x, y)),
        (lambda x, y: rvision.minimum(x, y), np.minimum(x, y)),
        (lambda x, y: rvision.max(x, y), np.maximum(x, y)),
        (lambda x, y: rvision.min(x, other=y), np.minimum(x, y)),
        (lambda x, y: rvision.max(x), x.max()),
        (lambda x, y: rvision.max(x, dim=0)[0], x.max(0)),
        (lambda x, y: rvision.min(x, 1, keepdim=True).values, x.min(1, keepdims=True)),
        (lambda x, y: rvision.amax(x, (0, 1)), x.max()),
        (lambda x, y: rvision.amin(x, 0), x.min(0)),
        (lambda x, y: rvision.sum(x, 1), x.sum(1)),
        (lambda x, y: rvision.abs(x), np.abs(x)),
        (lambda x, y: rvision.exp(x), np.exp(x)),
        (lambda x, y: rvision.log(rvision.exp(x)), x),
        (lambda x, y: rvision.sqrt(rvision.mul(x, x)), np.abs(x)),
        (lambda x, y: rvision.clamp(x, max=0.5), np.minimum(x, 0.5)),
        (lambda x, y: rvision.squeeze(rvision.unsqueeze(x, 1), 1), x),
        (lambda x, y: rvision.tile(x, (2,)), np.tile(x, 2)),
        (lambda x, y: rvision.stack([x, y], -1), np.stack([x, y], -1)),
    ]
    for function, expected in cases:

        class Net(nn.Module):
            def __init__(self, function):
                super().__init__()
                self.function = function

            def forward(self, x, y):
                return self.function(x, y)

        np.testing.assert_allclose(function(x, y), expected, rtol=3e-6, atol=1e-6)
        np.testing.assert_allclose(Net(function)(x, y), expected, rtol=3e-6, atol=1e-6)


def test_clamp_takes_none_for_no_limit():
    x = np.array([-2, 0.5, 3], np.float32)
    assert np.array_equal(rvision.clamp(x, None, 1), [-2, 0.5, 1])
    assert np.array_equal(rvision.clamp(x, 0, None), [0, 0.5, 3])
    assert np.array_equal(network(lambda x: x.clamp(None, 1.0))(x), [-2, 0.5, 1])
    assert np.array_equal(network(lambda x: (x * 1).clamp_(min=0, max=None))(x), [0, 0.5, 3])
