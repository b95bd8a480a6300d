"""The services monitor: every neighbour asked at once, this service answered for without asking."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from functools import partial
from http.client import HTTPConnection, HTTPException

from app.domain.errors import NotFound
from app.domain.health import Health
from app.domain.monitored import (
    LONGEST_ERROR,
    NEIGHBOURS,
    OWN_DESCRIPTION,
    OWN_NAME,
    Finding,
    Overview,
    ServiceState,
    Summary,
    Target,
)
from app.domain.time import iso_from_unix
from app.services.probes import Probes

HOST = "127.0.0.1"
_LATE = "Connection timeout"

Timed = tuple[Finding, float]


class MonitorService:
    """Asks services on this host how they are.

    Parameters
    ----------
    own_port
        The port that this service listens on; gunicorn puts the real one here once it is known.
    own_health
        This service's health, without a request to itself: with every thread busy that would wait for itself.
    timeout_s
        Time for all probes together, since they run side by side [s].
    neighbours
        Whom to ask.
    """

    def __init__(
        self,
        own_port: int,
        own_health: Callable[[], Health],
        timeout_s: float,
        neighbours: Iterable[Target] = NEIGHBOURS,
    ) -> None:
        self.own_port = own_port
        self._own_health = own_health
        self._timeout_s = timeout_s
        self._neighbours = tuple(neighbours)
        self._probes: Probes[Timed] = Probes()

    def overview(self) -> Overview:
        """How every service is."""
        services = self._ask(self._targets())
        running = sum(service.status == "running" for service in services)
        return Overview(services, Summary(len(services), running), time.time())

    def get(self, port: int) -> ServiceState:
        """How the service on one port is.

        Raises
        ------
        NotFound
            No monitored service listens there.
        """
        targets = [target for target in self._targets() if target.port == port]
        if not targets:
            raise NotFound("Service", port)
        return self._ask(targets)[0]

    def _targets(self) -> list[Target]:
        """By port. A neighbour on our own port could only be ourselves."""
        own = Target(OWN_NAME, self.own_port, OWN_DESCRIPTION, None)
        others = [target for target in self._neighbours if target.port != self.own_port]
        return sorted([*others, own], key=lambda target: target.port)

    def _ask(self, targets: list[Target]) -> list[ServiceState]:
        asked = {target.name: partial(self._timed, target) for target in targets}
        found = self._probes.run(asked, self._timeout_s)
        late = (Finding("error", _LATE), self._timeout_s)
        return [_state(target, *(found[target.name] or late)) for target in targets]

    def _timed(self, target: Target) -> Timed:
        started = time.perf_counter()
        finding = self._own() if target.name == OWN_NAME else look(target, self._timeout_s)
        return finding, time.perf_counter() - started

    def _own(self) -> Finding:
        health = self._own_health()
        shown = {**health._asdict(), "timestamp": iso_from_unix(health.timestamp)}
        details = {name: value for name, value in shown.items() if value is not None}
        return Finding("running" if health.status == "healthy" else "degraded", details=details)


def look(target: Target, timeout_s: float) -> Finding:
    """Ask one service, once.

    Parameters
    ----------
    target
        Whom.
    timeout_s
        Time for connecting, and again for each answer from the network [s].
    """
    try:
        return _ping_redis(target, timeout_s) if target.path is None else _get(target, target.path, timeout_s)
    except ConnectionRefusedError:
        return Finding("stopped", "Connection refused")
    except TimeoutError:
        return Finding("error", _LATE)
    except (OSError, HTTPException) as error:
        return Finding("error", (str(error) or type(error).__name__)[:LONGEST_ERROR])


def _get(target: Target, path: str, timeout_s: float) -> Finding:
    connection = HTTPConnection(HOST, target.port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    finally:
        connection.close()
    return Finding("running") if status < 400 else Finding("degraded", f"HTTP {status}")


def _ping_redis(target: Target, timeout_s: float) -> Finding:
    with socket.create_connection((HOST, target.port), timeout=timeout_s) as connection:
        connection.sendall(b"PING\r\n")
        answer = connection.recv(LONGEST_ERROR)
    if answer.startswith(b"+PONG"):
        return Finding("running")
    return Finding("degraded", answer.decode("utf-8", "replace").strip() or "No answer")


def _state(target: Target, finding: Finding, seconds: float) -> ServiceState:
    return ServiceState(
        name=target.name,
        port=target.port,
        description=target.description,
        status=finding.status,
        response_time_ms=round(seconds * 1000, 2),
        last_checked=time.time(),
        error=finding.error,
        details=finding.details,
    )
