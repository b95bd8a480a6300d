"""Statistics of the survey."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime

from app.domain.jobs import recorded_status
from app.domain.statistics import Day, Statistics, Timeline, statistics
from app.domain.time import DAY_S
from app.repositories.stats import StatsRepository

RECENT = 10


class StatsService:
    """What there is, and what came when.

    Parameters
    ----------
    repository
        Where rows are counted.
    now
        The time, in Unix seconds.
    """

    def __init__(self, repository: StatsRepository, now: Callable[[], float] = time.time) -> None:
        self._repository = repository
        self._now = now

    def statistics(self) -> Statistics:
        """The survey in numbers, as the databases stand."""
        return statistics(self._repository.counts(), self._repository.recent_images(RECENT), self._now())

    def timeline(self, days: int) -> Timeline:
        """What came on each of the last ``days`` UTC days, today included and last."""
        today = int(self._now() // DAY_S)
        first = today - days + 1
        counts: dict[tuple[int, str], int] = defaultdict(int)
        for kind, day, status, n in self._repository.daily(first * DAY_S, (today + 1) * DAY_S):
            counts[day, recorded_status(status) or "" if kind == "jobs" else kind] += n
        return Timeline([_day(number, counts) for number in range(first, today + 1)])


def _day(number: int, counts: dict[tuple[int, str], int]) -> Day:
    return Day(
        date=datetime.fromtimestamp(number * DAY_S, UTC).date().isoformat(),
        ms=counts[number, "ms"],
        images=counts[number, "images"],
        photometry=counts[number, "photometry"],
        jobs={state: counts[number, state] for state in ("completed", "failed")},
    )
