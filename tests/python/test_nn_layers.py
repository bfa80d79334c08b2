"""Layers and functions compute the same as torch's, by committed outputs and live.

The outputs in tests/golden/nn_layers.json are torch's in float64; `python
tests/python/test_nn_layers.py` writes them again.
"""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rvision
from rvision import nn
from rvision.nn import functional as F

GOLDEN = Path(__file__).parents[1] / "golden" / "nn_layers.json"


def attending(nn, needs: dict | None = None, **arguments):
    """Return a module whose output is that of self-attention, or its weights."""

    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, **arguments)

        def forward(self, x):
            output, weights = self.attention(x, x, x, **(needs or {"need_weights": False}))
            return output if weights is None else weights

    return Attending()


def compared(nn, make):
    """Return a module whose output is that of a layer of two inputs."""

    class Compared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = make(nn)

        def forward(self, x):
            return self.layer(x, x.roll(-1, 0))

    return Compared()


# Name: layer and the shape of its input.
CASES = {
    "conv": (lambda nn: nn.Conv2d(3, 5, 3), (2, 3, 7, 6)),
    "conv 1x1": (lambda nn: nn.Conv2d(7, 19, 1, bias=False), (1, 7, 3, 5)),
    "conv stem": (lambda nn: nn.Conv2d(3, 4, 7, stride=2, padding=3, bias=False), (1, 3, 11, 13)),
    "conv asymmetric": (lambda nn: nn.Conv2d(2, 3, (1, 4), stride=(2, 1), padding=(0, 3)), (1, 2, 5, 4)),
    "conv dilated": (lambda nn: nn.Conv2d(2, 3, 3, padding=2, dilation=(2, 3)), (1, 2, 7, 8)),
    "conv same": (lambda nn: nn.Conv2d(2, 3, (4, 3), padding="same", dilation=(1, 2)), (1, 2, 6, 5)),
    "conv valid": (lambda nn: nn.Conv2d(2, 3, 2, padding="valid"), (1, 2, 3, 3)),
    "conv depthwise": (lambda nn: nn.Conv2d(6, 6, 3, padding=1, groups=6), (2, 6, 5, 5)),
    "conv depthwise stride": (lambda nn: nn.Conv2d(9, 9, 5, stride=2, padding=2, groups=9), (1, 9, 7, 6)),
    "conv depthwise times two": (lambda nn: nn.Conv2d(3, 6, 3, groups=3), (1, 3, 4, 4)),
    "conv grouped": (lambda nn: nn.Conv2d(8, 12, 3, padding=1, groups=4), (1, 8, 4, 5)),
    "conv reflect": (lambda nn: nn.Conv2d(3, 5, 3, padding=1, padding_mode="reflect"), (2, 3, 6, 5)),
    "conv replicate": (
        lambda nn: nn.Conv2d(2, 4, (3, 5), 2, (1, 3), (2, 1), groups=2, padding_mode="replicate"),
        (1, 2, 7, 4),
    ),
    "conv circular same": (
        lambda nn: nn.Conv2d(2, 3, (4, 3), padding="same", dilation=(1, 2), padding_mode="circular"),
        (1, 2, 6, 5),
    ),
    "conv reflect valid": (
        lambda nn: nn.Conv2d(2, 3, 2, padding="valid", padding_mode="reflect"),
        (1, 2, 3, 3),
    ),
    "conv wide": (lambda nn: nn.Conv2d(16, 16, 3, padding=1), (1, 16, 14, 14)),
    "conv transposed": (lambda nn: nn.ConvTranspose2d(5, 7, 4, stride=2, padding=1), (2, 5, 3, 4)),
    "conv transposed doubling": (lambda nn: nn.ConvTranspose2d(9, 5, 2, stride=2, bias=False), (1, 9, 4, 3)),
    "conv transposed with everything": (
        lambda nn: nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2, True, (1, 2)),
        (1, 4, 5, 4),
    ),
    "conv transposed depthwise": (
        lambda nn: nn.ConvTranspose2d(9, 9, 4, stride=2, padding=1, groups=9),
        (1, 9, 5, 4),
    ),
    "conv transposed sparse": (lambda nn: nn.ConvTranspose2d(3, 4, 1, stride=3), (1, 3, 3, 2)),
    "linear": (lambda nn: nn.Linear(7, 3), (2, 7)),
    "linear without bias": (lambda nn: nn.Linear(5, 17, bias=False), (3, 5)),
    "linear of a sequence": (lambda nn: nn.Linear(4, 3), (2, 3, 4)),
    "linear of a vector": (lambda nn: nn.Linear(4, 3), (4,)),
    "batch norm": (lambda nn: nn.BatchNorm2d(3, eps=1e-3), (2, 3, 4, 2)),
    "batch norm plain": (lambda nn: nn.BatchNorm2d(3, affine=False), (2, 3, 2, 2)),
    "batch norm without bias": (lambda nn: nn.BatchNorm2d(3, bias=False), (2, 3, 2, 2)),
    "batch norm of features": (lambda nn: nn.BatchNorm1d(19), (3, 19)),
    "batch norm of sequences": (lambda nn: nn.BatchNorm1d(3, affine=False), (2, 3, 5)),
    "batch norm of processes": (lambda nn: nn.SyncBatchNorm(3), (2, 3, 4, 2)),
    "group norm": (lambda nn: nn.GroupNorm(3, 12), (2, 12, 5, 7)),
    "group norm of features": (lambda nn: nn.GroupNorm(2, 8, eps=1e-3, affine=False), (3, 8)),
    "group norm without bias": (lambda nn: nn.GroupNorm(1, 6, bias=False), (2, 6, 3, 4)),
    "group norm behind a convolution": (
        lambda nn: nn.Sequential(nn.Conv2d(3, 16, 3, bias=False), nn.GroupNorm(4, 16), nn.ReLU()),
        (2, 3, 9, 8),
    ),
    "instance norm": (lambda nn: nn.InstanceNorm2d(5), (2, 5, 4, 6)),
    "instance norm affine": (lambda nn: nn.InstanceNorm2d(5, affine=True, eps=1e-3), (2, 5, 4, 6)),
    "instance norm tracked": (lambda nn: nn.InstanceNorm2d(5, track_running_stats=True), (2, 5, 1, 1)),
    "relu": (lambda nn: nn.ReLU(), (3, 5)),
    "relu6": (lambda nn: nn.Sequential(nn.Linear(3, 4), nn.ReLU6()), (9, 3)),
    "leaky relu": (lambda nn: nn.LeakyReLU(0.2), (3, 5)),
    "hardtanh": (lambda nn: nn.Hardtanh(-0.5, 0.25), (3, 5)),
    "prelu": (lambda nn: nn.PReLU(), (3, 5)),
    "prelu per channel": (lambda nn: nn.PReLU(3), (2, 3, 2, 2)),
    "tanh": (lambda nn: nn.Tanh(), (3, 17)),
    "sigmoid": (lambda nn: nn.Sigmoid(), (3, 17)),
    "hardswish": (lambda nn: nn.Sequential(nn.Linear(3, 4), nn.Hardswish()), (9, 3)),
    "hardsigmoid": (lambda nn: nn.Sequential(nn.Linear(3, 4), nn.Hardsigmoid()), (9, 3)),
    "silu": (lambda nn: nn.SiLU(), (3, 17)),
    "gelu": (lambda nn: nn.GELU(), (3, 17)),
    "gelu by tanh": (lambda nn: nn.GELU("tanh"), (3, 17)),
    "elu": (lambda nn: nn.ELU(0.7), (3, 17)),
    "elu in place": (lambda nn: nn.Sequential(nn.Linear(3, 4), nn.ELU(inplace=True)), (9, 3)),
    "selu": (lambda nn: nn.SELU(), (3, 17)),
    "celu": (lambda nn: nn.CELU(0.3), (3, 17)),
    "mish": (lambda nn: nn.Mish(), (3, 17)),
    "softplus": (lambda nn: nn.Softplus(), (3, 17)),
    "softplus with a line": (lambda nn: nn.Softplus(2.5, 0.5), (3, 17)),
    "softsign": (lambda nn: nn.Softsign(), (3, 17)),
    "glu": (lambda nn: nn.GLU(1), (2, 6, 3)),
    "hardshrink": (lambda nn: nn.Hardshrink(0.4), (3, 17)),
    "softshrink": (lambda nn: nn.Softshrink(), (3, 17)),
    "tanhshrink": (lambda nn: nn.Tanhshrink(), (3, 17)),
    "threshold": (lambda nn: nn.Threshold(0.1, -20), (3, 17)),
    "threshold in place": (lambda nn: nn.Sequential(nn.Linear(3, 4), nn.Threshold(0, 2, True)), (9, 3)),
    "rrelu": (lambda nn: nn.RReLU(), (3, 17)),
    "log sigmoid": (lambda nn: nn.LogSigmoid(), (3, 17)),
    "pixel shuffle": (lambda nn: nn.PixelShuffle(2), (2, 12, 3, 4)),
    "pixel shuffle behind a convolution": (
        lambda nn: nn.Sequential(nn.Conv2d(3, 18, 3, padding=1), nn.PixelShuffle(3), nn.ReLU()),
        (1, 3, 4, 5),
    ),
    "channel shuffle": (lambda nn: nn.ChannelShuffle(3), (2, 12, 3, 4)),
    "channel shuffle of a sequence": (lambda nn: nn.ChannelShuffle(2), (2, 4, 5)),
    "unfold": (lambda nn: nn.Unfold((2, 3), dilation=(2, 1), padding=(1, 0), stride=(1, 2)), (2, 3, 5, 7)),
    "pixel unshuffle": (lambda nn: nn.PixelUnshuffle(2), (2, 3, 4, 6)),
    "softmax": (lambda nn: nn.Softmax(dim=1), (3, 10)),
    "softmax of channels": (lambda nn: nn.Softmax(dim=-3), (2, 3, 2, 2)),
    "softmax of pixels": (lambda nn: nn.Softmax2d(), (2, 5, 3, 2)),
    "softmax of a picture": (lambda nn: nn.Softmax2d(), (5, 3, 2)),
    "softmin": (lambda nn: nn.Softmin(dim=1), (3, 10)),
    "log softmax": (lambda nn: nn.LogSoftmax(dim=-1), (3, 10)),
    "max pool": (lambda nn: nn.MaxPool2d(2), (1, 3, 5, 6)),
    "max pool of a stem": (lambda nn: nn.MaxPool2d(3, stride=2, padding=1), (1, 9, 7, 8)),
    "max pool ceil": (lambda nn: nn.MaxPool2d(3, stride=2, ceil_mode=True), (1, 2, 6, 8)),
    "max pool ceil padded": (lambda nn: nn.MaxPool2d(2, stride=3, padding=1, ceil_mode=True), (1, 2, 6, 7)),
    "max pool dilated": (lambda nn: nn.MaxPool2d((2, 3), stride=1, dilation=(2, 1)), (1, 2, 5, 4)),
    "avg pool": (lambda nn: nn.AvgPool2d(2), (1, 3, 5, 6)),
    "avg pool padded": (lambda nn: nn.AvgPool2d(3, stride=1, padding=1), (1, 9, 3, 4)),
    "avg pool without padding": (lambda nn: nn.AvgPool2d(3, 2, 1, count_include_pad=False), (1, 2, 5, 4)),
    "avg pool ceil": (lambda nn: nn.AvgPool2d(3, 2, 1, ceil_mode=True), (1, 2, 6, 7)),
    "avg pool ceil without padding": (
        lambda nn: nn.AvgPool2d((3, 2), 2, ceil_mode=True, count_include_pad=False),
        (1, 2, 6, 7),
    ),
    "avg pool divisor": (lambda nn: nn.AvgPool2d(2, divisor_override=3), (1, 2, 4, 4)),
    "lp pool": (lambda nn: nn.LPPool2d(2, 3, 2), (1, 3, 7, 6)),
    "lp pool ceil": (
        lambda nn: nn.Sequential(nn.Sigmoid(), nn.LPPool2d(1.5, (2, 3), ceil_mode=True)),
        (1, 2, 5, 7),
    ),
    "adaptive avg pool": (lambda nn: nn.AdaptiveAvgPool2d((2, 3)), (1, 3, 5, 7)),
    "adaptive avg pool to one": (lambda nn: nn.AdaptiveAvgPool2d(1), (2, 9, 5, 7)),
    "adaptive avg pool upwards": (lambda nn: nn.AdaptiveAvgPool2d(7), (1, 2, 3, 2)),
    "adaptive avg pool half": (lambda nn: nn.AdaptiveAvgPool2d((None, 2)), (1, 2, 3, 5)),
    "adaptive max pool": (lambda nn: nn.AdaptiveMaxPool2d((2, 3)), (1, 3, 5, 7)),
    "adaptive max pool upwards": (lambda nn: nn.AdaptiveMaxPool2d((7, 3)), (1, 2, 3, 2)),
    "upsample": (lambda nn: nn.Upsample(scale_factor=2), (2, 3, 5, 4)),
    "upsample to a size": (lambda nn: nn.Upsample((7, 3), mode="bilinear"), (1, 9, 5, 4)),
    "upsample by lines": (lambda nn: nn.UpsamplingBilinear2d(scale_factor=2), (1, 3, 5, 4)),
    "upsample by copies": (lambda nn: nn.UpsamplingNearest2d(9), (1, 17, 5, 4)),
    "local response norm": (lambda nn: nn.LocalResponseNorm(5, alpha=0.5, beta=0.75, k=2.0), (1, 7, 3, 2)),
    "local response norm even": (lambda nn: nn.LocalResponseNorm(2), (2, 3, 2, 2)),
    "layer norm": (lambda nn: nn.LayerNorm(19), (2, 3, 19)),
    "layer norm of two dimensions": (lambda nn: nn.LayerNorm((3, 5), eps=1e-3), (2, 2, 3, 5)),
    "layer norm plain": (lambda nn: nn.LayerNorm(8, elementwise_affine=False), (4, 8)),
    "rms norm": (lambda nn: nn.RMSNorm(19), (2, 3, 19)),
    "rms norm of two dimensions": (lambda nn: nn.RMSNorm((3, 5), 1e-3, False), (2, 2, 3, 5)),
    "layer norm without bias": (lambda nn: nn.LayerNorm(8, bias=False), (4, 8)),
    "attention": (lambda nn: attending(nn), (5, 3, 8)),
    "attention of batches": (lambda nn: attending(nn, batch_first=True), (3, 5, 8)),
    "attention of one sequence": (lambda nn: attending(nn, bias=False), (5, 8)),
    "attention's weights": (lambda nn: attending(nn, {"need_weights": True}, batch_first=True), (3, 5, 8)),
    "attention's weights by head": (
        lambda nn: attending(nn, {"average_attn_weights": False}),
        (5, 3, 8),
    ),
    "linear and sum": (
        lambda nn: nn.Sequential(nn.Linear(6, 24), nn.GELU(), nn.Linear(24, 6), nn.LayerNorm(6)),
        (2, 3, 4, 6),
    ),
    "unflatten": (lambda nn: nn.Sequential(nn.Unflatten(1, (2, -1)), nn.LayerNorm(3)), (2, 8, 3)),
    "flatten": (lambda nn: nn.Flatten(), (2, 3, 2, 2)),
    "flatten some": (lambda nn: nn.Flatten(0, 2), (2, 3, 2, 2)),
    "zero pad": (lambda nn: nn.ZeroPad2d((1, 2, 0, 3)), (1, 2, 2, 3)),
    "zero pad that cuts": (lambda nn: nn.ZeroPad2d((-1, 2, 0, -1)), (1, 2, 2, 3)),
    "constant pad": (lambda nn: nn.ConstantPad2d((1, 0, -1, 2), 1.5), (1, 2, 3, 3)),
    "reflection pad": (lambda nn: nn.ReflectionPad2d((1, 2, 0, 3)), (1, 2, 4, 3)),
    "replication pad": (lambda nn: nn.ReplicationPad2d(2), (2, 3, 1, 2)),
    "circular pad": (lambda nn: nn.CircularPad2d((2, 0, 1, 3)), (1, 2, 3, 4)),
    "reflection pad in front of a convolution": (
        lambda nn: nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(3, 4, 7), nn.InstanceNorm2d(4), nn.ReLU()),
        (1, 3, 8, 9),
    ),
    "other dropouts": (
        lambda nn: nn.Sequential(
            nn.Dropout1d(), nn.Dropout3d(), nn.AlphaDropout(0.2), nn.FeatureAlphaDropout()
        ),
        (1, 2, 3),
    ),
    "cosine similarity": (lambda nn: compared(nn, lambda nn: nn.CosineSimilarity()), (2, 5, 3)),
    "distance": (lambda nn: compared(nn, lambda nn: nn.PairwiseDistance()), (3, 2, 5)),
    "distance by p": (lambda nn: compared(nn, lambda nn: nn.PairwiseDistance(3, 0.1, True)), (3, 5)),
    "dropout": (lambda nn: nn.Sequential(nn.Dropout(0.3), nn.Dropout2d(), nn.Identity()), (1, 2, 2, 3)),
    "alexnet's head": (
        lambda nn: nn.Sequential(
            nn.Conv2d(3, 8, 5, 2, 1),
            nn.ReLU(True),
            nn.MaxPool2d(3, 2),
            nn.AdaptiveAvgPool2d((3, 3)),
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(72, 5),
            nn.Softmax(1),
        ),
        (2, 3, 33, 29),
    ),
    "norm and activation": (
        lambda nn: nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
            nn.Conv2d(16, 16, 3, padding=1, groups=16),
            nn.BatchNorm2d(16),
            nn.Hardswish(),
            nn.Conv2d(16, 8, 1),
        ),
        (2, 3, 9, 10),
    ),
}


def ramp(shape: tuple[int, ...], salt: int) -> np.ndarray:
    """Return pseudorandom numbers between -1 and 1 that are the same everywhere."""
    index = np.arange(int(np.prod(shape)), dtype=np.int64) + 31 * salt + 1
    return ((index * index * 7919 + 104729 * index) % 2003 / 1001.0 - 1.0).astype(np.float32).reshape(shape)


def values_for(state: dict) -> dict[str, np.ndarray]:
    values = {}
    for salt, (name, old) in enumerate(state.items()):
        shape = tuple(old.shape)
        if name.endswith("num_batches_tracked"):
            values[name] = np.int64(0)
        elif name.endswith("running_var"):
            values[name] = np.abs(ramp(shape, salt)) + np.float32(0.5)
        else:
            values[name] = ramp(shape, salt)
    return values


def ours(name: str) -> np.ndarray:
    make, shape = CASES[name]
    layer = make(nn)
    layer.load_state_dict(values_for(layer.state_dict()))
    return layer(ramp(shape, 99))


def torchs(name: str) -> np.ndarray:
    import torch

    make, shape = CASES[name]
    layer = make(torch.nn).eval()
    layer.load_state_dict(
        {k: torch.from_numpy(np.array(v)) for k, v in values_for(layer.state_dict()).items()}
    )
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own about even kernels and 'same'
        return layer.double()(torch.from_numpy(ramp(shape, 99)).double()).numpy()


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape and found.dtype == np.float32
    scale = max(np.abs(expected).max(), 1e-3)
    assert np.abs(found - expected).max() / scale < 3e-6


@cache
def golden() -> dict[str, dict]:
    return json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", CASES)
def test_layers_compute_what_was_written_down(name):
    shape, probes = golden()[name]["shape"], np.array(golden()[name]["values"])
    found = ours(name)
    assert list(found.shape) == shape
    flat = found.reshape(-1)
    scale = max(np.abs(flat).max(), 1e-3)
    assert np.abs(flat[probed(flat.size)] - probes).max() / scale < 3e-6


@pytest.mark.parametrize("name", CASES)
def test_layers_compute_what_torchs_do(name):
    pytest.importorskip("torch")
    assert_close(ours(name), torchs(name))


def probed(size: int) -> np.ndarray:
    """Return which of `size` outputs are stored: some dozen, including the corners."""
    return np.unique(np.linspace(0, size - 1, min(size, 24)).round().astype(int))


@pytest.mark.parametrize("name", ["alexnet's head", "norm and activation", "conv wide", "conv grouped"])
def test_a_picture_has_the_same_bits_in_every_batch_and_with_every_number_of_threads(name):
    make, shape = CASES[name]
    layer = make(nn)
    batch = ramp((5, *shape[1:]), 7)
    before = rvision.get_num_threads()
    try:
        rvision.set_num_threads(1)
        alone = [layer(picture) for picture in batch]
        for threads in (1, 2, 3):
            rvision.set_num_threads(threads)
            assert np.array_equal(layer(batch), np.stack(alone))
            assert np.array_equal(layer(batch[::-1])[::-1], np.stack(alone))
    finally:
        rvision.set_num_threads(before)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_stack_is_torchs(dim):
    torch = pytest.importorskip("torch")
    arrays = [ramp((2, 3), salt) for salt in range(3)]
    expected = torch.stack([torch.from_numpy(x) for x in arrays], dim).numpy()
    assert np.array_equal(rvision.stack(arrays, dim), expected)

    class Net(nn.Module):
        def forward(self, x, y, z):
            return rvision.stack([x, y, z], dim=dim)

    net = Net()
    assert np.array_equal(net(*arrays), expected)
    more = [np.concatenate([x, x]) for x in arrays]
    assert np.array_equal(net(*more), np.stack(more, dim))


# Methods of values in a network, and the shapes of two inputs.
METHODS = {
    "exp": (lambda x, y: x.exp(), (2, 7)),
    "log": (lambda x, y: (x.abs() + 0.1).log(), (2, 7)),
    "sqrt": (lambda x, y: abs(x).sqrt(), (2, 3, 5)),
    "power": (lambda x, y: x**2 + x.pow(3) + 2**x, (2, 7)),
    "power of values": (lambda x, y: (x.abs() + 0.1) ** y, (2, 3, 4, 4)),
    "generalised mean": (lambda x, y: x.clamp(min=1e-6).pow(3.0).mean((2, 3)).pow(1 / 3.0), (2, 9, 5, 6)),
    "sum": (lambda x, y: x.sum(1) + x.sum(dim=(1,), keepdim=True).sum(0), (4, 4)),
    "sum of all": (lambda x, y: x.sum() * y, (2, 3, 5)),
    "largest": (lambda x, y: x.amax((2, 3)) - x.amin((2, 3)), (2, 9, 5, 6)),
    "largest of all": (lambda x, y: y * x.max() + x.min(), (2, 9, 5, 6)),
    "larger": (lambda x, y: x.max(y) - x.min(y), (2, 9)),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_compute_what_torchs_do_at_several_sizes(name):
    torch = pytest.importorskip("torch")
    function, shape = METHODS[name]

    class Net(nn.Module):
        def forward(self, x, y):
            return function(x, y)

    net = Net()
    for more in (0, 3, 1):
        sizes = tuple(size + more for size in shape) if name != "power of values" else shape
        x, y = ramp(sizes, 5), ramp(sizes, 11)
        expected = function(torch.from_numpy(x).double(), torch.from_numpy(y).double()).numpy()
        assert_close(net(x, y), expected)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_sizes_of_another_value_and_factors_follow_the_input(mode):
    torch = pytest.importorskip("torch")

    def function(functions, x):
        half = functions.avg_pool2d(x, 2)
        back = functions.interpolate(half, size=x.shape[2:], mode=mode)
        return back + functions.interpolate(half, scale_factor=2, mode=mode)

    class Net(nn.Module):
        def forward(self, x):
            return function(F, x)

    net = Net()
    for shape in ((1, 3, 8, 6), (2, 3, 12, 4), (1, 3, 8, 6)):
        x = ramp(shape, 3)
        expected = function(torch.nn.functional, torch.from_numpy(x).double()).numpy()
        assert_close(net(x), expected)


def test_reductions_pass_nan_on_as_torchs():
    torch = pytest.importorskip("torch")

    class Net(nn.Module):
        def forward(self, x):
            return x.amax(1), x.amin(1), x.sum(1), x.sqrt(), x.abs().log()

    x = np.array([[1.0, np.nan, 2.0], [-1.0, np.inf, 0.0]], np.float32)
    given = torch.from_numpy(x)
    expected = given.amax(1), given.amin(1), given.sum(1), given.sqrt(), given.abs().log()
    for found, wanted in zip(Net()(x), expected, strict=True):
        np.testing.assert_array_equal(found, wanted.numpy())


def test_shrinking_functions_treat_special_values_as_torchs():
    torch = pytest.importorskip("torch")
    above = np.nextafter(np.float32(0.5), np.float32(1))
    x = np.array([np.nan, np.inf, -np.inf, 0.5, -0.5, 0.0, above, -above, 1e30], np.float32)
    for name, arguments in [
        ("hardshrink", ()),
        ("hardshrink", (0.0,)),
        ("softshrink", ()),
        ("tanhshrink", ()),
        ("threshold", (0.5, 7.0)),
        ("threshold", (-0.5, -1.0)),
        ("rrelu", ()),
    ]:
        expected = getattr(torch.nn.functional, name)(torch.from_numpy(x), *arguments).numpy()
        np.testing.assert_array_equal(getattr(F, name)(x, *arguments), expected, f"{name}{arguments}")


def test_what_new_layers_refuse_says_why():
    x = ramp((1, 3, 4, 4), 1)
    for arguments, said in [
        ({}, "either size or scale_factor"),
        ({"size": 2, "scale_factor": 2}, "either size or scale_factor"),
        ({"size": 2, "mode": "linear"}, "mode must be one of"),
        ({"size": 2, "align_corners": True}, "align_corners is for"),
        ({"size": 2, "antialias": True}, "antialias is for"),
        ({"size": 2, "mode": "bilinear", "recompute_scale_factor": True}, "goes with scale_factor"),
        ({"size": 0}, "size"),
        ({"scale_factor": 0.0}, "scale_factor"),
        ({"scale_factor": 0.1}, "scale_factor"),
        ({"scale_factor": (1, 2, 3)}, "one factor or two"),
    ]:
        with pytest.raises((rvision.ArgumentError, rvision.ShapeError), match=said):
            F.interpolate(x, **arguments)
    with pytest.raises(rvision.ShapeError, match="4-d input"):
        F.interpolate(x[0], size=2)
    with pytest.raises(rvision.ShapeError, match=r"multiple of upscale_factor\^2 = 4, got 3"):
        F.pixel_shuffle(x, 2)
    with pytest.raises(rvision.ShapeError):
        F.pixel_unshuffle(x, 3)
    with pytest.raises(rvision.ShapeError, match="arrays of one shape"):
        rvision.stack([x, x[0]])
    with pytest.raises(
        rvision.ArgumentError, match=r"num_channels \(4\) must be divisible by num_groups \(3\)"
    ):
        nn.GroupNorm(3, 4)
    with pytest.raises(rvision.ShapeError, match="expects 4 input channels, got 6"):
        nn.GroupNorm(2, 4)(ramp((1, 6, 2, 2), 1))
    with pytest.raises(rvision.ShapeError, match="2-d or 3-d input"):
        nn.BatchNorm1d(3)(ramp((1, 3, 2, 2), 1))
    with pytest.raises(rvision.ShapeError, match="more than one value in a group"):
        nn.InstanceNorm2d(3)(ramp((2, 3, 1, 1), 1))
    with pytest.raises(rvision.ArgumentError, match="alpha"):
        F.celu(ramp((2,), 1), 0.0)


def test_timms_same_convolution_follows_the_input():
    layer = nn.Conv2dSame(1, 1, 3, stride=2, bias=False)
    layer.weight = np.arange(9).reshape(1, 1, 3, 3)
    for size in (4, 5, 6, 7):
        x = ramp((1, 1, size, size), 3)
        total = max((-(-size // 2) - 1) * 2 + 3 - size, 0)
        before = total // 2
        by_hand = F.pad(x, (before, total - before, before, total - before))
        assert np.array_equal(layer(x), F.conv2d(by_hand, layer.weight, stride=2))
        assert layer(x).shape[-1] == -(-size // 2)


# ---- functions ----

# Arguments of functions as they are given to torch's; arrays are named by their shape.
CALLS = {
    "conv2d": [((1, 3, 5, 5), (4, 3, 3, 3)), {"padding": 1}],
    "conv2d with everything": [
        ((1, 4, 6, 7), (4, 2, 3, 2), (4,)),
        {"stride": (1, 2), "padding": (2, 1), "dilation": (2, 1), "groups": 2},
    ],
    "conv2d by position": [((1, 3, 5, 5), (4, 3, 3, 3), None, 2, "valid", 1, 1), {}],
    "conv_transpose2d": [((1, 3, 5, 5), (3, 4, 3, 3)), {"stride": 2}],
    "conv_transpose2d by position": [
        ((1, 4, 6, 7), (4, 3, 3, 2), (6,), (1, 2), (2, 1), (0, 1), 2, (2, 1)),
        {},
    ],
    "linear": [((3, 4), (5, 4), (5,)), {}],
    "relu": [((3, 4),), {"inplace": False}],
    "relu6": [((3, 4),), {}],
    "leaky_relu": [((3, 4), 0.3), {}],
    "hardtanh": [((3, 4), -0.1, 0.2), {}],
    "prelu": [((2, 3, 4), (3,)), {}],
    "tanh": [((3, 4),), {}],
    "sigmoid": [((3, 4),), {}],
    "softmax": [((3, 4), 0), {}],
    "log_softmax": [((3, 4),), {"dim": 1}],
    "hardswish": [((3, 4),), {}],
    "hardsigmoid": [((3, 4),), {}],
    "silu": [((3, 4),), {}],
    "gelu": [((3, 4),), {"approximate": "tanh"}],
    "elu": [((3, 4), 0.7), {}],
    "selu": [((3, 4),), {"inplace": False}],
    "celu": [((3, 4),), {"alpha": 2.0}],
    "mish": [((3, 4),), {}],
    "softplus": [((3, 4),), {"beta": 3.0, "threshold": 1.0}],
    "softsign": [((3, 4),), {}],
    "logsigmoid": [((3, 4),), {}],
    "glu": [((3, 4),), {}],
    "hardshrink": [((3, 4), 0.3), {}],
    "hardshrink of everything": [((3, 4), -1.0), {}],
    "softshrink": [((3, 4),), {"lambd": 0.0}],
    "tanhshrink": [((3, 4),), {}],
    "threshold": [((3, 4), -0.2, 5.0), {}],
    "rrelu": [((3, 4), 0.1), {"upper": 0.3}],
    "softmin": [((3, 4), -1), {}],
    "channel_shuffle": [((2, 6, 3, 4), 3), {}],
    "unfold": [((2, 2, 4, 5), 3), {"padding": 1, "stride": (2, 3)}],
    "unfold a single picture": [((2, 4, 5), (2, 3), 1, (0, 1)), {}],
    "lp_pool2d": [((1, 2, 6, 5), 2.0, 3), {"stride": 1}],
    "rms_norm": [((2, 3, 4), (3, 4), (3, 4)), {"eps": 1e-3}],
    "cosine_similarity": [((2, 3, 4), (2, 3, 4)), {"dim": -1, "eps": 0.1}],
    "pairwise_distance": [((2, 3, 4), (2, 3, 4)), {}],
    "pairwise_distance by the largest": [((3, 4), (3, 4), float("inf"), 0.0), {}],
    "pairwise_distance by sums": [((3, 4), (3, 4), 1.0), {"keepdim": True}],
    "pixel_shuffle": [((2, 8, 3, 4), 2), {}],
    "pixel_unshuffle": [((2, 6, 4), 2), {}],
    "group_norm": [((2, 6, 3, 4), 3), {"eps": 1e-3}],
    "instance_norm": [((2, 6, 3, 4),), {}],
    "max_pool2d": [((1, 2, 6, 5), 3), {"stride": 2, "padding": 1, "ceil_mode": True}],
    "max_pool2d of a single picture": [((2, 6, 5), (2, 3)), {}],
    "avg_pool2d": [((1, 2, 6, 5), 3, 2, 1, True, False, None), {}],
    "adaptive_avg_pool2d": [((1, 2, 6, 5), (None, 2)), {}],
    "adaptive_max_pool2d": [((2, 6, 5), 4), {}],
    "local_response_norm": [((1, 5, 2, 2), 3), {"k": 2.0}],
    **{
        f"interpolate {mode} {number}": [((2, 5, 7, 6),), {"mode": mode, **arguments}]
        for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area")
        for number, arguments in enumerate(
            [
                {"size": (11, 13)},
                {"size": 3},
                {"scale_factor": 1.7},
                {"scale_factor": (0.6, 2.3), "recompute_scale_factor": True},
                {"size": (5, 9), "align_corners": True},
                {"scale_factor": (1.9, 0.4), "align_corners": False},
                {"size": (3, 4), "antialias": True},
                {"size": (12, 5), "antialias": True, "align_corners": False},
                {"size": (1, 1), "align_corners": True},
            ]
        )
        if mode in ("bilinear", "bicubic") or number < 4
    },
    "dropout": [((3, 4), 0.5, False), {}],
    "dropout1d": [((1, 2, 3), 0.5, False), {}],
    "dropout2d": [((1, 2, 3, 4),), {"training": False}],
    "dropout3d": [((1, 2, 3, 4, 5), 0.5, False), {}],
    "alpha_dropout": [((3, 4),), {}],
    "feature_alpha_dropout": [((3, 4),), {}],
    "pad": [((1, 2, 3, 4), (1, 0, 2, 3)), {"value": 1.5}],
    "pad reflect": [((2, 2, 3, 4), (3, 1, 0, 2)), {"mode": "reflect"}],
    "pad replicate": [((2, 3, 2), (1, 5, -1, 2), "replicate"), {}],
    "pad circular": [((2, 3, 4, 3), (1, 2, 0, 2, 2, -1)), {"mode": "circular"}],
    "pad circular of a row": [((2, 3), (3, 2), "circular", 0), {}],
    "layer_norm": [((2, 3, 4), (3, 4), (3, 4), (3, 4), 1e-3), {}],
    "layer_norm plain": [((2, 3, 4), [4]), {}],
    "normalize": [((2, 3, 4, 2),), {}],
    "normalize last": [((2, 3, 19),), {"p": 2, "dim": -1}],
    "normalize with a floor": [((2, 3),), {"dim": 0, "eps": 1.0}],
    "scaled_dot_product_attention": [((2, 3, 7, 4), (2, 3, 5, 4), (2, 3, 5, 6)), {}],
    "scaled_dot_product_attention masked": [((2, 7, 4), (2, 5, 4), (2, 5, 6), (7, 5)), {"scale": 0.3}],
    "scaled_dot_product_attention by head": [
        ((2, 3, 7, 4), (2, 3, 5, 4), (2, 3, 5, 4), (3, 1, 5), 0.0, False),
        {},
    ],
    "scaled_dot_product_attention causal": [((7, 4), (5, 4), (5, 4)), {"is_causal": True}],
}


def call(functions, name: str, convert) -> np.ndarray:
    args, kwargs = CALLS[name]
    values = [
        convert(ramp(arg, salt)) if isinstance(arg, tuple) and is_shape(name, salt) else arg
        for salt, arg in enumerate(args)
    ]
    return np.asarray(getattr(functions, name.split()[0])(*values, **kwargs))


def is_shape(name: str, position: int) -> bool:
    weights = {
        "conv2d": 3,
        "conv_transpose2d": 3,
        "linear": 3,
        "prelu": 2,
        "layer_norm": 4,
        "rms_norm": 3,
        "cosine_similarity": 2,
        "pairwise_distance": 2,
        "scaled_dot_product_attention": 4,
    }
    sizes = name.split()[0] in ("layer_norm", "rms_norm") and position == 1
    return position < weights.get(name.split()[0], 1) and not sizes


@pytest.mark.parametrize("name", CALLS)
def test_functions_compute_what_torchs_do(name):
    torch = pytest.importorskip("torch")
    expected = call(torch.nn.functional, name, lambda a: torch.from_numpy(a).double())
    assert_close(call(F, name, lambda a: a), expected)


@pytest.mark.parametrize("name", CALLS)
def test_functions_do_the_same_inside_of_a_network(name):
    args, kwargs = CALLS[name]
    weights = [ramp(arg, salt) if is_shape(name, salt) and arg else arg for salt, arg in enumerate(args)]

    class Net(nn.Module):
        def forward(self, x):
            return getattr(F, name.split()[0])(x, *weights[1:], **kwargs)

    x = weights[0]
    if x.ndim == 3 and ("pool" in name or "unfold" in name):
        assert np.array_equal(Net()(x[None])[0], call(F, name, lambda a: a))
    else:
        assert np.array_equal(Net()(x), call(F, name, lambda a: a))


def test_batch_norm_as_a_function():
    x, mean, var = ramp((2, 3, 2, 2), 1), ramp((3,), 2), np.abs(ramp((3,), 3)) + 1
    found = F.batch_norm(x, mean, var, weight=np.full(3, 2.0), bias=None, eps=0.5)
    shape = (3, 1, 1)
    assert_close(found, (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 0.5) * 2)
    with pytest.raises(rvision.UnsupportedError, match="statistics of the batch is for training"):
        F.batch_norm(x, mean, var, training=True)
    with pytest.raises(rvision.UnsupportedError, match="running statistics"):
        nn.BatchNorm2d(3, track_running_stats=False)(x)


def test_functions_of_arrays():
    x, y = ramp((2, 3), 1), ramp((2, 3), 2)
    assert np.array_equal(rvision.cat([x, y]), np.concatenate([x, y]))
    assert np.array_equal(rvision.concat((x, y), dim=-1), np.concatenate([x, y], -1))
    assert np.array_equal(rvision.flatten(x[None], 1), x.reshape(1, -1))
    assert np.array_equal(rvision.add(x, y), x + y) and np.array_equal(rvision.add(x, 2), x + 2)
    assert np.array_equal(rvision.mul(x, y), x * y)
    np.testing.assert_allclose(rvision.mean(x, 1), x.mean(1), rtol=1e-6)
    assert np.array_equal(rvision.permute(x, (1, 0)), x.T)
    assert np.array_equal(rvision.relu(x), np.maximum(x, 0))
    assert np.array_equal(rvision.transpose(x, 0, 1), x.T)
    assert np.array_equal(rvision.unsqueeze(x, -1), x[..., None])
    assert np.array_equal(rvision.unflatten(x, 1, (-1, 1)), x[..., None])
    assert np.array_equal(rvision.roll(x, (1, -4), (0, 1)), np.roll(x, (1, -4), (0, 1)))
    assert np.array_equal(rvision.roll(x, 2, 1), np.roll(x, 2, 1))
    for found, expected in zip(rvision.chunk(x, 2, 1), (x[:, :2], x[:, 2:]), strict=True):
        assert np.array_equal(found, expected)
    for found, expected in zip(rvision.split(x, [1, 2], dim=1), (x[:, :1], x[:, 1:]), strict=True):
        assert np.array_equal(found, expected)
    for found, expected in zip(rvision.unbind(x, 1), x.T, strict=True):
        assert np.array_equal(found, expected)
    assert_close(rvision.matmul(x, y.T), x.astype(float) @ y.T)
    assert_close(rvision.matmul(ramp((4, 2, 3), 3), y.T), ramp((4, 2, 3), 3).astype(float) @ y.T)
    with pytest.raises(rvision.ArgumentError, match="at least one array"):
        rvision.cat([])
    with pytest.raises(rvision.ShapeError, match="cat"):
        rvision.cat([x, y[:, :2]])


# ---- arguments that torch refuses, or rvision ----

WRONG = {
    "same with stride": (lambda: nn.Conv2d(1, 1, 3, stride=2, padding="same"), "needs stride 1"),
    "unknown padding": (lambda: nn.Conv2d(1, 1, 3, padding="full"), "'same' or 'valid', got 'full'"),
    "groups": (lambda: nn.Conv2d(3, 4, 1, groups=2), "multiples of groups, got 3, 4 and 2"),
    "reflect": (
        lambda: nn.Conv2d(1, 1, 3, padding_mode="constant"),
        "padding_mode must be one of zeros, reflect, replicate, circular, got 'constant'",
    ),
    "kernel": (lambda: nn.Conv2d(1, 1, (1, 2, 3)), "kernel_size must be an integer of at least 1 or two"),
    "stride": (lambda: nn.Conv2d(1, 1, 1, stride=0), "stride must be an integer of at least 1"),
    "device": (lambda: nn.Linear(1, 1, device="cuda"), "float32 on the CPU"),
    "indices": (lambda: nn.MaxPool2d(2, return_indices=True), "return_indices=True is not supported"),
    "probability": (lambda: nn.Dropout(1.5), "between 0 and 1, got 1.5"),
    "hardtanh": (lambda: nn.Hardtanh(1, 0), "max_val must be above min_val"),
    "pool padding": (lambda: nn.MaxPool2d(2, padding=2)(ramp((1, 1, 4, 4), 0)), "at most half of the kernel"),
    "training": (lambda: F.dropout(ramp((2, 2), 0)), r"pass training=self\.training"),
    "mode": (lambda: F.pad(ramp((1, 1, 4, 4), 0), (1, 1), mode="edge"), "only constant, reflect"),
    "crop": (lambda: F.pad(ramp((1, 1, 4, 4), 0), (-3, -2)), "of which 5 are cut off"),
    "approximation": (lambda: F.gelu(ramp((2, 2), 0), "erf"), "'none' or 'tanh', got 'erf'"),
    "softmax": (lambda: F.softmax(ramp((2, 2), 0), 2), "dimension 2 is out of range"),
    "output size": (lambda: F.adaptive_avg_pool2d(ramp((1, 1, 4, 4), 0), (1, 2, 3)), "output_size must be"),
    "weight": (lambda: F.conv2d(ramp((1, 1, 4, 4), 0), ramp((3, 3), 0)), r"shape \(C', C / groups, kH, kW\)"),
    "heads": (lambda: nn.MultiheadAttention(8, 3), "a multiple of num_heads, got 8 and 3"),
    "keys": (lambda: nn.MultiheadAttention(8, 2, kdim=4), "kdim and vdim"),
    "sequences": (lambda: nn.MultiheadAttention(8, 2)(*[ramp((1, 2, 3, 8), 0)] * 3), "3 dimensions"),
    "normalized": (lambda: nn.LayerNorm(3)(ramp((2, 4), 0)), r"normalized_shape must be the last sizes"),
    "norm": (lambda: F.normalize(ramp((2, 4), 0), p=1), "p=1 is not supported, only 2"),
    "attention dropout": (
        lambda: F.scaled_dot_product_attention(*[ramp((2, 4), 0)] * 3, dropout_p=0.5),
        "pass 0.0",
    ),
    "two masks": (
        lambda: F.scaled_dot_product_attention(*[ramp((2, 4), 0)] * 3, ramp((2, 2), 1), is_causal=True),
        "exclude each other",
    ),
    "queries": (
        lambda: F.scaled_dot_product_attention(ramp((2, 4), 0), *[ramp((2, 5), 0)] * 2),
        r"queries \(..., L, E\)",
    ),
    "mask": (
        lambda: F.scaled_dot_product_attention(*[ramp((2, 4), 0)] * 3, ramp((3, 2), 1)),
        r"shapes \(3, 2\) and \(2, 2\) cannot be a mask",
    ),
    "matrices": (lambda: rvision.matmul(ramp((2, 3), 0), ramp((2, 3), 0)), "cannot be multiplied as"),
    "unflattened": (
        lambda: rvision.unflatten(ramp((2, 6), 0), 1, (4, -1)),
        "sizes must be of 6 elements, as dim 1",
    ),
    "rolled": (lambda: rvision.roll(ramp((2, 6), 0), (1, 2), (0,)), "one for each of the dims"),
    "window": (lambda: nn.Conv2d(1, 1, 5)(ramp((1, 1, 4, 4), 0)), "larger than the padded input"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_say_what_is_right(wrong, message):
    with pytest.raises(rvision.RVisionError, match=message):
        wrong()


def test_softmax_without_a_dimension_warns_as_torch_does():
    x = ramp((2, 5), 1)
    with pytest.warns(UserWarning, match="pass dim=1"):
        found = nn.Softmax()(x)
    assert np.array_equal(found, F.softmax(x, 1))


def test_non_finite_values_pass():
    x = np.float32([[np.nan, np.inf, -np.inf, 1]])
    assert np.array_equal(F.relu(x), [[np.nan, np.inf, 0, 1]], equal_nan=True)
    assert np.array_equal(F.relu6(x), [[np.nan, 6, 0, 1]], equal_nan=True)
    assert np.isnan(F.max_pool2d(x.reshape(1, 1, 2, 2), 2)).all()


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_a_window_that_lies_in_the_padding_alone(channels):
    conv = nn.Conv2d(channels, 2, 1, stride=(1, 4), padding=(0, 1))
    conv.bias = np.float32([0.5, -2])
    found = conv(np.ones((1, channels, 3, 1), np.float32))
    assert np.array_equal(found, np.broadcast_to(conv.bias.reshape(2, 1, 1), (1, 2, 3, 1)))


if __name__ == "__main__":
    table = {}
    for name in CASES:
        result = torchs(name)
        flat = result.reshape(-1)
        table[name] = {
            "shape": list(result.shape),
            "values": [float(f"{v:.9g}") for v in flat[probed(flat.size)]],
        }
    lines = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in table.items()]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
