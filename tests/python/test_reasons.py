"""Every reason in a state dict's diagnosis, reached through `load_state_dict`."""

from __future__ import annotations

import numpy as np
import pytest
from rvision import models, nn
from rvision.errors import StateDictError
from rvision.nn._diagnose import guess_architecture


@pytest.fixture(scope="module")
def model():
    return models.resnet18(num_classes=7)


@pytest.fixture(scope="module")
def state(model):
    """Return a file's state dict: arrays by name, without versions."""
    return {name: np.asarray(value) for name, value in model.state_dict().items()}


def refusal(network, given, **options):
    """Return the first line and the reason of the error for a state dict."""
    with pytest.raises(StateDictError) as caught:
        network.load_state_dict(given, **options)
    first, second, *_ = str(caught.value).splitlines()
    assert second.startswith("likely reason: "), str(caught.value)
    return first, second.removeprefix("likely reason: ")


def test_empty(model):
    assert refusal(model, {})[1] == "it is empty"


@pytest.mark.parametrize("entry", ["state_dict", "model", "my_weights"])
def test_a_training_checkpoint_of_a_network_with_batch_norm(model, state, entry):
    given = {"epoch": 3, "history": [[1.0], [0.5, 0.4]], "optimizer": {"state": {}}, entry: state}
    first, reason = refusal(model, given)
    # 62 parameters, 20 layers of batch norm with two statistics each; a checkpoint names no counter.
    assert first == "the state dict does not fit ResNet: 102 names are missing, 4 names are unexpected"
    assert f"its entry {entry!r}: pass checkpoint[{entry!r}]" in reason


def test_a_training_checkpoint_that_holds_the_whole_module(model):
    assert "its entry 'net'" in refusal(model, {"epoch": 3, "net": nn.Linear(2, 2)})[1]
    with pytest.raises(TypeError, match=r"got Linear; pass its \.state_dict\(\)"):
        model.load_state_dict(nn.Linear(2, 2))


def test_keys_that_are_no_names(model, state):
    with pytest.raises(TypeError, match="with the key 0 of type int"):
        model.load_state_dict({0: state})


def test_other_names(model, state):
    given = {f"stages.{i}.{name.upper()}": value for i, (name, value) in enumerate(state.items())}
    assert "other names for its layers: hardly a name is in both" in refusal(model, given)[1]


def test_a_prefix_counts_the_names_of_the_file(model, state):
    first, reason = refusal(model, {f"module.{name}": value for name, value in state.items()})
    assert first.endswith("122 names are missing, 122 names are unexpected")
    assert reason.startswith("every name carries the prefix 'module.' (DataParallel put it there)")
    old = {f"module.{name}": value for name, value in state.items() if "num_batches" not in name}
    first, reason = refusal(model, old)
    assert first.endswith("102 names are missing, 102 names are unexpected")
    assert reason.startswith("every name carries")


def test_two_prefixes(model, state):
    reason = refusal(model, {f"module._orig_mod.{name}": value for name, value in state.items()})[1]
    assert "the prefix 'module._orig_mod.' (DataParallel put it there, torch.compile put it there)" in reason


def test_a_prefix_of_the_model(model, state):
    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = models.resnet18(num_classes=7)

    assert "the model's names carry the prefix 'backbone.'" in refusal(Wrapper(), state)[1]


@pytest.mark.parametrize("stage", ["layer1", "layer4"])
def test_a_stage_that_was_compiled_alone(model, state, stage):
    given = {name.replace(f"{stage}.", f"{stage}._orig_mod."): value for name, value in state.items()}
    shapes = {name: value.shape for name, value in given.items()}
    assert guess_architecture(shapes) is None
    reason = refusal(model, given)[1]
    assert f"carry '_orig_mod.' (torch.compile put it there: {stage} was wrapped alone)" in reason
    assert "differ" not in reason
    # What the message says to do does it.
    model.load_state_dict({name.replace("_orig_mod.", ""): value for name, value in given.items()})


def test_features_that_ran_in_parallel():
    network = models.alexnet(num_classes=7)
    given = {name.replace("features.", "features.module."): v for name, v in network.state_dict().items()}
    assert "DataParallel put it there: features was wrapped alone" in refusal(network, given)[1]


def test_another_number_of_classes(state):
    reason = refusal(models.resnet18(num_classes=5), state)[1]
    assert reason.startswith("another number of classes: the state dict has 7, the model 5 (fc)")


def test_another_number_of_classes_in_three_heads():
    given = models.googlenet(num_classes=7, init_weights=False).state_dict()
    reason = refusal(models.googlenet(num_classes=5, init_weights=False), given)[1]
    assert reason.startswith("another number of classes: the state dict has 7, the model 5 (aux1.fc2, aux2")


def test_input_channels_and_classes_at_once(model, state):
    given = dict(state, **{"conv1.weight": np.zeros((64, 1, 7, 7), np.float32)})
    channels = "another number of input channels: the state dict has 1, the model 3 (conv1.weight)"
    assert refusal(model, given)[1] == channels
    assert refusal(model, given, strict=False)[1] == channels
    reason = refusal(models.resnet18(num_classes=5), given)[1]
    assert reason.startswith("another number of classes") and reason.endswith(channels)


def test_the_first_layer_of_small_pictures(model, state):
    given = dict(state, **{"conv1.weight": np.zeros((64, 3, 3, 3), np.float32)})
    expected = "another first layer: the state dict has (64, 3, 3, 3), the model (64, 3, 7, 7) (conv1.weight)"
    assert refusal(model, given)[1] == expected


def test_another_architecture(model):
    given = {name: np.asarray(value) for name, value in models.vgg11(num_classes=7).state_dict().items()}
    assert "looks like vgg11, the model like resnet18" in refusal(model, given)[1]
    given = {name: np.asarray(value) for name, value in models.resnet34(num_classes=7).state_dict().items()}
    assert "looks like resnet34, the model like resnet18" in refusal(model, given)[1]
    given = {name: np.asarray(value) for name, value in models.densenet169().state_dict().items()}
    assert "looks like densenet169, the model like resnet18" in refusal(model, given)[1]


def test_layers_that_one_of_them_lacks(model, state):
    headless = {name: value for name, value in state.items() if not name.startswith("fc.")}
    assert "layers that the state dict lacks (fc)" in refusal(model, headless)[1]
    more = {**state, "projector.weight": np.zeros((2, 2), np.float32)}
    assert "layers that the model lacks (projector)" in refusal(model, more)[1]


def test_another_head(model, state):
    given = {name.replace("fc.", "fc.1."): value for name, value in state.items()}
    assert refusal(model, given)[1].startswith("another fc: the state dict has fc.1 there, the model fc;")


def test_counters_that_a_new_file_lacks(model):
    given = model.state_dict()
    for name in list(given):
        if name.endswith("num_batches_tracked"):
            del given[name]
    first, reason = refusal(model, given)
    assert first.endswith("20 names are missing")
    assert "layers that the state dict lacks (bn1, " in reason


def test_counters_of_an_old_file_are_not_missing(model, state):
    old = {name: value for name, value in state.items() if "num_batches" not in name}
    assert model.load_state_dict(old).missing_keys == []
    # torch adds them to whatever has no versions, so that they are in no list.
    assert len(model.load_state_dict({}, strict=False).missing_keys) == 102


@pytest.mark.parametrize(
    "name", ["preact_resnet20", "wrn_16_8", "bn_inception", "resnext29_8x64d", "cifar10_resnet20"]
)
def test_no_network_is_taken_for_another(name):
    shapes = {key: value.shape for key, value in models.get_model(name).state_dict().items()}
    known = {"cifar10_resnet20": "a CIFAR resnet20", "bn_inception": "bn_inception"}
    assert guess_architecture(shapes) == known.get(name)
