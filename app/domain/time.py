"""Modified Julian Dates, Unix seconds and ISO 8601, all UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

UNIX_EPOCH_MJD = 40587.0
DAY_S = 86400.0

_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})?)?", re.ASCII | re.IGNORECASE
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Without a zone: lists format a hundred times a page, and this is twice as fast.
_EPOCH_UTC_NAIVE = _EPOCH.replace(tzinfo=None)


def unix_from_mjd(mjd: float) -> float:
    """Unix time [s] of a Modified Julian Date [d]."""
    return (mjd - UNIX_EPOCH_MJD) * DAY_S


def mjd_from_unix(unix_s: float) -> float:
    """Modified Julian Date [d] of a Unix time [s]."""
    return unix_s / DAY_S + UNIX_EPOCH_MJD


def unix_from_iso(text: str) -> float:
    """Unix time [s] of an ISO 8601 date or date-time; without an offset it is UTC.

    Raises
    ------
    ValueError
        The text is not such a date, or no such day exists.
    """
    if _ISO.fullmatch(text) is None:
        raise ValueError("not an ISO 8601 date (YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS[.f][Z])")
    moment = datetime.fromisoformat(text.upper())
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (moment - _EPOCH).total_seconds()


def mjd_from_iso(text: str) -> float:
    """Modified Julian Date [d] of an ISO 8601 date or date-time; raises as :func:`unix_from_iso`."""
    return mjd_from_unix(unix_from_iso(text))


@lru_cache(maxsize=8192)  # a page is made anew after every commit, mostly of the rows that it had before
def iso_from_unix(unix_s: float | None) -> str | None:
    """ISO 8601 in UTC with ``Z`` for a Unix time [s]; ``None`` for ``None`` and for times outside years 1 to 9999."""
    if unix_s is None:
        return None
    try:
        moment = _EPOCH_UTC_NAIVE + timedelta(0, unix_s)
    except (OverflowError, ValueError, TypeError):
        return None
    return moment.isoformat() + "Z"
