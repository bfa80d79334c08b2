"""The first use of the package, in several threads at once, each time in a new process."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rvision

PROCESSES = 10

# Every thread is at the barrier before one of them imports anything.
TOGETHER = """
import sys, threading
import numpy as np
import rvision
{setup}
works = {works}
barrier = threading.Barrier(len(works))
failed = []
def work(code):
    barrier.wait()
    try:
        exec(code, globals().copy())
    except BaseException as error:
        failed.append(f"{{code}}: {{type(error).__name__}}: {{error}}")
sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=work, args=(code,)) for code in works]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*failed, sep="\\n", end="")
"""


def failures(works: list[str], setup: str = "") -> list[str]:
    """Return the failures in new processes that do all of `works` at once."""
    code = TOGETHER.format(setup=setup, works=works)

    def run(_: int) -> str:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        return done.stdout + done.stderr

    with ThreadPoolExecutor(2) as pool:
        return [said for said in pool.map(run, range(PROCESSES)) if said]


def test_first_preset_in_several_threads():
    preset = "preset = rvision.transforms.ImageClassification(crop_size=8, resize_size=8)"
    assert failures(["preset(np.zeros((9, 12, 3), np.uint8))"] * 8, preset) == []


@pytest.mark.parametrize("shape", ["(3, 9, 12)", "(9, 12, 3)"])
def test_first_transforms_in_several_threads(shape):
    calls = ["hflip(x)", "resize(x, 5)", "center_crop(x, 4)", "rgb_to_grayscale(x)"] * 2
    works = [f"rvision.transforms.functional.{call}" for call in calls]
    assert failures(works, f"x = np.ones({shape}, np.uint8)") == []


def test_first_use_of_several_packages_in_several_threads():
    names = ["load", "weights", "convolutionize", "dense", "nn", "cat", "models", "evaluate", "Ensemble"]
    names += ["summary", "profile", "hub", "ops", "utils", "transforms"]
    assert failures([f"rvision.{name}" for name in names]) == []


def test_evaluate_reads_its_first_pictures_in_several_threads(tmp_path):
    pixels = np.arange(8, dtype=np.uint8)[:, None, None, None] * np.ones((8, 6, 6, 3), np.uint8)
    np.savez(tmp_path / "x.npz", images=pixels, labels=np.arange(8))
    code = f"""
import numpy as np, rvision
rvision.set_num_threads(8)
def model(x):
    return np.eye(8, dtype=np.float32)[np.rint(x[:, 0, 0, 0] * 255).astype(int)]
preset = rvision.transforms.ImageClassification(crop_size=6, resize_size=6, mean=[0.0] * 3, std=[1.0] * 3)
result = rvision.evaluate(model, {str(tmp_path / "x.npz")!r}, transforms=preset)
assert result.accuracy(1) == 1.0, result
"""
    for _ in range(PROCESSES):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")


# Python imports a package while it holds the lock of the part that was asked for. Where another thread is
# importing the package, and comes to that part, the two wait for each other.
WATCH = """
import sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        frame = sys._getframe(1)
        while frame is not None:
            asked = frame.f_locals.get("name") if frame.f_code.co_name == "_find_and_load_unlocked" else None
            if isinstance(asked, str) and name.startswith("rvision.") and asked.startswith(name + "."):
                print(f"{asked} before {name}")
            frame = frame.f_back

import rvision
sys.meta_path.insert(0, Watch())
for name in sys.argv[1:]:
    getattr(rvision, name)
"""


# One name of each file that `rvision` takes names from.
LAZY = sorted({*rvision._MODULES, *{home: name for name, home in rvision._HOMES.items()}.values()})


def watched(code: str, *names: str) -> str:
    return subprocess.check_output([sys.executable, "-c", WATCH + code, *names], text=True)


def test_the_watch_sees_a_part_that_is_imported_first():
    assert "rvision.ops.boxes before rvision.ops" in watched("import rvision.ops.boxes")


@pytest.mark.parametrize("name", LAZY)
def test_packages_are_imported_before_their_parts(name):
    assert watched("", name) == ""
