"""rvision.fit_head: a last layer fitted to one's own classes."""

from __future__ import annotations

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import datasets, dense, models, nn, transforms

CLASSES = ["checks", "rows", "stripes"]


def picture(kind: int, seed: int, side: int = 64) -> np.ndarray:
    """A texture of one of three kinds, (3, side, side), at a random place, in a random colour."""
    rng = np.random.default_rng((kind, seed))
    y, x = np.mgrid[:side, :side] + rng.integers(0, 16, (2, 1, 1))
    waves = [np.sign(np.sin(x / 3) * np.sin(y / 3)), np.sin(y / 3), np.sin(x / 3)][kind]
    return (waves * rng.uniform(0.5, 1, (3, 1, 1)) + 0.1 * rng.standard_normal((3, side, side))).astype("f4")


TRAIN = np.stack([picture(kind, seed) for kind in range(3) for seed in range(8)])
TRUTHS = np.repeat(np.arange(3), 8)
HELD_OUT = np.stack([picture(kind, 100 + seed) for kind in range(3) for seed in range(8)])


@pytest.fixture(scope="module")
def backbone():
    model = models.resnet18(num_classes=7)
    # Values are drawn when they are first read, and a copy would draw its own.
    model(TRAIN[:1])
    return model


def features_of(model, pictures):
    return np.asarray(nn.Sequential(*list(model.children())[:-1], nn.Flatten())(pictures), np.float64)


def test_own_classes_are_learned(backbone):
    before = backbone.fc.weight.copy()
    mine = rvision.fit_head(backbone, TRAIN, [CLASSES[truth] for truth in TRUTHS])
    assert type(mine) is type(backbone) and mine.fc.out_features == 3
    assert (mine(HELD_OUT).argmax(1) == TRUTHS).mean() > 0.9
    # The given network is as before, and the weights are shared.
    assert np.array_equal(backbone.fc.weight, before) and backbone(TRAIN[:1]).shape == (1, 7)
    assert mine.layer1[0].conv1.weight._handle is backbone.layer1[0].conv1.weight._handle


def test_ridge_regression_is_the_closed_form(backbone):
    mine = rvision.fit_head(backbone, TRAIN, TRUTHS, regularisation=0.1)
    x = features_of(backbone, TRAIN)
    centred, targets = x - x.mean(0), np.eye(3)[TRUTHS]
    alpha = 0.1 * (np.linalg.svd(centred, compute_uv=False) ** 2).mean()
    weight = np.linalg.solve(
        centred.T @ centred + alpha * np.eye(x.shape[1]), centred.T @ (targets - targets.mean(0))
    ).T
    bias = targets.mean(0) - weight @ x.mean(0)
    # Scores are scaled as a whole.
    factor = np.linalg.norm(mine.fc.weight) / np.linalg.norm(weight)
    np.testing.assert_allclose(mine.fc.weight, factor * weight, rtol=1e-3, atol=1e-4 * np.abs(weight).max())
    np.testing.assert_allclose(mine.fc.bias, factor * bias, rtol=1e-3, atol=1e-3)


def test_the_strength_is_that_of_the_smallest_leave_one_out_error(backbone):
    from rvision._fit_head import _STRENGTHS

    x = features_of(backbone, TRAIN)[::2]
    truths = TRUTHS[::2]
    targets = np.eye(3)[truths]
    whole = x - x.mean(0)
    unit = (np.linalg.svd(whole, compute_uv=False) ** 2).mean()
    errors = []
    for share in _STRENGTHS:
        error = 0.0
        for left in range(len(x)):
            rest = np.arange(len(x)) != left
            # The mean stays that of all: the intercept is not shrunk, and the formula says so exactly.
            design = np.hstack([x[rest], np.ones((rest.sum(), 1))])
            penalty = share * unit * np.diag([1.0] * x.shape[1] + [0.0])
            solved = np.linalg.solve(design.T @ design + penalty, design.T @ targets[rest])
            error += ((np.append(x[left], 1) @ solved - targets[left]) ** 2).sum()
        errors.append(error)
    best = _STRENGTHS[int(np.argmin(errors))]
    chosen = rvision.fit_head(backbone, TRAIN[::2], truths)
    given = rvision.fit_head(backbone, TRAIN[::2], truths, regularisation=float(best))
    assert np.array_equal(chosen.fc.weight, given.fc.weight)


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression_is_scikit_learns(backbone, classes):
    sklearn = pytest.importorskip("sklearn.linear_model")
    some = classes * 8
    mine = rvision.fit_head(backbone, TRAIN[:some], TRUTHS[:some], method="logistic", regularisation=0.5)
    x = features_of(backbone, TRAIN)
    scaled = (x - x[:some].mean(0)) / np.where(x[:some].std(0) == 0, 1, x[:some].std(0))
    theirs = sklearn.LogisticRegression(C=2, max_iter=1000).fit(scaled[:some], TRUTHS[:some])
    found = mine(TRAIN).softmax(dim=1)
    np.testing.assert_allclose(found, theirs.predict_proba(scaled), rtol=1e-2, atol=1e-4)


def test_folders_of_pictures_give_the_names(tmp_path):
    for kind, name in enumerate(CLASSES):
        (tmp_path / name).mkdir()
        for seed in range(4):
            pixels = (127 + 100 * picture(kind, seed)).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
            Image.fromarray(pixels).save(tmp_path / name / f"{seed}.png")
    prepare = transforms.Compose([transforms.Resize(48), transforms.ToTensor()])
    data = datasets.ImageFolder(tmp_path, prepare)
    mine = rvision.fit_head(models.mobilenet_v3_small(), data)
    # The names and the preprocessing are known from then on.
    found = rvision.classify(mine, [path for path, _ in data.samples])
    assert [row.name for row in found] == [CLASSES[label] for label in data.targets]
    rvision.save(mine.state_dict(), tmp_path / "mine.safetensors")
    again = models.mobilenet_v3_small(weights=str(tmp_path / "mine.safetensors"), num_classes=3)
    x = np.stack([data[at][0] for at in range(3)])
    assert np.array_equal(again(x), mine(x))


def test_the_result_is_a_dense_predictor(backbone):
    mine = rvision.fit_head(backbone, TRAIN, [CLASSES[truth] for truth in TRUTHS])
    both = np.concatenate([HELD_OUT[0], HELD_OUT[-1]], 2)
    found = dense.predict(mine, both, stride=32, input_size=64, padding="per_window")
    assert found.categories == CLASSES and "checks" in repr(found) + str(found.best(3))
    likely = found.probabilities().argmax(0)[0]
    assert (likely[0], likely[-1]) == (0, 2)


@pytest.mark.parametrize("name", ["alexnet", "densenet121", "googlenet", "vit_b_32"])
def test_only_the_last_linear_layer_is_replaced(name):
    model = models.get_model(name)
    x = np.random.default_rng(0).standard_normal((4, 3, 224, 224)).astype(np.float32)
    mine = rvision.fit_head(model, x, [0, 1, 0, 1])
    assert mine(x[:1]).shape == (1, 2)
    changed = {
        key
        for key, value in mine.state_dict().items()
        if not np.array_equal(value, model.state_dict().get(key, 0))
    }
    assert {key.rpartition(".")[2] for key in changed} == {"weight", "bias"} and len(changed) == 2


class Softmaxed(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        return self.fc(x.mean((2, 3))).softmax(1)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda m: rvision.fit_head(m, TRAIN, TRUTHS[:-1]), rvision.ArgumentError, "each of 24 pictures"),
        (lambda m: rvision.fit_head(m, TRAIN), rvision.ArgumentError, "got none"),
        (lambda m: rvision.fit_head(m, TRAIN, [0] * 24), rvision.ArgumentError, "two classes or more"),
        (lambda m: rvision.fit_head(m, TRAIN, [0, 2] * 12), rvision.ArgumentError, "no picture is of 'class"),
        (lambda m: rvision.fit_head(m, TRAIN, ["a", 1] * 12), rvision.ArgumentError, "got both"),
        (lambda m: rvision.fit_head(m, TRAIN, TRUTHS, method="svm"), rvision.ArgumentError, "'ridge' or"),
        (lambda m: rvision.fit_head(m, TRAIN, TRUTHS, regularisation=0), rvision.ArgumentError, "positive"),
        (
            lambda m: rvision.fit_head(m, [Image.new("RGB", (9, 9))] * 2, [0, 1]),
            rvision.ArgumentError,
            r"transforms=weights\.transforms\(\)",
        ),
        (
            lambda m: rvision.fit_head(models.squeezenet1_1(), TRAIN, TRUTHS),
            rvision.UnsupportedError,
            "SqueezeNet has no linear layer",
        ),
        (lambda m: rvision.fit_head(Softmaxed(), TRAIN, TRUTHS), rvision.UnsupportedError, "what follows it"),
    ],
)
def test_refusals_say_what_to_do(backbone, call, error, says):
    with pytest.raises(error, match=says):
        call(backbone)
