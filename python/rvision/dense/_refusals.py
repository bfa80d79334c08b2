"""Why a network has no dense form, and what the caller can do."""

from __future__ import annotations

from rvision.errors import UnsupportedError

__all__ = ["SMALLER_STRIDE", "NoDenseForm", "refusal_of"]

# The ends of the engine's messages: advice in terms of `dense.predict`.
_ENGINES = (
    "; choose padding='per_window' for exact windows, or squeeze='global' to squeeze the whole picture",
    "; choose padding='per_window', which runs the classifier on each window",
)
# The same for a stride that is too large.
SMALLER_STRIDE = "; choose a smaller stride"
_EXACT = "which runs the classifier on each window"
# Advice for each function: for squeeze and excitation, and for layers that mix all windows.
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
    """A classifier without a dense form, requested by one of several functions.

    Attributes
    ----------
    reason : str
        Without advice.
    kind : int
        0 if squeezing the whole picture is a remedy, 1 if not.
    """

    def __init__(self, reason: str, kind: int, asked: str) -> None:
        super().__init__(reason + _ADVICE[asked][kind])
        self.reason, self.kind = reason, kind

    def for_(self, asked: str) -> NoDenseForm:
        """Return the same error with advice for the function `asked`, a key of the table above."""
        return NoDenseForm(self.reason, self.kind, asked)

    def __reduce__(self) -> tuple[type[UnsupportedError], tuple[str]]:
        return UnsupportedError, (str(self),)


def refusal_of(error: UnsupportedError) -> UnsupportedError:
    """Return the engine's error with advice for `convolutionize`, or unchanged."""
    text = str(error)
    for kind, ending in enumerate(_ENGINES):
        if text.endswith(ending):
            return NoDenseForm(text.removesuffix(ending), kind, "convolutionize")
    return error
