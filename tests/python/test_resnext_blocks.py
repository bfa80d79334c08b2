"""The three forms of the ResNeXt block compute the same function."""

from __future__ import annotations

import numpy as np
import pytest
import rvision
from models_drawn import pictures, uniform
from rvision.models import ResNeXtBlockA, ResNeXtBlockB, ResNeXtBlockC, resnext_paths


def values_for(block):
    """Return a state dict with random values, the variances positive."""
    drawn = {}
    for name, value in block.state_dict().items():
        low, high = (0.5, 1.5) if name.endswith("running_var") else (-0.5, 0.5)
        drawn[name] = uniform(name, value.shape, low, high) if value.dtype == np.float32 else value + 3
    return drawn


@pytest.mark.parametrize(
    ("inplanes", "planes", "cardinality", "width", "stride"),
    [(64, 64, 8, 4, 1), (24, 40, 3, 5, 2), (16, 16, 1, 6, 1), (16, 16, 6, 1, 1)],
)
def test_the_three_forms_are_equal(inplanes, planes, cardinality, width, stride):
    settings = (inplanes, planes, cardinality, width, stride)
    grouped = ResNeXtBlockC(*settings)
    state = values_for(grouped)
    grouped.load_state_dict(state)
    summed, concatenated = ResNeXtBlockA(*settings), ResNeXtBlockB(*settings)
    summed.load_state_dict(resnext_paths(state, cardinality, summed=True))
    concatenated.load_state_dict(resnext_paths(state, cardinality))
    x = pictures((2, inplanes, 9, 7))
    expected = grouped(x)
    assert expected.shape == (2, planes, -(-9 // stride), -(-7 // stride))
    assert (expected > 0).any()
    for block in (summed, concatenated):
        np.testing.assert_allclose(block(x), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    # The same weights, counted: only the form differs.
    parameters = {
        sum(int(np.prod(p.shape)) for p in block.parameters()) for block in (grouped, summed, concatenated)
    }
    assert len(parameters) == 1


def test_every_path_counts():
    grouped = ResNeXtBlockC(16, 16, 4, 4)
    state = values_for(grouped)
    split = resnext_paths(state, 4, summed=True)
    block, x = ResNeXtBlockA(16, 16, 4, 4), pictures((1, 16, 6, 6))
    block.load_state_dict(split)
    whole = block(x)
    for i in range(4):
        block.load_state_dict({**split, f"conv3.{i}.weight": np.zeros((16, 4, 1, 1), np.float32)})
        assert np.abs(block(x) - whole).max() > 0.01


def test_another_cardinality_is_told():
    block = ResNeXtBlockC(16, 16, 4, 4)
    with pytest.raises(ValueError, match=r"conv1\.weight has 16 channels.*cardinality=3"):
        resnext_paths(block.state_dict(), 3)
    # It divides the channels, but is not the block's.
    with pytest.raises(rvision.StateDictError):
        ResNeXtBlockB(16, 16, 4, 4).load_state_dict(resnext_paths(block.state_dict(), 2))
