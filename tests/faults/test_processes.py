"""Workers that are killed or grow, and a clock that is put back."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import struct
import time
from collections import deque
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.faults.conftest import KEY, Report, StartServer
from tests.support.faults import SITES, lasting, pss_mb
from tests.support.load import Load, Tally, Truth, answers_of
from tests.support.pipeline import Pipeline
from tests.support.server import ROOT, Reply, Server

pytestmark = pytest.mark.live

BETWEEN_KILLS_S = 0.2
CLIENTS = 4


def test_killed_workers_are_replaced_and_no_answer_is_wrong(
    start_server: StartServer, survey: Pipeline, report: Report
) -> None:
    server = start_server(survey)
    killed: list[int] = []
    chance = random.Random(1)
    with Load.of(server.port, Truth(answers_of(survey)), clients=CLIENTS) as load:
        load.wait_for_more()
        ends_s = time.monotonic() + lasting(60, 1.0)
        while time.monotonic() < ends_s or len(killed) < 4:
            with contextlib.suppress(ProcessLookupError):
                victim = chance.choice(sorted(server.worker_pids - set(killed[-8:])) or [0])
                if victim:
                    os.kill(victim, signal.SIGKILL)
                    killed.append(victim)
            time.sleep(BETWEEN_KILLS_S)
        server.wait_until(lambda: len(server.worker_pids) == 2 and not server.worker_pids & set(killed))
        load.wait_for_more()
        before = load.tally
        load.wait_for_more(100)
    tally = load.tally
    assert (tally.wrong, tally.refused) == (0, 0), tally
    assert tally.lost <= len(killed) * CLIENTS, tally
    assert tally.lost == before.lost, "still lost after the last kill"
    assert tally.right > 100
    started = time.monotonic()
    assert server.get("/metrics").status == 200
    assert time.monotonic() - started < 10
    outcome = (
        f"{len(killed)} kills, each worker replaced at once; lost is what was on its connections when they broke, and "
        "no answer is wrong"
    )
    report("A worker is killed with SIGKILL every 200 ms", outcome, load)


def test_worker_that_grows_is_replaced_before_it_is_too_large(
    start_server: StartServer, survey: Pipeline, report: Report
) -> None:
    most_mib = 200
    server = start_server(
        survey,
        PYTHONPATH=f"{SITES / 'leak'}:{ROOT}",
        DSA110_WORKER_MEMORY_MIB=str(most_mib),
        DSA110_CACHE_ENABLED="false",
    )
    sizes: deque[float] = deque()
    seen = set(server.worker_pids)
    with Load.of(server.port, Truth(answers_of(survey)), clients=CLIENTS) as load:
        ends_s = time.monotonic() + lasting(60, 0)
        while len(seen) < 3 or time.monotonic() < ends_s:
            assert load.seconds < 90, (seen, sizes)
            seen |= server.worker_pids
            with contextlib.suppress(OSError, RuntimeError):
                sizes.extend(pss_mb(pid) for pid in server.worker_pids)
            time.sleep(0.05)
        load.wait_for_more()
    assert load.tally.right == load.tally.sent, load.tally
    assert "more than DSA110_WORKER_MEMORY_MIB allows" in server.log
    # A quarter more, and what comes in a tenth of a second and from the requests that had begun.
    assert max(sizes) < 2 * most_mib, sizes
    outcome = (
        f"{len(seen) - 2} workers replaced at `DSA110_WORKER_MEMORY_MIB` = {most_mib}, none of them larger than "
        f"{max(sizes):.0f} MB; they answer what they have begun"
    )
    report("Workers grow by half a megabyte with each request", outcome, load)


def rate(server: Server, peer: str) -> Reply:
    """A write that counts, from some address."""
    headers = {**KEY, "Content-Type": "application/json", "X-Forwarded-For": peer}
    with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("POST", "/api/v1/images/1/rating", '{"rating": 4, "confidence": "true"}', headers)
        answer = connection.getresponse()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())


DAY_S = 86_400.0


def test_clock_that_is_put_back_stops_nothing(
    start_server: StartServer, survey: Pipeline, tmp_path: Path, report: Report
) -> None:
    clock = tmp_path / "clock"
    clock.write_bytes(struct.pack("d", 0.0))
    counted = {"DSA110_RATE_LIMIT_DISABLED": "false", "DSA110_RATE_LIMIT_WRITES": "5 per minute"}
    server = start_server(survey, PYTHONPATH=f"{SITES / 'clock'}:{ROOT}", TEST_CLOCK=str(clock), **counted)
    with Load.of(server.port, Truth(answers_of(survey))) as load:
        load.wait_for_more()
        begun = date_of(server)
        assert [rate(server, "10.20.30.40").status for _ in range(6)] == [200] * 5 + [429]
        put(clock, -10.0)
        load.wait_for_more(60)
        soon = rate(server, "10.20.30.40")
        assert soon.status == 200 or int(soon.headers["retry-after"]) <= 60, soon
        days = 0
        ends_s = time.monotonic() + lasting(20, 0)
        while not days or time.monotonic() < ends_s:
            days += 1
            put(clock, -days * DAY_S)
            load.wait_for_more(60)
        assert date_of(server) < begun - DAY_S / 2
        assert [rate(server, peer).status for peer in ("10.20.30.40", "10.20.30.41")] == [200, 200]
        assert [server.get(path).status for path in ("/readyz", "/metrics", "/api/v1/queue")] == [200] * 3
    assert load.tally.right == load.tally.sent, load.tally
    outcome = "reads and writes go on; who had used up a quota waits for no more than its window"
    report("The clock jumps back by 10 s, and by days", outcome, load, Tally(sent=9, right=9))


def date_of(server: Server) -> float:
    """What the server takes for the time [Unix s]."""
    return parsedate_to_datetime(server.get("/livez").headers["date"]).timestamp()


def put(clock: Path, offset_s: float) -> None:
    """Put the clock off."""
    with clock.open("r+b") as file:
        file.write(struct.pack("d", offset_s))
