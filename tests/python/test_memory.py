"""What networks leave in memory: one copy of their weights, and nothing once they are gone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rvision
from rvision import nn
from rvision.models._from_file import read
from rvision.weights import _files

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

PROLOGUE = """
import gc, json, sys
import numpy as np
import rvision
from rvision import nn

def resident(field="VmRSS"):
    for line in open("/proc/self/status"):
        if line.startswith(field):
            return int(line.split()[1]) / 1024

rvision.set_num_threads(2)
nn.Linear(4, 4)(np.zeros((1, 4), np.float32))
start = resident()
"""


def measured(code: str, *arguments: object) -> dict[str, float]:
    """Run code in a fresh process, which prints sizes in MiB as JSON."""
    command = [sys.executable, "-c", PROLOGUE + code, *map(str, arguments)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """128 MiB of weights."""
    path = tmp_path_factory.mktemp("memory") / "linear.safetensors"
    weight = np.random.default_rng(0).standard_normal((4096, 8192), np.float32)
    rvision.save({"0.weight": weight, "0.bias": np.zeros(4096, np.float32)}, path)
    return path


@linux
def test_a_network_needs_its_weights_once(file):
    found = measured(
        """
from rvision.models._from_file import read
model = nn.Sequential(nn.Linear(8192, 4096))
model.load_state_dict(read(sys.argv[1]))
out = model(np.ones((1, 8192), np.float32))
steady, peak = resident() - start, resident("VmHWM") - start
weight = model[0].weight
same = bool(np.allclose(out[0], weight.sum(1), rtol=1e-3, atol=1e-2))
looked_at = resident() - start
del weight
model(np.ones((1, 8192), np.float32))
again = resident() - start
del model
gc.collect()
print(json.dumps(dict(steady=steady, peak=peak, same=same, looked_at=looked_at, again=again,
                      left=resident() - start)))
""",
        file,
    )
    assert found["same"]
    assert found["steady"] < 128 * 1.2 and found["peak"] < 128 * 1.4
    # The array is made again when it is read, and freed at the next run.
    assert found["looked_at"] > 250 and found["again"] < 128 * 1.2
    assert found["left"] < 16


@linux
def test_the_workspace_of_a_large_picture_is_given_back():
    found = measured(
        """
model = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 4, 3, padding=1))
model(np.zeros((1, 3, 1200, 1200), np.float32))
large = resident() - start
for _ in range(12):
    model(np.zeros((1, 3, 64, 64), np.float32))
print(json.dumps(dict(large=large, small=resident() - start)))
"""
    )
    assert found["large"] > 300
    assert found["small"] < 64


@linux
def test_thousands_of_sizes_take_no_more_memory_than_a_few():
    found = measured(
        """
model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 64, 3))
sizes = [(16 + n % 40, 16 + n // 40) for n in range(1600)]
for height, width in sizes[:100]:
    model(np.zeros((1, 3, height, width), np.float32))
few = resident()
for height, width in sizes[100:]:
    model(np.zeros((1, 3, height, width), np.float32))
print(json.dumps(dict(more=resident() - few)))
"""
    )
    assert found["more"] < 24


@pytest.mark.parametrize("half", [False, True])
def test_packed_weights_are_given_back_as_they_were(half):
    model = nn.Sequential(
        nn.Conv2d(3, 20, 3),
        nn.Conv2d(20, 20, 3, groups=4),
        nn.Conv2d(20, 20, 3, groups=20),
        nn.Conv2d(20, 70, 1),
        nn.Conv2d(70, 9, (1, 5), stride=2),
        nn.Flatten(),
        nn.Linear(9 * 13 * 11, 3001),
        nn.Linear(3001, 10),
    )
    if half:
        model.half()
    before = {name: np.array(value) for name, value in model.state_dict().items()}
    x = np.random.default_rng(0).standard_normal((2, 3, 32, 32), np.float32)
    first = model(x)
    for name, value in model.state_dict().items():
        assert value.dtype == before[name].dtype
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    # Another batch has other forms, which are made of the restored weights.
    assert np.array_equal(model(x[:1]), first[:1])
    copy = nn.Sequential(*model)
    assert np.array_equal(copy(x), first)


def test_a_parameter_is_one_object_while_it_is_used():
    layer = nn.Linear(3, 2)
    numbers = {id(layer.weight) for _ in range(3)}
    assert len(numbers) == 1 and len({id(p) for p in layer.parameters()}) == 2
    weight = layer.weight
    layer(np.zeros((1, 3), np.float32))
    assert layer.weight is weight
    other = nn.Linear(3, 2)
    other.weight = weight
    assert other.weight is weight and len(list(nn.Sequential(layer, other).parameters())) == 3


def handles(model: nn.Module) -> list[object]:
    return [model._parameters[name].handle for name in ("weight", "bias")]


def test_networks_of_one_file_share_its_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "_SETTLED_NS", -(10**18))
    path = tmp_path / "linear.safetensors"
    rvision.save({"weight": np.ones((2, 3), np.float32), "bias": np.zeros(2, np.float32)}, path)
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    first.load_state_dict(read(path))
    second.load_state_dict(read(path))
    assert all(map(lambda one, other: one is other, handles(first), handles(second)))
    # A new value is the first network's alone.
    first.weight = np.zeros((2, 3), np.float32)
    assert second.weight.sum() == 6
    del first, second
    rvision.save({"weight": np.full((2, 3), 2, np.float32), "bias": np.zeros(2, np.float32)}, path)
    third = nn.Linear(3, 2)
    third.load_state_dict(read(path))
    assert third.weight.sum() == 12


def test_a_file_that_another_replaces_while_it_is_opened_is_not_taken_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "_SETTLED_NS", -(10**18))
    for name, value in (("old", 1), ("new", 2)):
        weight = np.full((2, 3), value, np.float32)
        rvision.save({"weight": weight, "bias": np.zeros(2, np.float32)}, tmp_path / f"{name}.safetensors")
    link = tmp_path / "link.safetensors"
    link.symlink_to(tmp_path / "old.safetensors")
    opened = _files._open

    def switching(path):
        checkpoint = opened(path)
        link.unlink()
        link.symlink_to(tmp_path / "new.safetensors")
        return checkpoint

    monkeypatch.setattr(_files, "_open", switching)
    first = read(link)
    monkeypatch.setattr(_files, "_open", opened)
    assert first["weight"].sum() == 6 and read(link)["weight"].sum() == 12


def test_a_file_that_was_written_just_now_is_read_again(tmp_path):
    path = tmp_path / "linear.safetensors"
    rvision.save({"weight": np.ones((2, 3), np.float32), "bias": np.zeros(2, np.float32)}, path)
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    first.load_state_dict(read(path))
    second.load_state_dict(read(path))
    assert handles(first)[0] is not handles(second)[0]


def test_arrays_of_a_file_are_the_readers_own(tmp_path):
    path = tmp_path / "linear.safetensors"
    rvision.save({"weight": np.ones((2, 3), np.float32), "bias": np.zeros(2, np.float32)}, path)
    state = rvision.load(path)
    layer = nn.Linear(3, 2)
    layer.load_state_dict(state)
    state["weight"][:] = 5
    assert layer.weight.sum() == 6 and rvision.load(path)["weight"].sum() == 6


def test_a_run_in_another_thread_does_not_miss_an_array():
    from rvision.nn import _tree

    class Arrays(dict):
        def __setitem__(self, name, value):
            # Another thread runs a network just before the array is kept.
            _tree.forget_arrays()
            super().__setitem__(name, value)

    layer = nn.Linear(3, 3)
    layer(np.zeros((1, 3), np.float32))
    layer.__dict__["_arrays"] = Arrays()
    assert layer.weight is not None
    _tree.forget_arrays()
    assert not layer._arrays
