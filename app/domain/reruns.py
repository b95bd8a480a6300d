"""Reruns: the name of one, and the command that carries it out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

KIND = "pipeline_rerun"
PLACEHOLDERS = ("ms_path", "run_id", "cal_table", "phase_center_ra", "phase_center_dec")

_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
_EARLIER_RERUN = re.compile(r"_rerun_\d{8}_\d{6}(_\d+)?\Z", re.ASCII)
_PROGRESS = re.compile(rb"PROGRESS (\d{1,3}(?:\.\d+)?)%?(?: (.{1,200}))?\s*", re.ASCII)


def rerun_id(run_id: str, unix_s: float) -> str:
    """Run id of a rerun ordered at a Unix time [s]: ``<original>_rerun_YYYYMMDD_HHMMSS`` in UTC.

    The rerun of a rerun is named after the original.
    """
    moment = datetime.fromtimestamp(unix_s, UTC)
    return f"{_EARLIER_RERUN.sub('', run_id)}_rerun_{moment:%Y%m%d_%H%M%S}"


def command_line(template: str, values: Mapping[str, Any]) -> list[str]:
    """The program and its arguments.

    Parameters
    ----------
    template
        A command as one would type it, quotes included, with ``{ms_path}``, ``{run_id}``, ``{cal_table}``,
        ``{phase_center_ra}`` and ``{phase_center_dec}`` [deg] where values go.
    values
        The values; an unknown one becomes an empty text.

    Raises
    ------
    ValueError
        The template's quotes do not match, or it is empty.

    Notes
    -----
    The template is cut into arguments first and the values are put in afterwards, so that a value is never more than
    (part of) one argument, whatever characters it holds. No shell reads either.
    """
    parts = shlex.split(template)
    if not parts:
        raise ValueError("it is empty")

    def value(match: re.Match[str]) -> str:
        found = values.get(match[1])
        return "" if found is None else str(found)

    return [_PLACEHOLDER.sub(value, part) for part in parts]


def progress_of(line: bytes) -> tuple[float, str | None] | None:
    """Percentage and stage that a line of a run's output announces (``PROGRESS 40 imaging``), or ``None``."""
    match = _PROGRESS.fullmatch(line)
    if match is None:
        return None
    stage = match[2].decode("utf-8", "replace").strip() if match[2] else None
    return min(float(match[1]), 100.0), stage or None
