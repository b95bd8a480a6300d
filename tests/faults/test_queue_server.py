"""A queue's server that goes away, or hangs, and comes back with what it knew."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from app.queue.engine import Engine
from app.queue.heartbeat import Workers
from app.queue.records import JobRecords
from tests.faults.conftest import KEY, Report, StartServer
from tests.support.faults import counting, lasting
from tests.support.load import Load, Tally, Truth, answers_of, is_clean_refusal
from tests.support.pipeline import Pipeline, ms_path
from tests.support.pipeline_rows import run_id
from tests.support.server import Reply, Server
from tests.support.stores import free_port

pytestmark = [pytest.mark.live, pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server")]


class Redis:
    """A Redis that remembers what it was told, on one port for good."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, again or for the first time."""
        options = f"--port {self.port} --bind 127.0.0.1 --appendonly yes --appendfsync always --save".split()
        command = ["redis-server", *options, "", "--dir", str(self._directory)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Inside, it lets everybody in and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis of this test's own."""
    made = Redis(tmp_path)
    yield made
    made.kill()


def rerun(server: Server, n: int) -> Reply:
    """Order a run."""
    with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        headers = {**KEY, "Content-Type": "application/json"}
        connection.request("POST", f"/api/v1/jobs/{run_id(ms_path(n))}/rerun", "{}", headers)
        answer = connection.getresponse()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())


def test_queue_server_that_goes_away_refuses_orders_alone_and_loses_none(
    start_server: StartServer, survey: Pipeline, redis: Redis, report: Report
) -> None:
    server = start_server(survey, DSA110_QUEUE_URL=redis.url)
    orders = Tally()
    accepted: set[str] = set()

    def order(n: int) -> bool:
        nonlocal orders
        reply = rerun(server, n)
        if reply.status < 300:
            accepted.add(json.loads(reply.body)["job_id"])
        clean = is_clean_refusal(reply) and reply.json()["error"] == "QUEUE_UNAVAILABLE"
        orders += Tally(1, reply.status < 300, clean, wrong=not (clean or reply.status < 300), examples=(str(reply),))
        return reply.status < 300

    server.wait_until(lambda: server.get("/api/v1/queue").status == 200)
    with Load.of(server.port, Truth(answers_of(survey))) as load:
        for _ in range(counting(3, 1)):
            assert order(1)
            assert order(2)
            redis.kill()
            assert not order(3)
            ends_s = time.monotonic() + lasting(20, 0.3)
            while time.monotonic() < ends_s:
                assert not order(3)
            load.wait_for_more()
            assert server.get("/api/v1/queue").json()["error"]
            redis.start()
            server.wait_until(lambda: order(3))
            listed = {job["job_id"] for job in server.get("/api/v1/queue/jobs?limit=100").json()}
            assert accepted <= listed
    assert orders.wrong == 0, orders
    assert load.tally.right == load.tally.sent, load.tally
    outcome = "reads go on; orders get 503 until it is back, and every order that was accepted is still there"
    report("The queue's server goes away and comes back", outcome, load, orders)


# Both workers together have fewer threads: were each order to wait for the store, nobody would be left to read for.
THREADS, ORDERING = 3, 10
# What the service waits for an answer of the store [s].
ANSWER_TIMEOUT_S = 3.0
ORDERS = tuple(f"/api/v1/jobs/{run_id(ms_path(n))}/rerun" for n in (1, 2, 3))
QUEUE = ("/api/v1/queue", "/api/v1/queue/jobs?limit=1")


def ordering(port: int, accepted: set[str]) -> Load:
    """Clients that order reruns, more of them than there are threads."""

    def is_accepted(_target: str, reply: Reply, _mark: object, _sent_s: float) -> bool:
        accepted.add(reply.json()["job_id"])
        return reply.status == 202

    return Load(port, ORDERS, is_accepted, method="POST", headers=KEY, clients=ORDERING, pause_s=0.1)


def asking(port: int) -> Load:
    """Clients that ask how the queue is."""
    return Load(port, QUEUE, lambda _target, reply, _mark, _sent_s: reply.status == 200, clients=2, pause_s=0.05)


def counted(load: Load, count: Callable[[Tally], int], more: int) -> None:
    """Wait until there are so many more of something."""
    before = count(load.tally)
    load.wait_for(lambda tally: count(tally) >= before + more)


def test_queue_server_that_hangs_holds_nobody_up_but_one_order_at_a_time(
    start_server: StartServer, survey: Pipeline, redis: Redis, report: Report
) -> None:
    server = start_server(survey, DSA110_QUEUE_URL=redis.url, DSA110_THREADS=str(THREADS))
    truth = Truth(answers_of(survey))
    accepted: set[str] = set()
    server.wait_until(lambda: server.get("/api/v1/queue").status == 200)
    with Load.of(server.port, truth) as load, ordering(server.port, accepted) as orders, asking(server.port) as asked:
        counted(orders, lambda tally: tally.right, 5)
        with redis.hanging():
            # The first to ask wait, each as long as the store is given; then it is known to hang.
            counted(orders, lambda tally: tally.refused, ORDERING)
            with Load.of(server.port, truth) as meanwhile:
                time.sleep(lasting(20, 0.8))
                counted(orders, lambda tally: tally.refused, 2 * ORDERING)
            assert server.get("/api/v1/queue").json()["error"]
        counted(orders, lambda tally: tally.right, 5)
    engine = Engine(redis.url, "dsa110-pipeline", server.directory)
    remembered = {job.job_id for job in JobRecords(engine, Workers(engine)).all()}
    engine.close()
    reads = load.tally + meanwhile.tally
    assert reads.right == reads.sent, reads
    assert meanwhile.tally.slowest_s < ANSWER_TIMEOUT_S, meanwhile.tally
    assert orders.tally.right + orders.tally.refused == orders.tally.sent, orders.tally
    assert asked.tally.right + asked.tally.refused == asked.tally.sent, asked.tally
    assert accepted <= remembered
    outcome = (
        "who asks it first waits 3 s, and reads with them where they hold every thread; from then on one at "
        f"a time waits, the others get 503 at once, and reads take {meanwhile.tally.slowest_s:.2f} s at most; every "
        "order that was accepted is still there"
    )
    report("The queue's server hangs", outcome, load, meanwhile.tally, orders.tally, asked.tally)
