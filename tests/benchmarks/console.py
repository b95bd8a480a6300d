"""Pages of the console beside the calls of the API that they show: those of their own curl lines."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from html import unescape
from statistics import median
from urllib.parse import urlsplit

from app.services.demo.build import build_demo
from tests.benchmarks import data, servers
from tests.benchmarks.client import one_by_one
from tests.benchmarks.data import Survey
from tests.benchmarks.plan import Plan, median_ms, say
from tests.benchmarks.report import Figure, at_most

LISTS = ("images", "images?view=grid", "sources", "candidates", "ms", "cal", "jobs", "quality")
# The first thing of each list has a page as well.
DETAILS = ("images", "sources", "ms", "cal", "jobs")
TIMES = 20


def figures(plan: Plan) -> Iterator[Figure]:
    """Each page computed, and the calls together, computed as well."""
    demo = build_demo(plan.directory / "demo", if_missing=True)
    state = demo.directory / "state"
    survey = Survey(state / "products.sqlite3", state / "cal_registry.sqlite3")
    data.upgrade(survey)
    settings = {**demo.environment, "DSA110_CACHE_ENABLED": "false"}
    with servers.service(plan.directory / "logs" / "console", survey, 1, **settings) as service:
        pages = [f"/console/{name}" for name in LISTS]
        for kind in DETAILS:
            found = re.search(rf'href="(/console/{kind}/[^"#?]+)"', _text(service.port, f"/console/{kind}?limit=5"))
            if found is None:
                raise RuntimeError(f"no {kind} in the demo survey")
            pages.append(unescape(found[1]))
        for page in pages:
            say(page)
            calls = _calls(_text(service.port, page))
            ratios = [_ms(service.port, [page]) / _ms(service.port, calls) for _ in range(plan.rounds)]
            name = "/".join(page.split("/")[:3]) + ("/…" if page.count("/") > 2 else "")
            yield at_most(f"`{name}` : the {len(calls)} calls that it shows", median(ratios), "×", 3)


def _ms(port: int, targets: list[str]) -> float:
    return sum(median_ms(port, [target] * TIMES) for target in targets)


def _calls(page: str) -> list[str]:
    """Path and query of every line for a shell that reads."""
    lines = re.findall(r"<code data-curl>curl (?!-X)(.*?)</code>", page)
    parts = [urlsplit(shlex.split(unescape(line))[-1]) for line in lines]
    return [f"{part.path}?{part.query}" if part.query else part.path for part in parts]


def _text(port: int, target: str) -> str:
    (answer,) = one_by_one(port, [target])
    if answer.status != 200:
        raise RuntimeError(f"{target} answered {answer.status}: {answer.body[:300]!r}")
    return answer.body.decode()
