"""Programs traced at one size and run at others: torch's values, or an error that says why."""

from __future__ import annotations

import copy
import json
import math
import operator
import pickle
import random
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import rvision
from rvision import nn
from rvision.nn import functional as F


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def network(function):
    """Make a module from a function of symbols."""

    class Traced(nn.Module):
        def forward(self, *symbols):
            return function(*symbols)

    return Traced()


# ---- against torch: generated programs ----

RVISION = SimpleNamespace(
    cat=rvision.cat,
    max_pool2d=F.max_pool2d,
    avg_pool2d=F.avg_pool2d,
    adaptive=F.adaptive_avg_pool2d,
    pad=F.pad,
    conv2d=F.conv2d,
    array=nn.Parameter,
)
BASES = [(2, 4, 6, 5), (1, 3, 1, 4), (3, 4, 6), (2, 6), (1, 2, 1, 1), (4, 1, 3, 3)]


def sizes_near(shape: tuple[int, ...], rng: random.Random) -> list[tuple[int, ...]]:
    """Return shapes that may use a trace of `shape`: other batch sizes, heights and widths."""
    found = [shape]
    for _ in range(5):
        other = list(shape)
        for dim in (0, 2, 3) if len(shape) == 4 else (0,):
            other[dim] = rng.choice([1, 1, 2, 3, 4, 5, 6, 8, shape[dim]])
        found.append(tuple(other))
    return found


def operation(shape: tuple[int, ...], rng: random.Random):
    """Draw a function of (x, library) that may fit a value of this shape."""
    rank = len(shape)
    d = rng.randrange(rank)
    kind = rng.choice(OPERATIONS)
    n = shape[d]
    if kind == "index":
        place = rng.choice([0, -1, n - 1, -n, n // 2]) if n else 0
        index = (slice(None),) * d + (place,)
        return lambda x, m: x[index]
    if kind == "slice":
        bounds = [rng.choice([None, 0, 1, 2, -1, -2, n, n + 3, -n, -n - 2]) for _ in range(2)]
        index = (slice(None),) * d + (slice(*bounds, rng.choice([None, 1, 2, 3])),)
        return lambda x, m: x[index]
    if kind == "new axis":
        return lambda x, m: x[(slice(None),) * d + (None,)]
    if kind == "unsqueeze":
        at = rng.randint(-rank - 1, rank)
        return lambda x, m: x.unsqueeze(at)
    if kind == "squeeze":
        return (lambda x, m: x.squeeze()) if rng.random() < 0.3 else (lambda x, m: x.squeeze(d))
    if kind == "flatten":
        end = rng.randrange(d, rank)
        return lambda x, m: x.flatten(d, end)
    if kind == "unflatten":
        divisor = rng.choice([k for k in range(1, n + 1) if n % k == 0] or [1])
        sizes = rng.choice([(divisor, -1), (-1, divisor), (divisor, n // divisor), (1, -1)])
        return lambda x, m: x.unflatten(d, sizes)
    if kind == "reshape":
        literal = list(shape)
        rng.shuffle(literal)
        if rng.random() < 0.6 and math.prod(shape):
            literal[rng.randrange(rank)] = -1
        return lambda x, m: x.reshape(literal)
    if kind == "merge":
        return lambda x, m: x.reshape(x.shape[0], -1)
    if kind == "features":
        rest = math.prod(shape[1:])
        return lambda x, m: x.reshape(-1, rest)
    if kind == "own shape":
        places = rng.sample(range(rank), rank)
        free = rng.choice([None, *range(rank)])

        def own(x, m):
            sizes = [x.shape[p] for p in places]
            if free is not None:
                sizes[free] = -1
            return x.permute(*places).relu().reshape(*sizes)

        return own
    if kind == "products":
        return lambda x, m: x.reshape(*x.shape[:d], math.prod(tuple(x.shape)[d:]))
    if kind == "expand":
        sizes = [
            rng.choice([2, 3]) if size == 1 and rng.random() < 0.6 else rng.choice([-1, size])
            for size in shape
        ]
        front = [2] if rank < 5 and rng.random() < 0.3 else []
        return lambda x, m: x.expand(*front, *sizes)
    if kind == "token":
        if rank < 3:
            return None
        token = array(1, *[1] * (rank - 2), shape[-1], seed=rng.randrange(99))
        return lambda x, m: m.cat([m.array(token).expand(*x.shape[:-2], 1, -1), x], -2)
    if kind == "broadcast":
        other = array(
            *[rng.choice([1, size]) for size in shape[rng.randrange(rank) :]], seed=rng.randrange(99)
        )
        return lambda x, m: x * m.array(other)
    if kind == "with itself":
        index = (slice(None),) * d + (slice(0, 1),)
        return lambda x, m: x + x[index]
    if kind == "means":
        return lambda x, m: x - x.mean(d, keepdim=True)
    if kind == "mean":
        dims = rng.choice([d, (), tuple(sorted({d, rng.randrange(rank)}))])
        keep = rng.random() < 0.5
        return lambda x, m: x.mean(dims, keepdim=keep)
    if kind == "permute":
        places = rng.sample(range(rank), rank)
        return lambda x, m: x.permute(*places)
    if kind == "chunk":
        pieces, reverse = rng.randint(1, 4), rng.random() < 0.5
        return lambda x, m: m.cat(list(x.chunk(pieces, d))[:: -1 if reverse else 1], d)
    if kind == "first chunk":
        pieces = rng.randint(1, 3)
        return lambda x, m: x.chunk(pieces, d)[0]
    if kind == "split":
        sizes = rng.choice([rng.randint(1, 4), [n // 2, n - n // 2]])
        return lambda x, m: x.split(sizes, d)[-1]
    if kind == "unbind":
        return lambda x, m: x.unbind(d)[-1] + x.unbind(d)[0]
    if kind == "roll":
        shift = rng.choice([1, -1, 7, 0])
        return lambda x, m: x.roll(shift, d)
    if kind == "cat":
        return lambda x, m: m.cat([x, x.relu()], d)
    if kind == "matmul":
        return (lambda x, m: x @ x.transpose(-2, -1)) if rank > 1 else None
    if kind == "size":
        return lambda x, m: x * (x.shape[d] / 7) if x.shape[d] % 2 else x + x.size(d)
    if kind == "crop":
        return lambda x, m: x[(slice(None),) * d + (slice(0, max(1, x.shape[d] // 2)),)]
    if kind == "pad":
        amounts = [rng.randint(0, 2) for _ in range(2 * rng.randint(1, rank))]
        return lambda x, m: m.pad(x, amounts)
    if kind == "padded to even":
        return lambda x, m: m.pad(x, (0, x.shape[-1] % 2))
    if kind == "softmax":
        return lambda x, m: x.softmax(d)
    if rank != 4:
        return None
    if kind == "pool":
        return lambda x, m: m.max_pool2d(x, 2, 1) if d < 2 else m.avg_pool2d(x, 2)
    if kind == "adaptive":
        to = rng.choice([1, 2, (2, None), (None, 1)])
        return lambda x, m: m.adaptive(x, to)
    weight = array(rng.randint(1, 4), shape[1], rng.choice([1, 3]), 3, seed=rng.randrange(99))
    padding = (weight.shape[2] // 2, 1) if rng.random() < 0.5 else 1
    return lambda x, m: m.conv2d(x, m.array(weight), None, 1, padding) + (x.mean() if d else 0)


OPERATIONS = [
    *(
        "index",
        "slice",
        "new axis",
        "unsqueeze",
        "squeeze",
        "flatten",
        "unflatten",
        "reshape",
        "merge",
        "features",
    ),
    *(
        "own shape",
        "products",
        "expand",
        "token",
        "broadcast",
        "with itself",
        "means",
        "mean",
        "permute",
        "chunk",
    ),
    *("first chunk", "split", "unbind", "roll", "cat", "matmul", "size", "crop", "pad", "padded to even"),
    *("softmax", "pool", "adaptive", "conv"),
]


@pytest.mark.parametrize("seed", range(40))
def test_programs_traced_at_one_size_are_torchs_at_others(seed):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    theirs = SimpleNamespace(
        cat=torch.cat,
        max_pool2d=functional.max_pool2d,
        avg_pool2d=functional.avg_pool2d,
        adaptive=functional.adaptive_avg_pool2d,
        pad=functional.pad,
        conv2d=functional.conv2d,
        array=torch.from_numpy,
    )
    rng = random.Random(seed)
    compared = 0
    for _ in range(12):
        base = rng.choice(BASES)
        steps = []
        value = torch.from_numpy(array(*base))
        while len(steps) < rng.randint(1, 5):
            step = operation(tuple(value.shape), rng) if value.dim() else None
            try:
                after = None if step is None else step(value, theirs)
            except (RuntimeError, IndexError, ValueError):
                after = None
            if after is None or after.dim() > 6 or after.numel() > 4096 or 0 in after.shape:
                if value.dim() == 0:
                    break
                continue
            steps.append(step)
            value = after

        def program(x, m, steps=steps):
            for step in steps:
                x = step(x, m)
            return x

        module = network(lambda x, program=program: program(x, RVISION))
        for shape in sizes_near(base, rng):
            x = array(*shape, seed=sum(shape))
            try:
                expected = program(torch.from_numpy(x), theirs).numpy()
            except (RuntimeError, IndexError, ValueError):
                # torch cannot; neither may a trace that was made at another size.
                with pytest.raises(
                    (rvision.ShapeError, rvision.ArgumentError, IndexError, ZeroDivisionError)
                ):
                    module(x)
                continue
            if 0 in expected.shape:
                continue
            got = module(x)
            assert got.shape == expected.shape, (base, shape)
            np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-5)
            compared += 1
    assert compared > 12


# ---- by hand, with NumPy's values ----

AT_OTHER_SIZES = {
    # A function, the shape that it is traced at, and others.
    "index": (lambda x: x[:, :, :, 5], (1, 2, 2, 8), [(1, 2, 2, 6), (3, 2, 1, 9)]),
    "index from behind": (lambda x: x[:, :, -3], (1, 2, 4, 4), [(2, 2, 3, 4), (1, 2, 9, 1)]),
    "index of the batch": (lambda x: x[1], (2, 3, 4, 5), [(4, 3, 2, 2)]),
    "slice beyond": (lambda x: x[:, :, 2:7, -6:], (1, 1, 8, 8), [(1, 1, 5, 4), (1, 1, 3, 3)]),
    "slice from behind": (lambda x: x[:, :, -4:-1], (1, 1, 8, 2), [(1, 1, 5, 3), (1, 1, 3, 1), (1, 1, 2, 1)]),
    "steps": (lambda x: x[:, :, 1::3, ::2], (1, 1, 8, 8), [(1, 1, 5, 7), (1, 1, 2, 1)]),
    "slice of huge bounds": (lambda x: x[:, :, : 2**70, -(2**70) :], (1, 1, 3, 3), [(1, 1, 5, 7)]),
    "mean over nothing": (lambda x: x.mean(()), (1, 2, 3, 4), [(2, 2, 5, 4)]),
    "squeezed": (lambda x: x.squeeze(2), (1, 2, 1, 4), [(1, 2, 3, 4), (2, 2, 1, 5)]),
    "squeezed everywhere": (lambda x: x.squeeze(), (1, 2, 1, 4), [(1, 2, 3, 4), (3, 2, 1, 1)]),
    "one of several": (lambda x: x[:1].squeeze(0), (3, 2, 2, 2), [(1, 2, 2, 2)]),
    "broadcast with its row": (lambda x: x + x[:, :, :1], (1, 2, 1, 3), [(2, 2, 4, 3)]),
    "product of rows": (lambda x: x @ x.transpose(2, 3), (1, 1, 1, 4), [(2, 1, 3, 5)]),
    "chunks": (
        lambda x: rvision.cat(x.chunk(3, 2)[::-1], 2),
        (1, 1, 6, 1),
        [(1, 1, 7, 1), (1, 1, 2, 1), (2, 1, 4, 2)],
    ),
    "pieces": (lambda x: x.split(2, 3)[-1], (1, 1, 1, 6), [(1, 1, 1, 5), (2, 1, 1, 1)]),
    "unbound": (lambda x: x.unbind(2)[-1], (1, 1, 6, 2), [(1, 1, 3, 2)]),
    "rolled": (lambda x: x.roll((5, -2), (2, 3)), (1, 1, 6, 4), [(2, 1, 3, 7)]),
    "padded": (lambda x: F.pad(x, (1, 0, 2, 1)).flatten(2), (1, 1, 2, 2), [(2, 1, 3, 1)]),
    "literal sizes": (lambda x: x.reshape(2, 30), (1, 3, 4, 5), [(4, 3, 5, 1), (1, 3, 5, 4)]),
    "features": (lambda x: x.view(-1, 24), (2, 4, 2, 3), [(5, 4, 3, 2), (1, 4, 6, 1)]),
    "a pool that sees one row": (lambda x: F.max_pool2d(x, 2).flatten(1), (1, 2, 3, 3), [(1, 2, 5, 4)]),
}


def numpys(function, x):
    """Run a function of symbols on an array that has a symbol's methods."""
    return network(function)(x)


@pytest.mark.parametrize(("function", "base", "others"), AT_OTHER_SIZES.values(), ids=AT_OTHER_SIZES)
def test_a_trace_of_one_size_gives_at_others_what_their_own_traces_give(function, base, others):
    module = network(function)
    module(array(*base))
    for shape in others:
        x = array(*shape)
        got, own = module(x), numpys(function, x)
        assert got.shape == own.shape
        np.testing.assert_array_equal(got, own)


def test_values_at_other_sizes_are_numpys():
    x = array(3, 2, 5, 7)
    for function, base, expected in [
        (lambda x: x[:, :, :, 5], (1, 2, 2, 8), x[:, :, :, 5]),
        (lambda x: x[:, :, -3], (1, 2, 4, 4), x[:, :, -3]),
        (lambda x: x[1], (2, 2, 4, 5), x[1]),
        (lambda x: x[:, :, 2:7, -6:], (1, 2, 8, 8), x[:, :, 2:7, -6:]),
        (lambda x: x[:, :, -4:-1], (1, 2, 8, 2), x[:, :, -4:-1]),
        (lambda x: x[:, :, 1::3, ::2], (1, 2, 8, 8), x[:, :, 1::3, ::2]),
        (lambda x: x.mean(()), (1, 2, 3, 4), x.mean()),
        (lambda x: x.mean((), keepdim=True), (1, 2, 3, 4), x.mean(keepdims=True)),
        (lambda x: x.squeeze(2), (1, 2, 1, 4), x),
        (lambda x: x.squeeze(), (1, 2, 1, 4), x),
        (lambda x: x + x[:, :, :1], (1, 2, 1, 3), x + x[:, :, :1]),
        (lambda x: x @ x.transpose(2, 3), (1, 2, 1, 4), x @ x.swapaxes(2, 3)),
        (lambda x: x.split(2, 3)[-1], (1, 2, 1, 6), x[..., 6:]),
        (lambda x: x.chunk(3, 2)[-1], (1, 2, 6, 6), x[:, :, 4:]),
        (lambda x: x.unbind(2)[-1], (1, 2, 6, 2), x[:, :, -1]),
        (lambda x: x.roll((5, -2), (2, 3)), (1, 2, 6, 4), np.roll(x, (5, -2), (2, 3))),
        (lambda x: x.reshape(2, 105), (1, 2, 105, 1), x.reshape(2, 105)),
        (lambda x: x.view(x.size(0), -1), (1, 2, 3, 4), x.reshape(3, 70)),
        (lambda x: x.view(x.size(0), 2, -1), (1, 2, 3, 4), x.reshape(3, 2, 35)),
        (lambda x: x.reshape(*x.shape[:2], x.shape[2] * x.shape[3]), (1, 2, 3, 4), x.reshape(3, 2, 35)),
    ]:
        module = network(function)
        module(array(*base))
        got = module(x)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


TOO_SMALL = {
    "index": (
        lambda x: x[:, :, :, 5],
        (1, 2, 2, 8),
        (1, 2, 2, 4),
        IndexError,
        "index 5 is out of range for dim",
    ),
    "index from behind": (lambda x: x[:, :, -3], (1, 2, 4, 4), (1, 2, 2, 4), IndexError, "index -3 is out"),
    "picture of the batch": (
        lambda x: x[1],
        (2, 3, 4, 5),
        (1, 3, 4, 5),
        IndexError,
        "index 1 is out of range",
    ),
    "unbound": (lambda x: x.unbind(2)[2], (1, 2, 4, 4), (1, 2, 2, 4), IndexError, "tuple index"),
    "unflattened": (
        lambda x: x.unflatten(2, (3, -1)),
        (1, 2, 6, 4),
        (1, 2, 4, 4),
        rvision.ShapeError,
        "of 4 elem",
    ),
    "cut": (lambda x: x.split([2, 4], 2)[1], (1, 2, 6, 4), (1, 2, 4, 4), rvision.ShapeError, "do not add up"),
    "expanded": (
        lambda x: x.expand(-1, 2, 3, 4),
        (1, 2, 1, 4),
        (1, 2, 2, 4),
        rvision.ShapeError,
        "broadcasts to",
    ),
    "reshaped": (lambda x: x.reshape(1, 24), (1, 2, 3, 4), (1, 2, 2, 4), rvision.ShapeError, "16 elements"),
    "added": (
        lambda x: x[:, :, 1:] + x[:, :, :-2],
        (1, 2, 3, 4),
        (1, 2, 5, 4),
        rvision.ShapeError,
        "broadcast",
    ),
    "linear": (
        lambda x: F.linear(x.flatten(1), np.ones((2, 24))),
        (1, 2, 3, 4),
        (1, 2, 2, 4),
        rvision.ShapeError,
        "24",
    ),
}


@pytest.mark.parametrize(("function", "base", "other", "error", "message"), TOO_SMALL.values(), ids=TOO_SMALL)
def test_what_does_not_fit_at_another_size_says_so(function, base, other, error, message):
    inner = type("Inner", (nn.Module,), {"forward": lambda self, x: function(x)})
    net = nn.Sequential(nn.Identity(), inner())
    net(array(*base))
    with pytest.raises(error, match=message) as raised:
        net(array(*other))
    assert str(raised.value).startswith("1") or "tuple" in message


# ---- sizes that are kept, and sizes that are used ----

KEPT = {
    "view of the batch": lambda x: x.view(x.size(0), -1),
    "unpacked": lambda x: (lambda n, c, _, __: x.view(n, c, -1))(*x.shape),
    "shuffled channels": lambda x: (
        lambda n, c, h, w: x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)
    )(*x.shape),
    "features": lambda x: F.adaptive_avg_pool2d(x, 2).view(-1, 16),
    "features, then their batch": lambda x: (lambda y: y.view(y.shape[0], 4, 4))(
        F.adaptive_avg_pool2d(x, 2).view(-1, 16)
    ),
    "batch of the input": lambda x: F.max_pool2d(F.relu(x), 2).flatten(2).mean(-1).view(x.shape[0], -1),
    "expanded": lambda x: x[:, :1].expand(x.size(0), 3, -1, -1),
    "compared with its own": lambda x: x * 2 if x.shape[0] == x.flatten(1).shape[0] else x,
    "returned by name": lambda x: x.reshape((x.shape[0], -1)),
}


@pytest.mark.parametrize("function", KEPT.values(), ids=KEPT)
def test_a_size_that_is_only_kept_binds_no_trace(function):
    module = network(function)
    for shape in [(2, 4, 6, 6), (5, 4, 6, 6), (1, 4, 8, 3)]:
        x = array(*shape)
        assert np.array_equal(module(x), network(function)(x))
    (trace,) = module._links.traces
    assert not trace.size_bound


class Tokens(nn.Module):
    """Prepends a class token in the usual way."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(np.arange(3.0).reshape(1, 1, 3))

    def forward(self, x):
        n, c, _, _ = x.shape
        x = x.view(n, c, -1).transpose(1, 2)
        return rvision.cat((self.token.expand(n, -1, -1), x), dim=1)


def test_a_class_token_expanded_to_the_batch():
    tokens = Tokens()
    for shape in [(1, 3, 2, 4), (5, 3, 2, 4), (2, 3, 1, 1)]:
        x = array(*shape)
        rows = np.moveaxis(x, 1, -1).reshape(shape[0], -1, 3)
        first = np.broadcast_to(np.arange(3, dtype=np.float32), (shape[0], 1, 3))
        assert np.array_equal(tokens(x), np.concatenate([first, rows], 1))
    (trace,) = tokens._links.traces
    assert not trace.size_bound


def test_a_size_in_use_binds_to_what_it_depends_on_alone():
    module = network(lambda x: F.max_pool2d(x, 2) * F.max_pool2d(x, 2).shape[2])
    for batch in range(1, 6):
        for width in (4, 6, 9):
            x = array(batch, 2, 8, width)
            np.testing.assert_allclose(module(x), 4 * F.max_pool2d(x, 2))
    (trace,) = module._links.traces
    assert trace.bound == {(0, -2)}
    x = array(1, 2, 6, 4)
    np.testing.assert_allclose(module(x), 3 * F.max_pool2d(x, 2))


# What ordinary code does with a size, and its value for size 6.
USES = {
    "index": (operator.index, 6),
    "int": (int, 6),
    "float": (float, 6.0),
    "complex": (complex, 6 + 0j),
    "round": (lambda n: (round(n), math.floor(n), math.ceil(n), math.trunc(n)), (6, 6, 6, 6)),
    "sqrt": (lambda n: math.sqrt(n + 3), 3.0),
    "range": (lambda n: list(range(n)), list(range(6))),
    "slice": (lambda n: "abcdefgh"[:n], "abcdef"),
    "repeated list": (lambda n: [0] * n, [0] * 6),
    "repeated tuple": (lambda n: n * (1,), (1,) * 6),
    "repeated text": (lambda n: "a" * n, "aaaaaa"),
    "operators": (
        lambda n: (n // 4, n % 4, n / 4, n**2, 2**n, -n, abs(n), ~n),
        (1, 2, 1.5, 36, 64, -6, 6, -7),
    ),
    "bits": (lambda n: (n << 1, n >> 1, n & 3, n | 1, n ^ 2, 1 << n), (12, 3, 2, 7, 4, 64)),
    "on the right": (
        lambda n: (7 // n, 7 % n, 3 / n, 10 - n, 2 * n, divmod(13, n)),
        (1, 1, 0.5, 4, 12, (2, 1)),
    ),
    "divmod": (lambda n: divmod(n, 4), (1, 2)),
    "pow": (lambda n: pow(n, 2, 5), 1),
    "comparisons": (
        lambda n: (n == 6, n != 6, n < 6, n <= 6, n > 5, n >= 6),
        (True, False, False, True, True, True),
    ),
    "with text": (lambda n: n == "6", False),
    "truth": (bool, True),
    "min and max": (lambda n: (min(n, 4), max(n, 4)), (4, 6)),
    "sum": (lambda n: sum([n, n, 1]), 13),
    "dict key": (lambda n: {6: "six"}[n], "six"),
    "in a set": (lambda n: n in {5, 6}, True),
    "hash": (hash, hash(6)),
    "text": (
        lambda n: (f"{n}", f"{n:03d}", str(n), repr(n), f"{n!r}", format(n, "x")),
        ("6", "006", "6", "6", "6", "6"),
    ),
    "isinstance": (lambda n: isinstance(n, int) and n + 1, 7),
    "fraction": (lambda n: Fraction(1, 3) * n, 2),
    "gcd": (lambda n: math.gcd(n, 4), 2),
    "bit_length": (lambda n: n.bit_length(), 3),
    "copies": (lambda n: (copy.copy(n), copy.deepcopy([n])), (6, [6])),
    "pickled": (lambda n: pickle.loads(pickle.dumps(n)), 6),
    "numpy shape": (lambda n: np.zeros((n, 2)).shape, (6, 2)),
    "numpy range": (lambda n: np.arange(n).sum(), 15),
    "numpy linspace": (lambda n: np.linspace(0, 1, n).shape, (6,)),
    "numpy scalar": (lambda n: np.float32(2) * n, 12.0),
    "numpy product": (lambda n: np.prod([n, 2]), 12),
    "numpy sqrt": (lambda n: np.sqrt(n - 2), 2.0),
    "numpy int": (lambda n: np.int64(n) + 1, 7),
    "numpy mask": (lambda n: np.tril(np.ones((n, n))).sum(), 21.0),
}


@pytest.mark.parametrize(("use", "value"), USES.values(), ids=USES)
def test_every_use_of_a_size_gives_its_value_and_binds(use, value):
    seen = []

    def forward(x):
        seen.append(use(x.shape[2]))
        return x

    module = network(forward)
    module(array(1, 2, 6, 3))
    assert seen[-1] == value
    assert module._links.traces == [] or module._links.traces[-1].bound == {(0, -2)}


def test_a_size_leaves_arrays_their_type():
    seen = []
    module = network(lambda x: seen.append((np.ones(2, np.float32) * x.shape[2]).dtype) or x)
    module(array(1, 2, 6, 3))
    assert seen == [np.float32]


def test_a_size_that_c_code_can_not_read_is_an_error():
    module = network(lambda x: x * len(json.dumps({"height": x.shape[2]})))
    with pytest.raises(TypeError, match="not JSON serializable"):
        module(array(1, 2, 6, 3))


def test_sizes_that_are_returned_or_kept_are_integers():
    class Net(nn.Module):
        def forward(self, x):
            self.height = x.shape[2]
            self.shape = x.shape
            return x, x.shape[2], x.shape, {"sizes": x.shape[2:]}

    net = Net()
    for shape in [(1, 2, 6, 3), (2, 2, 4, 3)]:
        _, height, whole, rest = net(array(*shape))
        assert type(height) is int and height == shape[2]
        assert whole == shape and type(whole) is tuple and rest == {"sizes": shape[2:]}
        assert type(net.height) is int and (net.height, net.shape) == (shape[2], shape)


def test_wrong_sizes_name_the_module():
    for function, message in [
        (lambda x: x.reshape(-2, 4), "reshape: sizes must be 0 or more"),
        (lambda x: x.view(-1, -1), "view: at most one size may be -1"),
        (lambda x: x.expand(-3, 2, 2, 2), "expand: sizes must be 0 or more"),
        (lambda x: x.chunk(0), "chunks must be an integer of at least 1, got 0"),
        (lambda x: x.split(-1), "split: split_size must be an integer of at least 1, got -1"),
        (lambda x: x.split([3, -1]), "do not add up"),
    ]:
        with pytest.raises((rvision.ArgumentError, rvision.ShapeError), match=message):
            network(function)(array(2, 2, 2, 2))


# ---- what a trace's key leaves out ----


def test_constants_of_arguments_are_told_apart():
    class Net(nn.Module):
        def forward(self, x, by):
            (by,) = by
            return x * (
                7 if isinstance(by, bool) else 3 if isinstance(by, int) else 2 if str(by)[0] == "-" else 1
            )

    net, x = Net(), np.ones((1, 2), np.float32)
    assert [float(net(x, (by,))[0, 0]) for by in (0, 0.0, False, -0.0, 0)] == [3, 1, 7, 2, 3]
