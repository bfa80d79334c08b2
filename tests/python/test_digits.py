"""LeNet-5 with the bundled weights, pages of digits, and what a sliding window finds on them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import dense
from rvision.errors import ArgumentError
from rvision.models import LeNet5_Weights, lenet5
from rvision.ops import box_iou

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RVISION_OFFLINE", "1")


@pytest.fixture(scope="module")
def model() -> rvision.nn.Module:
    return lenet5(weights=LeNet5_Weights.MNIST)


def example(name: str) -> ModuleType:
    path = EXAMPLES / f"{name}.py"
    if not path.is_file():
        pytest.skip("the examples are not beside the tests")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# ---- the weights ----


def test_weights_come_along():
    weights = LeNet5_Weights.DEFAULT
    assert weights is LeNet5_Weights.MNIST is rvision.models.get_model_weights("lenet5").DEFAULT
    assert weights.cached_file().is_file()
    assert weights.meta["categories"] == list("0123456789")
    (metrics,) = weights.meta["_metrics"].values()
    assert metrics["acc@1"] >= 98
    assert (
        sum(value.size for value in weights.get_state_dict().values()) == weights.meta["num_params"] == 61706
    )
    assert weights.cached_file().stat().st_size == pytest.approx(weights.meta["_file_size"] * 2**20, rel=1e-2)


@pytest.mark.parametrize("given", ["DEFAULT", "MNIST", "LeNet5_Weights.MNIST"])
def test_builder_takes_them_by_name(model, given):
    same = lenet5(weights=given)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(same.state_dict()[name], value)


def test_held_out_digits_are_read(model):
    pictures, labels = dense.held_out_digits()
    assert pictures.shape == (200, 28, 28) and pictures.dtype == np.uint8
    assert np.bincount(labels).tolist() == [20] * 10
    prepare = LeNet5_Weights.MNIST.transforms()
    logits = model(np.stack([prepare(picture) for picture in pictures]))
    assert (logits.argmax(1) == labels).mean() >= 0.97


def test_transforms_are_torchvisions_to_tensor():
    picture = dense.held_out_digits()[0][7]
    prepare = LeNet5_Weights.MNIST.transforms()
    expected = picture[None] / np.float32(255)
    np.testing.assert_array_equal(prepare(Image.fromarray(picture)), expected)
    np.testing.assert_array_equal(prepare(picture), expected)
    np.testing.assert_array_equal(prepare(Image.fromarray(picture).convert("RGB")), expected)
    assert prepare(Image.new("L", (90, 60))).shape == (1, 28, 28)
    assert prepare.normalized(Image.new("RGB", (90, 60))).shape == (1, 60, 90)


def test_windows_without_a_digit_have_no_opinion(model):
    rng = np.random.default_rng(5)
    empty = np.zeros((1, 28, 28), np.float32)
    noise = np.clip(rng.normal(0, 0.05, (32, 1, 28, 28)), 0, 1).astype(np.float32)
    for windows in (empty[None], noise):
        logits = model(windows)
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        assert probabilities.max() < 0.5


def test_logits_are_torchs(torch, model):
    from references.lenet import LeNet5

    reference = LeNet5()
    state = LeNet5_Weights.MNIST.get_state_dict()
    reference.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})
    digits = dense.held_out_digits()[0][:, None] / np.float32(255)
    with torch.no_grad():
        expected = reference(torch.from_numpy(digits)).numpy()
    np.testing.assert_allclose(model(digits), expected, rtol=1e-4, atol=1e-4)


# ---- pages ----


def test_a_page_is_drawn_again_from_the_same_seed():
    one, same, other = (dense.digit_page(np.random.default_rng(seed)) for seed in (3, 3, 4))
    for ours, theirs in zip(one, same, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (one.pixels != other.pixels).any()


def test_a_page_has_its_digits_where_it_says():
    pictures, labels = dense.held_out_digits()
    page = dense.digit_page(
        np.random.default_rng(1), digits=14, scales=(1, 1), halves=0, cut_off=0, strokes=0, noise=0
    )
    assert page.pixels.shape == (256, 384) and page.pixels.dtype == np.uint8
    assert page.boxes.shape == (14, 4) and page.boxes.dtype == np.float32 and page.labels.dtype == np.int64
    rest = page.pixels.copy()
    for box, label in zip(page.boxes.astype(int), page.labels, strict=True):
        x0, y0, x1, y1 = box
        field = page.pixels[y0:y1, x0:x1]
        assert any((field == picture).all() for picture in pictures[labels == label])
        rest[y0:y1, x0:x1] = 0
    assert not rest.any()


def test_digits_of_a_page_keep_apart_in_all_sizes():
    page = dense.digit_page(np.random.default_rng(2), (300, 500), 20, scales=(1.0, 1.5))
    overlaps = box_iou(page.boxes, page.boxes)
    assert (overlaps - np.eye(20) < 1e-6).all()
    sides = page.boxes[:, 2:] - page.boxes[:, :2]
    assert (sides >= 28).all() and (sides <= 42).all() and len(np.unique(sides)) > 3
    assert (page.boxes >= 0).all() and (page.boxes <= [500, 300, 500, 300]).all()


def test_other_things_of_a_page_keep_off_its_digits():
    clean = {"noise": 0.0}
    bare = dense.digit_page(np.random.default_rng(6), halves=0, cut_off=0, strokes=0, **clean)
    full = dense.digit_page(np.random.default_rng(6), **clean)
    np.testing.assert_array_equal(bare.boxes, full.boxes)
    for x0, y0, x1, y1 in bare.boxes.astype(int):
        np.testing.assert_array_equal(bare.pixels[y0:y1, x0:x1], full.pixels[y0:y1, x0:x1])
    assert full.pixels.sum() > bare.pixels.sum()


def test_a_page_without_digits():
    page = dense.digit_page(np.random.default_rng(0), digits=0)
    assert page.boxes.shape == (0, 4) and page.labels.shape == (0,) and page.pixels.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (20, 100)}, "size: expected height and width of 28 or more"),
        ({"digits": -1}, "digits: expected 0 or more"),
        ({"scales": (2.0, 1.0)}, "scales: expected two factors"),
        ({"digits": 500}, "no room for another"),
    ],
)
def test_pages_that_can_not_be(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        dense.digit_page(np.random.default_rng(0), **arguments)


def test_matches_count_each_digit_once():
    page = dense.DigitPage(
        np.zeros((100, 100), np.uint8), np.float32([[0, 0, 28, 28], [50, 50, 90, 90]]), np.array([3, 8])
    )
    found = {
        "boxes": np.float32(
            [[2, 0, 30, 28], [0, 2, 28, 30], [50, 50, 90, 90], [52, 50, 92, 90], [60, 0, 88, 28]]
        ),
        "labels": np.array([3, 3, 5, 8, 3]),
        "scores": np.float32([0.9, 0.8, 0.7, 0.6, 0.5]),
    }
    assert dense.matches(found, page).tolist() == [True, False, False, True, False]
    nothing = {key: value[:0] for key, value in found.items()}
    assert dense.matches(nothing, page).tolist() == []


# ---- found ----


def test_find_digits_is_a_plain_loop_over_averaged_windows(model):
    weights = LeNet5_Weights.MNIST
    detector = dense.SlidingWindowDetector(
        model, [1.0, 0.8], 4, threshold=0.3, iou=0.1, transform=weights.transforms()
    )
    page = dense.digit_page(np.random.default_rng(9), (120, 160), 5)
    candidates = []
    for map in detector.maps(page.pixels):
        probabilities = map.probabilities().astype(np.float64)
        _, rows, columns = probabilities.shape
        for i in range(rows):
            for j in range(columns):
                around = [
                    probabilities[:, min(max(i + di, 0), rows - 1), min(max(j + dj, 0), columns - 1)]
                    for di in (-1, 0, 1)
                    for dj in (-1, 0, 1)
                ]
                mean = np.mean(around, axis=0)
                candidates += [
                    (mean[k], k, np.float32([map.window(i, j)])) for k in np.flatnonzero(mean > 0.3)
                ]
    candidates.sort(key=lambda candidate: -candidate[0])
    of_classes: list[tuple] = []
    for score, label, box in candidates:
        if all(label != other or box_iou(box, better)[0, 0] <= 0.1 for _, other, better in of_classes):
            of_classes.append((score, label, box))
    kept: list[tuple] = []
    for score, label, box in of_classes:
        if all(box_iou(box, better)[0, 0] <= 0.1 for *_, better in kept):
            kept.append((score, label, box))
    found = dense.find_digits(detector, page.pixels)
    assert len(kept) >= 3
    assert found["labels"].tolist() == [label for _, label, _ in kept]
    np.testing.assert_allclose(found["scores"], [score for score, *_ in kept], rtol=1e-4)
    np.testing.assert_allclose(found["boxes"], np.concatenate([box for *_, box in kept]), atol=1e-3)


def test_digits_of_pages_are_found():
    counts = example("digit_pages").count(pages=200, seed=0)
    assert counts.digits == 200 * 12
    assert counts.precision >= 0.95
    assert counts.recall >= 0.95
