"""Several classifiers as one: `rvision.Ensemble`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rvision.errors import ArgumentError
from rvision.nn import Module, Symbol
from rvision.nn import functional as F

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Ensemble"]

_AVERAGES = ("probs", "logits", "logprobs")


class Ensemble(Module):
    """Classifiers whose outputs are averaged: pictures (N, C, H, W) to (N, classes).

    Members are named by their numbers, so a state dict's names begin with ``0.``, ``1.``. All
    members run as one network.

    Parameters
    ----------
    models : sequence of Module
        Classifiers with the same classes that return logits (N, classes).
    average : str
        What is averaged and returned:

        ``"probs"``
            The probabilities, as by Krizhevsky et al. (2012), Ciresan et al. (arXiv:1202.2745) and Simonyan
            and Zisserman (arXiv:1409.1556): rows sum to one.
        ``"logits"``
            The logits as they are. A member with larger logits has more weight.
        ``"logprobs"``
            The log-probabilities, i.e. the geometric mean of the probabilities: a class that one
            member rules out is ruled out. The result is normalised again, as in a product of
            experts (Hinton 2002), so log-probabilities are returned. It ranks classes in the same
            order as ``"logits"``.
    transforms : callable or sequence of callable, optional
        Prepares pictures: one for all members, or one for each, such as its
        ``weights.transforms()``.

    Attributes
    ----------
    transforms : callable or None
        Prepares a picture for the ensemble. Members that need the same preparation (presets with
        equal settings) share it. It returns an array if all members share one, otherwise a tuple
        with an array for each preparation.

    Raises
    ------
    ArgumentError
        If there are no models, `average` is something else, or there is not a transform for each model.

    Examples
    --------
    >>> ensemble = rvision.Ensemble([nn.Linear(4, 3), nn.Linear(4, 3)])
    >>> ensemble(np.zeros((2, 4), np.float32)).sum(1).tolist()
    [1.0, 1.0]

    Networks that need different preparation::

        members = [ResNet50_Weights.DEFAULT, ViT_B_16_Weights.DEFAULT]
        ensemble = rvision.Ensemble(
            [resnet50(weights=members[0]), vit_b_16(weights=members[1])],
            transforms=[weights.transforms() for weights in members],
        )
        probabilities = ensemble(ensemble.transforms(picture))
        print(rvision.evaluate(ensemble, "val/", transforms=ensemble.transforms))
    """

    def __init__(
        self,
        models: Sequence[Module],
        average: str = "probs",
        *,
        transforms: Callable[[Any], Any] | Sequence[Callable[[Any], Any]] | None = None,
    ) -> None:
        super().__init__()
        members = list(models)
        if not members:
            raise ArgumentError("Ensemble: models: expected at least one, got none")
        if average not in _AVERAGES:
            raise ArgumentError(f"Ensemble: average: expected one of {', '.join(_AVERAGES)}, got {average!r}")
        for place, member in enumerate(members):
            self.register_module(str(place), member)
        self.average = average
        if transforms is None or callable(transforms):
            transforms = [transforms] * len(members)  # type: ignore[list-item]
        if len(transforms) != len(members):
            raise ArgumentError(
                f"Ensemble: transforms: expected one for all or one for each of the {len(members)} models, "
                f"got {len(transforms)}"
            )
        distinct: list[Any] = []
        for transform in transforms:
            if transform not in distinct:
                distinct.append(transform)
        self.transforms = distinct[0] if len(distinct) == 1 else _Each(distinct)
        self._prepared = tuple(distinct.index(transform) for transform in transforms)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, index: int) -> Module:
        return list(self)[index]

    def forward(self, x: Any) -> Symbol:
        """Return the average.

        Parameters
        ----------
        x : array_like or tuple of array_like
            Prepared pictures as `transforms` returns them: an array for all members, or a tuple
            with an array for each different preparation.
        """
        arrays = list(x) if isinstance(x, tuple | list) else [x]
        expected = max(self._prepared) + 1
        if len(arrays) != expected:
            wanted = f"a tuple of {expected} arrays" if expected > 1 else "one array for all models"
            raise ArgumentError(f"Ensemble: expected {wanted}, as its transforms return, got {len(arrays)}")
        outputs = [model(arrays[place]) for model, place in zip(self, self._prepared, strict=True)]
        self._check(outputs)
        if self.average == "probs":
            outputs = [F.softmax(logits, 1) for logits in outputs]
        elif self.average == "logprobs":
            outputs = [F.log_softmax(logits, 1) for logits in outputs]
        total = outputs[0]
        for output in outputs[1:]:
            total = total + output
        mean = total / len(outputs)
        return F.log_softmax(mean, 1) if self.average == "logprobs" else mean

    def _check(self, outputs: Sequence[Any]) -> None:
        classes = []
        for place, (model, output) in enumerate(zip(self, outputs, strict=True)):
            if not isinstance(output, Symbol) or output.ndim != 2:
                found = output.traced_shape if isinstance(output, Symbol) else type(output).__name__
                raise ArgumentError(
                    f"Ensemble: model {place} ({type(model).__name__}): a classifier returns (N, classes), "
                    f"got {found}"
                )
            classes.append(output.shape[1])
        if len(set(classes)) > 1:
            each = ", ".join(
                f"model {place} ({type(model).__name__}) {count}"
                for place, (model, count) in enumerate(zip(self, classes, strict=True))
            )
            raise ArgumentError(
                f"Ensemble: its models must have the same classes, but their numbers are: {each}"
            )

    def extra_repr(self) -> str:
        """Return what `repr` shows besides the members."""
        return f"average={self.average!r}"


class _Each:
    """Prepares a picture in several ways."""

    def __init__(self, transforms: Sequence[Callable[[Any], NDArray[np.float32]]]) -> None:
        self.transforms = tuple(transforms)

    def __call__(self, img: Any) -> tuple[NDArray[np.float32], ...]:
        return tuple(transform(img) for transform in self.transforms)

    def __repr__(self) -> str:
        return f"[{', '.join(map(repr, self.transforms))}]"
