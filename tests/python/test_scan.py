"""Pictures of any size in constant memory: the blocks give the map of the whole picture."""

from __future__ import annotations

import numpy as np
import pytest
from models_drawn import pictures
from PIL import Image
from rvision import dense, models, transforms
from rvision.dense._blocks import Axis, blocks
from rvision.errors import ArgumentError
from test_models_logits import distance, drawn

MIB = 1 << 20


def collected(model, x, stride, **arguments):
    """Return the parts of a scan put together, and how many there were."""
    whole = dense.predict(model, x, stride).scores
    out = np.full_like(whole, np.nan)
    parts = []

    def take(part):
        row, column = (part.offset[axis] // part.stride[axis] for axis in (0, 1))
        assert np.isnan(out[:, row : row + part.shape[0], column : column + part.shape[1]]).all()
        out[:, row : row + part.shape[0], column : column + part.shape[1]] = part.scores
        parts.append(part)

    dense.scan(model, x, stride, callback=take, **arguments)
    assert not np.isnan(out).any()
    return out, whole, parts


@pytest.mark.parametrize(
    ("name", "size", "stride", "memory"),
    [
        ("lenet5", (211, 303), None, MIB),
        ("lenet5", (150, 91), 1, 2 * MIB),
        ("squeezenet1_1", (640, 731), None, 40 * MIB),
        ("squeezenet1_1", (700, 640), 8, 100 * MIB),
        ("nin_cifar10", (161, 402), 2, 8 * MIB),
        ("resnet18", (1100, 700), None, 100 * MIB),
        ("mobilenet_v2", (811, 1300), None, 70 * MIB),
    ],
)
def test_blocks_give_the_whole_map(name, size, stride, memory):
    model, _, _ = drawn(name)
    x = pictures((1, 1 if name == "lenet5" else 3, *size))[0]
    found, whole, parts = collected(model, x, stride, memory=memory)
    assert len(parts) > 2
    assert distance(found, whole) <= 1e-5
    assert parts[-1].window(-1, -1) == dense.predict(model, x, stride).window(-1, -1)


def test_the_result_does_not_depend_on_the_blocks():
    model, _, _ = drawn("squeezenet1_1")
    x = pictures((1, 3, 600, 900))[0]
    counts = set()
    for memory in (36, 60, 90, 1000):
        found, whole, parts = collected(model, x, None, memory=memory * MIB)
        assert distance(found, whole) <= 1e-5
        counts.add(len(parts))
    assert len(counts) >= 3


PICTURE = np.clip(pictures((1, 3, 700, 480), "scan")[0] * 0.25 + 0.5, 0, 1) * 255
PIXELS = np.ascontiguousarray(PICTURE.astype(np.uint8).transpose(1, 2, 0))
PRESET = models.SqueezeNet1_1_Weights.DEFAULT.transforms()


class Reader:
    """Returns rows, and records which."""

    def __init__(self, pixels):
        self._pixels, self.shape, self.most = pixels, pixels.shape, 0

    def read(self, top, bottom):
        self.most = max(self.most, bottom - top)
        return self._pixels[top:bottom]


def test_all_kinds_of_pictures(tmp_path):
    model, _, _ = drawn("squeezenet1_1")
    expected = dense.predict(model, PIXELS, transform=PRESET).probabilities()
    file = np.memmap(tmp_path / "pixels.raw", np.uint8, "w+", shape=PIXELS.shape)
    file[:] = PIXELS
    reader = Reader(PIXELS)
    for source in (PIXELS, file, reader, Image.fromarray(PIXELS)):
        found = dense.scan(model, source, transform=PRESET, memory=36 * MIB)
        np.testing.assert_array_equal(found.labels[0], expected.argmax(0))
        np.testing.assert_allclose(found.scores[0], expected.max(0), rtol=1e-3, atol=1e-6)
    assert reader.most < 700
    prepared = dense.scan(model, PRESET.normalized(PIXELS))
    np.testing.assert_array_equal(prepared.labels[0], expected.argmax(0))
    grey = dense.scan(models.lenet5(), PIXELS[..., 0], transform=transforms.ToTensor(), memory=2 * MIB)
    assert grey.shape == ((700 - 28) // 4 + 1, (480 - 28) // 4 + 1)


def test_what_can_be_asked_for():
    model, _, _ = drawn("squeezenet1_1")
    likely = dense.predict(model, PIXELS, transform=PRESET).probabilities()
    three = dense.scan(model, PIXELS, top=3, transform=PRESET, memory=40 * MIB)
    assert three.labels.shape == (3, *likely.shape[1:])
    assert three.labels.dtype == np.int32
    np.testing.assert_allclose(three.scores, -np.sort(-likely, axis=0)[:3], rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(three.windows(), dense.predict(model, PIXELS, transform=PRESET).windows())
    limit = float(np.quantile(likely.max(0), 0.6))
    found = dense.scan(model, PIXELS, threshold=limit, transform=PRESET, memory=40 * MIB)
    assert len(found["boxes"]) == (likely > np.float32(limit)).sum()
    assert (found["scores"] > limit).all()
    assert found["labels"].dtype == np.int64


def test_a_bar_where_it_is_wanted(capsys):
    dense.scan(models.lenet5(), pictures((1, 1, 60, 80))[0], progress=True)
    assert "window" in capsys.readouterr().err


@pytest.mark.parametrize("padding", ["shared", "per_window"])
def test_a_bar_counts_the_windows_of_all_scales(capsys, padding):
    picture = Image.fromarray(PIXELS[:80, :100, 0])
    arguments = {"transform": transforms.ToTensor(), "scales": [1.0, 0.5], "padding": padding}
    maps = dense.predict(models.lenet5(), picture, progress=True, **arguments)
    count = sum(found.shape[0] * found.shape[1] for found in maps)
    assert f"/{count} [" in capsys.readouterr().err
    dense.SlidingWindowDetector(models.lenet5(), progress=True, **arguments)(picture)
    assert f"/{count} [" in capsys.readouterr().err
    dense.predict(models.lenet5(), picture, **arguments)
    assert not capsys.readouterr().err


def test_errors_say_what_to_do():
    model = models.lenet5()
    x = np.zeros((1, 60, 60), np.float32)
    with pytest.raises(ArgumentError, match="one of top, threshold and callback, got several"):
        dense.scan(model, x, top=1, threshold=0.5)
    with pytest.raises(TypeError, match=r"top must be an integer, got 2\.5"):
        dense.scan(model, x, top=2.5)
    with pytest.raises(TypeError, match=r"threshold must be a number, got '0\.5'"):
        dense.scan(model, x, threshold="0.5")
    with pytest.raises(ArgumentError, match=r"memory: one cell depends on \d+ x \d+ pixels.*allow more"):
        dense.scan(models.squeezenet1_1(), np.zeros((3, 900, 900), np.float32), memory=MIB)
    with pytest.raises(ArgumentError, match="an object with shape and read"):
        dense.scan(model, "picture.png")
    with pytest.raises(ArgumentError, match="smaller than the classifier's window"):
        dense.scan(model, x[:, :20])
    with pytest.raises(ArgumentError, match=r"which is never there; use dense\.predict"):
        dense.scan(models.mobilenet_v3_small(), np.zeros((3, 300, 300), np.float32), squeeze="global")

    class Wrong(Reader):
        def read(self, top, bottom):
            return super().read(top, bottom - 1)

    with pytest.raises(ArgumentError, match=r"returned uint8 of shape .*, expected uint8 of"):
        dense.scan(model, Wrong(PIXELS[..., 0]), transform=transforms.ToTensor())


@pytest.mark.parametrize(("start", "size"), [(-5, 40), (0, 32), (3, 20)])
@pytest.mark.parametrize("stride", [1, 4, 7])
def test_blocks_cover_all_cells_once_with_what_they_depend_on(start, size, stride):
    side, window = 333, 32
    cells = (side - window) // stride + 1
    axis = Axis(side, cells, window, stride, start, size)
    for pixels in (3000, 10_000, 40_000, 200_000):
        covered = np.zeros((cells, cells), int)
        for band in blocks([axis, axis], pixels, "here"):
            for block in band:
                covered[slice(*block.rows), slice(*block.columns)] += 1
                for first, last, begin, end in (
                    (*block.rows, block.top, block.bottom),
                    (*block.columns, block.left, block.right),
                ):
                    assert begin % stride == 0
                    assert begin <= max(first * stride + min(start, 0), 0)
                    assert end >= min((last - 1) * stride + max(start + size, window), side)
        assert (covered == 1).all()
