"""What `dir()` and tab completion offer: what is meant to be used, and nothing else."""

from __future__ import annotations

import importlib
import types

import pytest
import rvision

PACKAGES = ["nn", "models", "weights", "transforms", "dense", "utils"]
HELPERS = {"annotations", "importlib", "Any", "NoReturn", "partial", "np", "TYPE_CHECKING", "rvision"}


@pytest.mark.parametrize("package", ["", *PACKAGES])
def test_helpers_are_not_offered(package):
    module = importlib.import_module(f"rvision.{package}".rstrip("."))
    offered = dir(module)
    assert not HELPERS & set(offered)
    assert not [name for name in offered if name[0] == "_" and name != "__version__"]


@pytest.mark.parametrize("package", PACKAGES)
def test_all_that_is_offered_is_there(package):
    module = importlib.import_module(f"rvision.{package}")
    for name in dir(module):
        value = getattr(module, name)
        assert not isinstance(value, types.ModuleType) or name in ("data", "functional", "init")


def test_all_that_is_used_is_offered():
    assert {"models", "nn", "load", "save", "summary", "evaluate", "classify"} <= set(dir(rvision))
    assert {"Module", "Conv2d", "Sequential", "functional", "init"} <= set(dir(rvision.nn))
    assert set(rvision.models.list_models()) <= set(dir(rvision.models))
    assert {"get_model", "ResNet", "ResNet50_Weights", "WeightsEnum"} <= set(dir(rvision.models))
    enums = {enum.__name__ for enum in rvision.weights.WeightsEnum.__subclasses__()}
    enums = {name for name in enums if hasattr(rvision.weights, name)}
    assert len(enums) > 30
    assert enums <= set(dir(rvision.weights))
    assert enums <= set(dir(rvision.models))
    assert {"Compose", "ToTensor", "functional"} <= set(dir(rvision.transforms))
    assert {"predict", "convolutionize"} <= set(dir(rvision.dense))


def test_members_of_weights_are_offered():
    names = dir(rvision.weights.ResNet50_Weights)
    assert {"IMAGENET1K_V1", "IMAGENET1K_V2", "DEFAULT"} <= set(names)
