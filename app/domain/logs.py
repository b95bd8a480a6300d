"""Log of a run: its last lines."""

from __future__ import annotations

import re
from typing import NamedTuple

DEFAULT_TAIL = 100
LONGEST_TAIL = 10_000

_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9._:+-]{1,200}", re.ASCII)


class LogTail(NamedTuple):
    """The last lines of a log, each with its line end, and the number of lines in the file; or why there is none."""

    run_id: str
    logs: list[str]
    total_lines: int | None = None
    error: str | None = None


def log_name(run_id: str) -> str | None:
    """Name of a run's log file, or ``None`` for a run id that could lead to any other file."""
    return f"{run_id}.log" if _NAME.fullmatch(run_id) else None
