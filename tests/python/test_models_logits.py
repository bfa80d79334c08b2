"""Logits compared with torchvision's (or timm's), with random values; see `models_drawn`."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from models_cases import CASES
from models_drawn import GOLDEN, draw, pictures, structure, unpack_statistics
from rvision import models

# Of the largest logit. torch's own float32 error is below 2e-5 in all of these.
TOLERANCE = 5e-5
# Too slow to run live at a second size.
LARGE = (
    *("vgg", "wide_resnet", "resnext101", "resnet101", "resnet152"),
    *("convnext_base", "convnext_large", "vit_b_16", "vit_l", "vit_h", "swin_b", "swin_v2_b", "maxvit"),
)


@pytest.fixture(autouse=True)
def _free_the_network():
    yield
    gc.collect()


def drawn(name: str):
    """Return the network of a case with random values, and its golden arrays."""
    case = CASES[name]
    golden = np.load(GOLDEN / f"{name}.npz")
    model = models.get_model(case.builder, **case.kwargs)
    shapes = [(key, tuple(shape)) for key, shape in structure(name)["state_dict"]]
    values = draw(case, shapes, unpack_statistics(shapes, golden["statistics"]))
    model.load_state_dict(values)
    return model, values, golden


def distance(logits: np.ndarray, reference: np.ndarray) -> float:
    """Return the largest difference relative to the largest logit."""
    assert logits.shape == reference.shape
    assert logits.dtype == np.float32
    return float(np.abs(logits.astype(np.float64) - reference).max() / np.abs(reference).max())


@pytest.mark.parametrize("name", CASES)
def test_golden_logits(name):
    model, _, golden = drawn(name)
    for i, size in enumerate(CASES[name].sizes):
        error = distance(model(pictures(size)), golden[f"exact{i}"])
        print(f"{name} {size}: {error:.1e}")
        assert error <= TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_live_logits(torch, name):
    from models_torch import TIMM, reference

    if CASES[name].builder in TIMM:
        pytest.importorskip("timm")

    model, values, _ = drawn(name)
    theirs = reference(CASES[name])
    state = theirs.state_dict()  # with its versions, which MNASNet asks for
    state.update((key, torch.from_numpy(np.array(value))) for key, value in values.items())
    theirs.load_state_dict(state)
    sizes = CASES[name].sizes
    for size in sizes[:1] if name.startswith(LARGE) else sizes:
        x = pictures(size, "live")
        with torch.inference_mode():
            expected = theirs(torch.from_numpy(x)).numpy()
        assert distance(model(x), expected) <= TOLERANCE


@pytest.mark.parametrize("size", [(224, 225), (101, 64), (33, 190), (7, 8)])
def test_same_padding_follows_the_input_live(torch, size):
    pytest.importorskip("timm")
    from models_torch import reference

    model, values, _ = drawn("efficientnet_lite0")
    theirs = reference(CASES["efficientnet_lite0"])
    theirs.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in values.items()})
    x = pictures((2, 3, *size))
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(x)).numpy()
    assert distance(model(x), expected) <= TOLERANCE


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "mobilenet_v2",
        "squeezenet1_1",
        "efficientnet_lite0",
        "densenet121",
        "googlenet",
        "inception_v3",
        "shufflenet_v2_x0_5",
        "mnasnet0_5",
    ],
)
def test_a_picture_does_not_depend_on_its_batch(name):
    model, _, _ = drawn(name)
    x = pictures((3, 3, 97, 120))
    together = model(x)
    for i in (2, 0, 1):
        np.testing.assert_array_equal(model(x[i]), together[i])
        np.testing.assert_array_equal(model(x[i : i + 1])[0], together[i])
    assert not any(trace.size_bound for trace in model._links.traces)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("alexnet", 63),
        ("vgg11", 32),
        ("squeezenet1_0", 21),
        ("squeezenet1_1", 17),
        ("resnet18", 1),
        ("densenet121", 29),
        ("googlenet", 15),
        ("inception_v3", 75),
    ],
)
def test_the_least_size_is_the_one_published(name, size):
    model = models.get_model(name, num_classes=3)
    least = models.get_model_weights(name).DEFAULT.meta["min_size"]
    assert least == (size, size)
    assert model(pictures((1, 3, *least))).shape == (1, 3)
