"""The command line: `rvision classify`, `evaluate`, `dense`, `detect`, `models` and the others of its parser.

An error is one line on stderr and exit status 2. Results go to stdout, notes and progress bars to
stderr.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module

__all__ = ["main"]

_OK, _FAILED, _INTERRUPTED = 0, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments, `sys.argv[1:]` by default.

    Returns
    -------
    int
        0, or 2 after an error (the message is on stderr), or 130 after Ctrl-C.
    """
    from rvision.cli._parser import make_parser

    args = make_parser().parse_args(argv)
    command: Callable[..., int] = import_module(f"rvision.cli._{args.command}").run
    with warnings.catch_warnings():
        # Show warnings of rvision and Pillow to users, but not those that libraries address to
        # developers.
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = lambda message, *_: _say("warning", str(message))
        try:
            status = command(args)
            sys.stdout.flush()
            return status
        except BrokenPipeError:
            # The reader has closed the pipe (`| head`); discard what is still buffered.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _OK
        except KeyboardInterrupt:
            _say("interrupted")
            return _INTERRUPTED
        except Exception as error:
            if not _is_told(error):
                raise
            _say("error", _text(error))
            return _FAILED


def _is_told(error: Exception) -> bool:
    """Return whether an exception's message explains it to users, rather than being a bug of rvision."""
    from rvision.errors import RVisionError

    return isinstance(error, RVisionError | OSError | ValueError | KeyError | MemoryError)


def _text(error: Exception) -> str:
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _say(kind: str, text: str = "") -> None:
    whole = "; ".join(" ".join(line.split()) for line in text.splitlines())
    print(f"rvision: {kind}{': ' if text else ''}{whole}", file=sys.stderr)
