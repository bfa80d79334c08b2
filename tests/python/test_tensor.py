"""rvision.Tensor, the functions that make tensors, random numbers and nn.init: what torch computes.

The right values are torch's. They stand in tests/golden/tensors.json, which `python
tests/python/test_tensor.py` writes where torch is installed; there they are also compared with torch as it
is now.
"""

from __future__ import annotations

import copy
import json
import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rvision

GOLDEN = Path(__file__).parents[1] / "golden" / "tensors.json"

# Each is run with torch and with rvision as `m`; x has the shape (2, 3).
CASES = {
    # shapes
    "view": lambda m, x: x.view(3, 2),
    "view -1": lambda m, x: x.view(-1),
    "view of a tuple": lambda m, x: x.view((1, 6)),
    "view_as": lambda m, x: x.view_as(m.zeros(6)),
    "reshape": lambda m, x: x.reshape(3, -1),
    "reshape_as": lambda m, x: x.reshape_as(m.zeros(3, 2)),
    "unsqueeze": lambda m, x: (x.unsqueeze(0), x.unsqueeze(-1), x.unsqueeze(1), x.unsqueeze(dim=2)),
    "squeeze": lambda m, x: (x.unsqueeze(0).squeeze(), x.unsqueeze(0).squeeze(0), x.squeeze(0)),
    "squeeze dim": lambda m, x: (x[:, :1].squeeze(dim=1), x.squeeze(dim=1), x[None].squeeze((0, 1))),
    "flatten from 1": lambda m, x: x.view(1, 2, 3).flatten(1),
    "flatten to 1": lambda m, x: x.view(1, 2, 3).flatten(0, 1),
    "flatten end_dim": lambda m, x: x.view(1, 2, 3).flatten(end_dim=-2),
    "unflatten": lambda m, x: x.view(6).unflatten(0, (2, -1)),
    "permute": lambda m, x: (x.permute(1, 0), x.view(1, 2, 3).permute(2, 0, 1), x[None].permute((0, 2, 1))),
    "transpose of three": lambda m, x: x.view(1, 2, 3).transpose(0, 2),
    "transpose dims": lambda m, x: x.transpose(dim0=0, dim1=1),
    "t": lambda m, x: (x.t(), x.T, x[0].t()),
    "swapaxes": lambda m, x: x[None].swapaxes(0, 2),
    "movedim": lambda m, x: x[None].movedim(0, 2),
    "expand": lambda m, x: (x[:1].expand(2, 3), x[None].expand(2, -1, -1), x[0].expand(2, 3)),
    "expand_as": lambda m, x: x[:1].expand_as(x),
    "repeat": lambda m, x: x.repeat(2, 1, 1),
    "tile": lambda m, x: x.tile((2,)),
    "repeat_interleave": lambda m, x: (x.repeat_interleave(2, dim=1), x.repeat_interleave(2)),
    "narrow": lambda m, x: x.narrow(1, 1, 2),
    "select": lambda m, x: x.select(1, -1),
    "unbind": lambda m, x: tuple(x.unbind(1)),
    "split": lambda m, x: (*x.split(2, 1), *x.split([1, 2], dim=1)),
    "chunk": lambda m, x: tuple(x.chunk(2, dim=1)),
    "flip": lambda m, x: (x.flip(1), x.flip([0, 1]), x.flip(-1)),
    "roll": lambda m, x: (x.roll(1, 1), x.roll(1), x.roll((1, 2), (0, 1))),
    "index_select": lambda m, x: x.index_select(1, m.tensor([2, 0])),
    "gather": lambda m, x: x.gather(1, m.tensor([[0, 2], [1, 1]])),
    "indices": lambda m, x: (x[0], x[:, 1], x[..., 0], x[None], x[x > 0], x[m.tensor([1, 0, 1])]),
    # values
    "sum": lambda m, x: (x.sum(), x.sum(1), x.sum(dim=0), x.sum(dim=(0, 1)), x.sum(1, keepdim=True)),
    "sum of bools": lambda m, x: ((x > 0).sum(), (x > 0).sum(dim=1)),
    "mean": lambda m, x: (x.mean(), x.mean(dim=0), x.mean(dim=(0, 1)), x.mean(1, keepdim=True)),
    "prod": lambda m, x: (x.prod(), x.prod(dim=1)),
    "any, all": lambda m, x: ((x > 1).any(), (x > 1).all(dim=1), (x > 1).any(dim=0, keepdim=True)),
    "max": lambda m, x: (x.max(), x.min(), *x.max(dim=1), *x.min(dim=0, keepdim=True)),
    "max of two": lambda m, x: (x.max(m.zeros(3)), x.min(m.zeros(2, 1))),
    "amax": lambda m, x: (x.amax(1), x.amin((0, 1)), x.amax(), x.amin(dim=0, keepdim=True)),
    "argmax": lambda m, x: (x.argmax(), x.argmax(dim=1), x.argmin(1), x.argmax(dim=1, keepdim=True)),
    "std": lambda m, x: (x.std(dim=1), x.std(unbiased=False), x.var(dim=0, unbiased=False)),
    "std correction": lambda m, x: (x.std(dim=1, correction=0), x.var(dim=(0, 1), keepdim=True)),
    "median": lambda m, x: (x.median(), *x.median(dim=1), *x.median(dim=0, keepdim=True)),
    "median of NaN": lambda m, x: m.tensor([1.0, float("nan"), 2.0]).median(),
    "cumsum": lambda m, x: (x.cumsum(dim=1), x.cumsum(0), x.cumprod(dim=1)),
    "topk": lambda m, x: (*x.topk(2), *x.topk(1, dim=0), *x.topk(2, largest=False), *x.topk(k=3, dim=-1)),
    "topk of NaN": lambda m, x: m.tensor([1.0, float("nan"), 2.0]).topk(2).indices,
    "sort": lambda m, x: (*x.sort(descending=True), *x.sort(dim=0), *x.view(-1).sort(dim=0)),
    "sort stable": lambda m, x: tuple(m.tensor([1, 0, 1, 0]).sort(descending=True, stable=True)),
    "sort of NaN": lambda m, x: m.tensor([1.0, float("nan"), 2.0]).sort(descending=True).indices,
    "argsort": lambda m, x: (x.argsort(dim=0), x.argsort(descending=True)),
    "norm": lambda m, x: (x.norm(), x.norm(1), x.norm(p=2, dim=1), x.norm(dim=1, keepdim=True)),
    "norm inf": lambda m, x: (x.norm(float("inf")), x.norm(0), x.norm(3.0, dim=0)),
    "softmax": lambda m, x: (x.softmax(1), x.softmax(dim=0), x[0].softmax(0)),
    "log_softmax": lambda m, x: x.log_softmax(dim=1),
    "pointwise": lambda m, x: (x.exp(), x.abs(), x.abs().log(), x.abs().sqrt(), x.sigmoid(), x.tanh()),
    "relu": lambda m, x: x.relu(),
    "clamp": lambda m, x: (x.clamp(0, 1), x.clamp(min=0), x.clamp(max=0.5), x.clamp(0)),
    "powers": lambda m, x: (x.pow(2), x**2, x.square(), x.abs().rsqrt(), x.reciprocal(), x.neg()),
    "arithmetic": lambda m, x: (x.add(1), x.sub(x, alpha=2), x.mul(x), x.div(2), x / x, 1 - x, x - 0.5),
    "matmul": lambda m, x: (x @ x.t(), x.matmul(x.t()), x.mm(x.t()), x.mv(x[0])),
    "bmm": lambda m, x: x[None].bmm(x.t()[None]),
    "comparisons": lambda m, x: (x.eq(1), x.ne(1), x.gt(0), x.ge(1), x.lt(0), x.le(1), x == x, x > 0),
    "equal": lambda m, x: (x.equal(x.clone()), x.allclose(x + 1e-9), x.equal(x.t())),
    "isnan": lambda m, x: ((x / 0).isnan(), (x / 0).isinf(), (x / 0).isfinite()),
    "masked_fill": lambda m, x: (x.masked_fill(x > 0, 7), x.masked_select(x > 0), x.where(x > 0, m.zeros(1))),
    "nonzero": lambda m, x: ((x > 0).nonzero(as_tuple=False), *(x > 0).nonzero(as_tuple=True)),
    "unique": lambda m, x: (*m.tensor([3, 1, 3]).unique(return_counts=True), m.tensor([2, 1]).unique()),
    "bincount": lambda m, x: m.tensor([3, 1, 3]).bincount(minlength=5),
    # types
    "types": lambda m, x: (x.double(), x.half(), x.long(), x.int(), x.byte() * 0, x.bool(), x.float()),
    "to": lambda m, x: (x.to("cpu"), x.to(m.float64), x.to("cpu", m.int64), x.to(dtype=m.float16)),
    "to other": lambda m, x: (x.to(m.zeros(1, dtype=m.int32)), x.type_as(m.zeros(1).double())),
    "type": lambda m, x: (x.type(m.int64), x.type("torch.DoubleTensor")),
    "new": lambda m, x: (x.new_zeros(2), x.new_ones((2, 1)), x.new_full((2,), 3), x.new_tensor([1, 2])),
    "numbers": lambda m, x: (x.dim(), x.numel(), x.size(1), x.size(-1), x.element_size(), x.nelement()),
    "sizes": lambda m, x: (tuple(x.size()), x.size().numel(), tuple(x.shape), x.stride(), x.t().stride(0)),
    "flags": lambda m, x: (x.is_contiguous(), x.t().is_contiguous(), x.is_floating_point(), x.is_cuda),
    "grad": lambda m, x: (x.requires_grad, x.grad is None, x.detach(), x.data, x.cpu(), x.contiguous()),
    "item": lambda m, x: (
        x[0, 0].item(),
        x.sum().item(),
        x.tolist(),
        len(x),
        int(x[0, 1]),
        bool(x[0, 0] > 0),
    ),
    # writes
    "copy_": lambda m, x: x.copy_(m.tensor([1.0, 2.0, 3.0])),
    "copy_ to a view": lambda m, x: (x.view(-1)[1:].copy_(m.arange(5)), x),
    "fills": lambda m, x: (x.clone().fill_(2), x.clone().zero_(), x[0].fill_(1), x),
    "in place": lambda m, x: x.add_(1).mul_(2).sub_(x, alpha=0.5).div_(3).clamp_(min=0).pow_(2),
    "activations in place": lambda m, x: (x.clone().relu_(), x.clone().sigmoid_(), x.clone().tanh_()),
    "masked_fill_": lambda m, x: x.masked_fill_(x > 0, -1),
    "item assignment": lambda m, x: (x.__setitem__((0, 1), 9), x.__setitem__((slice(None), 2), 4), x)[2],
    "unsqueeze_": lambda m, x: (x.unsqueeze_(0), x.squeeze_(0))[1],
    "requires_grad_": lambda m, x: x.requires_grad_(False),
    # functions
    "tensor": lambda m, x: (m.tensor(3), m.tensor([1.5, 2]), m.tensor([True]), m.tensor([[1], [2]])),
    "tensor of a type": lambda m, x: (m.tensor([1, 2], dtype=m.float32), m.tensor(x.tolist(), device="cpu")),
    "ranges": lambda m, x: (m.arange(4), m.arange(1, 3), m.arange(0, 1, 0.25), m.linspace(0, 1, 5), m.eye(2)),
    "constants": lambda m, x: (m.zeros(2, 3), m.ones((2,)), m.full((2,), 3.5), m.full((2,), 3), m.zeros(())),
    "like": lambda m, x: (m.zeros_like(x), m.ones_like(x), m.full_like(x, 2), m.ones_like(x, dtype=m.int64)),
    "from_numpy": lambda m, x: m.from_numpy(np.arange(3, dtype=np.float32)),
    "as_tensor": lambda m, x: (m.as_tensor([1, 2]), m.as_tensor(np.ones(2, np.float32))),
    "stack": lambda m, x: (m.stack([x, x]), m.stack((x, x), dim=1), m.cat([x, x], 0), m.cat((x, x), dim=1)),
    "topk of the module": lambda m, x: (*m.topk(x, 2), *m.sort(x, descending=True), *m.sort(x)),
    "max of the module": lambda m, x: (m.max(x), *m.max(x, 1), *m.min(x, dim=0), m.argmax(x, 1), m.argmax(x)),
    "argsort of the module": lambda m, x: m.argsort(x, dim=1, descending=True),
    "softmax of the module": lambda m, x: (m.softmax(x, dim=1), m.sigmoid(x), m.log_softmax(x, 0)),
    "functions": lambda m, x: (m.sum(x), m.mean(x, 1), m.abs(x), m.exp(x), m.clamp(x, 0, 1), m.norm(x)),
    "moves": lambda m, x: (m.flatten(x), m.unsqueeze(x, 0), m.squeeze(x[None]), m.permute(x, (1, 0))),
    "splits": lambda m, x: (*m.split(x, 2, dim=1), *m.chunk(x, 3, 1), *m.unbind(x)),
    "where": lambda m, x: m.where(x > 0, x, m.zeros_like(x)),
    "equality": lambda m, x: (m.equal(x, x), m.allclose(x, x + 1e-9), m.is_tensor(x), m.is_tensor([1])),
    "cumsum of the module": lambda m, x: (m.cumsum(x, dim=1), m.gather(x, 1, m.tensor([[0], [1]]))),
    "cosine_similarity": lambda m, x: m.nn.functional.cosine_similarity(x[:1], x, dim=1),
    "normalize": lambda m, x: m.nn.functional.normalize(x, dim=1),
}

# The same seed gives torch's numbers; small ones and many take different ways.
DRAWS = {
    "rand": lambda m: (m.rand(3, 5), m.rand(2), m.rand(5, dtype=m.float64)),
    "randn": lambda m: (m.randn(3), m.randn(7, 11), m.randn(4, 8), m.randn(20, dtype=m.float64)),
    "randint": lambda m: (m.randint(10, (7,)), m.randint(0, 2**30, (3,)), m.randint(-5, 2**40, (3,))),
    "randperm": lambda m: m.randperm(20),
    "like": lambda m: (m.rand_like(m.zeros(2, 3)), m.randn_like(m.zeros(2, 3))),
    "generator": lambda m: m.rand(3, generator=m.Generator().manual_seed(7)),
    "uniform_": lambda m: (m.zeros(4).uniform_(-1, 2), m.zeros(4).normal_(1, 0.5), m.zeros(4, 5).normal_()),
    "init": lambda m: tuple(
        getattr(m.nn.init, name)(m.zeros(*size), **options)
        for name, size, options in (
            ("uniform_", (3, 4), {"a": -1}),
            ("normal_", (3, 4), {"std": 3}),
            ("trunc_normal_", (5, 6), {"std": 0.02}),
            ("trunc_normal_", (5, 6), {"mean": 1.0, "std": 2.0, "a": 0.0, "b": 1.0}),
            ("kaiming_normal_", (4, 3, 3, 3), {"mode": "fan_out", "nonlinearity": "relu"}),
            ("kaiming_uniform_", (4, 3, 3, 3), {"a": 5**0.5}),
            ("xavier_normal_", (4, 3), {}),
            ("xavier_uniform_", (4, 3), {"gain": 2}),
            ("orthogonal_", (4, 6), {}),
            ("sparse_", (6, 4), {"sparsity": 0.3}),
            ("constant_", (2,), {"val": 0.3}),
            ("eye_", (3, 2), {}),
            ("dirac_", (4, 2, 3, 3), {}),
            ("ones_", (2,), {}),
            ("zeros_", (2,), {}),
        )
    ),
}


def plain(value):
    """Return a result as JSON: arrays as their type, shape and values."""
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        flat = np.asarray(value)
        values = [repr(float(v)) if flat.dtype.kind == "f" else int(v) for v in flat.ravel()]
        return {"dtype": flat.dtype.name, "shape": list(flat.shape), "values": values}
    return value


def run(m, name: str):
    with np.errstate(all="ignore"):
        if name in CASES:
            return plain(CASES[name](m, m.tensor([[0.5, -1.0, 2.0], [1.0, 3.0, -0.25]])))
        m.manual_seed(12345)
        return plain(DRAWS[name.removeprefix("draw: ")](m))


NAMES = [*CASES, *(f"draw: {name}" for name in DRAWS)]


@cache
def golden() -> dict:
    return json.loads(GOLDEN.read_text())


def agree(found, expected, where: str) -> None:
    if isinstance(expected, list):
        assert isinstance(found, list) and len(found) == len(expected), (where, found, expected)
        for at, (one, other) in enumerate(zip(found, expected, strict=True)):
            agree(one, other, f"{where}[{at}]")
    elif isinstance(expected, dict) and isinstance(found, dict):
        assert (found["dtype"], found["shape"]) == (expected["dtype"], expected["shape"]), where
        one, other = (np.array(side["values"], np.float64) for side in (found, expected))
        np.testing.assert_allclose(
            one, other, rtol=1e-3 if found["dtype"] == "float16" else 1e-5, atol=5e-6, err_msg=where
        )
    else:
        assert found == pytest.approx(expected, rel=1e-6), where


@pytest.mark.parametrize("name", NAMES)
def test_it_is_as_torch_says(name):
    agree(run(rvision, name), golden()[name], name)


@pytest.mark.parametrize("name", NAMES)
def test_torch_still_says_so(name):
    torch = pytest.importorskip("torch")
    agree(json.loads(json.dumps(run(torch, name))), golden()[name], name)


# ---- what NumPy does stays NumPy's ----


@pytest.fixture
def x():
    return rvision.tensor([[0.5, -1.0, 2.0], [1.0, 3.0, -0.25]])


def test_a_tensor_is_numpys_array(x):
    assert isinstance(x, np.ndarray)
    plain = np.asarray(x)
    assert type(plain) is np.ndarray and np.shares_memory(plain, x)
    assert type(x.numpy()) is np.ndarray and np.shares_memory(x.numpy(), x)
    again = pickle.loads(pickle.dumps(x))
    assert type(again) is np.ndarray and np.array_equal(again, x)
    assert type(copy.copy(x)) is rvision.Tensor and type(copy.deepcopy(x)) is rvision.Tensor
    assert x.size == 6 and isinstance(x.size, int) and json.dumps(int(x.size)) == "6"
    assert x.shape == (2, 3) and x.dtype == np.float32 and x.nbytes == 24
    assert memoryview(x).shape == (2, 3)
    np.testing.assert_allclose(x, plain)
    assert type(x.sum()) is np.float32 and type(x[0, 0]) is np.float32


# The table in docs/tensors.md says the same.
@pytest.mark.parametrize(
    ("of", "numpys"),
    {
        "max(1)": (lambda x: x.max(1), lambda x: np.max(x, 1)),
        "min(0)": (lambda x: x.min(0), lambda x: np.min(x, 0)),
        "std()": (lambda x: x.std(), lambda x: np.std(x)),
        "var(1)": (lambda x: x.var(1), lambda x: np.var(x, 1)),
        "transpose(0, 1)": (lambda x: x.transpose(0, 1), lambda x: np.transpose(x, (0, 1))),
        "repeat(2, 1)": (lambda x: x.repeat(2, 1), lambda x: np.repeat(x, 2, 1)),
        "argsort()": (lambda x: x.argsort(), lambda x: np.argsort(x)),
        "nonzero()": (lambda x: x.nonzero(), lambda x: np.nonzero(x)),
        "flatten()": (lambda x: x.flatten(), lambda x: x.ravel()),
        "squeeze()": (lambda x: x[None].squeeze(), lambda x: x),
        "view(type)": (lambda x: x.view(np.int32), lambda x: x.view(np.int32)),
        "arithmetic": (lambda x: np.arange(3) / 2 + x[0], lambda x: np.arange(3) / 2 + x[0]),
        "size": (lambda x: x.size, lambda x: 6),
        "copy": (lambda x: x.copy(), lambda x: x),
        "astype": (lambda x: x.astype(int), lambda x: x.astype(int)),
        "mean(axis=)": (lambda x: x.mean(axis=(0, 1), keepdims=True), lambda x: np.mean(x, keepdims=True)),
    }.values(),
)
def test_where_the_two_differ_numpys_meaning_stays(x, of, numpys):
    found, expected = of(x), numpys(np.array(x))
    if isinstance(expected, tuple):
        assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))
    else:
        assert np.array_equal(found, expected) and np.asarray(found).dtype == np.asarray(expected).dtype


def test_sort_without_torchs_words_is_in_place(x):
    expected = np.sort(np.asarray(x), 1)
    assert x.sort() is None and np.array_equal(x, expected)


def test_libraries_see_an_array(x):
    pandas = pytest.importorskip("pandas")
    assert pandas.DataFrame(x).shape == (2, 3)
    torch = pytest.importorskip("torch")
    assert torch.equal(torch.from_numpy(x), torch.tensor(x.tolist()))


# ---- what there is not ----


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda x: x.backward(), rvision.UnsupportedError, "inference only"),
        (lambda x: x.cuda(), rvision.UnsupportedError, r"leave \.cuda\(\) out"),
        (lambda x: x.to("cuda"), rvision.UnsupportedError, "CPU only"),
        (lambda x: x.requires_grad_(), rvision.UnsupportedError, "no gradients"),
        (lambda x: rvision.device("cuda:0"), rvision.UnsupportedError, "CPU only"),
        (lambda x: rvision.tensor([1.0], requires_grad=True), rvision.UnsupportedError, "no gradients"),
        (lambda x: rvision.Generator("cuda"), rvision.UnsupportedError, "CPU only"),
        (lambda x: rvision.zeros(2, device="cuda"), rvision.UnsupportedError, "CPU only"),
        (lambda x: x.view(4), rvision.ShapeError, r"\(2, 3\) has 6 elements"),
        (lambda x: x.t().view(6), rvision.ShapeError, r"use reshape"),
        (lambda x: x.unsqueeze(3), rvision.ShapeError, "dimension from -3 to 2"),
        (lambda x: x.topk(4), rvision.ArgumentError, "k from 0 to 3"),
        (lambda x: x.copy_(rvision.zeros(4)), rvision.ShapeError, "broadcast"),
        (lambda x: x.permute(0, 0), rvision.ShapeError, "each of 2 dimensions once"),
        (lambda x: x.expand(3, 3), rvision.ShapeError, "cannot be expanded"),
        (lambda x: x.t().unsqueeze(0).t(), rvision.ShapeError, "use permute"),
    ],
)
def test_what_is_refused_says_what_to_do(x, call, error, says):
    with pytest.raises(error, match=says):
        call(x)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("jit", "call the model"),
        ("compile", "call the model"),
        ("optim", "train in torch"),
        ("enable_grad", "no gradients"),
        ("bfloat16", r"model\.half\(\)"),
        ("histogram", r"use np\.histogram"),
        ("einsum", r"np\.einsum"),
        ("no_such_thing", r"docs/from-torchvision\.md"),
    ],
)
def test_a_name_that_is_absent_says_what_to_do(name, says):
    assert not hasattr(rvision, name)
    with pytest.raises(AttributeError, match=rf"rvision has no '{name}': .*{says}"):
        getattr(rvision, name)


def test_reasons_are_for_names_that_are_absent():
    from rvision._absent import ABSENT

    names = [name for text, _ in ABSENT for name in text.split()]
    assert len(names) == len(set(names))
    assert [name for name in names if hasattr(rvision, name)] == []


# ---- switches ----


def test_switches_for_gradients_do_nothing():
    with rvision.no_grad(), rvision.inference_mode(), rvision.set_grad_enabled(False):
        assert not rvision.is_grad_enabled()

    @rvision.no_grad()
    def once():
        return 1

    @rvision.no_grad
    def bare():
        return 2

    @rvision.inference_mode()
    def inference():
        return 3

    assert (once(), bare(), inference()) == (1, 2, 3)
    rvision.set_grad_enabled(True)
    assert not rvision.cuda.is_available() and rvision.cuda.device_count() == 0
    assert rvision.device("cpu") == "cpu" and rvision.device("cpu").type == "cpu"
    assert str(rvision.device("cuda" if rvision.cuda.is_available() else "cpu")) == "cpu"


def test_variable_is_the_tensor(x):
    from rvision.autograd import Variable

    assert Variable(x) is x and Variable(x, volatile=True).data is x


if __name__ == "__main__":
    import torch

    rows = (f"{json.dumps(name)}: {json.dumps(run(torch, name))}" for name in NAMES)
    GOLDEN.write_text("{\n" + ",\n".join(rows) + "\n}\n")
