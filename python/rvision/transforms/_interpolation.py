"""The names of Pillow's resampling filters."""

from __future__ import annotations

from enum import Enum


class InterpolationMode(Enum):
    """How pixels are resampled (`torchvision.transforms.InterpolationMode`)."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    # For Pillow images only, in torchvision.
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


# Pillow's `Image.Resampling`; the numbers have not changed since its first release.
PILLOW_FILTERS = {
    InterpolationMode.NEAREST: 0,
    InterpolationMode.NEAREST_EXACT: 0,
    InterpolationMode.LANCZOS: 1,
    InterpolationMode.BILINEAR: 2,
    InterpolationMode.BICUBIC: 3,
    InterpolationMode.BOX: 4,
    InterpolationMode.HAMMING: 5,
}
_BY_NUMBER = {number: mode for mode, number in PILLOW_FILTERS.items() if mode.value != "nearest-exact"}


def interpolation_mode(mode: InterpolationMode | int) -> InterpolationMode:
    """Return the mode itself, or the mode of a Pillow constant such as ``Image.BILINEAR``.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(mode, InterpolationMode):
        return mode
    if isinstance(mode, int) and int(mode) in _BY_NUMBER:
        return _BY_NUMBER[int(mode)]
    raise TypeError(
        "Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant, "
        f"got {mode!r}"
    )
