"""Forward hooks: they see what modules are given and return, in one run."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import rvision
from rvision import nn


class Block(nn.Module):
    """Calls one layer twice, and returns a dict with a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Linear(2, 2, bias=False)
        self.scale.weight = np.diag([2.0, 3.0]).astype(np.float32)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x, *, shift=0.0):
        y = self.scale(x)
        z = self.scale(y + shift)
        return {"pair": (y, z), "relu": self.relu(z)}


X = np.array([[1.0, -1.0]], np.float32)


def test_a_hook_sees_each_call_of_its_module():
    model, seen = Block(), []
    model.scale.register_forward_hook(lambda module, args, output: seen.append((module, args, output)))
    model(X)
    assert [module for module, _, _ in seen] == [model.scale] * 2
    assert all(type(args) is tuple and type(args[0]) is rvision.Tensor for _, args, _ in seen)
    np.testing.assert_array_equal(np.concatenate([args[0] for _, args, _ in seen]), [[1, -1], [2, -3]])
    # What the layer returned, although the ReLU then works in place.
    np.testing.assert_array_equal(np.concatenate([output for _, _, output in seen]), [[2, -3], [4, -9]])


def test_hooks_are_called_in_the_order_in_which_modules_run():
    model, order = Block(), []
    model.register_forward_hook(lambda *_: order.append("root"))
    model.register_forward_pre_hook(lambda *_: order.append("before root"))
    model.relu.register_forward_hook(lambda *_: order.append("relu"))
    model.scale.register_forward_hook(lambda *_: order.append("second"))
    model.scale.register_forward_hook(lambda *_: order.append("first"), prepend=True)
    model.scale.register_forward_pre_hook(lambda *_: order.append("before"))
    model(X)
    scale = ["before", "first", "second"]
    assert order == ["before root", *scale, *scale, "relu", "root"]


def test_keywords_and_structures():
    model, seen = Block(), []
    model.register_forward_hook(lambda *values: seen.append(values), with_kwargs=True)
    model.register_forward_pre_hook(lambda *values: seen.append(values), with_kwargs=True)
    model(X, shift=1.0)
    (module, args, kwargs), (_, _, _, output) = seen
    assert module is model and len(args) == 1 and kwargs == {"shift": 1.0}
    assert type(output) is dict and type(output["pair"]) is tuple
    np.testing.assert_array_equal(output["pair"][0], [[2, -3]])
    np.testing.assert_array_equal(output["relu"], [[6, 0]])


def test_named_tuples_and_single_pictures():
    model, seen = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Identity()), []
    model[0].register_forward_hook(lambda _, args, output: seen.append((args[0].shape, output.shape)))
    model.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    model(np.zeros((3, 8, 8), np.float32))
    assert seen == [(3, 8, 8), ((3, 8, 8), (4, 6, 6))]
    network = rvision.models.googlenet(num_classes=3, aux_logits=True, init_weights=False)
    outputs = []
    network.register_forward_hook(lambda _, args, output: outputs.append(output))
    result = network(np.zeros((1, 3, 64, 64), np.float32))
    assert type(outputs[0]) is type(result)


def test_removing_a_hook():
    model, seen = Block(), []
    handle = model.scale.register_forward_hook(lambda *_: seen.append(1))
    with model.relu.register_forward_hook(lambda *_: seen.append(2)):
        model(X)
    assert seen == [1, 1, 2]
    model(X)
    assert seen == [1, 1, 2, 1, 1]
    handle.remove()
    handle.remove()
    model(X)
    assert len(seen) == 5


def test_the_trace_is_kept_although_the_hook_fills_a_list():
    model, seen = Block(), []
    model.relu.register_forward_hook(lambda _, args, output: seen.append(output))
    model(X)
    (trace,) = model._links.traces
    model(X)
    assert len(seen) == 2
    assert model._links.traces == [trace]


def test_a_hook_only_observes():
    model = Block()
    model.relu.register_forward_hook(lambda module, args, output: output * 2)
    with pytest.raises(rvision.UnsupportedError, match=r"ReLU: .*only observe; return None"):
        model(X)
    with pytest.raises(TypeError, match="must be callable, got str"):
        model.register_forward_hook("print")
    for name in ("register_full_backward_hook", "register_full_backward_pre_hook", "register_backward_hook"):
        with pytest.raises(rvision.UnsupportedError, match="inference only"):
            getattr(model, name)(print)


def test_copies_have_the_hooks_and_results_are_the_same():
    model = rvision.models.resnet18(num_classes=5)
    x = rvision.rand(2, 3, 64, 64)
    expected = model(x)
    seen = []
    model.layer2.register_forward_hook(lambda _, args, output: seen.append(output.shape))
    np.testing.assert_allclose(model(x), expected, rtol=1e-5, atol=1e-6)
    copy.deepcopy(model)(x)
    assert seen == [(2, 128, 8, 8)] * 2


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "densenet121"])
def test_against_torch(torch, name):
    import torchvision

    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(num_classes=7).eval()
    ours = getattr(rvision.models, name)(num_classes=7)
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)
    values: dict[str, list[tuple[str, np.ndarray]]] = {"theirs": [], "ours": []}

    def note(key, module_name, value):
        # A copy, since layers work in place later.
        values[key].append((module_name, np.array(value if key == "ours" else value.detach().numpy())))

    for key, model in (("theirs", theirs), ("ours", ours)):
        for module_name, module in model.named_modules():
            # The layers of a DenseNet are given lists there.
            if "denselayer" not in module_name:
                module.register_forward_pre_hook(
                    lambda _, args, key=key, name=module_name: note(key, name, args[0])
                )
                module.register_forward_hook(
                    lambda _, args, output, key=key, name=module_name: note(key, name, output)
                )
    with torch.no_grad():
        theirs(torch.from_numpy(x))
    ours(x)
    assert [each for each, _ in values["ours"]] == [each for each, _ in values["theirs"]]
    assert len(values["ours"]) > 20
    for (module_name, got), (_, expected) in zip(values["ours"], values["theirs"], strict=True):
        most = abs(expected).max()
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4 * most, err_msg=module_name)
