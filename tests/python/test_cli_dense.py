"""`rvision dense` and `rvision detect`, as their users see them."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import cli_results
import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import dense
from rvision.cli import main

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SIDE = 32


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch) -> None:
    """Give each test an empty cache for weights and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RVISION_OFFLINE", "1")


def assert_one_line_error(result: SimpleNamespace, pattern: str) -> None:
    cli_results.assert_one_line_error(result, pattern)
    assert not result.out


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Path:
    """Return a smooth picture of 70 x 90 pixels (height, width)."""
    path = tmp_path_factory.mktemp("pictures") / "picture.png"
    y, x = np.mgrid[0:1:70j, 0:1:90j]
    waves = np.stack([np.sin(9 * x + 4 * y), np.cos(11 * y), np.sin(7 * x * y)], axis=-1)
    Image.fromarray((127 * waves + 128).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def model(picture) -> rvision.nn.Module:
    """Return a CIFAR-10 ResNet-20 that is sure of different classes in windows of `picture`."""
    network = rvision.models.cifar10_resnet20()
    preset = rvision.transforms.ImageClassification(crop_size=SIDE, resize_size=SIDE)
    with Image.open(picture) as img:
        corners = [(x, y) for y in range(0, 39, 6) for x in range(0, 59, 6)]
        crops = [preset(img.crop((x, y, x + SIDE, y + SIDE))) for x, y in corners]
    logits = network(np.stack(crops))
    last = [child for child in network.modules() if isinstance(child, rvision.nn.Linear)][-1]
    gain = 3 / logits.std(axis=0)
    last.bias = (np.asarray(last.bias) - logits.mean(axis=0)) * gain
    last.weight = np.asarray(last.weight) * gain[:, None]
    return network


@pytest.fixture(scope="module")
def weights(tmp_path_factory, model) -> tuple[object, ...]:
    """Return the options that choose `model`."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    rvision.save(model, path)
    return "--model", "cifar10_resnet20", "--weights", path


def map_of(model, picture, **arguments) -> dense.Map:
    preset = rvision.transforms.ImageClassification(crop_size=SIDE, resize_size=SIDE)
    with Image.open(picture) as img:
        return dense.predict(model, img.convert("RGB"), transform=preset, input_size=SIDE, **arguments)


BOX = r"at (\d+),(\d+) to (\d+),(\d+)$"


# --- dense ---


def test_dense_prints_the_best_windows_of_a_class(run, picture, weights, model):
    result = run("dense", picture, *weights, "--class", "Frog", "--stride", 4, "--top", 3)
    assert result.status == 0, result.err
    likely = map_of(model, picture, stride=4).probabilities()[CIFAR10.index("frog")]
    rows, columns = np.unravel_index(np.argsort(-likely, axis=None, kind="stable")[:3], likely.shape)
    assert result.lines == [
        f"{picture}: frog",
        *(
            f"#{rank} ({likely[row, column]:.2f}) "
            f"at {4 * column},{4 * row} to {4 * column + SIDE},{4 * row + SIDE}"
            for rank, (row, column) in enumerate(zip(rows, columns, strict=True), 1)
        ),
    ]


def test_dense_chooses_the_class_that_is_surest(run, picture, weights, model):
    likely = map_of(model, picture, stride=8).probabilities()
    label = CIFAR10[int(likely.max(axis=(1, 2)).argmax())]
    result = run("dense", picture, *weights, "--stride", 8)
    assert result.lines[0] == f"{picture}: {label}"
    assert float(re.match(r"#1 \((.*?)\)", result.lines[1])[1]) == pytest.approx(likely.max(), abs=0.006)
    by_number = run("dense", picture, *weights, "--stride", 8, "--class", CIFAR10.index(label))
    assert by_number.out == result.out


def test_dense_as_json(run, picture, weights, model):
    options = (*weights, "--class", "cat", "--stride", 8, "--scales", "1,0.5", "--json")
    answer = json.loads(run("dense", picture, *options).out)
    assert answer["file"] == str(picture)
    assert answer["class"] == {"index": 3, "label": "cat"}
    maps = map_of(model, picture, stride=8, scales=[1, 0.5])
    for told, map in zip(answer["maps"], maps, strict=True):
        assert told["shape"] == list(map.scores.shape[1:])
        assert told["window_size"] == [SIDE, SIDE]
        assert told["stride"] == [8, 8]
        np.testing.assert_allclose(told["scale"], map.scale)
    every = np.concatenate([map.probabilities()[3].ravel() for map in maps])
    np.testing.assert_array_equal(
        np.float32([cell["probability"] for cell in answer["best"]]), np.sort(every)[::-1][:5]
    )
    for rank, cell in enumerate(answer["best"], 1):
        map = maps[cell["map"]]
        assert cell["rank"] == rank
        np.testing.assert_allclose(cell["box"], map.window(cell["row"], cell["column"]), atol=0.006)
        assert np.float32(cell["probability"]) == map.probabilities()[3, cell["row"], cell["column"]]


def test_dense_draws_the_map(run, picture, weights, model, tmp_path):
    out = tmp_path / "heat.png"
    assert run("dense", picture, *weights, "--class", 2, "--stride", 2, "--out", out).status == 0
    with Image.open(picture) as img:
        expected = rvision.utils.draw_heatmap(img, map_of(model, picture, stride=2), 2, categories=CIFAR10)
    with Image.open(out) as drawn:
        np.testing.assert_array_equal(drawn, expected)


@pytest.fixture
def doubtful(tmp_path, model) -> tuple[object, ...]:
    """Return the options for a network like `model` whose class 3 is never likely."""
    path = tmp_path / "doubtful.safetensors"
    state = dict(model.state_dict())
    name = next(key for key in state if key.endswith(".bias") and len(state[key]) == 10)
    state[name] = np.asarray(state[name]) - 20 * (np.arange(10) == 3)
    rvision.save(state, path)
    return "--model", "cifar10_resnet20", "--weights", path


def test_dense_says_that_a_class_is_nowhere(run, picture, doubtful, tmp_path):
    out = tmp_path / "heat.png"
    options = ("--stride", 8, "--out", out)
    result = run("dense", picture, *doubtful, "--class", "cat", *options)
    report = json.loads(run("dense", picture, *doubtful, "--class", "cat", *options, "--json").out)
    surest = report["surest_class"]
    assert report["best"][0]["probability"] < 0.01 < surest["probability"]
    assert surest["label"] == CIFAR10[surest["index"]] != "cat"
    assert result.lines == [
        f"{picture}: cat",
        f"nowhere above 0.01; the surest class is {surest['label']} ({surest['probability']:.2f})",
    ]
    surest_alone = run("dense", picture, *doubtful, "--stride", 8).lines
    assert surest_alone[0] == f"{picture}: {surest['label']}"
    with Image.open(picture) as img, Image.open(out) as drawn:
        grey = np.asarray(img.convert("L"))
        shown = np.asarray(drawn)[: img.height, : img.width]
        np.testing.assert_array_equal(shown, np.repeat(grey[..., None], 3, axis=2))
    # Who wants to see it all the same says so.
    assert run("dense", picture, *doubtful, "--class", "cat", *options, "--range", "max").status == 0
    with Image.open(picture) as img, Image.open(out) as drawn:
        assert np.asarray(drawn)[: img.height, : img.width].std(axis=2).any()


@pytest.mark.parametrize(("option", "value_range"), [("0,0.5", (0, 0.5)), ("max", "max")])
def test_dense_takes_a_range_of_colours(run, picture, weights, model, tmp_path, option, value_range):
    out = tmp_path / "heat.png"
    run("dense", picture, *weights, "--class", 2, "--stride", 4, "--out", out, "--range", option)
    found = map_of(model, picture, stride=4)
    with Image.open(picture) as img, Image.open(out) as drawn:
        expected = rvision.utils.draw_heatmap(img, found, 2, categories=CIFAR10, value_range=value_range)
        np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize("pad", ["zeros", "reflect"])
def test_windows_may_hang_over_the_edge(run, picture, weights, model, tmp_path, pad):
    options = (*weights, "--stride", 8, "--pad", pad)
    report = json.loads(run("dense", picture, *options, "--class", 2, "--json").out)
    found = map_of(model, picture, stride=8, pad=pad)
    assert report["maps"][0]["shape"] == list(found.shape) and report["maps"][0]["offset"] == [-16, -16]
    best = report["best"][0]
    assert np.float32(best["probability"]) == found.probabilities()[2].max()
    assert best["box"] == pytest.approx(found.window(best["row"], best["column"]))
    detections = json.loads(run("detect", picture, *options, "--scales", "1.0", "--json").out)["detections"]
    preset = rvision.transforms.ImageClassification(crop_size=SIDE, resize_size=SIDE)
    detector = dense.SlidingWindowDetector(model, stride=8, input_size=SIDE, transform=preset, pad=pad)
    with Image.open(picture) as img:
        expected = detector(img)
    np.testing.assert_array_equal(np.float32([one["score"] for one in detections]), expected["scores"])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("command", ["dense", "detect", "profile"])
def test_a_bar_where_somebody_looks(command, picture, weights, monkeypatch, capsys):
    what = ["cifar10_resnet20", "--runs", "1"] if command == "profile" else [picture, *weights]
    for options, shown in (([], True), (["--json"], False)):
        seen = Terminal()
        monkeypatch.setattr(sys, "stderr", seen)
        assert main([command, *map(str, what), *options]) == 0
        assert ("\r" in seen.getvalue()) == shown
        assert "\r" not in capsys.readouterr().out
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert main([command, *map(str, what)]) == 0
    assert "\r" not in sys.stderr.getvalue()


# --- detect ---


def test_detect_prints_what_the_detector_finds(run, picture, weights, model):
    options = ("--stride", 4, "--threshold", 0.3, "--iou", 0.2, "--scales", "1.0,0.6")
    result = run("detect", picture, *weights, *options)
    assert result.status == 0, result.err
    preset = rvision.transforms.ImageClassification(crop_size=SIDE, resize_size=SIDE)
    detector = dense.SlidingWindowDetector(model, [1.0, 0.6], 4, 0.3, 0.2, input_size=SIDE, transform=preset)
    with Image.open(picture) as img:
        found = detector(img)
    assert len(found["labels"]) > 1
    assert result.lines[0] == str(picture)
    assert [line.rpartition(" at ")[0] for line in result.lines[1:]] == [
        f"#{rank} ({score:.2f}) {CIFAR10[label]}"
        for rank, (label, score) in enumerate(zip(found["labels"], found["scores"], strict=True), 1)
    ]
    boxes = [list(map(int, re.search(BOX, line).groups())) for line in result.lines[1:]]
    np.testing.assert_allclose(boxes, found["boxes"], atol=0.5001)

    answer = json.loads(run("detect", picture, *weights, *options, "--json").out)
    assert answer["file"] == str(picture)
    detections = answer["detections"]
    assert [one["rank"] for one in detections] == list(range(1, len(boxes) + 1))
    assert [one["index"] for one in detections] == found["labels"].tolist()
    assert [one["label"] for one in detections] == [CIFAR10[label] for label in found["labels"]]
    np.testing.assert_array_equal(np.float32([one["score"] for one in detections]), found["scores"])
    np.testing.assert_allclose([one["box"] for one in detections], found["boxes"], atol=0.006)

    few = run("detect", picture, *weights, *options, "--max-detections", 1)
    assert few.lines == result.lines[:2]


def test_detect_looks_for_the_classes_that_are_named(run, picture, weights):
    options = (*weights, "--stride", 4, "--threshold", 0.01, "--scales", 2)
    everything = run("detect", picture, *options).lines[1:]
    kinds = {re.search(r"\) (\w+) at", line)[1] for line in everything}
    assert len(kinds) >= 3
    one, two = sorted(kinds)[:2]
    some = run("detect", picture, *options, "--class", one.upper(), "--class", CIFAR10.index(two)).lines[1:]
    assert {re.search(r"\) (\w+) at", line)[1] for line in some} == {one, two}
    assert len(some) == sum(f") {one} at" in line or f") {two} at" in line for line in everything)


def test_detect_takes_a_number_of_scales(run, picture, weights, monkeypatch):
    seen = []
    real = dense.SlidingWindowDetector.maps

    def watched(self, image):
        seen.append(self.scales)
        return real(self, image)

    monkeypatch.setattr(dense.SlidingWindowDetector, "maps", watched)
    for asked in ((), ("--scales", 3), ("--scales", "0.5"), ("--scales", "1")):
        assert run("detect", picture, *weights, *asked).status == 0
    smallest = SIDE / 70
    np.testing.assert_allclose(seen[0], smallest ** (np.arange(6) / 5))
    np.testing.assert_allclose(seen[1], [1, smallest**0.5, smallest])
    assert seen[2:] == [(0.5,), (1.0,)]


def test_detect_draws_the_boxes(run, picture, weights, tmp_path):
    out = tmp_path / "boxes.png"
    options = (*weights, "--stride", 8, "--threshold", 0.2)
    result = run("detect", picture, *options, "--out", out)
    assert len(result.lines) > 1 and " at " in result.lines[1]
    with Image.open(picture) as img, Image.open(out) as drawn:
        assert drawn.size == img.size
        changed = (np.asarray(drawn) != np.asarray(img)).any(axis=2)
    # The best one's lower edge, which no name hides.
    _, _, right, bottom = map(int, re.search(BOX, result.lines[1]).groups())
    assert changed[min(bottom, 69), right - 5 : right - 1].all()


@pytest.fixture
def folder(picture, tmp_path) -> Path:
    """Return a folder with two pictures of the same name, one of them in a subfolder."""
    root = tmp_path / "pictures"
    (root / "below").mkdir(parents=True)
    with Image.open(picture) as img:
        img.save(root / "a.png")
        img.rotate(180).save(root / "below" / "a.png")
    return root


def test_detect_takes_folders(run, folder, weights):
    options = (*weights, "--stride", 8, "--threshold", 0.2)
    files = [folder / "a.png", folder / "below" / "a.png"]
    alone = [run("detect", file, *options).out.strip() for file in files]
    assert all(len(text.splitlines()) > 1 for text in alone)
    assert run("detect", folder, *options).out.strip().split("\n\n") == alone
    assert run("detect", *files, *options).out.strip().split("\n\n") == alone
    rows = [json.loads(line) for line in run("detect", folder, *options, "--json").lines]
    assert [row["file"] for row in rows] == list(map(str, files))
    assert rows[1] == json.loads(run("detect", files[1], *options, "--json").out)


def test_detect_prints_the_best_few(run, folder, weights):
    options = (*weights, "--stride", 8, "--threshold", 0.1)
    every = run("detect", folder, *options).out.strip().split("\n\n")
    few = run("detect", folder, *options, "--top", 2).out.strip().split("\n\n")
    assert all(len(text.splitlines()) > 3 for text in every)
    assert [text.splitlines() for text in few] == [text.splitlines()[:3] for text in every]


def test_detect_draws_several_pictures_into_a_folder(run, folder, weights, tmp_path):
    options = (*weights, "--stride", 8, "--threshold", 0.2)
    out = tmp_path / "drawn"
    assert run("detect", folder, *options, "--out", out).status == 0
    assert {file.name for file in out.iterdir()} == {"a-boxes.png", "a-boxes-2.png"}
    for name, file in (("a-boxes.png", folder / "a.png"), ("a-boxes-2.png", folder / "below" / "a.png")):
        run("detect", file, *options, "--out", tmp_path / "one.png")
        with Image.open(out / name) as found, Image.open(tmp_path / "one.png") as expected:
            np.testing.assert_array_equal(found, expected)
    # Again is no error; but a file for two pictures is, and so is a picture that would be lost.
    assert run("detect", folder, *options, "--out", out).status == 0
    assert_one_line_error(run("detect", folder, *options, "--out", tmp_path / "x.png"), "need a folder")
    (folder / "a.png").rename(folder / "a-boxes.png")
    (folder / "below" / "a.png").rename(folder / "a.png")
    assert_one_line_error(run("detect", folder, *options, "--out", folder), "would overwrite .*a-boxes.png")


def test_detect_goes_on_after_a_picture_that_cannot_be_read(run, folder, weights):
    data = (folder / "a.png").read_bytes()
    (folder / "a.png").write_bytes(data[: len(data) // 2])
    result = run("detect", folder, *weights, "--json")
    assert result.status == 2
    first, second = map(json.loads, result.lines)
    assert "truncated" in first["error"] and "detections" in second
    assert len([line for line in result.err.splitlines() if "error: " in line]) == 1


def test_detect_says_that_nothing_was_found(run, picture, weights, tmp_path):
    out = tmp_path / "boxes.png"
    result = run("detect", picture, *weights, "--threshold", 1, "--out", out)
    assert (result.status, result.lines) == (0, [str(picture), "nothing above 1"])
    with Image.open(picture) as img, Image.open(out) as drawn:
        np.testing.assert_array_equal(drawn, img)
    answer = json.loads(run("detect", picture, *weights, "--threshold", 1, "--json").out)
    assert answer["detections"] == []


# --- errors ---


@pytest.mark.parametrize("command", ["dense", "detect"])
@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        (["--class", "unicorn"], "unicorn: no class has this name$"),
        (["--class", "auto"], "auto: no class has this name; there is automobile"),
        (["--class", "froggy"], "froggy: no class has this name; there is frog"),
        (["--class", "10"], "classes.* 0 to 9"),
        (["--stride", "0"], "--stride: expected a whole number from 1, got '0'"),
        (["--scales", "0"], "--scales"),
        (["--scales", "1.0,-0.5"], "--scales: expected factors above 0, got '1.0,-0.5'"),
        (["--scales", "half"], "--scales: expected numbers"),
        (["--scales", "0.1"], "7 x 9 pixels is smaller than .* 32 x 32"),
        (["--out", "heat.unknown"], r"--out heat.unknown: Pillow cannot write such a picture"),
        (["--out", "/no/such/folder/heat.png"], "there is no folder /no/such/folder"),
        (["--window", "0"], "--window"),
        (["--padding", "none"], "--padding"),
        (["--pad", "edge"], "--pad"),
        (["--padding", "per_window", "--squeeze", "global"], "leave out one of them"),
    ],
)
def test_arguments_that_make_no_sense_are_one_line(run, picture, weights, command, options, pattern):
    assert_one_line_error(run(command, picture, *weights, *options), pattern)


@pytest.mark.parametrize("command", ["dense", "detect"])
def test_pictures_that_cannot_be_read_are_one_line(run, weights, tmp_path, command):
    assert_one_line_error(run(command, tmp_path / "none.png", *weights), r"none\.png: No such file")
    (tmp_path / "text.png").write_text("no picture")
    assert_one_line_error(run(command, tmp_path / "text.png", *weights), "not a picture")


def test_networks_without_a_dense_form_say_what_to_do(run, picture, tmp_path):
    path = tmp_path / "squeezes.safetensors"
    rvision.save(rvision.models.mobilenet_v3_small(), path)
    options = ("--model", "mobilenet_v3_small", "--weights", path, "--window", 64)
    assert_one_line_error(run("dense", picture, *options), "squeeze.*per_window.*global")
    assert run("dense", picture, *options, "--squeeze", "global").status == 0
    assert run("dense", picture, *options, "--padding", "per_window", "--stride", 32).status == 0


def test_pictures_smaller_than_the_window_are_enlarged(run, picture, weights, tmp_path):
    small = tmp_path / "small.png"
    with Image.open(picture) as img:
        img.resize((20, 16)).save(small)
    result = run("dense", small, *weights, "--stride", 1, "--top", 99)
    assert result.status == 0
    boxes = np.array([list(map(int, re.search(BOX, line).groups())) for line in result.lines[1:]])
    assert (boxes[:, 3] - boxes[:, 1] == 16).all() and boxes[:, 2].max() == 20
    assert run("detect", small, *weights).status == 0


def test_classes_of_one_name_need_a_number(run, picture, weights, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("\n".join(["crane", "Crane", *CIFAR10[2:]]))
    options = (*weights, "--categories", names)
    assert_one_line_error(
        run("dense", picture, *options, "--class", "crane"), "classes 0, 1 have this name; give a number"
    )
    assert run("dense", picture, *options, "--class", 1).lines[0] == f"{picture}: Crane"


@pytest.mark.parametrize("count", [9, 11])
@pytest.mark.parametrize("command", ["dense", "detect"])
def test_names_that_are_more_or_fewer_than_the_classes_are_refused(
    run, picture, weights, tmp_path, command, count
):
    names = tmp_path / "names.txt"
    names.write_text("\n".join((*CIFAR10, "crane")[:count]))
    assert_one_line_error(
        run(command, picture, *weights, "--categories", names),
        f"--categories: {count} names, but cifar10_resnet20 has 10 classes",
    )


@pytest.mark.parametrize("value", ["0.5", "1,0", "0,2", "all"])
def test_ranges_of_colours_that_cannot_be(run, picture, weights, value):
    assert_one_line_error(run("dense", picture, *weights, "--range", value), "--range: expected")


@pytest.mark.parametrize(
    ("option", "value"), [("--threshold", "1.5"), ("--iou", "x"), ("--max-detections", "0")]
)
def test_detect_tells_what_is_out_of_range(run, picture, weights, option, value):
    assert_one_line_error(run("detect", picture, *weights, option, value), f"{option}: expected")


# ---- a page of digits ----


def test_demo_finds_digits(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("detect", "--demo")
    assert result.status == 0
    assert result.lines[0] == "digits.png"
    assert all(
        re.fullmatch(r"#\d+ \([01]\.\d\d\) [0-9] at \d+,\d+ to \d+,\d+", line) for line in result.lines[1:-1]
    )
    found, digits = map(int, re.match(r"found (\d+) of the (\d+) digits", result.lines[-1]).groups())
    assert digits == 12 and found >= 11
    assert "a page of digits (MNIST: LeCun, Cortes, Burges) is in digits.png" in result.err
    with Image.open("digits.png") as page, Image.open("digits-boxes.png") as boxes:
        assert page.size == boxes.size == (384, 256)
        assert page.mode == "L" and np.asarray(boxes).std(axis=2).any()


def test_demo_overwrites_nothing(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits-boxes.png").write_text("mine")
    first, second = run("detect", "--demo"), run("detect", "--demo", "--seed", 1, "--out", "found.png")
    assert first.lines[0] == "digits-2.png" and second.lines[0] == "digits-3.png"
    assert (tmp_path / "digits-boxes.png").read_text() == "mine"
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "digits-boxes.png", "digits-2.png", "digits-2-boxes.png", "digits-3.png", "found.png",
    }  # fmt: skip
    assert first.out != second.out


def test_demo_in_json_is_what_python_finds_on_its_page(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = json.loads(run("detect", "--demo", "--json").out)
    assert report["file"] == "digits.png" and report["demo"]["digits"] == 12
    assert report["demo"]["found"] <= len(report["detections"])
    weights = rvision.models.LeNet5_Weights.MNIST
    detector = dense.SlidingWindowDetector(
        rvision.models.lenet5(weights=weights), transform=weights.transforms(), **dense.DIGIT_WINDOWS
    )
    with Image.open("digits.png") as page:
        found = dense.find_digits(detector, page)
    assert [one["index"] for one in report["detections"]] == found["labels"].tolist()
    np.testing.assert_allclose(
        [one["box"] for one in report["detections"]], found["boxes"].tolist(), atol=0.006
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--demo", "a.png"], "--demo brings its own picture and network"),
        (["--demo", "--model", "resnet18"], "--demo brings its own picture and network"),
        (["--demo", "--seed", -1], "--seed: expected a number from 0"),
        (["--demo", "--out", "none/boxes.png"], "there is no folder none"),
        (["a.png", "--seed", 1], "--seed is for --demo"),
        ([], "name pictures or folders, or try --demo"),
    ],
)
def test_demos_that_cannot_be(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert_one_line_error(run("detect", *arguments), message)
    assert not list(tmp_path.glob("*.png"))
