"""Why a network has no dense form, and what whoever asked for one can do."""

from __future__ import annotations

from rvision.errors import UnsupportedError

__all__ = ["SMALLER_STRIDE", "NoDenseForm", "refusal_of"]

# How the engine ends its messages: with what `dense.predict` can be told.
_ENGINES = (
    "; choose padding='per_window' for exact windows, or squeeze='global' to squeeze the whole picture",
    "; choose padding='per_window', which runs the classifier on each window",
)
# The same, where a stride is too large.
SMALLER_STRIDE = "; choose a smaller stride"
_EXACT = "which runs the classifier on each window"
# What each function that is asked can be told, for squeeze and excitation and for what mixes all windows.
_ADVICE = {
    "convolutionize": (
        f"; dense.predict(model, picture, stride=32, padding='per_window'), {_EXACT}, is exact, and "
        "convolutionize(model, squeeze='global') squeezes the whole picture",
        f"; dense.predict(model, picture, stride=32, padding='per_window'), {_EXACT}, needs none",
    ),
    "receptive_field": (
        "; receptive_field(convolutionize(model, squeeze='global')) is that of the other layers",
        "; each output depends on the whole window",
    ),
    "predict": (
        f"; choose padding='per_window' with a stride, such as stride=32, {_EXACT}, or squeeze='global' to "
        "squeeze the whole picture",
        f"; choose padding='per_window' with a stride, such as stride=32, {_EXACT}",
    ),
    "scan": (
        f"; dense.predict(model, picture, stride=32, padding='per_window'), {_EXACT}, needs none",
        f"; dense.predict(model, picture, stride=32, padding='per_window'), {_EXACT}, needs none",
    ),
    "options": (
        f"; choose --padding per_window with --stride N, such as 32, {_EXACT}, or --squeeze global to "
        "squeeze the whole picture",
        f"; choose --padding per_window with --stride N, such as 32, {_EXACT}",
    ),
}


class NoDenseForm(UnsupportedError):
    """A classifier without a dense form, as it was asked for by one of several functions.

    Attributes
    ----------
    reason : str
        Without advice.
    kind : int
        0 where squeezing the whole picture is a way out, 1 where it is none.
    """

    def __init__(self, reason: str, kind: int, asked: str) -> None:
        super().__init__(reason + _ADVICE[asked][kind])
        self.reason, self.kind = reason, kind

    def for_(self, asked: str) -> NoDenseForm:
        """Return the same with advice for who was asked: a key of the table above."""
        return NoDenseForm(self.reason, self.kind, asked)

    def __reduce__(self) -> tuple[type[UnsupportedError], tuple[str]]:
        return UnsupportedError, (str(self),)


def refusal_of(error: UnsupportedError) -> UnsupportedError:
    """Return what the engine said with advice that `convolutionize` accepts, or as it is."""
    text = str(error)
    for kind, ending in enumerate(_ENGINES):
        if text.endswith(ending):
            return NoDenseForm(text.removesuffix(ending), kind, "convolutionize")
    return error
