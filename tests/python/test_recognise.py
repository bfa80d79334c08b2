"""Recognising the network of a weight file: other heads, stems and widths, prefixes, entries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import models
from rvision.cli._architecture import Fit, _fingerprints, fingerprint, recognise
from rvision.nn._state import compare

Shapes = dict[str, tuple[int, ...]]


def shapes_of(model: rvision.nn.Module) -> Shapes:
    return {key: entry.shape for key, entry in compare(model, {}).entries.items()}


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("RVISION_OFFLINE", "1")


@pytest.fixture(scope="module")
def small() -> rvision.nn.Module:
    return models.squeezenet1_1(num_classes=7)


@pytest.fixture
def picture(tmp_path) -> Path:
    y, x = np.mgrid[0:1:80j, 0:1:90j]
    path = tmp_path / "picture.png"
    Image.fromarray((255 * np.stack([x, y, 1 - x * y], -1)).astype(np.uint8)).save(path)
    return path


def test_fingerprints_are_those_of_the_networks():
    """`python tools/export_fingerprints.py python/rvision/cli/fingerprints.json` writes them."""
    assert {name: fingerprint(name) for name in models.list_models()} == _fingerprints()


@pytest.mark.parametrize("name", models.list_models())
def test_every_network_is_recognised(name):
    twins = {"alexnet_lecture": "alexnet", "vgg19_lecture": "vgg19"}
    right = twins.get(name, name)
    found = recognise(shapes_of(models.get_model(name)))
    assert (found.prefix, found.chosen()) == ("", Fit(right))
    mine = {f"module.{key}": shape for key, shape in shapes_of(models.get_model(name, num_classes=7)).items()}
    found = recognise(mine)
    assert (found.prefix, found.chosen()) == ("module.", Fit(right, {"num_classes": 7}))


def test_few_networks_are_built(monkeypatch):
    built = []
    real = models.get_model_builder
    monkeypatch.setattr(models, "get_model_builder", lambda name: built.append(name) or real(name))
    for name in ("resnet50", "vgg16_bn", "densenet121"):
        built.clear()
        shapes = shapes_of(real(name)(num_classes=7))
        with monkeypatch.context() as patch:
            patch.setattr("rvision.cli._architecture._may_be_wider", lambda *_: False)
            assert recognise(shapes).chosen().name == name
        assert set(built) == {name}


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("googlenet", {"aux_logits": False}),
        ("googlenet", {"aux_logits": False, "num_classes": 3}),
        ("inception_v3", {"aux_logits": False}),
        ("vit_b_16", {"image_size": 384}),
        ("vit_b_16", {"image_size": 384, "num_classes": 5}),
        ("vit_b_32", {"image_size": 384, "representation_size": 64}),
        ("mobilenet_v2", {"width_mult": 0.35}),
        ("mobilenet_v2", {"width_mult": 0.5, "num_classes": 9}),
        ("mobilenet_v2", {"width_mult": 1.4}),
        ("mobilenet_v3_large", {"width_mult": 0.75}),
        ("mobilenet_v3_small", {"reduced_tail": True}),
        ("cifar10_resnet20", {"shortcut": "B"}),
        ("googlenet_lrn", {"aux_logits": True}),
    ],
)
def test_settings_that_shapes_show(name, config):
    assert recognise(shapes_of(models.get_model(name, **config))).chosen() == Fit(name, config)


def test_heads_of_which_only_one_was_replaced():
    """The finetuning tutorial replaces both heads of Inception; here one was forgotten."""
    shapes = shapes_of(models.inception_v3())
    shapes |= {"fc.weight": (7, 2048), "fc.bias": (7,)}
    assert recognise(shapes).chosen() == Fit("inception_v3", {"aux_logits": False, "num_classes": 7})


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [
        ("resnet18", "fc", "fc.1"),
        ("mobilenet_v2", "classifier.1", "classifier"),
        ("vgg11", "classifier.6", "classifier.6.0"),
    ],
)
def test_a_linear_head_in_another_place(name, ours, theirs):
    shapes = {
        key.replace(f"{ours}.", f"{theirs}.") if key.startswith(f"{ours}.") else key: shape
        for key, shape in shapes_of(models.get_model(name, num_classes=4)).items()
    }
    assert recognise(shapes).chosen() == Fit(name, {"num_classes": 4}, None, (theirs, ours))


def test_heads_that_shapes_do_not_explain_are_not_guessed():
    shapes = shapes_of(models.resnet18())
    del shapes["fc.weight"], shapes["fc.bias"]
    shapes |= {"fc.0.weight": (64, 512), "fc.0.bias": (64,), "fc.2.weight": (4, 64), "fc.2.bias": (4,)}
    assert recognise(shapes).chosen() is None


def test_stems_of_other_channels():
    shapes = shapes_of(models.resnet18(num_classes=2)) | {"conv1.weight": (64, 1, 7, 7)}
    assert recognise(shapes).chosen() == Fit("resnet18", {"num_classes": 2}, channels=1)
    shapes["conv1.weight"] = (64, 3, 3, 3)
    assert recognise(shapes).chosen() is None


# ---- prefixes ----

PREFIXES = [
    "module.",
    "_orig_mod.",
    "model.",
    "backbone.",
    "module._orig_mod.",
    "model.module.backbone.",
    "anything.at.all.",
]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("others", [{}, {"n_averaged": (), "loss.weight": (7,)}])
def test_prefixes_are_found(small, prefix, others):
    found = recognise({f"{prefix}{key}": shape for key, shape in shapes_of(small).items()} | others)
    assert (found.prefix, found.chosen()) == (prefix, Fit("squeezenet1_1", {"num_classes": 7}))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_builders_take_prefixes_away_and_say_so(small, prefix):
    x = np.ones((1, 3, 64, 64), np.float32)
    state = {f"{prefix}{key}": value for key, value in small.state_dict().items()}
    with pytest.warns(UserWarning, match=f"squeezenet1_1: left out the prefix '{prefix}'.*every name"):
        model = models.squeezenet1_1(weights=state, num_classes=7)
    np.testing.assert_array_equal(model(x), small(x))
    state["n_averaged"] = np.int64(3)
    with pytest.warns(UserWarning, match="not used: n_averaged"):
        np.testing.assert_array_equal(models.squeezenet1_1(weights=state, num_classes=7)(x), small(x))


def test_builders_take_prefixes_of_files_away(small, tmp_path):
    path = tmp_path / "parallel.safetensors"
    rvision.save({f"module.{key}": value for key, value in small.state_dict().items()}, path)
    with pytest.warns(UserWarning) as told:
        models.squeezenet1_1(weights=path, num_classes=7)
    assert ["left out the prefix 'module.'" in str(each.message) for each in told] == [True]


def test_versions_of_modules_go_with_their_names():
    """New files of vision transformers state a version, which a prefix must not hide."""
    model = models.VisionTransformer(32, 16, 1, 2, 8, 16, num_classes=2)
    state = model.state_dict()
    wrapped = type(state)((f"module.{key}", value) for key, value in state.items())
    wrapped._metadata = {"": {"version": 1}, "module": {"version": 1}} | {
        f"module.{key}": value for key, value in state._metadata.items()
    }
    from rvision.models._prefix import under
    from rvision.weights._files import StateDict

    loaded = StateDict(wrapped)
    loaded._metadata.update(wrapped._metadata)
    assert under(loaded, "module.")._metadata == {**state._metadata, "": {"version": 1}}


def test_what_is_not_the_network_is_not_taken_for_a_prefix(small):
    state = {f"encoder.{key}": value for key, value in small.state_dict().items()}
    del state["encoder.features.0.weight"]
    with pytest.raises(rvision.StateDictError):
        models.squeezenet1_1(weights=state, num_classes=7)


def test_two_copies_of_a_network(small):
    shapes, state = shapes_of(small), small.state_dict()
    other = models.squeezenet1_1(num_classes=7).state_dict()

    def both(one: str, two: str, first: dict, second: dict) -> dict:
        return {f"{one}.{k}": v for k, v in first.items()} | {f"{two}.{k}": v for k, v in second.items()}

    # MoCo's query encoder is the one to use.
    assert (
        recognise(both("module.encoder_k", "module.encoder_q", shapes, shapes)).prefix == "module.encoder_q."
    )
    with pytest.warns(UserWarning, match=r"left out the prefix 'encoder_q\.'"):
        model = models.squeezenet1_1(weights=both("encoder_k", "encoder_q", other, state), num_classes=7)
    x = np.ones((1, 3, 64, 64), np.float32)
    np.testing.assert_array_equal(model(x), small(x))
    with pytest.raises(rvision.StateDictError, match=r"2 times, under 'student\.', 'teacher\.'"):
        recognise(both("student", "teacher", shapes, shapes))
    with pytest.raises(rvision.StateDictError, match=r"2 times, under 'student\.', 'teacher\.'"):
        models.squeezenet1_1(weights=both("student", "teacher", state, other), num_classes=7)


# ---- the command line ----


def logits(result) -> np.ndarray:
    assert result.status == 0, result.err
    top = json.loads(result.out)["top"]
    return np.float32([entry["logit"] for entry in sorted(top, key=lambda entry: entry["index"])])


def prepared(picture: Path, **config) -> np.ndarray:
    preset = rvision.transforms.ImageClassification(**{"crop_size": 224, **config})
    with Image.open(picture) as image:
        return preset(image)


def test_a_twin_gives_way_to_torchvisions_network(run, tmp_path, picture):
    path = tmp_path / "mine.safetensors"
    rvision.save({k: np.asarray(v, np.float16) for k, v in models.alexnet().state_dict().items()}, path)
    result = run("classify", picture, "--weights", path)
    assert result.status == 0
    assert f"{path} fits alexnet, and alexnet_lecture too, which --model chooses" in result.err


def test_one_network_of_two_in_a_file(run, tmp_path, picture, small):
    other = models.squeezenet1_1(num_classes=7)
    both = {f"student.{k}": v for k, v in small.state_dict().items()}
    both |= {f"teacher.{k}": v for k, v in other.state_dict().items()}
    path = tmp_path / "both.safetensors"
    rvision.save(both, path)
    assert "--strip-prefix" in run("classify", picture, "--weights", path).err
    for prefix, model in (("student.", small), ("teacher.", other)):
        result = run("classify", picture, "--weights", path, "--strip-prefix", prefix, "--json", "--top", 7)
        np.testing.assert_array_equal(logits(result), model(prepared(picture)))
    result = run("classify", picture, "--weights", path, "--strip-prefix", "none.")
    assert (result.status, "no name in" in result.err) == (2, True)


def test_an_entry_of_a_checkpoint(run):
    data = Path(__file__).parent.parent / "data"
    result = run("classify", "a.png", "--weights", data / "gan.pth", "--key", "generator")
    assert "fits no network" in result.err
    result = run("classify", "a.png", "--weights", data / "gan.pth", "--key", "none")
    assert (result.status, "no entry" in result.err) == (2, True)


def test_grey_stems_and_heads_of_ones_own(run, tmp_path, picture):
    model = models.resnet18(num_classes=3)
    state = dict(model.state_dict())
    rng = np.random.default_rng(2)
    grey = rng.standard_normal((64, 1, 7, 7)).astype(np.float32)
    # A network of colours that looks at their mean alone gives what the grey one gives on grey pictures.
    state["conv1.weight"] = np.repeat(grey / 3, 3, axis=1)
    model.load_state_dict(state)
    state |= {"conv1.weight": grey, "fc.1.weight": state.pop("fc.weight"), "fc.1.bias": state.pop("fc.bias")}
    rvision.save(state, tmp_path / "grey.safetensors")
    result = run("classify", picture, "--weights", tmp_path / "grey.safetensors", "--json")
    with Image.open(picture) as image:
        image.convert("L").convert("RGB").save(tmp_path / "grey.png")
    right = model(prepared(tmp_path / "grey.png", mean=(0, 0, 0), std=(1, 1, 1)))
    np.testing.assert_allclose(logits(result), right, rtol=1e-4, atol=1e-4 * np.abs(right).max())
    assert "pictures of 1 channel, fc.1 as its last layer (fc)" in result.err
    assert "pictures are made grey, with values from 0 to 1" in result.err
    half = ["--mean", "0.5", "--std", "0.25"]
    result = run("classify", picture, "--weights", tmp_path / "grey.safetensors", "--json", *half)
    right = model(prepared(tmp_path / "grey.png", mean=[0.5] * 3, std=[0.25] * 3))
    np.testing.assert_allclose(logits(result), right, rtol=1e-4, atol=1e-4 * np.abs(right).max())


def test_pictures_have_the_size_that_a_transformer_takes(run, tmp_path, picture):
    model = models.vit_b_32(image_size=64, num_classes=2)
    rvision.save(model, tmp_path / "small.safetensors")
    result = run("classify", picture, "--weights", tmp_path / "small.safetensors", "--json")
    # The published preset's 256 for 224, in proportion.
    right = model(prepared(picture, crop_size=64, resize_size=73))
    np.testing.assert_array_equal(logits(result), right)


def test_settings_that_no_shape_shows_can_be_said(run, tmp_path, picture):
    model = models.googlenet(aux_logits=False, num_classes=4)
    path = tmp_path / "mine.safetensors"
    rvision.save(model, path)
    options = ["classify", picture, "--weights", path, "--json"]
    plain = run(*options)
    assert "does not show transform_input: off" in plain.err
    np.testing.assert_array_equal(logits(plain), model(prepared(picture)))
    model.transform_input = True
    said = run(*options, "--set", "transform_input=True")
    np.testing.assert_array_equal(logits(said), model(prepared(picture)))
    assert "does not show" not in said.err
    assert "mobilenet_v2 has no such" not in said.err
    assert run(*options, "--set", "nonsense").status == 2
    assert run(*options, "--set", "weights=3").status == 2


@pytest.mark.parametrize(
    "setting", ["nonsense=1", "num_classes=many", "num_classes=(1, 2)", "num_classes=1.5"]
)
def test_settings_that_a_network_refuses_are_no_traceback(run, tmp_path, picture, setting):
    # SqueezeNet's builder passes on whatever it is given.
    path = tmp_path / "small.safetensors"
    rvision.save(models.squeezenet1_1(num_classes=4), path)
    result = run("classify", picture, "--weights", path, "--set", setting)
    assert result.status == 2
    assert f"--set {setting.partition('=')[0]}: " in result.err
