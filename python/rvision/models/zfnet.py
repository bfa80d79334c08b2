"""ZFNet, the winner of ILSVRC 2013.

Zeiler, Fergus: "Visualizing and Understanding Convolutional Networks" (arXiv:1311.2901), figure 3. It is
AlexNet in one column with a first layer of 7x7 at stride 2, and contrast normalisation after the first two
pools. torchvision has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rvision import nn
from rvision.models._api import model_builder

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["ZFNet", "zfnet"]


class ZFNet(nn.Module):
    """ZFNet: (N, 3, H, W), H and W from 207 to 238, usually 224, to (N, num_classes).

    Parameters
    ----------
    num_classes : int
        Outputs.
    dropout : float
        Probability of the dropouts, which do nothing at inference.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        # The figure's sizes, 110, 55, 26, 13 and 6, result from one row of zeros around the picture
        # and from pools that keep a last window beyond the edge.
        self.features = nn.Sequential(
            nn.Conv2d(3, 96, kernel_size=7, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
            _contrast(),
            nn.Conv2d(96, 256, kernel_size=5, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
            _contrast(),
            nn.Conv2d(256, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True),
        )
        self.classifier = nn.Sequential(
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.features(x)
        x = x.flatten(1)
        return self.classifier(x)


def _contrast() -> nn.LocalResponseNorm:
    # Krizhevsky's constants; this paper changes none. His alpha multiplies the sum over the five
    # channels, torch's the mean.
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)


@model_builder(input_size=(3, 224, 224))
def zfnet(**kwargs: Any) -> ZFNet:
    """ZFNet for pictures of 224x224 (arXiv:1311.2901, figure 3)."""
    return ZFNet(**kwargs)
