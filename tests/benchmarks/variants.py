"""The service under other settings of gunicorn than its own: what decision 12 rests on.

All of them run at once and are measured in turn; those that are not asked do nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from tests.benchmarks import footprint, servers, throughput
from tests.benchmarks.plan import Plan, say
from tests.benchmarks.report import Figure

AS_IT_IS = "as it is"
VARIANTS = {
    AS_IT_IS: "",
    "gthread": "--worker-class gthread",
    "sync": "--worker-class sync",
    "sync, 8 workers": "--worker-class sync --workers 8",
    "1 worker": "--workers 1",
    "3 workers": "--workers 3",
    "4 workers": "--workers 4",
    "1 thread": "--threads 1",
    "2 threads": "--threads 2",
    "8 threads": "--threads 8",
    "heartbeat on disk": "--worker-tmp-dir /var/tmp",
    "not preloaded": "--config python:tests.benchmarks.unshared",
}


def figures(plan: Plan) -> Iterator[Figure]:
    """Hot and cold throughput, memory and start of each."""
    survey = plan.ordinary()
    details = [f"/api/v1/images/{number}" for number in range(1, throughput.DISTINCT_DETAILS + 1)]
    with ExitStack() as stack:
        say("starting every variant")
        running = {
            name: stack.enter_context(
                servers.service(
                    plan.directory / "logs" / str(number), survey, plan.workers, GUNICORN_CMD_ARGS=arguments
                )
            )
            for number, (name, arguments) in enumerate(VARIANTS.items())
        }
        ports = {name: server.port for name, server in running.items()}
        pages = throughput.distinct_pages(ports[AS_IT_IS])
        for what, targets in (("hot `/images`", [throughput.HOT[0]]), ("cold details", details), ("cold pages", pages)):
            say(what)
            for name, loads in throughput.in_turn(plan, ports, targets, plan.connections).items():
                yield Figure(f"{name}: {what}", median(load.per_s for load in loads), "/s")
                yield Figure(f"{name}: {what}, 99 %", median(load.p99_ms for load in loads), "ms")
        for name, server in running.items():
            yield Figure(f"{name}: memory of a worker (PSS)", footprint.of_workers(server), "MB")
    for name in (AS_IT_IS, "not preloaded"):
        started = median(footprint.start_s(plan, survey, GUNICORN_CMD_ARGS=VARIANTS[name]) for _ in range(plan.rounds))
        yield Figure(f"{name}: start to first answer", started, "s")
