"""The legend below a heat map: its title, and a colour bar with values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rvision.transforms._pictures import to_pil
from rvision.utils._draw import typeface

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Bar", "with_legend"]

_PAPER, _INK = (255, 255, 255), (25, 25, 25)
# Letters are a fraction of the picture's shorter side, within limits that keep them readable.
_LETTERS_IN_SIDE = 26
_SMALLEST, _LARGEST = 12, 40
# The narrowest legend, in letter heights: a narrower picture is padded with paper.
_NARROWEST = 16


@dataclass(frozen=True)
class Bar:
    """A bar of colours.

    Attributes
    ----------
    colors : numpy.ndarray, (N, 3), uint8
        From low to high.
    low, high : float
        Values of the first and the last colour.
    value : float
        The marked value: the largest of the map.
    unit : str
        The name of the values.
    """

    colors: NDArray[np.uint8]
    low: float
    high: float
    value: float
    unit: str


def with_legend(picture: Image, title: str, bar: Bar | None) -> Image:
    """Return a picture, at the top left of a new one, with a title and a bar below it."""
    from PIL import Image, ImageDraw

    size = min(max(min(picture.size) // _LETTERS_IN_SIDE, _SMALLEST), _LARGEST)
    font = typeface(size)
    gap = size // 2
    width = max(picture.width, _NARROWEST * size)
    measure = ImageDraw.Draw(picture)

    def length(text: str) -> int:
        left, _, right, _ = measure.textbbox((0, 0), text, font=font)
        return int(right - left)

    lines = _wrapped(title, width - 2 * gap, length)
    line_height = round(1.3 * size)
    bar_height = 0 if bar is None else size + gap + line_height + gap
    height = picture.height + gap + len(lines) * line_height + gap + bar_height
    page = Image.new("RGB", (width, height), _PAPER)
    page.paste(picture, (0, 0))
    draw = ImageDraw.Draw(page)
    y = picture.height + gap
    for line in lines:
        draw.text((gap, y), line, fill=_INK, font=font)
        y += line_height
    if bar is not None:
        _draw_bar(page, draw, bar, y + gap, (gap, width - gap), size, font, length)
    return page


def _draw_bar(
    page: Image,
    draw: Any,
    bar: Bar,
    y: int,
    sides: tuple[int, int],
    size: int,
    font: Any,
    length: Callable[[str], int],
) -> None:
    left, right = sides
    ticks = [(at, f"{bar.low + at * (bar.high - bar.low):.3g}") for at in (0.0, 0.5, 1.0)]
    draw.text((left, y + size // 2), bar.unit, fill=_INK, font=font, anchor=_anchor(font, "lm"))
    left += length(bar.unit) + size
    right -= length(ticks[-1][1]) // 2
    columns = max(right - left, 2)
    shades = bar.colors[np.linspace(0, len(bar.colors) - 1, columns).round().astype(int)]
    page.paste(to_pil(np.repeat(shades[None], size, axis=0)), (left, y))
    draw.rectangle((left - 1, y - 1, left + columns, y + size), outline=_INK)
    for at, text in ticks:
        x = left + round(at * (columns - 1))
        draw.line((x, y + size, x, y + size + size // 4), fill=_INK)
        draw.text((x - length(text) / 2, y + size + size // 3), text, fill=_INK, font=font)
    # Mark the largest value by a triangle that points at the bar from above.
    share = (bar.value - bar.low) / (bar.high - bar.low) if bar.high > bar.low else 0.0
    x = left + round(min(max(share, 0.0), 1.0) * (columns - 1))
    half = max(size // 3, 3)
    draw.polygon([(x - half, y - half - 1), (x + half, y - half - 1), (x, y + half // 2)], fill=_INK)


def _anchor(font: Any, anchor: str) -> str | None:
    """Return an anchor if the font supports them: Pillow's own font of one size does not."""
    return anchor if hasattr(font, "getmask2") and hasattr(font, "font_variant") else None


def _wrapped(text: str, width: int, length: Callable[[str], int]) -> list[str]:
    """Return lines no longer than `width`, broken between words."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and length(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
