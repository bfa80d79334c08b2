"""The cost of `import rvision`, and what it must not import."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import rvision

MEASURE = """
import json, sys, time
import numpy
start = time.perf_counter()
import rvision
took = time.perf_counter() - start
print(json.dumps([took, sorted(sys.modules)]))
"""


def measure() -> tuple[float, list[str]]:
    took, modules = json.loads(subprocess.check_output([sys.executable, "-c", MEASURE]))
    return took, modules


def test_import_adds_at_most_fifty_milliseconds_to_numpy():
    # The fastest of several: other processes can only add to it.
    assert min(measure()[0] for _ in range(5)) < 0.050


def test_import_leaves_what_is_not_used_alone():
    modules = measure()[1]
    assert not {"PIL", "tqdm", "torch", "rvision.nn", "rvision.models", "rvision.transforms"} & set(modules)


def test_names_are_imported_when_they_are_used():
    assert rvision.nn.Linear(2, 3).weight.shape == (3, 2)
    assert rvision.cat is rvision.concat
    assert {"nn", "models", "transforms", "cat", "load"} <= set(dir(rvision))
    with pytest.raises(AttributeError, match="rvision has no 'nonsense'"):
        _ = rvision.nonsense
