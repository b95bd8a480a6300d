"""The service as operators run it: behind systemd's socket, behind nginx.

The files are those of docs/operations, with addresses and directories of the test in them.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from email.message import Message
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection, RemoteDisconnected
from pathlib import Path

import pytest
import yaml

from tests.support.neighbours import closed_port, neighbour
from tests.support.pipeline import Pipeline, worked_example
from tests.support.proxies import OPERATIONS, is_problem, needed, nginx
from tests.support.restless import RestlessClients
from tests.support.server import ROOT, Reply, Server, environment
from tests.support.socket_activation import SocketUnit

pytestmark = pytest.mark.live

QUIET = {"DSA110_LOG_REQUESTS": "false"}


# -- one host, restarted


def test_neither_reload_nor_restart_loses_a_request(tmp_path: Path, pipeline: Pipeline) -> None:
    """Clients keep asking without ever trying anything twice, on kept connections and on new ones."""
    worked_example(pipeline)
    with SocketUnit(tmp_path / "unit", environment(tmp_path / "unit", pipeline, **QUIET)) as unit:
        with RestlessClients(
            unit.port, ("/api/v1/images/7", "/api/images?limit=3", "/readyz"), keeping=2, fresh=2
        ) as load:
            load.wait_for(100)
            first = unit.workers
            unit.reload()
            load.wait_for(50)
            unit.restart()
            load.wait_for(50)
        assert load.lost == []
        assert load.refused == []
        assert not unit.workers & first
        assert "Traceback" not in unit.log


# -- several workers


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gunicorn with two workers, room for streams, and something to follow."""
    directory = tmp_path_factory.mktemp("watched")
    with Pipeline(directory / "state", "orm") as pipeline:
        worked_example(pipeline)
        pipeline.make_ms(PENDING_MS, stage="ingested", status=None, processed_at=None)
        with Server(directory / "server", pipeline, DSA110_MAX_STREAMS="8", DSA110_THREADS="10", **QUIET) as server:
            yield server


def test_gauges_are_right_under_several_workers_and_after_one_is_killed(watched: Server) -> None:
    server = watched

    def gauge(name: str) -> float:
        found = re.search(rf"^{name} (\S+)$", server.get("/metrics").body.decode(), re.MULTILINE)
        assert found is not None, name
        return float(found[1])

    streams = [open_stream(server.port) for _ in range(6)]
    assert [stream.getresponse().status for stream in streams] == [200] * 6
    server.wait_until(lambda: gauge("dsa110_streams_open") == 6, 5)
    assert gauge("dsa110_http_workers") == 2
    assert 1e7 < gauge("dsa110_http_worker_memory_bytes") < 2e9
    streams.pop().close()
    server.wait_until(lambda: gauge("dsa110_streams_open") == 5, 5)
    for victim in server.worker_pids:
        os.kill(victim, signal.SIGKILL)
        server.wait_until(lambda dead=victim: dead not in server.worker_pids and len(server.worker_pids) == 2)
    server.wait_until(lambda: gauge("dsa110_streams_open") == 0, 5)
    assert gauge("dsa110_http_workers") == 2
    for stream in streams:
        stream.close()


def open_stream(port: int) -> HTTPConnection:
    """A stream of events that goes on: of a measurement set that is not processed yet."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", f"/api/jobs/{PENDING_RUN}/events")
    return connection


def test_stream_that_is_left_open_is_no_slow_answer(watched: Server) -> None:
    """Alerts go by how long it takes until an answer begins; a stream goes on for as long as its client likes."""

    def figure(name: str) -> float:
        page = watched.get("/metrics").body.decode()
        found = re.search(rf'^http_request_duration_seconds_{name}{{handler="[^"]*/events",[^}}]*}} (\S+)$', page, re.M)
        return float(found[1]) if found else 0.0

    before, seconds = figure("count"), figure("sum")
    stream = open_stream(watched.port)
    assert stream.getresponse().status == 200
    time.sleep(1.5)
    stream.close()
    watched.wait_until(lambda: figure("count") == before + 1, 5)
    assert figure("sum") - seconds < 1.0


PENDING_MS = "/stage/ms/2025-11-20T01:02:03.ms"
PENDING_RUN = "job-2025-11-20-010203"


# -- the files that operators copy


@pytest.mark.parametrize("name", sorted(path.name for path in OPERATIONS.glob("contimg-*.*") if path.suffix != ".env"))
def test_unit_is_one_that_systemd_takes(name: str, tmp_path: Path) -> None:
    verify = needed("systemd-analyze")
    for path in OPERATIONS.glob("contimg-*.*"):
        # Programs and users of a host that is not this one.
        text = path.read_text().replace("/opt/contimg-api/bin/gunicorn", "/bin/true")
        text = text.replace("/opt/contimg-api/bin/contimg-api", "/bin/true").replace("User=contimg-api", "User=root")
        (tmp_path / path.name).write_text(text.replace("Group=contimg-api", "Group=root"))
    done = subprocess.run(
        [verify, "verify", "--man=no", str(tmp_path / name)], capture_output=True, text=True, timeout=30, check=False,
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{tmp_path}:", "SYSTEMD_LOG_LEVEL": "info"},
    )  # fmt: skip
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if "contimg-" in line]
    assert complaints == []


def unit(name: str) -> dict[str, str]:
    """Directives of a unit."""
    lines = (OPERATIONS / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


# What systemd makes of a unit: 0 for what may do nothing, 10 for what may do everything.
@pytest.mark.parametrize(
    ("name", "most"), [("contimg-api.service", 2.5), ("contimg-worker.service", 2.5), ("contimg-backup.service", 1.5)]
)
def test_units_are_hardened(name: str, most: float, tmp_path: Path) -> None:
    (tmp_path / name).write_text((OPERATIONS / name).read_text())
    done = subprocess.run(
        [needed("systemd-analyze"), "security", "--offline=true", "--no-pager", str(tmp_path / name)],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    assert float(found[1]) <= most, done.stdout


@pytest.mark.parametrize("name", ["contimg-worker.service", "contimg-backup.service"])
def test_other_units_may_do_no_more_than_the_service_but_write_where_their_work_is(name: str) -> None:
    service, other = unit("contimg-api.service"), unit(name)
    hardening = [key for key in service if key.startswith(("Protect", "Private", "Restrict", "Capability", "System"))]
    assert len(hardening) > 15
    for key in hardening:
        assert other[key] == service[key] or set(other[key].split()) < set(service[key].split()), key


def test_workers_are_replaced_before_the_kernel_ends_one() -> None:
    from app.config import Settings
    from app.web.memory import FAR

    environ = dict(re.findall(r"(?m)^(DSA110_WORKERS)=(.*)$", (OPERATIONS / "contimg-api.env").read_text()))
    settings = Settings.from_environment(environ)
    most_mib = int(unit("contimg-api.service")["MemoryMax"].removesuffix("G")) * 1024
    assert settings.workers * settings.worker_memory_mib * FAR < most_mib


def test_units_take_what_the_service_needs() -> None:
    service = (OPERATIONS / "contimg-api.service").read_text()
    for line in ("Type=notify", "NoNewPrivileges=yes", "ProtectSystem=strict", "Requires=contimg-api.socket"):
        assert line in service.splitlines()
    stop_s = int(re.findall(r"^TimeoutStopSec=(\d+)$", service, re.MULTILINE)[0])
    from app.config import Settings

    assert stop_s > Settings.from_environment({}).request_timeout_s + 5, "gunicorn's own patience"


def test_environment_file_is_understood() -> None:
    from app.config import Settings

    lines = [line for line in (OPERATIONS / "contimg-api.env").read_text().splitlines() if not line.startswith("#")]
    values = dict(line.split("=", 1) for line in lines)
    values["DSA110_API_KEYS"] = values["DSA110_API_KEYS"] or "one_that_the_operator_made_up_0123456789"
    assert Settings.from_environment(values).environment == "production"


def test_logrotate_takes_its_file(tmp_path: Path) -> None:
    program = needed("logrotate")
    path = tmp_path / "logrotate.conf"
    path.write_text(re.sub(r"(?m)^    su .*$", "    su root root", (OPERATIONS / "logrotate.conf").read_text()))
    path.chmod(0o644)
    done = subprocess.run([program, "-d", str(path)], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower()


def test_container_copies_what_there_is() -> None:
    text = (OPERATIONS / "Containerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE) for word in line.split()]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)


@pytest.fixture(scope="module")
def metric_names(watched: Server) -> set[str]:
    """Names of samples that /metrics can tell."""
    watched.get("/api/images")
    # A scrape may fall between two metrics of one request; all are there once the last one is counted.
    counted = re.compile(rb'^http_request_duration_seconds_count\{handler="/api/(?:v1/)?images', re.MULTILINE)
    watched.wait_until(lambda: counted.search(watched.get("/metrics").body), 5)
    return {"up", *re.findall(r"^([a-z_]\w*)(?:\{| )", watched.get("/metrics").body.decode(), re.MULTILINE)}


def names_in(expression: str) -> set[str]:
    """Names of metrics in a query."""
    without = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"|\b(by|on) \([^)]*\)", " ", expression)
    return set(re.findall(r"\b(?:up|(?:dsa110|http)_\w+)\b", without))


def test_alerts_ask_for_metrics_that_there_are_and_name_a_section_of_the_run_book(metric_names: set[str]) -> None:
    (group,) = yaml.safe_load((OPERATIONS / "alerts.yml").read_text())["groups"]
    book = (OPERATIONS / "runbook.md").read_text()
    sections = {
        re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^## (.+)$", book, re.M)
    }
    assert len(group["rules"]) > 10
    for rule in group["rules"]:
        # What did not change for a day has not on a host that is new either: such an alert looks for a day before.
        for span in re.findall(r"\bchanges\(\w+\[(\w+)\]\) == 0", rule["expr"]):
            assert f" offset {span}" in rule["expr"], rule["alert"]
            assert rule["for"], rule["alert"]
        assert names_in(rule["expr"]), rule["alert"]
        assert names_in(rule["expr"]) - metric_names == set(), rule["alert"]
        document, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / document).is_file()
        assert anchor in sections, rule["alert"]


def test_dashboard_asks_for_metrics_that_there_are(metric_names: set[str]) -> None:
    dashboard = json.loads((OPERATIONS / "grafana-dashboard.json").read_text())
    asked: set[str] = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            assert names_in(target["expr"]), panel["title"]
            asked |= names_in(target["expr"])
    assert asked - metric_names == set()
    assert {"dsa110_queue_jobs", "dsa110_streams_open", "dsa110_sql_statements_total", "http_requests_total"} <= asked
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(numbers) == len(set(numbers))


# -- behind nginx


def test_nginx_hands_on_paths_sends_files_itself_and_does_not_hold_streams_back(
    tmp_path: Path, pipeline: Pipeline
) -> None:
    worked_example(pipeline)
    data = tmp_path / "server" / "data"
    data.mkdir(parents=True)
    (data / "a b.fits").write_bytes(bytes(range(256)) * 1000)
    number = pipeline.make_image(path=str(data / "a b.fits"))
    pipeline.make_ms(PENDING_MS, stage="ingested", status=None, processed_at=None)
    with (
        Server(tmp_path / "server", pipeline, DSA110_ACCEL_PREFIX="/protected", DSA110_WORKERS="1") as server,
        nginx(tmp_path / "nginx", server.port, data) as port,
    ):
        trusts = ssl.create_default_context(cafile=str(tmp_path / "nginx" / "fullchain.pem"))

        def get(target: str) -> Reply:
            with closing(HTTPSConnection("127.0.0.1", port, timeout=20, context=trusts)) as connection:
                connection.request("GET", target)
                answer = connection.getresponse()
                return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

        assert get("/api/v1/ms/%2Fstage%2Fms%2F2025-10-31T13:49:06.ms/metadata").status == 200
        file = get(f"/api/v1/images/{number}/fits")
        assert (file.status, file.body) == (200, bytes(range(256)) * 1000)
        assert "x-accel-redirect" not in file.headers
        assert get(f"/protected{data}/a%20b.fits").status == 404
        assert get("/readyz").status == 200
        with closing(HTTPSConnection("127.0.0.1", port, timeout=20, context=trusts)) as foreign:
            foreign.request("GET", "/readyz", headers={"Host": "elsewhere.test"})
            with pytest.raises(RemoteDisconnected):
                foreign.getresponse()
        with closing(HTTPSConnection("127.0.0.1", port, timeout=20, context=trusts)) as stream:
            stream.request("GET", f"/api/jobs/{PENDING_RUN}/events")
            started = time.monotonic()
            assert stream.getresponse().readline() == b"retry: 2000\n"
            assert time.monotonic() - started < 3


PATH = "/api/v1/images"
OWN_WORDS = {
    "upstream away": (502, "BAD_GATEWAY", "2"),
    "upstream silent": (504, "GATEWAY_TIMEOUT", "10"),
    "long body": (413, "PAYLOAD_TOO_LARGE", None),
    "long address": (414, "URI_TOO_LONG", None),
    "long header field": (431, "REQUEST_HEADER_FIELDS_TOO_LARGE", None),
    "no HTTP": (400, "BAD_REQUEST", None),
    "internal": (404, "NOT_FOUND", None),
}


def test_what_nginx_itself_has_to_say_is_a_problem_like_every_other(tmp_path: Path) -> None:
    with (
        neighbour(None) as silent,
        nginx(tmp_path / "away", closed_port(), tmp_path) as away,
        nginx(tmp_path / "nginx", silent, tmp_path, patience="200ms") as port,
    ):

        def ask(port: int, start: str, *fields: str) -> tuple[int, Message, bytes]:
            trusts = ssl._create_unverified_context()
            with (
                socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
                trusts.wrap_socket(plain, server_hostname="localhost") as connection,
            ):
                connection.sendall("\r\n".join([start, *fields, "", ""]).encode())
                answer = HTTPResponse(connection)
                answer.begin()
                return answer.status, answer.headers, answer.read()

        get = f"GET {PATH} HTTP/1.1"
        host = "Host: localhost"
        said = {
            "upstream away": ask(away, get, host),
            "upstream silent": ask(port, get, host),
            "long body": ask(port, f"POST {PATH} HTTP/1.1", host, "Content-Length: 2000000"),
            "long address": ask(port, f"GET {PATH}?x={'x' * 20_000} HTTP/1.1", host),
            "long header field": ask(port, get, host, f"X-A: {'x' * 20_000}"),
            "no HTTP": ask(port, get, host, "Content-Length: no number"),
            "internal": ask(port, f"GET /protected{tmp_path}/x HTTP/1.1", host),
        }
    for name, (status, headers, body) in said.items():
        assert (status, headers["Content-Type"]) == (OWN_WORDS[name][0], "application/problem+json"), name
        assert headers["Retry-After"] == OWN_WORDS[name][2], name
        is_problem(body, *OWN_WORDS[name][:2])
    assert said.keys() == OWN_WORDS.keys()
