"""Preparation of pictures for a network: its weights' preset, with the user's changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision import transforms as T
from rvision.errors import ArgumentError
from rvision.transforms._pictures import picture_or_tensor, to_grey, to_pil, to_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rvision.weights import WeightsEnum

__all__ = ["CIFAR10", "DIGITS", "preparation"]

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
DIGITS = [str(digit) for digit in range(10)]


class Grey:
    """Converts to one channel of `size` x `size`, [0, 1], normalised if `mean` and `std` are given."""

    def __init__(self, size: int | None, mean: Sequence[float] | None, std: Sequence[float] | None) -> None:
        self.size = size
        self.normalize = T.Normalize(mean or [0.0], std or [1.0])

    def __call__(self, img: Any) -> NDArray[np.float32]:
        """Prepare a Pillow image, uint8 pixels (H, W) or (H, W, C), or a uint8 tensor (1, H, W)."""
        if isinstance(img, np.ndarray):
            img = to_pil(img[0] if img.ndim == 3 and img.shape[0] == 1 else img)
        img = to_grey(img)
        if self.size is not None:
            img = T.functional.resize(img, [self.size, self.size])
        return self.normalize(T.functional.to_tensor(img))


def preparation(
    name: str,
    weights: WeightsEnum | None,
    args: Any,
    *,
    preset: T.ImageClassification | None = None,
    size: int | None = None,
    channels: int | None = None,
) -> Callable[[Any], NDArray[np.float32]]:
    """Return the function that prepares a picture for a network.

    Parameters
    ----------
    name : str
        The network. CIFAR-10's take 32x32 pixels, LeNet-5 28x28 grey pixels.
    weights : WeightsEnum, optional
        The weights whose preset to use, if any.
    args : argparse.Namespace
        `resize`, `crop`, `mean` and `std`; None leaves the preset's value.
    preset : ImageClassification, optional
        Used instead of the preset of `weights`.
    size : int, optional
        Height and width of the pictures, if the network takes only one size.
    channels : int, optional
        1 for grey pictures, if the network's own weights take others.

    Raises
    ------
    ArgumentError
        If `mean` or `std` do not have one value for each channel.
    """
    if channels is None:
        channels = 1 if name == "lenet5" else 3
    for option in ("mean", "std"):
        given = getattr(args, option)
        if given is not None and len(given) != channels:
            raise ArgumentError(f"--{option}: {name} takes {channels} values, got {len(given)}")
    if args.std is not None and not all(args.std):
        raise ArgumentError("--std: values must not be zero")
    if channels == 1 and name == "lenet5":
        if isinstance(args.crop, int):
            raise ArgumentError(
                f"--crop: {name} takes square pictures that are resized, not cropped; see --resize"
            )
        if args.crop == "none" and args.resize is not None:
            raise ArgumentError(
                "--resize: --crop none takes pictures in their own size; leave out one of them"
            )
        return Grey(None if args.crop == "none" else args.resize or 28, args.mean, args.std)
    if preset is not None:
        pass
    elif weights is not None:
        preset = weights.transforms()
    elif name.startswith("cifar10_"):
        preset = T.ImageClassification(crop_size=32, resize_size=32)
    else:
        preset = T.ImageClassification(crop_size=224)
    mean, std = args.mean or preset.mean, args.std or preset.std
    if channels == 1:
        mean, std = args.mean or [0.0], args.std or [1.0]
    shortest, side = preset.resize_size[0], preset.crop_size[0]
    if size is not None and size != side:
        shortest, side = round(shortest * size / side), size
    kind = T.GreyClassification if channels == 1 else T.ImageClassification
    if args.crop == "none":
        as_it_is = kind(crop_size=side, resize_size=side, mean=mean, std=std).normalized
        if args.resize is None:
            return as_it_is
        return T.Compose([T.Lambda(_rgb), T.Resize(args.resize, preset.interpolation), as_it_is])
    crop = args.crop or side
    return kind(
        crop_size=crop,
        resize_size=args.resize or max(shortest, crop),
        mean=mean,
        std=std,
        interpolation=preset.interpolation,
    )


def _rgb(img: Any) -> Any:
    img = picture_or_tensor(img)
    return img if isinstance(img, np.ndarray) else to_rgb(img)
