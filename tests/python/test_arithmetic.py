"""The arithmetic example: formulas, the numbers of the papers, and those of our networks."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "arithmetic.py"


@pytest.fixture(scope="module")
def arithmetic() -> ModuleType:
    if not EXAMPLE.is_file():
        pytest.skip("the examples are not beside the tests")
    spec = importlib.util.spec_from_file_location("arithmetic", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    # Where dataclasses look for the types that they name.
    sys.modules["arithmetic"] = module
    spec.loader.exec_module(module)
    return module


def test_parameters_of_blocks(arithmetic):
    counted = [(block.by_hand, block.parameters, block.convolution_weights) for block in arithmetic.blocks()]
    assert counted == [
        (73_856, 73_984, 73_728),
        (1_180_160, 1_180_672, 1_179_648),
        (69_696, 70_400, 69_632),
        (70_144, 71_168, 70_144),
    ]


def test_multiply_adds_of_the_residual_networks(arithmetic):
    nets = arithmetic.resnets()
    assert [(net.depth, net.published) for net in nets] == [
        (18, 1.8), (34, 3.6), (50, 3.8), (101, 7.6), (152, 11.3),
    ]  # fmt: skip
    for net in nets:
        assert net.paper == pytest.approx(net.published, rel=0.02)
    # With the stride one convolution later the deep ones do more.
    assert [round(net.torchvision, 2) for net in nets] == [1.81, 3.66, 4.09, 7.80, 11.51]


def test_the_papers_bottleneck_has_torchvisions_parameters(arithmetic):
    ours = arithmetic.PaperBottleneck(256, 128, 2)
    assert (ours.conv1.stride, ours.conv2.stride) == ((2, 2), (1, 1))
    theirs = arithmetic.Bottleneck(256, 128, 2)
    assert [(key, value.shape) for key, value in ours.state_dict().items()] == [
        (key, value.shape) for key, value in theirs.state_dict().items()
    ]


def test_alexnet_has_many_times_the_parameters_of_googlenet(arithmetic):
    alexnet, published, torchvisions = (
        arithmetic.parameters_without_heads(name) for name in ("alexnet", "googlenet_lrn", "googlenet")
    )
    assert (alexnet, torchvisions) == (61_100_840, 6_624_904)
    assert round(alexnet / published, 1) == 8.7
    assert round(alexnet / torchvisions, 1) == 9.2


def test_all_of_it_is_printed(arithmetic, capsys):
    arithmetic.main()
    printed = capsys.readouterr().out
    for number in ("73,856", "73,984", "1,180,160", "1,180,672", "69,696", "70,400", "70,144", "69,632"):
        assert number in printed
    for number in ("3.86", "7.57", "11.28", "4.09", "7.80", "11.51", "= 8.7", "= 9.2", "says 12"):
        assert number in printed
