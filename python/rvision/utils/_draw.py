"""Boxes on a picture."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rvision.errors import ArgumentError
from rvision.ops.boxes import as_boxes
from rvision.utils._images import as_picture

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["distinct_colors", "draw_bounding_boxes", "typeface"]

Color: TypeAlias = "str | tuple[int, int, int]"
Rgb: TypeAlias = "tuple[int, int, int]"

# Of 255: the picture under a filled box stays visible.
_FILL_OPACITY = 100
_SMALLEST_FONT = 10
# Pillow's default size is too small to read on photographs of several thousand pixels.
_FONTS_IN_HEIGHT = 50


def draw_bounding_boxes(
    image: Any,
    boxes: Any,
    labels: Sequence[str | None] | None = None,
    colors: Color | Sequence[Color] | None = None,
    fill: bool = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
) -> Image:
    """Return a picture with boxes drawn on it: `torchvision.utils.draw_bounding_boxes`, as a Pillow picture.

    Parameters
    ----------
    image : PIL.Image.Image or array_like
        A picture; uint8 (H, W, 3); or a tensor (1 or 3, H, W), uint8 or floats in [0, 1].
    boxes : array_like
        (N, 4), xyxy, in pixels; fractions are truncated.
    labels : sequence of str, optional
        A name for each box, written in its upper left corner on its colour; None for no name.
    colors : color or list of colors, optional
        One for all boxes, or one for each: a name or number that Pillow knows ("red", "#ff8800"),
        or (R, G, B). By default each label has its own color, or each box if there are no labels.
    fill : bool
        Whether to fill boxes with a translucent colour.
    width : int
        Width of the lines in pixels, inwards.
    font : str, optional
        A TrueType file, or a font's name that Pillow finds. By default Pillow's own font. Without
        `labels` this and `font_size` have no effect.
    font_size : int, optional
        By default 10; on pictures more than 500 pixels high, a fiftieth of the height.

    Returns
    -------
    PIL.Image.Image
        A new picture in RGB.

    Raises
    ------
    ShapeError
        If `boxes` is not (N, 4).
    ArgumentError
        If corners are swapped or not finite; if the number of labels or colors is not that of the
        boxes, or colors are invalid; or if the font is not found.

    Examples
    --------
    >>> utils.draw_bounding_boxes(Image.open("picture.jpg"), [[2, 2, 20, 20]], labels=["cat"]).mode
    'RGB'
    """
    from PIL import ImageDraw

    picture = as_picture(image, "draw_bounding_boxes: image")
    corners = as_boxes(boxes, "draw_bounding_boxes: boxes", "(N, 4)")
    _check_corners(corners)
    if width < 1:
        raise ArgumentError(f"draw_bounding_boxes: width must be 1 or more, got {width}")
    if labels is not None and (isinstance(labels, str) or len(labels) != len(corners)):
        raise ArgumentError(
            f"draw_bounding_boxes: labels: expected one for each of {len(corners)} boxes, got {labels!r:.60}"
        )
    rgbs = _colors(colors, len(corners), labels)
    typeface = None if labels is None else _font(font, font_size, picture.height)
    draw = ImageDraw.Draw(picture, "RGBA" if fill else "RGB")
    # Lines outside the picture can be moved to just outside of it.
    outside = np.array([picture.width, picture.height] * 2) + width
    whole = np.trunc(corners).clip(-1 - width, outside).astype(int).tolist()
    for box, rgb in zip(whole, rgbs, strict=True):
        draw.rectangle(box, width=width, outline=rgb, fill=(*rgb, _FILL_OPACITY) if fill else None)
    # Draw names over all boxes, so that no line crosses a name.
    for box, rgb, label in zip(whole, rgbs, labels or [None] * len(whole), strict=True):
        if label is not None:
            _write(draw, picture, label, (box[0] + width, box[1] + width), rgb, typeface)
    return picture


def _check_corners(corners: np.ndarray) -> None:
    wrong = ~np.isfinite(corners).all(axis=1)
    wrong |= (corners[:, 0] > corners[:, 2]) | (corners[:, 1] > corners[:, 3])
    if wrong.any():
        i = int(wrong.argmax())
        raise ArgumentError(
            f"draw_bounding_boxes: boxes[{i}]: expected x1 <= x2 and y1 <= y2, got {corners[i].tolist()}; "
            "rvision.ops.box_convert converts other formats"
        )


def _colors(
    colors: Color | Sequence[Color] | None, count: int, labels: Sequence[str | None] | None
) -> list[Rgb]:
    if colors is None:
        return distinct_colors(range(count) if labels is None else labels)
    if isinstance(colors, str | tuple):
        return [_rgb(colors)] * count
    if len(colors) < count:
        raise ArgumentError(
            f"draw_bounding_boxes: colors: expected one for each of {count} boxes, got {colors!r}"
        )
    return [_rgb(color) for color in colors[:count]]


def distinct_colors(kinds: Sequence[Any]) -> list[Rgb]:
    """Return a colour for each kind, the same for equal kinds."""
    numbers = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
    return [_nth_color(numbers[kind]) for kind in kinds]


def _nth_color(number: int) -> Rgb:
    """Return a bright colour; hues a golden section apart stay distinct for any number of colours."""
    red, green, blue = colorsys.hsv_to_rgb((0.02 + number * 0.618034) % 1, 0.85, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def _rgb(color: Any) -> Rgb:
    from PIL import ImageColor

    if isinstance(color, str):
        try:
            red, green, blue = ImageColor.getrgb(color)[:3]
        except ValueError:
            raise ArgumentError(f"draw_bounding_boxes: Pillow knows no color {color!r}") from None
        return red, green, blue
    try:
        red, green, blue = (int(level) for level in color)
    except (TypeError, ValueError):
        red = green = blue = -1
    if not all(0 <= level <= 255 for level in (red, green, blue)):
        raise ArgumentError(
            f"draw_bounding_boxes: expected a color by name or as (R, G, B) of 0 to 255, got {color!r}"
        )
    return red, green, blue


def _font(font: str | None, size: int | None, height: int) -> Any:
    from PIL import ImageFont

    if size is None:
        size = max(_SMALLEST_FONT, height // _FONTS_IN_HEIGHT)
    if size < 1:
        raise ArgumentError(f"draw_bounding_boxes: font_size must be 1 or more, got {size}")
    if font is None:
        return typeface(size)
    try:
        return ImageFont.truetype(font, size)
    except OSError as error:
        raise ArgumentError(f"draw_bounding_boxes: font {font!r}: {error}") from None


def typeface(size: int) -> Any:
    """Return Pillow's own font."""
    from PIL import ImageFont

    try:
        return ImageFont.load_default(size)
    except TypeError:
        # Pillow before 10.1 has it only in one size.
        return ImageFont.load_default()


def _write(draw: Any, picture: Image, label: str, corner: tuple[int, int], rgb: Rgb, font: Any) -> None:
    """Write a name on a patch of its box's colour, moved so that it is on the picture."""
    left, top, right, bottom = draw.textbbox((0, 0), label, font=font)
    width, height = right - left + 2, bottom - top + 2
    x = max(0, min(corner[0], picture.width - width))
    y = max(0, min(corner[1], picture.height - height))
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=rgb)
    luminance = (299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2]) // 1000
    draw.text(
        (x + 1 - left, y + 1 - top), label, fill=(0, 0, 0) if luminance > 127 else (255, 255, 255), font=font
    )
