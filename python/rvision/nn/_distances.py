"""How similar or far apart two arrays are; users find these functions in `functional`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rvision._frames import ends_at_caller
from rvision._numbers import real
from rvision._trace import Symbol, tracer_of
from rvision.errors import ArgumentError
from rvision.nn import _run

__all__ = ["cosine_similarity", "pairwise_distance"]


@ends_at_caller
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """Return the cosine of the angle between vectors along `dim`, whose lengths count as at least `eps`.

    `x1` and `x2` are arrays of the same number of dimensions that broadcast.
    """

    def cosine(a: Symbol, b: Symbol) -> Symbol:
        return (_unit(a, dim, eps) * _unit(b, dim, eps)).sum(dim)

    return _of_two(cosine, x1, x2)


def _unit(x: Symbol, dim: int, eps: float) -> Symbol:
    floor = real(eps, f"{x.tracer.where}: cosine_similarity: eps")
    return x.emit("normalize", "cosine_similarity", x.axis(dim), floor)


@ends_at_caller
def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """Return the p-norm of ``x1 - x2 + eps`` over the last dimension: (..., D) to (...,).

    `p` is positive, or infinity for the largest difference.
    """
    norm, offset = real(p, "pairwise_distance: p"), real(eps, "pairwise_distance: eps")
    if not norm > 0:
        raise ArgumentError(f"pairwise_distance: p must be positive, got {p}")

    def distance(a: Symbol, b: Symbol) -> Symbol:
        apart = a - b + offset
        if norm == 2:
            return (apart * apart).sum(-1, keepdim).sqrt()
        if norm == np.inf:
            return apart.abs().amax(-1, keepdim)
        if norm == 1:
            return apart.abs().sum(-1, keepdim)
        return (apart.abs() ** norm).sum(-1, keepdim) ** (1 / norm)

    return _of_two(distance, x1, x2)


def _of_two(function: Callable[[Symbol, Symbol], Symbol], x1: Any, x2: Any) -> Any:
    tracer = tracer_of(x1, x2)
    if tracer is None:
        return _run.call_function(function, [x1, x2], spatial=False)
    return function(*(x if isinstance(x, Symbol) else tracer.constant(x) for x in (x1, x2)))
