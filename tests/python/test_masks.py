"""Comparisons, `where` and masks in networks and as functions, against torch's bool tensors.

``PYTHONPATH=python python tests/python/test_masks.py`` writes torch's results to ``tests/golden/masks.json``.
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

GOLDEN = Path(__file__).parents[1] / "golden" / "masks.json"

# Every pair of order and equality, both zeros, infinities and NaN.
X = np.array([[1.5, np.nan, 0.0, -0.0], [np.inf, -np.inf, -2.0, 3.0]], np.float32)
Y = np.array([[1.5, 2.0, 0.0, 1.0], [np.inf, 1.0, np.nan, 4.0]], np.float32)

# Of x and y, and T, which is torch or rvision.
EXPRESSIONS = """
x > y; x >= y; x < y; x <= y; x == y; x != y; x == x; x != x
x > 0; x >= 0; x < 0; x <= 0; x == 0; x != 0; 0 > x; 0.5 <= x; x > True; x >= float("nan"); x < float("inf")
x.gt(y); x.ge(0); x.lt(y); x.le(1.5); x.eq(y); x.ne(0)
x.greater(y); x.greater_equal(y); x.less(y); x.less_equal(y); x.not_equal(y)
T.gt(x, y); T.ge(x, y); T.lt(x, y); T.le(x, y); T.eq(x, y); T.ne(x, y); T.gt(x, 0.5); T.eq(x, 0)
x * 0 + 0.1 == 0.1; x * 0 + 0.1 >= 0.1; x * 0 + 2.0**24 == 2**24 + 1; x * 0 + 2.0**24 < 2**24 + 1
x * 0 + 2.0**60 == 2**60 + 2**36 + 1; x * 0 + 1.0 > 1e300; x == 1e300
x == None; x != None; x == "text"; (x > 0) == None
(x > 0) & (y > 1); (x > 0) | (y > 1); (x > 0) ^ (y > 1); ~(x > 0)
True & (x > 0); (x > 0) | False; (x > 0) ^ True
(x > 0).logical_and(y > 1); x.logical_or(x > 0); x.logical_xor(y); x.logical_not(); (x > 0).logical_not()
T.logical_and(x, y); T.logical_or(x, y); T.logical_xor(x, y); T.logical_not(x)
(x > 0) + (y > 1); (x > 0) * (y > 1); (x > 0) * True; (x > 0) + True
T.add(x > 0, y > 1); T.mul(x > 0, y > 1)
(x > 0) + y; y * (x > 0); x + (y > 1); (x > 0) * 2.0; 0.5 + (x > 0); T.mul(x > 0, y); T.add(y, x > 0)
(x > 0) / 2; (x > 0) / (y > 1); y / (x > 0); 2.0 ** (x > 0); x ** (y > 1); (x > 0) ** 2.0
(x > 0).maximum(y > 1); (x > 0).minimum(y > 1); (x > 0).maximum(y)
(x + 0.5).minimum(y > 1); (x + 0.5).max(y > 1)
(x > 0) == (y > 1); (x > 0) != (y > 1); (x > 0) > (y > 1); (x > 0) == 1; (x > 0) > 0.5; (x > 0) == x
T.where(x > 0, x, y); T.where(x > 0, x, 1); T.where(x > 0, 1.0, 0.0); T.where(x > 0, 1.0, 0)
T.where(x > 0, y, float("nan")); T.where(x == x, x, 0.0); T.where(x > 0, float("inf"), x)
T.where(x > 0, x > 1, y > 1); T.where(x > 0, x > 1, True); T.where(x > 0, x > 1, y)
T.where(x > 0, x > 1, 1.0); T.where(x[:, :1] > 0, y[:1], x); T.where(x > 0, x[:, 1:2], 2.0)
x.where(x > 0, 0); x.where(x > 0, y); (x > 0).where(y > 1, False)
x.masked_fill(x > 0, 2); x.masked_fill(x != x, 0.0); x.masked_fill((x > 0)[:, :1], float("nan"))
x.masked_fill(x > 0, True); x.masked_fill(x > 0, x[0, 0]); T.masked_fill(x, x > 0, 5.0)
(x > 0).masked_fill(y > 1, True); (x > 0).masked_fill(y > 1, 2.5); x[:1].masked_fill(y > 1, 1.0)
x.isnan(); x.isinf(); x.isfinite(); (x > 0).isnan(); T.isnan(x); T.isinf(x); T.isfinite(x)
(x > 0).any(); (x > 0).all(); (x > 0).any(1); (x > 0).all(0, True); x.any(0); x.all(); x.all(1, keepdim=True)
(x > 0)[:, :0].any(1); (x > 0)[:, :0].all(1)
x.bool(); (x > 0).float(); (x > 0).bool(); (x > 0).type_as(x); (x > 0).type_as(y > 0)
(x > 0)[0]; (x > 0)[:, 1:3]; (x > 0)[..., None]; (x > 0).reshape(4, 2); (x > 0).view(-1); (x > 0).flatten()
(x > 0).permute(1, 0); (x > 0).transpose(0, 1).contiguous(); (x > 0).unsqueeze(0).expand(3, 2, 4)
(x > 0)[:1].expand_as(y); (x > 0).unflatten(1, (2, 2)); (x > 0)[:1].squeeze(0); (x > 0).roll(1, 0)
(x > 0).split(1)[1]; (x > 0).chunk(2, 1)[0]; (x > 0).unbind(0)[1]; (x > 0).clone(); (x > 0).detach()
T.cat([x > 0, y > 1]); T.cat([x > 0, y], 1); T.stack([x > 0, y > 1]); T.flatten(x > 0)
"""
EXPRESSIONS = [line.strip() for line in EXPRESSIONS.replace("\n", ";").split(";") if line.strip()]


def function_of(expression):
    return eval(f"lambda x, y, T: {expression}")


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def run(function, *inputs):
    return Calls(function)(*(inputs or (X, Y)))


def of_torch(expression):
    import torch

    function = function_of(expression)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = function(torch.from_numpy(X), torch.from_numpy(Y), torch)
    return result.numpy() if torch.is_tensor(result) else result


def assert_same(found, expected):
    if not isinstance(expected, np.ndarray):
        assert found is expected
        return
    assert isinstance(found, np.ndarray) and found.dtype == expected.dtype and found.shape == expected.shape
    if expected.dtype == bool:
        assert np.array_equal(found, expected)
    else:
        np.testing.assert_array_equal(found, expected)
        assert np.array_equal(np.signbit(found[found == 0]), np.signbit(expected[expected == 0]))


@cache
def golden():
    return json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_masks_are_torchs_as_written_down(expression):
    known = golden()[expression]
    if isinstance(known, dict):
        known = np.array(known["values"], known["dtype"]).reshape(known["shape"])
    assert_same(run(lambda x, y: function_of(expression)(x, y, rvision)), known)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_masks_are_torchs(expression):
    pytest.importorskip("torch")
    assert_same(run(lambda x, y: function_of(expression)(x, y, rvision)), of_torch(expression))


def choosing(x):
    """Use masks in most of the ways at once, for a picture."""
    mask = x > x.mean((2, 3), keepdim=True)
    x = x.masked_fill(~mask & (x < -0.5), -1.0)
    some = mask.flatten(2).any(2)[:, :, None, None]
    return rvision.where(some & mask, x * mask, 0.25) + (x == 0)


def test_one_trace_serves_other_sizes():
    net = Calls(choosing)
    for salt, shape in enumerate([(2, 3, 5, 7), (1, 3, 6, 4), (3, 3, 1, 1), (2, 3, 32, 33)]):
        x = np.random.default_rng(salt).normal(size=shape).astype(np.float32)
        mask = x > x.mean((2, 3), keepdims=True)
        filled = np.where(~mask & (x < -0.5), np.float32(-1), x)
        some = mask.any((2, 3), keepdims=True)
        expected = np.where(some & mask, filled * mask, np.float32(0.25)) + (filled == 0)
        assert np.array_equal(net(x), expected)
    assert len(net._links.traces) == 1


def test_outputs_are_bool_in_every_structure():
    def several(x, y):
        mask = x > y
        return {"mask": mask, "both": (mask, [~mask, x + y]), "floats": mask.float(), "parts": mask.unbind(0)}

    found = run(several)
    mask = X > Y
    assert_same(found["mask"], mask)
    assert found["both"][0] is found["mask"]
    assert_same(found["both"][1][0], ~mask)
    assert found["both"][1][1].dtype == np.float32
    assert_same(found["floats"], mask.astype(np.float32))
    assert [part.tolist() for part in found["parts"]] == mask.tolist()


def test_a_mask_passes_modules_that_move_values():
    net = nn.Sequential(Calls(lambda x: x > 0), nn.Identity(), nn.Unflatten(1, (2, 2)), nn.Flatten())
    assert_same(net(X), X > 0)


def test_a_picture_without_a_batch_dimension():
    conv = nn.Conv2d(3, 2, 1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = conv

        def forward(self, x):
            y = self.conv(rvision.where(x > 0, x, 0.0))
            return y, y > 0

    x = np.random.default_rng(3).normal(size=(3, 4, 5)).astype(np.float32)
    values, mask = Net()(x)
    expected = conv(np.maximum(x, 0))
    assert values.shape == (2, 4, 5)
    assert_same(mask, expected > 0)


def test_arrays_and_parameters_as_operands():
    threshold = nn.Parameter(np.array([0.0, 1.0, 2.0, 3.0], np.float32))
    keep = np.array([True, False, True, True])
    x = np.array([[1.0, 1.0, 3.0, 3.0]], np.float32)
    net = Calls(
        lambda x: (
            x > threshold,
            threshold <= x,
            np.float32(2) < x,
            (x > 1) & keep,
            keep | (x > 1),
            rvision.where(keep, x, threshold),
            keep * (x > 1),
            np.ones(4, np.float32) * (x > 1),
            rvision.gt(threshold, x),
        )
    )
    t, big = threshold.numpy(), x > 1
    expected = (
        x > t,
        t <= x,
        x > 2,
        big & keep,
        keep | big,
        np.where(keep, x, t),
        keep & big,
        1.0 * big,
        t > x,
    )
    for found, right in zip(net(x), expected, strict=True):
        assert_same(found, right.astype(np.float32) if right.dtype != bool else right)


def test_functions_of_arrays():
    with np.errstate(invalid="ignore"):
        assert_same(rvision.gt(X, Y), X > Y)
        assert_same(rvision.ne(X, 0.0), X != 0)
        assert_same(rvision.where(X > 0, X, Y), np.where(X > 0, X, Y))
        assert_same(rvision.where(X > 0, X > 1, False), X > 1)
        assert_same(rvision.where(X > 0, 1.0, 0.0), (X > 0).astype(np.float32))
        assert_same(
            rvision.masked_fill(X, np.isnan(X), 7.0), np.nan_to_num(X, nan=7, posinf=np.inf, neginf=-np.inf)
        )
        assert_same(rvision.logical_and(X > 0, Y > 1), (X > 0) & (Y > 1))
        assert_same(rvision.isfinite(X), np.isfinite(X))
    with pytest.raises(TypeError, match="expected a mask"):
        rvision.where(X, X, Y)
    with pytest.raises(TypeError, match=r"rvision\.gt: expected an array"):
        rvision.gt(1.0, 2.0)


def test_operations_in_place():
    def filled(x, y):
        x = x.clone()
        view = x[0]
        x[x > 0] = 7.0
        x[(y > 3)[:, 3]] = -1.0
        x.masked_fill_(x != x, 0.0)
        return x, view

    x = X.copy()
    x[x > 0] = 7
    x[Y[:, 3] > 3] = -1
    x[np.isnan(x)] = 0
    for found, expected in zip(run(filled), (x, x[0]), strict=True):
        assert_same(found, expected)

    def masks(x, y):
        mask = x > 0
        same, part = mask, mask[0]
        mask &= y > 1
        part |= True
        mask ^= (x > 2)[:, :1]
        return same, part

    mask = (X > 0) & (Y > 1)
    mask[0] = True
    mask ^= (X > 2)[:, :1]
    for found, expected in zip(run(masks), (mask, mask[0]), strict=True):
        assert_same(found, expected)

    def floats(x, y):
        x = x.clone()
        x += y > 1
        x *= y > 1
        return x

    with np.errstate(invalid="ignore"):
        assert_same(run(floats), (X + (Y > 1)) * (Y > 1))


def test_attention_takes_a_mask():
    query = np.random.default_rng(5).normal(size=(2, 3, 4, 8)).astype(np.float32)
    bias = np.random.default_rng(6).normal(size=(4, 4)).astype(np.float32)
    bias[:, 0] = 1
    net = Calls(lambda q, b: F.scaled_dot_product_attention(q, q, q, attn_mask=b > 0))
    assert np.array_equal(
        net(query, bias), F.scaled_dot_product_attention(query, query, query, attn_mask=bias > 0)
    )
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    tokens, padded = query[:, 0], np.array([[0, 0, 1, 1], [0, 1, 0, 0]], np.float32)

    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x, padded):
            return self.layer(x, x, x, key_padding_mask=padded > 0, need_weights=False)[0]

    scores = np.where(padded > 0, -np.inf, 0).astype(np.float32)
    expected = layer(tokens, tokens, tokens, key_padding_mask=scores, need_weights=False)[0]
    assert np.array_equal(Attends()(tokens, padded), expected)


BOOL = r"mask \(bool\)"
REFUSED = {
    "sub": (lambda x, y: (x > 0) - (y > 0), rvision.UnsupportedError, "use ~ to invert"),
    "rsub": (lambda x, y: 1 - (x > 0), rvision.UnsupportedError, "use ~ to invert"),
    "floats minus": (lambda x, y: x - (y > 0), rvision.UnsupportedError, "use ~ to invert"),
    "neg": (lambda x, y: -(x > 0), rvision.UnsupportedError, "use ~ to invert"),
    "integers": (lambda x, y: (x > 0) + 1, rvision.UnsupportedError, "int64"),
    "integer factor": (lambda x, y: (x > 0) * 2, rvision.UnsupportedError, "int64"),
    "bits": (lambda x, y: (x > 0) & 1, rvision.UnsupportedError, "int64"),
    "whole numbers": (lambda x, y: rvision.where(x > 0, 1, 0), rvision.UnsupportedError, "int64"),
    "pow": (lambda x, y: (x > 0) ** (y > 0), rvision.UnsupportedError, "as in torch"),
    "abs": (lambda x, y: abs(x > 0), rvision.UnsupportedError, "as in torch"),
    "sum": (lambda x, y: (x > 0).sum(), rvision.UnsupportedError, "int64"),
    "mean": (lambda x, y: (x > 0).mean(), rvision.UnsupportedError, "as in torch"),
    "softmax": (lambda x, y: (x > 0).softmax(1), AttributeError, BOOL),
    "int64": (lambda x, y: (x > 0).to("int64"), rvision.UnsupportedError, "int64"),
    "floats and mask": (lambda x, y: x & (y > 0), TypeError, BOOL),
    "mask and floats": (lambda x, y: (x > 0) & y, TypeError, BOOL),
    "floats and floats": (lambda x, y: x & y, TypeError, "unsupported operand"),
    "not floats": (lambda x, y: ~x, TypeError, "bad operand"),
    "condition": (lambda x, y: rvision.where(x, x, y), TypeError, BOOL),
    "filling": (lambda x, y: x.masked_fill(x, 0.0), TypeError, BOOL),
    "filling values": (lambda x, y: x.masked_fill(x > 0, y), rvision.ShapeError, "one number"),
    "order": (lambda x, y: x > None, TypeError, "not supported between"),
    "method": (lambda x, y: x.gt("a"), TypeError, "got str"),
    "numbers": (lambda x, y: x.logical_and(1.0), TypeError, "expected an array"),
    "matmul": (lambda x, y: (x > 0) @ y, TypeError, BOOL),
    "conv": (lambda x, y: F.conv2d(x > 0, y), TypeError, BOOL),
    "relu": (lambda x, y: nn.ReLU()(x > 0), TypeError, BOOL),
    "weight": (lambda x, y: F.linear(x, y > 0), rvision.UnsupportedError, "weights must be"),
    "index": (lambda x, y: x[x > 0], rvision.UnsupportedError, r"rvision\.where"),
    "branch": (lambda x, y: x if x > 0 else y, rvision.UnsupportedError, r"a decision on a value \(bool\)"),
    "equal branch": (lambda x, y: x if x == y else y, rvision.UnsupportedError, r"\(bool\)"),
    "and": (lambda x, y: (x > 0) and (y > 0), rvision.UnsupportedError, r"a decision on a value \(bool\)"),
    "array": (lambda x, y: np.asarray(x > 0), rvision.UnsupportedError, "NumPy array"),
    "in place": (lambda x, y: (x > 0).add_(1.0), rvision.UnsupportedError, "in place"),
    "assignment": (lambda x, y: (x > 0).__setitem__(0, True), rvision.UnsupportedError, "assigning"),
}


@pytest.mark.parametrize(("forbidden", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_torch_does_otherwise_is_refused(forbidden, error, message):
    with pytest.raises(error, match=message):
        run(forbidden)


def test_masks_keep_their_identity():
    def identity(x, y):
        masks = [x > 0, y > 0]
        assert len({x, y, *masks, x}) == 4 and {x: 1}[x] == 1
        assert x in [x, y] and masks[1] in masks[1:]
        return x

    run(identity)


def test_classifiers_of_masks_have_no_dense_form():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.conv(x).mean((2, 3)) > 0

    with pytest.raises(rvision.UnsupportedError, match=r"returns a mask \(bool\)"):
        rvision.convolutionize(Net(), input_size=9)
    with pytest.raises(rvision.ArgumentError, match="Mask"):
        rvision.Ensemble([Net(), Net()])(np.zeros((1, 3, 9, 9), np.float32))


def write():
    """Write torch's results."""
    lines = []
    for expression in EXPRESSIONS:
        value = of_torch(expression)
        if isinstance(value, np.ndarray):
            value = {"dtype": str(value.dtype), "shape": value.shape, "values": value.ravel().tolist()}
        lines.append(f"  {json.dumps(expression)}: {json.dumps(value)}")
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    write()
