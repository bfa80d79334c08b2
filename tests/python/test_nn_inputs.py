"""The inputs that a network accepts, and its errors for others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import nn
from rvision.models import VisionTransformer
from rvision.nn import functional as F
from rvision.nn.parameter import Drawn


def net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
    )


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, np.float32)


def test_pictures_with_and_without_a_batch_dimension():
    model, batch = net(), picture(2, 3, 8, 7)
    both = model(batch)
    assert both.shape == (2, 5) and both.dtype == np.float32
    one = model(batch[1])
    assert one.shape == (5,)
    assert np.array_equal(one, both[1])


def test_without_layers_for_pictures_three_dimensions_are_a_batch():
    x = picture(2, 6, 4)
    assert nn.Linear(4, 5)(x).shape == (2, 6, 5)
    assert np.array_equal(nn.ReLU()(x - 0.5), np.maximum(x - 0.5, 0))


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_floats_are_cast(dtype):
    model, x = net(), picture(1, 3, 8, 8)
    converted = x.astype(dtype)
    assert np.array_equal(model(converted), model(converted.astype(np.float32)))


def test_memory_order_does_not_matter():
    model, x = net(), picture(2, 3, 8, 8)
    expected = model(x)
    assert np.array_equal(model(np.asfortranarray(x)), expected)
    assert np.array_equal(model(x[:, :, ::-1][:, :, ::-1]), expected)
    hwc = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    assert np.array_equal(model(np.moveaxis(hwc, -1, 1)), expected)
    frozen = x.copy()
    frozen.setflags(write=False)
    assert np.array_equal(model(frozen), expected)
    assert np.array_equal(model(x.tolist()), expected)


def test_inputs_are_left_alone_and_outputs_are_ones_own():
    model, x = nn.Sequential(nn.ReLU(inplace=True)), picture(1, 3, 4, 4) - 0.5
    kept = x.copy()
    y = model(x)
    assert np.array_equal(x, kept)
    y[...] = 3
    assert np.array_equal(model(x), np.maximum(x, 0))


class Lender:
    """An object that supports DLPack and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **kwargs):
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack():
    model, x = net(), picture(1, 3, 8, 8)
    assert np.array_equal(model(Lender(x)), model(x))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_integers_point_at_to_tensor(dtype):
    with pytest.raises(
        TypeError, match=rf"Sequential: expected floats, got an array of {np.dtype(dtype)}; use .*ToTensor"
    ):
        net()(np.zeros((1, 3, 8, 8), dtype))
    with pytest.raises(TypeError, match="ToTensor"):
        F.relu(np.zeros(3, dtype))


def test_a_list_of_integers_is_an_argument_and_no_array():
    class Net(nn.Module):
        def forward(self, x, sizes, more=None):
            return x.reshape(sizes), more

    x = picture(1, 3, 8, 8)
    for sizes in ([2, 96], [3, 64], [2, 96]):
        found, more = Net()(x, sizes, more=[1])
        assert np.array_equal(found, x.reshape(sizes)) and more == [1]
    with pytest.raises(TypeError, match=r"expected floats, got an array of int64; use .*ToTensor"):
        net()([1, 2, 3])


@pytest.mark.parametrize("value", [np.zeros((1, 3, 8, 8), complex), np.array([{}]), "cat.jpg", None, 3])
def test_what_is_no_array_of_floats(value):
    with pytest.raises((TypeError, AttributeError)):
        net()(value)
    with pytest.raises(TypeError, match="expected an array of floats"):
        F.relu(value)


def test_pil_pictures_point_at_the_transforms():
    with pytest.raises(TypeError, match=r"got a PIL picture; use rvision\.transforms"):
        net()(Image.new("RGB", (8, 8)))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("cat.jpg", r"got the text 'cat\.jpg'; open the picture with PIL\.Image\.open and prepare it"),
        (Path("cat.jpg"), r"got the path 'cat\.jpg'; open the picture"),
        (b"\xff\xd8", r"got 2 bytes; open the picture with PIL\.Image\.open\(io\.BytesIO"),
        (None, "got None; the function that should have made the input may lack a return"),
        (3, "got the int 3"),
        ({"pixel_values": picture(1, 3, 8, 8)}, "got a dict with the keys 'pixel_values'; pass the array"),
        ([picture(3, 8, 8)] * 2, r"a list of 2 arrays of shape \(3, 8, 8\); np\.stack\(pictures\) makes one"),
        ((picture(1, 3, 8, 8),) * 2, r"a tuple of 2 arrays of shape .*; np\.concatenate\(pictures\) makes"),
        (
            [picture(3, 8, 8), picture(3, 9, 8)],
            r"of different shapes \(\(3, 8, 8\), \(3, 9, 8\)\); bring the",
        ),
        ([Image.new("RGB", (8, 8))], r"a list of 1 PIL pictures; np\.stack\(\[transforms\(picture\) for"),
        (["a.jpg", "b.jpg"], "a list of 2 texts or paths; open the pictures"),
        ([None, picture(3, 8, 8)], "a list of NoneType, ndarray; one array of floats is needed"),
        ([[0.5, 0.5], [0.5]], "this list cannot be made one: .*inhomogeneous"),
        (np.float32, "got a type"),
    ],
)
@pytest.mark.parametrize("network", [net, lambda: nn.Sequential(nn.Sequential(ReadsItsShape()))])
def test_what_is_meant_by_what_is_no_array(network, value, said):
    with pytest.raises((TypeError, ValueError), match=f"^Sequential: expected an array of floats, .*{said}"):
        network()(value)


class ReadsItsShape(VisionTransformer):
    """One of rvision's networks whose first step is not a layer."""

    def __init__(self):
        super().__init__(8, 4, 1, 1, 8, 8, num_classes=2)


class TakesAWord(nn.Module):
    """A user's network may take any input, and its errors are its own."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, what, x=None):
        if what == "twice":
            return self.fc(self.fc(x))
        return self.fc(what)


def test_networks_of_the_users_own_take_what_they_like():
    model, x = TakesAWord(), picture(1, 2)
    assert np.array_equal(model("twice", x), model.fc(model.fc(x)))
    with pytest.raises(TypeError, match=r"^Linear: expected an array of floats, got the text 'once'"):
        model("once", x)
    with pytest.raises(TypeError, match=r"missing 1 required positional argument"):
        model()
    with pytest.raises(
        TypeError, match=r"^fc: expected an array of floats, got a list of 2 arrays; np\.stack"
    ):
        model([x, x])
    assert np.array_equal(nn.Identity()("cat.jpg"), "cat.jpg")


def test_channels_last_is_recognised():
    with pytest.raises(rvision.ShapeError, match=r"channels last: use transforms.ToTensor\(\)"):
        net()(picture(8, 9, 3))
    with pytest.raises(rvision.ShapeError, match=r"0: .*3 input channels, got 8"):
        net()(picture(1, 8, 9, 3))


@pytest.mark.parametrize("shape", [(3,), (8, 8), (1, 1, 3, 8, 8)])
def test_a_wrong_rank_names_the_layer_and_what_it_expects(shape):
    with pytest.raises(rvision.ShapeError, match=r"^0: expected a 4-d input"):
        net()(picture(*shape))


def test_a_wrong_channel_count_names_the_layer():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.Conv2d(8, 4, 1)))
    with pytest.raises(
        rvision.ShapeError, match=r"1\.0: weight expects 8 input channels, got 4 \(input \(1, 4, 5, 5\)\)"
    ):
        model(picture(1, 3, 5, 5))


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    model, x = net(), picture(1, 3, 8, 8)
    tensor = torch.from_numpy(x)
    expected = model(x)
    for same in (tensor, tensor.double(), tensor.to(memory_format=torch.channels_last), tensor[0]):
        assert np.array_equal(np.atleast_2d(model(same)), expected)
    with pytest.raises(TypeError, match=r"requires grad; pass tensor\.detach\(\)"):
        model(tensor.clone().requires_grad_())
    with pytest.raises(TypeError, match=r"is bfloat16; pass tensor\.float\(\)"):
        model(tensor.bfloat16())
    with pytest.raises(TypeError, match=r"requires grad and is bfloat16; pass tensor\.detach\(\)\.float\(\)"):
        model(tensor.bfloat16().requires_grad_())
    with pytest.raises(TypeError, match=r"is on meta; pass tensor\.cpu\(\)"):
        model(tensor.to("meta"))
    with pytest.raises(TypeError, match="ToTensor"):
        model((tensor * 255).to(torch.uint8))
    for odd in (tensor.to_sparse(), tensor.to(torch.float8_e4m3fn)):
        with pytest.raises(TypeError, match=r"^Sequential: expected an array of floats, and this Tensor"):
            model(odd)
    with pytest.raises(TypeError, match=r"got an array of int64; use .*ToTensor"):
        model(tensor.long())
    with pytest.raises(TypeError, match="got one of complex64"):
        model(tensor.to(torch.complex64))
    with pytest.raises(TypeError, match=r"a list of 2 arrays of shape \(3, 8, 8\); np\.stack"):
        model([tensor[0], tensor[0]])


class Many(nn.Module):
    def forward(self, x, pair=None, *, scale=1.0, extra=None):
        out = {"sum": x + pair[0] if pair else x, "all": [x * scale]}
        if extra is not None:
            out["extra"] = extra["e"] - x
        return out


def test_arguments_and_results_of_any_structure():
    model, x = Many(), picture(2, 3)
    out = model(x, (x, x), scale=2, extra={"e": x})
    assert list(out) == ["sum", "all", "extra"] and isinstance(out["all"], list)
    assert np.array_equal(out["sum"], x + x) and np.array_equal(out["all"][0], 2 * x)
    assert not out["extra"].any()
    assert np.array_equal(model(x, scale=3.0)["all"][0], 3 * x)
    assert np.array_equal(model(x, scale=3)["sum"], x)


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: nn.Linear(2**30, 3), (2, 5), r"weight expects 1073741824 input features, got 5"),
        (lambda: nn.Linear(8, 3), (2, 5), r"weight expects 8 input features, got 5"),
        (lambda: nn.Conv2d(8, 4, 3), (1, 5, 6, 6), r"weight expects 8 input channels, got 5"),
        (lambda: nn.Conv2d(8, 4, 3, groups=2), (5, 6, 6), r"weight expects 8 input channels, got 5"),
        (lambda: nn.Conv2dSame(8, 4, 3), (1, 5, 6, 6), r"weight expects 8 input channels, got 5"),
    ],
)
def test_a_wrong_shape_is_told_before_random_weights_are_drawn(monkeypatch, make, shape, message):
    real = Drawn.make

    def constants_alone(self, name):
        assert self.fan_in == 0, f"{name} was drawn"
        return real(self, name)

    layer = make()
    with monkeypatch.context() as patch:
        patch.setattr(Drawn, "make", constants_alone)
        with pytest.raises(rvision.ShapeError, match=message):
            layer(np.zeros(shape, np.float32))
    # Nothing has taken the place of the weight's own values.
    if getattr(layer, "in_features", 0) < 1000:
        assert np.array_equal(layer.weight, make().weight) and layer.weight.any()


def test_sizes_that_are_only_told_do_not_change_what_is_computed():
    layer = nn.Linear(3, 2, bias=False)
    layer.in_features = 5
    x = np.eye(3, dtype=np.float32)
    np.testing.assert_array_equal(layer(x), np.asarray(nn.Linear(3, 2, bias=False).weight).T)
