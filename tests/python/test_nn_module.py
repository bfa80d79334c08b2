"""Modules behave as in torch: the registry, containers, copies, state dicts."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections import OrderedDict

import numpy as np
import pytest
import rvision
from rvision import nn


class Block(nn.Module):
    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.bn(self.conv(x))) + x


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.blocks = nn.Sequential(Block(), Block())
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.blocks(self.stem(x)).mean([2, 3]))


BLOCK_KEYS = [
    "conv.weight",
    "bn.weight",
    "bn.bias",
    "bn.running_mean",
    "bn.running_var",
    "bn.num_batches_tracked",
]


# ---- the registry ----


def test_state_dict_has_torchs_names_in_torchs_order():
    keys = list(Net().state_dict())
    assert keys == [
        "stem.weight",
        "stem.bias",
        *(f"blocks.{i}.{key}" for i in range(2) for key in BLOCK_KEYS),
        "fc.weight",
        "fc.bias",
    ]


def test_state_dict_carries_the_versions_of_its_names():
    metadata = Net().state_dict()._metadata
    assert metadata[""] == {"version": 1}
    assert metadata["blocks.1.bn"] == {"version": 2}


def test_parameters_and_buffers_by_name():
    net = Net()
    names = [name for name, _ in net.named_parameters()]
    assert names[:4] == ["stem.weight", "stem.bias", "blocks.0.conv.weight", "blocks.0.bn.weight"]
    assert [name for name, _ in net.blocks[0].named_buffers("block")] == [
        "block.bn.running_mean",
        "block.bn.running_var",
        "block.bn.num_batches_tracked",
    ]
    assert len(list(net.parameters())) == len(names)
    assert list(net.parameters(recurse=False)) == []
    assert sum(p.numel() for p in net.parameters()) == 3 * 4 + 4 + 2 * (144 + 8) + 10


def test_a_shared_module_is_listed_once_and_saved_twice():
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    net.append(net[0])
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias"]
    assert [name for name, _ in net.named_modules()] == ["", "0", "1"]
    assert [name for name, _ in net.named_children()] == ["0", "1"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_modules_come_parents_first():
    names = [name for name, _ in Net().named_modules()]
    assert names[:6] == ["", "stem", "blocks", "blocks.0", "blocks.0.conv", "blocks.0.bn"]
    assert [type(m).__name__ for m in Net().children()] == ["Conv2d", "Sequential", "Linear"]


def test_get_submodule_says_where_the_name_leads_off_the_tree():
    net = Net()
    assert net.get_submodule("blocks.1.conv") is net.blocks[1].conv
    assert net.get_submodule("") is net
    assert net.get_parameter("fc.bias") is net.fc.bias
    assert net.get_buffer("blocks.0.bn.running_var").shape == (4,)
    with pytest.raises(AttributeError, match=r"blocks\.1 has no submodule 'conv2'.*it has: conv, bn, relu"):
        net.get_submodule("blocks.1.conv2")
    with pytest.raises(AttributeError, match="fc has no parameter 'scale'"):
        net.get_parameter("fc.scale")


def test_set_submodule_and_apply():
    net = Net()
    net.set_submodule("blocks.0.relu", nn.Tanh())
    assert isinstance(net.blocks[0].relu, nn.Tanh)
    seen = []
    assert net.apply(lambda module: seen.append(type(module).__name__)) is net
    assert seen[0] == "Conv2d" and seen[-1] == "Net"


def test_attributes_move_between_registries_as_in_torch():
    block = Block()
    block.relu = None
    assert block.relu is None and "relu" in block._modules
    with pytest.raises(TypeError, match=r"Block.relu: expected an nn.Module or None, got str"):
        block.relu = "relu"
    block.extra = 3
    block.extra = nn.ReLU()
    assert "extra" in dict(block.named_children()) and "extra" not in block.__dict__
    del block.extra
    assert not hasattr(block, "extra")
    with pytest.raises(AttributeError, match="'Block' object has no attribute 'extra'"):
        _ = block.extra
    assert {"conv", "bn", "forward"} <= set(dir(block))


def test_what_torch_refuses_is_refused():
    class Forgetful(nn.Module):
        def __init__(self):
            self.conv = nn.ReLU()

    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) in Forgetful"):
        Forgetful()
    block = Block()
    with pytest.raises(KeyError, match=r"without '\."):
        block.add_module("a.b", nn.ReLU())
    with pytest.raises(KeyError, match="exists already"):
        block.register_buffer("conv", np.zeros(3))
    with pytest.raises(TypeError, match=r"must be an nn\.Parameter"):
        block.register_parameter("scale", np.zeros(3))
    with pytest.raises(NotImplementedError):
        nn.ModuleList([nn.ReLU()])(np.zeros((1, 2), np.float32))


def test_buffers_can_be_kept_out_of_the_state_dict():
    block = Block()
    block.register_buffer("mean", np.float64([1, 2, 3]), persistent=False)
    block.register_buffer("count", np.arange(3))
    block.register_buffer("nothing", None)
    assert block.mean.dtype == np.float32 and isinstance(block.mean, nn.Buffer)
    assert block.count.dtype == np.int64
    keys = set(block.state_dict())
    assert "count" in keys and not {"mean", "nothing"} & keys
    assert "mean" in dict(block.named_buffers())


# ---- parameters ----


def test_parameters_are_tensors():
    conv = nn.Conv2d(2, 3, 1)
    weight = conv.weight
    assert isinstance(weight, nn.Parameter) and isinstance(weight, rvision.Tensor)
    assert weight.dtype == np.float32 and weight.shape == (3, 2, 1, 1)
    assert (weight.numel(), weight.dim(), weight.requires_grad) == (6, 4, False)
    assert conv.weight is weight
    for derived in (weight * 2, 2 * weight, weight.mean(0), np.sqrt(np.abs(weight)), weight.clone()):
        assert type(derived) is rvision.Tensor and not np.shares_memory(derived, weight)
    for view in (weight[0], weight.reshape(-1), weight.T, weight.data):
        assert isinstance(view, rvision.Tensor) and not isinstance(view, nn.Parameter)
        assert np.shares_memory(view, weight)
    assert type(weight.numpy()) is np.ndarray
    copied = weight.copy()
    copied[0] = 7
    assert not (weight == 7).any()
    assert weight.detach().cpu().float() is weight
    assert repr(weight).startswith("Parameter containing:\nTensor(")


WRITES = {
    "item of data": lambda w: w.data.__setitem__(0, 5),
    "item": lambda w: w.__setitem__((slice(None), 1), 5),
    "item of a view": lambda w: w.view(-1)[2:].__setitem__(slice(None, 2), 5),
    "copy_ to a view": lambda w: w.data.view(-1).copy_(np.arange(6)[::-1]),
    "copy_ to the transpose": lambda w: w.t().copy_(np.arange(6).reshape(3, 2)),
    "fill_": lambda w: w.fill_(3),
    "zero_": lambda w: w.data.zero_(),
    "mul_": lambda w: w.mul_(2),
    "add_": lambda w: w[1].add_(1),
    "in place": lambda w: w.__imul__(2),
    "data assigned": lambda w: setattr(w, "data", np.ones((2, 3))),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_writes_to_a_parameter_are_torchs_and_the_next_run_sees_them(write):
    layer = nn.Linear(3, 2, bias=False)
    layer.weight = np.arange(6).reshape(2, 3)
    net, x = nn.Sequential(layer), np.eye(3, dtype=np.float32)
    assert np.array_equal(net(x), np.arange(6).reshape(2, 3).T)
    before, view = layer.weight, layer.weight.view(-1)
    # The same write into an ordinary tensor is the definition.
    expected = rvision.tensor(np.arange(6, dtype=np.float32).reshape(2, 3))
    write(layer.weight)
    write(expected)
    assert not np.array_equal(expected, np.arange(6).reshape(2, 3))
    assert layer.weight is before and np.array_equal(before, expected)
    assert np.array_equal(view, expected.reshape(-1))
    assert np.array_equal(net(x), expected.T)
    assert np.array_equal(layer.state_dict()["weight"], expected)


def test_writes_reach_tied_parameters_and_no_copies():
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    second.weight = first.weight
    net, x = nn.Sequential(first, second), np.eye(2, dtype=np.float32)
    twin = copy.deepcopy(net)
    net(x), twin(x)
    before = np.array(twin[0].weight)
    first.weight.data.copy_(3 * np.eye(2))
    assert np.array_equal(second.weight, 3 * np.eye(2)) and np.array_equal(net(x), 9 * x)
    assert np.array_equal(twin[0].weight, before) and np.array_equal(twin[1].weight, before)


def test_numpy_cannot_write_to_a_parameter_unseen():
    layer = nn.Linear(2, 2)
    for write in (
        lambda w: np.copyto(w, 1),
        lambda w: np.asarray(w).__setitem__(0, 1),
        lambda w: w.numpy().__setitem__(0, 1),
        lambda w: w.sort(axis=0),
        lambda w: np.fill_diagonal(w, 0),
    ):
        before = np.array(layer.weight)
        try:
            write(layer.weight)
        except ValueError as error:
            assert "read-only" in str(error)
        now = np.array(layer.weight)
        assert np.array_equal(layer(np.eye(2, dtype=np.float32)), now.T + layer.bias)
        assert np.array_equal(before, now)


def test_parameters_can_be_frozen_as_in_torch():
    net = nn.Linear(2, 3)
    for parameter in net.parameters():
        parameter.requires_grad = False
        assert not parameter.requires_grad
        with pytest.raises(rvision.UnsupportedError, match="inference only"):
            parameter.requires_grad = True


def test_the_engine_has_a_parameters_values_once():
    weight = nn.Parameter(np.arange(6, dtype=np.float64).reshape(2, 3))
    handle = weight._handle
    assert nn.Parameter(weight)._handle is handle
    del weight
    gc.collect()
    view = np.asarray(handle.values())
    del handle
    gc.collect()
    assert view.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_assigning_an_array_makes_a_new_parameter():
    fc = nn.Linear(3, 2)
    before = fc.weight
    fc.weight = np.ones((2, 3), np.float64)
    assert isinstance(fc.weight, nn.Parameter) and fc.weight is not before and fc.weight.sum() == 6
    fc.weight = fc.weight * 2
    assert fc.weight.sum() == 12
    with pytest.raises(rvision.ShapeError, match=r"Linear\.weight: .* shape \(2, 3\), got \(3, 2\)"):
        fc.weight = np.ones((3, 2))
    fc.weight = nn.Parameter(np.ones((4, 3)))
    assert fc.weight.shape == (4, 3)
    fc.bias = None
    assert fc.bias is None and list(fc.state_dict()) == ["weight"]
    with pytest.raises(TypeError, match="real numbers"):
        fc.weight = np.ones((4, 3), complex)
    bn = nn.BatchNorm2d(2)
    bn.running_mean = [1.0, 2.0]
    assert isinstance(bn.running_mean, nn.Buffer) and bn.running_mean.tolist() == [1, 2]


# ---- initial values ----


def test_initial_values_depend_on_the_name_alone():
    first, second = Net(), Net()
    list(reversed(second.fc.weight))  # looked at in another order
    for (name, ours), (_, theirs) in zip(first.named_parameters(), second.named_parameters(), strict=True):
        assert np.array_equal(ours, theirs), name
    assert not np.array_equal(first.blocks[0].conv.weight, first.blocks[1].conv.weight)


def test_initial_values_are_the_same_everywhere():
    # Written down on x86-64 Linux with NumPy 2.4.
    weight = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False))[0].weight
    expected = [
        "0x1.2810680000000p-4",
        "0x1.c566680000000p-4",
        "0x1.00f9560000000p-2",
        "-0x1.f3615e0000000p-3",
        "-0x1.417dd00000000p-4",
    ]
    assert [float(value).hex() for value in weight.reshape(-1)[:5]] == expected
    assert weight.dtype == np.float32


def test_initial_values_are_hes_uniform():
    weight = nn.Linear(600, 400).weight
    bound = np.sqrt(6 / 600)
    assert np.abs(weight).max() <= bound
    assert weight.std() == pytest.approx(bound / np.sqrt(3), rel=0.01)
    assert weight.mean() == pytest.approx(0, abs=0.001)
    layer = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU())
    assert not layer[0].bias.any()
    assert layer[1].weight.tolist() == [1] * 4 and layer[1].running_var.tolist() == [1] * 4
    assert layer[2].weight.tolist() == [0.25]


def test_a_loaded_model_draws_no_random_numbers(monkeypatch):
    state = Net().state_dict()
    monkeypatch.setattr(np.random, "Philox", None)
    net = Net()
    net.load_state_dict(state)
    assert np.array_equal(net.fc.weight, state["fc.weight"])


# ---- copies ----


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
@pytest.mark.parametrize("looked_at", [True, False])
def test_copies_are_equal_and_independent(copied, looked_at):
    net = Net()
    if looked_at:
        list(net.parameters())
    part = copied(net.blocks)
    other = copied(net)
    for (name, ours), (_, theirs) in zip(net.state_dict().items(), other.state_dict().items(), strict=True):
        assert np.array_equal(ours, theirs), name
    assert np.array_equal(part[1].conv.weight, net.blocks[1].conv.weight)
    other.blocks[0] = nn.Identity()
    other.fc.weight = np.zeros((2, 4))
    assert isinstance(net.blocks[0], Block) and net.fc.weight.any()
    assert list(net.state_dict()) == list(Net().state_dict())


def test_a_shallow_copy_has_its_own_registry():
    net = Net()
    other = copy.copy(net)
    other.fc = nn.Identity()
    assert isinstance(net.fc, nn.Linear)
    assert other.blocks is net.blocks


def test_a_model_is_freed_when_nobody_holds_it():
    net = Net()
    features = net.blocks
    gone = weakref.ref(net)
    del net
    assert gone() is None
    assert features[0].conv.weight.shape == (4, 4, 3, 3)


# ---- modes, devices, types ----


def test_inference_only():
    net = Net()
    assert net.eval() is net and net.train(False) is net and net.training is False
    assert net.requires_grad_(False) is net
    with pytest.raises(rvision.UnsupportedError, match=r"Net.train\(\): rvision is for inference only"):
        net.train()
    with pytest.raises(rvision.UnsupportedError):
        net.requires_grad_()
    assert not hasattr(net, "zero_grad")


def test_there_is_one_device_and_float32_to_compute_in():
    net = Net()
    assert net.to("cpu") is net and net.to(np.float32) is net and net.to(dtype="float32") is net
    assert net.to("cpu", np.float32) is net and net.float() is net and net.cpu() is net
    assert net.to(memory_format="channels_last") is net
    casts = (net.double, net.bfloat16, lambda: net.to(np.float64))
    for call in (net.cuda, lambda: net.to("cuda:0"), *casts):
        with pytest.raises(rvision.UnsupportedError, match="float32 on the CPU"):
            call()


def test_torchs_devices_and_types_are_understood():
    torch = pytest.importorskip("torch")
    net = Net()
    assert net.to(torch.device("cpu")) is net and net.to(torch.float32) is net
    assert net.to(device=torch.device("cpu"), dtype=torch.float32) is net
    assert net.to(memory_format=torch.channels_last) is net
    for wish in (torch.float64, torch.device("cuda", 0), torch.bfloat16):
        with pytest.raises(rvision.UnsupportedError):
            net.to(wish)


# ---- containers ----


def test_sequential_is_a_list():
    conv, relu, pool = nn.Conv2d(3, 4, 1), nn.ReLU(), nn.MaxPool2d(2)
    net = nn.Sequential(conv, relu)
    assert len(net) == 2 and net[0] is conv and net[-1] is relu and list(net) == [conv, relu]
    assert net.append(pool) is net and net[2] is pool
    assert list(dict(net[1:].named_children())) == ["1", "2"]
    assert net[1:].append(nn.Tanh())[-1].__class__ is nn.Tanh
    net.insert(1, nn.BatchNorm2d(4))
    assert [type(m).__name__ for m in net] == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]
    del net[1]
    assert list(dict(net.named_children())) == ["0", "1", "2"] and net[1] is relu
    net[-1] = nn.Identity()
    assert isinstance(net[2], nn.Identity)
    assert isinstance(net.pop(-1), nn.Identity) and len(net) == 2
    del net[:1]
    assert list(net) == [relu]
    net += [nn.Tanh()]
    assert len(net) == 2 and len(net + nn.Sequential(nn.ReLU())) == 3
    net.extend([nn.ReLU()])
    with pytest.raises(IndexError, match="index 3 is out of range for 3 modules"):
        _ = net[3]
    with pytest.raises(TypeError, match=r"expected an nn\.Module at 0, got str"):
        nn.Sequential("relu")


def test_sequential_with_names():
    net = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 1), relu=nn.ReLU()))
    assert net.conv is net[0]
    assert list(net.state_dict()) == ["conv.weight", "conv.bias"]


def test_module_list_and_dict():
    layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    layers.append(nn.ReLU()).insert(0, nn.Tanh())
    assert len(layers) == 5 and isinstance(layers[1:3], nn.ModuleList) and len(layers[1:3]) == 2
    with pytest.raises(TypeError, match="expected several modules"):
        layers.extend(nn.ReLU())
    named = nn.ModuleDict({"a": nn.ReLU()})
    named["b"] = nn.Tanh()
    named.update([("c", nn.Linear(1, 1))])
    assert list(named) == ["a", "b", "c"] == list(named.keys()) and "b" in named and len(named) == 3
    assert isinstance(named.pop("b"), nn.Tanh)
    del named["a"]
    assert [name for name, _ in named.items()] == ["c"] and len(list(named.values())) == 1
    assert list(named.state_dict()) == ["c.weight", "c.bias"]
    named.clear()
    assert not list(named)


# ---- loading ----


def test_load_state_dict_takes_over_every_value():
    source, net = Net(), Net()
    source.fc.weight = np.full((2, 4), 5)
    source.blocks[0].bn.running_mean = np.arange(4)
    source.blocks[0].bn.num_batches_tracked = np.int64(7)
    result = net.load_state_dict(source.state_dict())
    assert str(result) == "<All keys matched successfully>"
    missing, unexpected = result
    assert missing == [] == unexpected
    assert net.fc.weight[0, 0] == 5 and net.blocks[0].bn.running_mean[3] == 3
    assert net.blocks[0].bn.num_batches_tracked == 7
    # Constants do not change, so they can be shared.
    assert net.fc.weight._handle is source.fc.weight._handle


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int64])
def test_load_state_dict_converts_to_float32(dtype):
    fc = nn.Linear(2, 2)
    fc.load_state_dict({"weight": np.ones((2, 2), dtype), "bias": np.ones(2, dtype)})
    assert fc.weight.dtype == np.float32 and fc.weight.sum() == 4


def test_load_state_dict_takes_torchs_tensors():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    ours = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    ours.load_state_dict(theirs.state_dict())
    assert np.array_equal(ours[0].weight, theirs[0].weight.detach())
    ours.load_state_dict(dict(theirs.named_parameters()), strict=False)
    state = theirs.state_dict()
    ours.load_state_dict({k: t.bfloat16() if t.is_floating_point() else t for k, t in state.items()})
    assert np.array_equal(ours[0].weight, theirs[0].weight.detach().bfloat16().float())
    ours[0].weight = theirs[0].weight
    assert np.array_equal(ours[0].weight, theirs[0].weight.detach())


def test_torch_takes_ours():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    ours = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).state_dict()
    theirs.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in ours.items()})


def test_old_batch_norms_lack_a_counter():
    net, state = Net(), Net().state_dict()
    old = {key: value for key, value in state.items() if "num_batches" not in key}
    assert net.load_state_dict(old).missing_keys == []
    # A file that says it is of version 2 must have it.
    new = OrderedDict(old)
    new._metadata = state._metadata
    result = net.load_state_dict(new, strict=False)
    assert result.missing_keys == [f"blocks.{i}.bn.num_batches_tracked" for i in range(2)]


def test_not_strict_reports_what_did_not_fit():
    net, state = Net(), dict(Net().state_dict())
    state["head.weight"] = state.pop("fc.weight")
    state["fc.bias"] = np.float32([8, 9])
    result = net.load_state_dict(state, strict=False)
    assert result.missing_keys == ["fc.weight"] and result.unexpected_keys == ["head.weight"]
    assert net.fc.bias.tolist() == [8, 9]


@pytest.mark.parametrize("strict", [True, False])
def test_a_state_dict_that_does_not_fit_changes_nothing(strict):
    net, state = Net(), dict(Net().state_dict())
    before = net.stem.weight
    state["stem.weight"] = np.zeros((4, 3, 1, 1))
    state["fc.weight"] = np.zeros((1000, 4))
    with pytest.raises(rvision.StateDictError, match=r"fc\.weight"):
        net.load_state_dict(state, strict=strict)
    assert net.stem.weight is before


def test_load_state_dict_wants_a_mapping():
    with pytest.raises(TypeError, match=r"rvision.load\(path\) reads a file"):
        Net().load_state_dict("resnet50.pth")


def test_modules_rename_older_keys():
    class Renamed(nn.Module):
        _version = 2

        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(1, 1)

        def _upgrade_state_dict(self, state, prefix, metadata):
            if metadata.get("version", 1) < 2:
                for part in ("weight", "bias"):
                    if f"{prefix}dense.{part}" in state:
                        state[f"{prefix}fc.{part}"] = state.pop(f"{prefix}dense.{part}")

    net = nn.Sequential(Renamed())
    given = {"0.dense.weight": np.full((1, 1), 3), "0.dense.bias": np.zeros(1)}
    net.load_state_dict(given)
    assert net[0].fc.weight.item() == 3
    assert set(given) == {"0.dense.weight", "0.dense.bias"}


def tied():
    net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    net[1].weight = net[0].weight
    return net


def test_load_state_dict_keeps_parameters_tied():
    # torch copies values into the tensor that both layers have: the last one counts.
    net, two, three = tied(), np.eye(3) * 2, np.eye(3) * 3
    net.load_state_dict({"0.weight": two}, strict=False)
    assert net[0].weight is net[1].weight
    assert np.array_equal(net(np.ones((1, 3), np.float32)), [[4, 4, 4]])
    net.load_state_dict({"0.weight": two, "1.weight": three})
    assert len(list(net.parameters())) == 1
    assert np.array_equal(net(np.ones((1, 3), np.float32)), [[9, 9, 9]])
    net.load_state_dict({"0.weight": two, "1.weight": three}, assign=True)
    assert len(list(net.parameters())) == 2
    assert np.array_equal(net(np.ones((1, 3), np.float32)), [[6, 6, 6]])


def test_a_deep_copy_is_another_parameter():
    layer = nn.Linear(3, 3)
    layer(np.ones((1, 3), np.float32))
    net = nn.Sequential(layer, copy.deepcopy(layer))
    assert len(list(net.parameters())) == 4
    state = {name: np.full(value.shape, i) for i, (name, value) in enumerate(net.state_dict().items())}
    net.load_state_dict(state)
    assert all(np.array_equal(value, state[name]) for name, value in net.state_dict().items())
    twin = copy.deepcopy(tied())
    assert twin[0].weight is twin[1].weight
    weight = layer.weight
    assert copy.deepcopy(weight) is not weight
    assert copy.deepcopy(weight)._handle is weight._handle, "the engine has the values once"


def test_transpose_of_a_parameter_is_torchs():
    weight = nn.Parameter(np.arange(24).reshape(2, 3, 4))
    assert np.array_equal(weight.transpose(0, 2), np.swapaxes(weight, 0, 2))
    assert np.array_equal(weight.transpose(2, 0, 1), np.transpose(weight, (2, 0, 1)))
    assert np.array_equal(weight.transpose(), weight.T)
    square = nn.Parameter(np.arange(9).reshape(3, 3))
    for dims in ((0, 1), (1, 0), (-2, -1)):
        assert np.array_equal(square.transpose(*dims), square.T)
    assert np.array_equal(np.transpose(square, (0, 1)), square)


@pytest.mark.parametrize(("name", "value"), [("shape", (9,)), ("dtype", np.int32), ("strides", (4, 4))])
def test_the_form_of_a_parameter_is_read_only(name, value):
    layer = nn.Linear(3, 3)
    with pytest.raises(rvision.UnsupportedError, match=f"assigning to the {name} of a Parameter"):
        setattr(layer.weight, name, value)
