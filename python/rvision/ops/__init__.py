"""Blocks that networks share (`torchvision.ops`)."""

from rvision.ops.misc import MLP, Conv2dNormActivation, Permute, SqueezeExcitation
from rvision.ops.stochastic_depth import StochasticDepth

__all__ = ["MLP", "Conv2dNormActivation", "Permute", "SqueezeExcitation", "StochasticDepth"]
