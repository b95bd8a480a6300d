"""Statistics: how much of everything there is, and how much came on which day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.domain.jobs import recorded_status

# Listed even where there are none, because clients read them by name.
STAGES = ("imaged", "calibrated", "ingested", "pending")
JOB_STATES = ("completed", "running", "pending", "failed")
SECONDS_FRESH = 30

# Rows of each kind by the word that tells them apart: type of an image, stage of a measurement set, status of a batch.
Counts = Mapping[str, Mapping[str, int]]


class RecentImage(NamedTuple):
    """An image that came lately; ``created_at`` in Unix seconds."""

    path: str
    created_at: float
    type: str


class Total(NamedTuple):
    """A number of rows."""

    total: int


class MsCount(NamedTuple):
    """Measurement sets, in all and in each stage."""

    total: int
    by_stage: dict[str, int]


class JobCount(NamedTuple):
    """Batch jobs, in all and in each state; words nobody knows count in the total alone."""

    total: int
    by_status: dict[str, int]


class Meta(NamedTuple):
    """When the statistics were computed (Unix seconds), and how long a client may well be content with them [s]."""

    generated_at: float
    cache_hint_seconds: int


class Statistics(NamedTuple):
    """The survey in numbers."""

    ms: MsCount
    images: Total
    photometry: Total
    sources: Total
    jobs: JobCount
    recent_images: list[RecentImage]
    cal_tables: Total
    meta: Meta


class Day(NamedTuple):
    """What came on one UTC day; ``date`` is ISO 8601."""

    date: str
    ms: int
    images: int
    photometry: int
    jobs: dict[str, int]


class Timeline(NamedTuple):
    """Days in order, oldest first."""

    days: list[Day]


def tally(rows: Iterable[tuple[str, str, int]]) -> Counts:
    """Counts by kind and key from rows ``(kind, key, n)``."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for kind, key, n in rows:
        counts[kind][key] = counts[kind].get(key, 0) + n
    return counts


def total(counts: Counts, kind: str) -> int:
    """Rows of a kind, whatever their key."""
    return sum(counts.get(kind, {}).values())


def by_stage(counts: Counts) -> dict[str, int]:
    """Measurement sets in each stage; one without a stage is pending."""
    stages = dict.fromkeys(STAGES, 0)
    for word, n in counts.get("ms", {}).items():
        stage = word if word and isinstance(word, str) else "pending"
        stages[stage] = stages.get(stage, 0) + n
    return stages


def by_status(counts: Counts) -> dict[str, int]:
    """Batch jobs in each state; one without a status is pending."""
    states = dict.fromkeys(JOB_STATES, 0)
    for word, n in counts.get("batch_jobs", {}).items():
        state = recorded_status(word or "pending")
        if state in states:
            states[state] += n
    return states


def statistics(counts: Counts, recent_images: list[RecentImage], generated_at: float) -> Statistics:
    """The survey in numbers, from counts."""
    return Statistics(
        ms=MsCount(total(counts, "ms"), by_stage(counts)),
        images=Total(total(counts, "images")),
        photometry=Total(total(counts, "photometry")),
        sources=Total(total(counts, "sources")),
        jobs=JobCount(total(counts, "batch_jobs"), by_status(counts)),
        recent_images=recent_images,
        cal_tables=Total(total(counts, "caltables")),
        meta=Meta(generated_at, SECONDS_FRESH),
    )
