"""Transposed convolutions compute what torch's do: by their definition, and live."""

from __future__ import annotations

import random

import numpy as np
import pytest
import rvision
from rvision import nn
from rvision.nn import functional as F


def uniform(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def by_definition(x, weight, bias, stride, padding, output_padding, groups, dilation):
    """Each input pixel adds its value times the kernel, in float64."""
    n, channels, *size = x.shape
    _, depth, *kernel = weight.shape
    whole = [(i - 1) * s + d * (k - 1) + 1 for i, s, d, k in zip(size, stride, dilation, kernel, strict=True)]
    # Output padding may be beyond the last kernel.
    full = np.zeros((n, depth * groups, *(w + o for w, o in zip(whole, output_padding, strict=True))))
    inputs = channels // groups
    for group in range(groups):
        part = x[:, group * inputs : (group + 1) * inputs].astype(np.float64)
        kernels = weight[group * inputs : (group + 1) * inputs].astype(np.float64)
        sums = full[:, group * depth : (group + 1) * depth]
        for y, z in np.ndindex(*kernel):
            top, left = y * dilation[0], z * dilation[1]
            to = sums[:, :, top:, left:][:, :, :: stride[0], :: stride[1]][:, :, : size[0], : size[1]]
            to += np.einsum("nchw,co->nohw", part, kernels[:, :, y, z])
    if bias is not None:
        full += bias.astype(np.float64).reshape(-1, 1, 1)
    height, width = full.shape[2:]
    return full[:, :, padding[0] : height - padding[0], padding[1] : width - padding[1]]


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, dict]:
    """Return input, weight, bias and attributes of a random transposed convolution that has an output."""
    draw = random.Random(seed)
    while True:
        pair = lambda low, high: (draw.randint(low, high), draw.randint(low, high))  # noqa: E731
        kernel, stride, dilation, padding = pair(1, 5), pair(1, 3), pair(1, 3), pair(0, 4)
        more = tuple(draw.randrange(max(s, d)) for s, d in zip(stride, dilation, strict=True))
        size = pair(1, 9)
        axes = zip(size, kernel, stride, padding, more, dilation, strict=True)
        if all((i - 1) * s - 2 * p + d * (k - 1) + o + 1 > 0 for i, k, s, p, o, d in axes):
            break
    groups = draw.choice([1, 1, 1, 2, 3, 8, 19])
    inputs, outputs = draw.choice([1, 2, 3, 5, 8, 17]), draw.choice([1, 2, 3, 8, 9, 20])
    if draw.random() < 0.3:
        inputs = outputs = 1
    x = uniform((draw.randint(1, 3), groups * inputs, *size), seed)
    weight = uniform((groups * inputs, outputs, *kernel), seed + 1)
    bias = uniform((groups * outputs,), seed + 2) if draw.random() < 0.7 else None
    attributes = {
        "stride": stride,
        "padding": padding,
        "output_padding": more,
        "groups": groups,
        "dilation": dilation,
    }
    return x, weight, bias, attributes


def assert_close(found, expected) -> None:
    # Winograd's kernels, which compute 3x3 and 5x5 at stride 1, are exact to a few millionths.
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_random_ones_compute_their_definition(first):
    for seed in range(first, first + 20):
        x, weight, bias, attributes = drawn(seed)
        found = F.conv_transpose2d(x, weight, bias, **attributes)
        assert_close(found, by_definition(x, weight, bias, **attributes))


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_random_ones_compute_what_torchs_do(first):
    torch = pytest.importorskip("torch")
    for seed in range(first, first + 20):
        x, weight, bias, attributes = drawn(seed)
        given = [None if value is None else torch.from_numpy(value).double() for value in (x, weight, bias)]
        expected = torch.nn.functional.conv_transpose2d(*given, **attributes).numpy()
        assert_close(F.conv_transpose2d(x, weight, bias, **attributes), expected)


# Channels, size, kernel, stride, padding of layers of known networks: U-Net's, DCGAN's, a pose head's, a
# bilinear one's, a decoder's of patches.
TYPICAL = [
    (24, 20, (5, 7), 2, 2, 0, 1),
    (40, 33, (4, 4), 4, 2, 1, 1),
    (33, 16, (8, 6), 4, 2, 1, 1),
    (19, 19, (6, 5), 4, 2, 1, 19),
    (24, 3, (3, 4), 8, 8, 0, 1),
    (100, 24, (1, 1), 4, 1, 0, 1),
]


@pytest.mark.parametrize("layer", TYPICAL)
@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_typical_layers(layer, half):
    inputs, outputs, size, kernel, stride, padding, groups = layer
    conv = nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, groups=groups)
    conv.weight = uniform(conv.weight.shape, 5) / 8
    conv.bias = uniform((outputs,), 6)
    if half:
        conv.half()
        assert conv.weight.dtype == np.float16
    x = uniform((2, inputs, *size), 7)
    weight, bias = (np.asarray(value, np.float32) for value in (conv.weight, conv.bias))
    expected = by_definition(
        x, weight, bias, conv.stride, conv.padding, conv.output_padding, groups, conv.dilation
    )
    assert_close(conv(x), expected)
    assert np.array_equal(conv(x[0]), conv(x)[0])
    assert np.array_equal(conv(x[1:]), conv(x)[1:])


def test_sizes_may_change_from_call_to_call():
    conv = nn.ConvTranspose2d(5, 6, 3, stride=2, padding=1, output_padding=1)
    for size in [(4, 5), (1, 1), (7, 3), (4, 5), (20, 31)]:
        x = uniform((1, 5, *size), 1)
        weight, bias = np.asarray(conv.weight), np.asarray(conv.bias)
        assert_close(conv(x), by_definition(x, weight, bias, (2, 2), (1, 1), (1, 1), 1, (1, 1)))


def test_packed_weights_are_shared_by_sizes():
    """The parts of a weight are packed once for one algorithm, for any sizes of the input."""
    conv = nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1, bias=False)
    for size in (9, 10, 17, 31):
        conv(uniform((1, 32, size, size + 1), 1))
    forms = conv.weight._handle.forms()
    assert len(forms) == 4 and sum(size for _, size in forms) == conv.weight.size


def unet(nn, cat):
    """Return a level of a U-Net with a head, of torch's modules or ours."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(3, 12, 3, stride=2, padding=1)
            self.up = nn.ConvTranspose2d(12, 6, 2, stride=2)
            self.lift = nn.ConvTranspose2d(12, 3, 2, stride=2, bias=False)
            self.head = nn.Sequential(
                nn.ConvTranspose2d(9, 10, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(10),
                nn.ReLU(inplace=True),
                nn.ConvTranspose2d(10, 10, 4, stride=2, padding=1, groups=10, bias=False),
            )
            self.side = nn.ConvTranspose2d(9, 10, 3, stride=4, padding=1, output_padding=3)

        def forward(self, x):
            down = self.down(x)
            joined = cat([self.up(down), (self.lift(down) + x).relu()], 1)
            # A sum after a layer some of whose output pixels see nothing of its input, and the reverse.
            return self.head(joined) + self.side(joined).relu(), self.side(joined) + self.head(joined)

    return Net()


def test_a_network_of_them_is_torchs():
    torch = pytest.importorskip("torch")
    ours, theirs = unet(nn, rvision.cat), unet(torch.nn, torch.cat)
    theirs.eval()
    with torch.no_grad():
        norm = theirs.head[1]
        for seed, value in enumerate((norm.weight, norm.bias, norm.running_mean, norm.running_var)):
            value.copy_(torch.from_numpy(uniform((10,), seed) / 4 + (seed != 2)))
    ours.load_state_dict(theirs.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.eval()
    theirs.double()
    for size in [(8, 6), (16, 16), (4, 30)]:
        x = uniform((2, 3, *size), 9)
        with torch.no_grad():
            expected = theirs(torch.from_numpy(x).double())
        for found, wanted in zip(ours(x), expected, strict=True):
            assert_close(found, wanted.numpy())


def test_the_block_of_generators_is_one_layer():
    """Batch norm and activation are the epilogue of every phase, not passes over memory."""
    block = nn.Sequential(nn.ConvTranspose2d(6, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    block.eval()
    norm = block[1]
    norm.weight, norm.bias = uniform((16,), 1) + 1, uniform((16,), 2)
    norm.running_mean, norm.running_var = uniform((16,), 3), uniform((16,), 4) + 2
    x = uniform((1, 6, 9, 5), 5)
    sums = by_definition(x, np.asarray(block[0].weight), None, (2, 2), (1, 1), (0, 0), 1, (1, 1))
    scale = (norm.weight / np.sqrt(norm.running_var + norm.eps)).reshape(-1, 1, 1)
    normed = (sums - norm.running_mean.reshape(-1, 1, 1)) * scale + norm.bias.reshape(-1, 1, 1)
    assert_close(block(x), np.maximum(normed, 0))
    rows = rvision.profile(block, x, runs=1).rows
    # The input is copied into the engine's order, and the result into NumPy's.
    assert len([row for row in rows if "copy" not in row.kernel]) == 4, rows


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_output_size_is_torchs(stride):
    torch = pytest.importorskip("torch")
    arguments = {"stride": stride, "padding": 1, "dilation": 2}
    ours, theirs = nn.ConvTranspose2d(2, 3, 3, **arguments), torch.nn.ConvTranspose2d(2, 3, 3, **arguments)
    ours.load_state_dict(theirs.state_dict())
    x = uniform((2, 2, 4, 6), 1)
    least = ours(x).shape
    for more in np.ndindex(stride + 2, stride + 2):
        size = [*least[:2], *(int(n) + m - 1 for n, m in zip(least[2:], more, strict=True))]
        for asked, given in [(size, x), (size[2:], x), (size[1:], x[0])]:
            try:
                with torch.no_grad():
                    expected = theirs(torch.from_numpy(given), output_size=asked).numpy()
            except ValueError:
                with pytest.raises(rvision.ArgumentError, match="output_size must be between"):
                    ours(given, output_size=asked)
            else:
                assert_close(ours(given, output_size=asked), expected)


def test_output_size_of_another_value_follows_the_input():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(2, 4, 3, stride=2, padding=1)
            self.up = nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1)

        def forward(self, x):
            return self.up(self.down(x), output_size=x.shape)

    net = Net()
    for size in [(7, 8), (8, 7), (5, 5), (7, 8)]:
        x = uniform((1, 2, *size), 1)
        found = net(x)
        assert found.shape == x.shape
        more = tuple(1 - n % 2 for n in size)
        weight, bias = np.asarray(net.up.weight), np.asarray(net.up.bias)
        expected = by_definition(net.down(x), weight, bias, (2, 2), (1, 1), more, 1, (1, 1))
        assert_close(found, expected)


@pytest.mark.parametrize("kind", ["inf", "nan"])
def test_values_that_are_not_finite_reach_only_what_sees_them(kind):
    """No product with an inserted zero or with padding is computed."""
    x = np.ones((1, 3, 4, 4), np.float32)
    x[0, 1, 2, 1] = float(kind)
    for kernel, stride in [(1, 3), (2, 2), (3, 2)]:
        found = F.conv_transpose2d(x, np.ones((3, 5, kernel, kernel), np.float32), stride=stride)
        seen = np.zeros(found.shape[2:], bool)
        seen[2 * stride : 2 * stride + kernel, stride : stride + kernel] = True
        assert np.array_equal(np.isfinite(found), np.broadcast_to(~seen, found.shape))


def test_where_nothing_is_seen_there_is_the_bias():
    x = uniform((2, 3, 2, 3), 1)
    bias = np.float32([0.5, -2])
    found = F.conv_transpose2d(x, uniform((3, 2, 1, 1), 2), bias, stride=1000)
    assert found.shape == (2, 2, 1001, 2001)
    assert np.count_nonzero(found != bias.reshape(2, 1, 1)) == 2 * 2 * 6
    # All of the output is beyond the last kernel.
    found = F.conv_transpose2d(x[:, :, :1, :1], uniform((3, 2, 1, 1), 2), bias, 1, 1, 2, 1, 3)
    assert np.array_equal(found, np.broadcast_to(bias.reshape(2, 1, 1), (2, 2, 1, 1)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: nn.ConvTranspose2d(3, 4, 2, groups=2), "multiples of groups, got 3, 4 and 2"),
        (lambda: nn.ConvTranspose2d(2, 2, 2, padding_mode="reflect"), "padding_mode must be 'zeros'"),
        (lambda: nn.ConvTranspose2d(2, 2, 2, stride=0), "stride must be an integer of at least 1"),
        (lambda: nn.ConvTranspose2d(2, 2, 2, padding="same"), "padding must be an integer of at least 0"),
        (lambda: nn.ConvTranspose2d(2, 2, 2, device="cuda"), "float32 on the CPU"),
        (
            lambda: nn.ConvTranspose2d(2, 2, 3, stride=2, output_padding=2)(uniform((1, 2, 3, 3), 0)),
            r"output_padding must be smaller than the stride \[2, 2\] or the dilation \[1, 1\]",
        ),
        (lambda: nn.ConvTranspose2d(2, 2, 2)(uniform((1, 3, 3, 3), 0)), "expects 2 input channels, got 3"),
        (lambda: nn.ConvTranspose2d(2, 2, 2, padding=3)(uniform((1, 2, 3, 3), 0)), "padding must be such"),
        (lambda: nn.ConvTranspose2d(2, 2, 2)(uniform((1, 2, 0, 3), 0)), "only N may be 0"),
        (lambda: nn.ConvTranspose2d(2, 2, 2)(uniform((2, 3), 0)), "4-d input"),
        (
            lambda: nn.ConvTranspose2d(2, 2, 2)(uniform((1, 2, 3, 3), 0), output_size=[1, 2, 3]),
            "must have 2 or 4 elements for a 4-d input, got 3",
        ),
        (
            lambda: F.conv_transpose2d(uniform((1, 2, 3, 3), 0), uniform((2, 3), 0)),
            r"shape \(C, C' / groups, kH, kW\)",
        ),
        (
            lambda: F.conv_transpose2d(uniform((1, 2, 3, 3), 0), uniform((2, 3, 1, 1), 0), groups=3),
            "divisor of the 2 input channels",
        ),
        (
            lambda: F.conv_transpose2d(uniform((1, 2, 3, 3), 0), uniform((2, 3, 1, 1), 0), uniform((2,), 0)),
            r"\(3,\)",
        ),
        (
            lambda: F.conv_transpose2d(uniform((1, 2, 3, 3), 0), uniform((2, 3, 1, 1), 0), stride=2**31 - 1),
            "4294967295",
        ),
        (
            lambda: F.conv_transpose2d(
                uniform((1, 2, 3, 3), 0), uniform((2, 3, 3, 3), 0), padding=2**31 - 1, dilation=2**31 - 1
            ),
            "fits memory",
        ),
    ],
)
def test_what_is_refused(wrong, message):
    with pytest.raises(rvision.RVisionError, match=message):
        wrong()


def test_an_empty_batch():
    assert nn.ConvTranspose2d(2, 3, 2, stride=2)(np.zeros((0, 2, 4, 5), np.float32)).shape == (0, 3, 8, 10)


def test_a_classifier_with_one_has_no_dense_form():
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.ConvTranspose2d(4, 4, 2, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    with pytest.raises(rvision.UnsupportedError, match="a transposed convolution, whose map is finer"):
        rvision.convolutionize(net.eval(), input_size=16)(uniform((1, 3, 32, 32), 1))
