"""`rvision.fit_head`: a network's last layer, fitted to one's own classes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import datasets, models, nn
from rvision import transforms as T
from rvision.errors import ArgumentError, UnsupportedError
from rvision.utils.data import Subset
from rvision.weights import LeNet5_Weights

TENSOR = T.ToTensor()
TEXTURES = ["checks", "columns", "diagonals", "noise", "rows"]


class Small(nn.Module):
    """A classifier of colours: (N, 3, H, W) to (N, classes)."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 12, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(12, 10, bias=bias)

    def forward(self, x):
        return self.fc(self.features(x))


def colours(count: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures (N, 3, 6, 6) whose mean colours overlap a little, and their classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    means = np.random.default_rng(99).uniform(0.2, 0.8, (classes, 3, 1, 1))
    noise = rng.normal(0, 0.25, (count, 3, 1, 1)) + rng.normal(0, 0.1, (count, 3, 6, 6))
    return (means[labels] + noise).clip(0, 1).astype(np.float32), labels


def texture(kind: str, rng: np.random.Generator) -> Image.Image:
    """Return a picture of 64 x 64 with one of the textures, in any colour."""
    y, x = np.mgrid[0:64, 0:64]
    pattern = {
        "checks": 2 * ((x // 8 + y // 8) % 2) - 1,
        "columns": np.sin(x / 2),
        "diagonals": np.sin((x + y) / 2),
        "noise": rng.normal(size=(64, 64)),
        "rows": np.sin(y / 2),
    }[kind]
    pixels = 60 * pattern[..., None] + rng.uniform(60, 190, 3) + rng.normal(0, 10, (64, 64, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def textures(count: int, seed: int) -> tuple[list[Image.Image], list[str]]:
    rng = np.random.default_rng(seed)
    labels = TEXTURES * count
    return [texture(kind, rng) for kind in labels], labels


@pytest.fixture(scope="module")
def fitted():
    return rvision.fit_head(models.resnet18(), *textures(8, 1), transforms=TENSOR)


def softmax(scores: np.ndarray) -> np.ndarray:
    likely = np.exp(scores - scores.max(axis=1, keepdims=True))
    return likely / likely.sum(axis=1, keepdims=True)


# --- ridge, by its definition ---


def ridge(features, truth, penalty, bias, scale):
    """Minimise sum |y - W x - b|^2 + penalty scale |W|^2 by the normal equations; b is not penalised."""
    count, width = features.shape
    rows = np.concatenate([features, np.ones((count, 1))], axis=1) if bias else features
    cost = penalty * scale * np.eye(rows.shape[1])
    if bias:
        cost[width, width] = 0
    solved = np.linalg.solve(rows.T @ rows + cost, rows.T @ truth)
    return solved[:width].T, solved[width] if bias else np.zeros(truth.shape[1])


def left_out(features, truth, penalty, bias, scale):
    """Return each picture's scores by a fit to all others."""
    scores = np.empty_like(truth)
    for place in range(len(truth)):
        others = np.arange(len(truth)) != place
        weight, offset = ridge(features[others], truth[others], penalty, bias, scale)
        scores[place] = weight @ features[place] + offset
    return scores


@pytest.mark.parametrize(("classes", "bias"), [(2, True), (4, True), (3, False)])
def test_ridge_is_its_definition(classes, bias):
    pictures, labels = colours(30, classes)
    model = Small(bias)
    features = np.asarray(model.features(pictures), np.float64)
    truth = np.eye(classes)[labels]
    centred = features - features.mean(axis=0) * bias
    scale = (centred**2).sum(axis=1).mean()

    grid = 10.0 ** np.arange(-6, 2.25, 0.25)
    errors = [((truth - left_out(features, truth, p, bias, scale)) ** 2).sum() for p in grid]
    for given, penalty in ((None, grid[np.argmin(errors)]), (0.03, 0.03)):
        mine = rvision.fit_head(model, pictures, labels, regularisation=given)
        weight, offset = ridge(features, truth, penalty, bias, scale)
        factor = float(np.vdot(mine.fc.weight, weight) / np.vdot(weight, weight))
        np.testing.assert_allclose(mine.fc.weight, factor * weight, rtol=1e-4, atol=1e-5 * factor)
        if bias:
            np.testing.assert_allclose(mine.fc.bias, factor * offset, rtol=1e-4, atol=1e-4 * factor)
        else:
            assert mine.fc.bias is None
        # The factor is where the cross-entropy of left-out pictures is least.
        scores = left_out(features, truth, penalty, bias, scale)
        doubt = 1 / (len(truth) + 2)
        soft = (1 - doubt) * truth + doubt / classes
        loss = [-(soft * np.log(softmax(f * factor * scores))).sum() for f in (0.99, 1, 1.01)]
        assert factor > 1
        assert loss[1] < min(loss[0], loss[2])


def test_ridge_takes_more_features_than_pictures_and_one_picture_a_class():
    pictures, labels = colours(3, 3)
    mine = rvision.fit_head(Small(), pictures, labels)
    assert mine(pictures).argmax(axis=1).tolist() == [0, 1, 2]


def test_features_of_another_scale_give_the_same_scores():
    pictures, labels = colours(30, 3)
    model, larger = Small(), Small()
    larger.features[0].weight = 1000 * model.features[0].weight
    np.testing.assert_allclose(
        rvision.fit_head(larger, pictures, labels)(pictures),
        rvision.fit_head(model, pictures, labels)(pictures),
        atol=1e-3,
    )


# --- logistic regression, by scikit-learn ---


@pytest.mark.parametrize(("classes", "regularisation"), [(4, None), (4, 0.1), (2, None)])
def test_logistic_is_scikit_learns(classes, regularisation):
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pictures, labels = colours(40, classes)
    model = Small()
    features = np.asarray(model.features(pictures), np.float64)
    pipeline = make_pipeline(
        StandardScaler(), LogisticRegression(C=1 / (regularisation or 1), max_iter=10_000)
    )
    pipeline.fit(features, labels)
    mine = rvision.fit_head(model, pictures, labels, method="logistic", regularisation=regularisation)
    others, _ = colours(20, classes, seed=5)
    wanted = pipeline.predict_proba(np.asarray(model.features(others), np.float64))
    np.testing.assert_allclose(softmax(np.asarray(mine(others))), wanted, atol=1e-4)


def test_logistic_without_a_bias():
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression

    pictures, labels = colours(30, 3)
    model = Small(bias=False)
    features = np.asarray(model.features(pictures), np.float64)
    deviations = features.std(axis=0)
    features /= np.where(deviations == 0, 1, deviations)
    plain = LogisticRegression(fit_intercept=False, max_iter=10_000).fit(features, labels)
    mine = rvision.fit_head(model, pictures, labels, method="logistic")
    assert mine.fc.bias is None
    np.testing.assert_allclose(softmax(np.asarray(mine(pictures))), plain.predict_proba(features), atol=1e-4)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(ImportError, match=r'pip install "rvision\[heads\]"'):
        rvision.fit_head(Small(), *colours(4, 2), method="logistic")


# --- from pictures to a saved file ---


def test_it_classifies_pictures_that_it_has_not_seen(fitted):
    pictures, labels = textures(6, 2)
    result = rvision.evaluate(
        fitted, pictures, [TEXTURES.index(name) for name in labels], transforms=fitted.transforms
    )
    assert result.accuracy() >= 0.9
    # Names and preparation come with the network.
    found = rvision.classify(fitted, pictures[:5])
    assert [row.name for row in found] == labels[:5]
    assert found[0].probability > 0.5
    assert fitted.categories == TEXTURES
    assert fitted.transforms is TENSOR


def test_logistic_classifies_too():
    pytest.importorskip("sklearn")
    mine = rvision.fit_head(models.resnet18(), *textures(8, 1), transforms=TENSOR, method="logistic")
    pictures, labels = textures(6, 2)
    right = [row.name == label for row, label in zip(rvision.classify(mine, pictures), labels, strict=True)]
    assert np.mean(right) >= 0.9


def test_the_given_network_stays_and_shares_its_parameters():
    pictures, labels = colours(20, 3)
    model = Small()
    before = {name: np.array(value) for name, value in model.state_dict().items()}
    mine = rvision.fit_head(model, pictures, labels, batch_size=7)
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())
    assert isinstance(model.fc, nn.Linear)
    assert model.fc.out_features == 10
    assert mine.fc.out_features == 3
    assert not hasattr(model, "categories")
    # One memory, of which a change makes a copy.
    kept = mine.features[0].weight
    assert np.array_equal(kept, model.features[0].weight)
    model.features[0].weight = 0 * model.features[0].weight
    assert np.array_equal(mine.features[0].weight, kept)
    # The batch does not matter.
    assert np.array_equal(mine(pictures), rvision.fit_head(Small(), pictures, labels)(pictures))


def test_published_weights_stay_in_the_same_memory():
    digits, truth = rvision.dense.held_out_digits()
    model = models.lenet5(weights=LeNet5_Weights.MNIST)
    mine = rvision.fit_head(model, [Image.fromarray(digit) for digit in digits], ["even", "odd"] * 100)
    assert mine.features[0]._parameters["weight"].handle is model.features[0]._parameters["weight"].handle
    # The preparation is that of the weights that the network was built with.
    parity = ["even" if digit % 2 == 0 else "odd" for digit in truth]
    mine = rvision.fit_head(model, list(digits[::2]), parity[::2])
    found = rvision.classify(mine, [Image.fromarray(digit) for digit in digits[1::2]])
    assert np.mean([row.name == name for row, name in zip(found, parity[1::2], strict=True)]) > 0.9
    # So does the name of a network.
    assert rvision.fit_head("lenet5", list(digits[::2]), parity[::2]).categories == ["even", "odd"]


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_a_saved_file_gives_the_same_numbers(fitted, tmp_path, ending):
    path = tmp_path / f"mine{ending}"
    rvision.save(fitted.state_dict(), path)
    x = TENSOR(textures(1, 3)[0][0])[None]
    assert np.array_equal(models.resnet18(weights=path, num_classes=5)(x), fitted(x))
    model = models.resnet18(num_classes=5)
    model.load_state_dict(rvision.load(path))
    assert np.array_equal(model(x), fitted(x))


def test_the_command_line_takes_the_file_and_the_names(tmp_path, run):
    prepare = models.ResNet18_Weights.DEFAULT.transforms()
    pictures, labels = textures(4, 1)
    mine = rvision.fit_head(models.resnet18(), pictures, labels, transforms=prepare)
    rvision.save(mine.state_dict(), tmp_path / "mine.safetensors")
    (tmp_path / "classes.txt").write_text("\n".join(mine.categories))
    pictures[1].save(tmp_path / "picture.png")
    done = run(
        *("classify", "--weights", tmp_path / "mine.safetensors", "--top", 1),
        *("--categories", tmp_path / "classes.txt", tmp_path / "picture.png"),
    )
    assert done.status == 0, done.err
    assert "fits resnet18 with num_classes=5" in done.err
    logit = mine(prepare(pictures[1])[None]).max()
    assert done.lines[1] == f"#1 ({logit:.2f}) {labels[1]}"


def test_dense_maps_name_the_classes(fitted):
    rng = np.random.default_rng(4)
    page = Image.new("RGB", (128, 64))
    page.paste(texture("rows", rng), (0, 0))
    page.paste(texture("checks", rng), (64, 0))
    map = rvision.dense.predict(
        fitted, page, 64, input_size=64, padding="per_window", transform=fitted.transforms
    )
    assert map.categories == TEXTURES
    best = {each.category: each.box for each in map.best(2)}
    assert best == {"rows": (0, 0, 64, 64), "checks": (64, 0, 128, 64)}
    # A map's cell is the classifier's output.
    mine = rvision.fit_head(Small(), *colours(12, 3))
    x = np.random.default_rng(0).random((1, 3, 6, 6), np.float32)
    np.testing.assert_allclose(rvision.convolutionize(mine, 6)(x)[..., 0, 0], mine(x), rtol=1e-5, atol=1e-5)


# --- networks ---


@pytest.mark.parametrize(
    ("name", "settings", "size", "layer"),
    [
        ("alexnet", {}, 64, "classifier.6"),
        ("googlenet", {"aux_logits": True, "transform_input": True}, 64, "fc"),
        ("inception_v3", {}, 80, "fc"),
        ("maxvit_t", {}, 224, "classifier.5"),
        ("mobilenet_v3_small", {}, 64, "classifier.3"),
        ("swin_t", {}, 64, "head"),
    ],
)
def test_only_the_last_layer_is_replaced(name, settings, size, layer, tmp_path):
    pictures = np.random.default_rng(0).random((2, 3, size, size), np.float32)
    model = models.get_model(name, **settings)
    mine = rvision.fit_head(model, pictures, ["a", "b"])
    head = mine.get_submodule(layer)
    assert (type(head), head.out_features) == (nn.Linear, 2)
    before, after = model.state_dict(), mine.state_dict()
    gone = {key for key in before if key.startswith(("aux1.", "aux2.", "AuxLogits."))}
    assert bool(gone) == (name in ("googlenet", "inception_v3"))
    assert after.keys() == before.keys() - gone
    assert {key for key in after if after[key].shape != before[key].shape} == {
        key for key in after if key.startswith(f"{layer}.")
    }
    assert mine(pictures).argmax(axis=1).tolist() == [0, 1]
    if name == "alexnet":
        return
    # A file of it fits a network that is built for as many classes.
    rvision.save(after, tmp_path / "mine.safetensors")
    if gone:
        settings = {**settings, "aux_logits": False}
    again = models.get_model(name, weights=tmp_path / "mine.safetensors", num_classes=2, **settings)
    assert np.array_equal(again(pictures), mine(pictures))


@pytest.mark.parametrize("name", ["squeezenet1_1", "nin_cifar10"])
def test_networks_that_do_not_end_in_a_linear_layer_are_refused(name):
    pictures = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    with pytest.raises(UnsupportedError, match=r"after .* \(Conv2d\); expected .* linear layer"):
        rvision.fit_head(models.get_model(name), pictures, [0, 1])


def test_a_refused_network_with_another_classifier_is_taken():
    model = models.squeezenet1_1()
    model.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 5))
    mine = rvision.fit_head(model, *textures(6, 1), transforms=TENSOR)
    found = rvision.classify(mine, textures(2, 2)[0])
    assert np.mean([row.name == name for row, name in zip(found, TEXTURES * 2, strict=True)]) >= 0.8


def test_a_dropout_may_follow_and_a_layer_may_have_two_names():
    class Twice(Small):
        def __init__(self):
            super().__init__()
            self.alias = self.fc
            self.last = nn.Dropout()

        def forward(self, x):
            return self.last(self.alias(self.features(x)))

    mine = rvision.fit_head(Twice(), *colours(12, 3))
    assert mine.fc is mine.alias
    assert mine.fc.out_features == 3


def test_an_output_that_depends_on_more_is_refused():
    class Aside(Small):
        def forward(self, x):
            features = self.features(x)
            out = features[:, :5]
            self.fc(features)
            return out

    with pytest.raises(UnsupportedError, match="depend on more than its last linear layer, fc"):
        rvision.fit_head(Aside(), *colours(4, 2))
    ensemble = rvision.Ensemble([Small(), Small()])
    with pytest.raises(UnsupportedError, match="Ensemble ends in"):
        rvision.fit_head(ensemble, *colours(4, 2))


# --- pictures and labels ---


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(3)
    for kind in ("rows", "columns"):
        (tmp_path / kind).mkdir()
        for number in range(3):
            texture(kind, rng).save(tmp_path / kind / f"{number}.png")
    return tmp_path


def test_folders_files_datasets_and_arrays_are_the_same(folder):
    model = Small()
    files = sorted(folder.rglob("*.png"))
    labels = [file.parent.name for file in files]
    arrays = np.stack([TENSOR(Image.open(file)) for file in files])
    wanted = rvision.fit_head(model, arrays, labels)
    assert wanted.transforms is None
    same = [
        rvision.fit_head(model, folder, transforms=TENSOR),
        rvision.fit_head(model, str(folder), transforms=TENSOR, progress=True),
        rvision.fit_head(model, files, labels, transforms=TENSOR),
        rvision.fit_head(model, [np.asarray(Image.open(file)) for file in files], labels, transforms=TENSOR),
        rvision.fit_head(model, datasets.ImageFolder(folder), transforms=TENSOR),
        rvision.fit_head(model, datasets.ImageFolder(folder, transform=TENSOR)),
        rvision.fit_head(model, Subset(datasets.ImageFolder(folder, transform=TENSOR), range(6))),
        rvision.fit_head(model, arrays, [0, 0, 0, 1, 1, 1], categories=["columns", "rows"]),
    ]
    for mine in same:
        assert np.array_equal(mine(arrays), wanted(arrays))
        assert mine.categories == ["columns", "rows"]
    assert all(mine.transforms is TENSOR for mine in same[:-1])
    turned = rvision.fit_head(model, folder, transforms=TENSOR, categories=["rows", "columns"])
    np.testing.assert_allclose(turned(arrays)[:, ::-1], wanted(arrays), atol=1e-5)


def test_labels_may_be_a_csv_file_or_indices(folder):
    files = sorted(folder.rglob("*.png"))
    lines = [f"{file.relative_to(folder)},{index // 3}" for index, file in enumerate(files)]
    (folder / "labels.csv").write_text("\n".join(["file,class_index", *lines]))
    wanted = rvision.fit_head(Small(), files, [0, 0, 0, 1, 1, 1], transforms=TENSOR)
    assert wanted.categories is None
    x = np.random.default_rng(0).random((2, 3, 8, 8), np.float32)
    for mine in (
        rvision.fit_head(Small(), folder, transforms=TENSOR),
        rvision.fit_head(Small(), files, folder / "labels.csv", transforms=TENSOR),
    ):
        assert np.array_equal(mine(x), wanted(x))
    assert [row.name for row in rvision.classify(wanted, files[:1])] == ["class 0"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "expected the class of each picture, got None"),
        ([0, 1], "4 pictures, but 2 labels"),
        ([0, 0, 0, 0], "two classes or more, got 1"),
        (["a", "a", "a", "a"], "two classes or more, got 1"),
        ([0, 2, 0, 2], "no picture is of class 1, of classes 0 to 2"),
        ([0, -1, 0, 1], "-1 is none of the classes 0 to 1"),
        ([0.0, 1.0, 0.0, 1.0], r"names or whole numbers of shape \(N,\), got float64"),
        ([True, False, True, False], "got bool"),
        (np.eye(4), r"got float64 of shape \(4, 4\)"),
        (["a", None, "b", "b"], r"picture 1 has none \(None\)"),
        (np.array(["a", "b", float("nan"), "b"], object), r"picture 2 has none \(nan\)"),
        (["a", 1, "b", 2], "names or whole numbers"),
    ],
)
def test_wrong_labels_are_named(labels, message):
    with pytest.raises(ArgumentError, match=message):
        rvision.fit_head(Small(), colours(4, 2)[0], labels)


def test_mistakes_are_named(folder, monkeypatch):
    pictures, labels = colours(4, 2)
    fit = rvision.fit_head
    with pytest.raises(ArgumentError, match="'c' is none of the categories a, b"):
        fit(Small(), pictures, ["a", "b", "c", "a"], categories=["a", "b"])
    with pytest.raises(ArgumentError, match=r"no picture is of class 1 \(b\)"):
        fit(Small(), pictures, ["a", "c", "c", "a"], categories=["a", "b", "c"])
    with pytest.raises(ArgumentError, match="'a' twice"):
        fit(Small(), pictures, labels, categories=["a", "a"])
    with pytest.raises(ArgumentError, match="expected 'ridge' or 'logistic', got 'svm'"):
        fit(Small(), pictures, labels, method="svm")
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ArgumentError, match="regularisation: expected a number above 0"):
            fit(Small(), pictures, labels, regularisation=wrong)
    with pytest.raises(ArgumentError, match="how to prepare pictures"):
        fit(Small(), folder)
    with pytest.raises(ArgumentError, match="how to prepare pictures"):
        fit(Small(), datasets.ImageFolder(folder))
    with pytest.raises(ArgumentError, match="a dataset has its own"):
        fit(Small(), datasets.ImageFolder(folder), [0] * 6, transforms=TENSOR)
    with pytest.raises(ArgumentError, match="expected at least one, got none"):
        fit(Small(), [], [])
    with pytest.raises(FileNotFoundError, match=r"no\.png"):
        fit(Small(), [folder / "no.png"], [0], transforms=TENSOR)
    with pytest.raises(TypeError, match="network or its name, got list"):
        fit([Small()], pictures, labels)
    with pytest.raises(TypeError, match="network or its name, got function"):
        fit(softmax, pictures, labels)
    with pytest.raises(ArgumentError, match="the same for all pictures"):
        fit(Small(), np.zeros((4, 3, 6, 6), np.float32), labels)
    pictures[2] = np.nan
    with pytest.raises(ArgumentError, match="picture 2: the network's features are not finite"):
        fit(Small(), pictures, labels)
    with pytest.raises(ValueError, match="conv1: weight expects 3 input channels, got 2"):
        fit(models.resnet18(), colours(4, 2)[0][:, :2], labels)
    (folder / "rows" / "bad.png").write_text("no picture")
    with pytest.raises(OSError, match=r"bad\.png: not a picture"):
        fit(Small(), folder, transforms=TENSOR)


def test_torchs_datasets_and_tensors(torch):
    from torchvision.datasets import FakeData
    from torchvision.transforms import ToTensor

    theirs = FakeData(12, (3, 8, 8), 3, transform=ToTensor())
    mine = rvision.fit_head(Small(), theirs)
    pictures = torch.stack([picture for picture, _ in theirs])
    labels = torch.tensor([int(label) for _, label in theirs])
    wanted = rvision.fit_head(Small(), pictures, labels)
    assert np.array_equal(mine(pictures), wanted(pictures))
