"""MobileNetV3, small and large.

Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le, Adam: "Searching for MobileNetV3"
(arXiv:1905.02244). Names as in `torchvision.models.mobilenetv3`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from rvision import nn
from rvision.models._api import model_builder
from rvision.models._utils import _make_divisible, width_of
from rvision.ops import Conv2dNormActivation, SqueezeExcitation
from rvision.weights import MobileNet_V3_Large_Weights, MobileNet_V3_Small_Weights

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = [
    "MobileNetV3",
    "MobileNet_V3_Large_Weights",
    "MobileNet_V3_Small_Weights",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
]


_GATE = partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid)


class InvertedResidualConfig:
    """A block: a row of the paper's tables 1 and 2.

    Parameters
    ----------
    input_channels, expanded_channels, out_channels : int
        Channels before, inside and after, for `width_mult` 1.
    kernel : int
        Size of the depthwise kernel.
    use_se : bool
        Whether there is a squeeze-and-excitation.
    activation : {"HS", "RE"}
        Hardswish or ReLU.
    stride, dilation : int
        The depthwise convolution's. A dilated one has stride 1, so the next layers see as many
        pixels.
    width_mult : float
        Multiplies all channels, which are rounded to multiples of 8.

    Raises
    ------
    ValueError
        If `activation` is neither.
    """

    def __init__(
        self,
        input_channels: int,
        kernel: int,
        expanded_channels: int,
        out_channels: int,
        use_se: bool,
        activation: str,
        stride: int,
        dilation: int,
        width_mult: float,
    ) -> None:
        if activation not in ("HS", "RE"):
            raise ValueError(f"InvertedResidualConfig: activation must be 'HS' or 'RE', got {activation!r}")
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.kernel = kernel
        self.expanded_channels = self.adjust_channels(expanded_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.use_se = use_se
        self.use_hs = activation == "HS"
        self.stride = stride
        self.dilation = dilation

    @staticmethod
    def adjust_channels(channels: int, width_mult: float) -> int:
        """Return the multiple of 8 near ``channels * width_mult``."""
        return _make_divisible(channels * width_mult, 8)


class InvertedResidual(nn.Module):
    """Expand by 1x1, depthwise convolution, squeeze and excite, project by 1x1 without activation.

    (N, input_channels, H, W) to (N, out_channels, H/stride, W/stride); the input is added if the
    shapes agree.

    Parameters
    ----------
    cnf : InvertedResidualConfig
        The layers.
    norm_layer : callable
        Makes a normalisation from a channel count.
    se_layer : callable
        Makes a squeeze-and-excitation from the channels outside and inside.

    Raises
    ------
    ValueError
        If the stride is neither 1 nor 2.
    """

    def __init__(
        self,
        cnf: InvertedResidualConfig,
        norm_layer: Callable[..., nn.Module],
        se_layer: Callable[..., nn.Module] = _GATE,
    ) -> None:
        super().__init__()
        if cnf.stride not in (1, 2):
            raise ValueError(f"InvertedResidual: stride must be 1 or 2, got {cnf.stride}")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.out_channels = cnf.out_channels
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer)
        activation = nn.Hardswish if cnf.use_hs else nn.ReLU
        hidden = cnf.expanded_channels

        layers: list[nn.Module] = []
        if hidden != cnf.input_channels:
            layers.append(conv(cnf.input_channels, hidden, kernel_size=1, activation_layer=activation))
        layers.append(
            conv(
                hidden,
                hidden,
                kernel_size=cnf.kernel,
                stride=1 if cnf.dilation > 1 else cnf.stride,
                dilation=cnf.dilation,
                groups=hidden,
                activation_layer=activation,
            )
        )
        if cnf.use_se:
            layers.append(se_layer(hidden, _make_divisible(hidden // 4, 8)))
        layers.append(conv(hidden, cnf.out_channels, kernel_size=1, activation_layer=None))
        self.block = nn.Sequential(*layers)

    def forward(self, input: Symbol) -> Symbol:
        """Return the block's output."""
        return self.block(input) + input if self.use_res_connect else self.block(input)


class MobileNetV3(nn.Module):
    """MobileNetV3: (N, 3, H, W) of any size to (N, num_classes).

    Parameters
    ----------
    inverted_residual_setting : sequence of InvertedResidualConfig
        The blocks.
    last_channel : int
        Channels between the two linear layers.
    num_classes : int
        Outputs.
    block : callable, optional
        Makes a block from its configuration and `norm_layer`, `InvertedResidual` by default.
    norm_layer : callable, optional
        Makes a normalisation from a channel count; by default `BatchNorm2d` with `eps` 0.001 and `momentum`
        0.01.
    dropout : float
        Probability of the dropout, which does nothing at inference.

    Raises
    ------
    ValueError
        If there are no blocks.
    TypeError
        If `inverted_residual_setting` is not a sequence of InvertedResidualConfig.
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[InvertedResidualConfig],
        last_channel: int,
        num_classes: int = 1000,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        setting = inverted_residual_setting
        if not isinstance(setting, Sequence) or not all(
            isinstance(cnf, InvertedResidualConfig) for cnf in setting
        ):
            raise TypeError(
                f"inverted_residual_setting must be a list of InvertedResidualConfig, got {setting!r}"
            )
        if not setting:
            raise ValueError("inverted_residual_setting must have at least one block, got none")
        block = block or InvertedResidual
        norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)

        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.Hardswish)
        last_conv = 6 * setting[-1].out_channels
        self.features = nn.Sequential(
            conv(3, setting[0].input_channels, stride=2),
            *(block(cnf, norm_layer) for cnf in setting),
            conv(setting[-1].out_channels, last_conv, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(last_conv, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.features(x)
        x = self.avgpool(x).flatten(1)
        return self.classifier(x)


def _sizes(shapes: Mapping[str, tuple[int, ...]], last_block: int, last_channel: int) -> dict[str, Any]:
    """Return width and tail for which stem and classifier have a file's channels."""
    stem, hidden = shapes.get("features.0.0.weight", ()), shapes.get("classifier.0.weight", ())
    if len(stem) != 4 or len(hidden) != 2:
        return {}
    for tail in (1, 2):
        width = width_of([stem[0], hidden[0], hidden[1] // 6], [16, last_channel // tail, last_block // tail])
        if width is not None:
            sizes = {} if width == 1.0 else {"width_mult": width}
            return sizes if tail == 1 else {**sizes, "reduced_tail": True}
    return {}


@model_builder(MobileNet_V3_Large_Weights, from_state=partial(_sizes, last_block=160, last_channel=1280))
def mobilenet_v3_large(
    *, width_mult: float = 1.0, reduced_tail: bool = False, dilated: bool = False, **kwargs: Any
) -> MobileNetV3:
    """MobileNetV3-Large of "Searching for MobileNetV3" (arXiv:1905.02244).

    `width_mult` multiplies all channels; `reduced_tail` halves those of the last blocks and of the
    classifier; `dilated` replaces the last stride by dilation, for segmentation.
    """
    row = partial(InvertedResidualConfig, width_mult=width_mult)
    tail, dilation = 2 if reduced_tail else 1, 2 if dilated else 1
    setting = [
        row(16, 3, 16, 16, False, "RE", 1, 1),
        row(16, 3, 64, 24, False, "RE", 2, 1),
        row(24, 3, 72, 24, False, "RE", 1, 1),
        row(24, 5, 72, 40, True, "RE", 2, 1),
        row(40, 5, 120, 40, True, "RE", 1, 1),
        row(40, 5, 120, 40, True, "RE", 1, 1),
        row(40, 3, 240, 80, False, "HS", 2, 1),
        row(80, 3, 200, 80, False, "HS", 1, 1),
        row(80, 3, 184, 80, False, "HS", 1, 1),
        row(80, 3, 184, 80, False, "HS", 1, 1),
        row(80, 3, 480, 112, True, "HS", 1, 1),
        row(112, 3, 672, 112, True, "HS", 1, 1),
        row(112, 5, 672, 160 // tail, True, "HS", 2, dilation),
        row(160 // tail, 5, 960 // tail, 160 // tail, True, "HS", 1, dilation),
        row(160 // tail, 5, 960 // tail, 160 // tail, True, "HS", 1, dilation),
    ]
    return MobileNetV3(setting, InvertedResidualConfig.adjust_channels(1280 // tail, width_mult), **kwargs)


@model_builder(MobileNet_V3_Small_Weights, from_state=partial(_sizes, last_block=96, last_channel=1024))
def mobilenet_v3_small(
    *, width_mult: float = 1.0, reduced_tail: bool = False, dilated: bool = False, **kwargs: Any
) -> MobileNetV3:
    """MobileNetV3-Small of "Searching for MobileNetV3" (arXiv:1905.02244).

    `width_mult` multiplies all channels; `reduced_tail` halves those of the last blocks and of the
    classifier; `dilated` replaces the last stride by dilation, for segmentation.
    """
    row = partial(InvertedResidualConfig, width_mult=width_mult)
    tail, dilation = 2 if reduced_tail else 1, 2 if dilated else 1
    setting = [
        row(16, 3, 16, 16, True, "RE", 2, 1),
        row(16, 3, 72, 24, False, "RE", 2, 1),
        row(24, 3, 88, 24, False, "RE", 1, 1),
        row(24, 5, 96, 40, True, "HS", 2, 1),
        row(40, 5, 240, 40, True, "HS", 1, 1),
        row(40, 5, 240, 40, True, "HS", 1, 1),
        row(40, 5, 120, 48, True, "HS", 1, 1),
        row(48, 5, 144, 48, True, "HS", 1, 1),
        row(48, 5, 288, 96 // tail, True, "HS", 2, dilation),
        row(96 // tail, 5, 576 // tail, 96 // tail, True, "HS", 1, dilation),
        row(96 // tail, 5, 576 // tail, 96 // tail, True, "HS", 1, dilation),
    ]
    return MobileNetV3(setting, InvertedResidualConfig.adjust_channels(1024 // tail, width_mult), **kwargs)
