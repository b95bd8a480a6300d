"""Moments and spans of time on the command line."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import click

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
        if span is not None:
            return time.time() + self._sign * int(span[1]) * _UNITS_S[span[2]]
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither a date (2027-01-31) nor a span (90d, 12h, 1y).", param, ctx)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def shown(moment_s: float | None, otherwise: str) -> str:
    """A Unix time [s] for people, in UTC."""
    return otherwise if moment_s is None else f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
