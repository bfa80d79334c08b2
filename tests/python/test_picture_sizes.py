"""Sizes are checked before computing: channels last, and results that do not fit into memory."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import rvision
import rvision.transforms as T
from PIL import Image
from rvision import dense, models
from rvision.transforms import _sizes
from rvision.transforms import functional as F


@pytest.mark.parametrize(
    ("tensor", "hint"),
    [
        (np.zeros((48, 64, 3), np.float32), "transpose(2, 0, 1)"),
        (np.zeros((48, 64, 3)), "transpose(2, 0, 1)"),
        (np.zeros((48, 64, 1), np.float32), "transpose(2, 0, 1)"),
        (np.zeros((2, 48, 64, 3), np.uint8), "transpose(0, 3, 1, 2)"),
        (np.zeros((2, 48, 64, 3), np.float32), "transpose(0, 3, 1, 2)"),
        (np.zeros((5, 2, 48, 64, 4), np.uint8), "transpose(0, 1, 4, 2, 3)"),
        (np.zeros((4, 48, 64), np.float32), "(..., 3, H, W)"),
        (np.zeros((48, 64), np.float32), "(..., 3, H, W)"),
        (np.zeros((2, 1, 48, 64), np.uint8), "(..., 3, H, W)"),
    ],
)
def test_presets_look_at_channels_before_they_resize(tensor, hint, monkeypatch):
    monkeypatch.setattr(F, "resize", lambda *_: pytest.fail("resized"))
    for preset in (T.ImageClassification(crop_size=224), T.ImageClassification(crop_size=224).normalized):
        with pytest.raises(ValueError, match=re.escape(hint)):
            preset(tensor)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([Image.new("RGB", (8, 6))] * 2, r"one by one: np\.stack"),
        ((np.zeros((3, 6, 8), np.float32),), r"one by one: np\.stack"),
        ("dog.jpg", r"open the file with PIL\.Image\.open"),
        (Path("dog.jpg"), r"open the file with PIL\.Image\.open"),
        (None, r"PIL Image or a numpy array"),
    ],
)
def test_presets_say_how_a_picture_is_had_from_what_is_none(given, said):
    preset = models.ResNet18_Weights.DEFAULT.transforms()
    for prepare in (preset, preset.normalized, T.CenterCrop(4)):
        with pytest.raises(TypeError, match=said):
            prepare(given)


def test_presets_of_one_mean_look_for_channels_at_the_end():
    preset = T.GreyClassification(crop_size=28, resize_size=28)
    with pytest.raises(ValueError, match=re.escape("transpose(2, 0, 1)")):
        preset(np.zeros((48, 64, 1), np.float32))
    assert preset(np.zeros((1, 48, 64), np.float32)).shape == (1, 28, 28)


def test_presets_refuse_tensors_of_torch_with_channels_last(torch):
    with pytest.raises(ValueError, match=re.escape("transpose(2, 0, 1)")):
        T.ImageClassification(crop_size=224)(torch.zeros(48, 64, 3))
    assert T.ImageClassification(crop_size=8)(torch.zeros(3, 48, 64)).shape == (3, 8, 8)


def test_floats_with_channels_last_are_said():
    tensor = np.zeros((48, 64, 3), np.float32)
    for call in (F.hflip, F.vflip, lambda x: F.crop(x, 0, 0, 9, 3), lambda x: F.resize(x, [64, 2])):
        with pytest.warns(UserWarning, match=r"seems to have its channels last: \.transpose\(2, 0, 1\)"):
            call(tensor)


@pytest.mark.parametrize(
    "shape", [(3, 48, 64), (512, 7, 7), (1000, 20, 4), (64, 3, 3), (2, 3, 40, 40), (3, 3, 3)]
)
def test_maps_of_many_channels_are_no_pictures_with_channels_last(shape):
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    assert np.array_equal(F.hflip(x), np.flip(x, -1))


def test_functions_that_look_at_channels_say_where_they_seem_to_be():
    last = np.zeros((48, 64, 3), np.float32)
    with pytest.raises(ValueError, match=r"3 values for a tensor of 48 channels; .* channels last"):
        F.normalize(last, [0.5] * 3, [0.5] * 3)
    with pytest.raises(ValueError, match="channels last"):
        T.Lighting()(last)
    with pytest.raises(TypeError, match="channels last"), pytest.warns(UserWarning, match="channels last"):
        F.rgb_to_grayscale(last)
    with pytest.raises(ValueError, match=r"ToTensor\(\) takes \(H, W, C\)"):
        F.normalize(F.to_tensor(np.zeros((3, 48, 64), np.uint8)), [0.5] * 3, [0.5] * 3)


STRIP = Image.new("L", (1_000_000, 1))
WIDE = np.broadcast_to(np.float32(0), (3, 1, 2_000_000_000))


@pytest.mark.parametrize(
    "call",
    [
        lambda: T.ImageClassification(crop_size=224)(Image.new("RGB", (10_000_000, 1))),
        lambda: T.ImageClassification(crop_size=224)(np.broadcast_to(np.uint8(0), (3, 1, 10_000_000))),
        lambda: F.resize(STRIP, 100_000),
        lambda: F.resize(STRIP, (10**7, 10**7)),
        lambda: F.resize(WIDE, 10_000),
        lambda: F.pad(STRIP, 10**8),
        lambda: F.pad(WIDE, 10**6),
        lambda: F.center_crop(STRIP, 10**8),
        lambda: F.center_crop(np.zeros((3, 4, 4), np.float32), 10**8),
        lambda: F.crop(STRIP, 0, 0, 10**8, 10**8),
        lambda: T.RandomCrop(10**8, pad_if_needed=True)(STRIP),
    ],
)
def test_what_no_memory_holds_is_refused_before_it_is_made(call):
    # A terabyte and more: allocated, the process would be killed.
    with pytest.raises(MemoryError, match=r"takes \d+\.\d GiB, and \d+\.\d GiB are free"):
        call()


def test_what_the_free_memory_does_not_hold_is_refused(monkeypatch):
    monkeypatch.setattr(_sizes, "_free_memory", lambda: 2 << 30)
    with (
        pytest.raises(MemoryError, match=r"\(480, 54613, 256\) takes 25.0 GiB, and 2.0 GiB .* channels last"),
        pytest.warns(UserWarning, match="channels last"),
    ):
        F.resize(np.broadcast_to(np.float32(0), (480, 640, 3)), 256)
    monkeypatch.setattr(_sizes, "_free_memory", lambda: None)
    monkeypatch.setattr(_sizes, "_ALWAYS_TRIED", 0)
    assert F.resize(np.zeros((1, 1, 2), np.uint8), 12).shape == (1, 12, 24)


def test_free_memory_is_what_the_system_says():
    told = [line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")]
    assert 0 < _sizes._free_memory() <= int(told[0].split()[1]) * 1024


def test_dense_prediction_says_where_channels_seem_to_be():
    network = models.squeezenet1_1()
    with pytest.warns(UserWarning, match="channels last"), pytest.raises(ValueError, match="window"):
        dense.predict(network, np.zeros((300, 280, 3), np.float32), 32)


def test_evaluate_refuses_arrays_with_channels_last():
    preset = T.ImageClassification(crop_size=32)
    pictures = np.zeros((2, 48, 64, 3), np.float32)
    with pytest.raises(ValueError, match=re.escape("transpose(2, 0, 1)")):
        rvision.evaluate(lambda x: x[:, :, 0, 0], pictures, [0, 0], transforms=preset)
