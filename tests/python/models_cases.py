"""The networks that tests compare with torch's, one function per family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """A network to compare.

    `sizes` are the inputs' shapes, the preset's first. `branch_end` matches the parameters of the
    last batch norm (or other last layer) of each residual branch. They are scaled by
    `branch_scale`, which is smaller in deep networks. Otherwise every block would amplify the
    rounding errors of those before it, and a sum of fifty branches would drown the first.
    `any_size` is False where a picture of half the size is an error. `gain` multiplies the weights,
    so that gates depend on their input.
    """

    builder: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    sizes: tuple[tuple[int, ...], ...] = ((1, 3, 224, 224), (3, 3, 225, 193))
    branch_end: str | None = None
    branch_scale: float = 0.3
    any_size: bool = True
    gain: float = 1.0


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


def _mobile_v3() -> dict[str, Case]:
    large = r"features\.(1\.block\.1|(3|8|9|10)\.block\.2|(5|6|12|14|15)\.block\.3)\.1\."
    small = r"features\.(3\.block\.2|(5|6|8|10|11)\.block\.3)\.1\."
    other = {"width_mult": 0.75, "reduced_tail": True, "dilated": True, "num_classes": 10}
    return {
        "mobilenet_v3_large": Case("mobilenet_v3_large", branch_end=large),
        "mobilenet_v3_large-dilated": Case("mobilenet_v3_large", other, branch_end=large),
        "mobilenet_v3_small": Case("mobilenet_v3_small", branch_end=small),
    }


def _efficientnets() -> dict[str, Case]:
    first = r"features\.1\.[1-9]\d*\.block\.2\.1\."
    v1 = rf"{first}|features\.[2-7]\.[1-9]\d*\.block\.3\.1\."
    v2 = (
        r"features\.1\.\d+\.block\.0\.1\.|features\.[23]\.[1-9]\d*\.block\.1\.1\."
        r"|features\.[4-7]\.[1-9]\d*\.block\.3\.1\."
    )
    # B3 and larger, and V2, at less than their presets' sizes, for the time it takes.
    sizes = {"b0": 224, "b1": 240, "b2": 288, "b3": 160, "b4": 160, "b5": 128, "b6": 128, "b7": 96}
    sizes |= {"v2_s": 192, "v2_m": 96, "v2_l": 96}
    cases = {}
    for variant, size in sizes.items():
        name = f"efficientnet_{variant}"
        shapes = ((1, 3, size, size), (3, 3, size - 31, size + 1))
        deep = variant in ("b5", "b6", "b7", "v2_m", "v2_l")
        end, scale = v2 if "v2" in name else v1, 0.15 if deep else 0.3
        cases[name] = Case(name, sizes=shapes, branch_end=end, branch_scale=scale)
    return cases


def _regnets() -> dict[str, Case]:
    end = r"trunk_output\.block\d\.block\d-\d+\.f\.c\.1\."
    # The larger ones at less than their presets' 224, for the time it takes.
    sizes = {"400mf": 224, "800mf": 224, "1_6gf": 128, "3_2gf": 96, "8gf": 96, "16gf": 64, "32gf": 64}
    cases = {}
    for kind, largest in (("x", {}), ("y", {"128gf": 64})):
        for variant, size in (sizes | largest).items():
            name = f"regnet_{kind}_{variant}"
            odd = (3, 3, 225, 193) if size == 224 else (3, 3, size - 31, size + 1)
            cases[name] = Case(name, sizes=((1, 3, size, size), odd), branch_end=end)
    return cases


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


def _densenets() -> dict[str, Case]:
    return {name: Case(name) for name in ("densenet121", "densenet161", "densenet169", "densenet201")}


def _inceptions() -> dict[str, Case]:
    # As with published weights; the auxiliary heads say nothing at inference.
    kwargs = {"aux_logits": False, "transform_input": True, "init_weights": False}
    large = ((1, 3, 299, 299), (3, 3, 193, 161))
    # The later ones at less than their 299, for the time it takes.
    sizes = ((1, 3, 171, 171), (3, 3, 155, 139))
    residual = r"(repeat(_[12])?\.\d+|block8)\.conv2d\."
    return {
        "googlenet": Case("googlenet", kwargs),
        "inception_v3": Case("inception_v3", kwargs, large),
        "googlenet_lrn": Case("googlenet_lrn"),
        "inception_v4": Case("inception_v4", sizes=sizes),
        "inception_resnet_v2": Case(
            "inception_resnet_v2", sizes=sizes, branch_end=residual, branch_scale=1.0
        ),
        "bn_inception": Case("bn_inception"),
    }


def _shufflenets() -> dict[str, Case]:
    return {name: Case(name) for name in (f"shufflenet_v2_x{x}" for x in ("0_5", "1_0", "1_5", "2_0"))}


def _mnasnets() -> dict[str, Case]:
    # Of the blocks with a shortcut: all but the first of each stack.
    end = r"layers\.(8|9|10|11|12)\.[1-9]\.layers\.7\."
    return {
        name: Case(name, branch_end=end) for name in (f"mnasnet{x}" for x in ("0_5", "0_75", "1_0", "1_3"))
    }


def _before_resnet() -> dict[str, Case]:
    """Networks of 2012 to 2015 that torchvision does not have."""
    return {
        "nin_imagenet": Case("nin_imagenet"),
        "nin_cifar10": Case("nin_cifar10", sizes=((1, 3, 32, 32), (3, 3, 37, 45))),
        "alexnet_lecture": Case(
            "alexnet_lecture", sizes=((1, 3, 224, 224), (3, 3, 225, 251)), any_size=False
        ),
        "vgg19_lecture": Case("vgg19_lecture", sizes=((1, 3, 224, 224), (3, 3, 225, 251)), any_size=False),
        "overfeat_fast": Case("overfeat_fast", sizes=((1, 3, 231, 231), (3, 3, 233, 257)), any_size=False),
        "overfeat_accurate": Case(
            "overfeat_accurate", sizes=((1, 3, 221, 221), (3, 3, 223, 239)), any_size=False
        ),
        "zfnet": Case("zfnet", sizes=((1, 3, 224, 224), (3, 3, 227, 231)), any_size=False),
        "highway_cifar10": Case("highway_cifar10", sizes=((1, 3, 32, 32), (3, 3, 37, 45)), gain=1.1),
        "mcdnn_mnist": Case("mcdnn_mnist", sizes=((1, 7, 29, 29), (3, 7, 29, 29))),
        "prelu_net_a": Case("prelu_net_a", sizes=((1, 3, 112, 112), (3, 3, 97, 81))),
    }


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
        return Case(builder, kwargs, ((1, 3, size, size), (3, 3, size, size)), end, any_size=False)

    return {
        "vit_b_16": case("vit_b_16", 224),
        "vit_b_32": case("vit_b_32", 224),
        "vit_b_32-representation": case(
            "vit_b_32", 96, image_size=96, num_classes=10, representation_size=40
        ),
        "vit_l_16": case("vit_l_16", 48, image_size=48),
        "vit_l_32": case("vit_l_32", 64, image_size=64),
        "vit_h_14": case("vit_h_14", 28, image_size=28),
    }


def _swins() -> dict[str, Case]:
    # The second size pads the windows, the deepest stage has less than one.
    large, small = ((1, 3, 224, 224), (3, 3, 133, 151)), ((1, 3, 112, 112), (3, 3, 75, 101))
    first = r"features\.\d\.\d+\.(attn\.proj|mlp\.3)\."
    second = r"features\.\d\.\d+\.norm[12]\."
    return {
        "swin_t": Case("swin_t", {}, large, first),
        "swin_s": Case("swin_s", {}, small, first),
        "swin_b": Case("swin_b", {}, small, first),
        "swin_v2_t": Case("swin_v2_t", {}, ((1, 3, 256, 256), (3, 3, 133, 151)), second),
        "swin_v2_s": Case("swin_v2_s", {}, small, second),
        "swin_v2_b": Case("swin_v2_b", {}, small, second),
    }


def _maxvit() -> dict[str, Case]:
    attention = r"\w+_attention\.(attn_layer\.1\.merge|mlp_layer\.3)"
    end = rf"blocks\.\d\.layers\.\d\.layers\.(MBconv\.layers\.conv_c|{attention})\."
    return {"maxvit_t": Case("maxvit_t", {}, ((1, 3, 224, 224), (3, 3, 224, 224)), end, any_size=False)}


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


def _cifar_resnext() -> dict[str, Case]:
    # Five and ten billion multiply-adds a picture of 32x32.
    sizes = {8: ((1, 3, 32, 32), (3, 3, 13, 17)), 16: ((1, 3, 16, 16), (3, 3, 11, 13))}
    return {
        f"resnext29_{groups}x64d": Case(f"resnext29_{groups}x64d", {}, shapes, r"layer\d\.\d+\.bn3\.")
        for groups, shapes in sizes.items()
    }


CASES = (
    _plain()
    | _resnets()
    | _mobile()
    | _mobile_v3()
    | _efficientnets()
    | _regnets()
    | _small()
    | _densenets()
    | _inceptions()
    | _shufflenets()
    | _mnasnets()
    | _before_resnet()
    | _convnexts()
    | _vits()
    | _swins()
    | _maxvit()
    | _preact()
    | _cifar_dense()
    | _cifar_resnext()
)
