"""AlexNet, in the one-column form.

Krizhevsky: "One weird trick for parallelizing convolutional neural networks" (arXiv:1404.5997), after
Krizhevsky, Sutskever, Hinton: "ImageNet Classification with Deep Convolutional Neural Networks" (NIPS 2012).
Names as in `torchvision.models.alexnet`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rvision import nn
from rvision.models._api import model_builder
from rvision.weights import AlexNet_Weights

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["AlexNet", "AlexNet_Weights", "alexnet"]


class AlexNet(nn.Module):
    """AlexNet: (N, 3, H, W), H and W at least 63, to (N, num_classes).

    Parameters
    ----------
    num_classes : int
        Outputs.
    dropout : float
        Probability of the dropouts, which do nothing at inference.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.features(x)
        x = self.avgpool(x)
        x = x.flatten(1)
        return self.classifier(x)


@model_builder(AlexNet_Weights)
def alexnet(**kwargs: Any) -> AlexNet:
    """AlexNet of "One weird trick for parallelizing convolutional neural networks" (arXiv:1404.5997)."""
    return AlexNet(**kwargs)
