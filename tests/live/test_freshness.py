"""No answer is ever older than the last commit that was finished before its request was sent.

Against a real gunicorn with several workers, while another process commits twenty times a second.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from app.db.upgrade import PipelineUpgrade
from tests.live.conftest import StartServer
from tests.support.commits import Commits
from tests.support.pipeline import Pipeline, worked_example
from tests.support.server import Server

pytestmark = pytest.mark.live

# How long clients watch, how many answers and different ones that has to show, and how long a slow machine has for it.
SECONDS = 1.0
ANSWERS = 200
DIFFERENT = 5
LIMIT_S = 30.0
CLIENTS = 6
IMAGE = "/api/v1/images/7"
KEY = {"X-API-Key": "dsa110_live_test_key"}


def number_of_image(image: dict[str, Any]) -> int:
    return int(image.get("noise_jy", 0))


def number_of_caltable(image: dict[str, Any]) -> int:
    name = Path(image["cal_table"] or "0").stem
    return int(name) if name.isdigit() else 0


def half_of(image: dict[str, Any]) -> int:
    """A swap-and-write of number n leaves 2n + 1 behind."""
    return (number_of_image(image) - 1) // 2


class Findings(NamedTuple):
    """What clients saw."""

    answers: int
    different: int
    stale: list[str]


def watch(
    server: Server, commits: Commits, number_of: Callable[[dict[str, Any]], int], different: int = DIFFERENT
) -> Findings:
    """Read the image on several connections until enough is seen, and compare each answer with what was committed."""
    began = time.monotonic()
    stale: list[str] = []
    seen: set[int] = set()
    answers = [0] * CLIENTS

    def goes_on() -> bool:
        lasted = time.monotonic() - began
        return lasted < SECONDS or (lasted < LIMIT_S and (sum(answers) < ANSWERS or len(seen) < different))

    def read(client: int) -> None:
        connection = server.connect()
        while goes_on():
            finished_before = commits.finished
            connection.request("GET", IMAGE)
            answer = connection.getresponse()
            body = answer.read()
            number = number_of(orjson.loads(body)) if answer.status == 200 else -1
            answers[client] += 1
            seen.add(number)
            if number < finished_before:
                stale.append(f"{answer.status}: read {number} when {finished_before} was committed")
        connection.close()

    threads = [threading.Thread(target=read, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Findings(sum(answers), len(seen), stale)


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Pipeline]:
    with Pipeline(tmp_path / "state", "orm") as pipeline:
        worked_example(pipeline)
        yield pipeline


def settle(pipeline: Pipeline, *, journal_mode: str = "wal") -> None:
    """Close the builder's connections, so that each file is complete in itself, in the journal mode wanted."""
    pipeline.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pipeline.close()
    for path in {pipeline.products_path, pipeline.registry_path}:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute(f"PRAGMA journal_mode = {journal_mode}").fetchone()[0] == journal_mode


def assert_fresh(findings: Findings) -> None:
    assert findings.stale == []
    assert findings.answers >= ANSWERS
    assert findings.different >= DIFFERENT, "the commits were hardly seen, so this proves nothing"


@pytest.mark.parametrize("journal_mode", ["wal", "delete"])
def test_commits_to_the_products_are_seen_at_once(
    start_server: StartServer, example: Pipeline, tmp_path: Path, journal_mode: str
) -> None:
    settle(example, journal_mode=journal_mode)
    server = start_server(example)
    with Commits("images", example.products_path, tmp_path) as commits:
        assert_fresh(watch(server, commits, number_of_image))


@pytest.mark.parametrize("journal_mode", ["wal", "delete"])
def test_commits_to_the_registry_are_seen_at_once(
    start_server: StartServer, example: Pipeline, tmp_path: Path, journal_mode: str
) -> None:
    settle(example, journal_mode=journal_mode)
    server = start_server(example)
    with Commits("caltables", example.registry_path, tmp_path) as commits:
        assert_fresh(watch(server, commits, number_of_caltable))


@pytest.mark.parametrize("journal_mode", ["wal", "delete"])
def test_replaced_file_is_seen_at_once(
    start_server: StartServer, example: Pipeline, tmp_path: Path, journal_mode: str
) -> None:
    settle(example, journal_mode=journal_mode)
    server = start_server(example)
    with Commits("swap", example.products_path, tmp_path) as commits:
        assert_fresh(watch(server, commits, number_of_image))


def test_replaced_file_is_read_with_the_commits_that_follow(
    start_server: StartServer, example: Pipeline, tmp_path: Path
) -> None:
    settle(example, journal_mode="delete")
    server = start_server(example)
    with Commits("swap-and-write", example.products_path, tmp_path) as commits:
        assert_fresh(watch(server, commits, half_of))


def test_upgrade_and_downgrade_are_seen_like_any_commit(
    start_server: StartServer, example: Pipeline, tmp_path: Path
) -> None:
    settle(example)
    server = start_server(example)
    upgrade = PipelineUpgrade(example.products_path, "products", busy_timeout_s=30.0)
    with Commits("images", example.products_path, tmp_path) as commits, ThreadPoolExecutor(1) as pool:
        run = pool.submit(lambda: (upgrade.upgrade(), upgrade.downgrade(), upgrade.upgrade()))
        findings = watch(server, commits, number_of_image, different=1)
        run.result()
    assert findings.stale == []
    assert findings.answers >= ANSWERS
    assert findings.different >= 1, "the upgrade keeps the pipeline from writing, but not for long"


def change_noise(path: Path, noise_jy: float) -> None:
    """Commit, as another process that keeps the database open, and is killed."""
    program = (
        "import sqlite3, sys, time; connection = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "connection.execute('PRAGMA wal_autocheckpoint = 0'); "
        "connection.execute('UPDATE images SET noise_jy = ' + sys.argv[2]); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path), str(noise_jy)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline()
        writer.kill()


def noises(server: Server) -> set[float]:
    """What the workers answer, each asked several times."""
    return {server.get(IMAGE).json()["noise_jy"] for _ in range(12)}


def test_log_of_a_replaced_file_is_read_by_no_worker_that_starts_later(
    start_server: StartServer, example: Pipeline, tmp_path: Path
) -> None:
    """The log is full, and SQLite would lay it over whatever file stands beside it."""
    settle(example)
    fresh = tmp_path / "fresh.sqlite3"
    shutil.copy(example.products_path, fresh)
    with contextlib.closing(sqlite3.connect(fresh)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("UPDATE images SET noise_jy = 0.75")
        connection.commit()
        connection.execute("PRAGMA journal_mode = WAL")
    server = start_server(example)
    change_noise(example.products_path, 0.25)
    assert noises(server) == {0.25}
    os.replace(fresh, example.products_path)
    assert noises(server) == {0.75}
    for victim in server.worker_pids:
        os.kill(victim, signal.SIGKILL)
        server.wait_until(lambda dead=victim: dead not in server.worker_pids and len(server.worker_pids) == 2)
        assert noises(server) == {0.75}
    before = server.worker_pids
    server.process.send_signal(signal.SIGHUP)
    server.wait_until(lambda: len(server.worker_pids) == 2 and not before & server.worker_pids)
    assert noises(server) == {0.75}
    assert "the log of the file before lies beside it" in server.log


@pytest.mark.parametrize("gone", [["-shm"], ["-wal", "-shm"]], ids="+".join)
def test_workers_whose_log_was_deleted_are_replaced_and_answer_nothing_old(
    start_server: StartServer, example: Pipeline, gone: list[str]
) -> None:
    settle(example)
    server = start_server(example)
    change_noise(example.products_path, 0.25)
    assert noises(server) == {0.25}
    before = server.worker_pids
    mapped = f"{example.products_path}-shm"
    server.wait_until(lambda: all(mapped in Path(f"/proc/{pid}/maps").read_text() for pid in before))
    for ending in gone:
        Path(f"{example.products_path}{ending}").unlink()
    change_noise(example.products_path, 0.5)
    for _ in range(20):
        answer = server.get(IMAGE)
        assert answer.status == 503 or answer.json()["noise_jy"] == 0.5
    server.wait_until(lambda: len(server.worker_pids) == 2 and not before & server.worker_pids)
    assert noises(server) == {0.5}
    change_noise(example.products_path, 0.75)
    assert noises(server) == {0.75}


# -- several requests for one answer


def figures(server: Server) -> dict[str, Any]:
    body: dict[str, Any] = server.get("/api/cache").json()
    return body


def test_burst_after_a_commit_computes_once_in_each_worker(start_server: StartServer, pipeline: Pipeline) -> None:
    pipeline.make_many_images(500)
    server = start_server(pipeline)
    server.get("/api/images?limit=500")
    before = figures(server)["misses"]
    pipeline.make_image()
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: server.get("/api/images?limit=500").body, range(50)))
    assert len(set(answers)) == 1
    assert 1 <= figures(server)["misses"] - before <= 2


def fill_both(server: Server, path: str) -> None:
    """Ask until both workers hold the answer."""
    server.wait_until(lambda: server.get(path).status == 200 and figures(server)["total_keys"] == 2)


def test_purge_reaches_every_worker_before_it_is_answered(start_server: StartServer, example: Pipeline) -> None:
    server = start_server(example)
    for _ in range(5):
        fill_both(server, IMAGE)
        purged = server.get("/api/cache/invalidate/images:detail:*", KEY, method="POST")
        assert purged.json() == {"pattern": "images:detail:*", "keys_deleted": 2}
        assert {figures(server)["total_keys"] for _ in range(6)} == {0}


def test_figures_are_the_same_whichever_worker_is_asked(start_server: StartServer, example: Pipeline) -> None:
    server = start_server(example)
    fill_both(server, IMAGE)
    told = [figures(server) for _ in range(8)]
    assert all(each == told[0] for each in told)


def test_worker_that_was_killed_neither_blocks_a_purge_nor_leaves_anything(
    start_server: StartServer, example: Pipeline
) -> None:
    server = start_server(example)
    fill_both(server, IMAGE)
    victim = min(server.worker_pids)
    os.kill(victim, signal.SIGKILL)
    server.wait_until(lambda: victim not in server.worker_pids and len(server.worker_pids) == 2)
    cleared = server.get("/api/cache/clear", KEY, method="POST")
    assert (cleared.status, cleared.json()["keys_deleted"]) == (200, 1)
    fill_both(server, IMAGE)
