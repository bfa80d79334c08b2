"""Tracebacks that end in the user's own code, and warnings that point there.

An error about a network's arguments is understood at the line that passed them, in the user's cell
or in their `forward`. rvision's frames between and below add nothing, and a call through several
modules has dozens of them. So the functions that users call leave them out:

    try:
        ...
    except Exception as error:
        hide_frames(error)
        raise

The bare ``raise`` matters: it does not add its own frame (Python 3.10 still shows that one).
Without an error this costs nothing.

Only errors that rvision raises on purpose are shortened, and no frame of other code is ever left
out. Failures inside rvision, such as a KeyError of its own, keep their whole traceback.
``RVISION_TRACEBACK=full`` keeps all frames of all errors.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, TypeVar

from rvision.errors import RVisionError

__all__ = ["ends_at_caller", "has_other_frames", "hide_frames", "warn"]

P = ParamSpec("P")
R = TypeVar("R")

# The package's folder as its code objects name it: symbolic links are not followed.
_PACKAGE = __file__.removesuffix("_frames.py")

# Python's messages when arguments do not fit a function; rvision passes on the user's arguments.
_ARGUMENTS = re.compile(r"\w+\(\) (missing|takes|got) ")

# Marks an error of rvision whose frames, which would show its origin, have been removed.
_MARK = "_raised_by_rvision"


def ends_at_caller(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that the tracebacks of its errors end at its caller."""

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            hide_frames(error)
            raise

    return called


def hide_frames(error: BaseException) -> None:
    """Remove rvision's frames from the tracebacks of an error that rvision raised and of its causes."""
    if os.environ.get("RVISION_TRACEBACK") == "full" or not _is_ours(error):
        return
    if not isinstance(error, RVisionError):
        setattr(error, _MARK, True)
    top = error.__traceback__
    error.__traceback__ = _others(top)
    if sys.version_info < (3, 11) and top is not None:
        # In that version a bare raise continues with the entries that it found, even if the error's
        # traceback has been set since.
        top.tb_next = error.__traceback__
    seen = {id(error)}
    above = error
    while (link := above.__cause__ or above.__context__) is not None and id(link) not in seen:
        seen.add(id(link))
        if link is above.__cause__ or _is_ours(link):
            link.__traceback__ = _others(link.__traceback__)
        above = link


def has_other_frames(error: BaseException) -> bool:
    """Return whether an error passed through code outside rvision, below the calling function."""
    return _others(error.__traceback__) is not None


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning at the user's line: the nearest caller outside the package."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level += 1
        frame = frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _others(entry: TracebackType | None) -> TracebackType | None:
    """Return the entries of a traceback that are outside the package, linked to each other."""
    entries = []
    while entry is not None:
        if not entry.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            entries.append(entry)
        entry = entry.tb_next
    below: TracebackType | None = None
    for each in reversed(entries):
        # New entries: code that caught the error before may still use the old ones.
        below = TracebackType(below, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return below


def _is_ours(error: BaseException) -> bool:
    """Return whether rvision raised an error on purpose."""
    if isinstance(error, RVisionError) or getattr(error, _MARK, False):
        return True
    entry = error.__traceback__
    while entry is not None and entry.tb_next is not None:
        entry = entry.tb_next
    if entry is None or not entry.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        return False
    # System errors about files, and lack of memory, concern the user, not rvision's code.
    if isinstance(error, OSError | MemoryError):
        return True
    if isinstance(error, TypeError) and _ARGUMENTS.search(str(error)):
        return True
    from opcode import opmap

    return entry.tb_frame.f_code.co_code[entry.tb_lasti] == opmap["RAISE_VARARGS"]
