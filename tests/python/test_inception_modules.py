"""Inception modules on their own, and their networks beyond the cases of `models_cases`."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import rvision
from models_cases import CASES
from models_drawn import draw, pictures
from rvision import models
from rvision.nn.parameter import Drawn

TOLERANCE = 5e-5


@pytest.fixture(autouse=True)
def _no_initial_values(monkeypatch):
    """Values are set here, or do not matter."""
    monkeypatch.setattr(Drawn, "make", lambda self, name: np.zeros(self.shape, np.float32))


def parameters_of(model) -> int:
    return sum(math.prod(p.shape) for p in model.parameters())


def drawn(model, case=CASES["googlenet_lrn"]):
    """Give a network random values; return them too."""
    values = draw(case, [(key, value.shape) for key, value in model.state_dict().items()], {})
    model.load_state_dict(values)
    return model, values


def load(torch, theirs, values):
    theirs.load_state_dict({key: torch.from_numpy(value) for key, value in values.items()})
    return theirs.eval()


def assert_close(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max()


def test_reductions_save_parameters():
    """The lecture's module: 256 channels in; 128, 192 and 96 out, plus those of the pool."""
    naive = models.NaiveInception(256, 128, 192, 96)
    reduced = models.ReducedInception(256, 128, 64, 192, 64, 96, 64)
    weights = 256 * 128 + 9 * 256 * 192 + 25 * 256 * 96
    assert parameters_of(naive) == weights + 128 + 192 + 96 == 1_089_952
    weights = 256 * 128 + 256 * 64 + 9 * 64 * 192 + 256 * 64 + 25 * 64 * 96 + 256 * 64
    assert parameters_of(reduced) == weights + 128 + 64 + 192 + 64 + 96 + 64 == 346_720
    assert (naive.out_channels, reduced.out_channels) == (672, 480)
    x = pictures((2, 256, 28, 28))
    assert naive(x).shape == (2, 672, 28, 28)
    assert reduced(x).shape == (2, 480, 28, 28)


def test_the_pool_of_the_naive_module_keeps_its_channels():
    module, _ = drawn(models.NaiveInception(5, 3, 4, 2))
    x = pictures((1, 5, 7, 9))
    around = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    largest = np.lib.stride_tricks.sliding_window_view(around, (3, 3), (2, 3)).max((-1, -2))
    np.testing.assert_array_equal(module(x)[:, 9:], largest)


@pytest.mark.parametrize("form", ["NaiveInception", "ReducedInception"])
def test_modules_live(torch, form):
    from references import googlenet_lrn as reference

    arguments = {"NaiveInception": (24, 16, 20, 12), "ReducedInception": (24, 16, 8, 20, 6, 12, 10)}[form]
    module, values = drawn(getattr(models, form)(*arguments))
    kind = {"NaiveInception": reference.NaiveInception, "ReducedInception": reference.Inception}[form]
    theirs = load(torch, kind(*arguments), values)
    for size in ((1, 24, 28, 28), (3, 24, 13, 17)):
        x = pictures(size)
        with torch.inference_mode():
            assert_close(module(x), theirs(torch.from_numpy(x)).numpy())


def test_googlenet_has_a_ninth_of_alexnets_parameters():
    alexnet, published = models.alexnet(), models.googlenet_lrn()
    assert parameters_of(alexnet) == 61_100_840
    assert parameters_of(published) == 6_998_552
    assert round(parameters_of(alexnet) / parameters_of(published), 1) == 8.7
    assert parameters_of(models.googlenet_lrn(aux_logits=True)) == 13_378_280


def test_auxiliary_classifiers_are_run_when_asked():
    model, _ = drawn(models.googlenet_lrn(num_classes=10, aux_logits=True))
    x = pictures((2, 3, 224, 224))
    outputs = model(x, return_aux=True)
    assert isinstance(outputs, models.GoogLeNetOutputs)
    assert [value.shape for value in outputs] == [(2, 10)] * 3
    np.testing.assert_array_equal(outputs.logits, model(x))
    # Of these sizes the classifiers see 14x14 to 16x16.
    for size in (223, 270):
        assert model(pictures((1, 3, size, size)), return_aux=True).aux_logits1.shape == (1, 10)
    for size in (222, 271):
        with pytest.raises(rvision.ShapeError, match=r"aux1\.fc1"):
            model(pictures((1, 3, size, size)), return_aux=True)


def test_auxiliary_classifiers_that_are_not_there():
    with pytest.raises(ValueError, match="aux_logits=True"):
        models.googlenet_lrn(num_classes=10)(pictures((1, 3, 64, 64)), return_aux=True)


def test_auxiliary_classifiers_live(torch):
    from references.googlenet_lrn import GoogLeNet

    model, values = drawn(models.googlenet_lrn(aux_logits=True))
    theirs = load(torch, GoogLeNet(aux_logits=True), values)
    x = pictures((2, 3, 224, 224), "live")
    with torch.inference_mode():
        expected = theirs.heads(torch.from_numpy(x))
    for ours, head in zip(model(x, return_aux=True), expected, strict=True):
        assert_close(ours, head.numpy())


def test_contrast_normalisation_live(torch):
    """Its constants are for pixels from 0 to 255; it hardly changes pictures of unit scale."""
    from references.googlenet_lrn import GoogLeNet

    case = replace(CASES["googlenet_lrn"], gain=1.2)
    model, values = drawn(models.googlenet_lrn(), case)
    theirs = load(torch, GoogLeNet(), values)
    x = 64 * pictures((2, 3, 129, 113), "live")
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(x)).numpy()
    ours = model(x)
    assert_close(ours, expected)
    for norm in (model.norm1, model.norm2):
        alpha, norm.alpha = norm.alpha, 0.0
        assert np.abs(model(x) - ours).max() > 0.01 * np.abs(ours).max()
        norm.alpha = alpha


def test_the_least_picture():
    model = models.googlenet_lrn(num_classes=3)
    assert model(pictures((1, 3, 31, 31))).shape == (1, 3)


def test_bn_inception_has_the_papers_channels():
    model = models.bn_inception(num_classes=5)
    channels = {name: m.out_channels for name, m in model.named_children() if name.startswith("inception")}
    assert list(channels.values()) == [256, 320, 576, 576, 576, 576, 576, 1024, 1024, 1024]
    assert parameters_of(models.bn_inception(separable=False)) == 11_194_984
    with pytest.raises(ValueError, match="'avg' or 'max', got 'sum'"):
        models.InceptionBN(8, 4, 4, 4, 4, 4, "sum", 4)


def test_bn_inception_with_an_ordinary_first_convolution_live(torch):
    from references.bn_inception import BNInception

    model, values = drawn(models.bn_inception(separable=False), CASES["bn_inception"])
    theirs = load(torch, BNInception(separable=False), values)
    x = pictures((2, 3, 97, 75), "live")
    with torch.inference_mode():
        assert_close(model(x), theirs(torch.from_numpy(x)).numpy())
