"""Functions of boxes, compared with plain loops, and with torchvision where it is installed."""

from __future__ import annotations

import numpy as np
import pytest
from rvision import ops
from rvision.errors import ArgumentError, ShapeError


def drawn(count: int, seed: int = 0, picture: float = 300, largest: float = 60) -> np.ndarray:
    """Return random float32 boxes (count, 4) on a picture of that side."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, picture, (count, 2))
    return np.concatenate([corner, corner + rng.uniform(0, largest, (count, 2))], axis=1).astype(np.float32)


def coarse(count: int, seed: int) -> np.ndarray:
    """Return boxes with few distinct corners: many coincide, touch, are empty or inverted."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 8, (count, 2))
    return np.concatenate([corner, corner + rng.integers(-1, 6, (count, 2))], axis=1).astype(np.float32)


def loop_iou(a: np.ndarray, b: np.ndarray) -> np.float32:
    zero = np.float32(0)
    width = max(zero, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(zero, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return width * height / (areas - width * height)


def loop_nms(boxes, scores, threshold, classes=None) -> list[int]:
    """The definition: one pair at a time, best first."""
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        rivals = [j for j in kept if classes is None or classes[i] == classes[j]]
        if not any(float(loop_iou(boxes[j], boxes[i])) > threshold for j in rivals):
            kept.append(int(i))
    return kept


# --- non-maximum suppression ---


@pytest.mark.parametrize("make", [drawn, coarse])
@pytest.mark.parametrize("count", [0, 1, 2, 33, 300])
@pytest.mark.parametrize("threshold", [0.0, 0.2, 1 / 3, 0.5, 1.0])
def test_nms_keeps_what_the_definition_keeps(make, count, threshold):
    rng = np.random.default_rng(count)
    boxes, classes = make(count, count), rng.integers(-2, 3, count)
    # Few different scores, so that there are ties.
    for scores in (rng.random(count, np.float32), rng.integers(0, 5, count).astype(np.float32)):
        for got, expected in (
            (ops.nms(boxes, scores, threshold), loop_nms(boxes, scores, threshold)),
            (
                ops.batched_nms(boxes, scores, classes, threshold),
                loop_nms(boxes, scores, threshold, classes),
            ),
        ):
            assert got.dtype == np.int64
            assert got.tolist() == expected


@pytest.mark.parametrize("count", [0, 1, 50, 999, 20_000])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 1 / 3, 0.5, 0.9])
def test_nms_keeps_what_torchvision_keeps(torch, count, threshold):
    from torchvision import ops as theirs

    rng = np.random.default_rng(count)
    different = (rng.permutation(count) / max(count, 1)).astype(np.float32)
    assert len(set(different.tolist())) == count
    classes = rng.integers(0, 7, count)
    for boxes in (drawn(count, 1, picture=1000), coarse(count, 2)):
        tensors = [torch.from_numpy(array) for array in (boxes, different, classes)]
        np.testing.assert_array_equal(
            ops.nms(boxes, different, threshold), theirs.nms(*tensors[:2], threshold).numpy()
        )
        ties = np.round(different, 1)
        expected = theirs.nms(tensors[0], torch.from_numpy(ties), threshold).numpy()
        np.testing.assert_array_equal(ops.nms(boxes, ties, threshold), expected)
        # Whole coordinates are not rounded where torchvision moves classes apart.
        whole = np.round(boxes)
        expected = theirs.batched_nms(torch.from_numpy(whole), *tensors[1:], threshold).numpy()
        np.testing.assert_array_equal(ops.batched_nms(whole, different, classes, threshold), expected)


def test_classes_stay_apart_however_far_the_boxes_lie():
    # 2**25 + 1 is no float32: moved apart by it, the boxes of a class would coincide.
    boxes = np.float32([[0, 0, 2, 2], [1, 1, 3, 3], [2**25, 0, 2**25 + 8, 8]])
    scores = np.float32([0.9, 0.8, 0.7])
    assert ops.batched_nms(boxes, scores, [5, 5, 6], 0.5).tolist() == [0, 1, 2]
    assert ops.batched_nms(boxes[[0, 0, 0]], scores, [5, 6, 5], 0.5).tolist() == [0, 1]


def test_nms_takes_what_numpy_can_see(torch):
    boxes, scores = drawn(40), np.linspace(0, 1, 40, dtype=np.float32)
    expected = ops.nms(boxes, scores, 0.1).tolist()
    assert ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.1).tolist() == expected
    assert ops.nms(boxes.tolist(), scores.tolist(), 0.1).tolist() == expected
    assert ops.nms(np.asfortranarray(boxes), np.repeat(scores, 2)[::2], 0.1).tolist() == expected
    assert ops.nms(boxes.astype(np.float64), scores.astype(">f4"), 0.1).tolist() == expected
    whole = boxes.astype(int)
    assert ops.nms(whole, scores, 0.1).tolist() == ops.nms(whole.astype(np.float32), scores, 0.1).tolist()
    with pytest.raises(TypeError, match=r"nms: boxes: .*requires grad.*detach"):
        ops.nms(torch.from_numpy(boxes).requires_grad_(), scores, 0.1)


# --- the other functions ---

FORMATS = ("xyxy", "xywh", "cxcywh")


def test_box_iou_is_the_overlap_of_each_pair():
    first, second = coarse(20, 1), coarse(30, 2)
    got = ops.box_iou(first, second)
    assert (got.dtype, got.shape) == (np.float32, (20, 30))
    expected = [[loop_iou(a, b) for b in second] for a in first]
    np.testing.assert_array_equal(got, np.float32(expected))
    assert ops.box_iou(first, np.zeros((0, 4))).shape == (20, 0)


def test_boxes_convert_as_the_formats_say():
    box = [10, 20, 40, 60]
    for fmt, numbers in (("xyxy", box), ("xywh", [10, 20, 30, 40]), ("cxcywh", [25, 40, 30, 40])):
        got = ops.box_convert([box], "xyxy", fmt)
        assert got.dtype == np.float32
        assert got.tolist() == [numbers]
        assert ops.box_convert([numbers], fmt, "xyxy").tolist() == [box]
        assert ops.box_area([numbers], fmt).tolist() == [1200]
    array = drawn(3)
    assert not np.shares_memory(ops.box_convert(array, "xyxy", "xyxy"), array)


def test_boxes_are_clipped_and_small_ones_found():
    boxes = [[-5, -6, 7, 8], [3, 4, 99, 98], [50, 50, 60, 60], [0, 0, 20, 10]]
    clipped = ops.clip_boxes_to_image(boxes, (10, 20))
    assert clipped.tolist() == [[0, 0, 7, 8], [3, 4, 20, 10], [20, 10, 20, 10], [0, 0, 20, 10]]
    small = ops.remove_small_boxes(clipped, 7)
    assert (small.dtype, small.tolist()) == (np.int64, [0, 3])
    assert ops.remove_small_boxes([[0, 0, 5, 5], [0, 0, 5, np.nan]], 5).tolist() == [0]


def test_all_equal_torchvision(torch):
    from torchvision import ops as theirs

    for first, second in (
        (drawn(200, 3), drawn(77, 4)),
        (coarse(50, 5), drawn(0)),
        (coarse(9, 6), coarse(9, 7)),
    ):
        a, b = torch.from_numpy(first), torch.from_numpy(second)
        for fmt in FORMATS:
            np.testing.assert_array_equal(ops.box_iou(first, second, fmt), theirs.box_iou(a, b, fmt).numpy())
            np.testing.assert_array_equal(ops.box_area(first, fmt), theirs.box_area(a, fmt).numpy())
            for other in FORMATS:
                np.testing.assert_array_equal(
                    ops.box_convert(first, fmt, other), theirs.box_convert(a, fmt, other).numpy()
                )
        batch, batch_t = first[None, :9], a[None, :9]
        np.testing.assert_array_equal(ops.box_iou(batch, batch), theirs.box_iou(batch_t, batch_t).numpy())
        np.testing.assert_array_equal(
            ops.clip_boxes_to_image(first - 20, (100, 150)), theirs.clip_boxes_to_image(a - 20, (100, 150))
        )
        np.testing.assert_array_equal(ops.remove_small_boxes(first, 3.0), theirs.remove_small_boxes(a, 3.0))


def test_not_a_number_goes_through_arithmetic_as_in_torchvision(torch):
    from torchvision import ops as theirs

    boxes = drawn(6)
    boxes[0, 0], boxes[1, 3], boxes[2, 2] = np.nan, np.nan, np.inf
    tensor = torch.from_numpy(boxes)
    np.testing.assert_array_equal(ops.box_iou(boxes, boxes), theirs.box_iou(tensor, tensor))
    np.testing.assert_array_equal(ops.box_area(boxes), theirs.box_area(tensor))
    clipped = theirs.clip_boxes_to_image(tensor, (50, 50))
    np.testing.assert_array_equal(ops.clip_boxes_to_image(boxes, (50, 50)), clipped)


# --- what is refused ---


@pytest.mark.parametrize(
    ("call", "error", "pattern"),
    [
        (
            lambda: ops.nms(np.zeros(4), [1.0], 0.5),
            ShapeError,
            r"nms: boxes: expected shape \(N, 4\), got \(4,\)",
        ),
        (lambda: ops.nms(np.zeros((3, 5)), np.zeros(3), 0.5), ShapeError, r"got \(3, 5\)"),
        (lambda: ops.nms([], [], 0.5), ShapeError, r"np.zeros\(\(0, 4\)\)"),
        (
            lambda: ops.nms(np.zeros((3, 4)), np.zeros(2), 0.5),
            ShapeError,
            "scores: .* each of the 3 boxes, got 2",
        ),
        (lambda: ops.nms(np.zeros((3, 4)), np.zeros((3, 1)), 0.5), ShapeError, r"scores: .* got \(3, 1\)"),
        (lambda: ops.nms(np.zeros((2, 4)), [0.1, np.nan], 0.5), ArgumentError, r"NaN in scores\[1\]"),
        (lambda: ops.nms([[0, 0, 1, np.nan]], [0.1], 0.5), ArgumentError, r"NaN in boxes\[0\]"),
        (lambda: ops.nms(np.zeros((1, 4)), [0.1], np.nan), ArgumentError, "iou_threshold must be a number"),
        (lambda: ops.nms(np.zeros((1, 4)), [0.1], "0.5"), TypeError, "iou_threshold"),
        (lambda: ops.nms("boxes", [0.1], 0.5), TypeError, "nms: boxes: expected an array"),
        (
            lambda: ops.nms(np.array([["a"] * 4]), [0.1], 0.5),
            TypeError,
            "nms: boxes: expected an array of numbers",
        ),
        (
            lambda: ops.batched_nms(np.zeros((2, 4)), [0.1, 0.2], [1], 0.5),
            ShapeError,
            "batched_nms: idxs: .* each of the 2 boxes, got 1",
        ),
        (
            lambda: ops.batched_nms(np.zeros((1, 4)), [0.1], [1.5], 0.5),
            TypeError,
            "idxs: expected whole numbers",
        ),
        (
            lambda: ops.box_iou(np.zeros(4), np.zeros((1, 4))),
            ShapeError,
            r"boxes1: expected shape \(..., N, 4\)",
        ),
        (lambda: ops.box_area(np.zeros((4, 3))), ShapeError, r"box_area: boxes: .*\(4, 3\)"),
        (
            lambda: ops.box_area(np.zeros((1, 4)), "xyzw"),
            ArgumentError,
            "fmt must be one of xyxy, xywh, cxcywh",
        ),
        (lambda: ops.box_convert(np.zeros((1, 4)), "xyxy", "cxcywhr"), ArgumentError, "out_fmt .*cxcywhr"),
        (
            lambda: ops.clip_boxes_to_image(np.zeros((1, 4)), 5),
            ArgumentError,
            r"size must be \(height, width\)",
        ),
        (lambda: ops.clip_boxes_to_image(np.zeros((1, 4)), (5, -1)), ArgumentError, r"size .* \(5, -1\)"),
        (lambda: ops.remove_small_boxes(np.zeros(4), 1), ShapeError, "remove_small_boxes: boxes"),
    ],
)
def test_what_can_not_be_is_told(call, error, pattern):
    with pytest.raises(error, match=pattern):
        call()
