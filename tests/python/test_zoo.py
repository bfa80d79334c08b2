"""Every published entry: what its name resolves to, its builders, and its preset."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pytest
from pictures import photo, real_data
from PIL import Image
from rvision import models
from rvision.models import WeightsEnum, get_weight
from rvision.transforms import ImageClassification
from rvision.weights._cache import expected_hash
from rvision.weights._zoo import imagenet_categories, table

ENTRIES = sorted(table()["weights"])
NETWORKS = sorted(table()["networks"])


def test_there_are_as_many_as_torchvision_has():
    assert (len(NETWORKS), len(ENTRIES)) == (80, 115)
    assert {entry.partition(".")[0] for entry in ENTRIES} == set(table()["networks"].values())


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_leads_to_file_hash_preset_and_categories(entry, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    row = table()["weights"][entry]
    weights = get_weight(entry)
    assert repr(weights) == entry

    name = re.fullmatch(r"https://download\.pytorch\.org/models/([\w.-]+\.pth)", weights.url)[1]
    assert name == row["file"]
    # torch's rule for the beginning of a file's SHA-256.
    digits = re.search(r"-([a-f0-9]*)\.", name)[1]
    assert expected_hash(name) == digits and len(digits) >= 8
    assert weights.cached_file() is None
    file = tmp_path / "hub" / "checkpoints" / name
    file.parent.mkdir(parents=True)
    file.touch()
    assert weights.cached_file() == file

    preset = weights.transforms()
    assert isinstance(preset, ImageClassification)
    assert (preset.crop_size, preset.resize_size) == ([row["crop"]], [row["resize"]])
    assert (preset.mean, preset.std) == (row["mean"], row["std"])
    assert preset.interpolation.value == row["interpolation"]
    assert preset(photo(60, 40)).shape == (3, row["crop"], row["crop"])

    named = None if entry == "VGG16_Weights.IMAGENET1K_FEATURES" else imagenet_categories()
    assert weights.meta["categories"] == named
    assert {
        "num_params",
        "min_size",
        "recipe",
        "_metrics",
        "_ops",
        "_file_size",
        "_docs",
    } <= weights.meta.keys()


class Reached(Exception):
    """Raised when the builder is about to read a file."""


@pytest.mark.parametrize("network", NETWORKS)
def test_a_builder_takes_every_name_of_its_weights(network, monkeypatch):
    def answer(self: WeightsEnum, *args: Any, **kwargs: Any) -> Any:
        raise Reached(self)

    monkeypatch.setattr(WeightsEnum, "get_state_dict", answer)
    builder = models.get_model_builder(network)
    enum = models.get_model_weights(network)
    assert enum.__name__ == table()["networks"][network]
    assert set(enum.__members__) - {"DEFAULT"} == {
        entry.partition(".")[2] for entry in ENTRIES if entry.partition(".")[0] == enum.__name__
    }
    for name, member in enum.__members__.items():
        for given in (member, name, f"{enum.__name__}.{name}"):
            with pytest.raises(Reached) as reached:
                builder(weights=given)
            assert reached.value.args == (member,)


@cache
def picture(kind: str) -> Image.Image:
    """Return a photograph, or a picture that every preset must enlarge."""
    if kind == "small":
        return photo(97, 64)
    with Image.open(real_data() / "dog.jpg") as img:
        return img.convert("RGB")


@pytest.mark.parametrize("kind", ["photograph", "small"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_a_preset_equals_torchvisions(torch, entry, kind):
    import torchvision

    ours, theirs = get_weight(entry).transforms(), torchvision.models.get_weight(entry).transforms()
    np.testing.assert_array_equal(ours(picture(kind)), theirs(picture(kind)).numpy(), strict=True)
