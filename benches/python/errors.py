"""Relative errors of whole networks: rvision's and torch's float32 logits against torch's in float64.

The weights are random but seeded, and the picture is noise, the same for all. The error of a
network is the largest difference of a logit, relative to the largest logit. A second column limits
rvision to AVX2.

    python benches/python/errors.py --json after.json --before before.json
    python benches/python/errors.py --all

Needs torch and torchvision in the environment.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import tables
from compare import NETWORKS, answer, ask, end, machine, prepare, write

# Column, engine, environment.
COLUMNS = (
    ("torch", "torch_eager", {}),
    ("rvision", "rvision", {}),
    ("rvision, AVX2", "rvision", {"RVISION_ISA": "avx2"}),
)
# About half the preset's side, so that many networks take a tolerable time. These accept one size
# only.
SMALL = 128
ONE_SIZE = ("vit_", "maxvit")


def logits(request: dict, variables: dict[str, str]) -> np.ndarray:
    worker = ask(request, **variables)
    try:
        return np.array(answer(worker)["logits"])
    finally:
        end(worker)


def measure(name: str, size: int | None, threads: int) -> dict[str, float | int | str]:
    """The errors of one network by column, and the picture's size."""
    with tempfile.TemporaryDirectory() as folder:
        files = prepare(name, [], folder, size, [1])
        shape = [1, 3, files["size"], files["size"]]
        request = {"name": name, "files": files, "threads": threads, "shape": shape}
        reference = logits(request | {"engine": "torch_float64"}, {})
        row: dict[str, float | int | str] = {"size": files["size"]}
        for column, engine, variables in COLUMNS:
            try:
                found = logits(request | {"engine": engine}, variables)
            except RuntimeError as error:
                row[f"{column} failed"] = str(error)
                continue
            row[column] = float(np.abs(found - reference).max() / np.abs(reference).max())
    return row


def builders() -> list[str]:
    """All of torchvision's classifiers that rvision has."""
    import rvision
    import torchvision

    own = set(rvision.models.list_models())
    return [name for name in torchvision.models.list_models(module=torchvision.models) if name in own]


def markdown(report: dict, before: dict) -> str:
    columns = [column for column, _, _ in COLUMNS]
    earlier = before.get("networks", {})
    head = ["network", "picture", *columns, *["rvision before"] * bool(earlier), "rvision / torch"]
    rows, factors = [], []
    for name, row in report["networks"].items():
        cells = [f"{row[c]:.1e}" if c in row else "failed" for c in columns]
        # With another size or other random weights, it is another network.
        same = earlier.get(name, {}).get("size") == row["size"]
        old = f"{earlier[name]['rvision']:.1e}" if same and "rvision" in earlier[name] else "-"
        if "rvision" in row and row.get("torch"):
            factors.append(row["rvision"] / row["torch"])
        share = f"{row['rvision'] / row['torch']:.2f}" if "rvision" in row and row.get("torch") else "-"
        rows.append([name, f"{row['size']}x{row['size']}", *cells, *[old] * bool(earlier), share])
    summary = (
        f"{len(factors)} networks; geometric mean of the last column "
        f"{statistics.geometric_mean(factors):.2f}, largest {max(factors):.2f}."
        if factors
        else "Nothing to compare."
    )
    return f"{tables.where(report)}.\n\n{tables.table(head, rows)}\n\n{summary}"


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--networks", nargs="+", default=NETWORKS)
    which.add_argument("--all", action="store_true", help=f"torchvision's classifiers, at {SMALL} x {SMALL}")
    parser.add_argument("--size", type=int, help="height and width; default: those of each network's preset")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", help="write the report there, after every network")
    parser.add_argument("--before", metavar="JSON", help="an earlier report, to show beside this one")
    parser.add_argument("--markdown", metavar="FILE", help="write the table there")
    parser.add_argument("--pages", nargs="+", default=[], help="fill the table in where these pages say so")
    args = parser.parse_args()
    names = builders() if args.all else args.networks
    report = machine() | {"networks": {}}
    for name in names:
        fixed = name.startswith(ONE_SIZE)
        size = args.size or (SMALL if args.all and not fixed else None)
        report["networks"][name] = measure(name, size, args.threads)
        print(name, report["networks"][name], file=sys.stderr, flush=True)
        if args.json:
            write(args.json, report)
    before = json.loads(Path(args.before).read_text(encoding="utf-8")) if args.before else {}
    text = markdown(report, before)
    print(text)
    if args.markdown:
        Path(args.markdown).write_text(text + "\n", encoding="utf-8")
    for page in args.pages:
        tables.fill(page, {"errors": text})


if __name__ == "__main__":
    main()
