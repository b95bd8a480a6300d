"""A queue's server that goes away, and comes back with what it knew."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

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
