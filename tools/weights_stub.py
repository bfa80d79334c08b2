"""Write the stub of `rvision.weights._torchvision`, whose classes are made from `zoo.json` at import.

    python tools/weights_stub.py python/rvision/weights

Type checkers and editors read the stub. `tools/export_zoo.py` writes it together with the table; a test
compares it with the classes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HEAD = '''\
"""The enums of the networks that torchvision has weights for; `tools/weights_stub.py` writes this file."""

# ruff: noqa: RUF022  # the order of zoo.json

from rvision.weights._base import WeightsEnum

'''


def stub(table: dict[str, Any]) -> str:
    """Return the stub's text.

    Parameters
    ----------
    table : dict
        What `zoo.json` holds.
    """
    names = [f'    "{name}",\n' for name in table["networks"].values()]
    parts = [HEAD, "__all__ = [\n", *names, "]\n"]
    for network, name in table["networks"].items():
        rows = {
            key.removeprefix(f"{name}."): row
            for key, row in table["weights"].items()
            if key.startswith(f"{name}.")
        }
        default = next(member for member, row in rows.items() if row["default"])
        parts += [
            f'\nclass {name}(WeightsEnum):\n    """Weights of :func:`~rvision.models.{network}`."""\n\n',
            *(f"    {member} = ...\n" for member in rows),
            f"    DEFAULT = {default}\n",
        ]
    return "".join(parts)


def main(folder: Path) -> None:
    """Write the stub into `folder`, beside the table."""
    table = json.loads((folder / "zoo.json").read_text(encoding="utf-8"))
    (folder / "_torchvision.pyi").write_text(stub(table), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
