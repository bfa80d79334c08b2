"""The diagnosis of a state dict that does not fit."""

from __future__ import annotations

import pytest
import rvision
from rvision import models
from rvision.nn._diagnose import diagnose_state_dict, guess_architecture

WIDTHS = (64, 128, 256, 512)


def resnet(blocks=(2, 2, 2, 2), classes=1000, channels=3, bottleneck=False, width=64):
    shapes = {"conv1.weight": (64, channels, 7, 7), "bn1.weight": (64,), "bn1.num_batches_tracked": ()}
    for stage, count in enumerate(blocks):
        for block in range(count):
            name = f"layer{stage + 1}.{block}."
            out = WIDTHS[stage] * width // 64
            shapes[name + "conv1.weight"] = (out, 64, 3, 3)
            shapes[name + "conv2.weight"] = (out, out, 3, 3)
            if bottleneck:
                shapes[name + "conv3.weight"] = (4 * WIDTHS[stage], out, 1, 1)
            shapes[name + "bn1.num_batches_tracked"] = ()
    return {**shapes, "fc.weight": (classes, 512), "fc.bias": (classes,)}


def vgg():
    places = (0, 3, 6, 8, 11, 13, 16, 18)
    shapes = {f"features.{i}.weight": (64, 3 if i == 0 else 64, 3, 3) for i in places}
    return {**shapes, "classifier.6.weight": (1000, 4096)}


def diagnose(found, expected=None, **options):
    message = diagnose_state_dict("ResNet", expected or resnet(), found, **options)
    lines = message.splitlines()
    assert lines[0].startswith("the state dict does not fit ResNet: ")
    assert len(lines) <= 13
    return message


def test_a_wrappers_prefix():
    message = diagnose({f"module.{name}": shape for name, shape in resnet().items()})
    assert "every name carries the prefix 'module.' (DataParallel put it there)" in message
    assert "rvision.load(path, strip_prefix='module.')" in message
    assert "still differ" not in message


def test_a_prefix_of_some_names():
    found = {f"model.{name}": shape for name, shape in resnet(classes=10).items()}
    found["loss.weight"] = (10,)
    message = diagnose(found)
    assert f"{len(found) - 1} of {len(found)} names carry the prefix 'model.'" in message
    assert "2 names or shapes will still differ (fc.weight, fc.bias)" in message


def test_a_prefix_of_the_model():
    message = diagnose(resnet(), {f"backbone.{name}": shape for name, shape in resnet().items()})
    assert "the model's names carry the prefix 'backbone.'" in message
    assert "load it into model.backbone" in message


def test_another_number_of_classes():
    message = diagnose(resnet(classes=10))
    assert "another number of classes: the state dict has 10, the model 1000 (fc)" in message
    assert "num_classes=10" in message
    assert "fc.weight: the model has (1000, 512), the state dict (10, 512)" in message


def test_another_number_of_input_channels():
    message = diagnose(resnet(channels=1))
    assert "the state dict has 1, the model 3 (conv1.weight)" in message


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (resnet((3, 4, 6, 3)), "resnet34"),
        (resnet((3, 4, 6, 3), bottleneck=True), "resnet50"),
        (resnet((3, 4, 23, 3), bottleneck=True, width=128), "wide_resnet101_2"),
        (resnet((9, 9, 9)), "a CIFAR resnet56"),
        (vgg(), "vgg11"),
    ],
)
def test_another_architecture(found, name):
    assert guess_architecture(found) == name
    assert f"the state dict looks like {name}, the model like resnet18" in diagnose(found)


def test_names_of_another_library():
    found = {f"net.stage.{i}.w": (3,) for i in range(50)}
    assert guess_architecture(found) is None
    assert "hardly a name is in both" in diagnose(found)


def test_a_training_checkpoint():
    message = diagnose({"epoch": (), "state_dict": (), "optimizer": ()})
    assert "its entry 'state_dict'" in message


def test_an_empty_state_dict():
    assert "it is empty" in diagnose({})


def test_layers_that_are_missing():
    shapes = resnet()
    found = {name: shape for name, shape in shapes.items() if not name.startswith("fc.")}
    message = diagnose(found)
    assert "2 names are missing" in message
    assert "the model has layers that the state dict lacks (fc)" in message


def test_counters_are_named_only_where_nothing_else_is_wrong():
    shapes = resnet()
    found = {name: shape for name, shape in shapes.items() if "num_batches" not in name}
    assert "9 names are missing" in diagnose(found)
    del found["fc.bias"]
    assert "1 name is missing" in diagnose(found)


def test_few_names_of_every_kind():
    expected = {f"a{i}.weight": (1,) for i in range(50)}
    found = {f"a{i}.weight": (2,) for i in range(25)} | {f"b{i}.weight": (1,) for i in range(50)}
    message = diagnose(found, expected)
    assert "25 shapes differ, 25 names are missing, 50 names are unexpected" in message
    details = message.splitlines()[-11:]
    assert sum("the state dict (2,)" in line for line in details) == 4
    assert sum("missing" in line for line in details) == 3
    assert sum(": unexpected" in line for line in details) == 3
    assert details[-1] == "  ... and 90 more"


def test_names_do_not_count_where_they_need_not_fit():
    found = {"fc.weight": (10, 512), "unrelated": (1,)}
    message = diagnose(found, strict=False)
    assert "1 shape differs" in message
    assert "unrelated" not in message


@pytest.mark.parametrize(
    "names", [("AuxLogits.conv0.conv.weight", "AuxLogits.fc.bias"), ("aux1.fc.bias", "aux2.fc.bias")]
)
def test_auxiliary_classifiers_on_one_side_alone(names):
    auxiliary = dict.fromkeys(names, (8,))
    full = {**resnet(), **auxiliary}
    assert "state dict lacks" in (lacking := diagnose(resnet(), full))
    assert lacking.splitlines()[1].endswith("auxiliary classifiers: build the model with aux_logits=False")
    assert "model lacks" in (more := diagnose(full, resnet()))
    assert more.splitlines()[1].endswith("auxiliary classifiers: build the model with aux_logits=True")
    assert "aux_logits" not in diagnose({**full, "mask.weight": (8,)}, resnet())


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_the_advice_about_auxiliary_classifiers_is_right(name):
    without = models.get_model(name, aux_logits=False, num_classes=3).state_dict()
    with pytest.raises(rvision.StateDictError, match="build the model with aux_logits=False"):
        models.get_model(name, weights=without, num_classes=3)
    assert models.get_model(name, weights=without, num_classes=3, aux_logits=False)
