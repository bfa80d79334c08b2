"""rvision.Ensemble: averages, shared preparation, evaluation."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import models, nn
from rvision import transforms as T


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def classifier(classes: int = 4, seed: int = 0) -> nn.Module:
    model = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, classes))
    rng = np.random.default_rng(seed)
    model[2].weight = 5 * rng.standard_normal((classes, 12), np.float32)
    return model


def pictures(n: int = 3) -> np.ndarray:
    return np.random.default_rng(7).standard_normal((n, 3, 9, 8), np.float32)


MEMBERS = [classifier(seed=seed) for seed in (1, 2, 3)]


@pytest.fixture
def logits() -> np.ndarray:
    """Return the members' logits, (members, N, classes)."""
    return np.stack([member(pictures()) for member in MEMBERS])


# ---- averages ----


def test_probabilities_are_averaged(logits):
    got = rvision.Ensemble(MEMBERS)(pictures())
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.mean([softmax(each) for each in logits], 0), atol=1e-6)
    np.testing.assert_allclose(got.sum(1), 1, atol=1e-6)


def test_logits_are_averaged(logits):
    got = rvision.Ensemble(MEMBERS, average="logits")(pictures())
    np.testing.assert_allclose(got, logits.mean(0), rtol=1e-6, atol=1e-6)


def test_log_probabilities_are_averaged_and_are_such_again(logits):
    got = rvision.Ensemble(MEMBERS, "logprobs")(pictures())
    geometric = np.exp(np.mean([np.log(softmax(each)) for each in logits], 0))
    expected = np.log(geometric / geometric.sum(1, keepdims=True))
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.exp(got).sum(1), 1, atol=1e-5)
    order = rvision.Ensemble(MEMBERS, "logits")(pictures()).argsort(1)
    np.testing.assert_array_equal(got.argsort(1), order)


def test_one_member_is_the_ensemble():
    x = pictures()
    np.testing.assert_array_equal(rvision.Ensemble(MEMBERS[:1], "logits")(x), MEMBERS[0](x))


def test_averages_equal_torchs(torch, logits):
    each = torch.from_numpy(logits)
    expected = {
        "probs": each.softmax(-1).mean(0),
        "logits": each.mean(0),
        "logprobs": each.log_softmax(-1).mean(0).log_softmax(-1),
    }
    for average, value in expected.items():
        got = rvision.Ensemble(MEMBERS, average)(pictures())
        np.testing.assert_allclose(got, value.numpy(), rtol=1e-5, atol=1e-6)


# ---- a module ----


def test_members_run_as_one_network():
    ensemble = rvision.Ensemble(MEMBERS)
    ensemble(pictures())
    (trace,) = ensemble._links.traces
    assert {"0.2", "1.2", "2.2"} <= set(trace.graph.node_names)
    assert not any(member._links.traces for member in map(copy.deepcopy, ensemble))
    assert len(ensemble) == 3 and ensemble[-1] is MEMBERS[2] and list(ensemble) == MEMBERS


def test_it_is_a_module_like_others(tmp_path):
    ensemble = rvision.Ensemble(MEMBERS, transforms=T.ToTensor())
    expected = ensemble(pictures())
    assert list(ensemble.state_dict()) == [f"{i}.2.{name}" for i in range(3) for name in ("weight", "bias")]
    assert repr(ensemble).startswith("Ensemble(\n  average='probs'\n  (0): Sequential(")
    for twin in (copy.deepcopy(ensemble), pickle.loads(pickle.dumps(ensemble))):
        np.testing.assert_array_equal(twin(pictures()), expected)
    rvision.save(ensemble.state_dict(), tmp_path / "ensemble.safetensors")
    other = rvision.Ensemble([classifier(seed=9) for _ in range(3)])
    other.load_state_dict(rvision.load(tmp_path / "ensemble.safetensors"))
    np.testing.assert_array_equal(other(pictures()), expected)


def test_one_picture_and_one_model_twice():
    x = pictures()
    ensemble = rvision.Ensemble([MEMBERS[0], MEMBERS[1], MEMBERS[0]])
    np.testing.assert_array_equal(ensemble(x[0]), ensemble(x)[0])
    weights = [2 / 3, 1 / 3]
    expected = sum(w * softmax(member(x)) for w, member in zip(weights, MEMBERS[:2], strict=True))
    np.testing.assert_allclose(ensemble(x), expected, atol=1e-6)


def test_a_changed_member_is_seen():
    members = [classifier(seed=1), classifier(seed=2)]
    ensemble = rvision.Ensemble(members, "logits")
    before = ensemble(pictures())
    members[1][2].bias = np.full(4, 2, np.float32)
    np.testing.assert_allclose(ensemble(pictures()), before + 1, atol=1e-5)


# ---- preparation ----


class Counted:
    """A transform that counts its calls. Like presets, it is equal to others of the same size."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.calls = 0

    def __call__(self, img: Image.Image) -> np.ndarray:
        self.calls += 1
        return T.functional.to_tensor(img.resize((self.size, self.size)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counted) and other.size == self.size

    __hash__ = None


def test_equal_preparations_are_done_once():
    transforms = [Counted(9), Counted(12), Counted(9)]
    ensemble = rvision.Ensemble(MEMBERS, "logits", transforms=transforms)
    img = Image.fromarray(np.random.default_rng(1).integers(0, 255, (20, 30, 3), np.uint8))
    prepared = ensemble.transforms(img)
    assert [array.shape for array in prepared] == [(3, 9, 9), (3, 12, 12)]
    assert [transform.calls for transform in transforms] == [1, 1, 0]
    expected = np.mean([m(prepared[i]) for m, i in zip(MEMBERS, (0, 1, 0), strict=True)], 0)
    np.testing.assert_allclose(ensemble(prepared), expected, rtol=1e-5, atol=1e-6)


def test_presets_with_the_same_settings_are_one():
    same = [T.ImageClassification(crop_size=8, resize_size=9) for _ in range(3)]
    ensemble = rvision.Ensemble(MEMBERS, transforms=same)
    assert ensemble.transforms == same[0]
    assert rvision.Ensemble(MEMBERS, transforms=same[0]).transforms is same[0]
    assert rvision.Ensemble(MEMBERS).transforms is None


@pytest.mark.parametrize("batch_size", [1, 2, 16])
def test_evaluation_of_members_with_their_own_preparations(batch_size):
    rng = np.random.default_rng(3)
    sources = [Image.fromarray(rng.integers(0, 255, (30, 30 + i, 3), np.uint8)) for i in range(5)]
    presets = [T.ImageClassification(crop_size=size, resize_size=size) for size in (8, 12, 8)]
    ensemble = rvision.Ensemble(MEMBERS, transforms=presets)
    expected = [ensemble(ensemble.transforms(source)).argmax() for source in sources]
    result = rvision.evaluate(
        ensemble, sources, expected, transforms=ensemble.transforms, batch_size=batch_size
    )
    assert result.accuracy() == 1


# ---- mistakes ----


def test_arguments_that_do_not_fit():
    with pytest.raises(rvision.ArgumentError, match="at least one, got none"):
        rvision.Ensemble([])
    with pytest.raises(rvision.ArgumentError, match="one of probs, logits, logprobs, got 'mean'"):
        rvision.Ensemble(MEMBERS, "mean")
    with pytest.raises(rvision.ArgumentError, match="one for each of the 3 models, got 2"):
        rvision.Ensemble(MEMBERS, transforms=[T.ToTensor(), T.ToTensor()])


def test_members_with_other_classes():
    ensemble = rvision.Ensemble([classifier(4), classifier(4), classifier(5)])
    with pytest.raises(
        rvision.ArgumentError,
        match=r"same classes, .*: model 0 \(Sequential\) 4, model 1 .* 4, model 2 \(Sequential\) 5",
    ):
        ensemble(pictures())


def test_members_that_are_no_classifiers():
    with pytest.raises(rvision.ArgumentError, match=r"model 1 \(ReLU\).*got \(3, 3, 9, 8\)"):
        rvision.Ensemble([MEMBERS[0], nn.ReLU()])(pictures())


def test_pictures_that_are_prepared_in_too_few_ways():
    two = rvision.Ensemble(MEMBERS[:2], transforms=[Counted(9), Counted(12)])
    with pytest.raises(rvision.ArgumentError, match=r"expected a tuple of 2 arrays, .* got 1"):
        two(pictures())
    with pytest.raises(rvision.ArgumentError, match=r"expected one array for all models, .* got 2"):
        rvision.Ensemble(MEMBERS)((pictures(), pictures()))


# ---- real networks ----


def hits_of(outputs: np.ndarray, labels: np.ndarray) -> dict[int, int]:
    places = (outputs > outputs[np.arange(len(labels)), labels][:, None]).sum(1)
    return {k: int((places < k).sum()) for k in (1, 5)}


@pytest.mark.parametrize("average", ["probs", "logits", "logprobs"])
def test_real_networks_on_real_pictures(real_data, average):
    names = ("squeezenet1_0", "squeezenet1_1", "mobilenet_v2")
    members = [models.get_model(name, weights=real_data / f"{name}.pth") for name in names]
    presets = [models.get_model_weights(name).IMAGENET1K_V1.transforms() for name in names]
    references = [np.load(real_data / f"{name}.reference.npz") for name in names]
    logits, labels = np.stack([each["logits"] for each in references]), references[0]["labels"]
    averaged = {
        "probs": lambda each: np.mean([softmax(x) for x in each], 0),
        "logits": lambda each: each.mean(0),
        "logprobs": lambda each: np.mean([np.log(softmax(x)) for x in each], 0),
    }[average]
    for count in (2, 3):
        ensemble = rvision.Ensemble(members[:count], average, transforms=presets[:count])
        result = rvision.evaluate(ensemble, real_data / "imagenet", transforms=ensemble.transforms)
        assert result.hits == hits_of(averaged(logits[:count]), labels)
        if count == 2:
            # The two SqueezeNets are better together than either is.
            for k in (1, 5):
                assert result.hits[k] > max(hits_of(each, labels)[k] for each in logits[:2])
