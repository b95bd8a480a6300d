"""Under twenty commits a second: is any answer old, and how much throughput is left?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from statistics import median

import orjson

from tests.benchmarks import servers
from tests.benchmarks.client import load
from tests.benchmarks.data import Survey
from tests.benchmarks.load import measure
from tests.benchmarks.plan import Plan, say
from tests.benchmarks.report import Figure, at_least, at_most
from tests.support.commits import Commits

COUNTED = "/api/v1/images/1"
TARGETS = ("/api/v1/images/1", "/api/v1/images")


def figures(plan: Plan) -> Iterator[Figure]:
    """Stale answers, and throughput with commits beside throughput without."""
    survey = plan.ordinary()
    with servers.service(plan.directory / "logs", survey, plan.workers) as service:
        say(f"freshness of {plan.checked_answers:,} answers")
        with Commits("images", survey.products, plan.directory, period_s=0.05) as commits:
            stale, different = _stale(plan, service.port, commits)
        yield at_most(f"stale among {plan.checked_answers:,} answers under 20 commits/s", stale, "", 0)
        yield Figure("different states seen among them", different)
        for target in TARGETS:
            say(f"throughput under commits: {target}")
            yield at_least(
                f"`{target}` under 20 commits/s : without", _kept(plan, survey, service.port, target), "×", 0.5
            )


def _stale(plan: Plan, port: int, commits: Commits) -> tuple[int, int]:
    seen: set[int] = set()
    stale = 0
    answers = load(port, [COUNTED], connections=16, until=lambda: False, mark=lambda: commits.finished)
    for answer in islice(answers, plan.checked_answers):
        number = int(orjson.loads(answer.body)["noise_jy"]) if answer.status == 200 else -1
        seen.add(number)
        stale += number < answer.mark
    return stale, len(seen)


def _kept(plan: Plan, survey: Survey, port: int, target: str) -> float:
    def per_s() -> float:
        return measure(port, [target], connections=plan.connections, seconds=plan.seconds).per_s

    ratios = []
    for _ in range(plan.rounds):
        quiet = per_s()
        with Commits("images", survey.products, plan.directory, period_s=0.05):
            ratios.append(per_s() / quiet)
    return median(ratios)
