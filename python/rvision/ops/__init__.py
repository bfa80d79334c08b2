"""Boxes on pictures, and blocks that networks share (`torchvision.ops`)."""

# Packages are imported before their submodules, for threads that import at the same time.
import rvision.nn  # noqa: F401
from rvision.ops.boxes import (
    batched_nms,
    box_area,
    box_convert,
    box_iou,
    clip_boxes_to_image,
    nms,
    remove_small_boxes,
)
from rvision.ops.misc import MLP, Conv2dNormActivation, Permute, SqueezeExcitation
from rvision.ops.stochastic_depth import StochasticDepth

__all__ = [
    "MLP",
    "Conv2dNormActivation",
    "Permute",
    "SqueezeExcitation",
    "StochasticDepth",
    "batched_nms",
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "nms",
    "remove_small_boxes",
]
