"""The extension's graphs: parameters, the builder and its error messages."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from rvision import _rvision
from rvision.errors import ArgumentError, ShapeError


def parameter(*shape: int) -> _rvision.Parameter:
    return _rvision.Parameter(np.ones(shape, np.float32))


def residual_block() -> _rvision.GraphBuilder:
    builder = _rvision.GraphBuilder()
    x = builder.input("x", (1, 8, 5, 5))
    y = builder.conv2d("conv1", x, parameter(8, 8, 3, 3), None, (1, 1), (1, 1, 1, 1), (1, 1), 1)
    y = builder.batch_norm("bn1", y, None, None, parameter(8), parameter(8), 1e-5)
    y = builder.binary("add", "add", y, x)
    y = builder.activation("relu", y, "relu")
    builder.output(y)
    return builder


# --- parameters -----------------------------------------------------------------------


def test_a_parameter_is_a_read_only_view_of_a_copy():
    source = np.arange(6, dtype=np.float32).reshape(2, 3)
    held = _rvision.Parameter(source)
    expected = source.copy()
    source[:] = -1

    view = np.asarray(held.values())
    assert view.dtype == np.float32
    assert held.shape == view.shape == (2, 3)
    np.testing.assert_array_equal(view, expected)
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1
    again = np.asarray(held.values())
    assert again.__array_interface__["data"] == view.__array_interface__["data"]


def test_zeros_are_a_parameter_like_others():
    held = _rvision.Parameter.zeros((2, 3))
    assert held.shape == (2, 3)
    np.testing.assert_array_equal(np.asarray(held.values()), np.zeros((2, 3), np.float32))
    with pytest.raises(ShapeError, match="Parameter"):
        _rvision.Parameter.zeros((1 << 40, 1 << 40))


def test_a_view_outlives_its_parameter():
    view = np.asarray(_rvision.Parameter(np.full(100_000, 7, np.float32)).values())
    gc.collect()
    other = [np.zeros(100_000, np.float32) for _ in range(8)]
    assert (view == 7).all()
    del other


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.arange(10, dtype=np.float32)[::-2],
        np.float32(3.5) * np.ones((), np.float32),
        np.zeros((0, 3), np.float32),
        np.frombuffer(b"." + np.arange(6, dtype=np.float32).tobytes(), np.float32, offset=1),
    ],
    ids=["transposed", "fortran", "reversed", "scalar", "empty", "unaligned"],
)
def test_any_layout_is_taken(array):
    array = np.asarray(array)
    np.testing.assert_array_equal(np.asarray(_rvision.Parameter(array).values()), array)


@pytest.mark.parametrize("data", [np.ones(3), np.ones(3, np.int32), [1.0], None])
def test_other_types_are_refused(data):
    with pytest.raises(TypeError, match="expected a numpy array of float32"):
        _rvision.Parameter(data)


def test_too_many_dimensions_are_refused():
    with pytest.raises(ShapeError, match="at most 6 dimensions"):
        _rvision.Parameter(np.ones((1,) * 7, np.float32))


def test_no_form_is_packed_before_it_is_used():
    assert parameter(8, 8).forms() == []


# --- the builder ----------------------------------------------------------------------


def test_shapes_while_tracing():
    builder = residual_block()
    assert builder.shape(0) == (1, 8, 5, 5)
    y = builder.conv2d("down", 4, parameter(4, 8, 3, 3), parameter(4), (2, 2), "same_upper", (1, 1), 1)
    assert builder.shape(y) == (1, 4, 3, 3)
    assert builder.shape(builder.flatten("flatten", y, 1, -1)) == (1, 36)
    assert builder.shape(builder.permute("permute", y, [0, 2, 3, -3])) == (1, 3, 3, 4)
    assert builder.shape(builder.slice("slice", y, 1, -1, None, 1)) == (1, 1, 3, 3)
    assert builder.shape(builder.slice("slice", y, 3, None, None, 2)) == (1, 4, 3, 2)
    assert builder.shape(builder.concat("cat", [y, y, y], -1)) == (1, 4, 3, 9)
    assert builder.shape(builder.pad("pad", y, [(0, 0), (1, 2), (0, 0), (0, 1)], 0.5)) == (1, 7, 3, 4)
    assert builder.shape(builder.mean("mean", y, [-1, 2], False)) == (1, 4)
    assert builder.shape(builder.mean("mean", y, [2, 3], True)) == (1, 4, 1, 1)
    assert builder.shape(builder.reshape("view", y, (1, -1))) == (1, 36)
    assert builder.shape(builder.adaptive_avg_pool2d("pool", y, (None, 1))) == (1, 4, 3, 1)
    assert builder.shape(builder.adaptive_max_pool2d("pool", y, (6, 6))) == (1, 4, 6, 6)
    pool = ((2, 2), (2, 2), (0, 0, 0, 0))
    assert builder.shape(builder.max_pool2d("pool", y, *pool, (1, 1), True)) == (1, 4, 2, 2)
    assert builder.shape(builder.max_pool2d("pool", y, *pool, (1, 1), False)) == (1, 4, 1, 1)
    assert builder.shape(builder.avg_pool2d("pool", y, *pool, True, True, None)) == (1, 4, 2, 2)
    assert builder.shape(builder.local_response_norm("lrn", y, 5, 1e-4, 0.75, 1.0)) == (1, 4, 3, 3)
    assert builder.shape(builder.prelu("prelu", y, parameter(4))) == (1, 4, 3, 3)
    assert builder.shape(builder.softmax("softmax", y, -1, True)) == (1, 4, 3, 3)
    assert builder.shape(builder.binary_scalar("rsub", "sub", y, 1.0, True)) == (1, 4, 3, 3)
    assert builder.shape(builder.identity("dropout", y)) == (1, 4, 3, 3)
    features = builder.linear("fc", builder.flatten("flatten", y, 1, 3), parameter(10, 36), parameter(10))
    assert builder.shape(features) == (1, 10)


@pytest.mark.parametrize(
    "kind",
    [
        "relu",
        "clamp",
        "leaky_relu",
        "hardswish",
        "hardsigmoid",
        "tanh",
        "sigmoid",
        "silu",
        "gelu",
        "gelu_tanh",
    ],
)
def test_every_activation_has_its_name(kind):
    builder = _rvision.GraphBuilder()
    builder.output(builder.activation("act", builder.input("x", (2, 3)), kind, 0.0, 6.0))
    assert f"act  {kind}" in builder.finish().describe()


def test_mistakes_name_the_layer():
    builder = residual_block()
    conv = ((1, 1), (0, 0, 0, 0), (1, 1))
    with pytest.raises(ShapeError) as error:
        builder.conv2d("layer1.0.conv2", 0, parameter(4, 16, 3, 3), None, *conv, 1)
    assert str(error.value) == (
        "layer1.0.conv2: weight expects 16 input channels, got 8 (input (1, 8, 5, 5))"
    )
    with pytest.raises(ShapeError, match=r"^conv: kernel \[7, 7\] .*larger than the padded input \[5, 5\]"):
        builder.conv2d("conv", 0, parameter(4, 8, 7, 7), None, *conv, 1)
    with pytest.raises(ArgumentError, match=r"^conv: stride must be 0 or more, got \[-1, 1\]"):
        builder.conv2d("conv", 0, parameter(4, 8, 1, 1), None, (-1, 1), *conv[1:], 1)
    with pytest.raises(ArgumentError, match=r"^conv: stride must be positive, got \[0, 1\]"):
        builder.conv2d("conv", 0, parameter(4, 8, 1, 1), None, (0, 1), *conv[1:], 1)
    with pytest.raises(ArgumentError, match=r'^conv: padding must be four sizes or "same_upper", got "same"'):
        builder.conv2d("conv", 0, parameter(4, 8, 1, 1), None, (1, 1), "same", (1, 1), 1)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r'^act: kind must be relu, .*, got "swish"'):
        builder.activation("act", 0, "swish")
    with pytest.raises(ArgumentError, match=r'^op: kind must be one of add, .*, got "mod"'):
        builder.binary("op", "mod", 0, 0)
    with pytest.raises(ArgumentError, match=r"^cat: dim must be in -4..=3 .*, got 4"):
        builder.concat("cat", [0, 0], 4)
    with pytest.raises(ArgumentError, match=r"^cat: inputs must be at least one value"):
        builder.concat("cat", [], 1)
    with pytest.raises(ShapeError, match=r"^output: expected one of this graph's 5 values, got value 99"):
        builder.output(99)
    with pytest.raises(ShapeError, match=r"^graph: expected at least one output"):
        _rvision.GraphBuilder().finish()


def test_node_names_are_the_traced_ones():
    builder = residual_block()
    builder.activation("relu", 4, "relu")
    graph = builder.finish()
    assert graph.node_names == ["x", "conv1", "bn1", "add", "relu", "relu_1"]


def test_a_residual_block_is_one_node():
    text = residual_block().finish().describe()
    assert text.splitlines() == [
        "%0 x     input",
        "%1 relu  conv2d(%0) weight (8, 8, 3, 3) padding 1 | scale and shift | + %0 | relu"
        "  (covers conv1, bn1, add)",
        "return %1",
    ]


# --- running --------------------------------------------------------------------------


def test_a_run_returns_new_arrays():
    graph = residual_block().finish()
    x = np.linspace(-1, 1, 2 * 8 * 3 * 4, dtype=np.float32).reshape(2, 8, 3, 4)
    (first,), (second,) = graph.run([x]), graph.run([x])
    assert first.shape == x.shape
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, second)
    assert not np.shares_memory(first, second)
    padded = np.pad(x.astype(np.float64).sum(axis=1), ((0, 0), (1, 1), (1, 1)))
    sums = sum(padded[:, i : i + 3, j : j + 4] for i in range(3) for j in range(3))
    expected = np.maximum((sums[:, None] - 1) / np.sqrt(1 + 1e-5) + x, 0)
    np.testing.assert_allclose(first, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", ["fortran", "transposed", "sliced", "unaligned"])
def test_another_memory_layout_is_refused_and_not_misread(layout):
    graph = residual_block().finish()
    x = np.random.default_rng(0).random((1, 8, 5, 5), np.float32)
    given = {
        "fortran": np.asfortranarray(x),
        "transposed": x.transpose(0, 1, 3, 2),
        "sliced": np.repeat(x, 2, axis=3)[..., ::2],
        "unaligned": np.frombuffer(b"." + x.tobytes(), np.float32, offset=1).reshape(x.shape),
    }[layout]
    with pytest.raises(ShapeError, match="input 0: expected an aligned, C-contiguous array"):
        graph.run([given])


def test_a_run_of_another_size_is_checked():
    graph = residual_block().finish()
    with pytest.raises(ShapeError, match=r"^conv1: weight expects 8 input channels, got 4 \(input"):
        graph.run([np.zeros((1, 4, 5, 5), np.float32)])
    with pytest.raises(ShapeError, match=r"^graph: expected 1 input\(s\), got 2"):
        graph.run([np.zeros((1, 8, 5, 5), np.float32)] * 2)
    assert graph.run([np.zeros((0, 8, 5, 5), np.float32)])[0].shape == (0, 8, 5, 5)


def two_convs(size: int) -> _rvision.Graph:
    generator = np.random.Generator(np.random.PCG64(3))
    builder = _rvision.GraphBuilder()
    x = builder.input("x", (1, 32, size, size))
    # Wide enough in between that the kernel depends on the size.
    for name, channels in (("conv1", (320, 32)), ("conv2", (32, 320))):
        weight = generator.standard_normal((*channels, 3, 3), dtype=np.float32)
        x = builder.conv2d(name, x, _rvision.Parameter(weight), None, (1, 1), (1, 1, 1, 1), (1, 1), 1)
    builder.output(x)
    return builder.finish()


def test_a_band_has_the_bits_of_the_whole_picture():
    graph = two_convs(48)
    x = np.random.Generator(np.random.PCG64(4)).random((1, 32, 48, 48), dtype=np.float32)
    [whole] = graph.run([x])
    [band] = graph.run([np.ascontiguousarray(x[:, :, 16:28])], chosen_for=[x.shape])
    np.testing.assert_array_equal(band[:, :, 4:8], whole[:, :, 20:24])
    # By itself it is small enough for another kernel.
    [alone] = graph.run([np.ascontiguousarray(x[:, :, 16:28])])
    assert not np.array_equal(alone, band)
    with pytest.raises(ShapeError, match=r"chosen_for\[0\]: expected the rank and channels of input 0"):
        graph.run([x], chosen_for=[(1, 32, 12, 48)])


def test_a_runs_memory_is_known_before():
    graph = two_convs(48)
    small, large = graph.memory([(1, 32, 48, 48)]), graph.memory([(1, 32, 480, 480)])
    # A result before it is put into numpy's order.
    assert small >= 32 * 48 * 48 * 4
    assert large >= 32 * 480 * 480 * 4
    with pytest.raises(ShapeError, match="32 input channels"):
        graph.memory([(1, 3, 48, 48)])


def test_a_residual_may_turn_out_to_be_broadcast():
    """At 1x1 the sum has two operands of the same size, at 3x3 one of them is broadcast."""
    builder = _rvision.GraphBuilder()
    x = builder.input("x", (1, 2, 1, 1))
    y = builder.conv2d("conv", x, parameter(2, 2, 1, 1), None, (1, 1), (0, 0, 0, 0), (1, 1), 1)
    mean = builder.mean("mean", x, [2, 3], True)
    builder.output(builder.activation("relu", builder.binary("add", "add", y, mean), "relu"))
    graph = builder.finish()
    data = np.random.default_rng(0).normal(size=(2, 2, 3, 3)).astype(np.float32)
    (found,) = graph.run([data])
    expected = np.maximum(data.sum(axis=1, keepdims=True) + data.mean(axis=(2, 3), keepdims=True), 0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert graph.run([data[:, :, :1, :1].copy()])[0].shape == (2, 2, 1, 1)


# --- settings -------------------------------------------------------------------------


def test_threads_are_set_and_read():
    before = _rvision.get_num_threads()
    try:
        _rvision.set_num_threads(2)
        assert _rvision.get_num_threads() == 2
        with pytest.raises(ArgumentError, match="n must be positive, got 0"):
            _rvision.set_num_threads(0)
    finally:
        _rvision.set_num_threads(before)


def test_build_info():
    info = _rvision.build_info()
    assert info["version"] == _rvision.__version__
    assert info["isa"] in info["available_isas"]
    assert info["profile"] in ("debug", "release")
