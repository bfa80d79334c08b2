"""Blocks that networks share (`torchvision.ops`)."""

from rvision.ops.misc import Conv2dNormActivation

__all__ = ["Conv2dNormActivation"]
