"""AlexNet and VGG-19 as they are taught: features, flatten, classifier, with nothing in between.

This is the form of the papers, and of torchvision in 2017, before it added an adaptive average
pool. Krizhevsky: "One weird trick for parallelizing convolutional neural networks"
(arXiv:1404.5997). Simonyan, Zisserman: "Very Deep Convolutional Networks for Large-Scale Image
Recognition" (arXiv:1409.1556).

The pool has no parameters, so names, shapes and published weights are those of `alexnet` and `vgg19`, and at
224x224 so are the logits. A picture whose last maps have another size is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rvision import nn
from rvision.models._api import model_builder
from rvision.models.alexnet import AlexNet
from rvision.models.vgg import VGG, cfgs, make_layers
from rvision.weights import AlexNet_Weights, VGG19_Weights

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["LectureAlexNet", "LectureVGG", "alexnet_lecture", "vgg19_lecture"]


class LectureAlexNet(nn.Module):
    """AlexNet without an adaptive pool: (N, 3, H, W), H and W from 223 to 254, to (N, num_classes).

    Parameters
    ----------
    num_classes : int
        Outputs.
    dropout : float
        Probability of the dropouts (classifier 0 and 3), which do nothing at inference.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        pooled = AlexNet(num_classes, dropout)
        self.features = pooled.features
        self.classifier = pooled.classifier

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        return self.classifier(self.features(x).flatten(1))


class LectureVGG(nn.Module):
    """VGG-19 without an adaptive pool: (N, 3, H, W), H and W from 224 to 255, to (N, num_classes).

    Parameters
    ----------
    num_classes : int
        Outputs.
    dropout : float
        Probability of the dropouts (classifier 2 and 5), which do nothing at inference.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        pooled = VGG(make_layers(cfgs["E"]), num_classes, dropout=dropout)
        self.features = pooled.features
        self.classifier = pooled.classifier

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        return self.classifier(self.features(x).flatten(1))


@model_builder(AlexNet_Weights)
def alexnet_lecture(**kwargs: Any) -> LectureAlexNet:
    """AlexNet (arXiv:1404.5997) without torchvision's adaptive pool; its weights are those of `alexnet`."""
    return LectureAlexNet(**kwargs)


@model_builder(VGG19_Weights)
def vgg19_lecture(**kwargs: Any) -> LectureVGG:
    """VGG-19 (arXiv:1409.1556) without torchvision's adaptive pool; its weights are those of `vgg19`."""
    return LectureVGG(**kwargs)
