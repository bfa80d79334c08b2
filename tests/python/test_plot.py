"""What rvision.plot draws, read from matplotlib's artists."""

import numpy as np
import pytest
from rvision import plot
from rvision.errors import ShapeError

figure = pytest.importorskip("matplotlib.figure")


def axes():
    return figure.Figure().subplots()


def test_filters_lie_in_a_grid_on_one_scale():
    weight = np.arange(5 * 3 * 2 * 2, dtype=np.float32).reshape(5, 3, 2, 2)
    ax = plot.filters(weight, ax=axes())
    drawn = np.asarray(ax.images[0].get_array())
    assert drawn.shape == (5, 8, 3)
    np.testing.assert_allclose(drawn[3:5, 3:5], weight[4].transpose(1, 2, 0) / 59, rtol=1e-6)
    assert ax.get_title() == "5 filters of 3 x 2 x 2"
    with pytest.raises(ShapeError, match="filters, channels"):
        plot.filters(weight[0], ax=axes())


def test_top_draws_the_softmax():
    ax = plot.top(["a", "b", "c"], np.log([[0.2, 0.7, 0.1]]), 2, ax=axes())
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], [0.7, 0.2])
    assert [t.get_text() for t in ax.get_yticklabels()] == ["b", "a"]
    with pytest.raises(ShapeError, match="3 logits"):
        plot.top(["a", "b", "c"], np.zeros(4), ax=axes())
