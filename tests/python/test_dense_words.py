"""The printed form of a convolutionized network, and the advice in refusals, followed here."""

from __future__ import annotations

import re

import numpy as np
import pytest
import rvision
from models_drawn import pictures
from rvision import dense, models, nn
from rvision.cli import main
from rvision.errors import ArgumentError, UnsupportedError
from test_models_logits import distance, drawn

ALEXNET = """\
Convolutionized(
  window_size=(224, 224), stride=(32, 32)
  (model): AlexNet(
    (features): Sequential(
      (0): Conv2d(3, 64, kernel_size=(11, 11), stride=(4, 4), padding=(2, 2))
      (1): ReLU(inplace=True)
      (2): MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)
      (3): Conv2d(64, 192, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
      (4): ReLU(inplace=True)
      (5): MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)
      (6): Conv2d(192, 384, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
      (7): ReLU(inplace=True)
      (8): Conv2d(384, 256, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
      (9): ReLU(inplace=True)
      (10): Conv2d(256, 256, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
      (11): ReLU(inplace=True)
      (12): MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)
    )
    (avgpool): Identity()
    (classifier): Sequential(
      (0): Dropout(p=0.5, inplace=False)
      (1): Conv2d(256, 4096, kernel_size=(6, 6), stride=(1, 1))
      (2): ReLU(inplace=True)
      (3): Dropout(p=0.5, inplace=False)
      (4): Conv2d(4096, 4096, kernel_size=(1, 1), stride=(1, 1))
      (5): ReLU(inplace=True)
      (6): Conv2d(4096, 1000, kernel_size=(1, 1), stride=(1, 1))
    )
  )
)"""


# ---- what is shown ----


def test_alexnet_is_shown_with_the_convolutions_that_it_runs():
    model = models.alexnet()
    before = repr(model)
    fully = rvision.convolutionize(model, 224)
    assert repr(fully) == ALEXNET
    # The classifier is what it was, also inside of the converted network.
    assert repr(model) == repr(fully.model) == before
    assert "Linear" in before


@pytest.mark.parametrize(
    ("name", "arguments", "lines"),
    [
        (
            "vgg11",
            {"stride": 16},
            [
                "(20): MaxPool2d(kernel_size=(2, 2), stride=1, padding=0, dilation=1, ceil_mode=False)",
                "(0): Conv2d(512, 4096, kernel_size=(7, 7), stride=(1, 1), dilation=(2, 2))",
            ],
        ),
        ("vgg11", {"input_size": 300}, ["(0): Conv2d(512, 4096, kernel_size=(9, 9), stride=(1, 1))"]),
        (
            "resnet18",
            {},
            [
                "(avgpool): AvgPool2d(kernel_size=(7, 7), stride=1, padding=0)",
                "(fc): Conv2d(512, 1000, kernel_size=(1, 1), stride=(1, 1))",
            ],
        ),
        (
            "resnet18",
            {"stride": 16},
            [
                "(conv1): Conv2d(256, 512, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)",
                "(0): Conv2d(256, 512, kernel_size=(1, 1), stride=(1, 1), bias=False)",
                "(conv2): Conv2d(512, 512, kernel_size=(3, 3), stride=(1, 1), padding=(2, 2), "
                "dilation=(2, 2), bias=False)",
                "(avgpool): AvgPool2d(kernel_size=(7, 7), stride=1, padding=0, dilation=2)",
            ],
        ),
        (
            "mobilenet_v2",
            {},
            [
                "(adaptive_avg_pool2d): AvgPool2d(kernel_size=(7, 7), stride=1, padding=0)",
                "(1): Conv2d(1280, 1000, kernel_size=(1, 1), stride=(1, 1))",
            ],
        ),
        ("squeezenet1_1", {}, ["(3): AvgPool2d(kernel_size=(13, 13), stride=1, padding=0)"]),
        ("shufflenet_v2_x0_5", {}, ["(mean): AvgPool2d(kernel_size=(7, 7), stride=1, padding=0)"]),
        ("nin_cifar10", {}, ["(avgpool): AvgPool2d(kernel_size=(8, 8), stride=1, padding=0)"]),
        ("lenet5", {}, ["(0): Conv2d(16, 120, kernel_size=(5, 5), stride=(1, 1))"]),
    ],
)
def test_lines_of_other_networks(name, arguments, lines):
    model = models.get_model(name)
    text = repr(rvision.convolutionize(model, **arguments))
    shown = [line.strip() for line in text.splitlines()]
    for line in lines:
        assert line in shown
    assert "Linear(" not in text and "Adaptive" not in text
    # In the order of running: a window that is a call in forward stands before the layer that reads it.
    assert re.search(r"(Conv2d|AvgPool2d)\([^\n]*\)(\n *\))*$", text)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "squeezenet1_1"])
def test_a_network_that_is_built_as_it_is_shown_computes_the_same(name):
    """Follow the printed form: it shows the classes and arguments for torch."""
    model, _, _ = drawn(name)
    fully = rvision.convolutionize(model)
    shown = dict(re.findall(r"\((\w+)\): ((?:Conv2d|AvgPool2d)\(.*\))", repr(fully)))
    last = {"resnet18": "fc", "mobilenet_v2": "1", "squeezenet1_1": "1"}[name]
    pool = {"resnet18": "avgpool", "mobilenet_v2": "adaptive_avg_pool2d", "squeezenet1_1": "3"}[name]
    window = eval(shown[pool], {"AvgPool2d": nn.AvgPool2d})
    head = eval(shown[last], {"Conv2d": nn.Conv2d})
    layer = {"resnet18": lambda: model.fc, "mobilenet_v2": lambda: model.classifier[1]}.get(
        name, lambda: model.classifier[1]
    )()
    head.weight, head.bias = np.reshape(layer.weight, np.shape(head.weight)), layer.bias
    x = pictures((1, 3, 288, 256), "shown")
    if name == "resnet18":
        body = nn.Sequential(*list(model.children())[:-2])
        built = nn.Sequential(body, window, head)
    elif name == "mobilenet_v2":
        built = nn.Sequential(model.features, window, head)
    else:
        built = nn.Sequential(model.features, head, nn.ReLU(), window)
    assert distance(built(x), fully(x)) <= 1e-5


def test_auxiliary_heads_that_are_not_run_are_not_shown():
    model = models.googlenet()
    assert "aux1" in repr(model) and "aux1" not in repr(rvision.convolutionize(model))


def test_shared_and_repeated_modules_have_their_lines():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Conv2d(3, 4, 3), relu, nn.Conv2d(4, 4, 3), relu, nn.Flatten(), nn.Linear(16, 2))
    text = repr(rvision.convolutionize(model, 6))
    assert text.count("ReLU()") == 2
    assert "(4): Identity()" in text and "(5): Conv2d(4, 2, kernel_size=(2, 2), stride=(1, 1))" in text
    listed = models.mcdnn_mnist()
    assert "(0-34): 35 x MCDNNColumn(" in repr(rvision.convolutionize(listed))


def test_a_network_that_can_not_be_shown_as_it_runs_is_shown_as_it_is():
    fully = rvision.convolutionize(models.lenet5())
    fully.model.classifier = nn.Sequential(nn.Linear(3, 4))
    assert "Linear(in_features=3, out_features=4, bias=True)" in repr(fully)
    # How many channels there are is known from the first picture.
    unknown = rvision.convolutionize(nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(3, 2)), 4)
    assert "Linear(" in repr(unknown)
    unknown(np.zeros((1, 3, 8, 8), np.float32))
    assert "Conv2d(3, 2, kernel_size=(1, 1)" in repr(unknown)


# ---- what is advised ----

SQUEEZED, ATTENTIVE = "mobilenet_v3_small", "vit_b_32"
PICTURE = np.zeros((3, 256, 288), np.float32)


def told(call) -> str:
    with pytest.raises((UnsupportedError, ArgumentError)) as caught:
        call()
    return str(caught.value)


def follow(text: str, **names: object) -> list[object]:
    """Follow the advice of a message: evaluate each call in it."""
    scope = {"dense": dense, "convolutionize": rvision.convolutionize, **names}
    scope["receptive_field"] = dense.receptive_field
    calls = []
    for start in re.finditer(r"(dense\.predict|receptive_field|(?<![\w(])convolutionize)\(", text):
        depth = 0
        for end in range(start.end() - 1, len(text)):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            if depth == 0:
                calls.append(eval(text[start.start() : end + 1], scope))
                break
    return calls


@pytest.mark.parametrize(("name", "count"), [(SQUEEZED, 2), ("efficientnet_b0", 2), (ATTENTIVE, 1)])
def test_the_advice_of_convolutionize_is_accepted(name, count):
    model = models.get_model(name)
    text = told(lambda: rvision.convolutionize(model, 224))
    done = follow(text, model=model, picture=PICTURE)
    assert len(done) == count
    assert done[0].shape == (2, 3)
    if count == 2:
        assert done[1](PICTURE[None]).shape[:2] == (1, 1000)


@pytest.mark.parametrize("name", [SQUEEZED, ATTENTIVE])
def test_the_advice_of_predict_is_accepted(name):
    model = models.get_model(name)
    for function in (dense.predict, lambda *both: dense.SlidingWindowDetector(both[0])(both[1])):
        text = told(lambda function=function: function(model, PICTURE))
        assert "padding='per_window' with a stride, such as stride=32" in text
        assert dense.predict(model, PICTURE, padding="per_window", stride=32).shape == (2, 3)
        detector = dense.SlidingWindowDetector(model, padding="per_window", stride=32)
        assert detector(PICTURE)["boxes"].shape[1] == 4
        if name == SQUEEZED:
            assert "or squeeze='global'" in text
            assert dense.predict(model, PICTURE, squeeze="global").shape == (2, 3)
        else:
            assert "squeeze" not in text
    stride = told(lambda: dense.predict(model, PICTURE, padding="per_window"))
    assert "give it, such as stride=32" in stride and "choose" not in stride


@pytest.mark.parametrize("name", [SQUEEZED, ATTENTIVE])
def test_the_advice_of_scan_and_receptive_field_is_accepted(name):
    model = models.get_model(name)
    (found,) = follow(told(lambda: dense.scan(model, PICTURE)), model=model, picture=PICTURE)
    assert found.shape == (2, 3)
    text = told(lambda: dense.receptive_field(model))
    fields = follow(text, model=model)
    assert len(fields) == (name == SQUEEZED)
    assert all(isinstance(field, dense.ReceptiveField) for field in fields)


def test_the_advice_of_the_command_line_is_accepted(tmp_path, capsys, monkeypatch):
    from PIL import Image

    monkeypatch.setenv("RVISION_OFFLINE", "1")
    rvision.save(models.mobilenet_v3_small(), tmp_path / "small.safetensors")
    Image.new("RGB", (256, 240)).save(tmp_path / "picture.png")
    weights = ["--model", SQUEEZED, "--weights", str(tmp_path / "small.safetensors")]
    for command in ("dense", "detect"):
        line = [command, str(tmp_path / "picture.png"), *weights, "--scales", "1.0"]
        assert main(line) == 2
        text = capsys.readouterr().err
        assert "--padding per_window with --stride N, such as 32" in text and "--squeeze global" in text
        assert main([*line, "--padding", "per_window", "--stride", "32"]) == 0
        assert main([*line, "--squeeze", "global"]) == 0
        capsys.readouterr()


def test_the_other_advices_are_accepted():
    # A window over single positions behind a larger stride: one that divides what lies between them.
    model = nn.Sequential(
        nn.Conv2d(3, 4, 8, stride=8), nn.Conv2d(4, 4, 3, padding=1), nn.Flatten(), nn.Linear(4, 2)
    )
    stride = int(
        re.search(r"; choose stride=(\d+)$", told(lambda: rvision.convolutionize(model, 8, stride=16)))[1]
    )
    assert rvision.convolutionize(model, 8, stride=stride).stride == (stride, stride)
    # An adaptive maximum of areas that differ: an input size whose map is a multiple.
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveMaxPool2d(4), nn.Flatten(), nn.Linear(64, 2))
    assert "choose an input_size whose map is a multiple" in told(lambda: rvision.convolutionize(model, 12))
    assert rvision.convolutionize(model, 10).window_size == (10, 10)


def test_lists_of_layers_advise_the_whole_model_or_single_layers():
    model = models.get_model(SQUEEZED)
    layers = [*model.features, model.avgpool, nn.Flatten(), *model.classifier]
    text = told(lambda: rvision.convolutionize(layers, 224))
    assert re.search(r"layer 1 \(InvertedResidual\): .*the whole model, with squeeze='global'", text)
    rvision.convolutionize(model, squeeze="global")
    alexnet = models.alexnet()
    whole = [*alexnet.features, alexnet.avgpool, nn.Sequential(nn.Flatten(), *alexnet.classifier)]
    assert "layers in it one by one" in told(lambda: rvision.convolutionize(whole, 224))
    single = rvision.convolutionize([*whole[:-1], *whole[-1]], 224)
    assert nn.Sequential(*single)(np.zeros((1, 3, 224, 224), np.float32)).shape == (1, 1000, 1, 1)
    pooled = [nn.Conv2d(3, 4, 3), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(4, 2)]
    assert "layers in it one by one" in told(lambda: rvision.convolutionize(pooled, 12))
    assert len(rvision.convolutionize([pooled[0], *pooled[1], pooled[2]], 12)) == 4
    # Blocks that look at no whole map stay as they are.
    resnet = models.resnet18()
    converted = rvision.convolutionize(list(resnet.children()), 224)
    assert nn.Sequential(*converted)(np.zeros((1, 3, 256, 224), np.float32)).shape == (1, 1000, 2, 1)
