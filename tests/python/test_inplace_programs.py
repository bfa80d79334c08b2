"""Random programs of views and in-place operations, compared with NumPy and torch.

rvision may refuse a program, but must never give other numbers.
"""

from __future__ import annotations

import random
from types import SimpleNamespace

import inplace_numpy
import numpy as np
import pytest
import rvision
from rvision import nn


def picture(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def arrays(values):
    return [np.asarray(value) for value in values]


# Each is drawn as a name, the value that it is done on, and further numbers.
DRAWN = [
    *("relu_", "sigmoid_", "imul", "iadd", "leaky_", "relu6_", "clamp_", "doubled", "clone", "contiguous"),
    *(
        "detach",
        "relu",
        "scale",
        "squeeze",
        "identity",
        "dropout",
        "slice",
        "slice",
        "islice",
        "index",
        "iindex",
    ),
    *("flatten", "flatten", "permute", "permute", "transpose", "reshape", "view", "unsqueeze", "expand"),
    *("expand_as", "chunk", "unbind", "unflatten", "unflatten", "add", "iaddw", "iaddw", "imulw", "isubw"),
    *("cat", "softmax", "mean"),
]


def draw(source: random.Random, values: list) -> tuple:
    """Draw an operation on one of `values`."""
    at = source.randrange(len(values))
    rank = len(values[at].shape)
    name = source.choice(DRAWN) if rank else "clone"
    dim, other = source.randrange(max(rank, 1)), source.randrange(len(values))
    dims = list(range(rank))
    source.shuffle(dims)
    bounds = source.choice([None, 0, 1, -2, 2]), source.choice([None, -1, 2, 3, 1]), source.choice([1, 1, 2])
    sizes = source.choice([(2, -1), (-1, 2), (1, -1), (-1, 3)])
    return name, at, dim, other, tuple(dims), bounds, sizes, source.choice([0, 0, -1])


def execute(program: list, values: list, net, lib) -> list:
    """Do all operations on `values`; their results are appended."""
    for name, at, dim, other, dims, bounds, sizes, place in program:
        x, y, new = values[at], values[other], None
        before = (slice(None),) * dim
        if name in ("relu_", "sigmoid_"):
            getattr(x, name)()
        elif name == "imul":
            x *= 1.5
        elif name == "iadd":
            x += 0.75
        elif name == "leaky_":
            new = lib.F.leaky_relu(x, 0.3, inplace=True)
        elif name == "relu6_":
            new = net.relu6(x)
        elif name == "clamp_":
            x.clamp_(-1.0, 1.2)
        elif name == "doubled":
            x += x
        elif name in ("clone", "contiguous", "detach", "relu", "squeeze"):
            new = getattr(x, name)()
        elif name == "scale":
            new = 2.0 - x
        elif name == "identity":
            new = net.identity(x)
        elif name == "dropout":
            new = lib.F.dropout(x, 0.5, False)
        elif name == "slice":
            new = x[(*before, slice(*bounds))]
        elif name == "islice":
            x[(*before, slice(*bounds))] += 0.6
        elif name == "index":
            new = x[(*before, place)]
        elif name == "iindex":
            x[(*before, place)] *= -0.5
        elif name == "flatten":
            new = x.flatten(dim, min(dim + 1, len(x.shape) - 1))
        elif name == "permute":
            new = x.permute(*dims)
        elif name == "transpose":
            new = x.transpose(dim, dims[0])
        elif name in ("reshape", "view"):
            new = getattr(x, name)(*x.shape[:dim], -1)
        elif name == "unsqueeze":
            new = x.unsqueeze(dim)
        elif name == "expand":
            new = x.expand(2, *[-1] * len(x.shape))
        elif name == "expand_as":
            new = x.expand_as(y)
        elif name == "chunk":
            new = x.chunk(2, dim)[place]
        elif name == "unbind":
            new = x.unbind(dim)[0]
        elif name == "unflatten":
            new = x.unflatten(dim, sizes)
        elif name == "add":
            new = x + y
        elif name == "iaddw":
            x += y
        elif name == "isubw":
            x -= y
        elif name == "imulw":
            x *= y
        elif name == "cat":
            new = lib.cat([x, y], 0)
        elif name == "softmax":
            new = x.softmax(dim)
        else:
            new = x.mean(dim, place == 0)
        if new is not None:
            values.append(new)
    return values


def drawn_program(seed: int, run) -> tuple[list, np.ndarray, list]:
    """Draw a program that `run(program, x)` can run; return it, its input and its result."""
    source = random.Random(seed)
    x = picture(source.choice([(2, 4, 3), (2, 4, 3, 2), (4, 6), (2, 3, 4, 4), (1, 4, 3)]), seed)
    program: list = []
    values = [x]
    for _ in range(source.randrange(3, 13)):
        for _ in range(4):
            step = draw(source, values)
            try:
                found = run([*program, step], x)
            except (RuntimeError, ValueError, IndexError, TypeError, ZeroDivisionError):
                continue
            if all(0 < value.size < 2000 and value.ndim <= 6 for value in found):
                program.append(step)
                values = found
                break
    return program, x, values


class Program(nn.Module):
    def __init__(self, program):
        super().__init__()
        self.program = program
        self.relu6 = nn.ReLU6(inplace=True)
        self.identity = nn.Identity()

    def forward(self, x):
        return tuple(execute(self.program, [x], self, SimpleNamespace(F=nn.functional, cat=rvision.cat)))


def check_program(program: list, calls: list) -> bool:
    """Call rvision's network of a program; return whether it refused each time."""
    net = Program(program)
    refused = 0
    for x, expected in calls:
        try:
            found = net(x)
        except rvision.UnsupportedError:
            refused += 1
            continue
        assert [array.shape for array in found] == [array.shape for array in expected]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    return refused == len(calls)


def test_programs_equal_memory_by_definition():
    def run(program, x):
        net = inplace_numpy.layers(None)
        return arrays(
            execute(
                program,
                [x.copy().view(inplace_numpy.Array)],
                net,
                SimpleNamespace(F=inplace_numpy.F, cat=inplace_numpy.cat),
            )
        )

    refused = 0
    for seed in range(250):
        program, x, expected = drawn_program(seed, run)
        refused += check_program(program, [(x, expected)])
    assert refused < 50


def test_programs_equal_torchs_at_several_sizes():
    torch = pytest.importorskip("torch")
    net = SimpleNamespace(relu6=torch.nn.ReLU6(inplace=True), identity=torch.nn.Identity())
    lib = SimpleNamespace(F=torch.nn.functional, cat=torch.cat)

    def run(program, x):
        with torch.no_grad():
            return arrays(execute(program, [torch.from_numpy(x.copy())], net, lib))

    refused = 0
    for seed in range(1000, 1250):
        program, x, expected = drawn_program(seed, run)
        calls = [(x, expected)]
        for batch in (1, 3):
            other = picture((batch, *x.shape[1:]), seed)
            try:
                calls.append((other, run(program, other)))
            except (RuntimeError, ValueError, IndexError):
                continue  # such as an index that is out of range now
        random.Random(seed).shuffle(calls)
        refused += check_program(program, calls)
    assert refused < 50
