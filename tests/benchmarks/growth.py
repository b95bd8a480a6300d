"""Does an answer that is computed cost the same however much there is, and wherever in a list it lies?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from tests.benchmarks import servers
from tests.benchmarks.plan import Plan, median_ms, say
from tests.benchmarks.report import Figure, at_most
from tests.benchmarks.throughput import cursors

SIZES = (1_000, 50_000, 1_000_000)
PAGE_ROWS = 100
LAST_PAGE = 10_000


def figures(plan: Plan) -> Iterator[Figure]:
    """Times past the cache, at several sizes and at the two ends of the longest list."""
    with ExitStack() as stack:
        ports = {
            size: stack.enter_context(
                servers.service(
                    plan.directory / "logs" / f"growth-{size}",
                    plan.survey(f"images-{size}", images=size),
                    workers=1,
                    DSA110_CACHE_ENABLED="false",
                )
            ).port
            for size in SIZES
        }
        for what, target in (("`/images`, 100 rows", "/api/v1/images"), ("`/images/{id}`", "/api/v1/images/{}")):
            say(f"growth: {what}")
            yield from _at_sizes(plan, ports, what, target)
        yield from _at_ends(plan, ports[SIZES[-1]])


def _at_sizes(plan: Plan, ports: dict[int, int], what: str, target: str) -> Iterator[Figure]:
    times: dict[int, list[float]] = {size: [] for size in SIZES}
    for turn in range(3 * plan.rounds):
        for size, port in ports.items():
            ids = [1 + (turn * 997 + n * 7919) % size for n in range(60)]
            times[size].append(median_ms(port, [target.format(number) for number in ids]))
    for size in SIZES:
        yield Figure(f"{what} computed, {size:,} images", median(times[size]), "ms")
    ratio = median(times[SIZES[-1]]) / median(times[SIZES[0]])
    yield at_most(f"{what}: 1,000,000 images : 1,000", ratio, "×", 1.3)


def _at_ends(plan: Plan, port: int) -> Iterator[Figure]:
    say("growth: the last page")
    rows = 1_000
    *_, last = (
        cursor for _, cursor in zip(range(LAST_PAGE * PAGE_ROWS // rows - 1), cursors(port, rows), strict=False)
    )
    targets = {
        1: f"/api/v1/images?limit={PAGE_ROWS}",
        LAST_PAGE - 10: f"/api/v1/images?limit={PAGE_ROWS}&cursor={last}",
    }
    times: dict[int, list[float]] = {page: [] for page in targets}
    for _ in range(3 * plan.rounds):
        for page, target in targets.items():
            times[page].append(median_ms(port, [target] * 60))
    first, far = (median(times[page]) for page in targets)
    yield Figure("page 1 of the list", first, "ms")
    yield Figure("page 10,000 of the list, by cursor", far, "ms")
    yield at_most("page 10,000 : page 1", far / first, "×", 1.5)
