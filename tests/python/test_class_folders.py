"""The class that a folder of pictures stands for: by name, WordNet id, number or position."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rvision
from PIL import Image
from rvision import transforms as T
from rvision._class_folders import classes_of_folders
from rvision.weights._zoo import imagenet_categories, imagenet_wordnet_ids

ROOT = Path("val")
DOZEN = [f"name {index}" for index in range(12)]


def told(names, count, categories=None):
    return classes_of_folders(ROOT, sorted(names), count, categories)


def classes(names, count, categories=None):
    """Return the class of each folder, by name."""
    return dict(zip(sorted(names), told(names, count, categories)[0], strict=True))


# ---- WordNet ids ----


def test_wordnet_ids_are_imagenets():
    ids = imagenet_wordnet_ids()
    assert len(set(ids)) == 1000 and ids == sorted(ids)
    assert all(len(each) == 9 and each[0] == "n" and each[1:].isdecimal() for each in ids)
    # From ILSVRC 2012's own list.
    anchors = {
        "n01440764": (0, "tench"),
        "n01443537": (1, "goldfish"),
        "n02123045": (281, "tabby"),
        "n02012849": (134, "crane"),
        "n03126707": (517, "crane"),
        "n03710637": (638, "maillot"),
        "n03710721": (639, "maillot"),
        "n04376876": (845, "syringe"),
        "n15075141": (999, "toilet tissue"),
    }
    for number, (index, name) in anchors.items():
        assert ids[index] == number
        assert imagenet_categories()[index].startswith(name)


def test_wordnet_ids_agree_with_labelled_pictures(real_data):
    import csv

    with (real_data / "imagenet" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        assert imagenet_wordnet_ids()[int(row["class_index"])] == row["file"][:9]


@pytest.mark.parametrize("categories", [None, imagenet_categories()])
def test_a_few_folders_of_wordnet_ids_are_enough(categories):
    few = {"n01440764": 0, "n02123045": 281, "n15075141": 999}
    assert classes(few, 1000, categories) == few
    assert "WordNet ids" in told(few, 1000, categories)[1]
    names = {"n02085620-Chihuahua": 151, "n02123045_tabby": 281, "N15075141": 999}
    assert classes(names, 1000, categories) == names


def test_all_thousand_wordnet_ids():
    ids = imagenet_wordnet_ids()
    assert told(ids[::-1], 1000)[0] == list(range(1000))


def test_wordnet_ids_of_other_networks_are_names_like_any():
    # Ten folders of ten classes, as in Imagenette: a network of ten outputs has them in their order.
    ten = ["n01440764", "n02102040", "n02979186", "n03000684", "n03028079"]
    ten += ["n03394916", "n03417042", "n03425413", "n03445777", "n03888257"]
    assert told(ten, 10)[0] == list(range(10))
    assert "places" in told(ten, 10)[1]
    with pytest.raises(rvision.ArgumentError, match="5 class folders, but the network has 10 classes"):
        told(ten[:5], 10)
    # And a network of a thousand outputs has them at ImageNet's.
    assert told(ten, 1000)[0] == [imagenet_wordnet_ids().index(each) for each in ten]


# ---- numbers ----


@pytest.mark.parametrize("categories", [None, DOZEN])
@pytest.mark.parametrize("width", [1, 3])
def test_as_many_numbers_as_classes_are_these_classes(categories, width):
    names = {f"{index:0{width}}": index for index in range(12)}
    assert classes(names, 12, categories) == names
    rule = told(names, 12, categories)[1]
    assert "numbers" in rule and ("ImageFolder" in rule) == (width == 1)


@pytest.mark.parametrize("names", [["0", "2", "10"], ["5"], ["00", "11"], ["3", "10"]])
def test_some_numbers_are_these_classes(names):
    assert classes(names, 12, DOZEN) == {name: int(name) for name in names}
    assert classes(names, 12) == {name: int(name) for name in names}


def test_numbers_from_one_are_said():
    # Among a thousand classes they are numbers from 0, and the example shows what that means.
    indices, rule = told(["1", "2", "3"], 1000, imagenet_categories())
    assert indices == [1, 2, 3] and "folder '1' is class 1, goldfish" in rule
    # As many as classes: their order is the same both ways.
    assert told([str(n) for n in range(1, 10)], 9)[0] == list(range(9))
    assert told([f"{n:03}" for n in range(1, 103)], 102)[0] == list(range(102))
    assert "folder '102' is class 101" in told([f"{n:03}" for n in range(1, 103)], 102)[1]
    # Here it is not: 10 comes after 9, or after 1.
    with pytest.raises(rvision.ArgumentError, match=r"\(1, 10, 11, ...\) are not 0 to 11.*give categories="):
        told([str(n) for n in range(1, 13)], 12, DOZEN)
    # Told by their names there is no question.
    ordered = [str(n) for n in range(1, 13)]
    assert classes(ordered, 12, ordered) == {str(n): n - 1 for n in range(1, 13)}
    assert classes(ordered, 12, sorted(ordered)) == {name: i for i, name in enumerate(sorted(ordered))}
    with pytest.raises(rvision.ArgumentError, match="'12' is not one of 0 to 11"):
        told(["1", "12"], 12, DOZEN)


def test_two_folders_of_one_number_are_refused():
    with pytest.raises(rvision.ArgumentError, match=r"'00' and '0' both stand for class 0|'0' and '00' both"):
        told(["0", "00", "5"], 12, DOZEN)


# ---- names ----


@pytest.mark.parametrize("names", [["Great_White-shark", "TENCH"], ["great white shark", "Tench "]])
def test_names_in_any_case(names):
    assert sorted(told(names, 1000, imagenet_categories())[0]) == [0, 2]
    assert "names" in told(names, 1000, imagenet_categories())[1]


def test_as_many_names_as_classes_need_not_be_sorted():
    categories = ["zebra", "ant", "bee"]
    assert classes(categories, 3, categories) == {"zebra": 0, "ant": 1, "bee": 2}


def test_a_name_of_two_classes_is_reported():
    with pytest.raises(rvision.ArgumentError, match=r"'Cardigan' stands for classes 264 and 474"):
        told(["Cardigan", "tench"], 1000, imagenet_categories())
    assert sorted(told(["264", "n03124170", "tench"], 1000, imagenet_categories())[0]) == [0, 264, 515]


def test_names_ids_and_numbers_may_be_mixed():
    mixed = {"tench": 0, "n02123045": 281, "999": 999, "Cowboy hat": 515}
    assert classes(mixed, 1000, imagenet_categories()) == mixed
    assert "names and numbers" in told(mixed, 1000, imagenet_categories())[1]


# ---- places ----


def test_unknown_names_are_taken_by_place_if_there_are_as_many():
    indices, rule = told(["b", "a", "c"], 3, ["x", "y", "z"])
    assert indices == [0, 1, 2] and "places" in rule and "folder 'c' is class 2, z" in rule
    assert told(["b", "a", "c"], 3)[0] == [0, 1, 2]


@pytest.mark.parametrize(
    "names", [["ant", "bee", "unknown"], [*(str(n) for n in range(11)), "other"]], ids=["names", "numbers"]
)
def test_a_place_that_a_name_contradicts_is_refused(names):
    categories = ["zebra", "ant", "bee"] if "ant" in names else DOZEN
    with pytest.raises(rvision.ArgumentError, match=r"stands for class .* but its place among"):
        told(names, len(categories), categories)


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c", "d"]])
def test_another_count_of_unknown_names_is_refused(names):
    for categories in (["x", "y", "z"], None):
        with pytest.raises(rvision.ArgumentError, match=f"{len(names)} class folders, but the network has 3"):
            told(names, 3, categories)


# ---- evaluate ----


def grey_level(x: np.ndarray) -> np.ndarray:
    """A classifier whose class is the picture's grey level: (N, 3, H, W) to (N, 12)."""
    return np.eye(12, dtype=np.float32)[np.rint(x[:, 0, 0, 0] * 255).astype(int)]


def make_folders(root: Path, names: dict[str, int]) -> Path:
    for name, level in names.items():
        (root / name).mkdir(parents=True)
        Image.new("RGB", (4, 4), (level,) * 3).save(root / name / "a.png")
    return root


@pytest.mark.parametrize("categories", [None, DOZEN])
def test_evaluate_takes_numbers_and_says_so(tmp_path, categories):
    make_folders(tmp_path, {str(index): index for index in range(12)})
    result = rvision.evaluate(grey_level, tmp_path, transforms=T.ToTensor(), categories=categories)
    assert result.accuracy() == 1.0
    assert result.rule.startswith("their numbers (folder '10' is class 10")


def test_evaluate_says_no_rule_where_labels_are_given(tmp_path):
    make_folders(tmp_path, {"a": 3})
    result = rvision.evaluate(grey_level, [tmp_path / "a" / "a.png"], [3], transforms=T.ToTensor())
    assert result.accuracy() == 1.0 and result.rule == ""


def test_evaluate_refuses_another_number_of_categories(tmp_path):
    make_folders(tmp_path, {str(index): index for index in range(11)})
    for categories in (DOZEN[:11], [*DOZEN, "one more"]):
        with pytest.raises(rvision.ArgumentError, match=f"{len(categories)} names, .* 12 classes"):
            rvision.evaluate(grey_level, tmp_path, transforms=T.ToTensor(), categories=categories)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere: No such file or folder"):
        rvision.evaluate(grey_level, tmp_path / "nowhere", transforms=T.ToTensor())


def test_the_command_line_says_the_rule(run, tmp_path):
    from rvision.models import lenet5

    rvision.save(lenet5().state_dict(), tmp_path / "w.safetensors")
    folder = make_folders(tmp_path / "val", {str(digit): 20 * digit for digit in (3, 5)})
    weights = ("--model", "lenet5", "--weights", tmp_path / "w.safetensors")
    result = run("evaluate", folder, *weights)
    assert result.status == 0
    assert "rvision: class folders are taken by their names (folder '3' is class 3)" in result.err
    result = run("evaluate", folder, *weights, "--json")
    assert json.loads(result.out)["rule"] == "their names (folder '3' is class 3)"
