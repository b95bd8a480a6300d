"""The run id: the name under which one measurement set's processing is known."""

from __future__ import annotations

import re

_ISO_START = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:?\d{2}.*)", re.ASCII)


def run_id(ms_path: str | None) -> str | None:
    """Name of the run that processed a measurement set; ``None`` without a path.

    Notes
    -----
    A base name that starts with an ISO date and time gives ``job-<date>-<time>``, colons removed and cut at the first
    dot; any other gives ``job-<stem>``. Only the ``T`` behind the date splits, so ``TARGET.ms`` keeps its letters.
    Several measurement sets can share a run id (fractions of a second are cut).

    Examples
    --------
    >>> run_id("/data/2025-10-31T13:49:06_cal.ms")
    'job-2025-10-31-134906_cal'
    >>> run_id("/data/TARGET.ms")
    'job-TARGET'
    """
    if not ms_path:
        return None
    name = ms_path.rstrip("/").rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    match = _ISO_START.fullmatch(stem)
    if match is None:
        return f"job-{stem}"
    date, time = match.groups()
    return f"job-{date}-{time.replace(':', '').split('.', 1)[0]}"


def date_of(identifier: str) -> str | None:
    """The ISO date inside a run id, or ``None``: narrows the search for its measurement set."""
    match = re.match(r"job-(\d{4}-\d{2}-\d{2})-\d{4}", identifier, re.ASCII)
    return match.group(1) if match else None
