"""Tracebacks that end in the user's own code, and warnings that point there.

An error about what a network was given is understood at the line that gave it, in the user's cell or in a
`forward` of theirs. The frames of rvision that lie between and below say nothing more, and a traceback of
a call that went through several modules has dozens of them. So the functions that users call leave them
out:

    try:
        ...
    except Exception as error:
        hide_frames(error)
        raise

The bare ``raise`` matters: it does not add the frame that it stands in (Python 3.10 still shows that one).
Nothing is done where nothing is raised.

Only errors that rvision raises on purpose are shortened, and no frame of anybody else's code is ever left
out. What goes wrong inside of rvision, such as a KeyError of its own, stays as it is.
``RVISION_TRACEBACK=full`` leaves everything as it is.
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

# Where the package lies, as its code objects have it: symbolic links are not followed.
_PACKAGE = __file__.removesuffix("_frames.py")

# What Python says where arguments do not fit a function; rvision passes on to it what the user gave.
_ARGUMENTS = re.compile(r"\w+\(\) (missing|takes|got) ")

# Marks an error of rvision's that has lost the frames that tell so.
_MARK = "_raised_by_rvision"


def ends_at_caller(function: Callable[P, R]) -> Callable[P, R]:
    """Let the tracebacks of a function's errors end where it was called."""

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            hide_frames(error)
            raise

    return called


def hide_frames(error: BaseException) -> None:
    """Take rvision's frames out of the traceback of an error that rvision raised, and of its causes'."""
    if os.environ.get("RVISION_TRACEBACK") == "full" or not _is_ours(error):
        return
    if not isinstance(error, RVisionError):
        setattr(error, _MARK, True)
    top = error.__traceback__
    error.__traceback__ = _others(top)
    if sys.version_info < (3, 11) and top is not None:
        # There a bare raise goes on with the entries that it found, however the error's have been set since.
        top.tb_next = error.__traceback__
    seen = {id(error)}
    above = error
    while (link := above.__cause__ or above.__context__) is not None and id(link) not in seen:
        seen.add(id(link))
        if link is above.__cause__ or _is_ours(link):
            link.__traceback__ = _others(link.__traceback__)
        above = link


def has_other_frames(error: BaseException) -> bool:
    """Tell whether an error came through code that is not rvision's, below the function that asks."""
    return _others(error.__traceback__) is not None


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of something at the user's line: the nearest caller outside of the package."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level += 1
        frame = frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _others(entry: TracebackType | None) -> TracebackType | None:
    """Return the entries of a traceback that lie outside of the package, linked to each other."""
    entries = []
    while entry is not None:
        if not entry.tb_frame.f_code.co_filename.startswith(_PACKAGE):
            entries.append(entry)
        entry = entry.tb_next
    below: TracebackType | None = None
    for each in reversed(entries):
        # New entries: those of the error itself may be in use by whoever caught it before.
        below = TracebackType(below, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return below


def _is_ours(error: BaseException) -> bool:
    """Tell whether rvision raised an error on purpose."""
    if isinstance(error, RVisionError) or getattr(error, _MARK, False):
        return True
    entry = error.__traceback__
    while entry is not None and entry.tb_next is not None:
        entry = entry.tb_next
    if entry is None or not entry.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        return False
    # What the system says of a file, and memory that is not there, are the user's matter.
    if isinstance(error, OSError | MemoryError):
        return True
    if isinstance(error, TypeError) and _ARGUMENTS.search(str(error)):
        return True
    from opcode import opmap

    return entry.tb_frame.f_code.co_code[entry.tb_lasti] == opmap["RAISE_VARARGS"]
