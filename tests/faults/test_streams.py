"""Files that vanish while they are sent, clients that vanish while they receive, and a day's worth of requests."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import statistics
import tarfile
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults.conftest import SETTINGS, Report, fill, settled
from tests.support.faults import counting, descriptors, lasting, pss_mb, threads
from tests.support.load import Load, Tally, Truth, answers_of
from tests.support.pipeline import Pipeline
from tests.support.server import Server

pytestmark = pytest.mark.live

# More than the buffers on the way hold, so that the server is in the middle of it.
LARGE = os.urandom(12 * 2**20)
# Of two workers: one that waits for connections, four that answer, one that writes down.
MOST_THREADS = 2 * (1 + 4 + 1)
STREAM = "/api/v1/photometry?format=csv"


class Site:
    """A server, its databases and a large file that an image is about."""

    def __init__(self, directory: Path) -> None:
        self.pipeline = Pipeline(directory / "state", "orm")
        fill(self.pipeline)
        self.pipeline.make_many_photometry(400, 100)  # a stream of several megabytes
        self.file = directory / "server" / "data" / "large.fits"
        self.image = self.pipeline.make_image(path=str(self.file), created_at=0.0)
        settled(self.pipeline)
        self.answers = answers_of(self.pipeline)
        self.leaving = 0
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        places = {"TMPDIR": str(self.temporary), "DSA110_MAX_DOWNLOADS": "8"}
        self.server = Server(directory / "server", self.pipeline, **{**SETTINGS, **places})

    @property
    def download(self) -> str:
        """Where the large file is served."""
        return f"/api/v1/images/{self.image}/fits"

    def load(self, **options: object) -> Load:
        """Requests about everything."""
        return Load.of(self.server.port, Truth(self.answers), **options)

    def held(self) -> Held:
        """What the workers hold, beside the databases that each of their threads keeps open."""
        databases = str(self.pipeline.products_path.parent)
        pids = self.server.worker_pids
        others = sum(not name.startswith(databases) for pid in pids for name in descriptors(pid))
        return Held(others, sum(map(threads, pids)), sum(len(files) for _, _, files in os.walk(self.temporary)))


class Held(NamedTuple):
    """What processes hold."""

    descriptors: int
    threads: int
    temporary_files: int


def quiet(site: Site) -> None:
    """Wait until what the workers hold has not changed for a while: they need a moment to notice who is gone."""
    seen: list[Held] = []

    def stands_still() -> bool:
        time.sleep(0.05)
        seen.append(site.held())
        return len(seen) > 4 and len(set(seen[-4:])) == 1

    site.server.wait_until(stands_still, 30)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server of all these tests."""
    made = Site(tmp_path_factory.mktemp("streams"))
    yield made
    made.server.stop()
    made.pipeline.close()


# -- files


def replace(path: Path) -> None:
    """Put another file in a file's place, as a pipeline does."""
    other = path.with_suffix(".new")
    other.write_bytes(b"y" * len(LARGE))
    os.replace(other, path)


WAYS: list[tuple[str, Callable[[Path], None]]] = [("whole", Path.unlink), ("whole", replace)]
WAYS += [("broken off", lambda path: os.truncate(path, 1000))]


def fetch(site: Site, target: str, vanish: Callable[[Path], None], headers: dict[str, str]) -> str:
    """Download while something happens to the file: ``whole``, ``broken off``, or what else was seen."""
    site.file.parent.mkdir(parents=True, exist_ok=True)
    site.file.write_bytes(LARGE)
    with contextlib.closing(HTTPConnection("127.0.0.1", site.server.port, timeout=20)) as connection:
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        received = answer.read(1000)
        vanish(site.file)
        try:
            received += answer.read()
        except TimeoutError:
            return "left waiting"
        except (OSError, HTTPException):
            return "broken off"
    if "bulk" in target:
        with tarfile.open(fileobj=io.BytesIO(received)) as archive, archive.extractfile(site.file.name) as member:  # type: ignore[union-attr]
            received = member.read()
    expected = LARGE[500:] if headers else LARGE
    return "whole" if received == expected else f"wrong: {len(received)} bytes"


def test_file_that_vanishes_while_it_is_sent_arrives_whole_or_recognisably_not(site: Site, report: Report) -> None:
    targets = [(site.download, {}), (site.download, {"Range": "bytes=500-"})]
    targets += [(f"/api/v1/images/bulk-download?ids={site.image}&format=tar", {})]
    downloads = Tally()
    ends_s = time.monotonic() + lasting(30, 0)
    with site.load(pause_s=0.01) as load:
        while not downloads.sent or time.monotonic() < ends_s:
            for target, headers in targets:
                for expected, vanish in WAYS:
                    found = fetch(site, target, vanish, headers)
                    assert found == expected, (target, headers, vanish)
                    downloads += Tally(sent=1, right=found == "whole", lost=found != "whole")
    site.file.unlink(missing_ok=True)
    gone = site.server.get(site.download)
    assert (gone.status, gone.json()["error"]) == (404, "FILE_NOT_ACCESSIBLE")
    assert load.tally.right == load.tally.sent, load.tally
    outcome = (
        "removed or replaced: the file arrives as it was; cut short: the connection is broken off (lost), so that "
        "nobody takes a part for the whole or the next answer for the rest"
    )
    report("FITS files vanish while they are sent", outcome, load, downloads)


# -- clients


def leave(site: Site, target: str) -> None:
    """Ask, read a little of the answer or nothing, and be gone."""
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=20) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        if site.leaving % 4:
            connection.recv(4096)
        if site.leaving % 2:  # not even a farewell: the server gets a reset
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    site.leaving += 1


def test_clients_that_leave_in_the_middle_leave_nothing_behind(site: Site, report: Report) -> None:
    site.file.write_bytes(LARGE)
    targets = [site.download, STREAM, "/api/v1/images?limit=20", "/api/v1/photometry?format=votable"]
    targets += [f"/api/v1/images/bulk-download?ids={site.image}&format=zip"]
    with site.load(clients=16) as load:  # opens what every thread keeps open
        load.wait_for_more(400)
    for target in targets:
        site.server.get(target)
    quiet(site)
    held = site.held()
    leavers = counting(10_000, 40)
    with site.load(pause_s=0.005) as load:
        for n in range(leavers):
            leave(site, targets[n % len(targets)])
    quiet(site)
    after = site.held()
    assert after.descriptors <= held.descriptors, (held, after)
    assert after.threads <= MOST_THREADS
    assert after.temporary_files == 0
    assert load.tally.right == load.tally.sent, load.tally
    outcome = f"{leavers} left, half of them by a reset: no descriptor, thread or temporary file remains"
    report("Clients disconnect in the middle of an answer", outcome, load)


# -- a day


def test_memory_does_not_grow_over_a_day_of_requests(site: Site, report: Report) -> None:
    wanted = counting(1_000_000, 1500)
    with site.load(pause_s=0.0, limit_s=7200.0) as load:
        load.wait_for(lambda tally: tally.sent > wanted * 0.3, 3600)
        before = sum(map(pss_mb, site.server.worker_pids))
        pids = site.server.worker_pids
        samples = []
        for part in range(1, 8):
            load.wait_for(lambda tally, part=part: tally.sent > wanted * (0.3 + 0.1 * part), 3600)  # type: ignore[misc]
            samples.append(sum(map(pss_mb, site.server.worker_pids)))
    assert load.tally.right == load.tally.sent, load.tally
    assert site.server.worker_pids == pids, "workers were replaced, so this proves nothing"
    after = statistics.median(samples[-3:])
    assert after < before + 8, samples
    outcome = f"memory of the workers (PSS): {before:.0f} MB after a third of them, {after:.0f} MB at the end"
    report("A day's worth of requests", outcome, load)
