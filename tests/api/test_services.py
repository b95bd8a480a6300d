"""The services monitor: over HTTP, and against neighbours that answer in every way a neighbour can."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from flask.testing import FlaskClient

from app.domain.errors import NotFound
from app.domain.health import Health
from app.domain.monitored import Target
from app.services.monitor import MonitorService
from tests.support.neighbours import closed_port, http, neighbour

ANSWERS: dict[str, tuple[bytes | None, str | None, str, str | None]] = {
    # name: (what it sends, HTTP path or None for Redis, status, error)
    "web": (http("200 OK"), "/", "running", None),
    "moved": (http("302 Found"), "/", "running", None),
    "missing": (http("404 Not Found"), "/", "degraded", "HTTP 404"),
    "broken": (http("500 Oops"), "/", "degraded", "HTTP 500"),
    "babble": (b"\x00\xff gibberish\r\n" * 40, "/", "error", None),
    "mute": (b"", "/", "error", None),
    "redis": (b"+PONG\r\n", None, "running", None),
    "locked redis": (b"-NOAUTH Authentication required.\r\n", None, "degraded", "-NOAUTH Authentication required."),
    "silent": (None, "/", "error", "Connection timeout"),
    "silent redis": (None, None, "error", "Connection timeout"),
}


def health(status: str = "healthy") -> Health:
    """A health report."""
    return Health(status, "dsa110-contimg-api", "1.0.0", "v1", 0.0)  # type: ignore[arg-type]


def monitor(*targets: Target, own_port: int = 1, timeout_s: float = 0.3, status: str = "healthy") -> MonitorService:
    """A monitor of those."""
    return MonitorService(own_port, lambda: health(status), timeout_s, targets)


@pytest.fixture(scope="module")
def neighbours() -> Iterator[dict[str, Target]]:
    """One neighbour of each kind."""
    with ExitStack() as stack:
        yield {
            name: Target(name, stack.enter_context(neighbour(answer)), "", path)
            for name, (answer, path, _, _) in ANSWERS.items()
        }


@pytest.mark.parametrize("name", ANSWERS)
def test_what_a_neighbour_answers_tells_how_it_is(neighbours: dict[str, Target], name: str) -> None:
    _, _, status, error = ANSWERS[name]
    state = monitor(neighbours[name]).get(neighbours[name].port)
    assert state.status == status
    assert error is None or state.error == error
    assert (state.error is None) == (status == "running")
    assert len(state.error or "") <= 100


def test_nobody_listening_is_stopped() -> None:
    state = monitor(Target("none", port := closed_port(), "", "/")).get(port)
    assert (state.status, state.error) == ("stopped", "Connection refused")


def test_neighbours_are_asked_side_by_side(neighbours: dict[str, Target]) -> None:
    slow = [neighbours["silent"]._replace(name=f"silent {number}") for number in range(8)]
    started = time.monotonic()
    overview = monitor(*slow).overview()
    assert time.monotonic() - started < 7 * 0.3
    assert [service.status for service in overview.services].count("error") == 8


def test_summary_counts_what_does_not_run_as_stopped(neighbours: dict[str, Target]) -> None:
    summary = monitor(neighbours["web"], neighbours["missing"], neighbours["silent"]).overview().summary
    assert (summary.total, summary.running, summary.stopped) == (4, 2, 2)


def test_this_service_answers_for_itself_without_a_request_to_itself() -> None:
    own_port = closed_port()  # a request there would be refused
    state = monitor(own_port=own_port).get(own_port)
    assert (state.name, state.status, state.error) == ("FastAPI Backend", "running", None)
    assert state.details == {
        "status": "healthy", "service": "dsa110-contimg-api", "version": "1.0.0", "api_version": "v1",
        "timestamp": "1970-01-01T00:00:00Z",
    }  # fmt: skip


def test_this_service_is_degraded_where_its_health_is() -> None:
    assert monitor(status="degraded").get(1).status == "degraded"


def test_a_neighbour_on_our_own_port_is_not_asked_since_it_could_only_be_ourselves() -> None:
    names = [service.name for service in monitor(Target("Docs", 1, "", "/"), own_port=1).overview().services]
    assert names == ["FastAPI Backend"]


def test_unknown_port_is_not_found() -> None:
    with pytest.raises(NotFound, match="Service not found: 2"):
        monitor(own_port=1).get(2)


def test_every_service_is_listed_with_a_number_as_response_time(client: FlaskClient) -> None:
    body = client.get("/api/services/status").get_json()
    assert [(service["port"], service["name"]) for service in body["services"]] == [
        (3000, "Vite Dev Server"), (3030, "Grafana"), (6379, "Redis"), (8000, "FastAPI Backend"), (8001, "MkDocs"),
        (9090, "Prometheus"),
    ]  # fmt: skip
    for service in body["services"]:
        assert set(service) == {
            "name", "port", "description", "status", "responseTime", "lastChecked", "error", "details",
        }  # fmt: skip
        assert isinstance(service["responseTime"], float)
        assert service["lastChecked"].endswith("Z")
    assert body["summary"]["total"] == 6
    assert body["timestamp"].endswith("Z")


def test_own_port_is_the_one_configured(environ: dict[str, str], client: FlaskClient) -> None:
    own = client.get("/api/v1/services/status/8000").get_json()
    assert (own["name"], own["status"]) == ("FastAPI Backend", "running")


@pytest.mark.parametrize(
    ("port", "status"),
    [("9", 404), ("-8000", 404), ("x", 422), ("8000.0", 422), ("８０００", 422), ("9" * 20, 404), ("9" * 4000, 404)],
)
def test_ports_that_are_not_monitored_or_no_ports(client: FlaskClient, port: str, status: int) -> None:
    assert client.get(f"/api/services/status/{port}").status_code == status


def test_missing_service_names_itself(client: FlaskClient) -> None:
    body = client.get("/api/services/status/9").get_json()
    assert (body["error"], body["details"]["entity_type"]) == ("RECORD_NOT_FOUND", "Service")
