"""Windows that extend beyond the picture's edge, compared with NumPy's own padding and crops."""

from __future__ import annotations

import numpy as np
import pytest
from models_drawn import pictures
from rvision import dense, models, nn, transforms, utils
from rvision.errors import ArgumentError
from test_models_logits import distance, drawn

NUMPYS = {"zeros": "constant", "reflect": "reflect"}


def unpadded() -> nn.Module:
    """Return a classifier without padding for windows of 20 x 20 pixels, at a stride of 4."""
    network = nn.Sequential(
        nn.Conv2d(3, 5, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(5 * 16, 7)
    )
    rng = np.random.default_rng(2)
    for layer in (network[0], network[4]):
        layer.weight = rng.normal(0, 0.3, np.shape(layer.weight)).astype(np.float32)
    return network.eval()


def by_numpy(x: np.ndarray, found: dense.Map, pad: str) -> np.ndarray:
    """Return a prepared picture with the margin that the map's windows need on each side."""
    around = [(0, 0)]
    for axis in (0, 1):
        before = -found.offset[axis]
        end = (found.shape[axis] - 1) * found.stride[axis] + found.window_size[axis]
        around.append((before, max(end - before - x.shape[axis + 1], 0)))
    return np.pad(x, around, mode=NUMPYS[pad])


def crops(model: nn.Module, x: np.ndarray, found: dense.Map) -> np.ndarray:
    (height, width), (down, across) = found.window_size, found.stride
    out = np.empty_like(found.scores)
    for row in range(found.shape[0]):
        for column in range(found.shape[1]):
            window = x[:, row * down : row * down + height, column * across : column * across + width]
            out[:, row, column] = model(np.ascontiguousarray(window))
    return out


@pytest.mark.parametrize("pad", ["zeros", "reflect"])
@pytest.mark.parametrize("stride", [None, 3, (8, 1), 20, 33])
@pytest.mark.parametrize("size", [(41, 37), (20, 53), (9, 30)])
def test_each_cell_is_the_classifiers_output_for_the_crop_of_the_padded_picture(pad, stride, size):
    model = unpadded()
    x = pictures((1, 3, *size), "pad")[0]
    found = dense.predict(model, x, stride, input_size=20, pad=pad)
    expected = crops(model, by_numpy(x, found, pad), found)
    assert np.abs(found.scores - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("pad", ["zeros", "reflect"])
@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small"])
def test_with_padded_networks_window_by_window(name, pad):
    model, _, _ = drawn(name)
    x = pictures((1, 3, 130, 100), "pad")[0]
    found = dense.predict(model, x, 64, pad=pad, padding="per_window")
    assert found.shape == (3, 3) and found.offset == (-128, -128)
    assert distance(found.scores, crops(model, by_numpy(x, found, pad), found)) <= 1e-6


def test_on_shared_maps_it_is_the_map_of_the_padded_picture():
    model, _, _ = drawn("squeezenet1_1")
    x = pictures((1, 3, 230, 300), "pad")[0]
    found = dense.predict(model, x, pad="zeros")
    whole = dense.predict(model, by_numpy(x, found, "zeros"))
    np.testing.assert_array_equal(found.scores, whole.scores)
    assert found.image_size == (230, 300)


@pytest.mark.parametrize("window", [20, 28])
@pytest.mark.parametrize("stride", [1, 3, 4, 7, 16, 20])
@pytest.mark.parametrize("side", [5, 20, 47, 60])
def test_every_pixel_is_near_a_centre_and_cells_inside_keep_their_places(window, stride, side):
    model = nn.Sequential(nn.AvgPool2d(window), nn.Flatten(), nn.Linear(3, 2))
    x = pictures((1, 3, side, side + 2), "pad")[0]
    found = dense.predict(model, x, stride, input_size=(3, window, window), pad="zeros")
    boxes = found.windows()
    for axis, size in ((1, side), (0, side + 2)):
        centres = np.unique((boxes[..., axis] + boxes[..., axis + 2]) / 2)
        pixels = np.arange(size) + 0.5
        assert np.abs(pixels[:, None] - centres).min(axis=1).max() <= stride / 2
        # And no more of them than that needs.
        outer = centres[[1, -2]] if len(centres) > 2 else centres[:0]
        assert (np.abs(outer - size / 2) < size / 2 + stride).all()
    if side >= window:
        inside = dense.predict(model, x, stride, input_size=(3, window, window))
        top, left = (-offset // stride for offset in found.offset)
        part = found.scores[:, top : top + inside.shape[0], left : left + inside.shape[1]]
        np.testing.assert_allclose(part, inside.scores, rtol=1e-5, atol=1e-6)
        assert found.window(top, left) == inside.window(0, 0)


def test_zeros_are_the_mean_colour_of_a_preset():
    model = unpadded()
    preset = transforms.ImageClassification(crop_size=20, mean=(0.2, 0.4, 0.6), std=(0.2, 0.2, 0.2))
    pixels = np.random.default_rng(0).integers(0, 256, (30, 33, 3), dtype=np.uint8)
    found = dense.predict(model, pixels, 4, input_size=20, transform=preset, pad="zeros")
    (top, left), (height, width) = (-found.offset[0], -found.offset[1]), pixels.shape[:2]
    ends = [(n - 1) * 4 + 20 for n in found.shape]
    framed = np.empty((*ends, 3), np.uint8)
    framed[:] = (51, 102, 153)
    framed[top : top + height, left : left + width] = pixels
    expected = dense.predict(model, framed, 4, input_size=20, transform=preset)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4, atol=1e-4)


def test_at_every_scale_the_scaled_picture_is_padded():
    model = unpadded()
    preset = transforms.ImageClassification(crop_size=20)
    pixels = np.random.default_rng(1).integers(0, 256, (44, 50, 3), dtype=np.uint8)
    maps = dense.predict(
        model, pixels, 4, input_size=20, transform=preset, scales=[1.0, 0.5, 0.3], pad="reflect"
    )
    for found in maps:
        boxes = found.windows()
        centres = (boxes[..., :2] + boxes[..., 2:]) / 2
        near = 2 / np.float32(found.scale)
        assert (centres.min(axis=(0, 1)) <= near[::-1] + 1e-4).all()
        assert (centres.max(axis=(0, 1)) >= np.float32([50, 44]) - near[::-1] - 1e-4).all()


@pytest.mark.parametrize("pad", ["zeros", "reflect"])
def test_a_scan_pads_too_whatever_its_blocks(pad):
    model, _, _ = drawn("lenet5")
    pixels = np.random.default_rng(3).integers(0, 256, (150, 121), dtype=np.uint8)
    prepare = transforms.ToTensor()
    whole = dense.predict(model, pixels, 2, transform=prepare, pad=pad)
    for memory in (1 << 20, 1 << 28):
        parts = []
        dense.scan(model, pixels, 2, transform=prepare, pad=pad, memory=memory, callback=parts.append)
        assert (len(parts) > 1) == (memory == 1 << 20)
        for part in parts:
            row, column = ((part.offset[axis] - whole.offset[axis]) // 2 for axis in (0, 1))
            expected = whole.scores[:, row : row + part.shape[0], column : column + part.shape[1]]
            assert distance(part.scores, expected) <= 1e-5
            assert part.image_size == (150, 121)
    best = dense.scan(model, pixels, 2, transform=prepare, pad=pad)
    np.testing.assert_array_equal(best.windows(), whole.windows())
    assert best.shape == whole.shape and best.image_size == (150, 121)


def test_a_detector_finds_what_the_edge_cuts_off_and_its_boxes_stay_on_the_picture():
    network = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(3 * 16, 2))
    network[2].weight = np.stack([np.zeros(48), np.ones(48)]).astype(np.float32)
    network[2].bias = np.float32([0, -12])
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:10, 30:] = 255
    arguments = {"stride": 2, "input_size": (3, 16, 16), "transform": transforms.ToTensor(), "classes": [1]}
    detector = dense.SlidingWindowDetector(network, pad="reflect", **arguments)
    # Mirrored at the corner the square fills windows that hang over it.
    found = detector(pixels)
    assert found["boxes"].shape[0] >= 1
    assert found["boxes"].min() >= 0 and found["boxes"].max() <= 40
    assert found["scores"][0] > dense.SlidingWindowDetector(network, **arguments)(pixels)["scores"].max()


def test_a_heat_map_then_covers_its_picture():
    model = unpadded()
    x = pictures((1, 3, 50, 61), "pad")[0]
    found = dense.predict(model, x, 4, input_size=20, pad="reflect")
    white = np.full((50, 61, 3), 255, np.uint8)
    drawn_ = np.asarray(
        utils.draw_heatmap(white, found, 1, alpha=1, colors=((0, 0, 0), (90, 90, 90)), legend=False)
    )
    assert drawn_.shape == white.shape and drawn_.max() <= 90


def test_other_pads_are_refused():
    model, x = models.lenet5(), np.zeros((1, 40, 40), np.float32)
    for call in (
        lambda: dense.predict(model, x, pad="edge"),
        lambda: dense.scan(model, x, pad="edge"),
        lambda: dense.SlidingWindowDetector(model, pad="edge"),
    ):
        with pytest.raises(ArgumentError, match="pad: expected None, 'zeros' or 'reflect', got 'edge'"):
            call()
