"""`rvision inspect`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rvision._rvision import Checkpoint
from rvision.cli._architecture import fits, wrapper_prefix
from rvision.nn._diagnose import guess_architecture

__all__ = ["run"]


def run(args: Any) -> int:
    """Show what is in a weight file."""
    checkpoint = Checkpoint.open(args.file)
    report: dict[str, Any] = {
        "file": args.file,
        "format": checkpoint.format,
        "size": Path(args.file).stat().st_size,
        "refused_globals": list(checkpoint.refused_globals),
    }
    # What is known so far is of use even where there are no weights in it.
    if not args.json:
        _print_head(report)
    found = checkpoint.state_dict(args.key)
    tensors = found.tensors()
    shapes = {name: tuple(shape) for name, _, shape in tensors}
    prefix = wrapper_prefix(shapes)
    plain = {name.removeprefix(prefix): shape for name, shape in shapes.items()}
    report |= {
        "key": found.key,
        "alternatives": list(found.alternatives),
        "prefix": prefix,
        "architecture": _architecture(plain),
        "values": sum(math.prod(shape) for shape in shapes.values()),
        "tensors": [{"name": n, "dtype": d, "shape": list(s)} for n, d, s in tensors],
    }
    if args.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        _print_body(report)
    return 0


def _architecture(shapes: dict[str, tuple[int, ...]]) -> str | None:
    fitting = fits(shapes)
    if fitting:
        return " or ".join(map(str, fitting))
    likely = guess_architecture(shapes)
    return f"{likely}, but not all names and shapes fit" if likely else None


def _print_head(report: dict[str, Any]) -> None:
    print(_visible(report["file"]))
    print(f"format: {report['format']}, {report['size']:,} bytes")
    if report["refused_globals"]:
        print(f"refused, not loaded: {', '.join(map(_visible, report['refused_globals']))}")


def _print_body(report: dict[str, Any]) -> None:
    if report["key"] or report["alternatives"]:
        others = (
            f" (others: {', '.join(map(_visible, report['alternatives']))})" if report["alternatives"] else ""
        )
        print(f"state dict: entry {_visible(report['key'])}{others}")
    if report["prefix"]:
        print(f"prefix of every name: {report['prefix']}")
    print(f"likely network: {report['architecture'] or 'none that is known'}")
    print(f"{len(report['tensors'])} tensors, {report['values']:,} values")
    rows = [
        (_visible(t["name"]), t["dtype"], " x ".join(map(str, t["shape"])) or "scalar")
        for t in report["tensors"]
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    for name, dtype, shape in rows:
        print(f"  {name.ljust(widths[0])}  {dtype.ljust(widths[1])}  {shape}")


def _visible(text: str) -> str:
    """Return text of a file so that it can not steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
