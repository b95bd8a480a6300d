"""Moments and spans of time on the command line."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import click

# The last second that a calendar has (ISO 8601 knows years of four digits).
_LAST_S = 253_402_300_799.0
_UNITS_S = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_557_600}


class Moment(click.ParamType):  # type: ignore[type-arg]
    """A date (``2027-01-31``, ``2027-01-31T12:00:00Z``; UTC unless it says otherwise) or a span from now (``90d``).

    Parameters
    ----------
    ago
        Whether a span leads into the past.
    """

    name = "WHEN"

    def __init__(self, *, ago: bool = False) -> None:
        self._sign = -1 if ago else 1

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Unix time [s]."""
        if isinstance(value, float):
            return value
        span = re.fullmatch(r"(\d{1,6})([mhdwy])", value, re.ASCII)
        try:
            moment_s = time.time() + self._sign * int(span[1]) * _UNITS_S[span[2]] if span else _from_date(value)
        except ValueError:
            self.fail(f"{value!r} is neither a date (2027-01-31) nor a span (90d, 12h, 1y).", param, ctx)
        if moment_s > _LAST_S:
            self.fail(f"{value!r} leads beyond the year 9999.", param, ctx)
        return moment_s


def _from_date(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def shown(moment_s: float | None, otherwise: str) -> str:
    """A Unix time [s] for people, in UTC."""
    if moment_s is None:
        return otherwise
    try:
        return f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):  # as somebody else may have written it into the file
        return "beyond all calendars"
