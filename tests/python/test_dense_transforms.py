"""`transform=` of dense prediction is applied to everything it can prepare, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from rvision import dense, nn, transforms
from rvision.errors import ArgumentError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE = 16
PRESET = transforms.ImageClassification(crop_size=SIDE, resize_size=SIDE, mean=MEAN, std=STD)
PIXELS = np.random.default_rng(0).integers(0, 256, (26, 31, 3), dtype=np.uint8)
PLANES = np.ascontiguousarray(PIXELS.transpose(2, 0, 1))
FLOATS = PLANES / np.float32(255)
# What torchvision's presets do to a tensor of floats, by their definition.
NORMALIZED = (FLOATS - np.float32(MEAN)[:, None, None]) / np.float32(STD)[:, None, None]
FORMS = {
    "floats": FLOATS,
    "a batch of one": FLOATS[None],
    "float64": FLOATS.astype(np.float64),
    "uint8 planes": PLANES,
    "pixels": PIXELS,
    "Pillow": Image.fromarray(PIXELS),
}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 5, stride=2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4 * 9, 5)
    )
    rng = np.random.default_rng(1)
    for layer in (network[0], network[4]):
        layer.weight = rng.normal(0, 0.5, np.shape(layer.weight)).astype(np.float32)
    return network.eval()


def views(model: nn.Module) -> dict[str, object]:
    """Return everything that takes a picture and `transform`, as functions that return an array."""

    def with_size(function, **arguments):
        return lambda image, transform: function(
            model, image, input_size=SIDE, transform=transform, **arguments
        )

    def generator():
        return np.random.default_rng(3)

    def detected(image, transform):
        detector = dense.SlidingWindowDetector(
            model, stride=4, threshold=0.0, iou=1.0, input_size=SIDE, transform=transform
        )
        found = detector(image)
        assert len(found["scores"])
        return found["scores"]

    return {
        "predict": lambda *both: with_size(dense.predict)(*both).scores,
        "per window": lambda *both: with_size(dense.predict, padding="per_window")(*both).scores,
        "scan": lambda *both: with_size(dense.scan, top=1)(*both).scores,
        "five_crop": with_size(dense.five_crop),
        "ten_crop": with_size(dense.ten_crop),
        "random_crops": lambda *both: with_size(dense.random_crops, generator=generator())(*both),
        "detector": detected,
    }


VIEWS = ["predict", "per window", "scan", "five_crop", "ten_crop", "random_crops", "detector"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("view", VIEWS)
def test_a_preset_prepares_a_picture_in_every_form(model, view, form):
    if (view, form) == ("scan", "a batch of one"):
        pytest.skip("a scan takes one picture")
    run = views(model)[view]
    found = run(FORMS[form], PRESET)
    expected = run(NORMALIZED, None)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    # Which is not what comes of the values as they are.
    assert not np.allclose(run(FLOATS, None), expected, atol=1e-3)


def test_floats_and_a_picture_of_them_have_the_same_bits(model):
    for view, run in views(model).items():
        np.testing.assert_array_equal(run(FLOATS, PRESET), run(Image.fromarray(PIXELS), PRESET), err_msg=view)


@pytest.mark.parametrize("view", VIEWS)
def test_any_other_transform_is_applied_too(model, view):
    given = []

    def transform(image):
        given.append(type(image))
        return image * 2 - 1

    run = views(model)[view]
    np.testing.assert_allclose(run(FLOATS, transform), run(FLOATS * 2 - 1, None), rtol=1e-5, atol=1e-6)
    assert set(given) == {np.ndarray}


@pytest.mark.parametrize("view", VIEWS)
def test_what_is_prepared_already_is_not_normalised_again(model, view):
    for array in (NORMALIZED, PLANES.astype(np.float32)):
        with pytest.raises(ArgumentError, match=r"floats between 0 and 1, got .* leave transform out"):
            views(model)[view](array, PRESET)


def test_a_transform_for_pixels_says_so_about_planes(model):
    with pytest.raises(ArgumentError, match=r"got \(31, 3, 26\).*leave it out if that is prepared"):
        dense.predict(model, FLOATS, input_size=SIDE, transform=transforms.ToTensor())


def test_the_given_array_is_left_as_it_is(model):
    before = FLOATS.copy()
    for run in views(model).values():
        run(FLOATS, PRESET)
    np.testing.assert_array_equal(FLOATS, before)


def test_tensors_of_torch(model, torch):
    expected = dense.predict(model, PIXELS, input_size=SIDE, transform=PRESET).scores
    for tensor in (torch.from_numpy(FLOATS), torch.from_numpy(PLANES)):
        found = dense.predict(model, tensor, input_size=SIDE, transform=PRESET).scores
        np.testing.assert_array_equal(found, expected)


def test_floats_are_resized_as_floats(model):
    arguments = {"input_size": SIDE, "scales": [1.0, 0.8, (20, 22)], "transform": PRESET}
    maps = dense.predict(model, FLOATS, **arguments)
    pictures = dense.predict(model, Image.fromarray(PIXELS), **arguments)
    for found, expected in zip(maps, pictures, strict=True):
        assert (found.shape, found.scale, found.image_size) == (
            expected.shape,
            expected.scale,
            expected.image_size,
        )
    np.testing.assert_array_equal(maps[0].scores, pictures[0].scores)
    for found, size in zip(maps[1:], [(21, 25), (20, 22)], strict=True):
        resized = np.stack(
            [np.asarray(Image.fromarray(plane).resize(size[::-1], Image.BILINEAR)) for plane in FLOATS]
        )
        by_hand = (resized - np.float32(MEAN)[:, None, None]) / np.float32(STD)[:, None, None]
        expected = dense.predict(model, by_hand, input_size=SIDE).scores
        np.testing.assert_allclose(found.scores, expected, rtol=1e-4, atol=1e-5)
    # Without a transform floats are prepared, and those are not resized.
    with pytest.raises(ArgumentError, match="resized before it is prepared"):
        dense.predict(model, FLOATS, input_size=SIDE, scales=[0.8])


def test_all_windows_of_floats_at_several_scales(model):
    arguments = {"input_size": SIDE, "transform": PRESET}
    found = dense.multi_scale(model, FLOATS, [1.0], **arguments)
    expected = dense.multi_scale(model, Image.fromarray(PIXELS), [1.0], **arguments)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    with pytest.raises(ArgumentError, match="resized before it is prepared"):
        dense.multi_scale(model, NORMALIZED, [1.0], input_size=SIDE)


@pytest.mark.parametrize("mode", ["P", "L", "LA", "CMYK", "1", "RGBA"])
def test_a_scan_sees_the_colours_of_a_picture(model, mode):
    picture = Image.fromarray(PIXELS).convert(mode)
    found = dense.scan(model, picture, top=1, input_size=SIDE, transform=PRESET)
    expected = dense.scan(model, picture.convert("RGB"), top=1, input_size=SIDE, transform=PRESET)
    np.testing.assert_array_equal(found.scores, expected.scores)
