"""The transforms as objects: constructed with settings, called with pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from rvision._frames import ends_at_caller
from rvision._tensor import Tensor
from rvision.transforms import functional as F
from rvision.transforms._interpolation import InterpolationMode, interpolation_mode

if TYPE_CHECKING:
    from numpy.typing import DTypeLike
    from PIL.Image import Image


class Compose:
    """Apply transforms one after another (`torchvision.transforms.Compose`).

    Parameters
    ----------
    transforms : iterable of callable

    Examples
    --------
    >>> prepare = transforms.Compose([transforms.Resize(32), transforms.ToTensor()])
    >>> prepare(Image.open("picture.jpg")).shape
    (3, 32, 42)
    """

    def __init__(self, transforms: Iterable[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    @ends_at_caller
    def __call__(self, img: Any) -> Tensor:
        """Return the result of applying all transforms to `img`: a tensor, for type checkers.

        It is what the last one returns, which is a picture if none of them makes a tensor.
        """
        for transform in self.transforms:
            img = transform(img)
        return cast("Tensor", img)

    def __repr__(self) -> str:
        lines = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"{type(self).__name__}({lines}\n)"


class ToTensor:
    """Convert a picture to a tensor (C, H, W), 8-bit values to float32 between 0 and 1.

    See :func:`rvision.transforms.functional.to_tensor` (`torchvision.transforms.ToTensor`).

    Examples
    --------
    >>> transforms.ToTensor()(Image.new("RGB", (4, 2), (255, 0, 0)))[:, 0, 0].tolist()
    [1.0, 0.0, 0.0]
    """

    @ends_at_caller
    def __call__(self, pic: Image | np.ndarray) -> Tensor:
        """Convert a Pillow image or an array (H, W) or (H, W, C)."""
        return F.to_tensor(pic)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ToPILImage:
    """Convert a tensor (C, H, W) or an array (H, W, C) to a Pillow image.

    Parameters
    ----------
    mode : str, optional
        Pillow's mode; see `functional.to_pil_image`.
    """

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    @ends_at_caller
    def __call__(self, pic: np.ndarray) -> Image:
        """Convert a tensor or an array; see `functional.to_pil_image`."""
        return F.to_pil_image(pic, self.mode)

    def __repr__(self) -> str:
        mode = f"mode={self.mode}" if self.mode is not None else ""
        return f"{type(self).__name__}({mode})"


class PILToTensor:
    """Convert a Pillow image to a tensor (C, H, W) of the same values, uint8 for 8-bit pictures.

    See :func:`rvision.transforms.functional.pil_to_tensor` (`torchvision.transforms.PILToTensor`).
    """

    @ends_at_caller
    def __call__(self, pic: Image) -> Tensor:
        """Convert a Pillow image."""
        return F.pil_to_tensor(pic)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ConvertImageDtype:
    """Convert a tensor to another dtype and scale its values (`torchvision.transforms.ConvertImageDtype`).

    After `PILToTensor` it does the same as `ToTensor`, also for pictures of 16 bits.

    Parameters
    ----------
    dtype : dtype_like
        For instance ``np.float32``, whose white is 1.
    """

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype = np.dtype(dtype)

    @ends_at_caller
    def __call__(self, image: np.ndarray) -> Tensor:
        """Convert a tensor; see `functional.convert_image_dtype`."""
        return F.convert_image_dtype(image, self.dtype)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Normalize:
    """Subtract a mean from each channel and divide by a deviation (`torchvision.transforms.Normalize`).

    Parameters
    ----------
    mean, std : sequence of float
        One value per channel.
    inplace : bool
        Whether to change the tensor itself.

    Examples
    --------
    >>> transforms.Normalize([0.5], [0.25])(np.ones((1, 2, 2), np.float32))[0, 0].tolist()
    [2.0, 2.0]
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        self.mean = mean
        self.std = std
        self.inplace = inplace

    @ends_at_caller
    def __call__(self, tensor: np.ndarray) -> Tensor:
        """Normalise floats (..., C, H, W)."""
        return F.normalize(tensor, self.mean, self.std, self.inplace)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mean={self.mean}, std={self.std})"


class Resize:
    """Resize a picture or a tensor (`torchvision.transforms.Resize`).

    Parameters
    ----------
    size : int or sequence of int
        One number: the length of the shorter side, keeping the aspect ratio. Two: height and width.
    interpolation : InterpolationMode or int
        The filter, or Pillow's number for it.
    max_size : int, optional
        A limit of the longer side, if `size` is one number.
    antialias : bool or None
        For compatibility with torchvision: filters are always antialiased.

    Examples
    --------
    >>> transforms.Resize(24)(Image.open("picture.jpg")).size
    (32, 24)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        if not isinstance(size, int | Sequence):
            raise TypeError(f"Size should be int or sequence. Got {type(size)}")
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            raise ValueError("If size is a sequence, it should have 1 or 2 values")
        self.size = size
        self.max_size = max_size
        self.interpolation = interpolation_mode(interpolation)
        self.antialias = antialias

    @ends_at_caller
    def __call__(self, img: Any) -> Any:
        """Resize a picture or a tensor (..., H, W)."""
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}, interpolation={self.interpolation.value}, "
            f"max_size={self.max_size}, antialias={self.antialias})"
        )


class CenterCrop:
    """Crop the centre, padding smaller pictures with zeros (`torchvision.transforms.CenterCrop`).

    Parameters
    ----------
    size : int or sequence of int
        (height, width), or one number for a square.

    Examples
    --------
    >>> transforms.CenterCrop(20)(Image.open("picture.jpg")).size
    (20, 20)
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = F.pair(size)

    @ends_at_caller
    def __call__(self, img: Any) -> Any:
        """Crop a picture or a tensor (..., H, W)."""
        return F.center_crop(img, self.size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"


class Pad:
    """Pad a picture or a tensor with a border (`torchvision.transforms.Pad`).

    Parameters
    ----------
    padding : int or sequence of int
        One width; left and right, top and bottom; or left, top, right, bottom.
    fill : number or sequence of number
        The border's value, or one per channel for pictures.
    padding_mode : {"constant", "edge", "reflect", "symmetric"}

    Examples
    --------
    >>> transforms.Pad(4)(Image.new("RGB", (10, 6))).size
    (18, 14)
    """

    def __init__(
        self,
        padding: int | Sequence[int],
        fill: float | Sequence[float] = 0,
        padding_mode: str = "constant",
    ) -> None:
        F.check_padding(padding, fill, padding_mode)
        self.padding = padding
        self.fill = fill
        self.padding_mode = padding_mode

    @ends_at_caller
    def __call__(self, img: Any) -> Any:
        """Pad a picture or a tensor (..., H, W)."""
        return F.pad(img, self.padding, self.fill, self.padding_mode)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(padding={self.padding}, fill={self.fill}, "
            f"padding_mode={self.padding_mode})"
        )


class Grayscale:
    """Convert a picture, or a tensor (..., 1 or 3, H, W), to grey (`torchvision.transforms.Grayscale`).

    Parameters
    ----------
    num_output_channels : {1, 3}
        One channel, or three equal ones.

    Examples
    --------
    >>> transforms.Grayscale()(Image.open("picture.jpg")).mode
    'L'
    """

    def __init__(self, num_output_channels: int = 1) -> None:
        self.num_output_channels = num_output_channels

    @ends_at_caller
    def __call__(self, img: Any) -> Any:
        """Return the grey picture or tensor."""
        return F.rgb_to_grayscale(img, self.num_output_channels)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_output_channels={self.num_output_channels})"


class FiveCrop:
    """Crop the four corners and the centre (`torchvision.transforms.FiveCrop`).

    To run the five as a batch, follow it with
    ``Lambda(lambda crops: np.stack([to_tensor(crop) for crop in crops]))``.

    Parameters
    ----------
    size : int or sequence of int
        (height, width) of each, or one number for squares.

    Examples
    --------
    >>> len(transforms.FiveCrop(20)(Image.open("picture.jpg")))
    5
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = F.pair(size)

    @ends_at_caller
    def __call__(self, img: Any) -> tuple[Any, ...]:
        """Return top left, top right, bottom left, bottom right, centre."""
        return F.five_crop(img, self.size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"


class TenCrop:
    """Crop five views of a picture and of its mirror image (`torchvision.transforms.TenCrop`).

    Parameters
    ----------
    size : int or sequence of int
        (height, width) of each, or one number for squares.
    vertical_flip : bool
        Whether to mirror top to bottom instead of left to right.

    Examples
    --------
    >>> [crop.size for crop in transforms.TenCrop(20)(Image.open("picture.jpg"))][:2]
    [(20, 20), (20, 20)]
    """

    def __init__(self, size: int | Sequence[int], vertical_flip: bool = False) -> None:
        self.size = F.pair(size)
        self.vertical_flip = vertical_flip

    @ends_at_caller
    def __call__(self, img: Any) -> tuple[Any, ...]:
        """Return the five views of the picture, then those of its mirror image."""
        return F.ten_crop(img, self.size, self.vertical_flip)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, vertical_flip={self.vertical_flip})"


class Lambda:
    """Apply a user's function (`torchvision.transforms.Lambda`).

    Parameters
    ----------
    lambd : callable
    """

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    @ends_at_caller
    def __call__(self, img: Any) -> Any:
        """Return the function's result for `img`."""
        return self.lambd(img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
