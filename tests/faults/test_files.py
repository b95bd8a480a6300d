"""The pipeline's files, and our own directory, in every state that an accident can leave them in.

One server lives through all of it, as it would have to. It runs without the privileges that make root pass over
permissions.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.faults.conftest import KEY, SETTINGS, Report, fill, settled
from tests.support.faults import WITHOUT_PRIVILEGES, lasting
from tests.support.load import Load, Tally, Truth, answers_of, is_clean_refusal
from tests.support.pipeline import Pipeline
from tests.support.server import Reply, Server

pytestmark = pytest.mark.live

Answers = dict[str, object]


class Site:
    """A server, the files that it reads, and copies to put things right with.

    Parameters
    ----------
    directory
        For all of it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with Pipeline(directory / "intact", "orm") as pipeline:
            self.answers: Answers = answers_of(settled(fill(pipeline)))
            pipeline.make_caltable()
        self.intact = pipeline.products_path
        self.products = directory / "served" / self.intact.name
        self.registry = directory / "served" / pipeline.registry_path.name
        self.products.parent.mkdir()
        shutil.copy(pipeline.registry_path, self.registry)
        self.state = directory / "api"
        settings = {
            **SETTINGS,
            "PIPELINE_PRODUCTS_DB": str(self.products),
            "PIPELINE_CAL_REGISTRY_DB": str(self.registry),
            "DSA110_API_STATE_DIR": str(self.state),
        }
        self.server = Server(directory / "server", None, before=WITHOUT_PRIVILEGES, **settings)

    def copy(self) -> Path:
        """An intact products file, to be damaged or put in place."""
        spare = self.products.with_name("spare.sqlite3")
        shutil.copy(self.intact, spare)
        return spare

    def put_right(self) -> None:
        """Put an intact products file in place, with nothing of an earlier one beside it."""
        self.take_away()
        os.replace(self.copy(), self.products)

    def take_away(self) -> None:
        """Remove the products file and all that belongs to it."""
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(f"{self.products}{ending}").unlink(missing_ok=True)

    def load(self, truth: Truth | None = None) -> Load:
        """Requests about everything."""
        return Load.of(self.server.port, truth or Truth(self.answers))


@pytest.fixture(scope="module")
def module_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server of all these tests, started when there are no products yet."""
    made = Site(tmp_path_factory.mktemp("files"))
    yield made
    made.server.stop()


@pytest.fixture
def site(module_site: Site) -> Iterator[Site]:
    """The same with intact files, before and after a test."""
    module_site.put_right()
    yield module_site
    module_site.put_right()


def until_all_is_well(load: Load) -> None:
    """Wait for answers that are right, and see that no other comes after them."""
    right = load.tally.right
    load.wait_for(lambda tally: tally.right > right + 10)
    before = load.tally
    load.wait_for_more(40)
    assert load.tally.refused == before.refused, load.tally


def assert_clean(load: Load, *, refusing: bool) -> None:
    """No answer was wrong or lost; ``refusing`` where the fault must have been felt."""
    tally = load.tally
    assert (tally.lost, tally.wrong) == (0, 0), tally
    assert tally.right > 0
    assert (tally.refused > 0) == refusing, tally


# -- the products file


def test_products_missing_at_the_start_are_served_once_they_are_there(module_site: Site, report: Report) -> None:
    module_site.take_away()
    with module_site.load() as load:
        load.wait_for_more(40)
        assert load.tally.refused >= 40
        time.sleep(lasting(20, 0))
        assert not module_site.products.exists(), "the service made a file that is the pipeline's"
        os.replace(module_site.copy(), module_site.products)
        until_all_is_well(load)
    assert_clean(load, refusing=True)
    report("The products file is missing at the start", "503 until it is there, then served; never created", load)


def test_deleted_products_are_refused_until_they_are_back(site: Site, report: Report) -> None:
    with site.load() as load:
        load.wait_for_more()
        site.take_away()
        load.wait_for(lambda tally: tally.refused > 20)
        time.sleep(lasting(20, 0))
        os.replace(site.copy(), site.products)
        until_all_is_well(load)
    assert_clean(load, refusing=True)
    report("The products file is deleted", "503 until it is back, then served", load)


@pytest.mark.parametrize("generation", ["orm", "production", "head"])
def test_products_replaced_by_others_of_any_generation_are_served_without_a_refusal(
    site: Site, tmp_path: Path, report: Report, generation: str
) -> None:
    with Pipeline(tmp_path / "other", generation) as other:
        answers = answers_of(settled(fill(other, images=55)))
    truth = Truth(site.answers)
    ends_s = time.monotonic() + lasting(20, 0)
    with site.load(truth) as load:
        load.wait_for_more()
        while True:
            spare = site.products.with_name("spare.sqlite3")
            shutil.copy(other.products_path, spare)
            with truth.becoming(answers):
                os.replace(spare, site.products)
            load.wait_for_more(40)
            if time.monotonic() > ends_s:
                break
            with truth.becoming(site.answers):
                os.replace(site.copy(), site.products)
            load.wait_for_more(40)
    assert_clean(load, refusing=False)
    kind = "another" if generation == "orm" else f"one of another generation ({generation})"
    outcome = "the first request after the swap gets the new file's answer; none is refused"
    report(f"The products file is replaced by {kind}", outcome, load)


def test_truncated_products_give_right_answers_or_none(site: Site, report: Report) -> None:
    with site.load() as load:
        load.wait_for_more()
        os.truncate(site.products, site.products.stat().st_size // 3)  # under the open connections
        load.wait_for_more(60)
        spare = site.copy()
        os.truncate(spare, spare.stat().st_size // 3)
        os.replace(spare, site.products)
        load.wait_for(lambda tally: tally.refused > 20)
        time.sleep(lasting(20, 0))
        site.put_right()
        until_all_is_well(load)
    assert_clean(load, refusing=True)
    report("The products file is truncated", "503 for what is gone, never a wrong answer; served once restored", load)


def damage(path: Path) -> None:
    """Overwrite the middle of a file, in place."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 8 // 4096 * 4096)
        file.write(b"\xff" * (size * 3 // 4))


def test_products_damaged_in_the_middle_give_right_answers_or_none(site: Site, report: Report) -> None:
    with site.load() as load:
        load.wait_for_more()
        damage(site.products)  # under the open connections
        load.wait_for_more(60)
        spare = site.copy()
        damage(spare)
        os.replace(spare, site.products)
        load.wait_for(lambda tally: tally.refused > 20)
        time.sleep(lasting(20, 0))
        site.put_right()
        until_all_is_well(load)
    assert_clean(load, refusing=True)
    outcome = "503 for what is damaged, never a wrong answer; served once restored"
    report("The products file is damaged in the middle", outcome, load)


def test_products_that_may_not_be_read_are_refused_until_they_may(site: Site, report: Report) -> None:
    with site.load() as load:
        load.wait_for_more()
        spare = site.copy()
        spare.chmod(0)
        os.replace(spare, site.products)
        load.wait_for(lambda tally: tally.refused > 20)
        time.sleep(lasting(20, 0))
        site.products.chmod(0o644)
        until_all_is_well(load)
    assert_clean(load, refusing=True)
    report("The products file has the wrong permissions", "503 until they are right, then served", load)


def test_registry_that_goes_and_comes_is_no_reason_to_refuse_anything(site: Site, report: Report) -> None:
    aside = site.registry.with_name("aside.sqlite3")
    ends_s = time.monotonic() + lasting(20, 0)
    with site.load() as load:
        while True:
            load.wait_for_more()
            os.replace(site.registry, aside)
            load.wait_for_more(40)
            assert site.server.get("/api/v1/cal").json() == []
            os.replace(aside, site.registry)
            load.wait_for_more()
            assert len(site.server.get("/api/v1/cal").json()) == 1
            if time.monotonic() > ends_s:
                break
    assert_clean(load, refusing=False)
    report(
        "The calibration registry is missing", "images and sources are served; tables are none until it is back", load
    )


# Commits what a reader must see, spills what it must not see into the log, and waits to be killed.
KILLED_WRITER = """
import os, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA wal_autocheckpoint = 0")
connection.execute("PRAGMA cache_size = 2")
connection.execute("UPDATE images SET noise_jy = 0.25")
committed = os.path.getsize(sys.argv[1] + "-wal")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE images SET noise_jy = 0.5, path = path || :more", {"more": "x" * 900})
connection.execute("UPDATE photometry SET flux_jy = 9")
print("spilled" if os.path.getsize(sys.argv[1] + "-wal") > committed else "not spilled", flush=True)
time.sleep(60)
"""


def test_log_left_by_a_killed_writer_shows_what_was_committed_and_nothing_else(site: Site, report: Report) -> None:
    torn = site.directory / "torn" / site.products.name
    torn.parent.mkdir(exist_ok=True)
    shutil.copy(site.intact, torn)
    truth = Truth(site.answers)
    committed = {
        target: (*said[:2], 0.25) if isinstance(said, tuple) else said for target, said in site.answers.items()
    }
    with site.load(truth) as load:
        load.wait_for_more()
        # Killed beside the service, which has the file open.
        with truth.becoming(committed):
            killed_writer(site.products)
        load.wait_for_more(60)
        # And left by a machine that went down: log and file without the shared memory, which must be made anew.
        killed_writer(torn)
        log = Path(f"{torn}-wal")
        site.take_away()
        load.wait_for(lambda tally: tally.refused > 0)
        os.replace(log, f"{site.products}-wal")
        os.replace(torn, site.products)
        until_all_is_well(load)
    assert_clean(load, refusing=True)
    outcome = "what was committed is shown, what was not is not; 503 only while the file was away"
    report("A killed writer leaves its -wal", outcome, load)


def killed_writer(path: Path) -> None:
    """Write, and be killed in the middle of it."""
    with subprocess.Popen([sys.executable, "-c", KILLED_WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"spilled\n"
        writer.kill()


# -- our own directory


def rate(server: Server) -> tuple[int, bool]:
    """Write something of our own; the status, and whether a refusal is clean."""
    with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        headers = {**KEY, "Content-Type": "application/json"}
        connection.request("POST", "/api/v1/images/1/rating", '{"rating": 4, "confidence": "true"}', headers)
        answer = connection.getresponse()
        reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    return reply.status, is_clean_refusal(reply)


def test_state_directory_that_is_read_only_refuses_writes_alone(site: Site, report: Report) -> None:
    aside = site.state.with_name("aside")
    writes = Tally()
    with site.load() as load:
        load.wait_for_more()
        if site.state.exists():
            os.replace(site.state, aside)
        site.state.mkdir(mode=0o555)
        ends_s = time.monotonic() + lasting(20, 0)
        while True:
            status, clean = rate(site.server)
            writes += Tally(sent=1, refused=clean, wrong=not clean, examples=(str(status),))
            load.wait_for_more()
            if writes.sent >= 5 and time.monotonic() > ends_s:
                break
        site.state.chmod(0o755)
        load.wait_for(lambda _: rate(site.server)[0] == 200)
    assert writes.refused == writes.sent, writes
    assert_clean(load, refusing=False)
    report("The state directory is read-only", "reads go on; writes get 503 until it is writable", load, writes)
