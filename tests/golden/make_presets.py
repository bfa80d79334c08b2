"""Write `presets.npz`: what torchvision's presets make of one picture, before the scaling to floats.

Run with a Python that has torchvision and pytest. The numbers are uint8, every 16th pixel of each crop.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from torchvision import transforms as tv

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "python"))

from pictures import photo  # noqa: E402

rows = json.loads((ROOT / "python/rvision/weights/zoo.json").read_text())["weights"].values()
keys = ("crop", "resize", "interpolation", "mean", "std")
combinations = sorted({json.dumps([row[key] for key in keys]) for row in rows})
arrays = {"combinations": np.array(combinations)}
for index, combination in enumerate(combinations):
    crop, resize, interpolation, _, _ = json.loads(combination)
    mode = tv.InterpolationMode(interpolation)
    img = tv.CenterCrop(crop)(tv.Resize(resize, mode)(photo(321, 243)))
    arrays[f"crop{index}"] = np.asarray(img)[::16, ::16]
np.savez_compressed(Path(__file__).parent / "presets.npz", **arrays)
