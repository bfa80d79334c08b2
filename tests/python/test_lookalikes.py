"""Different networks with the same names and shapes as one here: what distinguishes them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import models
from rvision.models._lookalikes import lookalikes
from rvision.transforms import ImageClassification, InterpolationMode
from rvision.weights._origin import origin

PLAIN = ImageClassification(crop_size=224, interpolation=InterpolationMode.BICUBIC)


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("RVISION_OFFLINE", "1")


@pytest.fixture(scope="module")
def lite() -> dict[str, np.ndarray]:
    """Weights of an EfficientNet-Lite0 with small variances, for which eps and padding matter."""
    state = dict(models.efficientnet_lite0(num_classes=8).state_dict())
    for name in state:
        if name.endswith("running_var"):
            state[name] = np.full_like(state[name], 0.01)
    return state


@pytest.fixture
def picture(tmp_path) -> Path:
    y, x = np.mgrid[0:1:250j, 0:1:270j]
    path = tmp_path / "picture.png"
    Image.fromarray((255 * np.stack([x, y, 1 - x * y], -1)).astype(np.uint8)).save(path)
    return path


def is_timms(model: rvision.nn.Module) -> bool:
    """Whether it is timm's efficientnet_lite0 by definition: symmetric padding, an eps of 1e-5."""
    kinds = {(type(m).__name__ == "Conv2dSame") for m in model.modules() if isinstance(m, rvision.nn.Conv2d)}
    eps = {m.eps for m in model.modules() if isinstance(m, rvision.nn.BatchNorm2d)}
    assert (kinds, eps) in (({False}, {1e-5}), ({False, True}, {1e-3}))
    return eps == {1e-5}


def test_padding_and_eps_of_both_variants():
    """A 3x3 kernel at stride 2 on 4 pixels: TensorFlow pads at the end, PyTorch on both sides."""
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    for variant, first in (("tf", (0 + 1 + 2 + 4 + 5 + 6 + 8 + 9 + 10)), ("timm", (0 + 1 + 4 + 5))):
        stem = models.efficientnet_lite0(variant=variant).conv_stem
        weight = np.zeros((32, 3, 3, 3), np.float32)
        weight[:, 0] = 1
        stem.weight = rvision.nn.Parameter(weight)
        out = stem(np.concatenate([x, 0 * x, 0 * x], 1))
        assert out.shape == (1, 32, 2, 2)
        assert out[0, 0, 0, 0] == first
    assert is_timms(models.efficientnet_lite0(variant="timm"))
    assert not is_timms(models.efficientnet_lite0())
    with pytest.raises(ValueError, match=r"variant must be 'tf'.* or 'timm'.*, got 'lite'"):
        models.efficientnet_lite0(variant="lite")


@pytest.mark.parametrize(
    ("theirs", "variant"), [("tf_efficientnet_lite0", "tf"), ("efficientnet_lite0", "timm")]
)
def test_variants_equal_timms(torch, theirs, variant):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        timm = pytest.importorskip("timm")
        torch.manual_seed(0)
        model = timm.create_model(theirs, pretrained=False, num_classes=8)
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None
    x = torch.rand(3, 3, 97, 128) * 2 - 1
    with torch.no_grad():
        model.train()(x)
        for layer in model.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                # Small variances, for which eps counts.
                layer.running_var.mul_(0.05)
                layer.weight.mul_(0.2)
        right = model.eval()(x).numpy()
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    both = {
        each: models.efficientnet_lite0(weights=state, variant=each, num_classes=8)(x.numpy())
        for each in ("tf", "timm")
    }
    scale = np.abs(right).max()
    assert np.abs(both[variant] - right).max() < 1e-4 * scale
    assert np.abs(both["tf"] - both["timm"]).max() > 1e-2 * scale


def test_what_cannot_be_known_is_said(lite, tmp_path):
    said = r"do not say which: padding .*variant='tf' \(tf_efficientnet_lite0\) or variant='timm'"
    with pytest.warns(UserWarning, match=said):
        assert not is_timms(models.efficientnet_lite0(weights=lite, num_classes=8))
    rvision.save(lite, tmp_path / "efficientnet_lite0.safetensors")
    # This name is timm's for the one network and rvision's for the other.
    with pytest.warns(UserWarning, match=said):
        models.efficientnet_lite0(weights=tmp_path / "efficientnet_lite0.safetensors", num_classes=8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for variant in ("tf", "timm"):
            model = models.efficientnet_lite0(weights=lite, variant=variant, num_classes=8)
            assert is_timms(model) == (variant == "timm")


@pytest.mark.parametrize(
    ("name", "timms"),
    [
        ("tf_efficientnet_lite0-0aa007d2", False),
        ("efficientnet_lite0_ra-37913777", True),
        ("efficientnet_lite0.ra_in1k", None),
    ],
)
def test_a_files_name_tells(lite, tmp_path, name, timms):
    path = tmp_path / f"{name}.safetensors"
    rvision.save(lite, path)
    with pytest.warns(
        UserWarning, match="do not say" if timms is None else "says its name; made with variant="
    ):
        model = models.efficientnet_lite0(weights=path, num_classes=8)
    assert is_timms(model) == bool(timms)


def test_a_safetensors_header_tells(lite, tmp_path):
    from rvision import _rvision

    path = tmp_path / "mine.safetensors"
    tensors = [
        (key, value.dtype.name, list(value.shape), np.ascontiguousarray(value).reshape(-1).view(np.uint8))
        for key, value in ((key, np.asarray(value)) for key, value in lite.items())
    ]
    _rvision.write_safetensors(str(path), tensors, {"format": "pt", "architecture": "efficientnet_lite0"})
    with pytest.warns(UserWarning, match="is of efficientnet_lite0, says its header 'architecture'"):
        assert is_timms(models.efficientnet_lite0(weights=path, num_classes=8))
    with pytest.warns(UserWarning, match="says its header"):
        assert is_timms(models.efficientnet_lite0(weights=rvision.load(path), num_classes=8))


def hub_folder(folder: Path, state: dict[str, np.ndarray], architecture: str, **cfg: object) -> Path:
    """Write the files of a timm model on the Hugging Face hub."""
    folder.mkdir()
    rvision.save(state, folder / "model.safetensors")
    config = {"architecture": architecture, "num_classes": 8, "pretrained_cfg": {"tag": "ra_in1k", **cfg}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder / "model.safetensors"


def test_a_configuration_beside_the_file_tells(run, lite, tmp_path, picture):
    cfg = {
        "input_size": [3, 160, 160],
        "crop_pct": 0.875,
        "interpolation": "bicubic",
        "mean": [0.4, 0.5, 0.6],
        "std": [0.2, 0.3, 0.4],
    }
    path = hub_folder(tmp_path / "hub", lite, "efficientnet_lite0", **cfg)
    with pytest.warns(UserWarning, match=r"says its config\.json; made with variant='timm'"):
        model = models.efficientnet_lite0(weights=path, num_classes=8)
    assert is_timms(model)
    result = run("classify", picture, "--weights", path, "--json", "--top", 8)
    assert result.status == 0, result.err
    assert "pictures are prepared as its config.json says: shorter side 182 (bicubic), crop 160" in result.err
    preset = ImageClassification(
        crop_size=160,
        resize_size=182,
        mean=[0.4, 0.5, 0.6],
        std=[0.2, 0.3, 0.4],
        interpolation=InterpolationMode.BICUBIC,
    )
    with Image.open(picture) as image:
        right = model(preset(image))
    top = sorted(json.loads(result.out)["top"], key=lambda entry: entry["index"])
    np.testing.assert_array_equal(np.float32([entry["logit"] for entry in top]), right)


def test_a_checkpoints_entry_tells(torch, lite, tmp_path):
    path = tmp_path / "last.pth.tar"
    weights = {key: torch.from_numpy(np.asarray(value).copy()) for key, value in lite.items()}
    torch.save({"epoch": 3, "arch": "efficientnet_lite0", "state_dict": weights, "version": 2}, path)
    with pytest.warns(UserWarning, match="is of efficientnet_lite0, says its entry 'arch'"):
        assert is_timms(models.efficientnet_lite0(weights=path, num_classes=8))
    torch.save({"hyper_parameters": {"model_name": "tf_efficientnet_lite0"}, "state_dict": weights}, path)
    with pytest.warns(
        UserWarning, match="says its entry 'hyper_parameters', 'model_name'; made with variant='tf'"
    ):
        assert not is_timms(models.efficientnet_lite0(weights=path, num_classes=8))


@pytest.mark.parametrize(
    ("theirs", "ours"), [("resnetblur18", "resnet18"), ("resnetaa50.a1h_in1k", "resnet50")]
)
def test_networks_that_are_not_here_are_refused_by_name(run, tmp_path, picture, theirs, ours):
    state = {k: np.asarray(v, np.float16) for k, v in models.get_model(ours).state_dict().items()}
    path = hub_folder(tmp_path / "hub", state, theirs)
    said = rf"is of {theirs.split('.')[0]}, says its config\.json; .* {ours} .*another network: it blurs"
    with pytest.raises(rvision.StateDictError, match=said):
        models.get_model(ours, weights=path)
    result = run("classify", picture, "--weights", path)
    assert (result.status, "another network: it blurs" in result.err) == (2, True)
    models.get_model(ours, weights=dict(rvision.load(path)))
    # Without the configuration nothing tells, and that is said.
    (path.parent / "config.json").unlink()
    result = run("classify", picture, "--weights", path)
    assert result.status == 0
    assert "no shape would tell timm's resnet" in result.err


def test_the_command_line_takes_a_variant(run, lite, tmp_path, picture):
    path = tmp_path / "mine.safetensors"
    rvision.save(lite, path)
    options = ["classify", picture, "--weights", path, "--json", "--top", 8]
    result = run(*options)
    assert "do not say which" in result.err and result.status == 0
    result = run(*options, "--set", "variant=timm")
    assert "do not say which" not in result.err
    assert "prepared as for timm's efficientnet_lite0" in result.err
    with Image.open(picture) as image:
        right = models.efficientnet_lite0(weights=lite, variant="timm", num_classes=8)(PLAIN(image))
    top = sorted(json.loads(result.out)["top"], key=lambda entry: entry["index"])
    np.testing.assert_array_equal(np.float32([entry["logit"] for entry in top]), right)


def test_timms_presets():
    timm = pytest.importorskip("timm")
    for name in ("tf_efficientnet_lite0.in1k", "efficientnet_lite0.ra_in1k"):
        cfg = timm.get_pretrained_cfg(name)
        alike = next(each for each in lookalikes("efficientnet_lite0") if each.theirs == name.split(".")[0])
        preset = alike.preset or models.EfficientNet_Lite0_Weights.DEFAULT.transforms()
        assert (tuple(preset.mean), tuple(preset.std)) == (cfg.mean, cfg.std)
        assert (preset.crop_size, preset.interpolation.value) == ([cfg.input_size[1]], cfg.interpolation)
        assert preset.resize_size == [int(cfg.input_size[1] / cfg.crop_pct)]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"architecture": 3, "pretrained_cfg": {"mean": 1}}', '{"a": 1}']
)
def test_other_configurations_do_no_harm(tmp_path, text):
    rvision.save({"a": np.zeros(1, np.float32)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(text)
    assert origin(tmp_path / "model.safetensors").preset is None
