"""OverFeat.

Sermanet, Eigen, Zhang, Mathieu, Fergus, LeCun: "OverFeat: Integrated Recognition, Localization and Detection
using Convolutional Networks" (arXiv:1312.6229). torchvision has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rvision import nn
from rvision.models._api import model_builder

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["OverFeat", "overfeat_accurate", "overfeat_fast"]


class OverFeat(nn.Module):
    """OverFeat: (N, 3, H, W) to (N, num_classes).

    H and W are 231 ("fast", up to 262 leave maps of the same size) or 221 ("accurate", up to 256). Unlike
    AlexNet it has neither contrast normalisation nor pools that overlap.

    Parameters
    ----------
    version : str
        "fast", table 1 of the paper, or "accurate", its table 3.
    num_classes : int
        Outputs.
    dropout : float
        Probability of the dropouts, which do nothing at inference.

    Raises
    ------
    ValueError
        If `version` is neither.
    """

    def __init__(self, version: str = "fast", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        if version == "fast":
            self.features = nn.Sequential(
                nn.Conv2d(3, 96, kernel_size=11, stride=4),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(kernel_size=2, stride=2),
                nn.Conv2d(96, 256, kernel_size=5),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(kernel_size=2, stride=2),
                nn.Conv2d(256, 512, kernel_size=3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(512, 1024, kernel_size=3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(1024, 1024, kernel_size=3, padding=1),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(kernel_size=2, stride=2),
            )
            inputs, hidden = 1024 * 6 * 6, 3072
        elif version == "accurate":
            self.features = nn.Sequential(
                nn.Conv2d(3, 96, kernel_size=7, stride=2),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(kernel_size=3, stride=3),
                nn.Conv2d(96, 256, kernel_size=7),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(kernel_size=2, stride=2),
                nn.Conv2d(256, 512, kernel_size=3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(512, 512, kernel_size=3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(512, 1024, kernel_size=3, padding=1),
                nn.ReLU(inplace=True),
                nn.Conv2d(1024, 1024, kernel_size=3, padding=1),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(kernel_size=3, stride=3),
            )
            inputs, hidden = 1024 * 5 * 5, 4096
        else:
            raise ValueError(f"Unsupported OverFeat version {version!r}: 'fast' or 'accurate' expected")
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(inputs, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(hidden, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.features(x)
        x = x.flatten(1)
        return self.classifier(x)


@model_builder(input_size=(3, 231, 231))
def overfeat_fast(**kwargs: Any) -> OverFeat:
    """OverFeat's fast network for pictures of 231x231 (arXiv:1312.6229, table 1)."""
    return OverFeat("fast", **kwargs)


@model_builder(input_size=(3, 221, 221))
def overfeat_accurate(**kwargs: Any) -> OverFeat:
    """OverFeat's accurate network for pictures of 221x221 (arXiv:1312.6229, table 3)."""
    return OverFeat("accurate", **kwargs)
