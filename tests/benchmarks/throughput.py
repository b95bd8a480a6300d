"""Throughput beside a bare WSGI callable and a bare Flask route, from the cache and past it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from statistics import median

from tests.benchmarks import servers
from tests.benchmarks.client import one_by_one, request_for, simultaneous
from tests.benchmarks.data import Survey
from tests.benchmarks.load import Load, measure
from tests.benchmarks.plan import Plan, say
from tests.benchmarks.report import Figure, at_least, at_most

HOT = (
    "/api/v1/images",
    "/api/v1/images/777",
    "/api/v1/sources",
    "/api/v1/sources/S000007/lightcurve",
    "/api/v1/stats",
)
# More than the cache holds, so that asking for them in turn never meets one that is still there.
DISTINCT_DETAILS = 20_000
DISTINCT_PAGES = 2_400

OURS = "service"
Ports = Mapping[str, int]
Loads = Mapping[str, Sequence[Load]]


def figures(plan: Plan) -> Iterator[Figure]:
    """Every comparison."""
    survey = plan.ordinary()
    with ExitStack() as stack:
        service = stack.enter_context(servers.service(plan.directory / "logs", survey, plan.workers))
        answers = {target: _body(service.port, target) for target in HOT}
        details = [f"/api/v1/images/{number}" for number in range(1, DISTINCT_DETAILS + 1)]
        pages = distinct_pages(service.port)
        ports = {OURS: service.port}
        for name, other in (("detail", details[0]), ("page", pages[0])):
            # A bare application answers every distinct target with the bytes of one.
            for kind in servers.BARE:
                given = {**answers, "*": _body(service.port, other)}
                bare = servers.bare(kind, plan.directory / "logs" / name, given, plan.workers)
                ports[f"{kind}, {name}"] = stack.enter_context(bare).port
        yield from _hot(plan, ports)
        yield from _cold(plan, ports, "detail", details, 0.5)
        yield from _cold(plan, ports, "page", pages, 0.3)
        small = plan.survey("images-1000", images=1_000)
        few = stack.enter_context(servers.service(plan.directory / "logs" / "few", small, plan.workers))
        yield from _at_once(small, few.port, 1_000)
        yield from _at_once(survey, service.port, 50_000)
        yield from _unchanged(plan, service.port)


def _hot(plan: Plan, ports: Ports) -> Iterator[Figure]:
    names = {OURS: OURS, "bare WSGI": "bare WSGI, detail", "bare Flask": "bare Flask, detail"}
    compared = {name: ports[key] for name, key in names.items()}
    for target in HOT:
        say(f"hot: {target}")
        found = in_turn(plan, compared, [target], plan.connections)
        yield from _load(f"hot `{target}`", found[OURS], plan.connections)
        yield at_least(f"hot `{target}` : bare WSGI", _ratio(found, "bare WSGI"), "×", 0.75)
        yield at_least(f"hot `{target}` : bare Flask", _ratio(found, "bare Flask"), "×", 1.2)
    say("hot, many connections")
    found = in_turn(plan, compared, [HOT[1]], plan.many_connections)
    yield from _load(f"hot `{HOT[1]}`", found[OURS], plan.many_connections)
    for kind in servers.BARE:
        yield Figure(f"hot `{HOT[1]}` : {kind}, {plan.many_connections} connections", _ratio(found, kind), "×")


def _cold(plan: Plan, ports: Ports, name: str, targets: Sequence[str], limit: float) -> Iterator[Figure]:
    say(f"cold: {name}")
    compared = {OURS: ports[OURS], "bare Flask": ports[f"bare Flask, {name}"]}
    what = {"detail": "cold `/images/{id}`", "page": "cold `/images`, 100 rows"}[name]
    found = in_turn(plan, compared, targets, plan.connections)
    yield from _load(what, found[OURS], plan.connections)
    yield at_least(f"{what} : bare Flask", _ratio(found, "bare Flask"), "×", limit)
    found = in_turn(plan, {OURS: ports[OURS]}, targets, plan.many_connections)
    yield from _load(what, found[OURS], plan.many_connections)


def in_turn(plan: Plan, ports: Ports, targets: Sequence[str], connections: int) -> Loads:
    """Measurements taken alternately."""
    found: dict[str, list[Load]] = {name: [] for name in ports}
    for _ in range(plan.rounds):
        for name, port in ports.items():
            found[name].append(measure(port, targets, connections=connections, seconds=plan.seconds))
    for name, loads in found.items():
        if failed := sum(load.failed for load in loads):
            raise RuntimeError(f"{failed} requests to {name} failed")
    return found


def _ratio(found: Loads, other: str) -> float:
    """Median ratio of neighbouring measurements: a disturbance of the machine meets both, or is one of several."""
    return median(ours.per_s / theirs.per_s for ours, theirs in zip(found[OURS], found[other], strict=True))


def _load(what: str, loads: Sequence[Load], connections: int) -> Iterator[Figure]:
    yield Figure(f"{what}, {connections} connections", median(load.per_s for load in loads), "/s")
    yield Figure(f"{what}, {connections} connections, median", median(load.p50_ms for load in loads), "ms")
    yield Figure(f"{what}, {connections} connections, 99 %", median(load.p99_ms for load in loads), "ms")


def _at_once(survey: Survey, port: int, images: int) -> Iterator[Figure]:
    say(f"100 requests at once, {images:,} images")
    slowest = [max(answer.seconds for answer in simultaneous(port, HOT[0], 100)) * 1000 for _ in range(15)]
    yield at_most(
        f"100 `/images` at the same moment, {images:,} images, until the last is answered", median(slowest), "ms", 100
    )
    with survey.writer() as connection:

        def after_a_commit() -> float:
            connection.execute("UPDATE images SET pbcor = 1 - pbcor WHERE id = 1")
            return max(answer.seconds for answer in simultaneous(port, HOT[0], 100)) * 1000

        yield Figure("the same right after a commit", median(after_a_commit() for _ in range(15)), "ms")


def _unchanged(plan: Plan, port: int) -> Iterator[Figure]:
    say("conditional requests")
    etag = _headers(port, HOT[0])["etag"]
    loads = [
        measure(port, HOT[:1], connections=plan.connections, seconds=plan.seconds, headers=[f"If-None-Match: {etag}"])
        for _ in range(plan.rounds)
    ]
    yield Figure("304 for `/images`", median(load.per_s for load in loads), "/s")


def _body(port: int, target: str) -> str:
    (answer,) = one_by_one(port, [target])
    if answer.status != 200:
        raise RuntimeError(f"{target} answered {answer.status}: {answer.body[:300]!r}")
    return answer.body.decode()


def _headers(port: int, target: str) -> dict[str, str]:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request_for(target, ["Connection: close"]))
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65_536)
    lines = head.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def distinct_pages(port: int) -> list[str]:
    """Targets of 100 rows that begin at different places, by the cursors that the list itself gives."""
    return [f"/api/v1/images?limit=100&cursor={cursor}" for cursor in islice(cursors(port, 20), DISTINCT_PAGES)]


def cursors(port: int, rows: int) -> Iterator[str]:
    """Cursors of the list of images, one every so many rows."""
    target = f"/api/v1/images?limit={rows}"
    while found := re.search(r'cursor=([^&>]+)[^>]*>; rel="next"', _headers(port, target).get("link", "")):
        yield found[1]
        target = f"/api/v1/images?limit={rows}&cursor={found[1]}"
