"""Other processes at work on the pipeline's databases, and at times for too long."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.faults.conftest import KEY, Report, StartServer
from tests.support.commits import Commits
from tests.support.faults import lasting
from tests.support.load import Load, Tally, Truth, answers_of, is_clean_refusal
from tests.support.pipeline import Pipeline, ms_path
from tests.support.server import Reply, Server

pytestmark = pytest.mark.live


def order_batch(server: Server) -> Reply:
    """A write to the products database."""
    body = json.dumps({"ms_paths": [ms_path(1)]})
    with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("POST", "/api/v1/batches", body, {**KEY, "Content-Type": "application/json"})
        answer = connection.getresponse()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())


def write_until(server: Server, ends_s: float) -> Tally:
    """Writes one after another, for as long as that."""
    tally = Tally()
    while time.monotonic() < ends_s:
        reply = order_batch(server)
        refused = is_clean_refusal(reply) and reply.json()["error"] == "DATABASE_BUSY"
        tally += Tally(sent=1, right=reply.status == 202, refused=refused, wrong=reply.status != 202 and not refused)
    return tally


def test_reads_go_on_and_writes_wait_while_the_pipeline_holds_its_lock(
    start_server: StartServer, survey: Pipeline, report: Report
) -> None:
    wait_s = min(1.0, lasting(10) / 4)
    server = start_server(survey, DSA110_DB_TIMEOUT=str(wait_s))
    with Load.of(server.port, Truth(answers_of(survey))) as load:
        survey.connection.execute("BEGIN EXCLUSIVE")
        writes = write_until(server, time.monotonic() + lasting(10))
        survey.connection.rollback()
        free = order_batch(server)
    batches = survey.connection.execute("SELECT count(*) FROM batch_jobs").fetchone()[0]
    assert load.tally.right == load.tally.sent > 20, load.tally
    assert load.tally.slowest_s < 10
    assert (writes.refused, writes.wrong) == (writes.sent, 0), writes
    assert writes.sent >= 1
    assert (free.status, batches) == (202, 1)
    outcome = "reads go on; each write waits `DSA110_DB_TIMEOUT` and gets 503, and nothing of it is in the database"
    report("The pipeline holds an exclusive lock (WAL)", outcome, load, writes, Tally(sent=1, right=1))


def test_reads_wait_where_the_journal_lets_no_reader_beside_a_writer(
    start_server: StartServer, survey: Pipeline, report: Report
) -> None:
    truth = Truth(answers_of(survey))
    survey.close()
    writer = sqlite3.connect(survey.products_path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = DELETE")
    server = start_server(survey, DSA110_DB_TIMEOUT=str(lasting(10) / 4))
    with Load.of(server.port, truth) as load:
        load.wait_for_more()
        writer.execute("BEGIN EXCLUSIVE")
        time.sleep(lasting(10))
        refused = load.tally.refused
        writer.rollback()
        load.wait_for_more(40)
        before = load.tally
        load.wait_for_more(200)
    writer.close()
    tally = load.tally
    assert (tally.lost, tally.wrong) == (0, 0), tally
    assert refused >= 1
    assert tally.refused == before.refused, "still refused after the lock was gone"
    outcome = "reads wait `DSA110_DB_TIMEOUT`, then get 503; all is well with the first request after the lock"
    report("The pipeline holds an exclusive lock (rollback journal)", outcome, load)


IMAGE = "/api/v1/images/{}"


def test_a_thousand_commits_a_second_are_all_seen_and_hold_nothing_up(
    start_server: StartServer, survey: Pipeline, tmp_path: Path, report: Report
) -> None:
    first = survey.connection.execute("SELECT min(id) FROM images").fetchone()[0]
    survey.close()
    server = start_server(survey)

    def is_fresh(_target: str, reply: Reply, finished: Any, _sent_s: float) -> bool:
        seen = int(orjson.loads(reply.body)["noise_jy"])
        return reply.status == 200 and finished <= seen <= commits.finished + 1

    with (
        Commits("images", survey.products_path, tmp_path, period_s=0.0002) as commits,
        Load(server.port, [IMAGE.format(first)], is_fresh, mark=lambda: commits.finished) as load,
    ):
        begun = commits.finished
        time.sleep(lasting(60, 0.6))
        load.wait_for_more(100)
        per_s = (commits.finished - begun) / load.seconds
    log = Path(f"{survey.products_path}-wal")
    assert load.tally.right == load.tally.sent, load.tally
    assert per_s > 50, "hardly any commits, so this proves nothing"
    assert not log.exists() or log.stat().st_size < 64 * 2**20
    outcome = f"{per_s:.0f} commits a second: no answer is older than the last commit before its request"
    report("Another process commits as fast as it can", outcome, load)
