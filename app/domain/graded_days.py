"""How good the images of each day are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from app.domain.qa import grade_of_stage
from app.domain.time import DAY_S, mjd_from_unix


class GradedDay(NamedTuple):
    """Images made on one UTC day, by grade; ``ungraded`` are those whose measurement set is not indexed."""

    date: str
    good: int = 0
    warn: int = 0
    fail: int = 0
    ungraded: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.good + self.warn + self.fail + self.ungraded


class GradedDays(NamedTuple):
    """Days in order, oldest first; every day is there."""

    days: Sequence[GradedDay]


class DaysQuery(NamedTuple):
    """Which days: how many, and the last one as any MJD of it [d]; ``None`` for that of the newest image."""

    days: int = 30
    end_mjd: float | None = None


class StageCount(NamedTuple):
    """Images of one day, counted from 0, by the stage of their measurement set where that is indexed."""

    day: int
    has_ms: int
    stage: str | None
    n: int


def day_number(unix_s: float) -> int:
    """Number of the UTC day that holds a Unix time [s]."""
    return int(unix_s // DAY_S)


def number_of_mjd(mjd: float) -> int:
    """Number of the UTC day that holds a Modified Julian Date [d]."""
    return int(mjd // 1) - int(mjd_from_unix(0.0))


def graded_days(first: int, last: int, counts: Iterable[StageCount]) -> GradedDays:
    """The days from one number to another, both included; ``counts`` has the first of them as day 0."""
    days = [GradedDay(_date(number)) for number in range(first, last + 1)]
    for count in counts:
        grade = grade_of_stage(count.stage) if count.has_ms else "ungraded"
        day = days[count.day]
        days[count.day] = day._replace(**{grade: getattr(day, grade) + count.n})
    return GradedDays(days)


def _date(number: int) -> str:
    return datetime.fromtimestamp(number * DAY_S, UTC).date().isoformat()
