"""Compare networks, layer by layer: with torch's, with another version, with expected values.

>>> from rvision.testing import assert_matches, compare
>>> assert_matches(model, torch_model, x)
>>> compare(model, torch_model, x)

torch is imported only if one of its models or tensors is given.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvision._frames import ends_at_caller
from rvision._html import document, folded, html_table
from rvision._table import shown, table
from rvision.errors import ArgumentError
from rvision.nn import Module

__all__ = ["Comparison", "ComparisonRow", "assert_matches", "compare"]

_HEADER = ("layer", "type", "shape", "largest difference", "relative", "")
# Layers around the first one that differs, in text.
_AROUND = 4


@dataclass(frozen=True)
class ComparisonRow:
    """One value of both networks.

    Attributes
    ----------
    layer : str
        The module's name, with ``_1`` and so on for its later calls; "output" for what the network returns.
    type : str
        The module's class in the reference.
    shape : tuple of int
        The reference's.
    found_shape : tuple of int
        The shape in the network that is checked.
    difference : float
        The largest absolute difference; NaN if the shapes differ or one has NaN where the other has none.
    relative : float
        `difference` divided by the largest absolute value of the reference.
    matches : bool
        Whether shapes are the same and `relative` is at most the tolerance.
    """

    layer: str
    type: str
    shape: tuple[int, ...]
    found_shape: tuple[int, ...]
    difference: float
    relative: float
    matches: bool


@dataclass(frozen=True)
class Comparison:
    """Two networks side by side, in the order in which the reference computes.

    Attributes
    ----------
    rows : list of ComparisonRow
        The layers that both have, then the outputs; ``pandas.DataFrame(comparison.rows)`` takes them.
    only_in_model, only_in_reference : list of str
        Layers without a partner.
    rtol : float
        The largest relative difference that matches.
    """

    rows: list[ComparisonRow]
    only_in_model: list[str] = field(default_factory=list)
    only_in_reference: list[str] = field(default_factory=list)
    rtol: float = 1e-4

    @property
    def matches(self) -> bool:
        """Whether the outputs match."""
        return all(row.matches for row in self.rows if row.layer.partition("[")[0] == "output")

    @property
    def first(self) -> ComparisonRow | None:
        """The first layer that differs, or None."""
        return next((row for row in self.rows if not row.matches), None)

    def _headline(self) -> str:
        first = self.first
        lacks = "".join(
            f"; {len(names)} {'layer' if len(names) == 1 else 'layers'} only in {where}: {_some(names)}"
            for names, where in (
                (self.only_in_model, "the model"),
                (self.only_in_reference, "the reference"),
            )
            if names
        )
        if first is None:
            return f"all {len(self.rows)} values match within {self.rtol:g} of the largest{lacks}"
        kind = "" if first.type in ("", first.layer) else f" ({first.type})"
        many = sum(not row.matches for row in self.rows)
        verdict = "the outputs match all the same" if self.matches else f"{many} of {len(self.rows)} differ"
        return f"the first that differs is {first.layer}{kind}, {_how(first)}; {verdict}{lacks}"

    def _cells(self, rows: Sequence[ComparisonRow]) -> list[tuple[str, ...]]:
        return [
            (
                row.layer,
                row.type,
                shown(row.shape) if row.shape == row.found_shape else f"{row.found_shape}, not {row.shape}",
                f"{row.difference:.2e}",
                f"{row.relative:.1e}",
                "" if row.matches else "differs",
            )
            for row in rows
        ]

    def __repr__(self) -> str:
        at = next((place for place, row in enumerate(self.rows) if not row.matches), len(self.rows) - 1)
        chosen = self.rows[max(at - _AROUND, 0) : at + _AROUND + 1]
        if chosen and self.rows[-1] is not chosen[-1]:
            chosen = [*chosen, self.rows[-1]]
        return f"{self._headline()}\n{table(_HEADER, self._cells(chosen))}"

    def _repr_html_(self) -> str:
        rows = html_table(_HEADER, self._cells(self.rows), numbers=(3, 4))
        return document(folded(self._headline(), rows, opened=True))


@ends_at_caller
def compare(model: Any, reference: Any, *inputs: Any, rtol: float = 1e-4) -> Comparison:
    """Run two networks on the same inputs and compare what each layer returns, by the layers' names.

    Layers see the values of their own network, so a fault shows in its layer and in all that follow: look
    at the first that differs. Each is compared as it was returned, before a later layer works in place.

    Parameters
    ----------
    model : Module
        The network to check.
    reference : Module, torch.nn.Module, callable or array
        What is right: a network, in which layers of the same names are compared; a function of the
        inputs, or the expected output, of which only the output is compared.
    *inputs : array_like
        What both are called with, float32: arrays or PyTorch tensors.
    rtol : float
        The largest difference that matches, as a share of the reference's largest absolute value. Two
        libraries that add in different orders agree to about 1e-6 in each layer and 1e-5 at the end.

    Returns
    -------
    Comparison
        Its `rows`, and the `first` that differs.

    Raises
    ------
    ArgumentError
        If a network of torch is in training mode or not on the CPU, or there are no inputs.

    Examples
    --------
    >>> compare(models.resnet18(), models.resnet18(), rvision.zeros(1, 3, 64, 64)).matches
    True
    """
    if not inputs:
        raise ArgumentError("compare: expected the inputs that the networks are called with, found none")
    arrays = [_array(value) for value in inputs]
    found_layers, found = _run(model, arrays, "model")
    layers, expected = _run(reference, arrays, "reference")
    rows = [
        _row(name, kind, found_layers[name][1], value, rtol)
        for name, (kind, value) in layers.items()
        if name in found_layers
    ]
    ours, theirs = dict(_leaves(found)), dict(_leaves(expected))
    if ours.keys() != theirs.keys():
        raise ArgumentError(
            f"compare: the model returns {_some(ours)}, and the reference {_some(theirs)}; compare a part "
            "that both have"
        )
    kind = type(reference).__name__
    rows += [_row(name, kind, ours[name], value, rtol) for name, value in theirs.items()]
    both = bool(layers) and bool(found_layers)
    return Comparison(
        rows,
        [name for name in found_layers if both and name not in layers],
        [name for name in layers if both and name not in found_layers],
        rtol,
    )


@ends_at_caller
def assert_matches(model: Any, reference: Any, *inputs: Any, rtol: float = 1e-4) -> None:
    """Raise an AssertionError that names the first layer that differs, unless the outputs match.

    Parameters
    ----------
    model, reference, *inputs, rtol
        As for :func:`compare`.

    Raises
    ------
    AssertionError
        If an output differs by more than `rtol` times the reference's largest absolute value.

    Examples
    --------
    >>> assert_matches(models.resnet18(), models.resnet18(), rvision.zeros(1, 3, 64, 64))
    """
    comparison = compare(model, reference, *inputs, rtol=rtol)
    if not comparison.matches:
        raise AssertionError(repr(comparison))


def _array(value: Any) -> NDArray[Any]:
    if _is_torch(value):
        value = value.detach().cpu().numpy()
    return np.ascontiguousarray(value)


def _is_torch(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _run(network: Any, arrays: list[NDArray[Any]], what: str) -> tuple[dict[str, tuple[str, Any]], Any]:
    """Return what the layers of a network return, by their names with their types, and its output."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(network, torch.nn.Module):
        return _run_torch(torch, network, arrays, what)
    if isinstance(network, Module):
        # The network runs as it does for its users; its hooked copy is not fused and rounds differently.
        output = network(*arrays)
        return _hooked(copy.deepcopy(network), arrays), output
    if callable(network):
        return {}, network(*arrays)
    return {}, network


def _hooked(network: Any, arguments: Sequence[Any]) -> dict[str, tuple[str, Any]]:
    layers: dict[str, tuple[str, Any]] = {}
    names = {module: name for name, module in network.named_modules() if name}

    def hook(module: Any, args: Any, output: Any) -> None:
        for part, value in _leaves(output, ""):
            name = first = f"{names[module]}{part}"
            times = 0
            while name in layers:
                times += 1
                name = f"{first}_{times}"
            # torch's layers may work in place on it later.
            layers[name] = (type(module).__name__, _array(value).copy())

    handles = [module.register_forward_hook(hook) for module in names]
    try:
        network(*arguments)
    finally:
        for handle in handles:
            handle.remove()
    return layers


def _run_torch(
    torch: Any, network: Any, arrays: list[NDArray[Any]], what: str
) -> tuple[dict[str, tuple[str, Any]], Any]:
    if network.training:
        raise ArgumentError(f"compare: the {what} is in training mode; call its eval() first")
    devices = {str(parameter.device) for parameter in network.parameters()} - {"cpu"}
    if devices:
        raise ArgumentError(f"compare: the {what} is on {_some(devices)}; move it with .cpu()")
    with torch.no_grad():
        # Copies: torch may write into its inputs.
        output = network(*(torch.from_numpy(array.copy()) for array in arrays))
        return _hooked(network, [torch.from_numpy(array.copy()) for array in arrays]), output


def _leaves(value: Any, name: str = "output") -> Iterator[tuple[str, Any]]:
    """Yield the arrays of an output, which may be a dict, a tuple or a list, with their names."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{name}[{key!r}]")
    elif isinstance(value, tuple | list):
        for place, item in enumerate(value):
            yield from _leaves(item, f"{name}[{place}]")
    elif value is not None:
        yield name, value


def _row(name: str, kind: str, found: Any, expected: Any, rtol: float) -> ComparisonRow:
    one, other = (_array(value).astype(np.float64) for value in (found, expected))
    difference = relative = 0.0
    if one.shape != other.shape or not np.array_equal(np.isnan(one), np.isnan(other)):
        difference = relative = math.nan
    elif other.size:
        apart = one != other
        with np.errstate(invalid="ignore"):
            difference = float(np.nanmax(np.abs(one - other), where=apart, initial=0.0))
        finite = np.abs(other[np.isfinite(other)])
        largest = float(finite.max()) if finite.size else 0.0
        relative = difference / largest if largest else (0.0 if difference == 0 else math.inf)
    return ComparisonRow(name, kind, other.shape, one.shape, difference, relative, bool(relative <= rtol))


def _how(row: ComparisonRow) -> str:
    if row.shape != row.found_shape:
        return f"which is {row.found_shape} and not {row.shape}"
    if math.isnan(row.difference):
        return "which has NaN where the reference has none, or none where it has"
    return f"by {row.difference:.3g}, {row.relative:.2g} of the largest value"


def _some(names: Any) -> str:
    listed = [str(name) for name in names]
    return ", ".join(listed[:3]) + (", ..." if len(listed) > 3 else "")
