"""The preprocessing with which published weights were evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision._frames import ends_at_caller, warn
from rvision._tensor import Tensor
from rvision.transforms import functional as F
from rvision.transforms._interpolation import InterpolationMode
from rvision.transforms._pictures import (
    from_sixteen_bits,
    is_pil,
    is_pixels,
    picture_or_tensor,
    to_grey,
    to_pil,
    to_rgb,
)
from rvision.transforms._sizes import channels_last_hint

if TYPE_CHECKING:
    from PIL.Image import Image


# Floats above this cannot be a picture of 0 to 1, even after further processing.
_NEVER_ONE = 16


class ImageClassification:
    """Resize, crop the centre, scale to [0, 1], normalise: the class of `weights.transforms()`.

    The result equals `torchvision.transforms._presets.ImageClassification`'s bit for bit on RGB
    pictures. torchvision passes other pictures on (and then fails on four channels, or the network
    on one); this class first converts them to RGB: grey, palette, RGBA (transparency is dropped),
    CMYK. Pictures of more than 8 bits per channel are scaled to 8 bits by the table of
    ``docs/pictures.md``. A picture's EXIF orientation is not applied, as in torchvision.

    Parameters
    ----------
    crop_size : int
        Height and width of the result.
    resize_size : int
        The length to which the shorter side is first resized.
    mean, std : sequence of float
        One value per channel.
    interpolation : InterpolationMode
        The resampling filter.
    antialias : bool or None
        For compatibility with torchvision: filters are always antialiased; False is ignored with a
        warning.
    """

    def __init__(
        self,
        *,
        crop_size: int,
        resize_size: int = 256,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        self.crop_size = [crop_size]
        self.resize_size = [resize_size]
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = interpolation
        self.antialias = antialias

    @ends_at_caller
    def __call__(self, img: Image | np.ndarray) -> Tensor:
        """Prepare one picture, or a tensor that may be a batch.

        Parameters
        ----------
        img : PIL.Image.Image or numpy.ndarray
            A picture: a Pillow image, or pixels (H, W) or (H, W, 1, 3 or 4) of uint8, or of uint16 between
            0 and 65,535. Or a tensor (..., C, H, W), uint8, uint16 or floats between 0 and 1.

        Returns
        -------
        numpy.ndarray
            float32, (C, H, W) or (..., C, H, W).

        Raises
        ------
        TypeError
            If it is neither, or a tensor of another dtype.
        ValueError
            If a tensor's number of channels is not that of the means, such as one with its channels
            last.
        MemoryError
            If the resized picture does not fit in memory, such as that of a strip of 1 x 100,000.
        """
        return self._prepared(img, self._crop)

    def _prepared(self, img: Any, crop: Callable[[Any], Any]) -> np.ndarray:
        if is_pixels(img, np.uint16) or (
            isinstance(img, np.ndarray) and img.ndim == 2 and img.dtype == np.uint16
        ):
            img = from_sixteen_bits(img)
        if isinstance(img, np.ndarray) and img.ndim == 2 and img.dtype == np.uint8:
            img = to_pil(img)
        if not is_pil(img) and not is_pixels(img):
            self._check_channels(img)
        img = picture_or_tensor(img)
        if not isinstance(img, np.ndarray):
            return self._finish(F.to_tensor(crop(self._converted(img))))
        if img.dtype not in (np.uint8, np.uint16) and not np.issubdtype(img.dtype, np.floating):
            raise TypeError(
                "Expected a picture, or a tensor of uint8, of uint16 or of floats between 0 and 1, "
                f"got an array of {img.dtype}: .astype(np.uint8) is right for values of 0 to 255"
            )
        tensor: np.ndarray = crop(img)
        if tensor.dtype.kind == "u":
            return self._finish(F.convert_image_dtype(tensor))
        if tensor.size and tensor.max() > _NEVER_ONE:
            warn(
                f"a tensor of floats with values up to {tensor.max():g} is taken for one of 0 to 1; "
                "divide by 255 first, or give uint8",
            )
        return self._finish(tensor.astype(np.float32))

    def _check_channels(self, tensor: Any) -> None:
        # Check this first: resized as 480 pictures of 640 x 3, a picture (480, 640, 3) takes 25
        # GiB.
        if not hasattr(tensor, "__array__"):
            return  # Not a tensor, which is reported later.
        shape = np.shape(tensor)
        channels = max(len(self.mean), len(self.std))
        if len(shape) < 2:
            return  # Not a picture, which is reported later.
        given = shape[-3] if len(shape) > 2 else None
        hint = channels_last_hint(shape)
        if given is None or (channels > 1 and given != channels) or hint:
            raise ValueError(
                f"{type(self).__name__}: expected a picture, or a tensor (..., {channels}, H, W), got "
                f"{getattr(tensor, 'dtype', 'numbers')} of shape {tuple(shape)}{hint}"
            )

    def normalized(self, img: Image | np.ndarray) -> np.ndarray:
        """Prepare one picture in its own size, without resizing and cropping.

        Parameters
        ----------
        img : PIL.Image.Image or numpy.ndarray
            As for a call.

        Returns
        -------
        numpy.ndarray
            float32, (C, H, W).
        """
        return self._prepared(img, lambda picture: picture)

    def _converted(self, img: Image) -> Image:
        return to_rgb(img)

    def _crop(self, img: Any) -> Any:
        resized = F.resize(img, self.resize_size, self.interpolation, antialias=self.antialias)
        return F.center_crop(resized, self.crop_size)

    def _finish(self, tensor: np.ndarray) -> np.ndarray:
        return F.normalize(tensor, self.mean, self.std, inplace=True)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        fields = ("crop_size", "resize_size", "mean", "std", "interpolation")
        lines = "".join(f"\n    {name}={getattr(self, name)}" for name in fields)
        return f"{type(self).__name__}({lines}\n)"

    def describe(self) -> str:
        """Describe the preset in a sentence or two of reStructuredText."""
        return (
            "Accepts ``PIL.Image`` objects and arrays: uint8 pixels ``(H, W, C)``, and single ``(C, H, W)`` "
            "or batched ``(B, C, H, W)`` tensors. The images are resized to "
            f"``resize_size={self.resize_size}`` using ``interpolation={self.interpolation}``, followed by a "
            f"central crop of ``crop_size={self.crop_size}``. Finally the values are first rescaled to "
            f"``[0.0, 1.0]`` and then normalized using ``mean={self.mean}`` and ``std={self.std}``."
        )


class GreyClassification(ImageClassification):
    """`ImageClassification` for networks of one channel: converts pictures to grey instead of RGB.

    torchvision has none. By default values stay in [0, 1]. Colours are weighted as in Pillow (ITU-R
    601-2).

    Parameters
    ----------
    crop_size, resize_size, mean, std, interpolation, antialias
        As for `ImageClassification`; `mean` and `std` of one value.
    """

    def __init__(
        self,
        *,
        crop_size: int,
        resize_size: int,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__(
            crop_size=crop_size,
            resize_size=resize_size,
            mean=mean,
            std=std,
            interpolation=interpolation,
            antialias=antialias,
        )

    def _converted(self, img: Image) -> Image:
        return to_grey(img)
