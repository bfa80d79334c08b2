"""The networks that tests compare with torch's, a function a family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """A network to compare.

    `sizes` are the inputs' shapes, the preset's first. `branch_end` matches the parameters of the last batch
    norm of each residual branch; they are scaled by 0.3. Without that every block would amplify the rounding
    errors of those before it, and a sum of fifty branches would drown the first.
    """

    builder: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    sizes: tuple[tuple[int, ...], ...] = ((1, 3, 224, 224), (3, 3, 225, 193))
    branch_end: str | None = None


def _plain() -> dict[str, Case]:
    cases = {name: Case(name) for name in ("alexnet", "squeezenet1_0", "squeezenet1_1")}
    for depth in (11, 13, 16, 19):
        cases |= {name: Case(name) for name in (f"vgg{depth}", f"vgg{depth}_bn")}
    return cases


def _resnets() -> dict[str, Case]:
    basic, bottleneck = r"layer\d\.\d+\.bn2\.", r"layer\d\.\d+\.bn3\."
    cases = {name: Case(name, branch_end=basic) for name in ("resnet18", "resnet34")}
    for name in (
        "resnet50",
        "resnet101",
        "resnet152",
        "resnext50_32x4d",
        "resnext101_32x8d",
        "resnext101_64x4d",
        "wide_resnet50_2",
        "wide_resnet101_2",
    ):
        cases[name] = Case(name, branch_end=bottleneck)
    dilated = {"replace_stride_with_dilation": [False, True, True], "num_classes": 21}
    cases["resnet50-dilated"] = Case("resnet50", dilated, branch_end=bottleneck)
    return cases


def _mobile() -> dict[str, Case]:
    inverted = r"features\.(3|5|6|8|9|10|12|13|15|16)\.conv\.3\."
    narrow = {"width_mult": 0.35, "num_classes": 10}
    return {
        "mobilenet_v2": Case("mobilenet_v2", branch_end=inverted),
        "mobilenet_v2-narrow": Case("mobilenet_v2", narrow, branch_end=inverted),
        "efficientnet_lite0": Case("efficientnet_lite0", branch_end=r"blocks\.\d\.[1-9]\.bn3\."),
    }


def _small() -> dict[str, Case]:
    sizes = ((1, 3, 32, 32), (3, 3, 37, 45))
    cases = {}
    for depth in (20, 32, 44, 56, 110):
        for shortcut in "AB":
            name = f"cifar10_resnet{depth}"
            end = r"layer\d\.\d+\.bn2\."
            cases[f"{name}-{shortcut}"] = Case(name, {"shortcut": shortcut}, sizes, end)
    cases["lenet5"] = Case("lenet5", sizes=((1, 1, 28, 28), (3, 1, 28, 28)))
    return cases


def _preact() -> dict[str, Case]:
    sizes, small = ((1, 3, 32, 32), (3, 3, 37, 45)), ((1, 3, 32, 32), (3, 3, 21, 25))
    # A branch ends in a convolution here; the norm before it scales it as well.
    end = r"layer\d\.\d+\.bn2\."
    cases = {f"preact_resnet{depth}": Case(f"preact_resnet{depth}", {}, sizes, end) for depth in (20, 110)}
    cases["preact_resnet164"] = Case("preact_resnet164", {}, small, r"layer\d\.\d+\.bn3\.")
    cases |= {name: Case(name, {}, small, end) for name in ("wrn_16_8", "wrn_40_4")}
    # Five billion multiply-adds a picture of 32x32.
    cases["wrn_28_10"] = Case("wrn_28_10", {}, ((1, 3, 32, 32), (3, 3, 13, 17)), end)
    return cases


def _cifar_dense() -> dict[str, Case]:
    return {"densenet_bc_100_12": Case("densenet_bc_100_12", sizes=((1, 3, 32, 32), (3, 3, 37, 45)))}


CASES = _plain() | _resnets() | _mobile() | _small() | _preact() | _cifar_dense()
