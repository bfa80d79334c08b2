"""The family tree of the networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rvision._frames import ends_at_caller
from rvision.plot._axes import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Relative(NamedTuple):
    """A network of the tree: when it was published, the row to draw it in, its idea, what it is built on."""

    year: int
    row: int
    idea: str
    parents: tuple[str, ...]


# docs/family-tree.md has the papers.
FAMILY = {
    "LeNet-5": Relative(1998, 0, "convolution, pooling", ()),
    "AlexNet": Relative(2012, 0, "rectifiers, dropout", ("LeNet-5",)),
    "OverFeat": Relative(2013, -2, "slides, finds boxes", ("AlexNet",)),
    "ZFNet": Relative(2013, 0, "looks inside", ("AlexNet",)),
    "NiN": Relative(2013, 2, "1 x 1, global mean", ("AlexNet",)),
    "VGG": Relative(2014, -1, "only 3 x 3, deep", ("AlexNet",)),
    "GoogLeNet": Relative(2014, 1, "Inception modules", ("NiN",)),
    "Highway": Relative(2015, -3, "gated shortcuts", ()),
    "ResNet": Relative(2015, -1, "shortcuts", ("VGG", "Highway")),
    "BN-Inception": Relative(2015, 1, "batch norm", ("GoogLeNet",)),
    "Inception v3": Relative(2015, 2, "small kernels", ("BN-Inception",)),
    "SqueezeNet": Relative(2016, 4, "squeeze, expand", ("NiN",)),
    "Inception v4": Relative(2016, 3, "uniform modules", ("Inception v3",)),
    "Inception-ResNet": Relative(2016, 2, "with shortcuts", ("Inception v3", "ResNet")),
    "ResNeXt": Relative(2016, 0, "many thin paths", ("ResNet", "GoogLeNet")),
    "Wide ResNet": Relative(2016, -2, "wide, not deep", ("ResNet",)),
    "DenseNet": Relative(2016, -3, "concatenates", ("ResNet",)),
    "MobileNetV2": Relative(2018, -1, "depthwise, inverted", ("ResNet",)),
    "ShuffleNetV2": Relative(2018, 1, "shuffles channels", ("ResNeXt",)),
    "EfficientNet": Relative(2019, -1, "scaled together", ("MobileNetV2",)),
    "MobileNetV3": Relative(2019, 1, "searched, hard swish", ("MobileNetV2",)),
    "RegNet": Relative(2020, 0, "regular widths", ("ResNeXt",)),
    "ViT": Relative(2020, -4, "attention on patches", ()),
    "Swin": Relative(2021, -4, "shifted windows", ("ViT",)),
    "EfficientNetV2": Relative(2021, -1, "trains faster", ("EfficientNet",)),
    "ConvNeXt": Relative(2022, -3, "ResNet, modernised", ("ResNet", "Swin")),
}


@ends_at_caller
def family_tree(*, highlight: tuple[str, ...] | list[str] = (), ax: Axes | None = None) -> Axes:
    """Draw the networks from LeNet-5 on, by year, each with its idea and arrows from what it is built on.

    Parameters
    ----------
    highlight : sequence of str
        Networks to mark, by their names in the drawing.
    ax : matplotlib Axes, optional
        Where to draw. A new figure by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        If a name is not in the tree.
    """
    unknown = [name for name in highlight if name not in FAMILY]
    if unknown:
        raise ValueError(
            f"plot.family_tree: {unknown[0]!r} is not in the tree, which has {', '.join(FAMILY)}"
        )
    ax = axes_or_new(ax, (17, 7))
    years = sorted({relative.year for relative in FAMILY.values()})
    boxes = {}
    for name, (year, row, idea, _) in FAMILY.items():
        color = "#ffe9a8" if name in highlight else "white"
        boxes[name] = ax.text(
            years.index(year),
            row,
            f"{name}\n{idea}",
            ha="center",
            va="center",
            fontsize=8.5,
            bbox={"boxstyle": "round", "facecolor": color, "edgecolor": "0.45"},
        )
    rows = [relative.row for relative in FAMILY.values()]
    ax.set_xlim(-0.5, len(years) - 0.5)
    ax.set_ylim(min(rows) - 0.6, max(rows) + 0.6)
    ax.set_title("From LeNet-5 to ConvNeXt")
    ax.set_xlabel("year (not to scale)")
    ax.set_xticks(range(len(years)), [str(year) for year in years])
    ax.set_yticks([])
    ax.spines[["left", "top", "right"]].set_visible(False)
    # The boxes have their sizes once the figure has been drawn, and arrows end at them.
    figure = ax.get_figure()
    assert figure is not None
    figure.canvas.draw()
    for name, relative in FAMILY.items():
        for parent in relative.parents:
            arrow = {
                "arrowstyle": "-|>",
                "color": "0.45",
                "patchA": boxes[parent].get_bbox_patch(),
                "patchB": boxes[name].get_bbox_patch(),
                "shrinkA": 1,
                "shrinkB": 1,
            }
            ax.annotate("", boxes[name].get_position(), boxes[parent].get_position(), arrowprops=arrow)
    return ax
