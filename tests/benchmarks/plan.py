"""How much is measured, and on what."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.benchmarks import data
from tests.benchmarks.client import one_by_one
from tests.benchmarks.data import Survey


class Plan(NamedTuple):
    """What a run does.

    ``photometry_rows`` is what the statistics are measured on; ``seconds`` is the length of one measurement of
    throughput, each repeated ``rounds`` times in turn with what it is compared to.
    """

    directory: Path
    seconds: float = 1.0
    rounds: int = 7
    workers: int = 2
    connections: int = 100
    many_connections: int = 400
    photometry_rows: int = 1_000_000
    checked_answers: int = 100_000

    def survey(self, name: str, **sizes: int) -> Survey:
        """A survey of that name and size, upgraded."""
        say(f"making the survey {name}")
        survey = data.build(self.directory / name, **sizes)
        data.upgrade(survey)
        return survey

    def ordinary(self) -> Survey:
        """50,000 images, 500 sources of 100 epochs."""
        return self.survey("ordinary", images=50_000, sources=500, epochs=100)


def say(what: str) -> None:
    """Tell on standard error what is being done."""
    sys.stderr.write(f"... {what}\n")


def median_ms(port: int, targets: Iterable[str], before_each: Callable[[], object] = lambda: None) -> float:
    """Median time of requests sent one after another on one connection [ms]."""

    def prepared() -> Iterable[str]:
        for target in targets:
            before_each()
            yield target

    times = []
    for answer in one_by_one(port, prepared()):
        if answer.status != 200:
            raise RuntimeError(f"answered {answer.status}: {answer.body[:300]!r}")
        times.append(answer.seconds * 1000)
    return median(times)
