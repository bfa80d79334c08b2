"""Drawings of results, compared with torchvision and checked by their pixels."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from rvision import utils
from rvision.dense import Map
from rvision.errors import ArgumentError, ShapeError


def photo(height: int = 60, width: int = 80, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def planes(picture: Image.Image) -> np.ndarray:
    assert picture.mode == "RGB"
    return np.asarray(picture).transpose(2, 0, 1)


# --- boxes ---

BOXES = np.float32([[5, 6, 40, 30], [10.7, 2.2, 70, 50], [-20, 20, 200, 55], [3, 3, 3, 3]])


def test_boxes_have_torchvisions_pixels(torch):
    from torchvision.utils import draw_bounding_boxes

    pixels = photo()
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    colors = ["red", (0, 255, 10), "#0000ff", "white"]
    for arguments in ({}, {"width": 4}, {"fill": True}, {"fill": True, "width": 3}):
        expected = draw_bounding_boxes(tensor, torch.from_numpy(BOXES), colors=colors, **arguments)
        got = utils.draw_bounding_boxes(pixels, BOXES, colors=colors, **arguments)
        np.testing.assert_array_equal(planes(got), expected.numpy())
    grey = tensor[:1]
    expected = draw_bounding_boxes(grey, torch.from_numpy(BOXES), colors="lime")
    np.testing.assert_array_equal(
        planes(utils.draw_bounding_boxes(grey, BOXES, colors="lime")), expected.numpy()
    )


def test_an_image_may_come_in_any_form(torch):
    pixels = photo()
    expected = planes(utils.draw_bounding_boxes(Image.fromarray(pixels), BOXES))
    chw = pixels.transpose(2, 0, 1)
    floats = chw / np.float32(255)
    for image in (pixels, chw, floats, torch.from_numpy(pixels), torch.from_numpy(floats)):
        before = np.asarray(image).copy()
        np.testing.assert_array_equal(planes(utils.draw_bounding_boxes(image, BOXES)), expected)
        np.testing.assert_array_equal(np.asarray(image), before)
    grey = pixels[:, :, 0]
    expected = planes(utils.draw_bounding_boxes(Image.fromarray(grey), BOXES))
    for image in (grey, grey[None], grey[None] / np.float64(255)):
        np.testing.assert_array_equal(planes(utils.draw_bounding_boxes(image, BOXES)), expected)


def test_labels_have_a_color_each_and_stay_on_the_picture():
    black = Image.new("RGB", (200, 100))
    boxes = [[10, 10, 60, 60], [70, 20, 120, 70], [130, 5, 199, 99]]
    drawn = np.asarray(utils.draw_bounding_boxes(black, boxes, ["cat", "dog", "cat"], width=2))
    edges = [tuple(drawn[int(y2), int(x1)]) for x1, _, _, y2 in boxes]
    assert edges[0] == edges[2] != edges[1]
    bare = np.asarray(utils.draw_bounding_boxes(black, boxes, colors=[*map(tuple, np.int64(edges))], width=2))
    for (x1, y1, _, _), label_is_there in zip(boxes, (True, True, True), strict=True):
        corner = np.s_[y1 + 2 : y1 + 14, x1 + 2 : x1 + 20]
        assert (drawn[corner] != bare[corner]).any() == label_is_there
    # A name at the lower right corner is moved so that all of it can be read.
    one = [[190, 95, 199, 99]]
    moved = np.asarray(utils.draw_bounding_boxes(black, one, ["a long name"])).any(axis=2)
    assert moved[:95].any() and moved[:, :190].any()
    nothing = utils.draw_bounding_boxes(black, boxes, [None] * 3, "red")
    np.testing.assert_array_equal(nothing, utils.draw_bounding_boxes(black, boxes, colors="red"))
    large = np.asarray(utils.draw_bounding_boxes(black, boxes, ["cat", "dog", "cat"], font_size=30))
    assert (large != drawn).any()


def test_no_boxes_leave_a_copy():
    picture = Image.fromarray(photo())
    for arguments in ({}, {"labels": []}, {"colors": []}):
        got = utils.draw_bounding_boxes(picture, np.zeros((0, 4)), **arguments)
        assert got is not picture
        np.testing.assert_array_equal(got, picture)


@pytest.mark.parametrize(
    ("arguments", "error", "pattern"),
    [
        ({"boxes": [1, 2, 3, 4]}, ShapeError, r"boxes: expected shape \(N, 4\)"),
        ({"boxes": [[5, 5, 4, 9]]}, ArgumentError, r"boxes\[0\]: expected x1 <= x2 .*box_convert"),
        ({"boxes": [[0, 0, np.nan, 9]]}, ArgumentError, r"boxes\[0\]"),
        ({"labels": ["a"]}, ArgumentError, "labels: expected one for each of 4 boxes"),
        ({"labels": "abcd"}, ArgumentError, "labels: expected one for each"),
        ({"colors": ["red"]}, ArgumentError, "colors: expected one for each of 4 boxes"),
        ({"colors": "reddish"}, ArgumentError, "no color 'reddish'"),
        ({"colors": (1, 2)}, ArgumentError, r"\(R, G, B\)"),
        ({"colors": (1, 2, 256)}, ArgumentError, r"\(R, G, B\)"),
        ({"width": 0}, ArgumentError, "width must be 1 or more"),
        ({"labels": ["a"] * 4, "font": "/no/font.ttf"}, ArgumentError, "/no/font.ttf"),
        ({"labels": ["a"] * 4, "font_size": 0}, ArgumentError, "font_size"),
        ({"image": np.zeros((2, 3, 9, 9))}, ShapeError, r"image: .*\(2, 3, 9, 9\)"),
        ({"image": np.zeros((9, 9), int)}, TypeError, "uint8, or floats"),
        ({"image": "picture.jpg"}, TypeError, "image"),
    ],
)
def test_boxes_that_can_not_be_drawn_are_told(arguments, error, pattern):
    with pytest.raises(error, match=pattern):
        utils.draw_bounding_boxes(**{"image": photo(), "boxes": BOXES} | arguments)


# --- grids ---


@pytest.mark.parametrize("shape", [(1, 3, 7, 5), (5, 3, 7, 5), (9, 1, 4, 6), (3, 6, 5), (1, 6, 5), (6, 5)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"nrow": 3, "padding": 0},
        {"nrow": 2, "padding": 3, "pad_value": 1},
        {"nrow": 100},
        {"normalize": True},
        {"normalize": True, "scale_each": True, "pad_value": 0.3},
        {"normalize": True, "value_range": (0.2, 0.7)},
    ],
)
def test_grids_have_torchvisions_pixels(torch, shape, dtype, arguments):
    from torchvision.utils import make_grid

    levels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    values = levels if dtype == np.uint8 else levels / np.float32(255)
    # torchvision cannot normalise uint8 in place.
    theirs = values / np.float32(255) if arguments.get("normalize") and dtype == np.uint8 else values
    expected = make_grid(torch.from_numpy(np.array(theirs)), **arguments)
    if expected.is_floating_point():
        # As torchvision's save_image makes pixels.
        expected = expected.mul(255).add(0.5).clamp(0, 255).to(torch.uint8)
    np.testing.assert_array_equal(planes(utils.make_grid(values, **arguments)), expected.numpy())


def test_grids_of_lists_and_pictures(torch):
    from torchvision.utils import make_grid

    pixels = [photo(8, 9, seed) for seed in range(5)]
    tensors = [torch.from_numpy(each).permute(2, 0, 1) for each in pixels]
    expected = make_grid(tensors, nrow=2, pad_value=200).numpy()
    pictures = [Image.fromarray(each) for each in pixels]
    for images in (pixels, tensors, pictures, tuple(pictures), np.stack(pixels)):
        np.testing.assert_array_equal(planes(utils.make_grid(images, nrow=2, pad_value=200)), expected)
    np.testing.assert_array_equal(utils.make_grid(pictures[0]), pixels[0])


def test_a_grid_lies_row_by_row():
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    grid = utils.make_grid([Image.new("RGB", (4, 3), color) for color in colors], nrow=2, padding=1)
    assert grid.size == (2 * 5 + 1, 2 * 4 + 1)
    assert [grid.getpixel(at) for at in ((1, 1), (6, 1), (1, 5))] == colors
    assert [grid.getpixel(at) for at in ((0, 0), (5, 1), (1, 4), (6, 5))] == [(0, 0, 0)] * 4


@pytest.mark.parametrize(
    ("arguments", "error", "pattern"),
    [
        ({"tensor": []}, ArgumentError, "at least one picture"),
        ({"tensor": np.zeros((0, 3, 4, 4))}, ArgumentError, "at least one picture"),
        ({"tensor": [photo(8, 8), photo(8, 9)]}, ShapeError, "pictures of one size"),
        ({"tensor": np.zeros((2, 5, 4, 4))}, ShapeError, r"\(5, 4, 4\)"),
        ({"nrow": 0}, ArgumentError, "nrow"),
        ({"padding": -1}, ArgumentError, "padding"),
        ({"normalize": True, "value_range": (1, 0)}, ArgumentError, "value_range"),
        ({"pad_value": 300, "tensor": np.zeros((2, 3, 4, 4), np.uint8)}, ArgumentError, "pad_value"),
    ],
)
def test_grids_that_can_not_be_are_told(arguments, error, pattern):
    with pytest.raises(error, match=pattern):
        utils.make_grid(**{"tensor": np.zeros((2, 3, 4, 4))} | arguments)


# --- heat maps ---

GREY = ((0, 0, 0), (255, 255, 255))


def drawn(*args, **arguments) -> Image.Image:
    """Return a heat map without a legend, which has the picture's size."""
    return utils.draw_heatmap(*args, legend=False, **arguments)


def a_map(probabilities, image_size, window, stride, scale=(1.0, 1.0)) -> Map:
    """Return a map of two classes, the second of which has these probabilities."""
    both = np.stack([1 - np.float32(probabilities), np.float32(probabilities)])
    return Map(np.log(both.clip(1e-9)), window, stride, image_size, scale)


def test_an_array_is_spread_over_the_picture():
    black = np.zeros((40, 60, 3), np.uint8)
    heat = np.asarray(drawn(black, [[0.0, 1.0, 2.0], [4.0, 3.0, 2.0]], alpha=1, colors=GREY))
    # Cells are 20 x 20; at their centres, which lie between pixels, their own values.
    for row, column, value in ((0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 0, 4), (1, 1, 3)):
        around = heat[20 * row + 9 : 20 * row + 11, 20 * column + 9 : 20 * column + 11, 0]
        assert around.mean() == pytest.approx(255 * value / 4, abs=5)
    # Up to the edge it is the outermost cells' value, in between a mixture.
    assert (heat[:10, :10] == 0).all()
    assert (heat[30:, :10] == 255).all()
    assert (np.diff(heat[:, 5, 0].astype(int)) >= 0).all()


def test_cells_of_a_map_stand_at_their_windows_centres():
    probabilities = np.zeros((3, 4), np.float32)
    probabilities[1, 2] = 0.8
    heat = a_map(probabilities, (200, 300), (100, 120), (20, 30))
    pixels = np.asarray(drawn(np.zeros((200, 300, 3), np.uint8), heat, 1, alpha=1, colors=GREY))
    # Row 1 has its window at 20 to 120, column 2 at 60 to 180: the centre is (120, 70).
    y, x = np.unravel_index(pixels[..., 0].argmax(), pixels.shape[:2])
    assert abs(y + 0.5 - 70) <= 0.5 and abs(x + 0.5 - 120) <= 0.5
    # Half a pixel from the centre, the neighbours have so much of a share.
    assert pixels[y, x].tolist() == [int(255 * 0.8 * (1 - 0.5 / 20) * (1 - 0.5 / 30) + 0.5)] * 3
    # A whole stride away it is nothing.
    assert pixels[..., 0].nonzero()[0].min() >= 50 and pixels[..., 0].nonzero()[0].max() < 90
    assert pixels[..., 0].nonzero()[1].min() >= 90 and pixels[..., 0].nonzero()[1].max() < 150


def test_the_same_place_at_every_scale():
    for scale in (1.0, 0.5, 2.0):
        probabilities = np.zeros((5, 5), np.float32)
        probabilities[2, 2] = 1
        # Window and stride are pixels of the scaled picture.
        window, stride = (int(80 * scale),) * 2, (int(20 * scale),) * 2
        heat = a_map(probabilities, (160, 160), window, stride, (scale, scale))
        pixels = np.asarray(drawn(np.zeros((160, 160, 3), np.uint8), heat, 1, alpha=1, colors=GREY))
        y, x = (pixels[..., 0].astype(float).sum(axis=axis) for axis in (1, 0))
        assert np.average(np.arange(160) + 0.5, weights=y) == pytest.approx(80)
        assert np.average(np.arange(160) + 0.5, weights=x) == pytest.approx(80)


def test_the_rim_without_centres_stays_as_it_is():
    pixels = photo(100, 100)
    heat = a_map(np.ones((2, 3)), (100, 100), (60, 50), (20, 10))
    painted = np.asarray(drawn(pixels, heat, 1, alpha=1))
    # Centres are 30, 50 down and 25, 35, 45 across, and half a stride belongs to them.
    inside = np.zeros((100, 100), bool)
    inside[20:60, 20:50] = True
    np.testing.assert_array_equal(painted[~inside], pixels[~inside])
    assert (painted[inside] == (252, 240, 160)).all()


def test_alpha_and_range():
    grey = np.full((10, 10, 3), 100, np.uint8)
    ramp = np.linspace(0, 1, 100).reshape(10, 10)
    np.testing.assert_array_equal(drawn(grey, ramp, alpha=0), grey)
    half = np.asarray(drawn(grey, ramp, alpha=0.5, colors=GREY)).astype(float)
    whole = np.asarray(drawn(grey, ramp, alpha=1, colors=GREY)).astype(float)
    np.testing.assert_allclose(half, (whole + 100) / 2, atol=0.51)
    dark = np.asarray(drawn(grey, ramp, alpha=1, colors=GREY, value_range=(0, 2)))
    assert dark.max() in (127, 128)
    flat = np.asarray(drawn(grey, np.full((2, 2), 7.0), alpha=1, colors=GREY))
    assert (flat == 0).all()
    one = a_map([[0.5]], (10, 10), (10, 10), (32, 32))
    half = np.asarray(drawn(grey, one, 1, alpha=1, colors=GREY))
    assert half.min() == half.max() == 128
    brightest = np.asarray(drawn(grey, one, 1, alpha=1, colors=GREY, value_range="max"))
    assert (brightest == 255).all()


@pytest.mark.parametrize(
    ("map", "arguments", "error", "pattern"),
    [
        (np.zeros((2, 3, 4)), {}, ShapeError, r"\(2, 3, 4\); choose a class"),
        (np.zeros((0, 4)), {}, ShapeError, r"\(0, 4\)"),
        (np.full((2, 2), np.nan), {}, ArgumentError, "finite"),
        (np.zeros((2, 2)), {"label": 1}, ArgumentError, "label"),
        (np.zeros((2, 2)), {"alpha": 2}, ArgumentError, "alpha"),
        (np.zeros((2, 2)), {"value_range": (1, 1)}, ArgumentError, "value_range"),
        (np.zeros((2, 2)), {"value_range": "largest"}, ArgumentError, "value_range .* 'max', got 'largest'"),
        (np.zeros((2, 2)), {"show": "score"}, ArgumentError, "show='score' is for a Map"),
        (np.zeros((2, 2)), {"show": "logit"}, ArgumentError, "show must be 'probability' or 'score'"),
        (np.zeros((2, 2)), {"categories": ["a"]}, ArgumentError, "categories: an array .* has no classes"),
        (
            a_map([[1]], (10, 10), (5, 5), (1, 1)),
            {"label": 1, "categories": ["a"]},
            ArgumentError,
            "categories: expected a name for each of 2 classes, got 1",
        ),
        (np.zeros((2, 2)), {"colors": ((0, 0, 0),)}, ArgumentError, "colors"),
        (a_map([[1]], (10, 10), (5, 5), (1, 1)), {}, ArgumentError, "expected a class, 0 to 1, got None"),
        (
            a_map([[1]], (10, 10), (5, 5), (1, 1)),
            {"label": 2},
            ArgumentError,
            "expected a class, 0 to 1, got 2",
        ),
        (a_map([[1]], (9, 10), (5, 5), (1, 1)), {"label": 1}, ShapeError, "10 x 10 .* got one of 9 x 10"),
    ],
)
def test_heat_maps_that_can_not_be_are_told(map, arguments, error, pattern):
    with pytest.raises(error, match=pattern):
        utils.draw_heatmap(np.zeros((10, 10, 3), np.uint8), map, **arguments)


@pytest.mark.parametrize("largest", [1.0, 0.6, 0.02])
def test_a_colour_is_the_same_probability_in_every_map(largest):
    ramp = np.linspace(0, largest, 40, dtype=np.float32)[None]
    heat = a_map(ramp, (6, 40), (6, 1), (1, 1))
    pixels = np.asarray(drawn(np.zeros((6, 40, 3), np.uint8), heat, 1, alpha=1, colors=GREY))
    np.testing.assert_allclose(pixels[2, :, 0], 255 * ramp[0], atol=0.51)
    upper = np.asarray(
        drawn(np.zeros((6, 40, 3), np.uint8), heat, 1, alpha=1, colors=GREY, value_range=(0, 0.5))
    )
    np.testing.assert_allclose(upper[2, :, 0], (510 * ramp[0]).clip(0, 255), atol=0.51)
    own = np.asarray(drawn(np.zeros((6, 40, 3), np.uint8), heat, 1, alpha=1, colors=GREY, value_range="max"))
    np.testing.assert_allclose(own[2, :, 0], 255 * ramp[0] / ramp.max(), atol=0.51)


def test_a_class_that_is_nowhere_likely_leaves_the_picture_grey():
    pixels = photo(30, 40)
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    heat = a_map(np.full((3, 3), 0.005), (30, 40), (10, 20), (10, 10))
    np.testing.assert_array_equal(drawn(pixels, heat, 1), np.repeat(grey[..., None], 3, axis=2))
    # One that is likely enough, or for which colours have been asked, is painted.
    likely = a_map(np.full((3, 3), 0.011), (30, 40), (10, 20), (10, 10))
    for map, arguments in (
        (likely, {}),
        (heat, {"floor": 0.004}),
        (heat, {"value_range": "max"}),
        (heat, {"value_range": (0, 1)}),
    ):
        painted = np.asarray(drawn(pixels, map, 1, **arguments))
        assert (painted.std(axis=2) > 0).any()
    # So is the class of which nothing is known but that it is the surest.
    even = Map(np.zeros((1000, 3, 3), np.float32), (10, 20), (10, 10), (30, 40))
    assert not np.asarray(drawn(pixels, even, 7)).std(axis=2).any()


def test_scores_run_from_the_lowest_to_the_highest_of_all_classes():
    scores = np.float32([[[-4.0, 2.0]], [[0.0, 6.0]]])
    heat = Map(scores, (10, 10), (10, 10), (10, 20))
    black = np.zeros((10, 20, 3), np.uint8)
    for label in (0, 1):
        pixels = np.asarray(drawn(black, heat, label, show="score", alpha=1, colors=GREY))
        # The outermost pixels lie beyond the centres of the cells.
        np.testing.assert_allclose(pixels[5, [0, -1], 0], 255 * (scores[label, 0] + 4) / 10, atol=0.51)
        own = np.asarray(drawn(black, heat, label, show="score", alpha=1, colors=GREY, value_range="max"))
        assert own[5, [0, -1], 0].tolist() == [0, 255]


def test_part_of_a_map_is_drawn_where_it_lies():
    whole = np.random.default_rng(0).random((4, 5), np.float32)
    pixels = photo(60, 70)
    complete = np.asarray(drawn(pixels, a_map(whole, (60, 70), (20, 20), (10, 10)), 1))
    part = Map(
        a_map(whole[1:3, 2:4], (60, 70), (20, 20), (10, 10)).scores,
        (20, 20), (10, 10), (60, 70), offset=(10, 20),
    )  # fmt: skip
    painted = np.asarray(drawn(pixels, part, 1))
    # Centres are 20, 30 down and 30, 40 across; between them it is the whole map.
    np.testing.assert_array_equal(painted[20:30, 30:40], complete[20:30, 30:40])
    np.testing.assert_array_equal(painted[:15], pixels[:15])


def words_of(monkeypatch, *args, **arguments) -> tuple[Image.Image, list[str]]:
    """Return a drawn map and the texts that were written below it."""
    from PIL import ImageDraw

    written = []
    real = ImageDraw.ImageDraw.text

    def text(self, xy, text, *rest, **options):
        written.append(text)
        return real(self, xy, text, *rest, **options)

    with monkeypatch.context() as patched:
        patched.setattr(ImageDraw.ImageDraw, "text", text)
        return utils.draw_heatmap(*args, **arguments), written


@pytest.mark.parametrize(("height", "width"), [(300, 400), (40, 50), (900, 200)])
def test_a_legend_has_the_largest_value_and_a_bar_of_the_colours(monkeypatch, height, width):
    pixels = photo(height, width)
    heat = a_map([[0.25, 0.62]], (height, width), (height, width // 2), (1, width // 2))
    page, written = words_of(monkeypatch, pixels, heat, 1, categories=["nothing", "Egyptian cat"])
    assert " ".join(written[:-4]) == "Egyptian cat: largest probability 0.62"
    assert sorted(written[-4:]) == ["0", "0.5", "1", "probability"]
    # The picture is the one without a legend, at the top left of a page as wide.
    assert page.height > height and page.width == max(width, page.width)
    alone = drawn(pixels, heat, 1)
    np.testing.assert_array_equal(page.crop((0, 0, width, height)), alone)
    legend = np.asarray(page)[height:]
    # All colours of the bar are there, as they look over a medium grey; what is dark is ink.
    for color in (13, 20, 80), (204, 58, 92), (252, 240, 160):
        mixed = np.float32(color) * 0.6 + 128 * 0.4
        assert (np.abs(legend - mixed).max(axis=2) <= 2).any()
    assert (legend == 255).all(axis=2).mean() > 0.4


def test_the_legend_of_a_class_that_is_nowhere_says_which_is_surest(monkeypatch):
    scores = np.log(np.float32([0.004, 0.98, 0.016]))[:, None, None]
    heat = Map(scores, (50, 60), (1, 1), (50, 60))
    _, written = words_of(monkeypatch, photo(50, 60), heat, 0, categories=["tabby", "Samoyed", "kuvasz"])
    assert " ".join(written) == "tabby: nowhere above 0.01; the surest class is Samoyed (0.98)"
    _, written = words_of(monkeypatch, photo(50, 60), heat, 0)
    assert " ".join(written) == "class 0: nowhere above 0.01; the surest class is class 1 (0.98)"
    even = Map(np.zeros((1000, 1, 1), np.float32), (50, 60), (1, 1), (50, 60))
    _, written = words_of(monkeypatch, photo(50, 60), even, 0)
    assert " ".join(written) == "class 0: nowhere above 0.01, and no class is surer"


def test_ticks_are_the_range_that_was_asked_for(monkeypatch):
    heat = a_map([[0.3]], (50, 60), (50, 60), (1, 1))
    picture = photo(50, 60)
    for value_range, ticks in (((0.2, 0.4), ["0.2", "0.3", "0.4"]), ("max", ["0", "0.15", "0.3"])):
        _, written = words_of(monkeypatch, picture, heat, 1, value_range=value_range)
        assert sorted(written[-3:]) == ticks
    _, written = words_of(monkeypatch, picture, np.float32([[-3, 5]]))
    assert " ".join(written[:-4]) == "largest 5" and sorted(written[-4:]) == ["-3", "1", "5", "value"]


def test_drawing_needs_no_matplotlib_and_importing_no_pillow():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import rvision, numpy as np; utils = rvision.utils\n"
        "assert 'PIL' not in sys.modules\n"
        "utils.draw_heatmap(np.zeros((8, 8, 3), np.uint8), np.eye(2))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
