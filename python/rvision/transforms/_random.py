"""The random transforms: AlexNet's augmentation (Krizhevsky, Sutskever and Hinton 2012, section 4.1).

Each draws from its own `numpy.random.Generator`, or from a given one, so a seed makes a whole
pipeline repeatable: ``rng = np.random.default_rng(0)``, then ``generator=rng`` in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rvision._frames import ends_at_caller
from rvision.transforms import functional as F
from rvision.transforms._sizes import channels_last_hint

# Principal components of the RGB values of ImageNet's training pictures, scaled to [0, 1]: their
# standard deviations and, in columns, their directions. These are the common values, computed for
# fb.resnet.torch.
_EIGVAL = (0.2175, 0.0188, 0.0045)
_EIGVEC = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


class RandomCrop:
    """Crop a window at a random position (`torchvision.transforms.RandomCrop`).

    Parameters
    ----------
    size : int or sequence of int
        (height, width), or one number for a square.
    padding : int or sequence of int, optional
        A border that is first added to the picture; see `Pad`.
    pad_if_needed : bool
        Whether to pad a picture smaller than `size` on both sides by the missing amount.
    fill, padding_mode
        The borders' contents; see `Pad`.
    generator : numpy.random.Generator, optional
        The source of the position.

    Examples
    --------
    >>> transforms.RandomCrop(20)(Image.open("picture.jpg")).size
    (20, 20)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: float | Sequence[float] = 0,
        padding_mode: str = "constant",
        generator: np.random.Generator | None = None,
    ) -> None:
        self.size = F.pair(size)
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode
        self.generator = np.random.default_rng() if generator is None else generator

    @staticmethod
    def get_params(
        img: Any, output_size: tuple[int, int], generator: np.random.Generator | None = None
    ) -> tuple[int, int, int, int]:
        """Draw a window: top, left, height, width, as `functional.crop` takes them.

        Raises
        ------
        ValueError
            If the picture is smaller than `output_size`.
        """
        _, height, width = F.get_dimensions(img)
        new_height, new_width = output_size
        if height < new_height or width < new_width:
            raise ValueError(
                f"Required crop size {(new_height, new_width)} is larger than input image size "
                f"{(height, width)}"
            )
        rng = np.random.default_rng() if generator is None else generator
        top = rng.integers(height - new_height, endpoint=True)
        left = rng.integers(width - new_width, endpoint=True)
        return int(top), int(left), new_height, new_width

    @ends_at_caller
    def __call__(self, img: Any) -> Any:
        """Crop a picture or a tensor (..., H, W)."""
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            _, height, width = F.get_dimensions(img)
            lacking = max(self.size[1] - width, 0), max(self.size[0] - height, 0)
            if any(lacking):
                img = F.pad(img, lacking, self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size, self.generator))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


class RandomHorizontalFlip:
    """Mirror left to right at random (`torchvision.transforms.RandomHorizontalFlip`).

    Parameters
    ----------
    p : float
        The probability of mirroring.
    generator : numpy.random.Generator, optional
        The source of the decision.
    """

    def __init__(self, p: float = 0.5, generator: np.random.Generator | None = None) -> None:
        self.p = p
        self.generator = np.random.default_rng() if generator is None else generator

    @ends_at_caller
    def __call__(self, img: Any) -> Any:
        """Mirror a picture or a tensor (..., H, W), or return it unchanged."""
        return F.hflip(img) if self.generator.random() < self.p else img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class Lighting:
    """Shift a picture's colours randomly along ImageNet's principal components: AlexNet's colour noise.

    The same three values, ``eigvec @ (alpha * eigval)``, are added to every pixel; the three alphas
    are drawn from a normal distribution at each call. Use it between `ToTensor` and `Normalize`.

    Parameters
    ----------
    alphastd : float
        The standard deviation of the alphas; 0.1 in the paper.
    eigval : sequence of float
        The standard deviation of the colours along each component.
    eigvec : sequence of sequence of float
        The components' directions in RGB, one per column.
    generator : numpy.random.Generator, optional
        The source of the alphas.
    """

    def __init__(
        self,
        alphastd: float = 0.1,
        eigval: Sequence[float] = _EIGVAL,
        eigvec: Sequence[Sequence[float]] = _EIGVEC,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.alphastd = alphastd
        self.eigval = np.asarray(eigval, dtype=np.float64)
        self.eigvec = np.asarray(eigvec, dtype=np.float64)
        if self.eigval.shape != (3,) or self.eigvec.shape != (3, 3):
            raise ValueError(
                "eigval and eigvec must be of shapes (3,) and (3, 3), got "
                f"{self.eigval.shape} and {self.eigvec.shape}"
            )
        self.generator = np.random.default_rng() if generator is None else generator

    @ends_at_caller
    def __call__(self, tensor: np.ndarray) -> np.ndarray:
        """Return a tensor (..., 3, H, W) of floats between 0 and 1 with its colours shifted.

        Raises
        ------
        TypeError
            If it is not an array of floats.
        ValueError
            If it does not have three channels.
        """
        if not isinstance(tensor, np.ndarray) or not np.issubdtype(tensor.dtype, np.floating):
            raise TypeError("Lighting expects a tensor of floats between 0 and 1; put ToTensor() before it")
        if tensor.ndim < 3 or tensor.shape[-3] != 3:
            hint = channels_last_hint(tensor.shape)
            raise ValueError(f"Lighting expects a tensor (..., 3, H, W), got shape {tensor.shape}{hint}")
        if self.alphastd == 0:
            return tensor
        alpha = self.generator.normal(0.0, self.alphastd, 3)
        shift = (self.eigvec @ (alpha * self.eigval)).astype(tensor.dtype)
        return tensor + shift[:, None, None]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(alphastd={self.alphastd})"
