"""`rvision inspect`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rvision._rvision import Checkpoint
from rvision.cli._architecture import Found, recognise
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
    # Print what is known so far; it is useful even if the file holds no weights.
    if not args.json:
        _print_head(report)
    found = checkpoint.state_dict(args.key)
    tensors = found.tensors()
    shapes = {name: tuple(shape) for name, _, shape in tensors}
    fitting = recognise(shapes)
    report |= {
        "key": found.key,
        "alternatives": list(found.alternatives),
        "module": found.module or "",
        "prefix": fitting.prefix or _prefix_of_all(shapes),
        "architecture": _architecture(fitting, shapes),
        "values": sum(math.prod(shape) for shape in shapes.values()),
        "tensors": [{"name": n, "dtype": d, "shape": list(s)} for n, d, s in tensors],
    }
    if args.json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        _print_body(report)
    return 0


def _prefix_of_all(names: Iterable[str]) -> str:
    """Return the prefix that a wrapper put before every name of an unknown network."""
    return next((p for p in ("module.", "_orig_mod.") if all(name.startswith(p) for name in names)), "")


def _architecture(fitting: Found, shapes: dict[str, tuple[int, ...]]) -> str | None:
    if fitting.fits:
        return " or ".join(map(str, fitting.fits))
    prefix = _prefix_of_all(shapes)
    likely = guess_architecture({name.removeprefix(prefix): shape for name, shape in shapes.items()})
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
    if report["module"]:
        print(f"pickled module: {_visible(report['module'])} (the architecture is not in the file)")
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
    """Return text of a file with terminal control characters made visible."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
