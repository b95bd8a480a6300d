"""The run id: the name under which one measurement set's processing is known."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_ISO_START = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:?\d{2}.*)", re.ASCII)


@lru_cache(maxsize=8192)  # a page is made anew after every commit, mostly of the rows that it had before
def run_id(ms_path: str | None) -> str | None:
    """Name of the run that processed a measurement set; ``None`` without a path, or where that is no text.

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
    if not ms_path or not isinstance(ms_path, str):
        return None
    name = ms_path.rstrip("/").rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    match = _ISO_START.fullmatch(stem)
    if match is None:
        return f"job-{stem}"
    date, time = match.groups()
    return f"job-{date}-{time.replace(':', '').split('.', 1)[0]}"


class NameRange(NamedTuple):
    """Base names from ``first`` up to but not including ``last``, in byte order."""

    first: str
    last: str


def names_of(identifier: str) -> NameRange | None:
    """Where the base name of a run's measurement set lies, or ``None`` for what is no run id of any.

    Names of other runs lie there too, so each must still be compared by :func:`run_id`.
    """
    if not identifier.startswith("job-"):
        return None
    rest = identifier.removeprefix("job-")
    if re.match(r"\d{4}-\d{2}-\d{2}-\d{4}", rest, re.ASCII):
        # The T behind the date became a dash, unless it was one before; the colons are gone: any name of that day.
        return NameRange(rest[:10], f"{rest[:10]}U")
    # The stem alone or a suffix behind it: "." sorts before "/", which no base name holds.
    return NameRange(rest, f"{rest}/")
