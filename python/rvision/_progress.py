"""Progress bars: text in a terminal, a widget in Jupyter."""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["bar"]


def bar(*args: Any, **kwargs: Any) -> Any:
    """Return tqdm's bar for the place where Python runs.

    Without ipywidgets, Jupyter gets the bar as text; the warning that tqdm gives then is left out.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm  # type: ignore[import-untyped]
    return tqdm(*args, **kwargs)
