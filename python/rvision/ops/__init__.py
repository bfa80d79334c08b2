"""Blocks that networks share (`torchvision.ops`)."""

from rvision.ops.misc import Conv2dNormActivation, SqueezeExcitation
from rvision.ops.stochastic_depth import StochasticDepth

__all__ = ["Conv2dNormActivation", "SqueezeExcitation", "StochasticDepth"]
