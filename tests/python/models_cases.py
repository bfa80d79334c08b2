"""The networks that tests compare with torch's, a function a family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """A network to compare.

    `sizes` are the inputs' shapes, the preset's first. `branch_end` matches the parameters of the last batch
    norm (or what else ends it) of each residual branch; they are scaled by 0.3. Without that every block
    would amplify the rounding errors of those before it, and a sum of fifty branches would drown the first.
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


def _convnexts() -> dict[str, Case]:
    end = r"features\.\d\.\d+\.layer_scale$"
    small = ((1, 3, 64, 64), (3, 3, 75, 53))
    return {
        "convnext_tiny": Case("convnext_tiny", branch_end=end),
        "convnext_small": Case("convnext_small", sizes=((1, 3, 224, 224), (3, 3, 97, 75)), branch_end=end),
        "convnext_base": Case("convnext_base", sizes=small, branch_end=end),
        "convnext_large": Case("convnext_large", sizes=small, branch_end=end),
    }


def _vits() -> dict[str, Case]:
    def case(builder: str, size: int, **kwargs: Any) -> Case:
        # One size only: the position embeddings decide it.
        end = r"encoder\.layers\.encoder_layer_\d+\.(self_attention\.out_proj|mlp\.3)\."
        return Case(builder, kwargs, ((1, 3, size, size), (3, 3, size, size)), end)

    return {
        "vit_b_32": case("vit_b_32", 224),
        "vit_b_32-representation": case(
            "vit_b_32", 96, image_size=96, num_classes=10, representation_size=40
        ),
    }


def _swins() -> dict[str, Case]:
    # The second size pads the windows, the deepest stage has less than one.
    large, small = ((1, 3, 224, 224), (3, 3, 133, 151)), ((1, 3, 112, 112), (3, 3, 75, 101))
    first = r"features\.\d\.\d+\.(attn\.proj|mlp\.3)\."
    second = r"features\.\d\.\d+\.norm[12]\."
    return {
        "swin_t": Case("swin_t", {}, large, first),
        "swin_s": Case("swin_s", {}, small, first),
        "swin_v2_t": Case("swin_v2_t", {}, ((1, 3, 256, 256), (3, 3, 133, 151)), second),
        "swin_v2_s": Case("swin_v2_s", {}, small, second),
    }


def _maxvit() -> dict[str, Case]:
    attention = r"\w+_attention\.(attn_layer\.1\.merge|mlp_layer\.3)"
    end = rf"blocks\.\d\.layers\.\d\.layers\.(MBconv\.layers\.conv_c|{attention})\."
    return {"maxvit_t": Case("maxvit_t", {}, ((1, 3, 224, 224), (3, 3, 224, 224)), end)}


CASES = _plain() | _resnets() | _mobile() | _small() | _convnexts() | _vits() | _swins() | _maxvit()
