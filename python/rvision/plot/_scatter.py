"""Accuracy against time, as points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rvision.plot._axes import axes_or_new, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def accuracy_against_time(
    points: Sequence[tuple[str, float, float]],
    front: set[str],
    title: str,
    pictures: int,
    ax: Axes | None = None,
) -> Axes:
    """Draw networks as labelled points, and those of the Pareto front on a line.

    Parameters
    ----------
    points : sequence of (name, milliseconds, per cent)
    front : set of str
        The networks of the Pareto front.
    title : str
        What was measured on what, below the first line of the title.
    pictures : int
        The number of pictures in a run.
    ax : matplotlib Axes, optional
        Where to draw. A new figure by default.
    """
    pyplot()  # Says what to install, if matplotlib is missing.
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax = axes_or_new(ax, (9, 6))
    best = sorted((ms, accuracy) for name, ms, accuracy in points if name in front)
    others = [(ms, accuracy) for name, ms, accuracy in points if name not in front]
    ax.plot(*zip(*best, strict=True), "o-", color="C1", label="Pareto front: none is as fast and as accurate")
    if others:
        ax.plot(*zip(*others, strict=True), "o", color="C0", label="others")
    ax.set_xscale("log")
    # There is room for the names on both sides, and a power of ten times 1, 2 or 5 within.
    ax.set_xlim(min(ms for _, ms, _ in points) / 3, max(ms for _, ms, _ in points) * 2)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda ms, _: f"{ms:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    span = max(accuracy for *_, accuracy in points) - min(accuracy for *_, accuracy in points)
    ax.set_ylim(
        min(accuracy for *_, accuracy in points) - 0.1 * span - 1,
        max(accuracy for *_, accuracy in points) + 0.1 * span + 1,
    )
    _label(ax, points, front)
    ax.grid(alpha=0.3)
    ax.legend(loc="lower right", fontsize=8)
    ax.set_xlabel(f"milliseconds of a run of {pictures} picture{'s' * (pictures > 1)} (median)")
    ax.set_ylabel("top-1 accuracy on ImageNet, %")
    ax.set_title(f"accuracy against time\n{title}", fontsize=10)
    return ax


def _label(ax: Axes, points: Sequence[tuple[str, float, float]], front: set[str]) -> None:
    """Write the names beside the points, where they cover no other name or point if there is such a place."""
    size = 8
    scale = 72 / ax.get_figure().dpi  # type: ignore[union-attr]
    places = {name: scale * ax.transData.transform((ms, accuracy)) for name, ms, accuracy in points}
    # Boxes in points: left, bottom, right, top.
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y in places.values()]
    for name, ms, accuracy in sorted(points, key=lambda point: (point[0] not in front, point[1])):
        x, y = places[name]
        width = 0.65 * size * len(name)
        # The front rises to the right: above it is room on the left, below it on the right.
        sides = ("right", "left") if name in front else ("left", "right")
        choices = [
            (side, dx, dy)
            for step in (0, 10, 20, 30)
            for side in sides
            for dx in [5 if side == "left" else -5]
            for dy in ((3 + step, -9 - step) if name in front else (-9 - step, 3 + step))
        ]

        def box(
            side: str, dx: float, dy: float, at: tuple[float, float, float] = (x, y, width)
        ) -> tuple[float, float, float, float]:
            left = at[0] + dx - (at[2] if side == "right" else 0)
            return (left, at[1] + dy, left + at[2], at[1] + dy + size)

        def crossed(choice: tuple[str, float, float], box: Any = box) -> int:
            left, bottom, right, top = box(*choice)
            return sum(left < b[2] and b[0] < right and bottom < b[3] and b[1] < top for b in taken)

        side, dx, dy = min(choices, key=crossed)
        taken.append(box(side, dx, dy))
        ax.annotate(
            name,
            (ms, accuracy),
            (dx, dy),
            textcoords="offset points",
            ha=side,
            fontsize=size,
            fontweight="bold" if name in front else "normal",
        )
