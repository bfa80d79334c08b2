"""Caches of packed weights, traces, dense forms and files are keyed by all they depend on."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from rvision import _rvision, nn
from rvision.dense._predict import dense_form
from rvision.errors import ArgumentError, DownloadError
from rvision.weights import _cache


def drawn(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def linear(x, parameter):
    builder = _rvision.GraphBuilder()
    builder.output(builder.linear("fc", builder.input("x", x.shape), parameter, None))
    return builder.finish().run([x])[0]


def conv2d(x, parameter, groups):
    builder = _rvision.GraphBuilder()
    sides = [size // 2 for size in parameter.shape[2:]] * 2
    value = builder.input("x", x.shape)
    value = builder.conv2d("conv", value, parameter, None, (1, 1), tuple(sides), (1, 1), groups)
    builder.output(value)
    return builder.finish().run([x])[0]


def conv2d_by_definition(x, w, groups):
    """Sums over windows in float64, stride 1, padding that keeps the size."""
    n, _, height, width = x.shape
    oc, per_group, kh, kw = w.shape
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (kh // 2,) * 2, (kw // 2,) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(2, 3))
    windows = windows.reshape(n, groups, per_group, height, width, kh, kw)
    kernels = w.astype(np.float64).reshape(groups, oc // groups, per_group, kh, kw)
    return np.einsum("ngcyxij,gocij->ngoyx", windows, kernels).reshape(n, oc, height, width)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("rows", [1, 3, 40])
@pytest.mark.parametrize(
    "shapes",
    [
        [(6, 4), (4, 6), (24, 1), (2, 12), (6, 4)],
        # Of so many weights another kernel has panels of its own.
        [(1500, 1408), (1408, 1500)],
    ],
)
def test_a_matrix_of_another_shape_is_packed_anew(shapes, rows, dtype):
    weight = drawn(shapes[0]).astype(dtype)
    parameter = _rvision.Parameter(weight)
    for shape in shapes:
        x = drawn((rows, shape[1]), 1)
        expected = x.astype(np.float64) @ weight.reshape(shape).astype(np.float64).T
        found = linear(x, parameter.reshaped(shape))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(
    "cases",
    [
        # Shapes and groups: tiles of transformed weights, grouped and depthwise kernels, panels, planes.
        [((32, 64, 3, 3), 1), ((64, 32, 3, 3), 1)],
        [((16, 32, 5, 5), 1), ((32, 16, 5, 5), 1)],
        [((32, 64, 3, 1), 1), ((64, 32, 3, 1), 1), ((64, 32, 1, 3), 1)],
        [((32, 8, 3, 3), 4), ((64, 4, 3, 3), 16), ((32, 8, 3, 3), 4)],
        [((64, 4, 3, 3), 16), ((32, 8, 3, 3), 4)],
        [((24, 1, 3, 3), 24), ((216, 1, 1, 1), 216), ((72, 1, 1, 3), 72), ((72, 1, 3, 1), 72)],
        [((12, 30, 1, 1), 1), ((30, 12, 1, 1), 1), ((12, 30, 1, 1), 2)],
        [((16, 3, 3, 3), 1), ((144, 3, 1, 1), 1), ((48, 1, 3, 3), 1)],
    ],
)
def test_kernels_of_another_shape_are_packed_anew(cases, dtype):
    weight = drawn(cases[0][0]).astype(dtype)
    parameter = _rvision.Parameter(weight)
    for shape, groups in cases:
        for side in (14, 7):
            x = drawn((1, shape[1] * groups, side, side), 1)
            expected = conv2d_by_definition(x, weight.reshape(shape), groups)
            found = conv2d(x, parameter.reshaped(shape), groups)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_shapes_that_pack_alike_share_their_memory():
    parameter = _rvision.Parameter(drawn((10, 6)))
    linear(drawn((3, 6)), parameter)
    before = parameter.forms()
    conv2d(drawn((1, 6, 3, 1)), parameter.reshaped((10, 6, 1, 1)), 1)
    assert parameter.forms() == before


class OfConstants(nn.Module):
    def forward(self, x, value):
        if isinstance(value, tuple):
            (value,) = value
        if isinstance(value, bool):
            return x + 100
        return x * 2 if isinstance(value, int) else x * value


def test_constants_of_a_call_are_told_apart():
    model = OfConstants()
    x = np.array([[1.0, 2.0]], np.float32)
    for value in (1, 1.0, True, 1, np.pi, 0.0, -0.0, float("nan")):
        expected = x + 100 if value is True else x * 2 if type(value) is int else x * np.float32(value)
        for given in (value, (value,)):
            found = model(x, given)
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
    # NaN is as good a key as others.
    kept = len(model._links.traces)
    model(x, float("nan"))
    assert len(model._links.traces) == kept


def test_a_dense_form_follows_what_its_window_follows_from():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    model.input_size = (1, 16, 16)
    form = dense_form(model, None, None, None)
    assert form.window_size == (16, 16)
    assert dense_form(model, None, None, None) is form
    model.input_size = (1, 20, 24)
    assert dense_form(model, None, None, None).window_size == (20, 24)
    # A window that is no number of pixels is refused, also where an equal one is kept.
    dense_form(model, 16, None, None)
    with pytest.raises((ArgumentError, TypeError)):
        dense_form(model, 16.0, None, None)


def test_another_file_with_the_time_of_the_first_is_compared_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # SHA-256 of b"abc", as FIPS 180-2 gives it.
    path = tmp_path / "weights-ba7816bf.pth"
    path.write_bytes(b"abc")
    _cache.verify(path, "ba7816bf")
    assert json.loads((tmp_path / "cache" / "rvision" / "verified.json").read_text())
    times = path.stat()
    path.write_bytes(b"xyz")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(DownloadError, match="is not the file it should be"):
        _cache.verify(path, "ba7816bf")


def test_a_network_reads_the_forced_kernel_once():
    script = """
import os
import numpy as np
from rvision import _rvision
def plan():
    builder = _rvision.GraphBuilder()
    weight = _rvision.Parameter(np.ones((32, 32, 3, 3), np.float32))
    value = builder.input("x", (1, 32, 14, 14))
    builder.output(builder.conv2d("conv", value, weight, None, (1, 1), (1,) * 4, (1, 1), 1))
    graph = builder.finish()
    return graph, graph.describe_plan([(1, 32, 14, 14)])
graph, first = plan()
forced = "f32_im2col_matrixmultiply"
assert forced not in first
os.environ["RVISION_CONV"] = forced
assert graph.describe_plan([(1, 32, 14, 14)]) == first
assert forced not in graph.describe_plan([(1, 32, 28, 28)])
other, second = plan()
assert forced in second
os.environ["RVISION_CONV"] = "f32_magic"
assert other.describe_plan([(1, 32, 14, 14)]) == second
assert forced in other.describe_plan([(1, 32, 28, 28)])
try:
    plan()
except ValueError as error:
    assert "RVISION_CONV=f32_magic: expected one of " in str(error)
else:
    raise AssertionError("an unknown kernel")
del os.environ["RVISION_CONV"]
assert plan()[1] == first
"""
    environment = {name: value for name, value in os.environ.items() if name != "RVISION_CONV"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, timeout=60)
