"""No room left: for the log, for the pictures that are kept, for what is written down of writes."""

from __future__ import annotations

import contextlib
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.faults.conftest import KEY, Report, StartServer
from tests.support.faults import SmallDisk, lasting, may_mount
from tests.support.load import Load, Tally, Truth, answers_of, is_clean_refusal
from tests.support.pipeline import Pipeline
from tests.support.radio_images import write_image
from tests.support.server import Reply, Server

pytestmark = pytest.mark.live

PNG = b"\x89PNG\r\n\x1a\n"


class ServerOnSmallDisk(Server):
    """A server whose log, state and cache lie on a disk of a megabyte."""

    def __init__(self, directory: Path, pipeline: Pipeline | None = None, **settings: str) -> None:
        self.disk = SmallDisk(directory / "small")
        state = {"DSA110_API_STATE_DIR": str(self.disk.directory / "api")}
        super().__init__(directory, pipeline, before=self.disk.command, **{**settings, **state})

    @property
    def log(self) -> str:
        """Everything it wrote, as far as there was room."""
        if not hasattr(self, "process"):
            return ""
        with contextlib.suppress(OSError):
            return (self.disk.seen_by(self.process.pid) / "server.log").read_text("utf-8", "replace")
        return ""


def rate(server: Server) -> Reply:
    """Write something of our own."""
    with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        headers = {**KEY, "Content-Type": "application/json"}
        comment = f'{{"rating": 4, "confidence": "true", "comment": "{"x" * 900}"}}'
        connection.request("POST", "/api/v1/images/1/rating", comment, headers)
        answer = connection.getresponse()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())


def is_picture(_target: str, reply: Reply, _mark: object, _sent_s: float) -> bool:
    """Whether an answer is a whole picture."""
    return reply.status == 200 and reply.body.startswith(PNG) and reply.body.endswith(b"IEND\xaeB`\x82")


def test_disk_that_is_full_stops_writes_alone(
    start_server: StartServer, survey: Pipeline, tmp_path: Path, report: Report
) -> None:
    if not may_mount():
        pytest.skip("a small disk can be mounted neither by this user nor in a namespace of its own")
    data = tmp_path / "server0" / "data"
    number = survey.make_image(path=str(write_image(data / "small.fits")), created_at=0.0)
    truth = Truth(answers_of(survey))
    server = start_server(survey, kind=ServerOnSmallDisk, DSA110_LOG_REQUESTS="true")
    assert isinstance(server, ServerOnSmallDisk)
    assert rate(server).status == 200
    pictures = [f"/api/v1/images/{number}/thumbnail?size={size}" for size in range(32, 232)]
    writes = Tally()
    log_is_at = Path(f"{server.disk.seen_by(server.process.pid)}/server.log").stat
    with server.disk.full(server.process.pid):
        written = log_is_at().st_size
        with (
            Load.of(server.port, truth, clients=3, limit_s=120) as reads,
            Load(server.port, pictures, is_picture, clients=1) as drawn,
        ):
            reads.wait_for_more(100)
            drawn.wait_for_more(5)
            assert server.get("/metrics").status == 200  # writes down first what is not written down yet
            ends_s = time.monotonic() + lasting(20, 0)
            while writes.sent < 40 or time.monotonic() < ends_s:
                # What fits into pages that are there already is still written, and then it is kept.
                asked_s = time.monotonic()
                reply = rate(server)
                took_s = time.monotonic() - asked_s
                kept, clean = reply.status == 200, is_clean_refusal(reply)
                writes += Tally(1, kept, clean, 0, not (clean or kept), took_s, (str(reply),))
        room = log_is_at().st_size - written
    assert writes.wrong == 0, writes
    assert writes.refused > 0, writes
    assert reads.tally.right == reads.tally.sent > 100, reads.tally
    assert drawn.tally.right == drawn.tally.sent >= 5, drawn.tally
    assert room < 100 * reads.tally.sent, "the log was written to, so this proves nothing"

    server.wait_until(lambda: rate(server).status == 200)
    given = server.get("/api/v1/images/1/ratings?limit=1").json()
    server.wait_until(lambda: '"/api/v1/images/1/ratings"' in server.log)
    assert given["count"] == 1 + writes.right + 1
    report(
        "The disk is full: log", "no line is written, no request is refused; written again once there is room", reads
    )
    report("The disk is full: kept pictures", "each is made, and sent whole", drawn)
    state = Load(server.port, [], is_picture, clients=0)
    state.started_s, state.ended_s = reads.started_s, reads.ended_s
    report(
        "The disk is full: state", "writes get 503 and leave nothing half done; accepted again with room", state, writes
    )
