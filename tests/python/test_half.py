"""float16 weights: the effect of `half` on a module and on its results."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import rvision
from rvision import dense, models, nn
from rvision.nn import functional as F


class Net(nn.Module):
    """Has every kind of layer whose parameters kernels pack, and some others."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(24)
        self.act = nn.PReLU(24)
        self.winograd = nn.Conv2d(24, 24, 3, padding=1)
        self.depthwise = nn.Conv2d(24, 24, 3, padding=1, groups=24)
        self.grouped = nn.Conv2d(24, 24, 3, padding=1, groups=3)
        self.scale = nn.Parameter(np.linspace(0.4, 1.7, 24).reshape(24, 1, 1))
        self.offset = nn.Parameter(np.linspace(-0.3, 0.1, 24).reshape(24, 1, 1))
        self.norm = nn.LayerNorm(24)
        self.fc = nn.Linear(24, 70)

    def forward(self, x):
        x = self.act(self.bn(self.stem(x)))
        x = self.depthwise(self.winograd(x)) + x
        x = self.scale * self.grouped(x)
        x = (x + self.offset).mean([2, 3])
        return self.fc(self.norm(x))


def random_net(seed: int = 3) -> Net:
    rng = np.random.default_rng(seed)
    net = Net()
    for name, buffer in net.named_buffers():
        if buffer.dtype.kind == "f":
            setattr(net.bn, name.rpartition(".")[2], rng.uniform(0.5, 1.5, buffer.shape))
    return net


def rounded(model: nn.Module) -> nn.Module:
    """Return a float32 copy of a model whose weights are rounded to float16."""
    twin = copy.deepcopy(model).float()
    with np.errstate(over="ignore"):
        state = {
            name: value.astype(np.float16).astype(np.float32) if value.dtype.kind == "f" else value
            for name, value in model.state_dict().items()
        }
    twin.load_state_dict(state)
    return twin


def pictures(n: int = 8, size: int = 40) -> np.ndarray:
    return np.random.default_rng(7).standard_normal((n, 3, size, size), np.float32)


def float_types(model: nn.Module) -> set[str]:
    return {value.dtype.name for value in model.state_dict().values() if value.dtype.kind == "f"}


# ---- what becomes of a module ----


def test_half_is_torchs():
    net = random_net()
    weight, mean = net.fc.weight.copy(), net.bn.running_mean.copy()
    assert net.half() is net
    assert float_types(net) == {"float16"}
    assert net.bn.num_batches_tracked.dtype == np.int64
    assert net.fc.weight.dtype == net.bn.running_mean.dtype == np.float16
    assert isinstance(net.fc.weight, nn.Parameter) and not net.fc.weight.flags.writeable
    np.testing.assert_array_equal(net.fc.weight, weight.astype(np.float16))
    np.testing.assert_array_equal(net.bn.running_mean, mean.astype(np.float16))
    assert net.float() is net
    assert float_types(net) == {"float32"}
    # The values are those that were rounded.
    np.testing.assert_array_equal(net.fc.weight, weight.astype(np.float16))


@pytest.mark.parametrize("wish", [np.float16, "float16", "half", "torch.float16", np.dtype(np.float16)])
def test_to_is_another_way_to_say_it(wish):
    net = Net()
    assert net.to("cpu", wish) is net and float_types(net) == {"float16"}
    assert net.to(dtype=wish) is net and float_types(net) == {"float16"}
    assert net.to("cpu") is net and float_types(net) == {"float16"}
    assert net.to(np.float32) is net and float_types(net) == {"float32"}


def test_torchs_dtypes(torch):
    net = Net()
    assert net.to(torch.float16) is net and float_types(net) == {"float16"}
    assert net.to(torch.device("cpu"), torch.float32) is net and float_types(net) == {"float32"}


def test_values_are_rounded_as_torch_rounds(torch):
    ties = [1 + 2**-11, 1 + 3 * 2**-11, 65519.99, 65520, 2.98e-8, 2.99e-8]
    special = [0.0, -0.0, 65504, 1e30, -np.inf, np.nan, 6e-8, *ties]
    drawn = np.random.default_rng(0).standard_normal((15, 34)) * 10.0 ** np.arange(-9, 6)[:, None]
    values = np.concatenate([drawn.ravel(), special]).astype(np.float32)
    layer = nn.Linear(len(values), 1)
    layer.weight = values[None]
    expected = torch.from_numpy(values).half().numpy()
    np.testing.assert_array_equal(layer.half().weight[0], expected)
    np.testing.assert_array_equal(np.signbit(layer.weight[0]), np.signbit(expected))


def test_parts_become_half_alone_and_what_is_shared_stays_shared():
    net = Net()
    net.fc.half()
    assert net.fc.weight.dtype == np.float16 and net.stem.weight.dtype == np.float32
    tied = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    tied[1].weight = tied[0].weight
    tied.half()
    assert tied[0].weight is tied[1].weight and tied[0].weight.dtype == np.float16
    # The type of one part is no matter to the others.
    assert net(pictures(1)).dtype == np.float32


def test_what_is_loaded_becomes_what_the_module_has():
    source, net = random_net(), Net().half()
    state = source.state_dict()
    net.load_state_dict(state)
    assert float_types(net) == {"float16"}
    np.testing.assert_array_equal(net.fc.weight, source.fc.weight.astype(np.float16))
    back = Net()
    back.load_state_dict(net.state_dict())
    assert float_types(back) == {"float32"}
    np.testing.assert_array_equal(back.fc.weight, net.fc.weight)
    back.load_state_dict(net.state_dict(), assign=True)
    assert float_types(back) == {"float16"} and back.fc.weight._handle is net.fc.weight._handle
    net.fc.bias = np.full(70, 0.1)
    assert net.fc.bias.dtype == np.float16 and net.fc.bias[0] == np.float16(0.1)
    net.fc.weight = nn.Parameter(net.fc.weight)
    assert net.fc.weight.dtype == np.float16


def test_a_float16_state_dict_of_torch(torch):
    theirs = torch.nn.Linear(5, 3).half()
    ours = nn.Linear(5, 3).half()
    ours.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(ours.weight, theirs.weight.detach().numpy())
    theirs.load_state_dict({name: torch.from_numpy(np.array(v)) for name, v in ours.state_dict().items()})
    assert theirs.weight.dtype == torch.float16


def test_files_keep_the_type(tmp_path):
    net = random_net().half()
    rvision.save(net, tmp_path / "half.safetensors")
    state = rvision.load(tmp_path / "half.safetensors")
    assert {value.dtype.name for value in state.values() if value.dtype.kind == "f"} == {"float16"}
    twin = Net().half()
    twin.load_state_dict(state)
    np.testing.assert_array_equal(twin(pictures()), net(pictures()))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies(copied):
    net = random_net().half()
    expected = net(pictures())
    twin = copied(net)
    assert float_types(twin) == {"float16"}
    np.testing.assert_array_equal(twin(pictures()), expected)
    # A copy that becomes float32 again leaves the original alone.
    if copied is not copy.copy:
        twin.float()
        assert float_types(net) == {"float16"} and float_types(twin) == {"float32"}


def test_values_that_nobody_has_looked_at_yet():
    late, early = Net(), Net()
    assert early.fc.weight.dtype == np.float32
    late.half()
    early.half()
    np.testing.assert_array_equal(late.fc.weight, early.fc.weight)
    np.testing.assert_array_equal(copy.deepcopy(Net().half()).fc.weight, early.fc.weight)


def test_constants_alone():
    weight = nn.Parameter(np.array([0.1, 1e9, 3.0]))
    half = weight.half()
    assert isinstance(half, nn.Parameter) and half.dtype == np.float16 and weight.float() is weight
    np.testing.assert_array_equal(half, np.array([0.1, np.inf, 3.0], np.float16))
    assert half.half() is half and half.float().dtype == np.float32
    assert half.data.dtype == half.numpy().dtype == half.copy().dtype == np.float16
    assert nn.Parameter(np.zeros(3, np.float16)).dtype == np.float16
    assert nn.Parameter(np.zeros(3, np.float64)).dtype == np.float32


# ---- what it computes ----


def test_computes_what_rounded_weights_in_float32_do():
    net = random_net()
    expected = rounded(net)(pictures())
    found = net.half()(pictures())
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)
    # Which is what was meant, to the precision of float16.
    np.testing.assert_allclose(found, random_net()(pictures()), atol=0.02)


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_1", "mobilenet_v3_small", "swin_t", "vit_b_32"])
def test_networks(name):
    model = models.get_model(name, num_classes=50)
    pictures = np.random.default_rng(1).standard_normal((2, 3, 224, 224), np.float32)
    expected = rounded(model)(pictures)
    found = model.half()(pictures)
    assert float_types(model) == {"float16"}
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_against_torch(torch):
    ours, theirs = (
        models.alexnet(num_classes=20),
        pytest.importorskip("torchvision").models.alexnet(num_classes=20),
    )
    ours.load_state_dict(theirs.state_dict())
    ours.half()
    theirs.eval().half().float()
    pictures = np.random.default_rng(2).standard_normal((3, 3, 224, 224), np.float32)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(pictures)).numpy()
    np.testing.assert_allclose(ours(pictures), expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def test_same_bits_in_any_batch_and_with_any_threads():
    net = random_net().half()
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 40 * 40, 300)).half()
    threads = rvision.get_num_threads()
    for model in (net, linear):
        together = model(pictures())
        try:
            for count in (1, 2, 3):
                rvision.set_num_threads(count)
                np.testing.assert_array_equal(model(pictures()), together)
                for i in (0, 5):
                    np.testing.assert_array_equal(model(pictures()[i : i + 1])[0], together[i])
        finally:
            rvision.set_num_threads(threads)


def test_inputs_may_be_float16_too():
    net = random_net().half()
    halves = pictures(2).astype(np.float16)
    np.testing.assert_array_equal(net(halves), net(halves.astype(np.float32)))


def test_a_module_that_has_run_before():
    net = random_net()
    before = net(pictures())
    net.half()
    half = net(pictures())
    assert not np.array_equal(half, before)
    net.float()
    np.testing.assert_array_equal(net(pictures()), half)


def test_functions_take_them():
    layer = nn.Linear(6, 4).half()
    x = np.ones((2, 6), np.float32)
    np.testing.assert_array_equal(F.linear(x, layer.weight, layer.bias), layer(x))
    np.testing.assert_array_equal(F.linear(x, layer.weight.copy(), layer.bias), layer(x))


def test_weights_are_packed_in_half_the_memory():
    x = np.zeros((1, 512), np.float32)
    layer = nn.Linear(512, 64).half()
    layer(x)
    handle = layer.weight._handle
    assert handle.dtype == "float16"
    ((_, elements),) = handle.forms()
    assert elements == 512 * 64


# ---- with the rest ----


def test_convolutionized():
    model = models.alexnet(num_classes=9).half()
    picture = np.random.default_rng(5).standard_normal((1, 3, 224, 224), np.float32)
    larger = np.random.default_rng(5).standard_normal((1, 3, 288, 256), np.float32)
    sliding = rvision.convolutionize(model)
    np.testing.assert_allclose(sliding(picture)[:, :, 0, 0], model(picture), atol=1e-5)
    np.testing.assert_array_equal(sliding(larger), rvision.convolutionize(rounded(model))(larger))
    found = dense.predict(model, larger[0], stride=16).scores
    np.testing.assert_array_equal(found, dense.predict(rounded(model), larger[0], stride=16).scores)


def test_ensembles_of_both():
    members = [models.squeezenet1_1(num_classes=4), models.squeezenet1_1(num_classes=4).half()]
    both = rvision.Ensemble(members)
    x = pictures(2, 64)
    expected = rvision.Ensemble([members[0], rounded(members[1])])(x)
    np.testing.assert_array_equal(both(x), expected)
    assert float_types(both.half()) == {"float16"}


def test_summary_counts_the_same():
    assert str(rvision.summary(Net().half(), (3, 40, 40))) == str(rvision.summary(Net(), (3, 40, 40)))


def test_real_networks_answer_the_same(real_data):
    from PIL import Image

    preset = models.MobileNet_V2_Weights.IMAGENET1K_V1.transforms()
    names = sorted((real_data / "imagenet").glob("*.JPEG"))[:24]
    batch = np.stack([preset(Image.open(name).convert("RGB")) for name in names])
    model = models.mobilenet_v2(weights=real_data / "mobilenet_v2.pth")
    expected = model(batch)
    found = model.half()(batch)
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.95
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
