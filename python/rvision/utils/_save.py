"""Saving of pictures."""

from __future__ import annotations

from typing import Any

from rvision._frames import ends_at_caller
from rvision.utils._grid import make_grid

__all__ = ["save_image"]


@ends_at_caller
def save_image(tensor: Any, fp: Any, format: str | None = None, **kwargs: Any) -> None:
    """Save a picture, or a grid of pictures, to a file: `torchvision.utils.save_image`.

    Parameters
    ----------
    tensor : array_like or list
        What :func:`make_grid` takes.
    fp : path or binary file object
        The file.
    format : str, optional
        "PNG", "JPEG", ...; by default that of the file's ending. Needed with a file object.
    **kwargs
        Arguments of :func:`make_grid`: `nrow`, `padding`, `normalize`, `value_range`, ...

    Raises
    ------
    ShapeError, ArgumentError
        As of :func:`make_grid`.
    ValueError
        From Pillow, if the format is unknown.
    OSError
        From the system.

    Examples
    --------
    >>> import io, rvision
    >>> rvision.utils.save_image(rvision.rand(4, 3, 8, 8), io.BytesIO(), format="PNG", nrow=2)
    """
    make_grid(tensor, **kwargs).save(fp, format=format)
