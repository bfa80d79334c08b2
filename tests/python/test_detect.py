"""Detection by sliding windows: a classifier with a known answer, and plain loops over windows."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from rvision import models, nn, transforms
from rvision.dense import Map, SlidingWindowDetector, predict, scale_factors
from rvision.errors import ArgumentError

SIDE = 16
NOTHING, BRIGHT, RED = 0, 1, 2


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """Return a classifier of 16 x 16 pixels: dark, or filled by a white or a red square."""
    network = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(3 * 4 * 4, 3))
    weight = np.zeros((3, 3, 16), np.float32)
    weight[BRIGHT] = 2
    weight[RED, 0], weight[RED, 1:] = 4, -2
    network[2].weight = (weight / 3).reshape(3, -1)
    # Logits of the other classes are 0 where seven eighths of the window are filled.
    network[2].bias = np.float32([0, -28, -56 / 3])
    return network.eval()


def page(
    *squares: tuple[int, int, int, tuple[int, int, int]], size: tuple[int, int] = (96, 128)
) -> np.ndarray:
    """Return a dark picture with squares on it, given by top, left, side and colour."""
    pixels = np.zeros((*size, 3), np.uint8)
    for top, left, side, color in squares:
        pixels[top : top + side, left : left + side] = color
    return pixels


WHITE_COLOR, RED_COLOR = (255, 255, 255), (255, 0, 0)
PREPARED = {"input_size": (3, SIDE, SIDE), "transform": transforms.ToTensor()}
TWO = page((8, 20, SIDE, WHITE_COLOR), (64, 100, SIDE, RED_COLOR))


def detector(model: nn.Module, **arguments) -> SlidingWindowDetector:
    options = {"stride": 4, "classes": [BRIGHT, RED]} | PREPARED | arguments
    return SlidingWindowDetector(model, **options)


def found(result: dict[str, np.ndarray]) -> list[tuple[int, list[int]]]:
    return [
        (int(label), np.rint(box).astype(int).tolist())
        for label, box in zip(result["labels"], result["boxes"], strict=True)
    ]


def test_squares_are_found_where_they_are(model):
    result = detector(model)(TWO)
    assert {key: value.dtype.str for key, value in result.items()} == {
        "boxes": "<f4",
        "labels": "<i8",
        "scores": "<f4",
    }
    assert sorted(found(result)) == [(BRIGHT, [20, 8, 36, 24]), (RED, [100, 64, 116, 80])]
    assert (result["scores"] > 0.9).all()
    assert (np.diff(result["scores"]) <= 0).all()


def test_a_picture_without_anything_has_no_detections(model):
    result = detector(model)(page())
    assert [value.shape for value in result.values()] == [(0, 4), (0,), (0,)]


def test_squares_of_other_sizes_are_found_at_other_scales(model):
    pixels = page((8, 8, SIDE, WHITE_COLOR), (32, 64, 2 * SIDE, RED_COLOR))
    assert found(detector(model)(pixels))[-1] != (RED, [64, 32, 96, 64])
    both = detector(model, scales=[1.0, 0.5], stride=2, iou=0.0, threshold=0.9)(pixels)
    assert (BRIGHT, [8, 8, 24, 24]) in found(both)
    whole = detector(model, scales=[0.5], threshold=0.8)(pixels)
    assert found(whole) == [(RED, [64, 32, 96, 64])]


def test_a_prepared_array_needs_no_transform(model):
    prepared = TWO.transpose(2, 0, 1) / np.float32(255)
    assert found(detector(model, transform=None)(prepared)) == found(detector(model)(Image.fromarray(TWO)))


@pytest.mark.parametrize("scales", [(1.0,), (1.0, 0.7, 0.45)])
@pytest.mark.parametrize(("threshold", "iou"), [(0.05, 0.3), (0.5, 0.0), (0.3, 0.7), (0.2, 1.0)])
def test_detections_are_those_of_a_plain_loop_over_the_maps(model, scales, threshold, iou):
    rng = np.random.default_rng(3)
    pixels = page(*((int(y), int(x), 20, WHITE_COLOR) for y, x in rng.integers(0, 80, (6, 2))))
    arguments = {"stride": 3} | PREPARED
    candidates = []
    for map in predict(model, pixels, scales=scales, **arguments):
        _, rows, columns = map.scores.shape
        probabilities = map.probabilities()
        for label in range(3):
            for i in range(rows):
                for j in range(columns):
                    logits = map.scores[:, i, j].astype(np.float64)
                    score = probabilities[label, i, j]
                    assert score == pytest.approx(np.exp(logits[label]) / np.exp(logits).sum(), rel=1e-5)
                    if score > threshold:
                        x0, y0, x1, y1 = map.window(i, j)
                        box = (max(x0, 0), max(y0, 0), min(x1, 128), min(y1, 96))
                        candidates.append((score, label, box))
    assert len(candidates) > 20
    candidates.sort(key=lambda candidate: -candidate[0])
    expected: list[tuple] = []
    for score, label, box in candidates:
        if all(label != other or overlap(box, rival) <= iou for _, other, rival in expected):
            expected.append((score, label, box))

    result = SlidingWindowDetector(model, scales, threshold=threshold, iou=iou, **arguments)(pixels)
    assert result["scores"].tolist() == [score for score, *_ in expected]
    assert result["labels"].tolist() == [label for _, label, _ in expected]
    np.testing.assert_allclose(result["boxes"], [box for *_, box in expected], rtol=1e-6)


def overlap(a: tuple, b: tuple) -> float:
    inter = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return inter / (sum(areas) - inter)


def test_each_class_above_the_threshold_counts(model):
    # The same window for two classes, below a half each.
    scores = np.log(np.float32([0.1, 0.45, 0.45])).reshape(3, 1, 1)
    maps = [Map(scores, (SIDE, SIDE), (4, 4), (16, 16))]
    result = detector(model, threshold=0.4, classes=None).select(maps)
    assert found(result) == [(BRIGHT, [0, 0, 16, 16]), (RED, [0, 0, 16, 16])]
    assert found(detector(model, threshold=0.4, classes=[RED]).select(maps)) == [(RED, [0, 0, 16, 16])]
    assert len(detector(model, threshold=0.05, classes=None).select(maps)["labels"]) == 3


def test_boxes_are_cut_off_at_the_edges(model):
    # Windows of a picture that was enlarged by a factor that is not exact may reach over it.
    scores = np.float32([0, 9, 0]).reshape(3, 1, 1)
    maps = [Map(scores, (SIDE, SIDE), (4, 4), (10, 12), (1.5, 1.25))]
    assert detector(model).select(maps)["boxes"].tolist() == [[0, 0, 12, 10]]


def test_only_the_best_are_returned_if_so_many_are_asked_for(model):
    pixels = page(*((8, 8 + 24 * i, SIDE, (250 - 10 * i,) * 3) for i in range(4)))
    everything = detector(model, threshold=0.4)(pixels)
    assert len(everything["scores"]) == 4
    best = detector(model, threshold=0.4, max_detections=2)(pixels)
    for key, value in best.items():
        np.testing.assert_array_equal(value, everything[key][:2])
    assert found(best) == [(BRIGHT, [8, 8, 24, 24]), (BRIGHT, [32, 8, 48, 24])]


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        ({"scales": []}, "scales"),
        ({"scales": [1.0, 0.0]}, "scales"),
        ({"scales": [float("nan")]}, "scales"),
        ({"threshold": 1.5}, "threshold must be 0 to 1"),
        ({"iou": -0.1}, "iou must be 0 to 1"),
        ({"iou": float("nan")}, "iou must be 0 to 1"),
        ({"max_detections": 0}, "max_detections"),
    ],
)
def test_arguments_out_of_range_are_told(model, arguments, pattern):
    with pytest.raises(ArgumentError, match=pattern):
        detector(model, **arguments)(TWO)


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        ({"threshold": None}, "threshold must be a number, got None"),
        ({"iou": "0.5"}, "iou must be a number, got '0.5'"),
        ({"max_detections": 2.5}, r"max_detections must be an integer, got 2\.5"),
        ({"max_detections": float("nan")}, "max_detections must be an integer, got nan"),
        ({"classes": [1.7]}, r"classes must be an integer, got 1\.7"),
        ({"classes": 1}, "classes must be a sequence of integers, got 1"),
    ],
)
def test_arguments_of_other_types_are_told_before_a_picture_is_looked_at(model, arguments, pattern):
    with pytest.raises(TypeError, match=pattern):
        detector(model, **arguments)


def test_classes_that_the_network_does_not_have_are_told(model):
    with pytest.raises(ArgumentError, match=r"classes: the network has 0 to 2, got \[0, 3\]"):
        detector(model, classes=[3, 0])(TWO)


def test_scales_go_down_to_where_the_window_covers_the_shorter_side():
    factors = scale_factors((800, 1000), (200, 200), 3)
    np.testing.assert_allclose(factors, [1, 0.5, 0.25])
    assert len(scale_factors((1213, 1546), (224, 224), 6)) == 6
    for size in ((1213, 1546), (225, 640), (333, 224)):
        factors = scale_factors(size, (224, 224), 5)
        assert min(round(side * factors[-1]) for side in size) == 224
        ratios = np.array(factors[1:]) / factors[:-1]
        np.testing.assert_allclose(ratios, ratios[:1].repeat(len(ratios)))
    assert scale_factors((800, 1000), (200, 200), 1) == [1.0]
    # Nothing is left to choose where the picture is smaller than the window.
    assert scale_factors((100, 400), (200, 200), 4) == [2.0]
    # A window that is not square fits in both directions.
    assert scale_factors((400, 400), (100, 200), 2) == [1.0, 0.5]
    with pytest.raises(ArgumentError, match="count"):
        scale_factors((400, 400), (100, 200), 0)


def test_a_picture_that_is_too_small_for_the_window_is_told(model):
    with pytest.raises(ArgumentError, match=r"12 x 40 pixels is smaller than .* 16 x 16"):
        detector(model)(page(size=(12, 40)))


# --- real networks and pictures ---


@pytest.fixture(scope="module")
def mobilenet(real_data) -> nn.Module:
    return models.mobilenet_v2(weights=real_data / "mobilenet_v2.pth").eval()


def test_pictures_pasted_together_are_found_in_their_places(real_data, mobilenet):
    pasted = {
        422: ("n02790996_barbell", 8, 25),
        557: ("n03355925_flagpole", 377, 61),
        637: ("n03710193_mailbox", 69, 375),
        797: ("n04235860_sleeping_bag", 338, 366),
    }
    sheet = Image.new("RGB", (640, 600), (124, 116, 104))
    for name, x, y in pasted.values():
        with Image.open(real_data / "imagenet" / f"{name}.JPEG") as img:
            square = transforms.functional.center_crop(transforms.functional.resize(img, 256), 224)
        sheet.paste(square, (x, y))
    preset = transforms.ImageClassification(crop_size=224)
    result = SlidingWindowDetector(mobilenet, stride=16, transform=preset)(sheet)
    assert set(result["labels"].tolist()) == set(pasted)
    for label, (_, x, y) in pasted.items():
        best = result["boxes"][result["labels"] == label][0]
        assert overlap((x, y, x + 224, y + 224), tuple(best)) > 0.7


def test_the_dog_is_found_where_it_is(real_data, mobilenet):
    samoyed = 258
    with Image.open(real_data / "dog.jpg") as img:
        factors = scale_factors((img.height, img.width), (224, 224), 4)
        preset = transforms.ImageClassification(crop_size=224)
        result = SlidingWindowDetector(mobilenet, factors[1:], transform=preset)(img)
    assert result["labels"][0] == samoyed
    # Its head and body, by eye, in a picture of 1546 x 1213 pixels.
    dog = (150, 30, 1460, 1150)
    for box in result["boxes"][result["labels"] == samoyed]:
        inside = (max(box[0], dog[0]), max(box[1], dog[1]), min(box[2], dog[2]), min(box[3], dog[3]))
        assert overlap(inside, tuple(box)) > 0.6
