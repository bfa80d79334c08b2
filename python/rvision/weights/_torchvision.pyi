"""The enums of the networks that torchvision has weights for; `tools/weights_stub.py` writes this file."""

# ruff: noqa: RUF022  # the order of zoo.json

from rvision.weights._base import WeightsEnum

__all__ = [
    "AlexNet_Weights",
    "ConvNeXt_Base_Weights",
    "ConvNeXt_Large_Weights",
    "ConvNeXt_Small_Weights",
    "ConvNeXt_Tiny_Weights",
    "DenseNet121_Weights",
    "DenseNet161_Weights",
    "DenseNet169_Weights",
    "DenseNet201_Weights",
    "EfficientNet_B0_Weights",
    "EfficientNet_B1_Weights",
    "EfficientNet_B2_Weights",
    "EfficientNet_B3_Weights",
    "EfficientNet_B4_Weights",
    "EfficientNet_B5_Weights",
    "EfficientNet_B6_Weights",
    "EfficientNet_B7_Weights",
    "EfficientNet_V2_L_Weights",
    "EfficientNet_V2_M_Weights",
    "EfficientNet_V2_S_Weights",
    "GoogLeNet_Weights",
    "Inception_V3_Weights",
    "MaxVit_T_Weights",
    "MNASNet0_5_Weights",
    "MNASNet0_75_Weights",
    "MNASNet1_0_Weights",
    "MNASNet1_3_Weights",
    "MobileNet_V2_Weights",
    "MobileNet_V3_Large_Weights",
    "MobileNet_V3_Small_Weights",
    "RegNet_X_16GF_Weights",
    "RegNet_X_1_6GF_Weights",
    "RegNet_X_32GF_Weights",
    "RegNet_X_3_2GF_Weights",
    "RegNet_X_400MF_Weights",
    "RegNet_X_800MF_Weights",
    "RegNet_X_8GF_Weights",
    "RegNet_Y_128GF_Weights",
    "RegNet_Y_16GF_Weights",
    "RegNet_Y_1_6GF_Weights",
    "RegNet_Y_32GF_Weights",
    "RegNet_Y_3_2GF_Weights",
    "RegNet_Y_400MF_Weights",
    "RegNet_Y_800MF_Weights",
    "RegNet_Y_8GF_Weights",
    "ResNet101_Weights",
    "ResNet152_Weights",
    "ResNet18_Weights",
    "ResNet34_Weights",
    "ResNet50_Weights",
    "ResNeXt101_32X8D_Weights",
    "ResNeXt101_64X4D_Weights",
    "ResNeXt50_32X4D_Weights",
    "ShuffleNet_V2_X0_5_Weights",
    "ShuffleNet_V2_X1_0_Weights",
    "ShuffleNet_V2_X1_5_Weights",
    "ShuffleNet_V2_X2_0_Weights",
    "SqueezeNet1_0_Weights",
    "SqueezeNet1_1_Weights",
    "Swin_B_Weights",
    "Swin_S_Weights",
    "Swin_T_Weights",
    "Swin_V2_B_Weights",
    "Swin_V2_S_Weights",
    "Swin_V2_T_Weights",
    "VGG11_Weights",
    "VGG11_BN_Weights",
    "VGG13_Weights",
    "VGG13_BN_Weights",
    "VGG16_Weights",
    "VGG16_BN_Weights",
    "VGG19_Weights",
    "VGG19_BN_Weights",
    "ViT_B_16_Weights",
    "ViT_B_32_Weights",
    "ViT_H_14_Weights",
    "ViT_L_16_Weights",
    "ViT_L_32_Weights",
    "Wide_ResNet101_2_Weights",
    "Wide_ResNet50_2_Weights",
]

class AlexNet_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.alexnet`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class ConvNeXt_Base_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.convnext_base`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class ConvNeXt_Large_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.convnext_large`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class ConvNeXt_Small_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.convnext_small`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class ConvNeXt_Tiny_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.convnext_tiny`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class DenseNet121_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.densenet121`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class DenseNet161_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.densenet161`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class DenseNet169_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.densenet169`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class DenseNet201_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.densenet201`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class EfficientNet_B0_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b0`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class EfficientNet_B1_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b1`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class EfficientNet_B2_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b2`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class EfficientNet_B3_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b3`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class EfficientNet_B4_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b4`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class EfficientNet_B5_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b5`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class EfficientNet_B6_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b6`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class EfficientNet_B7_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_b7`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class EfficientNet_V2_L_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_v2_l`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class EfficientNet_V2_M_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_v2_m`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class EfficientNet_V2_S_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_v2_s`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class GoogLeNet_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.googlenet`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class Inception_V3_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.inception_v3`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class MaxVit_T_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.maxvit_t`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class MNASNet0_5_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.mnasnet0_5`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class MNASNet0_75_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.mnasnet0_75`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class MNASNet1_0_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.mnasnet1_0`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class MNASNet1_3_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.mnasnet1_3`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class MobileNet_V2_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.mobilenet_v2`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class MobileNet_V3_Large_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.mobilenet_v3_large`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class MobileNet_V3_Small_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.mobilenet_v3_small`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class RegNet_X_16GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_x_16gf`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class RegNet_X_1_6GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_x_1_6gf`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class RegNet_X_32GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_x_32gf`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class RegNet_X_3_2GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_x_3_2gf`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class RegNet_X_400MF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_x_400mf`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class RegNet_X_800MF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_x_800mf`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class RegNet_X_8GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_x_8gf`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class RegNet_Y_128GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_128gf`."""

    IMAGENET1K_SWAG_E2E_V1 = ...
    IMAGENET1K_SWAG_LINEAR_V1 = ...
    DEFAULT = IMAGENET1K_SWAG_E2E_V1

class RegNet_Y_16GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_16gf`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    IMAGENET1K_SWAG_E2E_V1 = ...
    IMAGENET1K_SWAG_LINEAR_V1 = ...
    DEFAULT = IMAGENET1K_V2

class RegNet_Y_1_6GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_1_6gf`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class RegNet_Y_32GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_32gf`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    IMAGENET1K_SWAG_E2E_V1 = ...
    IMAGENET1K_SWAG_LINEAR_V1 = ...
    DEFAULT = IMAGENET1K_V2

class RegNet_Y_3_2GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_3_2gf`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class RegNet_Y_400MF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_400mf`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class RegNet_Y_800MF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_800mf`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class RegNet_Y_8GF_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.regnet_y_8gf`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class ResNet101_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnet101`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class ResNet152_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnet152`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class ResNet18_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnet18`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class ResNet34_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnet34`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class ResNet50_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnet50`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class ResNeXt101_32X8D_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnext101_32x8d`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class ResNeXt101_64X4D_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnext101_64x4d`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class ResNeXt50_32X4D_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.resnext50_32x4d`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class ShuffleNet_V2_X0_5_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.shufflenet_v2_x0_5`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class ShuffleNet_V2_X1_0_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.shufflenet_v2_x1_0`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class ShuffleNet_V2_X1_5_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.shufflenet_v2_x1_5`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class ShuffleNet_V2_X2_0_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.shufflenet_v2_x2_0`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class SqueezeNet1_0_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.squeezenet1_0`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class SqueezeNet1_1_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.squeezenet1_1`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class Swin_B_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.swin_b`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class Swin_S_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.swin_s`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class Swin_T_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.swin_t`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class Swin_V2_B_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.swin_v2_b`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class Swin_V2_S_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.swin_v2_s`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class Swin_V2_T_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.swin_v2_t`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class VGG11_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg11`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class VGG11_BN_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg11_bn`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class VGG13_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg13`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class VGG13_BN_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg13_bn`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class VGG16_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg16`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_FEATURES = ...
    DEFAULT = IMAGENET1K_V1

class VGG16_BN_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg16_bn`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class VGG19_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg19`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class VGG19_BN_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vgg19_bn`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class ViT_B_16_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vit_b_16`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_SWAG_E2E_V1 = ...
    IMAGENET1K_SWAG_LINEAR_V1 = ...
    DEFAULT = IMAGENET1K_V1

class ViT_B_32_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vit_b_32`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class ViT_H_14_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vit_h_14`."""

    IMAGENET1K_SWAG_E2E_V1 = ...
    IMAGENET1K_SWAG_LINEAR_V1 = ...
    DEFAULT = IMAGENET1K_SWAG_E2E_V1

class ViT_L_16_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vit_l_16`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_SWAG_E2E_V1 = ...
    IMAGENET1K_SWAG_LINEAR_V1 = ...
    DEFAULT = IMAGENET1K_V1

class ViT_L_32_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.vit_l_32`."""

    IMAGENET1K_V1 = ...
    DEFAULT = IMAGENET1K_V1

class Wide_ResNet101_2_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.wide_resnet101_2`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2

class Wide_ResNet50_2_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.wide_resnet50_2`."""

    IMAGENET1K_V1 = ...
    IMAGENET1K_V2 = ...
    DEFAULT = IMAGENET1K_V2
