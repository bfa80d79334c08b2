"""What a `dense.Map` shows of itself: its best windows, as text and as a heat map."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from rvision import dense, models, nn
from rvision.errors import ArgumentError
from rvision.utils import draw_heatmap
from rvision.weights import LeNet5_Weights

PICTURE = Image.fromarray(np.arange(40 * 60 * 3, dtype=np.uint32).reshape(40, 60, 3).astype(np.uint8))


def a_map(**settings) -> dense.Map:
    """Three classes in 2 x 3 windows of 20 pixels at every 16; class 2 is best in the window (1, 2)."""
    scores = np.zeros((3, 2, 3), np.float32)
    scores[2, 1, 2] = np.log(8)
    scores[0, 0, 1] = np.log(2)
    values = {"categories": ["cat", "dog", "<bird>"], "picture": PICTURE, **settings}
    return dense.Map(scores, (20, 20), (16, 16), (40, 60), **values)


def test_repr_says_what_it_is_and_the_best_window():
    assert repr(a_map()) == (
        "Map(3 classes, 2 x 3 windows of 20 x 20 every 16 px of a 60 x 40 picture; "
        "best: <bird> 0.80 at (32, 16, 52, 36))"
    )
    assert "best: class 2 0.80" in repr(a_map(categories=None))
    assert "picture scaled by 0.5;" in repr(a_map(scale=(0.5, 0.5)))


def test_best_has_a_row_for_each_class_with_its_best_window():
    rows = a_map().best()
    assert [row[:2] for row in rows] == [("<bird>", 2), ("cat", 0), ("dog", 1)]
    # The softmax of (0, 0, log 8), (log 2, 0, 0) and (0, 0, 0).
    assert [row.probability for row in rows] == pytest.approx([0.8, 0.5, 1 / 3])
    assert rows[1].box == dense.Box(16, 0, 36, 20)
    assert len(a_map().best(2)) == 2
    with pytest.raises(ArgumentError, match=r"Map\.best: k"):
        a_map().best(0)


def test_best_is_the_largest_of_probabilities():
    scores = np.random.default_rng(3).normal(size=(7, 5, 4)).astype(np.float32) * 3
    map = dense.Map(scores, (8, 8), (4, 4), (24, 20))
    likely = np.exp(scores.astype(np.float64))
    likely /= likely.sum(axis=0)
    for row in map.best(7):
        place = np.unravel_index(likely[row.index].argmax(), (5, 4))
        assert row.box == map.window(*place)
        assert row.probability == pytest.approx(likely[row.index].max(), rel=1e-5)


def test_show_is_the_heat_map_of_a_class():
    map, names = a_map(), ["cat", "dog", "<bird>"]
    for label, index in ((1, 1), ("cat", 0), (None, 2)):
        want = draw_heatmap(PICTURE, map, index, categories=names)
        np.testing.assert_array_equal(np.asarray(map.show(label)), np.asarray(want))
    with pytest.raises(ArgumentError, match=r"no class 'bird'; did you mean <bird>\?"):
        map.show("bird")
    with pytest.raises(ArgumentError, match="at most 2, got 3"):
        map.show(3)
    with pytest.raises(ArgumentError, match="draw_heatmap"):
        a_map(picture=None).show(0)
    with pytest.raises(ArgumentError, match="no names"):
        a_map(categories=None).show("cat")


def test_html_has_the_heat_map_with_a_text():
    html = a_map()._repr_html_()
    assert html.count('<img src="data:image/png;base64,') == 1
    assert 'alt="Heat map of &lt;bird&gt;: probability 0.80 in its best window"' in html
    assert "<bird>" not in html
    assert "<img" not in a_map(picture=None)._repr_html_()


def test_predict_keeps_the_picture_and_the_weights_classes():
    model = models.lenet5(weights="DEFAULT")
    page = Image.new("L", (40, 36))
    map = dense.predict(model, page, 4, transform=LeNet5_Weights.DEFAULT.transforms())
    assert map.picture is page
    assert map.best(1)[0].category in "0123456789"
    assert "<img" in map._repr_html_()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_prepared_arrays_are_shown_stretched(channels):
    model = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(channels, 2))
    array = np.random.default_rng(1).normal(size=(channels, 12, 10)).astype(np.float32)
    map = dense.predict(model, array, 2, input_size=(channels, 8, 8))
    assert "a 10 x 12 picture" in repr(map)
    assert map.show(1).width >= 10
    assert "<img" in map._repr_html_()
