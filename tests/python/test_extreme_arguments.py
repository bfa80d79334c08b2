"""Extreme numbers: each call returns an array or raises an error that says why.

There is no panic, no killed process, no overflow error from below, and no gigabytes are touched on
the way.
"""

from __future__ import annotations

import os
import random
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rvision
from rvision import nn
from rvision.errors import ArgumentError, InternalError, RVisionError, ShapeError
from rvision.nn import functional as F

EXTREMES = [
    -(2**63),
    -1,
    0,
    1,
    2,
    7,
    2**31,
    2**32 + 1,
    2**62,
    2**63 - 1,
    2**63,
    2**64,
    10**30,
    True,
    1.5,
    float("nan"),
    float("inf"),
    None,
    "3",
    np.int64(3),
]

PICTURE = np.linspace(-1, 1, 2 * 4 * 6 * 5, dtype=np.float32).reshape(2, 4, 6, 5)
KERNELS = np.linspace(-1, 1, 8 * 4 * 3 * 3, dtype=np.float32).reshape(8, 4, 3, 3)
ROWS = PICTURE.reshape(8, 30)


def a_call(draw):
    """Return a function to call with random arguments, and its description."""
    n = draw
    functions = [
        lambda: F.conv2d(PICTURE, KERNELS, None, n(), n(), n(), n()),
        lambda: F.conv2d(PICTURE, KERNELS, stride=(n(), n()), padding=(n(), n()), dilation=(n(), n())),
        lambda: F.conv2d(PICTURE, KERNELS, padding=n(), dilation=n()),
        lambda: F.conv2d(PICTURE, KERNELS, stride=n(), padding="same_upper"),
        lambda: F.conv2d(PICTURE, KERNELS, dilation=n(), padding="same"),
        lambda: F.conv2d(PICTURE, KERNELS, padding=n(), stride=n()),
        lambda: F.max_pool2d(PICTURE, n(), n(), n(), n(), n() is None),
        lambda: F.max_pool2d(PICTURE, (n(), n()), (n(), n())),
        lambda: F.max_pool2d(PICTURE, 3, n(), 1, 1, True),
        lambda: F.avg_pool2d(PICTURE, n(), n(), n(), n() is None, n() is None, n()),
        lambda: F.avg_pool2d(PICTURE, 2, 2, divisor_override=n()),
        lambda: F.adaptive_avg_pool2d(PICTURE, n()),
        lambda: F.adaptive_avg_pool2d(PICTURE, (n(), n())),
        lambda: F.adaptive_max_pool2d(PICTURE, (n(), n())),
        lambda: F.local_response_norm(PICTURE, n()),
        lambda: F.local_response_norm(PICTURE, 3, n(), n(), n()),
        lambda: F.pad(PICTURE, (n(), n(), n(), n()), value=n()),
        lambda: F.pad(PICTURE, (n(), n())),
        lambda: F.pad(PICTURE, n()),
        lambda: F.layer_norm(PICTURE, (n(),), eps=n()),
        lambda: F.layer_norm(PICTURE, n()),
        lambda: F.normalize(PICTURE, dim=n(), eps=n()),
        lambda: F.softmax(PICTURE, n()),
        lambda: F.log_softmax(PICTURE, n()),
        lambda: F.leaky_relu(PICTURE, n()),
        lambda: F.hardtanh(PICTURE, n(), n()),
        lambda: F.scaled_dot_product_attention(PICTURE, PICTURE, PICTURE, scale=n()),
        lambda: F.dropout(PICTURE, n(), training=False),
        lambda: rvision.flatten(PICTURE, n(), n()),
        lambda: rvision.mean(PICTURE, n()),
        lambda: rvision.mean(PICTURE, (n(), n())),
        lambda: rvision.permute(PICTURE, (n(), n(), n(), n())),
        lambda: rvision.transpose(PICTURE, n(), n()),
        lambda: rvision.unsqueeze(PICTURE, n()),
        lambda: rvision.unflatten(PICTURE, n(), (n(), n())),
        lambda: rvision.unflatten(PICTURE, 1, (n(), n())),
        lambda: rvision.roll(PICTURE, n(), n()),
        lambda: rvision.roll(PICTURE, (n(), n()), (2, 3)),
        lambda: rvision.chunk(PICTURE, n(), n()),
        lambda: rvision.chunk(PICTURE, n(), 1),
        lambda: rvision.split(PICTURE, n(), 1),
        lambda: rvision.split(PICTURE, (n(), n()), 2),
        lambda: rvision.unbind(PICTURE, n()),
        lambda: rvision.cat([PICTURE, PICTURE], n()),
        lambda: rvision.add(PICTURE, n()),
        lambda: rvision.mul(PICTURE, n()),
        lambda: nn.Conv2d(n(), n(), n(), n(), n(), n(), n())(PICTURE),
        lambda: nn.Conv2d(4, 8, n(), n(), n(), n())(PICTURE),
        lambda: nn.Conv2d(4, 8, 3, n(), n(), n(), n())(PICTURE),
        lambda: nn.Conv2dSame(4, 8, 3, n(), n(), n())(PICTURE),
        lambda: nn.Linear(n(), 3)(ROWS),
        lambda: nn.BatchNorm2d(n(), eps=1e-5)(PICTURE),
        lambda: nn.BatchNorm2d(4, eps=n())(PICTURE),
        lambda: nn.LayerNorm(n())(PICTURE),
        lambda: nn.LayerNorm((n(), n()))(PICTURE),
        lambda: nn.LocalResponseNorm(n(), n())(PICTURE),
        lambda: nn.MaxPool2d(n(), n(), n(), n())(PICTURE),
        lambda: nn.AvgPool2d(n(), n(), n(), divisor_override=n())(PICTURE),
        lambda: nn.AdaptiveAvgPool2d((n(), n()))(PICTURE),
        lambda: nn.AdaptiveMaxPool2d(n())(PICTURE),
        lambda: nn.ZeroPad2d(n())(PICTURE),
        lambda: nn.ZeroPad2d((n(), n(), n(), n()))(PICTURE),
        lambda: nn.Flatten(n(), n())(PICTURE),
        lambda: nn.Unflatten(n(), (n(), n()))(PICTURE),
        lambda: nn.Softmax(n())(PICTURE),
        lambda: nn.PReLU(n(), n())(PICTURE),
        lambda: nn.LeakyReLU(n())(PICTURE),
        lambda: nn.Hardtanh(n(), n())(PICTURE),
        lambda: nn.MultiheadAttention(n(), n())(ROWS, ROWS, ROWS),
        lambda: Shaped(lambda x: x.reshape(n(), n()))(PICTURE),
        lambda: Shaped(lambda x: x.view(n(), n(), n()))(PICTURE),
        lambda: Shaped(lambda x: x[:, :1].expand(n(), n(), n(), n()))(PICTURE),
        lambda: Shaped(lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, n(), n()))(PICTURE),
        lambda: Shaped(lambda x: x[:, n() : n() : n()])(PICTURE),
        lambda: Shaped(lambda x: x[..., n()])(PICTURE),
        lambda: Shaped(lambda x: x.clamp(n(), n()))(PICTURE),
        lambda: Shaped(lambda x: x.squeeze(n()))(PICTURE),
        lambda: Shaped(lambda x: x.chunk(n(), n())[0])(PICTURE),
        lambda: rvision.ops.nms(np.zeros((n(), 4), np.float32), np.zeros(n(), np.float32), n()),
    ]
    return draw.random.choice(functions)


class Shaped(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Draw:
    """Draws extreme numbers, and reports them."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.drawn = []

    def __call__(self):
        # A small number now and then, so that the other ones come further.
        values = EXTREMES if self.random.random() < 0.7 else [1, 2, 3]
        self.drawn.append(self.random.choice(values))
        return self.drawn[-1]


# What Python and NumPy say of a wrong argument; an OverflowError or a PanicException is none of them.
TOLD = (TypeError, ValueError, MemoryError, RVisionError, IndexError)


def check_calls(seeds):
    """Run in a process with limited memory: large allocations must fail and not be filled."""
    limit = 3 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    rvision.set_num_threads(1)
    for seed in seeds:
        draw = Draw(seed)
        call = a_call(draw)
        begun = time.monotonic()
        try:
            call()
        except InternalError as error:
            raise AssertionError(f"seed {seed}, drawn {draw.drawn}: {error}") from error
        except (*TOLD, UserWarning):
            pass
        except BaseException as error:
            raise AssertionError(f"seed {seed}, drawn {draw.drawn}: {error!r}") from error
        taken = time.monotonic() - begun
        assert taken < 20, f"seed {seed}, drawn {draw.drawn}: {taken:.1f} s"


def in_a_process(code, **settings):
    """Run code that can use this file's names, and return its output."""
    prelude = "from test_extreme_arguments import *\n"
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", prelude + code],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **settings},
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_drawn_calls_return_an_array_or_say_what_is_wrong():
    in_a_process("check_calls(range(600))")


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (
            lambda: F.conv2d(PICTURE, KERNELS, padding=2**62, dilation=2**62),
            ArgumentError,
            "dilation must be at most",
        ),
        (lambda: F.conv2d(PICTURE, KERNELS, padding=2**40), ArgumentError, "padding must be at most"),
        (lambda: F.conv2d(PICTURE, KERNELS, padding=2**63), ArgumentError, "padding must be at most"),
        (lambda: F.conv2d(PICTURE, KERNELS, padding=2**31 - 1), ArgumentError, "fits memory"),
        (
            lambda: F.conv2d(PICTURE, KERNELS, padding=2**31 - 1, stride=2**31 - 1),
            ArgumentError,
            "padded input",
        ),
        (
            lambda: F.conv2d(PICTURE, KERNELS, stride=0),
            ArgumentError,
            "stride must be an integer of at least 1",
        ),
        (
            lambda: F.conv2d(PICTURE, KERNELS, dilation=-1),
            ArgumentError,
            "dilation must be an integer of at least",
        ),
        (
            lambda: F.conv2d(PICTURE, KERNELS, dilation=2**31 - 1),
            ShapeError,
            "is larger than the padded input",
        ),
        (
            lambda: F.conv2d(PICTURE, KERNELS, groups=0),
            ArgumentError,
            "groups must be an integer of at least 1",
        ),
        (
            lambda: F.conv2d(PICTURE, KERNELS, groups=2**64),
            ArgumentError,
            "groups must be an integer of at most",
        ),
        (lambda: F.conv2d(PICTURE, KERNELS, groups=1.5), TypeError, "groups must be an integer, got 1.5"),
        (lambda: F.conv2d(PICTURE, KERNELS, stride=1.5), ArgumentError, "stride must be an integer"),
        (lambda: F.max_pool2d(PICTURE, 2**63), ArgumentError, "kernel_size must be at most"),
        (lambda: F.max_pool2d(PICTURE, float("nan")), ArgumentError, "kernel_size must be an integer"),
        (
            lambda: F.avg_pool2d(PICTURE, 2, divisor_override=10**30),
            ArgumentError,
            "divisor_override must be",
        ),
        (lambda: F.adaptive_avg_pool2d(PICTURE, 2**31 - 1), ShapeError, "fit memory"),
        (lambda: F.local_response_norm(PICTURE, 1.5), TypeError, "size must be an integer, got 1.5"),
        (
            lambda: F.local_response_norm(PICTURE, 3, 10**400),
            ArgumentError,
            "alpha must be a number that a float",
        ),
        (lambda: F.pad(PICTURE, (2**62, 2**62)), ShapeError, "fit memory"),
        (lambda: F.pad(PICTURE, (2**64, 0)), ArgumentError, "pad must be an integer of at most"),
        (lambda: F.layer_norm(PICTURE, (5,), eps="3"), TypeError, "eps must be a number, got '3'"),
        (
            lambda: rvision.unflatten(PICTURE, 1, (2**40, 2**40)),
            rvision.ShapeError,
            "sizes must be of 4 elements",
        ),
        (
            lambda: rvision.unflatten(PICTURE, 1, (2**63, 1)),
            ArgumentError,
            "sizes must be an integer of at most",
        ),
        (lambda: rvision.unflatten(PICTURE, 1, (1.5, 4)), TypeError, "sizes must be an integer, got 1.5"),
        (lambda: rvision.chunk(PICTURE, 0), ArgumentError, "chunks must be an integer of at least 1"),
        (
            lambda: rvision.split(PICTURE, (3, 2**64), 2),
            ArgumentError,
            "split_size must be an integer of at most",
        ),
        (lambda: F.softmax(PICTURE, 1.5), TypeError, "dim must be an integer, got 1.5"),
        (lambda: rvision.split(PICTURE, 0), ArgumentError, "split_size must be an integer of at least 1"),
        (lambda: Shaped(lambda x: x.view(2**40, 2**30))(PICTURE), ShapeError, "cannot become"),
        (
            lambda: Shaped(lambda x: x.mean((1, 2, 3)).expand(2**40, 2**30))(PICTURE),
            rvision.ShapeError,
            "sizes",
        ),
        (
            lambda: Shaped(lambda x: x.mean((1, 2, 3), keepdim=True).expand(2, 1, 2**40, 2**30))(PICTURE),
            ShapeError,
            "fit",
        ),
        (lambda: nn.Conv2d(4, 8, 3, groups=1.5), TypeError, "groups must be an integer, got 1.5"),
        (lambda: nn.Conv2d(2**40, 8, 3), ArgumentError, "in_channels must be an integer of at most"),
        (lambda: nn.LayerNorm(1.5), TypeError, "normalized_shape"),
        # Arrays have the methods of numbers, which fail unless they hold a single one.
        (
            lambda: nn.Conv2d(4, np.array([2, 2]), 3),
            TypeError,
            "out_channels must be an integer, got array([2",
        ),
        (lambda: F.softmax(PICTURE, np.array([1.0])), TypeError, "dim must be an integer, got array([1.])"),
        (lambda: F.layer_norm(PICTURE, (5,), eps=np.ones(2)), TypeError, "eps must be a number, got array(["),
        (lambda: F.pad(PICTURE, np.array(1)), TypeError, "pad must be a sequence of integers, got array(1)"),
        (lambda: F.pad(PICTURE, b"\1\1"), TypeError, "pad must be a sequence of integers, got b'"),
        (lambda: nn.Hardtanh(None), TypeError, "Hardtanh: min_val must be a number, got None"),
        (lambda: nn.Hardtanh(-1, "1"), TypeError, "Hardtanh: max_val must be a number, got '1'"),
        (lambda: rvision.set_num_threads(2**64), ArgumentError, "64 bits"),
    ],
)
def test_what_is_out_of_range_is_told_by_its_name(call, kind, said):
    with pytest.raises(kind, match=re.escape(said)):
        call()


def test_numbers_of_numpy_and_extremes_that_have_a_meaning():
    # By the definition: one window that sees all, steps never made, a window wider than the channels.
    np.testing.assert_array_equal(
        F.max_pool2d(PICTURE, 2, stride=2**31 - 1), PICTURE[:, :, :2, :2].max((2, 3), keepdims=True)
    )
    np.testing.assert_array_equal(
        F.conv2d(PICTURE, KERNELS, stride=np.int64(2**31 - 1)), F.conv2d(PICTURE[:, :, :3, :3], KERNELS)
    )
    squares = (PICTURE.astype(np.float64) ** 2).sum(1, keepdims=True)
    for size in (8, 9, 1000, 2**31 - 1):
        expected = PICTURE / (1 + 10.0 / size * squares) ** 0.75
        np.testing.assert_allclose(F.local_response_norm(PICTURE, size, 10.0), expected, rtol=1e-5)
    np.testing.assert_array_equal(Shaped(lambda x: x[:, 1 :: 2**62])(PICTURE), PICTURE[:, 1:2])
    np.testing.assert_array_equal(rvision.roll(PICTURE, -(2**63), 2), np.roll(PICTURE, -(2**63) % 6, 2))
    np.testing.assert_array_equal(rvision.roll(PICTURE, np.int64(4), np.int64(2)), np.roll(PICTURE, 4, 2))
    expected = F.max_pool2d(PICTURE, 2, 2)
    np.testing.assert_array_equal(F.max_pool2d(PICTURE, np.int64(2), np.int64(2)), expected)
    pieces = rvision.split(PICTURE, np.int64(3), 2)
    np.testing.assert_array_equal(np.concatenate(pieces, 2), PICTURE)
    assert [piece.shape[2] for piece in pieces] == [3, 3]
    assert len(rvision.chunk(PICTURE, 2**62, 1)) == 4
    assert F.conv2d(PICTURE, KERNELS, groups=np.int64(1), padding=np.int32(1)).shape == (2, 8, 6, 5)


def test_a_window_of_padding_alone_is_as_torchs():
    # A kernel as wide as its padding: most taps see zeros.
    padded = np.pad(PICTURE.astype(np.float64), ((0, 0), (0, 0), (40, 40), (40, 40)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::7, ::7]
    expected = np.einsum("ncyxij,ocij->noyx", windows, KERNELS.astype(np.float64))
    np.testing.assert_allclose(F.conv2d(PICTURE, KERNELS, stride=7, padding=40), expected, atol=1e-4)


NO_MEMORY = """
rvision.set_num_threads(2)
F.relu(PICTURE)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = used + (640 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
wide = np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (1, 3, 2**14, 2**14), (0, 0, 0, 0))
row = np.zeros((1, 1, 1, 2**25), np.float32)
calls = [
    # Outputs: what for, and how much.
    (lambda: F.adaptive_avg_pool2d(PICTURE, 2**14), "8589934592 bytes for a network's output"),
    (lambda: F.pad(PICTURE, (2**14, 2**14, 2**14, 2**14)), "bytes for a network's output"),
    (lambda: Shaped(lambda x: x[:, :, :1, :1].expand(2, 4, 2**14, 2**14) + 1)(PICTURE), "bytes for"),
    # Intermediate values, scratch, tables.
    (lambda: Shaped(lambda x: F.pad(x, (2**14,) * 4).mean((1, 2, 3)))(PICTURE), "intermediate"),
    (lambda: F.conv2d(PICTURE, KERNELS, padding=2**20, stride=2**20), "bytes for"),
    (lambda: F.max_pool2d(row, (1, 3), 1), "bytes for"),
    (lambda: F.avg_pool2d(row, (1, 3), 1), "bytes for"),
    # Packed weights, and weights.
    (lambda: F.linear(np.ones((1, 2**13), np.float32), np.ones((2**13, 2**13), np.float32)), "bytes for"),
    (lambda: nn.Linear(2**15, 2**15)(np.ones((1, 2**15), np.float32)), ""),
    # Inputs that would have to be copied.
    (lambda: F.relu(wide), ""),
]
for number, (call, said) in enumerate(calls):
    begun = time.monotonic()
    try:
        call()
    except MemoryError as error:
        assert said in str(error), (number, str(error))
    else:
        raise AssertionError(f"call {number} ran")
    assert time.monotonic() - begun < 20, number
    # Nothing is left in the way of others.
    assert F.conv2d(PICTURE, KERNELS).shape == (2, 8, 4, 3)
"""


def test_memory_that_is_not_there_is_memory_error():
    in_a_process(NO_MEMORY)


def test_shapes_beyond_any_memory():
    sizes = (2**20, 3, 2**10, 2**10)
    view = np.lib.stride_tricks.as_strided(np.ones(1, np.float32), sizes, (0, 0, 0, 0))
    with pytest.raises(MemoryError):
        F.relu(view)
    with pytest.raises(MemoryError):
        nn.Conv2d(3, 8, 3)(view)


@pytest.mark.parametrize("shape", [(1, 3, 2**20, 2**20), (480, 3, 640, 2**20), (2**40, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_shapes_are_looked_at_before_an_input_is_copied(shape, dtype):
    network = nn.Sequential(nn.Conv2d(4, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    view = np.broadcast_to(np.ones((1,) * len(shape), dtype), shape)
    with pytest.raises(ShapeError, match=r"input channels|a 4-d input"):
        network(view)
    with pytest.raises(ShapeError, match=r"input channels|a 4-d input"):
        F.conv2d(view, KERNELS)


def test_a_fault_of_ours_is_an_exception_of_both_kinds():
    assert issubclass(InternalError, RVisionError) and issubclass(InternalError, RuntimeError)
    assert rvision.InternalError is InternalError
