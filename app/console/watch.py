"""What is watched: databases, disks, the work queue, neighbouring services; and what of it needs attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from app.domain.health import Health
from app.domain.jobs import Job
from app.domain.monitored import Overview
from app.domain.queue import QueueOverview
from app.web.context import services

# Neighbours, and databases that only the health report looks at, may well be absent.
_OURS = ("products", "cal_registry")
_NEIGHBOUR = {"running": "ok"}


class Watched(NamedTuple):
    """Something watched: its name, its state in one word, and a remark."""

    name: str
    state: str
    remark: str = ""


class Concern(NamedTuple):
    """What a person should see to: a sentence, and where on the page more is said."""

    text: str
    place: str


class Watch(NamedTuple):
    """Everything that is watched, the neighbours that nobody answers for, and what needs attention."""

    databases: Sequence[Watched]
    disks: Sequence[Watched]
    queue: QueueOverview
    neighbours: Sequence[Watched]
    unreached: Sequence[str]
    concerns: Sequence[Concern]


def look_around(jobs: Sequence[Job]) -> Watch:
    """How everything is that this service leans on.

    Parameters
    ----------
    jobs
        Those that run, wait or have failed.
    """
    neighbours = _neighbours(services().monitor.overview())
    health, queue = services().health.report(detailed=True), services().queue.overview()
    return Watch(
        databases=[_database(name, word) for name, word in (health.databases or {}).items()],
        disks=[
            Watched(path, space.status, "" if space.free_gb is None else f"{space.free_gb:,.0f} GiB free")
            for path, space in (health.disk or {}).items()
        ],
        queue=queue,
        neighbours=[each for each in neighbours if each.state != "stopped"],
        unreached=[each.name for each in neighbours if each.state == "stopped"],
        concerns=[*_concerns_of_health(health), *_concerns_of_work(queue, jobs)],
    )


def _database(name: str, word: str) -> Watched:
    state, _, remark = word.partition(": ")
    return Watched(name, state, remark)


def _neighbours(overview: Overview) -> list[Watched]:
    own = services().monitor.own_port
    return [
        Watched(f"{service.name} :{service.port}", _NEIGHBOUR.get(service.status, service.status), service.error or "")
        for service in overview.services
        if service.port != own
    ]


def _concerns_of_health(health: Health) -> list[Concern]:
    databases = [
        Concern(f"The {name} database is in trouble: {word}.", "#health")
        for name, word in (health.databases or {}).items()
        if word != "ok" and (name in _OURS or word != "not_found")
    ]
    disks = [
        Concern(f"{path} is nearly full: {space.free_gb} GiB free.", "#health")
        for path, space in (health.disk or {}).items()
        if space.status in {"warning", "critical"}
    ]
    return databases + disks


def _concerns_of_work(queue: QueueOverview, jobs: Sequence[Job]) -> list[Concern]:
    concerns = []
    if queue.error:
        concerns.append(Concern(f"The work queue is away: {queue.error}", "#health"))
    elif queue.queued_count and not queue.connected:
        waiting = f"{queue.queued_count} jobs wait in the queue and no worker is there to run them."
        concerns.append(Concern(waiting, "#health"))
    failed = sum(job.status == "failed" for job in jobs)
    if failed:
        concerns.append(Concern(f"{failed} of the newest runs failed.", "#jobs"))
    return concerns
