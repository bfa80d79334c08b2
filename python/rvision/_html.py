"""HTML for notebooks, without dependencies: tables, parts that fold, pictures.

Text has the notebook's own colour, and lines and stripes are a transparent grey, so that it is readable on
light and on dark pages.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape as _escape
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Html", "document", "escape", "folded", "html_table", "picture", "swatch"]

_STYLE = """<style>
.rvision{max-width:100%;color:inherit;line-height:1.35}
.rvision .scroll{max-height:32em;overflow:auto;display:inline-block;max-width:100%}
.rvision table{border-collapse:collapse;border:0;margin:.3em 0;font-size:90%;color:inherit}
.rvision th,.rvision td{padding:.2em .6em;border:0;text-align:left;vertical-align:middle;color:inherit;
background:transparent;white-space:nowrap}
.rvision td.number,.rvision th.number{text-align:right;font-variant-numeric:tabular-nums}
.rvision tbody tr,.rvision thead tr,.rvision tfoot tr{background:transparent;border:0}
.rvision tbody tr:nth-child(even){background:rgba(128,128,128,.1)}
.rvision thead th{border-bottom:1px solid rgba(128,128,128,.6)}
.rvision tfoot td{border-top:1px solid rgba(128,128,128,.6);font-weight:bold}
.rvision details{margin-left:1.2em}
.rvision details.outer{margin-left:0}
.rvision details.leaf{margin-left:1.2em}
.rvision summary{cursor:pointer}
.rvision .leaf{margin-left:2.2em}
.rvision .faint{opacity:.65}
.rvision img{display:block;max-width:100%;margin:.2em 0}
.rvision code{background:transparent;color:inherit;padding:0}
</style>"""


class Html(str):
    """Text that is HTML already, and is not escaped."""

    __slots__ = ()


def escape(text: object) -> Html:
    """Return text as HTML; `Html` stays as it is."""
    return text if isinstance(text, Html) else Html(_escape(str(text)))


def document(*parts: str) -> str:
    """Return what a `_repr_html_` gives: parts, below each other, with their style."""
    blocks = "".join(f"<div>{escape(part)}</div>" for part in parts)
    return f'{_STYLE}<div class="rvision">{blocks}</div>'


def html_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    total: Sequence[str] | None = None,
    *,
    numbers: Sequence[int] = (),
    scroll: bool = True,
) -> Html:
    """Return a table.

    Parameters
    ----------
    header : sequence of str
        The titles of the columns.
    rows : sequence of sequence of str
        Cells: text, which is escaped, or `Html`.
    total : sequence of str, optional
        The last row, below a line.
    numbers : sequence of int
        Columns that are aligned to the right.
    scroll : bool
        Whether a long table scrolls in a box.
    """

    def line(cells: Sequence[str], tag: str) -> str:
        kinds = (' class="number"' if place in numbers else "" for place in range(len(cells)))
        return "".join(
            f"<{tag}{kind}>{escape(cell)}</{tag}>" for cell, kind in zip(cells, kinds, strict=True)
        )

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    foot = f"<tfoot><tr>{line(total, 'td')}</tr></tfoot>" if total is not None else ""
    table = f"<table><thead><tr>{line(header, 'th')}</tr></thead><tbody>{body}</tbody>{foot}</table>"
    return Html(f'<div class="scroll">{table}</div>' if scroll else table)


def folded(title: str, *parts: str, opened: bool = False, outer: bool = True) -> Html:
    """Return parts that are shown when their title is clicked."""
    kind = ' class="outer"' if outer else ""
    state = " open" if opened else ""
    inside = "".join(map(escape, parts))
    return Html(f"<details{kind}{state}><summary>{escape(title)}</summary>{inside}</details>")


def picture(image: Image, alt: str, *, largest: int | None = None) -> Html:
    """Return a picture in the page itself, as PNG, with an alternative text.

    Parameters
    ----------
    image : PIL.Image.Image
    alt : str
        What the picture shows, for those who do not see it.
    largest : int, optional
        The larger side in pixels; larger pictures are reduced.
    """
    shown = image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGB")
    if largest is not None and max(shown.size) > largest:
        shown = shown.copy()
        shown.thumbnail((largest, largest))
    file = BytesIO()
    shown.save(file, "PNG")
    data = b64encode(file.getvalue()).decode("ascii")
    width, height = shown.size
    return Html(
        f'<img src="data:image/png;base64,{data}" alt="{_escape(alt)}" width="{width}" height="{height}" '
        'style="height:auto">'
    )


def swatch(share: float) -> Html:
    """Return a bar whose length is a share in [0, 1]."""
    width = 0.0 if share != share else 100 * min(max(share, 0.0), 1.0)
    return Html(
        '<div style="width:6em;height:.7em;background:rgba(128,128,128,.2)">'
        f'<div style="width:{width:.0f}%;height:100%;background:#3b82c4"></div></div>'
    )
