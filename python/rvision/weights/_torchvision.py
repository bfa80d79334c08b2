"""The enums of the networks that torchvision has weights for, made from the table `zoo.json`.

Type checkers and editors see them in `_torchvision.pyi`, which `tools/weights_stub.py` writes.
"""

from __future__ import annotations

from typing import Any

from rvision.weights._base import WeightsEnum, accuracies
from rvision.weights._zoo import published, table


def _enum(network: str, name: str) -> type[WeightsEnum]:
    """Return the class of a network's weights, with members in the table's order."""
    prefix = f"{name}."
    rows = {key: row for key, row in table()["weights"].items() if key.startswith(prefix)}
    members = {key.removeprefix(prefix): published(key) for key in rows}
    default = next(key for key, row in rows.items() if row["default"]).removeprefix(prefix)
    make: Any = WeightsEnum
    # Pickles look up the class in the module that has all of them.
    enum = make(name, {**members, "DEFAULT": members[default]}, module="rvision.weights._enums")
    enum.__doc__ = f"Weights of :func:`~rvision.models.{network}`.\n\n{accuracies(members, default)}"
    return enum


_ENUMS = {name: _enum(network, name) for network, name in table()["networks"].items()}

globals().update(_ENUMS)
__all__ = list(_ENUMS)
