"""Trained classifiers as dense predictors, with an exact geometry of each cell of a map.

`convolutionize` turns a classifier into a network for pictures of any size. `predict` runs it at
any stride and several scales and tells which window of the picture each cell stands for.
`receptive_field` tells what a cell depends on. `SlidingWindowDetector` returns the best windows of
each class. `digit_page` makes a page to try it on.
"""

# Packages are imported before their submodules, for threads that import at the same time.
import rvision.models
import rvision.nn
import rvision.ops
import rvision.transforms  # noqa: F401
from rvision.dense._convolutionize import Convolutionized, convolutionize, receptive_field
from rvision.dense._detect import SlidingWindowDetector, scale_factors
from rvision.dense._digits import DIGIT_WINDOWS, DigitPage, digit_page, find_digits, held_out_digits, matches
from rvision.dense._inside import class_activation_map, occlude
from rvision.dense._map import Box, Map, ReceptiveField
from rvision.dense._predict import predict
from rvision.dense._scan import Rows, Scan, scan
from rvision.dense._views import average, five_crop, multi_scale, random_crops, ten_crop

__all__ = [
    "DIGIT_WINDOWS",
    "Box",
    "Convolutionized",
    "DigitPage",
    "Map",
    "ReceptiveField",
    "Rows",
    "Scan",
    "SlidingWindowDetector",
    "average",
    "class_activation_map",
    "convolutionize",
    "digit_page",
    "find_digits",
    "five_crop",
    "held_out_digits",
    "matches",
    "multi_scale",
    "occlude",
    "predict",
    "random_crops",
    "receptive_field",
    "scale_factors",
    "scan",
    "ten_crop",
]


def __dir__() -> list[str]:
    return sorted(__all__)
