"""rvision.profile: the contents of its rows, and that its times are those of the runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import rvision
from rvision import models, nn
from rvision.nn._run import trace_for


def pictures(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


@pytest.fixture(scope="module")
def resnet() -> Any:
    return models.resnet18()


@pytest.fixture(scope="module")
def found(resnet: Any) -> rvision.Profile:
    return rvision.profile(resnet, pictures(1, 3, 96, 96), runs=5)


# ---- rows ----


def test_steps_have_names_of_layers_and_kernels(resnet, found):
    graph = trace_for(resnet, (pictures(1, 3, 96, 96),), {}, []).graph
    assert {row.name for row in found.rows} <= {*graph.node_names}
    assert found.rows[0].name == "conv1"
    assert all(row.kernel.startswith(("f32_", "copy")) for row in found.rows), found
    described = graph.describe_plan([[1, 3, 96, 96]]).splitlines()[:-1]
    assert [row.kernel for row in found.rows] == [line.split()[1] for line in described]


def test_multiply_adds_and_shapes_are_the_summarys(resnet, found):
    info = rvision.summary(resnet, (1, 3, 96, 96))
    assert found.multiply_adds == info.multiply_adds
    layers = {row.name: row for row in info.rows if row.multiply_adds}
    steps = {row.name: row for row in found.rows if row.multiply_adds}
    assert layers.keys() == steps.keys()
    assert all(steps[name].multiply_adds == layers[name].multiply_adds for name in layers)
    assert steps["layer1.0.conv1"].output_shape == (1, 64, 24, 24)


def test_what_steps_must_move():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.MaxPool2d(2)
            self.linear = nn.Linear(512, 256, bias=False)

        def forward(self, x: Any) -> Any:
            return self.linear(self.pool(x).flatten(1))

    rows = {row.name: row for row in rvision.profile(Net(), pictures(1, 2, 32, 32), runs=2).rows}
    assert rows["pool"].bytes == 4 * (2 * 32 * 32 + 2 * 16 * 16)
    # Panels of packed weights may be padded.
    least = 4 * (512 + 256 + 512 * 256)
    assert least <= rows["linear"].bytes <= 1.1 * least


def test_of_a_strided_input_only_what_windows_see():
    net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 1, stride=2), nn.Conv2d(16, 4, 3))
    rows = {row.name: row for row in rvision.profile(net, pictures(1, 3, 32, 32), runs=2).rows}
    assert rows["1"].bytes == 4 * (16 * 16 * 16 + 16 * 16 + 16 * 16 * 16)


def test_convolutions_that_are_one_step_all_count():
    net = models.mobilenet_v2()
    shape = (1, 3, 224, 224)
    found = rvision.profile(net, pictures(*shape), runs=1)
    assert found.multiply_adds == rvision.summary(net, shape).multiply_adds
    rows = {row.name: row for row in found.rows}
    # The last convolution gives the step its name.
    block = [
        rows[name]
        for name in ("features.3.conv.0.0", "features.3.conv.1.0", "features.3.conv.2")
        if name in rows
    ]
    pixels = 56 * 56
    assert sum(row.multiply_adds for row in block) == pixels * 144 * (24 + 9 + 24)
    if "depthwise_project" in rows["features.3.conv.2"].kernel:
        (row,) = block
        # The block's input is also what is added; panels of packed weights may be padded.
        least = 4 * (2 * pixels * 24 + 144 * (24 + 9 + 24))
        assert least <= row.bytes <= least + 4 * 144 * 32


# ---- times ----


def test_steps_sum_to_the_run(resnet):
    # Of single runs: medians of several need not be of the same one where others work on the machine. What
    # is missing is waking the threads and letting them go, which others may hold up, but not every time.
    missing = []
    for _ in range(20):
        once = rvision.profile(resnet, pictures(1, 3, 96, 96), runs=1)
        total = sum(row.milliseconds for row in once.rows)
        assert total <= once.milliseconds
        assert sum(row.share for row in once.rows) == pytest.approx(total / once.milliseconds)
        missing.append(1 - total / once.milliseconds)
        if missing[-1] < 0.1:
            break
    assert min(missing) < 0.1, missing


def test_rates_and_the_fastest_runs(found):
    assert 0 < sum(row.least_milliseconds for row in found.rows) <= found.least_milliseconds
    assert found.least_milliseconds <= found.milliseconds
    for row in found.rows:
        assert 0 < row.least_milliseconds <= row.milliseconds
        assert row.gflop_per_second == pytest.approx(2e-6 * row.multiply_adds / row.milliseconds)
        assert row.gb_per_second == pytest.approx(1e-6 * row.bytes / row.milliseconds)
        assert row.peak_share == pytest.approx(row.gflop_per_second / found.peak_gflop_per_second)


def test_what_the_machine_is(found):
    info = rvision.build_info()
    assert (found.isa, found.threads, found.runs) == (info["isa"], rvision.get_num_threads(), 5)
    # Between a slow emulator and the largest server.
    assert 0.1 < found.peak_gflop_per_second < 1e5
    assert 0.1 < found.peak_gb_per_second < 1e4
    assert found.peak_share == pytest.approx(found.gflop_per_second / found.peak_gflop_per_second)


def test_the_table(found):
    lines = str(found).splitlines()
    assert repr(found) == str(found)
    assert lines[0].split()[:4] == ["step", "kernel", "output", "multiply-adds"]
    assert lines[2].split()[:2] == ["conv1", found.rows[0].kernel]
    assert len(lines) == len(found.rows) + 5
    assert lines[-2].split()[:2] == ["total", f"{found.multiply_adds:,}"]
    assert lines[-1].startswith("a run takes ")
    pool = next(line for line in lines if line.startswith("maxpool"))
    assert pool.split()[-3:-1] == ["-", "-"]


# ---- what is called ----


def test_a_picture_alone_a_dense_form_and_several_inputs(resnet):
    batched = rvision.profile(resnet, pictures(1, 3, 64, 64), runs=1)
    alone = rvision.profile(resnet, pictures(3, 64, 64), runs=1)
    assert [row.output_shape for row in alone.rows] == [row.output_shape for row in batched.rows]
    dense = rvision.profile(rvision.convolutionize(resnet), pictures(1, 3, 256, 288), runs=1)
    assert dense.rows[-1].output_shape == (1, 1000, 2, 3)

    class Sum(nn.Module):
        def forward(self, x: Any, y: Any) -> Any:
            return x + y

    (row,) = rvision.profile(Sum(), pictures(2, 3), y=pictures(2, 3), runs=1).rows
    assert (row.name, row.output_shape, row.bytes) == ("add", (2, 3), 3 * 4 * 6)


def test_a_profile_changes_no_result(resnet):
    x = pictures(2, 3, 64, 64)
    before = resnet(x)
    rvision.profile(resnet, x, runs=2)
    np.testing.assert_array_equal(resnet(x), before)


def test_an_empty_batch_has_no_steps(resnet):
    found = rvision.profile(resnet, pictures(0, 3, 64, 64), runs=1)
    assert found.rows == () and found.multiply_adds == 0 and str(found).splitlines()[-2].startswith("total")


# ---- mistakes ----


@pytest.mark.parametrize("runs", [0, -1, 2.5, "3", None])
def test_runs_that_are_none(resnet, runs):
    with pytest.raises(rvision.ArgumentError, match="runs: expected a whole number from 1, got"):
        rvision.profile(resnet, pictures(1, 3, 64, 64), runs=runs)


def test_what_is_no_network_or_no_input(resnet):
    with pytest.raises(rvision.ArgumentError, match=r"expected a Module, .* got function"):
        rvision.profile(lambda x: x, pictures(1, 3, 8, 8))
    with pytest.raises(rvision.ShapeError, match="channels last"):
        rvision.profile(resnet, pictures(1, 64, 64, 3))
    with pytest.raises(TypeError):
        rvision.profile(resnet)
    with pytest.raises(TypeError):
        rvision.profile(resnet, "picture.jpg")

    class Constant(nn.Module):
        def forward(self, x: Any) -> Any:
            return 3

    with pytest.raises(rvision.ArgumentError, match="nothing that depends on its inputs"):
        rvision.profile(Constant(), pictures(1, 3))
