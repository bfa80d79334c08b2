"""What rvision.plot draws, read from matplotlib's artists."""

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import dense, models, nn, plot
from rvision.errors import ShapeError
from rvision.models.feature_extraction import create_feature_extractor
from rvision.utils import draw_heatmap

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


def test_top_takes_a_number_of_classes_that_makes_sense():
    assert len(plot.top(["a", "b"], np.zeros(2), 9, ax=axes()).patches) == 2
    with pytest.raises(rvision.ArgumentError, match="k must be an integer of at least 1"):
        plot.top(["a", "b"], np.zeros(2), 0, ax=axes())


X = np.random.default_rng(0).standard_normal((3, 64, 96)).astype(np.float32)

ENDS_IN_A_MEAN = ["resnet18", "googlenet", "densenet121", "mobilenet_v2", "shufflenet_v2_x0_5"]
ENDS_IN_A_MEAN += ["efficientnet_b0", "regnet_x_400mf", "mnasnet0_5", "squeezenet1_1"]


@pytest.mark.parametrize("name", ENDS_IN_A_MEAN)
def test_the_mean_of_a_class_activation_map_is_the_logits(name):
    model = models.get_model(name)
    maps = dense.class_activation_map(model, X)
    assert maps.ndim == 3 and maps.shape[1] * maps.shape[2] > 1
    logits = model(X)
    np.testing.assert_allclose(maps.mean((1, 2)), logits, rtol=1e-4, atol=1e-4 * np.abs(logits).max())


def test_a_class_activation_map_is_the_linear_layer_at_each_position():
    model = models.resnet18()
    features = nn.Sequential(*list(model.children())[:-2])(X[None])[0]
    expected = np.einsum("oc,chw->ohw", model.fc.weight, features) + model.fc.bias[:, None, None]
    np.testing.assert_allclose(dense.class_activation_map(model, X), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["alexnet", "mobilenet_v3_small", "convnext_tiny", "vit_b_32"])
def test_networks_that_end_otherwise_have_no_class_activation_map(name):
    x = np.zeros((3, 224, 224), np.float32) if name == "vit_b_32" else X
    with pytest.raises(rvision.UnsupportedError, match="does not end in a mean over positions"):
        dense.class_activation_map(models.get_model(name), x)


def test_a_map_of_one_position_is_told_apart():
    with pytest.raises(rvision.ShapeError, match="a picture of 32 x 32; give a larger one"):
        dense.class_activation_map(models.resnet18(), X[:, :32, :32])
    with pytest.raises(rvision.UnsupportedError, match=r"plot\.cam: .*plot\.occlusion"):
        plot.cam(models.alexnet(), X, ax=axes())


def test_occlusion_covers_each_part_in_turn():
    model = models.squeezenet1_1(num_classes=4)
    found = dense.occlude(model, X, window=(24, 32), stride=(16, 20), batch_size=3)
    # Centres are half a stride from the edge, so that all of the picture is covered.
    assert found.scores.shape == (4, 4, 5) and found.image_size == (64, 96)
    for row in range(4):
        for column in range(5):
            top, left = 8 + row * 16 - 12, 10 + column * 20 - 16
            covered = X.copy()
            covered[:, max(top, 0) : top + 24, max(left, 0) : left + 32] = 0
            assert np.array_equal(found.scores[:, row, column], model(covered))
            assert tuple(found.window(row, column)) == (left, top, left + 32, top + 24)
    with pytest.raises(rvision.ArgumentError, match="at most the prepared picture's 64 x 96"):
        dense.occlude(model, X, window=70)


def test_pictures_need_a_preset():
    model = models.squeezenet1_1()
    picture = Image.new("RGB", (80, 80), "red")
    with pytest.raises(rvision.ArgumentError, match=r"pass transform=weights\.transforms\(\)"):
        dense.occlude(model, picture)
    preset = models.SqueezeNet1_1_Weights.DEFAULT.transforms(crop_size=64, resize_size=64)
    found = dense.occlude(model, picture, transform=preset)
    assert np.array_equal(found.scores, dense.occlude(model, preset(picture)).scores)
    # It is shown as it looked before it was normalised.
    np.testing.assert_allclose(found.picture, preset(picture) * 0 + np.eye(3)[0][:, None, None], atol=1e-5)
    with pytest.raises(rvision.ArgumentError, match="occlude"):
        dense.occlude(model, preset(picture), transform=preset)
    with pytest.raises(rvision.ArgumentError, match="got int64 of shape"):
        dense.occlude(model, np.zeros((3, 64, 64), np.int64))


def bar_of(ax):
    return next(other for other in ax.get_figure().axes if other is not ax)


def test_heat_maps_cover_their_pictures():
    model = models.squeezenet1_1(num_classes=4)
    map = dense.predict(model, X, stride=16, input_size=64, pad="reflect")
    ax = plot.heatmap(map, 2, ax=axes())
    drawn = np.asarray(ax.images[0].get_array())
    picture = (X - X.min()) / (X.max() - X.min())
    expected = draw_heatmap(picture, map, 2, value_range=(0, 1), legend=False)
    assert np.array_equal(drawn, np.asarray(expected)) and drawn.shape == (64, 96, 3)
    assert ax.get_title().startswith("class 2: at most 0.")
    assert bar_of(ax).get_ylabel() == "probability" and bar_of(ax).get_ylim() == (0, 1)
    with pytest.raises(rvision.ArgumentError, match="pass picture="):
        plot.heatmap(dense.Map(map.scores, map.window_size, map.stride, map.image_size), ax=axes())


def test_class_activation_maps_and_occlusion_are_drawn():
    model = models.resnet18(num_classes=4)
    maps = dense.class_activation_map(model, X)
    ax = plot.cam(model, X, 3, ax=axes())
    assert ax.get_title() == f"class 3: score {float(model(X)[3]):.2f}, the mean of the map"
    assert bar_of(ax).get_ylim() == pytest.approx((maps[3].min(), maps[3].max()))
    best = int(model(X).argmax())
    ax = plot.occlusion(model, X, window=32, stride=32, ax=axes())
    probability = float(model(X).softmax(0)[best])
    assert ax.get_title().startswith(f"class {best}: {probability:.2f} uncovered")
    assert bar_of(ax).get_ylabel() == "probability when covered"


def test_activations_are_a_grid_of_maps():
    model = models.resnet18()
    ax = plot.activations(model, X, "layer2", channels=7, ax=axes())
    value = create_feature_extractor(model, ["layer2"])(X[None])["layer2"][0]
    drawn = np.ma.filled(ax.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(drawn[:8, :12], value[0])
    np.testing.assert_array_equal(drawn[:8, 13:25], value[1])
    assert ax.get_title() == "layer2: 7 of 128 maps of 8 x 12"
    with pytest.raises(rvision.ShapeError, match="'fc' is"):
        plot.activations(model, X, "fc", ax=axes())
    with pytest.raises(rvision.ArgumentError, match="layer22"):
        plot.activations(model, X, "layer22", ax=axes())


def test_the_family_tree_is_by_year():
    from rvision.plot._tree import FAMILY

    assert all(
        FAMILY[parent].year <= relative.year for relative in FAMILY.values() for parent in relative.parents
    )
    places = [(relative.year, relative.row) for relative in FAMILY.values()]
    assert len(set(places)) == len(places), "no two in one place"
    ax = plot.family_tree(highlight=["ResNet"], ax=axes())
    assert {text.get_text().partition("\n")[0] for text in ax.texts if text.get_text()} == set(FAMILY)
    with pytest.raises(ValueError, match="ResNets"):
        plot.family_tree(highlight=["ResNets"], ax=axes())
