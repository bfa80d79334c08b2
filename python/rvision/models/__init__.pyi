# Written by tests/python/test_types.py: the builders with the keywords that their networks take.
# ruff: noqa: I001
import os
from collections.abc import Callable, Sequence
from typing import Literal

from rvision import nn
from rvision.models import feature_extraction as feature_extraction
from rvision.models._api import StateDict as StateDict
from rvision.models._api import get_model as get_model
from rvision.models._api import get_model_builder as get_model_builder
from rvision.models._api import get_model_weights as get_model_weights
from rvision.models._api import get_weight as get_weight
from rvision.models._api import list_models as list_models
from rvision.models._api import model_builder as model_builder
from rvision.models._api import register_model as register_model
from rvision.models._convert import convert_state_dict as convert_state_dict
from rvision.models.alexnet import AlexNet as AlexNet
from rvision.models.alexnet import AlexNet_Weights as AlexNet_Weights
from rvision.models.bn_inception import BNInception as BNInception
from rvision.models.bn_inception import InceptionBN as InceptionBN
from rvision.models.bn_inception import InceptionBNReduction as InceptionBNReduction
from rvision.models.cifar_resnet import CifarResNet as CifarResNet
from rvision.models.cifar_resnet import PadShortcut as PadShortcut
from rvision.models.convnext import ConvNeXt as ConvNeXt
from rvision.models.convnext import ConvNeXt_Base_Weights as ConvNeXt_Base_Weights
from rvision.models.convnext import ConvNeXt_Large_Weights as ConvNeXt_Large_Weights
from rvision.models.convnext import ConvNeXt_Small_Weights as ConvNeXt_Small_Weights
from rvision.models.convnext import ConvNeXt_Tiny_Weights as ConvNeXt_Tiny_Weights
from rvision.models.densenet import DenseNet as DenseNet
from rvision.models.densenet import DenseNet121_Weights as DenseNet121_Weights
from rvision.models.densenet import DenseNet161_Weights as DenseNet161_Weights
from rvision.models.densenet import DenseNet169_Weights as DenseNet169_Weights
from rvision.models.densenet import DenseNet201_Weights as DenseNet201_Weights
from rvision.models.densenet_cifar import CifarDenseNet as CifarDenseNet
from rvision.models.efficientnet import EfficientNet as EfficientNet
from rvision.models.efficientnet import EfficientNet_B0_Weights as EfficientNet_B0_Weights
from rvision.models.efficientnet import EfficientNet_B1_Weights as EfficientNet_B1_Weights
from rvision.models.efficientnet import EfficientNet_B2_Weights as EfficientNet_B2_Weights
from rvision.models.efficientnet import EfficientNet_B3_Weights as EfficientNet_B3_Weights
from rvision.models.efficientnet import EfficientNet_B4_Weights as EfficientNet_B4_Weights
from rvision.models.efficientnet import EfficientNet_B5_Weights as EfficientNet_B5_Weights
from rvision.models.efficientnet import EfficientNet_B6_Weights as EfficientNet_B6_Weights
from rvision.models.efficientnet import EfficientNet_B7_Weights as EfficientNet_B7_Weights
from rvision.models.efficientnet import EfficientNet_V2_L_Weights as EfficientNet_V2_L_Weights
from rvision.models.efficientnet import EfficientNet_V2_M_Weights as EfficientNet_V2_M_Weights
from rvision.models.efficientnet import EfficientNet_V2_S_Weights as EfficientNet_V2_S_Weights
from rvision.models.efficientnet_lite import EfficientNetLite as EfficientNetLite
from rvision.models.efficientnet_lite import EfficientNet_Lite0_Weights as EfficientNet_Lite0_Weights
from rvision.models.googlenet import GoogLeNet as GoogLeNet
from rvision.models.googlenet import GoogLeNet_Weights as GoogLeNet_Weights
from rvision.models.googlenet_lrn import GoogLeNetLRN as GoogLeNetLRN
from rvision.models.googlenet_lrn import GoogLeNetOutputs as GoogLeNetOutputs
from rvision.models.googlenet_lrn import NaiveInception as NaiveInception
from rvision.models.googlenet_lrn import ReducedInception as ReducedInception
from rvision.models.highway import HighwayConv2d as HighwayConv2d
from rvision.models.highway import HighwayNet as HighwayNet
from rvision.models.inception import Inception3 as Inception3
from rvision.models.inception import Inception_V3_Weights as Inception_V3_Weights
from rvision.models.inception_resnet_v2 import InceptionResnetV2 as InceptionResnetV2
from rvision.models.inception_v4 import InceptionV4 as InceptionV4
from rvision.models.lecture import LectureAlexNet as LectureAlexNet
from rvision.models.lecture import LectureVGG as LectureVGG
from rvision.models.lenet import LeNet5 as LeNet5
from rvision.models.lenet import LeNet5_Weights as LeNet5_Weights
from rvision.models.maxvit import MaxVit as MaxVit
from rvision.models.maxvit import MaxVit_T_Weights as MaxVit_T_Weights
from rvision.models.mcdnn import MCDNN as MCDNN
from rvision.models.mcdnn import MCDNNColumn as MCDNNColumn
from rvision.models.mcdnn import ScaledTanh as ScaledTanh
from rvision.models.mcdnn import normalize_widths as normalize_widths
from rvision.models.mnasnet import MNASNet as MNASNet
from rvision.models.mnasnet import MNASNet0_5_Weights as MNASNet0_5_Weights
from rvision.models.mnasnet import MNASNet0_75_Weights as MNASNet0_75_Weights
from rvision.models.mnasnet import MNASNet1_0_Weights as MNASNet1_0_Weights
from rvision.models.mnasnet import MNASNet1_3_Weights as MNASNet1_3_Weights
from rvision.models.mobilenetv2 import MobileNetV2 as MobileNetV2
from rvision.models.mobilenetv2 import MobileNet_V2_Weights as MobileNet_V2_Weights
from rvision.models.mobilenetv3 import MobileNetV3 as MobileNetV3
from rvision.models.mobilenetv3 import MobileNet_V3_Large_Weights as MobileNet_V3_Large_Weights
from rvision.models.mobilenetv3 import MobileNet_V3_Small_Weights as MobileNet_V3_Small_Weights
from rvision.models.nin import MLPConv as MLPConv
from rvision.models.nin import NiN as NiN
from rvision.models.overfeat import OverFeat as OverFeat
from rvision.models.preact_resnet import PreActBasicBlock as PreActBasicBlock
from rvision.models.preact_resnet import PreActBottleneck as PreActBottleneck
from rvision.models.preact_resnet import PreActResNet as PreActResNet
from rvision.models.prelu_net import PReLUNet as PReLUNet
from rvision.models.prelu_net import SpatialPyramidPool as SpatialPyramidPool
from rvision.models.regnet import Maker
from rvision.models.regnet import RegNet as RegNet
from rvision.models.regnet import RegNet_X_16GF_Weights as RegNet_X_16GF_Weights
from rvision.models.regnet import RegNet_X_1_6GF_Weights as RegNet_X_1_6GF_Weights
from rvision.models.regnet import RegNet_X_32GF_Weights as RegNet_X_32GF_Weights
from rvision.models.regnet import RegNet_X_3_2GF_Weights as RegNet_X_3_2GF_Weights
from rvision.models.regnet import RegNet_X_400MF_Weights as RegNet_X_400MF_Weights
from rvision.models.regnet import RegNet_X_800MF_Weights as RegNet_X_800MF_Weights
from rvision.models.regnet import RegNet_X_8GF_Weights as RegNet_X_8GF_Weights
from rvision.models.regnet import RegNet_Y_128GF_Weights as RegNet_Y_128GF_Weights
from rvision.models.regnet import RegNet_Y_16GF_Weights as RegNet_Y_16GF_Weights
from rvision.models.regnet import RegNet_Y_1_6GF_Weights as RegNet_Y_1_6GF_Weights
from rvision.models.regnet import RegNet_Y_32GF_Weights as RegNet_Y_32GF_Weights
from rvision.models.regnet import RegNet_Y_3_2GF_Weights as RegNet_Y_3_2GF_Weights
from rvision.models.regnet import RegNet_Y_400MF_Weights as RegNet_Y_400MF_Weights
from rvision.models.regnet import RegNet_Y_800MF_Weights as RegNet_Y_800MF_Weights
from rvision.models.regnet import RegNet_Y_8GF_Weights as RegNet_Y_8GF_Weights
from rvision.models.resnet import BasicBlock as BasicBlock
from rvision.models.resnet import Bottleneck as Bottleneck
from rvision.models.resnet import ResNeXt101_32X8D_Weights as ResNeXt101_32X8D_Weights
from rvision.models.resnet import ResNeXt101_64X4D_Weights as ResNeXt101_64X4D_Weights
from rvision.models.resnet import ResNeXt50_32X4D_Weights as ResNeXt50_32X4D_Weights
from rvision.models.resnet import ResNet as ResNet
from rvision.models.resnet import ResNet101_Weights as ResNet101_Weights
from rvision.models.resnet import ResNet152_Weights as ResNet152_Weights
from rvision.models.resnet import ResNet18_Weights as ResNet18_Weights
from rvision.models.resnet import ResNet34_Weights as ResNet34_Weights
from rvision.models.resnet import ResNet50_Weights as ResNet50_Weights
from rvision.models.resnet import Wide_ResNet101_2_Weights as Wide_ResNet101_2_Weights
from rvision.models.resnet import Wide_ResNet50_2_Weights as Wide_ResNet50_2_Weights
from rvision.models.resnext_cifar import CifarResNeXt as CifarResNeXt
from rvision.models.resnext_cifar import ResNeXtBlockA as ResNeXtBlockA
from rvision.models.resnext_cifar import ResNeXtBlockB as ResNeXtBlockB
from rvision.models.resnext_cifar import ResNeXtBlockC as ResNeXtBlockC
from rvision.models.resnext_cifar import resnext_paths as resnext_paths
from rvision.models.shufflenetv2 import ShuffleNetV2 as ShuffleNetV2
from rvision.models.shufflenetv2 import ShuffleNet_V2_X0_5_Weights as ShuffleNet_V2_X0_5_Weights
from rvision.models.shufflenetv2 import ShuffleNet_V2_X1_0_Weights as ShuffleNet_V2_X1_0_Weights
from rvision.models.shufflenetv2 import ShuffleNet_V2_X1_5_Weights as ShuffleNet_V2_X1_5_Weights
from rvision.models.shufflenetv2 import ShuffleNet_V2_X2_0_Weights as ShuffleNet_V2_X2_0_Weights
from rvision.models.squeezenet import Fire as Fire
from rvision.models.squeezenet import SqueezeNet as SqueezeNet
from rvision.models.squeezenet import SqueezeNet1_0_Weights as SqueezeNet1_0_Weights
from rvision.models.squeezenet import SqueezeNet1_1_Weights as SqueezeNet1_1_Weights
from rvision.models.swin_transformer import SwinTransformer as SwinTransformer
from rvision.models.swin_transformer import Swin_B_Weights as Swin_B_Weights
from rvision.models.swin_transformer import Swin_S_Weights as Swin_S_Weights
from rvision.models.swin_transformer import Swin_T_Weights as Swin_T_Weights
from rvision.models.swin_transformer import Swin_V2_B_Weights as Swin_V2_B_Weights
from rvision.models.swin_transformer import Swin_V2_S_Weights as Swin_V2_S_Weights
from rvision.models.swin_transformer import Swin_V2_T_Weights as Swin_V2_T_Weights
from rvision.models.vgg import VGG as VGG
from rvision.models.vgg import VGG11_BN_Weights as VGG11_BN_Weights
from rvision.models.vgg import VGG11_Weights as VGG11_Weights
from rvision.models.vgg import VGG13_BN_Weights as VGG13_BN_Weights
from rvision.models.vgg import VGG13_Weights as VGG13_Weights
from rvision.models.vgg import VGG16_BN_Weights as VGG16_BN_Weights
from rvision.models.vgg import VGG16_Weights as VGG16_Weights
from rvision.models.vgg import VGG19_BN_Weights as VGG19_BN_Weights
from rvision.models.vgg import VGG19_Weights as VGG19_Weights
from rvision.models.vision_transformer import ConvStemConfig
from rvision.models.vision_transformer import ViT_B_16_Weights as ViT_B_16_Weights
from rvision.models.vision_transformer import ViT_B_32_Weights as ViT_B_32_Weights
from rvision.models.vision_transformer import ViT_H_14_Weights as ViT_H_14_Weights
from rvision.models.vision_transformer import ViT_L_16_Weights as ViT_L_16_Weights
from rvision.models.vision_transformer import ViT_L_32_Weights as ViT_L_32_Weights
from rvision.models.vision_transformer import VisionTransformer as VisionTransformer
from rvision.models.vision_transformer import interpolate_embeddings as interpolate_embeddings
from rvision.models.zfnet import ZFNet as ZFNet
from rvision.weights import Weights as Weights
from rvision.weights import WeightsEnum as WeightsEnum

def alexnet(
    *,
    weights: AlexNet_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    dropout: float = ...,
) -> AlexNet: ...
def bn_inception(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    separable: bool = ...,
    dropout: float = ...,
) -> BNInception: ...
def cifar10_resnet110(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    shortcut: Literal["A", "B"] = ...,
    num_classes: int = ...,
) -> CifarResNet: ...
def cifar10_resnet20(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    shortcut: Literal["A", "B"] = ...,
    num_classes: int = ...,
) -> CifarResNet: ...
def cifar10_resnet32(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    shortcut: Literal["A", "B"] = ...,
    num_classes: int = ...,
) -> CifarResNet: ...
def cifar10_resnet44(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    shortcut: Literal["A", "B"] = ...,
    num_classes: int = ...,
) -> CifarResNet: ...
def cifar10_resnet56(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    shortcut: Literal["A", "B"] = ...,
    num_classes: int = ...,
) -> CifarResNet: ...
def convnext_base(
    *,
    weights: ConvNeXt_Base_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    layer_scale: float = ...,
    num_classes: int = ...,
    block: Callable[..., nn.Module] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
) -> ConvNeXt: ...
def convnext_large(
    *,
    weights: ConvNeXt_Large_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    layer_scale: float = ...,
    num_classes: int = ...,
    block: Callable[..., nn.Module] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
) -> ConvNeXt: ...
def convnext_small(
    *,
    weights: ConvNeXt_Small_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    layer_scale: float = ...,
    num_classes: int = ...,
    block: Callable[..., nn.Module] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
) -> ConvNeXt: ...
def convnext_tiny(
    *,
    weights: ConvNeXt_Tiny_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    layer_scale: float = ...,
    num_classes: int = ...,
    block: Callable[..., nn.Module] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
) -> ConvNeXt: ...
def densenet121(
    *,
    weights: DenseNet121_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    growth_rate: int = ...,
    block_config: Sequence[int] = ...,
    num_init_features: int = ...,
    bn_size: int = ...,
    drop_rate: float = ...,
    num_classes: int = ...,
    memory_efficient: bool = ...,
) -> DenseNet: ...
def densenet161(
    *,
    weights: DenseNet161_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    growth_rate: int = ...,
    block_config: Sequence[int] = ...,
    num_init_features: int = ...,
    bn_size: int = ...,
    drop_rate: float = ...,
    num_classes: int = ...,
    memory_efficient: bool = ...,
) -> DenseNet: ...
def densenet169(
    *,
    weights: DenseNet169_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    growth_rate: int = ...,
    block_config: Sequence[int] = ...,
    num_init_features: int = ...,
    bn_size: int = ...,
    drop_rate: float = ...,
    num_classes: int = ...,
    memory_efficient: bool = ...,
) -> DenseNet: ...
def densenet201(
    *,
    weights: DenseNet201_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    growth_rate: int = ...,
    block_config: Sequence[int] = ...,
    num_init_features: int = ...,
    bn_size: int = ...,
    drop_rate: float = ...,
    num_classes: int = ...,
    memory_efficient: bool = ...,
) -> DenseNet: ...
def densenet_bc_100_12(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    drop_rate: float = ...,
) -> CifarDenseNet: ...
def efficientnet_b0(
    *,
    weights: EfficientNet_B0_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    last_channel: int | None = ...,
) -> EfficientNet: ...
def efficientnet_b1(
    *,
    weights: EfficientNet_B1_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    last_channel: int | None = ...,
) -> EfficientNet: ...
def efficientnet_b2(
    *,
    weights: EfficientNet_B2_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    last_channel: int | None = ...,
) -> EfficientNet: ...
def efficientnet_b3(
    *,
    weights: EfficientNet_B3_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    last_channel: int | None = ...,
) -> EfficientNet: ...
def efficientnet_b4(
    *,
    weights: EfficientNet_B4_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    last_channel: int | None = ...,
) -> EfficientNet: ...
def efficientnet_b5(
    *,
    weights: EfficientNet_B5_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    last_channel: int | None = ...,
) -> EfficientNet: ...
def efficientnet_b6(
    *,
    weights: EfficientNet_B6_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    last_channel: int | None = ...,
) -> EfficientNet: ...
def efficientnet_b7(
    *,
    weights: EfficientNet_B7_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    last_channel: int | None = ...,
) -> EfficientNet: ...
def efficientnet_v2_l(
    *,
    weights: EfficientNet_V2_L_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    last_channel: int | None = ...,
) -> EfficientNet: ...
def efficientnet_v2_m(
    *,
    weights: EfficientNet_V2_M_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    last_channel: int | None = ...,
) -> EfficientNet: ...
def efficientnet_v2_s(
    *,
    weights: EfficientNet_V2_S_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    last_channel: int | None = ...,
) -> EfficientNet: ...
def efficientnet_lite0(
    *,
    weights: EfficientNet_Lite0_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    channel_multiplier: float = ...,
    depth_multiplier: float = ...,
    dropout: float = ...,
    variant: Literal["tf", "timm"] = ...,
) -> EfficientNetLite: ...
def googlenet(
    *,
    weights: GoogLeNet_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    aux_logits: bool = ...,
    transform_input: bool = ...,
    init_weights: bool | None = ...,
    blocks: Sequence[Callable[..., nn.Module]] | None = ...,
    dropout: float = ...,
    dropout_aux: float = ...,
) -> GoogLeNet: ...
def googlenet_lrn(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    aux_logits: bool = ...,
    dropout: float = ...,
    dropout_aux: float = ...,
) -> GoogLeNetLRN: ...
def highway_cifar10(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    stages: Sequence[Sequence[int]] = ...,
    num_classes: int = ...,
    hidden: int = ...,
    gate_bias: float = ...,
) -> HighwayNet: ...
def inception_v3(
    *,
    weights: Inception_V3_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    aux_logits: bool = ...,
    transform_input: bool = ...,
    inception_blocks: Sequence[Callable[..., nn.Module]] | None = ...,
    init_weights: bool | None = ...,
    dropout: float = ...,
) -> Inception3: ...
def inception_resnet_v2(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    dropout: float = ...,
) -> InceptionResnetV2: ...
def inception_v4(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    dropout: float = ...,
) -> InceptionV4: ...
def alexnet_lecture(
    *,
    weights: AlexNet_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    dropout: float = ...,
) -> LectureAlexNet: ...
def vgg19_lecture(
    *,
    weights: VGG19_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    dropout: float = ...,
) -> LectureVGG: ...
def lenet5(
    *,
    weights: LeNet5_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
) -> LeNet5: ...
def maxvit_t(
    *,
    weights: MaxVit_T_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    norm_layer: Callable[..., nn.Module] | None = ...,
    activation_layer: Callable[..., nn.Module] = ...,
    squeeze_ratio: float = ...,
    expansion_ratio: float = ...,
    mlp_ratio: int = ...,
    mlp_dropout: float = ...,
    attention_dropout: float = ...,
    num_classes: int = ...,
) -> MaxVit: ...
def mcdnn_mnist(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    blocks: int = ...,
    columns_per_block: int = ...,
    num_classes: int = ...,
) -> MCDNN: ...
def mnasnet0_5(
    *,
    weights: MNASNet0_5_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    dropout: float = ...,
) -> MNASNet: ...
def mnasnet0_75(
    *,
    weights: MNASNet0_75_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    dropout: float = ...,
) -> MNASNet: ...
def mnasnet1_0(
    *,
    weights: MNASNet1_0_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    dropout: float = ...,
) -> MNASNet: ...
def mnasnet1_3(
    *,
    weights: MNASNet1_3_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    dropout: float = ...,
) -> MNASNet: ...
def mobilenet_v2(
    *,
    weights: MobileNet_V2_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    width_mult: float = ...,
    inverted_residual_setting: Sequence[Sequence[int]] | None = ...,
    round_nearest: int = ...,
    block: Callable[..., nn.Module] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    dropout: float = ...,
) -> MobileNetV2: ...
def mobilenet_v3_large(
    *,
    weights: MobileNet_V3_Large_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    block: Callable[..., nn.Module] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    dropout: float = ...,
    width_mult: float = ...,
    reduced_tail: bool = ...,
    dilated: bool = ...,
) -> MobileNetV3: ...
def mobilenet_v3_small(
    *,
    weights: MobileNet_V3_Small_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    block: Callable[..., nn.Module] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    dropout: float = ...,
    width_mult: float = ...,
    reduced_tail: bool = ...,
    dilated: bool = ...,
) -> MobileNetV3: ...
def nin_cifar10(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    version: str = ...,
    num_classes: int = ...,
    dropout: float = ...,
) -> NiN: ...
def nin_imagenet(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    version: str = ...,
    num_classes: int = ...,
    dropout: float = ...,
) -> NiN: ...
def overfeat_accurate(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    version: str = ...,
    num_classes: int = ...,
    dropout: float = ...,
) -> OverFeat: ...
def overfeat_fast(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    version: str = ...,
    num_classes: int = ...,
    dropout: float = ...,
) -> OverFeat: ...
def preact_resnet110(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    width: int = ...,
    dropout: float = ...,
) -> PreActResNet: ...
def preact_resnet164(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    width: int = ...,
    dropout: float = ...,
) -> PreActResNet: ...
def preact_resnet20(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    width: int = ...,
    dropout: float = ...,
) -> PreActResNet: ...
def wrn_16_8(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    dropout: float = ...,
) -> PreActResNet: ...
def wrn_28_10(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    dropout: float = ...,
) -> PreActResNet: ...
def wrn_40_4(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    dropout: float = ...,
) -> PreActResNet: ...
def prelu_net_a(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    width: Sequence[int] = ...,
    depth: int = ...,
    bins: Sequence[int] = ...,
    num_classes: int = ...,
    dropout: float = ...,
) -> PReLUNet: ...
def regnet_x_16gf(
    *,
    weights: RegNet_X_16GF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def regnet_x_1_6gf(
    *,
    weights: RegNet_X_1_6GF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def regnet_x_32gf(
    *,
    weights: RegNet_X_32GF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def regnet_x_3_2gf(
    *,
    weights: RegNet_X_3_2GF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def regnet_x_400mf(
    *,
    weights: RegNet_X_400MF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def regnet_x_800mf(
    *,
    weights: RegNet_X_800MF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def regnet_x_8gf(
    *,
    weights: RegNet_X_8GF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def regnet_y_128gf(
    *,
    weights: RegNet_Y_128GF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def regnet_y_16gf(
    *,
    weights: RegNet_Y_16GF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def regnet_y_1_6gf(
    *,
    weights: RegNet_Y_1_6GF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def regnet_y_32gf(
    *,
    weights: RegNet_Y_32GF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def regnet_y_3_2gf(
    *,
    weights: RegNet_Y_3_2GF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def regnet_y_400mf(
    *,
    weights: RegNet_Y_400MF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def regnet_y_800mf(
    *,
    weights: RegNet_Y_800MF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def regnet_y_8gf(
    *,
    weights: RegNet_Y_8GF_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    stem_width: int = ...,
    stem_type: Maker | None = ...,
    block_type: Maker | None = ...,
    norm_layer: Maker | None = ...,
    activation: Maker | None = ...,
) -> RegNet: ...
def resnet101(
    *,
    weights: ResNet101_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    zero_init_residual: bool = ...,
    groups: int = ...,
    width_per_group: int = ...,
    replace_stride_with_dilation: Sequence[bool] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
) -> ResNet: ...
def resnet152(
    *,
    weights: ResNet152_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    zero_init_residual: bool = ...,
    groups: int = ...,
    width_per_group: int = ...,
    replace_stride_with_dilation: Sequence[bool] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
) -> ResNet: ...
def resnet18(
    *,
    weights: ResNet18_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    zero_init_residual: bool = ...,
    groups: int = ...,
    width_per_group: int = ...,
    replace_stride_with_dilation: Sequence[bool] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
) -> ResNet: ...
def resnet34(
    *,
    weights: ResNet34_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    zero_init_residual: bool = ...,
    groups: int = ...,
    width_per_group: int = ...,
    replace_stride_with_dilation: Sequence[bool] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
) -> ResNet: ...
def resnet50(
    *,
    weights: ResNet50_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    zero_init_residual: bool = ...,
    groups: int = ...,
    width_per_group: int = ...,
    replace_stride_with_dilation: Sequence[bool] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
) -> ResNet: ...
def resnext101_32x8d(
    *,
    weights: ResNeXt101_32X8D_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    zero_init_residual: bool = ...,
    replace_stride_with_dilation: Sequence[bool] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
) -> ResNet: ...
def resnext101_64x4d(
    *,
    weights: ResNeXt101_64X4D_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    zero_init_residual: bool = ...,
    replace_stride_with_dilation: Sequence[bool] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
) -> ResNet: ...
def resnext50_32x4d(
    *,
    weights: ResNeXt50_32X4D_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    zero_init_residual: bool = ...,
    replace_stride_with_dilation: Sequence[bool] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
) -> ResNet: ...
def wide_resnet101_2(
    *,
    weights: Wide_ResNet101_2_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    zero_init_residual: bool = ...,
    groups: int = ...,
    replace_stride_with_dilation: Sequence[bool] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
) -> ResNet: ...
def wide_resnet50_2(
    *,
    weights: Wide_ResNet50_2_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    zero_init_residual: bool = ...,
    groups: int = ...,
    replace_stride_with_dilation: Sequence[bool] | None = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
) -> ResNet: ...
def resnext29_16x64d(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
) -> CifarResNeXt: ...
def resnext29_8x64d(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
) -> CifarResNeXt: ...
def shufflenet_v2_x0_5(
    *,
    weights: ShuffleNet_V2_X0_5_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    inverted_residual: Callable[..., nn.Module] = ...,
) -> ShuffleNetV2: ...
def shufflenet_v2_x1_0(
    *,
    weights: ShuffleNet_V2_X1_0_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    inverted_residual: Callable[..., nn.Module] = ...,
) -> ShuffleNetV2: ...
def shufflenet_v2_x1_5(
    *,
    weights: ShuffleNet_V2_X1_5_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    inverted_residual: Callable[..., nn.Module] = ...,
) -> ShuffleNetV2: ...
def shufflenet_v2_x2_0(
    *,
    weights: ShuffleNet_V2_X2_0_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    inverted_residual: Callable[..., nn.Module] = ...,
) -> ShuffleNetV2: ...
def squeezenet1_0(
    *,
    weights: SqueezeNet1_0_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    version: str = ...,
    num_classes: int = ...,
    dropout: float = ...,
) -> SqueezeNet: ...
def squeezenet1_1(
    *,
    weights: SqueezeNet1_1_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    version: str = ...,
    num_classes: int = ...,
    dropout: float = ...,
) -> SqueezeNet: ...
def swin_b(
    *,
    weights: Swin_B_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    mlp_ratio: float = ...,
    dropout: float = ...,
    attention_dropout: float = ...,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    block: Callable[..., nn.Module] | None = ...,
    downsample_layer: Callable[..., nn.Module] = ...,
) -> SwinTransformer: ...
def swin_s(
    *,
    weights: Swin_S_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    mlp_ratio: float = ...,
    dropout: float = ...,
    attention_dropout: float = ...,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    block: Callable[..., nn.Module] | None = ...,
    downsample_layer: Callable[..., nn.Module] = ...,
) -> SwinTransformer: ...
def swin_t(
    *,
    weights: Swin_T_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    mlp_ratio: float = ...,
    dropout: float = ...,
    attention_dropout: float = ...,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    block: Callable[..., nn.Module] | None = ...,
    downsample_layer: Callable[..., nn.Module] = ...,
) -> SwinTransformer: ...
def swin_v2_b(
    *,
    weights: Swin_V2_B_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    mlp_ratio: float = ...,
    dropout: float = ...,
    attention_dropout: float = ...,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    block: Callable[..., nn.Module] | None = ...,
    downsample_layer: Callable[..., nn.Module] = ...,
) -> SwinTransformer: ...
def swin_v2_s(
    *,
    weights: Swin_V2_S_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    mlp_ratio: float = ...,
    dropout: float = ...,
    attention_dropout: float = ...,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    block: Callable[..., nn.Module] | None = ...,
    downsample_layer: Callable[..., nn.Module] = ...,
) -> SwinTransformer: ...
def swin_v2_t(
    *,
    weights: Swin_V2_T_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    mlp_ratio: float = ...,
    dropout: float = ...,
    attention_dropout: float = ...,
    stochastic_depth_prob: float = ...,
    num_classes: int = ...,
    norm_layer: Callable[..., nn.Module] | None = ...,
    block: Callable[..., nn.Module] | None = ...,
    downsample_layer: Callable[..., nn.Module] = ...,
) -> SwinTransformer: ...
def vgg11(
    *,
    weights: VGG11_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    init_weights: bool = ...,
    dropout: float = ...,
) -> VGG: ...
def vgg11_bn(
    *,
    weights: VGG11_BN_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    init_weights: bool = ...,
    dropout: float = ...,
) -> VGG: ...
def vgg13(
    *,
    weights: VGG13_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    init_weights: bool = ...,
    dropout: float = ...,
) -> VGG: ...
def vgg13_bn(
    *,
    weights: VGG13_BN_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    init_weights: bool = ...,
    dropout: float = ...,
) -> VGG: ...
def vgg16(
    *,
    weights: VGG16_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    init_weights: bool = ...,
    dropout: float = ...,
) -> VGG: ...
def vgg16_bn(
    *,
    weights: VGG16_BN_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    init_weights: bool = ...,
    dropout: float = ...,
) -> VGG: ...
def vgg19(
    *,
    weights: VGG19_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    init_weights: bool = ...,
    dropout: float = ...,
) -> VGG: ...
def vgg19_bn(
    *,
    weights: VGG19_BN_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    init_weights: bool = ...,
    dropout: float = ...,
) -> VGG: ...
def vit_b_16(
    *,
    weights: ViT_B_16_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    dropout: float = ...,
    attention_dropout: float = ...,
    num_classes: int = ...,
    representation_size: int | None = ...,
    norm_layer: Callable[..., nn.Module] = ...,
    conv_stem_configs: Sequence[ConvStemConfig] | None = ...,
) -> VisionTransformer: ...
def vit_b_32(
    *,
    weights: ViT_B_32_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    dropout: float = ...,
    attention_dropout: float = ...,
    num_classes: int = ...,
    representation_size: int | None = ...,
    norm_layer: Callable[..., nn.Module] = ...,
    conv_stem_configs: Sequence[ConvStemConfig] | None = ...,
) -> VisionTransformer: ...
def vit_h_14(
    *,
    weights: ViT_H_14_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    dropout: float = ...,
    attention_dropout: float = ...,
    num_classes: int = ...,
    representation_size: int | None = ...,
    norm_layer: Callable[..., nn.Module] = ...,
    conv_stem_configs: Sequence[ConvStemConfig] | None = ...,
) -> VisionTransformer: ...
def vit_l_16(
    *,
    weights: ViT_L_16_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    dropout: float = ...,
    attention_dropout: float = ...,
    num_classes: int = ...,
    representation_size: int | None = ...,
    norm_layer: Callable[..., nn.Module] = ...,
    conv_stem_configs: Sequence[ConvStemConfig] | None = ...,
) -> VisionTransformer: ...
def vit_l_32(
    *,
    weights: ViT_L_32_Weights | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    dropout: float = ...,
    attention_dropout: float = ...,
    num_classes: int = ...,
    representation_size: int | None = ...,
    norm_layer: Callable[..., nn.Module] = ...,
    conv_stem_configs: Sequence[ConvStemConfig] | None = ...,
) -> VisionTransformer: ...
def zfnet(
    *,
    weights: WeightsEnum | str | os.PathLike[str] | StateDict | None = None,
    progress: bool = True,
    num_classes: int = ...,
    dropout: float = ...,
) -> ZFNet: ...
