"""The services that work beside this one on its host, and how each is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Status = Literal["running", "stopped", "degraded", "error", "checking"]
LONGEST_ERROR = 100


class Target(NamedTuple):
    """A service to ask: by HTTP for ``path``, or by Redis' own protocol where ``path`` is ``None``."""

    name: str
    port: int
    description: str
    path: str | None


class Finding(NamedTuple):
    """What asking brought."""

    status: Status
    error: str | None = None
    details: Mapping[str, Any] | None = None


class ServiceState(NamedTuple):
    """How a service is; ``response_time_ms`` in milliseconds, ``last_checked`` in Unix seconds."""

    name: str
    port: int
    description: str
    status: Status
    response_time_ms: float
    last_checked: float
    error: str | None
    details: Mapping[str, Any] | None


class Summary(NamedTuple):
    """How many run; whatever does not run counts as stopped."""

    total: int
    running: int

    @property
    def stopped(self) -> int:
        """Those that do not run."""
        return self.total - self.running


class Overview(NamedTuple):
    """Every service; ``timestamp`` in Unix seconds."""

    services: list[ServiceState]
    summary: Summary
    timestamp: float


# Names, ports and texts are those that the dashboard's panel has always shown.
OWN_NAME = "FastAPI Backend"
OWN_DESCRIPTION = "REST API for pipeline data"
NEIGHBOURS = (
    Target("Vite Dev Server", 3000, "Frontend development server with HMR", "/"),
    Target("Grafana", 3030, "Metrics visualization dashboards", "/api/health"),
    Target("Redis", 6379, "API response caching", None),
    Target("MkDocs", 8001, "Documentation server (dev only)", "/"),
    Target("Prometheus", 9090, "Metrics collection and storage", "/-/healthy"),
)
