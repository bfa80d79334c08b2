"""`rvision models`."""

from __future__ import annotations

import fnmatch
import json
from typing import Any

from rvision.cli._architecture import parameter_count
from rvision.cli._network import accuracy, published
from rvision.errors import ArgumentError

__all__ = ["run"]

_HEADER = ("network", "weights", "params (M)", "GMACs", "top-1", "top-5", "here")


def run(args: Any) -> int:
    """List the networks whose names match."""
    rows = [_facts(name, member) for name, member in published() if _matches(name, args.pattern)]
    if not rows:
        raise ArgumentError(f"models: no network matches {args.pattern!r}")
    if args.json:
        for row in rows:
            print(json.dumps(row))
        return 0
    table = [_HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(_HEADER))]
    for line in table:
        cells = [
            cell.ljust(width) if column < 2 or column == 6 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    return 0


def _matches(name: str, pattern: str | None) -> bool:
    if pattern is None:
        return True
    whole = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    return fnmatch.fnmatchcase(name, whole.lower())


def _facts(name: str, member: Any) -> dict[str, Any]:
    if member is None:
        facts = {
            "num_params": parameter_count(name),
            "gmacs": None,
            "acc@1": None,
            "acc@5": None,
            "file": None,
        }
        return {"model": name, "weights": None, **facts}
    file = member.cached_file()
    return {
        "model": name,
        "weights": repr(member),
        "num_params": member.meta["num_params"],
        "gmacs": member.meta["_ops"],
        "acc@1": accuracy(member),
        "acc@5": accuracy(member, "acc@5"),
        "file": None if file is None else str(file),
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    weights = "-" if row["weights"] is None else row["weights"].partition(".")[2]
    numbers = (
        f"{row['num_params'] / 1e6:.2f}",
        *(
            "-" if row[key] is None else f"{row[key]:.{digits}f}"
            for key, digits in (("gmacs", 2), ("acc@1", 2), ("acc@5", 2))
        ),
    )
    return (row["model"], weights, *numbers, "yes" if row["file"] else "-")
