"""What a cell shows of networks and of their weights."""

from __future__ import annotations

import pytest
from rvision import models, nn
from rvision.nn.parameter import Drawn
from rvision.weights import LeNet5_Weights, ResNet50_Weights, WeightsEnum


def test_a_network_is_a_tree_that_folds_and_nothing_is_initialised():
    model = models.resnet18()

    def held() -> list[object]:
        return [value for module in model.modules() for value in module._parameters.values()]

    before = held()
    assert any(isinstance(value, Drawn) for value in before)
    html = model._repr_html_()
    # torchvision's number; a title for the network and each module that has children.
    assert "11,689,512 parameters" in html
    assert html.count("<details") == sum(1 for module in model.modules() if module._modules)
    assert html.count("</details>") == html.count("<details")
    assert "Conv2d" in html
    assert "3, 64, kernel_size=(7, 7)" in html
    # A value that is initialised replaces the one that is not.
    assert all(now is then for now, then in zip(held(), before, strict=True))


def test_shared_parameters_count_once_and_text_is_escaped():
    layer = nn.Linear(3, 2)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    model.register_module("<b>", None)
    html = model._repr_html_()
    assert 'Sequential <span class="faint">8 parameters' in html
    assert "&lt;b&gt;" in html


def test_the_docstring_of_weights_shows_their_accuracies():
    text = ResNet50_Weights.__doc__
    assert "80.858" in text
    assert "IMAGENET1K_V2 (DEFAULT)" in text
    assert "25,557,032" in text
    assert ResNet50_Weights.IMAGENET1K_V1.meta["recipe"] in text
    assert "98.600" in LeNet5_Weights.__doc__


@pytest.mark.parametrize("enum", WeightsEnum.__subclasses__())
def test_every_weights_class_has_a_table(enum):
    if enum.__module__.startswith("rvision."):
        assert all(name in enum.__doc__ for name in enum.__members__ if name != "DEFAULT")
        assert all(line == line.rstrip() or not line.strip() for line in enum.__doc__.splitlines())


def test_a_members_html_has_accuracy_size_and_recipe():
    html = ResNet50_Weights.DEFAULT._repr_html_()
    for text in ("80.858", "25,557,032", "97.8 MiB", "resize_size=[232]", 'href="https://github.com'):
        assert text in html
    assert repr(ResNet50_Weights.DEFAULT) == "ResNet50_Weights.IMAGENET1K_V2"
