"""Image networks under torchvision's names (`torchvision.models`), one file per family.

>>> from rvision.models import ResNet50_Weights, resnet50
>>> model = resnet50(weights=ResNet50_Weights.IMAGENET1K_V2)
"""
# ruff: noqa: F403  # each file's __all__ says what it adds

# Packages are imported before their submodules, for threads that import at the same time.
import rvision.nn
import rvision.ops
import rvision.weights  # noqa: F401
from rvision import _absent
from rvision.models._api import *
from rvision.models._convert import convert_state_dict as convert_state_dict
from rvision.models.alexnet import *
from rvision.models.bn_inception import *
from rvision.models.cifar_resnet import *
from rvision.models.convnext import *
from rvision.models.densenet import *
from rvision.models.densenet_cifar import *
from rvision.models.efficientnet import *
from rvision.models.efficientnet_lite import *
from rvision.models.googlenet import *
from rvision.models.googlenet_lrn import *
from rvision.models.highway import *
from rvision.models.inception import *
from rvision.models.inception_resnet_v2 import *
from rvision.models.inception_v4 import *
from rvision.models.lecture import *
from rvision.models.lenet import *
from rvision.models.maxvit import *
from rvision.models.mcdnn import *
from rvision.models.mnasnet import *
from rvision.models.mobilenetv2 import *
from rvision.models.mobilenetv3 import *
from rvision.models.nin import *
from rvision.models.overfeat import *
from rvision.models.preact_resnet import *
from rvision.models.prelu_net import *
from rvision.models.regnet import *
from rvision.models.resnet import *
from rvision.models.resnext_cifar import *
from rvision.models.shufflenetv2 import *
from rvision.models.squeezenet import *
from rvision.models.swin_transformer import *
from rvision.models.vgg import *
from rvision.models.vision_transformer import *
from rvision.models.zfnet import *
from rvision.weights import Weights as Weights
from rvision.weights import WeightsEnum as WeightsEnum


def __dir__() -> list[str]:
    # What is meant to be used: no submodules, and nothing that this file has imported for itself.
    return sorted(name for name, value in globals().items() if name[0] != "_" and callable(value))


def __getattr__(name: str) -> object:
    raise AttributeError(_absent.of_torchvision("models", name))
