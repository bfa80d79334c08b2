"""The result of a run of the command line, and the required form of its errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace

Run = Callable[..., SimpleNamespace]


def assert_one_line_error(result: SimpleNamespace, pattern: str) -> None:
    errors = [line for line in result.err.splitlines() if "error: " in line]
    assert result.status == 2
    assert len(errors) == 1, result.err
    assert re.search(pattern, errors[0]), errors[0]
    assert result.err.endswith(errors[0] + "\n")
    assert "Traceback" not in result.err
