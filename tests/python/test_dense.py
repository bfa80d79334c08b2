"""Classifiers as dense predictors, compared with loops over crops, shifted pictures and torch."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import rvision
from models_cases import CASES
from models_drawn import pictures
from rvision import dense, models, nn, transforms
from rvision.errors import ArgumentError, ShapeError, UnsupportedError
from test_models_logits import TOLERANCE, distance, drawn

# Each family that has a dense form, at its own window; the smallest that has all of its kinds of layers.
CONVERTED = {
    "lenet5": 28,
    "alexnet": 224,
    "vgg11": 224,
    "squeezenet1_0": 224,
    "squeezenet1_1": 224,
    "nin_imagenet": 224,
    "nin_cifar10": 32,
    "overfeat_fast": 231,
    "googlenet": 224,
    "inception_v3": 299,
    "resnet18": 224,
    "resnet50": 224,
    "resnext50_32x4d": 224,
    "wide_resnet50_2": 224,
    "densenet121": 224,
    "mobilenet_v2": 224,
    "efficientnet_lite0": 224,
    "shufflenet_v2_x0_5": 224,
    "mnasnet0_5": 224,
    "regnet_x_400mf": 224,
    "convnext_tiny": 224,
    "bn_inception": 224,
    "zfnet": 224,
    "densenet_bc_100_12": 32,
}
SQUEEZED = ("mobilenet_v3_small", "efficientnet_b0", "regnet_y_400mf")
ATTENTION = ("vit_b_32", "swin_t", "maxvit_t")


def channels(name: str) -> int:
    return 1 if name == "lenet5" else 3


def close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    scale = np.abs(expected).max()
    assert np.abs(found.astype(np.float64) - expected).max() <= 1e-5 * scale


# ---- what a network becomes ----


@pytest.mark.parametrize("name", CONVERTED)
def test_for_one_window_the_map_is_the_classifiers_output(name):
    model, _, _ = drawn(name)
    side = CONVERTED[name]
    fully = rvision.convolutionize(model)
    x = pictures((2, channels(name), side, side), "window")
    assert fully.window_size == (side, side)
    close(fully(x)[:, :, 0, 0], model(x))
    assert fully(x).shape[2:] == (1, 1)
    assert fully(x[0]).shape == (fully(x).shape[1], 1, 1)


@pytest.mark.parametrize("name", CONVERTED)
def test_the_map_of_a_larger_picture_is_torchs(torch, name):
    if name == "efficientnet_lite0":
        pytest.skip("TensorFlow's padding follows the picture in timm, and is the window's here")
    from dense_torch import convolutional
    from models_torch import reference

    model, values, _ = drawn(name)
    theirs = reference(CASES[name])
    state = theirs.state_dict()
    state.update((key, torch.from_numpy(np.array(value))) for key, value in values.items())
    theirs.load_state_dict(state)
    side = CONVERTED[name]
    fully = rvision.convolutionize(model)
    step = fully.stride[0]
    x = pictures((1, channels(name), side + step + 5, side + 2 * step - 1), "larger")
    expected = convolutional(theirs.eval(), x, (side, side))
    assert min(expected.shape[2:]) >= 2
    assert distance(fully(x), expected) <= TOLERANCE


def test_parameters_and_their_packed_forms_are_shared():
    model = models.alexnet()
    x = pictures((1, 3, 224, 224))
    model(x)
    forms = {name: value._handle.forms() for name, value in model.named_parameters()}
    fully = rvision.convolutionize(model)
    fully(x)
    assert {name: value._handle.forms() for name, value in model.named_parameters()} == forms
    assert fully.model is model


def test_changes_of_the_classifier_are_seen():
    model = models.lenet5()
    fully = rvision.convolutionize(model)
    x = pictures((1, 1, 36, 40))
    before = fully(x)
    model.classifier[4].bias = model.classifier[4].bias + 1
    close(fully(x), before + 1)
    model.classifier[4] = nn.Linear(84, 3)
    assert fully(x).shape == (1, 3, 3, 4)


def test_a_copy_and_a_pickle_run_by_themselves():
    fully = rvision.convolutionize(models.lenet5(), stride=2)
    x = pictures((1, 1, 40, 36))
    expected = fully(x)
    for twin in (copy.deepcopy(fully), pickle.loads(pickle.dumps(fully))):
        np.testing.assert_array_equal(twin(x), expected)
        assert twin.stride == (2, 2)


def test_it_is_a_module_that_others_are_made_of():
    fully = rvision.convolutionize(models.lenet5())
    x = pictures((1, 1, 36, 40))
    likely = nn.Sequential(fully, nn.Softmax(1))(x)
    np.testing.assert_allclose(likely.sum(1), 1, rtol=1e-6)
    assert repr(fully).startswith(
        "Convolutionized(\n  window_size=(28, 28), stride=(4, 4)\n  (model): LeNet5("
    )


def test_squeezed_networks_say_why_and_what_to_do():
    for name in SQUEEZED:
        model, _, _ = drawn(name)
        with pytest.raises(UnsupportedError, match=r"squeeze and excitation.*per_window.*squeeze='global'"):
            rvision.convolutionize(model)
        shared = rvision.convolutionize(model, squeeze="global")
        x = pictures((1, 3, 224, 224))
        close(shared(x)[:, :, 0, 0], model(x))
        assert shared(pictures((1, 3, 256, 300))).shape[2] == 2


def test_networks_with_attention_are_refused():
    for name in ATTENTION:
        with pytest.raises(UnsupportedError, match=r"padding='per_window'"):
            rvision.convolutionize(models.get_model(name))


# The pool sees its own size; areas of 2 x 2; areas that differ in size; fewer pixels than areas.
@pytest.mark.parametrize("side", [224, 448, 300, 96])
def test_vggs_adaptive_pool_at_any_window(side):
    model, _, _ = drawn("vgg11")
    fully = rvision.convolutionize(model, side)
    assert fully.stride == (32, 32)
    x = pictures((1, 3, side, side))
    close(fully(x)[:, :, 0, 0], model(x))
    assert fully(pictures((1, 3, side + 32, side + 64))).shape[2:] == (2, 3)


def old_style() -> nn.Module:
    """Return a classifier in the style of 2017, which reads sizes."""

    class Old(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, stride=2)
            self.fc = nn.Linear(8 * 7 * 7, 5)

        def forward(self, x):
            x = self.conv(x).relu()
            n, c, h, w = x.size()
            x = x.reshape(n, 2, c // 2, h, w).permute(0, 2, 1, 3, 4).reshape(n, c, h, w)
            return self.fc(x.reshape(x.size(0), -1))

    return Old()


def test_a_forward_that_reads_sizes_is_read_for_its_window():
    model = old_style()
    fully = rvision.convolutionize(model, (3, 15, 15))
    x = pictures((1, 3, 19, 21))
    found = fully(x)
    assert found.shape == (1, 5, 3, 4)
    for i in range(3):
        for j in range(4):
            close(found[:, :, i, j], model(x[:, :, 2 * i : 2 * i + 15, 2 * j : 2 * j + 15]))


def test_a_network_of_ones_own_says_its_channels_by_its_first_convolution():
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 3))
    x = pictures((1, 2, 10, 9))[0]
    found = dense.predict(model, x, input_size=8)
    assert found.shape == (3, 2)
    close(found.scores, crops(model, x, 8, 1))


# ---- lists of layers ----


def test_a_list_of_layers_keeps_its_length_and_its_indices():
    alexnet = models.alexnet()
    layers = [*alexnet.features, *alexnet.classifier]
    converted = rvision.convolutionize(layers, (3, 224, 224))
    assert len(converted) == len(layers)
    lines = [repr(layer) for layer in converted]
    assert lines[13:] == [
        "Dropout(p=0.5, inplace=False)",
        "Conv2d(256, 4096, kernel_size=(6, 6), stride=(1, 1))",
        "ReLU(inplace=True)",
        "Dropout(p=0.5, inplace=False)",
        "Conv2d(4096, 4096, kernel_size=(1, 1), stride=(1, 1))",
        "ReLU(inplace=True)",
        "Conv2d(4096, 1000, kernel_size=(1, 1), stride=(1, 1))",
    ]
    assert all(new is old for new, old in zip(converted[:14], layers[:14], strict=True))
    network = nn.Sequential(*converted)
    x = pictures((1, 3, 224, 224))
    close(network(x)[:, :, 0, 0], alexnet(x))
    assert network(pictures((1, 3, 451, 451))).shape == (1, 1000, 8, 8)
    # The weights have not been copied.
    handles = network[14].weight._handle, alexnet.classifier[1].weight._handle
    assert np.shares_memory(*(np.asarray(handle.values()) for handle in handles))


def test_a_list_with_pools_that_adapt():
    vgg = models.vgg11()
    layers = [*vgg.features, vgg.avgpool, nn.Flatten(), *vgg.classifier]
    network = nn.Sequential(*rvision.convolutionize(layers, 224))
    assert isinstance(network[21], nn.Identity)
    assert isinstance(network[22], nn.Identity)
    # At twice the size the pool's stride becomes a dilation.
    large = rvision.convolutionize(layers, 448)
    assert repr(large[21]) == "AvgPool2d(kernel_size=(2, 2), stride=1, padding=0)"
    assert "dilation=(2, 2)" in repr(large[23])
    x = pictures((1, 3, 448, 448))
    close(nn.Sequential(*large)(x)[:, :, 0, 0], vgg(x))
    with pytest.raises(UnsupportedError, match="a pool from 9 x 9 to 7 x 7 has areas of different sizes"):
        rvision.convolutionize(layers, 300)

    pooled = [nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)]
    converted = rvision.convolutionize(pooled, 12)
    assert repr(converted[1]) == "AvgPool2d(kernel_size=(10, 10), stride=1, padding=0)"


def test_a_list_that_does_not_fit_says_where():
    layers = [nn.Conv2d(3, 4, 3), nn.Linear(10, 2)]
    with pytest.raises(ShapeError, match=r"layer 1 \(Linear\): its weight expects 10 features.*4 x 6 x 6"):
        rvision.convolutionize(layers, 8)
    with pytest.raises(ArgumentError, match="needs input_size"):
        rvision.convolutionize(layers)
    with pytest.raises(ArgumentError, match="need a classifier"):
        rvision.convolutionize(layers, 8, stride=1)


# ---- what a cell means ----


@pytest.mark.parametrize(
    ("name", "size", "start"),
    [("alexnet", 355, -66), ("resnet50", 619, -213), ("vgg16", 404, -90), ("mcdnn_mnist", 29, 0)],
)
def test_receptive_fields(name, size, start):
    field = dense.receptive_field(models.get_model(name))
    assert field.size == (size, size)
    assert field.start == (start, start)
    assert dense.receptive_field(rvision.convolutionize(models.lenet5())).stride == (4, 4)


def test_a_cell_depends_on_its_receptive_field_and_on_nothing_else():
    model, _, _ = drawn("nin_cifar10")
    fully = rvision.convolutionize(model, stride=2)
    field = dense.receptive_field(fully)
    x = pictures((1, 3, 96, 96))
    before = fully(x)[0, :, 14, 15]
    top, left = (field.start[axis] + place * 2 for axis, place in enumerate((14, 15)))
    bottom, right = top + field.size[0], left + field.size[1]
    assert top > 0
    assert bottom < 96
    outside = x.copy()
    outside[:, :, top:bottom, left:right] = np.nan
    kept = np.where(np.isnan(outside), x, 9)
    close(fully(kept)[0, :, 14, 15], before)
    for y, z in ((top, left), (bottom - 1, right - 1)):
        inside = x.copy()
        inside[:, :, y, z] = 1e6
        assert (fully(inside)[0, :, 14, 15] != before).any()


def test_windows_of_a_map():
    model = models.alexnet()
    found = dense.predict(model, pictures((1, 3, 451, 483))[0])
    assert found.scores.shape == (1000, 8, 9)
    assert found.window(0, 0) == (0, 0, 224, 224)
    assert found.window(2, -1) == (256, 64, 480, 288)
    np.testing.assert_array_equal(found.windows()[2, 8], found.window(2, 8))
    np.testing.assert_allclose(found.probabilities().sum(0), 1, rtol=1e-5)
    with pytest.raises(IndexError):
        found.window(8, 0)


def test_cells_that_reach_over_the_edge_are_left_out():
    model, _, _ = drawn("resnet18")
    x = pictures((1, 3, 225, 257))[0]
    assert rvision.convolutionize(model)(x).shape == (1000, 2, 3)
    assert dense.predict(model, x).shape == (1, 2)


# ---- padding ----


def unpadded() -> nn.Module:
    model, _, _ = drawn("alexnet")
    for layer in model.features:
        if isinstance(layer, nn.Conv2d):
            layer.padding = (0, 0)
    return model


def crops(model: nn.Module, x: np.ndarray, window: int, stride: int) -> np.ndarray:
    rows, columns = ((side - window) // stride + 1 for side in x.shape[1:])
    out = [
        model(np.ascontiguousarray(x[:, i * stride : i * stride + window, j * stride : j * stride + window]))
        for i in range(rows)
        for j in range(columns)
    ]
    return np.stack(out, axis=1).reshape(-1, rows, columns)


@pytest.mark.parametrize("stride", [32, 16, 8, 5, 3])
def test_without_padding_each_cell_is_its_crops_output(stride):
    model = unpadded()
    x = pictures((1, 3, 261, 257))[0]
    found = dense.predict(model, x, stride, input_size=237)
    assert found.shape == (24 // stride + 1, 20 // stride + 1)
    close(found.scores, crops(model, x, 237, stride))


def test_stride_one_without_padding():
    model, _, _ = drawn("mcdnn_mnist")
    x = pictures((1, 7, 34, 36))[0]
    # Its columns pad nothing, and its output is a mean of probabilities.
    close(dense.predict(model, x, 1).scores, crops(model, x, 29, 1))


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "vit_b_32"])
def test_per_window_each_cell_is_its_crops_output(name):
    model, _, _ = drawn(name)
    x = pictures((1, 3, 224 + 64, 224 + 40))[0]
    found = dense.predict(model, x, 32, padding="per_window")
    assert found.shape == (3, 2)
    expected = crops(model, x, 224, 32)
    assert distance(found.scores, expected) <= 1e-6
    if name in ("squeezenet1_1", "mobilenet_v2"):
        # Which is another thing where windows share their maps.
        assert distance(dense.predict(model, x, 32).scores, expected) > 1e-3


# ---- strides ----

# Network, window, and a picture with cells whose receptive field lies inside.
SHIFTED = [
    ("lenet5", 28, 60),
    ("nin_cifar10", 32, 90),
    ("resnext29_8x64d", 32, 120),
    ("squeezenet1_1", 64, 320),
    ("googlenet", 64, 560),
    ("mobilenet_v2", 32, 640),
    ("resnet18", 32, 570),
]


@pytest.mark.parametrize(("name", "window", "side"), SHIFTED)
@pytest.mark.parametrize("divisor", [2, 4])
def test_a_finer_stride_interleaves_shifted_pictures(name, window, side, divisor):
    model, _, _ = drawn(name)
    native = rvision.convolutionize(model, window)
    (step, _), field = native.stride, dense.receptive_field(native)
    stride = step // divisor
    x = pictures((1, channels(name), side, side + 3), "shifted")
    found = rvision.convolutionize(model, window, stride=stride)(x)
    compared = 0
    scale = np.abs(found).max()
    for y in range(0, step, stride):
        shifted = native(np.ascontiguousarray(x[:, :, y:, (step - y) % step :]))
        for i in range(shifted.shape[2]):
            for j in range(shifted.shape[3]):
                top, left = field.start[0] + i * step, field.start[1] + j * step
                bottom, right = top + field.size[0] + y, left + field.size[1] + (step - y) % step
                if top < 0 or left < 0 or bottom > side or right > side + 3:
                    continue
                row, column = (i * step + y) // stride, (j * step + (step - y) % step) // stride
                difference = np.abs(found[0, :, row, column] - shifted[0, :, i, j]).max()
                assert difference <= 1e-5 * scale
                compared += 1
    assert compared >= divisor


@pytest.mark.parametrize(("name", "window", "side"), SHIFTED)
def test_cells_on_the_networks_own_grid_are_its_own_also_at_the_border(name, window, side):
    model, _, _ = drawn(name)
    native = rvision.convolutionize(model, window)
    step = native.stride[0]
    x = pictures((1, channels(name), min(side, window + 3 * step + 1), window + 2 * step), "border")
    own = native(x)
    finer = rvision.convolutionize(model, window, stride=step // 2)(x)[:, :, ::2, ::2]
    # Behind them may be windows that reach over the picture's edge.
    rows, columns = ((size - window) // step + 1 for size in x.shape[2:])
    close(finer[:, :, :rows, :columns], own[:, :, :rows, :columns])


def test_a_coarser_stride_takes_every_other_cell():
    model, _, _ = drawn("squeezenet1_1")
    x = pictures((1, 3, 300, 350))[0]
    every = dense.predict(model, x, 16).scores
    close(dense.predict(model, x, 32).scores, every[:, ::2, ::2])
    close(dense.predict(model, x, (16, 48)).scores, every[:, :, ::3])


# ---- scales and views ----


def photograph(height: int, width: int) -> np.ndarray:
    x = pictures((1, 3, height, width), "photograph")[0]
    return np.ascontiguousarray((np.clip(x * 0.25 + 0.5, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))


def test_scales_have_their_own_geometry():
    model, _, _ = drawn("squeezenet1_1")
    preset = models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    picture = photograph(300, 400)
    maps = dense.predict(model, picture, scales=[1.0, 1.5, (240, 330)], transform=preset)
    assert [found.shape for found in maps] == [(5, 12), (15, 24), (2, 7)]
    assert maps[1].window(0, 0) == pytest.approx((0, 0, 224 / 1.5, 224 / 1.5))
    assert maps[2].scale == (240 / 300, 330 / 400)
    alone = dense.predict(model, picture, transform=preset)
    np.testing.assert_array_equal(alone.scores, maps[0].scores)
    prepared = preset.normalized(picture)
    np.testing.assert_array_equal(dense.predict(model, prepared).scores, alone.scores)
    six = dense.predict(models.overfeat_accurate(), picture, scales="overfeat", transform=preset)
    assert [found.shape for found in six] == [(1, 1), (2, 3), (3, 5), (5, 7), (6, 8), (7, 10)]


def test_ten_crops():
    model, _, _ = drawn("resnet18")
    x = pictures((1, 3, 256, 256))[0]
    exact = dense.ten_crop(model, x, padding="per_window", average="logits")
    views = np.stack(transforms.functional.ten_crop(x, 224))
    assert distance(exact, model(views).mean(0)) <= 1e-6
    shared = dense.ten_crop(model, x, average="logits")
    corners = dense.predict(model, x).scores[:, [0, 0, -1, -1], [0, -1, 0, -1]].sum(1)
    mirrored = dense.predict(model, np.ascontiguousarray(x[:, :, ::-1])).scores
    centres = [model(crop[:, 16:240, 16:240]) for crop in (x, x[:, :, ::-1])]
    close(shared, (corners + mirrored[:, [0, 0, -1, -1], [0, -1, 0, -1]].sum(1) + sum(centres)) / 10)
    five = dense.five_crop(model, x, padding="per_window", average="logits")
    assert distance(five, model(np.stack(transforms.functional.five_crop(x, 224))).mean(0)) <= 1e-6
    upside = dense.ten_crop(model, x, padding="per_window", average="logits", vertical_flip=True)
    views = np.stack(transforms.functional.ten_crop(x, 224, vertical_flip=True))
    assert distance(upside, model(views).mean(0)) <= 1e-6


def test_averages_are_called_by_name():
    logits = np.float32([[0, 1, 2], [4, 0, 0]])
    likely = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(dense.average(logits), likely.mean(0), rtol=1e-6)
    np.testing.assert_allclose(dense.average(logits, "logits"), logits.mean(0), rtol=1e-6)
    logarithms = dense.average(logits, "logprobs")
    np.testing.assert_allclose(np.exp(logarithms).sum(), 1, rtol=1e-6)
    geometric = np.sqrt(likely[0] * likely[1])
    np.testing.assert_allclose(np.exp(logarithms), geometric / geometric.sum(), rtol=1e-5)
    with pytest.raises(ArgumentError, match="one of probs, logprobs, logits, got 'mean'"):
        dense.average(logits, "mean")


def test_random_crops_and_scales():
    model, _, _ = drawn("squeezenet1_1")
    x = pictures((1, 3, 260, 250))[0]
    first = dense.random_crops(model, x, 6, generator=np.random.default_rng(1))
    np.testing.assert_array_equal(first, dense.random_crops(model, x, 6, generator=np.random.default_rng(1)))
    np.testing.assert_allclose(first.sum(), 1, rtol=1e-5)
    preset = models.SqueezeNet1_1_Weights.DEFAULT.transforms()
    picture = photograph(260, 250)
    mirrored = np.ascontiguousarray(picture[:, ::-1])
    expected = []
    for each in (picture, mirrored):
        for found in dense.predict(model, each, scales=[1.0, 1.2], transform=preset):
            expected.append(found.probabilities().mean(axis=(1, 2)))
    found = dense.multi_scale(model, picture, [1.0, 1.2], transform=preset)
    np.testing.assert_allclose(found, np.mean(expected, axis=0), rtol=1e-4, atol=1e-7)


# ---- errors ----


def test_errors_say_what_to_do():
    model = models.lenet5()
    small = np.zeros((1, 20, 40), np.float32)
    with pytest.raises(ArgumentError, match=r"20 x 40 pixels is smaller than .* 28 x 28; resize it"):
        dense.predict(model, small)
    with pytest.raises(ArgumentError, match="a picture needs transform="):
        dense.predict(model, np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(ArgumentError, match=r"keep the picture's size and .*, got \(3, 28, 28\)"):
        resize = transforms.ImageClassification(crop_size=28, resize_size=28)
        dense.predict(model, np.zeros((50, 60, 3), np.uint8), transform=lambda picture: resize(picture))
    with pytest.raises(ArgumentError, match="padding: expected 'shared' or 'per_window', got 'zero'"):
        dense.predict(model, small, padding="zero")
    with pytest.raises(ArgumentError, match="stride: expected pixels from 1"):
        dense.predict(model, np.zeros((1, 40, 40), np.float32), 0)
    with pytest.raises(ArgumentError, match="squeeze: expected None or 'global'"):
        rvision.convolutionize(model, squeeze="local")
    with pytest.raises(ArgumentError, match="does not say which size"):
        rvision.convolutionize(nn.Sequential(nn.Conv2d(3, 2, 3)))
    with pytest.raises(UnsupportedError, match="no vector of classes"):
        rvision.convolutionize(models.resnet18().layer1, (64, 56, 56))
    with pytest.raises(ArgumentError, match="stride: this network has none of its own"):
        dense.predict(models.vit_b_32(), np.zeros((3, 256, 256), np.float32), padding="per_window")


# ---- real weights ----


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v2"])
def test_real_weights_against_torch(torch, real_data, name):
    import torchvision
    from dense_torch import convolutional
    from PIL import Image

    file = real_data / f"{name}.pth"
    theirs = torchvision.models.get_model(name)
    theirs.load_state_dict(torch.load(file, weights_only=True))
    model = models.get_model(name, weights=file)
    preset = models.MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
    with Image.open(real_data / "dog.jpg") as picture:
        x = preset.normalized(picture.convert("RGB").resize((401, 335)))
    expected = convolutional(theirs.eval(), x[None], (224, 224))[0]
    found = rvision.convolutionize(model)(x)
    assert distance(found, expected) <= TOLERANCE
