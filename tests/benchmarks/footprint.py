"""Memory of the processes, and how soon after its start the service answers."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median

from tests.benchmarks import servers
from tests.benchmarks.client import one_by_one
from tests.benchmarks.data import Survey
from tests.benchmarks.load import measure
from tests.benchmarks.plan import Plan, say
from tests.benchmarks.report import Figure, at_most
from tests.benchmarks.throughput import HOT, distinct_pages


def figures(plan: Plan) -> Iterator[Figure]:
    """Proportional set sizes after work, with the cache full; time from start to first answer."""
    survey = plan.ordinary()
    say("start")
    yield at_most("start to first answer", median(start_s(plan, survey) for _ in range(plan.rounds)), "s", 2)
    say("memory")
    with servers.service(plan.directory / "logs", survey, plan.workers) as service:
        yield Figure("memory of a worker that has done nothing (PSS)", of_workers(service), "MB")
        details = [f"/api/v1/images/{number}" for number in range(1, 12_001)]
        measure(service.port, [*HOT, *details], connections=plan.connections, seconds=4 * plan.seconds)
        # Large answers take the place of small ones, which leave their memory in pieces.
        measure(service.port, distinct_pages(service.port), connections=plan.connections, seconds=4 * plan.seconds)
        yield at_most("memory of a worker with its cache full (PSS)", of_workers(service), "MB", 70)
        yield Figure("memory of the master (PSS)", _pss_mb(service.process.pid), "MB")


def start_s(plan: Plan, survey: Survey, **settings: str) -> float:
    """Time from the start of a service to its first answer [s]."""
    started = time.perf_counter()
    with servers.service(plan.directory / "logs" / "start", survey, plan.workers, **settings) as service:
        while True:
            with suppress(OSError, ConnectionError, socket.timeout):
                (answer,) = one_by_one(service.port, ["/api/v1/images"])
                if answer.status == 200:
                    return time.perf_counter() - started
            time.sleep(0.005)


def of_workers(service: servers.Gunicorn) -> float:
    """The largest of its workers [MB]."""
    return max(_pss_mb(pid) for pid in service.worker_pids)


def _pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no proportional set size")
