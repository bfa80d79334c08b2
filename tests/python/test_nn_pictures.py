"""Three dimensions: a batch of rows, one picture, or a value without a batch dimension."""

from __future__ import annotations

import numpy as np
import pytest
import rvision
from rvision import nn
from rvision.nn import functional as F


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def networks(nn, F, cat):
    """Return modules that use values of two to four dimensions in common ways."""

    class Spectrogram(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3)
            self.fc = nn.Linear(4, 2)

        def forward(self, x):  # (N, mel, time)
            return self.fc(self.conv(x.unsqueeze(1)).mean([2, 3]))

    class Normalised(Spectrogram):
        def forward(self, x):
            return super().forward((x - 0.5) / 2)

    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, 6, 2, 2)
            self.head = nn.Linear(6, 2)

        def forward(self, x):  # (N, L, C)
            return self.head(x.mean(1))

    class TokenBlock(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(6, 6, 3, padding=1, groups=6)

        def forward(self, x):
            n, _, c = x.shape
            return self.conv(x.transpose(1, 2).reshape(n, c, 2, 5)).flatten(2).transpose(1, 2)

    class Either(nn.Module):
        """Tokens or pictures."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 2, 2)

        def forward(self, x):
            if x.dim() == 4:
                x = self.conv(x).flatten(2).transpose(1, 2)
            return x.mean(1)

    class Inside(nn.Module):
        """A value without a batch dimension that is not the input."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)
            self.pool = nn.MaxPool2d(2, 1)

        def forward(self, x):  # (N, 3, H, W)
            first = self.conv(x[0])
            return self.pool(F.relu(first)), F.avg_pool2d(first, 2), F.adaptive_max_pool2d(first, 3)

    class Convolutions(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(
                nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 2, 1), nn.AdaptiveAvgPool2d(2)
            )

        def forward(self, x):
            return self.layers(x)

    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LocalResponseNorm(3)
            self.unused = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.norm(x)

    class Statistics(nn.Module):
        def forward(self, x):
            mean = (
                np.arange(3, dtype=np.float32)
                if F is not TORCH
                else TORCH_ARRAY(np.arange(3, dtype=np.float32))
            )
            return F.batch_norm(x, mean, mean + 1)

    return [Spectrogram, Normalised, Tokens, TokenBlock, Either, Inside, Convolutions, Rows, Statistics]


TORCH = TORCH_ARRAY = None
NAMES = [kind.__name__ for kind in networks(nn, F, rvision.cat)]
SHAPES = [(4, 10), (3, 6), (3, 10, 6), (6, 10, 6), (3, 7, 9), (2, 3, 8, 7), (1, 3, 6, 6), (5, 3, 10, 6)]


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_as_torch(number, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setitem(globals(), "TORCH", torch.nn.functional)
    monkeypatch.setitem(globals(), "TORCH_ARRAY", torch.from_numpy)
    theirs = networks(torch.nn, torch.nn.functional, torch.cat)[number]().eval()
    ours = networks(nn, F, rvision.cat)[number]()
    ours.load_state_dict(theirs.state_dict())
    compared = 0
    for shape in SHAPES:
        x = array(*shape)
        try:
            with torch.no_grad():
                expected = theirs(torch.from_numpy(x))
        except (RuntimeError, IndexError, ValueError):
            with pytest.raises((rvision.ShapeError, IndexError, ValueError)):
                ours(x)
            continue
        got = ours(x)
        pairs = zip(got, expected, strict=True) if isinstance(got, tuple) else [(got, expected)]
        for mine, their in pairs:
            assert mine.shape == tuple(their.shape), shape
            np.testing.assert_allclose(mine, their.numpy(), rtol=1e-4, atol=1e-5)
        compared += 1
    assert compared


# ---- without torch ----


def test_the_mean_over_tokens_is_not_that_over_the_batch():
    net = networks(nn, F, rvision.cat)[2]()
    x = array(3, 10, 6)
    expected = x.mean(1) @ net.head.weight.T + net.head.bias
    np.testing.assert_allclose(net(x), expected, rtol=1e-5, atol=1e-6)
    expected = x[:2, :4].mean(1) @ net.head.weight.T + net.head.bias
    np.testing.assert_allclose(net(x[:2, :4]), expected, rtol=1e-5, atol=1e-6)


def test_spectrograms_are_a_batch():
    net = networks(nn, F, rvision.cat)[0]()
    x = array(3, 10, 6)
    both = net(x)
    assert both.shape == (3, 2)
    for i in range(3):
        assert np.array_equal(net(x[i : i + 1]), both[i : i + 1])


@pytest.mark.parametrize(
    "front",
    [nn.Identity(), nn.ReLU(), nn.ZeroPad2d(1), nn.Dropout2d(), nn.BatchNorm2d(3), nn.MaxPool2d(1)],
    ids=lambda layer: type(layer).__name__,
)
def test_one_picture_through_a_network_that_begins_with_another_layer(front):
    net = nn.Sequential(front, nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    x = array(2, 3, 8, 7)
    batch = net(x)
    for size in (7, 5):
        one = net(x[1, :, :, :size])
        assert one.shape == (5,)
        assert np.array_equal(one, net(x[1:, :, :, :size])[0])
    assert np.array_equal(net(x[1]), batch[1])


def test_one_picture_that_forward_normalises():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", np.array([0.4, 0.5, 0.6]).reshape(3, 1, 1))
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

        def forward(self, x):
            x = (x - self.mean) / np.full((3, 1, 1), 0.25)
            x = F.relu(self.conv(2 * x + 1))
            return self.fc(x.mean([2, 3]))

    net, x = Net(), array(2, 3, 8, 7)
    assert np.array_equal(net(x[0]), net(x)[0])
    assert net(x[0]).shape == (5,)


def test_forward_is_run_once_for_pictures_of_all_sizes():
    count = np.zeros(1 << 15)  # too large to be compared at each call

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            count[0] += 1
            return self.conv(x).mean([2, 3])

    net = Net()
    for height in (5, 6, 9):
        assert net(array(3, height, 8)).shape == (4,)
    assert count[0] == 1
    (trace,) = net._links.traces
    assert trace.unbatched


def test_pictures_or_rows_by_their_size():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.conv(x).mean([-1, -2]) if x.shape[-1] > 6 else x.mean(1)

    net = Net()
    for _ in range(2):
        assert net(array(3, 5, 8)).shape == (4,)
        assert net(array(3, 5, 6)).shape == (3, 6)
        assert net(array(3, 9, 9)).shape == (4,)
        np.testing.assert_allclose(net(array(3, 5, 6)), array(3, 5, 6).mean(1), rtol=1e-5, atol=1e-6)


def test_inputs_with_and_without_a_batch_dimension():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x, y):
            return self.conv(x) + self.conv(y)

    two, x = Two(), array(2, 3, 4, 4)
    assert np.array_equal(two(x[0], x[1]), two(x[:1], x[1:])[0])
    with pytest.raises(rvision.ShapeError, match=r"^Two: got inputs with and without a batch dimension"):
        two(x[0], x)


def test_a_picture_beside_an_input_that_is_none():
    class Weighted(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x, weights):
            return (self.conv(x) * weights).mean([-2, -1])

    net, x, weights = Weighted(), array(3, 5, 6), array(5, 6)
    expected = (net.conv(x) * weights).mean((1, 2))
    np.testing.assert_allclose(net(x, weights), expected, rtol=1e-5, atol=1e-6)


def test_batch_norm_takes_batches_only_as_in_torch():
    net = type("Net", (nn.Module,), {"forward": lambda self, x: self.norm(x[0])})()
    net.norm = nn.BatchNorm2d(3)
    with pytest.raises(rvision.ShapeError, match=r"^norm: expected a 4-d input \(N, C, H, W\), got a 3-d"):
        net(array(2, 3, 4, 5))
    x, mean = array(2, 3, 5), np.array([1.0, 2.0, 3.0], np.float32)
    expected = (x - mean[:, None]) / np.sqrt(4 + 1e-5)
    np.testing.assert_allclose(F.batch_norm(x, mean, np.full(3, 4)), expected, rtol=1e-5)


def test_the_batch_dimension_of_a_layer_leaves_its_name():
    net = type("Net", (nn.Module,), {"forward": lambda self, x: self.conv(x[0])})()
    net.conv = nn.Conv2d(3, 4, 1)
    net(array(2, 3, 4, 5))
    names = net._links.traces[0].graph.node_names
    assert "conv" in names and "conv_1" not in names
    with pytest.raises(rvision.ShapeError, match=r"^conv: weight expects 3 input channels, got 2"):
        net(array(2, 2, 4, 5))


def test_summaries_of_one_picture_and_of_rows():
    spectrogram = networks(nn, F, rvision.cat)[0]()
    assert rvision.summary(spectrogram, (3, 10, 6)).rows[-1].output_shape == (3, 2)
    convolutions = networks(nn, F, rvision.cat)[6]()
    assert rvision.summary(convolutions, (3, 8, 8)).rows[0].output_shape == (1, 4, 6, 6)
    front = nn.Sequential(nn.ReLU(), nn.Conv2d(3, 4, 3))
    assert rvision.summary(front, (3, 8, 8)).rows[-1].output_shape == (1, 4, 6, 6)
