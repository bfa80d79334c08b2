"""EXIF orientation, files that are not pictures, and truncated pictures."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import rvision
from cli_results import assert_one_line_error
from PIL import Image
from rvision import transforms as T
from rvision._pictures import PictureError, read_picture
from rvision.models import lenet5

# What a viewer shows, from what is in the file, by the definition in EXIF 2.3, 4.6.4 A.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8)


def save(path: Path, orientation: int | None, pixels: np.ndarray = PIXELS) -> Path:
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif, **lossless)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> tuple[str, ...]:
    file = tmp_path_factory.mktemp("weights") / "w.safetensors"
    rvision.save(lenet5().state_dict(), file)
    return "--model", "lenet5", "--weights", str(file)


@pytest.mark.parametrize("ending", [".png", ".webp"])
@pytest.mark.parametrize("orientation", list(UPRIGHT))
def test_pictures_are_turned_as_exif_says(tmp_path, orientation, ending):
    path = save(tmp_path / f"a{ending}", orientation)
    ignored = []
    assert np.array_equal(read_picture(path, ignored=ignored), PIXELS)
    assert ignored == ([path] if orientation > 1 else [])
    assert np.array_equal(read_picture(path, orient=True), UPRIGHT[orientation](PIXELS))


@pytest.mark.parametrize("orientation", [None, 0, 9, 1])
def test_no_orientation_turns_nothing(tmp_path, orientation):
    path = save(tmp_path / "a.png", orientation)
    ignored = []
    for orient in (False, True):
        assert np.array_equal(read_picture(path, orient=orient, ignored=ignored), PIXELS)
    assert ignored == []


def test_photographs_are_turned(tmp_path):
    plain, turned = save(tmp_path / "a.jpg", 1), save(tmp_path / "b.jpg", 6)
    wanted = np.rot90(np.asarray(read_picture(plain)), -1)
    assert np.array_equal(read_picture(turned, orient=True), wanted)


def test_damaged_exif_is_no_damaged_picture(tmp_path, monkeypatch):
    def damaged(_):
        raise SyntaxError("not a TIFF file")

    path = save(tmp_path / "a.png", None)
    monkeypatch.setattr(Image.Image, "getexif", damaged)
    assert np.array_equal(read_picture(path, orient=True), PIXELS)


def left_half(x: np.ndarray) -> np.ndarray:
    """A classifier of two classes: the left half is the darker one, or the brighter one."""
    half = x.shape[3] // 2
    left, right = (part.mean(axis=(1, 2, 3)) for part in (x[..., :half], x[..., half:]))
    return np.stack([right, left], axis=1)


def test_evaluate_turns_pictures_if_asked(tmp_path):
    bright_left = np.zeros((20, 20, 3), np.uint8)
    bright_left[:, :10] = 255
    files = [save(tmp_path / "a.png", None, bright_left), save(tmp_path / "b.png", 2, bright_left)]
    plain = rvision.evaluate(left_half, files, [1, 0], transforms=T.ToTensor())
    assert plain.accuracy() == 0.5 and plain.ignored_orientation == [files[1]]
    turned = rvision.evaluate(left_half, files, [1, 0], transforms=T.ToTensor(), orient=True)
    assert turned.accuracy() == 1.0 and turned.ignored_orientation == []


def test_classify_says_that_orientation_is_ignored(run, weights, tmp_path):
    upright = save(tmp_path / "up" / "a.png", None, np.ascontiguousarray(UPRIGHT[6](PIXELS)))
    lying = save(tmp_path / "lying" / "a.png", 6)
    wanted = json.loads(run("classify", upright, *weights, "--json").out)["top"]
    result = run("classify", lying, *weights, "--json")
    assert f"{lying}: its EXIF orientation is not applied" in result.err and "--orient" in result.err
    assert json.loads(result.out)["top"] != wanted
    result = run("classify", lying, *weights, "--json", "--orient")
    assert "EXIF" not in result.err and json.loads(result.out)["top"] == wanted
    save(tmp_path / "lying" / "b.png", 3)
    result = run("classify", tmp_path / "lying", *weights)
    assert result.err.count("EXIF") == 1 and "2 pictures have an EXIF orientation" in result.err


def test_evaluate_says_that_orientation_is_ignored(run, weights, tmp_path):
    save(tmp_path / "3" / "a.png", 8)
    result = run("evaluate", tmp_path, *weights)
    assert result.status == 0 and "its EXIF orientation is not applied" in result.err
    assert "EXIF" not in run("evaluate", tmp_path, *weights, "--orient").err


def test_dense_turns_pictures_if_asked(run, weights, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (40, 64), dtype=np.uint8)
    path = save(tmp_path / "a.png", 6, pixels)
    shape = {}
    for option in ((), ("--orient",)):
        result = run("dense", path, *weights, "--class", "3", "--stride", "4", "--json", *option)
        assert result.status == 0, result.err
        assert ("EXIF" in result.err) == (option == ())
        shape[option] = json.loads(result.out)["maps"][0]["shape"]
    assert shape["--orient",] == shape[()][::-1]


# ---- files that are none ----


@pytest.mark.parametrize("address", ["https://example.com/a/dog.jpg", "HTTP://example.com/dog.jpg"])
@pytest.mark.parametrize("command", ["classify", "dense", "evaluate"])
def test_an_address_is_no_file(run, weights, command, address):
    result = run(command, address, *weights)
    assert_one_line_error(result, f"{address}: an address, not a file; download it first")


def test_an_address_is_no_file_in_python():
    address = "https://example.com/dog.jpg"
    with pytest.raises(PictureError, match=f"{address}: an address, not a file"):
        rvision.evaluate(left_half, [address], [0], transforms=T.ToTensor())
    with pytest.raises(FileNotFoundError, match=f"{address}: an address, not a file"):
        rvision.evaluate(left_half, address, transforms=T.ToTensor())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_evaluate_reports_a_picture_that_ends_too_early(run, weights, tmp_path, kind, share):
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind)
    save(tmp_path / "3" / "whole.png", None)
    (tmp_path / "3" / "half.jpg").write_bytes(buffer.getvalue()[: int(share * len(buffer.getvalue()))])
    result = run("evaluate", tmp_path, *weights)
    assert result.status == 2 and "half.jpg: " in result.err
    assert "1 picture: " in result.out and "; 1 could not be read" in result.out
    result = run("evaluate", tmp_path, *weights, "--json")
    assert result.status == 2
    assert {"n": 1, "unreadable": 1}.items() <= json.loads(result.out).items()


# ---- names of classes ----


@pytest.mark.parametrize("command", ["classify", "evaluate", "dense"])
@pytest.mark.parametrize("count", [9, 11])
def test_another_number_of_names_than_classes_is_refused(run, weights, tmp_path, command, count):
    names = tmp_path / "names.txt"
    picture = save(tmp_path / "val" / "0" / "a.png", None, np.zeros((40, 40), np.uint8))
    names.write_text("".join(f"{index}\n" for index in range(count)))
    given = tmp_path / "val" if command == "evaluate" else picture
    result = run(command, given, *weights, "--categories", names)
    assert_one_line_error(result, f"categories: {count} names, but .* 10 classes")
    assert result.out == ""
    names.write_text("".join(f"{index}\n" for index in range(10)) + "\n\n")
    assert run(command, given, *weights, "--categories", names).status == 0
