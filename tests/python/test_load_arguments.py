"""torch.load's arguments in `rvision.load`, and the tensors that it returns."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import rvision
from rvision import nn
from rvision._tensor import device


@pytest.fixture
def file(tmp_path) -> Path:
    rvision.save({"w": np.arange(3, dtype=np.float32), "more": [(np.ones(2),), {"n": 1}]}, tmp_path / "x.pth")
    return tmp_path / "x.pth"


@pytest.mark.parametrize(
    "map_location",
    [None, "cpu", "cpu:0", device("cpu"), lambda storage, place: storage, {"cuda:0": "cpu"}],
)
def test_what_maps_to_the_cpu_is_taken(file, map_location):
    found = rvision.load(file, map_location=map_location)
    assert type(found["w"]) is rvision.Tensor and found["w"].tolist() == [0, 1, 2]
    assert rvision.load(file, map_location)["w"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("map_location", ["cuda", "cuda:0", "mps", {"cpu": "cuda:1"}])
def test_other_devices_are_refused(file, map_location):
    with pytest.raises(rvision.UnsupportedError, match="CPU only; use 'cpu'"):
        rvision.load(file, map_location=map_location)
    with pytest.raises(rvision.ArgumentError, match="load: map_location: expected a device"):
        rvision.load(file, map_location=3)


def test_torchs_devices_are_taken(torch, file):
    assert rvision.load(file, map_location=torch.device("cpu"))["w"].shape == (3,)
    with pytest.raises(rvision.UnsupportedError, match="CPU only"):
        rvision.load(file, map_location=torch.device("cuda"))


@pytest.mark.parametrize("weights_only", [True, False, None])
@pytest.mark.parametrize("mmap", [True, False, None])
def test_arguments_without_effect(file, weights_only, mmap):
    assert rvision.load(file, weights_only=weights_only, mmap=mmap)["w"].tolist() == [0, 1, 2]


def test_tensors_are_writable_also_in_containers(file):
    found = rvision.load(file)
    found["w"][0] = 5
    found["w"].mul_(2)
    assert found["w"].tolist() == [10, 2, 4]
    content = rvision.load(file, unwrap=False)
    assert type(content["w"]) is type(content["more"][0][0]) is rvision.Tensor
    assert content["more"][1] == {"n": 1}
    shared = np.ones(2, np.float32)
    container = [shared, {"w": shared}]
    stream = io.BytesIO()
    rvision.save((container, container), stream)
    stream.seek(0)
    first, second = rvision.load(stream, unwrap=False)
    assert first is second and type(first[1]["w"]) is rvision.Tensor


def test_a_tensor_is_taken_into_a_module(file):
    layer = nn.BatchNorm1d(3)
    layer.load_state_dict({**layer.state_dict(), "weight": rvision.load(file)["w"]})
    assert np.asarray(layer.weight).tolist() == [0, 1, 2]


def test_a_checkpoints_entry_is_the_state_dict(tmp_path):
    state = {"a.weight": np.ones(2, np.float32)}
    rvision.save({"epoch": 7, "state_dict": state}, tmp_path / "x.pth")
    checkpoint = rvision.load(tmp_path / "x.pth")
    assert list(checkpoint["state_dict"]) == ["a.weight"] and "state_dict" not in checkpoint
    with pytest.raises(KeyError, match=r"epoch: these are the weights under 'state_dict'.*unwrap=False"):
        checkpoint["epoch"]
    assert rvision.load(tmp_path / "x.pth", unwrap=False)["epoch"] == 7
    rvision.save(state, tmp_path / "y.pth")
    with pytest.raises(KeyError, match="'state_dict'"):
        rvision.load(tmp_path / "y.pth")["state_dict"]
