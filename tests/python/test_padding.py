"""Padding modes: against NumPy's definitions, against torch over all small sizes, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import rvision
from rvision import nn
from rvision.nn import functional as F

MODES = ("constant", "reflect", "replicate", "circular")
# NumPy's names of the same definitions, for paddings within torch's limits.
NUMPYS = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def numbers(*shape: int) -> np.ndarray:
    return np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)


def most(mode: str, size: int) -> int:
    return {"reflect": size - 1, "circular": size}.get(mode, 4)


@pytest.mark.parametrize("mode", MODES)
def test_all_small_paddings_are_as_defined(mode):
    for height, width in itertools.product((1, 2, 4), (1, 3)):
        x = numbers(2, 2, height, width)
        wide = most(mode, width)
        columns = {(0, 0), (wide, 0), (wide // 2, wide)}
        for top, bottom in itertools.product(range(most(mode, height) + 1), repeat=2):
            for left, right in columns:
                expected = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), NUMPYS[mode])
                assert np.array_equal(F.pad(x, (left, right, top, bottom), mode), expected)


@pytest.mark.parametrize("mode", MODES)
def test_paddings_and_refusals_are_torchs(mode):
    torch = pytest.importorskip("torch")
    for size, before, after in itertools.product((1, 2, 3, 4), range(-3, 6), range(-3, 6)):
        if mode == "circular" and max(before, after) > size + min(before, 0) + min(after, 0):
            continue  # torch reads what it has not yet written
        across = (size + before + after) % 2
        x = numbers(1, 2, *((2, size) if across else (size, 2)))
        pad = (before, after, 0, 1) if across else (0, 1, before, after)
        try:
            expected = torch.nn.functional.pad(torch.from_numpy(x), pad, mode).numpy()
        except RuntimeError:
            with pytest.raises((rvision.ArgumentError, rvision.ShapeError), match="pad"):
                F.pad(x, pad, mode)
        else:
            assert np.array_equal(F.pad(x, pad, mode), expected), (mode, size, pad)


@pytest.mark.parametrize("mode", MODES)
def test_dimensions_and_empty_batches_are_torchs(mode):
    torch = pytest.importorskip("torch")
    shapes = [
        (3,),
        (3, 4),
        (2, 3, 4),
        (2, 3, 3, 4),
        (1, 2, 2, 3, 4),
        (0, 2, 3, 4),
        (2, 0, 3, 4),
        (1, 2, 0, 4),
    ]
    for shape, count in itertools.product(shapes, range(5)):
        x, pad = numbers(*shape), (1, 0) * count
        try:
            expected = torch.nn.functional.pad(torch.from_numpy(x), pad, mode).numpy()
        except RuntimeError:  # NotImplementedError is one
            with pytest.raises((rvision.ArgumentError, rvision.ShapeError)):
                F.pad(x, pad, mode)
        else:
            assert np.array_equal(F.pad(x, pad, mode), expected), (shape, pad)


def test_what_padding_refuses_says_why():
    x = numbers(1, 2, 3, 4)
    for pad, mode, said in [
        ((0, 4, 0, 0), "reflect", r"less than the size 4 of dimension 3 of the input \(1, 2, 3, 4\)"),
        ((0, 0, 4, 0), "circular", "at most the size 3 of dimension 2"),
        ((-1, 4, 0, 0), "circular", "at most the size 3 of dimension 3"),
        ((1, 1), "reflect", "pads the last dimension of a 2-d or 3-d input"),
        ((1, 1, 1), "constant", "a pair for at most 4 dimensions"),
        ((-3, -2, 0, 0), "constant", r"at least 5 elements in dimension 3, of which 5 are cut off, got 4"),
        ((-2, -2, 0, 0), "replicate", r"at least 5 elements"),
    ]:
        with pytest.raises((rvision.ArgumentError, rvision.ShapeError), match=said):
            F.pad(x, pad, mode)
    with pytest.raises(rvision.ArgumentError, match="value is for mode 'constant' only"):
        F.pad(x, (1, 1, 1, 1), "reflect", 1.0)
    with pytest.raises(rvision.UnsupportedError, match="only constant, reflect, replicate, circular"):
        F.pad(x, (1, 1, 1, 1), "symmetric")
    with pytest.raises(rvision.ArgumentError, match="padding_mode must be one of zeros, reflect"):
        nn.Conv2d(1, 1, 3, padding_mode="constant")
    with pytest.raises(rvision.ArgumentError, match="an integer or four of them"):
        nn.ReflectionPad2d((1, 2))
    with pytest.raises(TypeError, match="value must be a number"):
        nn.ConstantPad2d(1, "x")


def test_one_trace_pads_every_size():
    layer = nn.Sequential(
        nn.ReflectionPad2d((2, 1, 0, 3)), nn.CircularPad2d(1), nn.ReplicationPad2d((0, 9, 0, 0))
    )
    for height, width in ((4, 3), (7, 5), (4, 3)):
        x = numbers(1, 3, height, width)
        expected = np.pad(x, ((0, 0), (0, 0), (0, 3), (2, 1)), "reflect")
        expected = np.pad(expected, ((0, 0), (0, 0), (1, 1), (1, 1)), "wrap")
        expected = np.pad(expected, ((0, 0), (0, 0), (0, 0), (0, 9)), "edge")
        assert np.array_equal(layer(x), expected)
        assert np.array_equal(layer(x[0]), expected[0])
    with pytest.raises(rvision.ArgumentError, match=r"0: padding must be less than the size 2"):
        layer(numbers(1, 3, 4, 2))


def test_negative_padding_follows_the_size():
    class Net(nn.Module):
        def forward(self, x):
            y = F.pad(x, (-1, 0, 0, -2))
            y += 1  # a tensor of its own, in torch too
            return x + F.pad(y, (0, 1, 2, 0)), F.pad(x, (0, -1, 1, 0), "reflect")

    net = Net()
    for size in (3, 5, 4):
        x = numbers(1, 1, size, size)
        cut = np.pad(x[..., :-2, 1:] + 1, ((0, 0), (0, 0), (2, 0), (0, 1)))
        found, reflected = net(x)
        assert np.array_equal(found, x + cut)
        assert np.array_equal(reflected, np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)), "reflect")[..., :-1])
    with pytest.raises(rvision.ShapeError, match=r"at least 2 elements in dimension 2.*, got 1"):
        net(numbers(1, 1, 1, 3))


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_one_trace_cuts_both_dimensions(mode):
    # Both cuts read a size: the trace must not serve pictures of another height or width.
    class Net(nn.Module):
        def forward(self, x):
            return F.pad(x, (-1, 0, 0, -2), mode)

    net = Net()
    for height, width in ((6, 8), (6, 4), (7, 4), (5, 3), (6, 8)):
        x = numbers(2, 3, height, width)
        assert np.array_equal(net(x), x[..., :-2, 1:])
        assert np.array_equal(net(x[0]), x[0, :, :-2, 1:])


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_a_convolution_pads_by_its_mode(mode):
    layer = nn.Conv2d(3, 4, 3, padding=(1, 2), stride=2, padding_mode=mode)
    plain = nn.Conv2d(3, 4, 3, stride=2)
    plain.load_state_dict(layer.state_dict())
    for shape in ((2, 3, 5, 6), (1, 3, 4, 9), (3, 6, 5)):
        x = numbers(*shape) / 100
        expected = plain(F.pad(x, (2, 2, 1, 1), mode))
        assert np.array_equal(layer(x), expected)
        assert np.array_equal(layer.forward(x), expected)
    assert repr(layer) == (
        f"Conv2d(3, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 2), padding_mode={mode})"
    )

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = layer

        def forward(self, x):
            return self.stem(x)

    names = [row.name for row in rvision.summary(Net(), (1, 3, 8, 8)).rows]
    assert "stem" in names


def test_a_classifier_with_a_padding_mode_has_no_dense_form():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    with pytest.raises(rvision.UnsupportedError, match="padding with the map's own values"):
        rvision.convolutionize(network, 8)
