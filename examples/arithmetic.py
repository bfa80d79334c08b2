"""The arithmetic of residual networks and GoogLeNet: parameters of blocks, multiply-adds of networks.

    python examples/arithmetic.py

Prints the numbers of courses and papers beside those that `rvision.summary` counts for the actual
networks. No network is run, and no weights are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import rvision
from rvision import models, nn
from rvision.models.resnet import BasicBlock, Bottleneck, ResNet


@dataclass(frozen=True)
class Block:
    """A block's parameters.

    Attributes
    ----------
    name, formula : str
        Its name, and the formula for its parameters.
    by_hand : int
        The result of the formula: weights, and biases if it has them.
    module : Module
        The same block here.
    channels : int
        Channels of its input.
    """

    name: str
    formula: str
    by_hand: int
    module: nn.Module
    channels: int

    @property
    def parameters(self) -> int:
        """All parameters of the module; a batch norm has two per channel, a formula one bias."""
        return rvision.summary(self.module, (1, self.channels, 56, 56)).num_params

    @property
    def convolution_weights(self) -> int:
        """The weights of its convolutions alone."""
        rows = rvision.summary(self.module, (1, self.channels, 56, 56)).rows
        return sum(row.num_params for row in rows if row.type == "Conv2d")


def blocks() -> list[Block]:
    """Return the blocks of ResNet and ResNeXt.

    The formula of the bottleneck is the one that courses use; it includes the biases of one layer
    of 64 channels (with those of all three, it would be 70,016). ResNeXt's paper counts weights
    only.
    """
    return [
        Block(
            "basic, 64 channels",
            "2 (3*3*64*64 + 64)",
            2 * (3 * 3 * 64 * 64 + 64),
            BasicBlock(64, 64),
            64,
        ),
        Block(
            "basic, 256 channels",
            "2 (3*3*256*256 + 256)",
            2 * (3 * 3 * 256 * 256 + 256),
            BasicBlock(256, 256),
            256,
        ),
        Block(
            "bottleneck, 256-64-256",
            "256*64 + 3*3*64*64 + 64*256 + 64",
            256 * 64 + 3 * 3 * 64 * 64 + 64 * 256 + 64,
            Bottleneck(256, 64),
            256,
        ),
        Block(
            "ResNeXt 32x4d, 256-128-256",
            "256*128 + 32 (3*3*4*4) + 128*256",
            256 * 128 + 32 * (3 * 3 * 4 * 4) + 128 * 256,
            Bottleneck(256, 64, groups=32, base_width=4),
            256,
        ),
    ]


class PaperBottleneck(Bottleneck):
    """The bottleneck of He et al. (arXiv:1512.03385), with the stride in the first 1x1 convolution.

    torchvision's version, called V1.5, has the stride in the 3x3 convolution and reads all pixels.
    Names and parameters are the same.
    """

    def __init__(self, inplanes: int, planes: int, stride: int = 1, *args: Any, **kwargs: Any) -> None:
        super().__init__(inplanes, planes, stride, *args, **kwargs)
        self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride


@dataclass(frozen=True)
class ResNetCost:
    """Multiply-adds of a residual network for a picture of 224x224, in units of 1e9.

    Attributes
    ----------
    depth : int
        The number of layers.
    published : float
        The value in Table 1 of the paper.
    paper, torchvision : float
        The counts with the paper's stride and with torchvision's.
    """

    depth: int
    published: float
    paper: float
    torchvision: float


def resnets() -> list[ResNetCost]:
    """Return the networks of He et al.'s Table 1."""
    rows: list[tuple[int, type, Sequence[int], float]] = [
        (18, BasicBlock, [2, 2, 2, 2], 1.8),
        (34, BasicBlock, [3, 4, 6, 3], 3.6),
        (50, PaperBottleneck, [3, 4, 6, 3], 3.8),
        (101, PaperBottleneck, [3, 4, 23, 3], 7.6),
        (152, PaperBottleneck, [3, 8, 36, 3], 11.3),
    ]
    return [
        ResNetCost(
            depth,
            published,
            rvision.summary(ResNet(block, layers), (1, 3, 224, 224)).gflops,
            rvision.summary(models.get_model(f"resnet{depth}"), (1, 3, 224, 224)).gflops,
        )
        for depth, block, layers, published in rows
    ]


def parameters_without_heads(name: str) -> int:
    """Return a network's parameters without the auxiliary classifiers, which only training uses."""
    rows = rvision.summary(models.get_model(name), (1, 3, 224, 224)).rows
    return sum(row.num_params for row in rows if not row.name.startswith("aux"))


def main() -> None:
    """Print all tables."""
    print("Parameters of a block: by hand, here (with batch norm), and of its convolutions alone\n")
    for block in blocks():
        counts = f"{block.by_hand:>9,}  {block.parameters:>9,}  {block.convolution_weights:>9,}"
        print(f"{block.name:26}  {block.formula:32}  {counts}")

    print("\nMultiply-adds in 1e9: He et al.'s Table 1, counted with their stride, with torchvision's\n")
    for net in resnets():
        print(f"ResNet-{net.depth:<3}  {net.published:5.1f}  {net.paper:6.2f}  {net.torchvision:6.2f}")

    print("\nParameters of AlexNet in multiples of GoogLeNet's; the paper says 12\n")
    alexnet = parameters_without_heads("alexnet")
    for name, what in (("googlenet_lrn", "as published"), ("googlenet", "torchvision's")):
        count = parameters_without_heads(name)
        print(f"GoogLeNet {what:13}  {alexnet:,} / {count:,} = {alexnet / count:.1f}")


if __name__ == "__main__":
    main()
