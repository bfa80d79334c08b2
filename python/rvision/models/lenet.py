"""LeNet-5, the network for reading cheques.

LeCun, Bottou, Bengio, Haffner: "Gradient-Based Learning Applied to Document Recognition" (Proc.
IEEE, 1998). torchvision has none. This is the form that is taught: 28x28 digits padded to 32x32 by
the first convolution, plain average pooling, every map of C3 connected to all of S2, and a final
linear layer in place of the radial basis functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rvision import nn
from rvision.models._api import model_builder
from rvision.weights import LeNet5_Weights

if TYPE_CHECKING:
    from rvision.nn import Symbol

__all__ = ["LeNet5", "LeNet5_Weights", "lenet5"]


class LeNet5(nn.Module):
    """LeNet-5: (N, 1, 28, 28) to (N, num_classes).

    Parameters
    ----------
    num_classes : int
        Outputs.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5, padding=2),  # C1: 6 x 28 x 28
            nn.Tanh(),
            nn.AvgPool2d(kernel_size=2, stride=2),  # S2: 6 x 14 x 14
            nn.Conv2d(6, 16, kernel_size=5),  # C3: 16 x 10 x 10
            nn.Tanh(),
            nn.AvgPool2d(kernel_size=2, stride=2),  # S4: 16 x 5 x 5
        )
        self.classifier = nn.Sequential(
            nn.Linear(16 * 5 * 5, 120),  # C5
            nn.Tanh(),
            nn.Linear(120, 84),  # F6
            nn.Tanh(),
            nn.Linear(84, num_classes),
        )

    def forward(self, x: Symbol) -> Symbol:
        """Return the logits."""
        x = self.features(x)
        x = x.flatten(1)
        return self.classifier(x)


@model_builder(LeNet5_Weights, input_size=(1, 28, 28))
def lenet5(**kwargs: Any) -> LeNet5:
    """LeNet-5 for digits of 1 x 28 x 28, of "Gradient-Based Learning Applied to Document Recognition"."""
    return LeNet5(**kwargs)
