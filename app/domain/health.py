"""Health: whether this service and what it leans on are well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

SERVICE = "dsa110-contimg-api"
# What clients and probes compare with; the package's version stands in the OpenAPI document.
VERSION = "1.0.0"
API_VERSION = "v1"

OK_ABOVE_GB = 5.0
WARNING_ABOVE_GB = 1.0
LONGEST_REASON = 50

DiskStatus = Literal["ok", "warning", "critical", "error"]
RedisStatus = Literal["ok", "unavailable", "error", "unknown"]


class DiskSpace(NamedTuple):
    """Free space of a file system [GiB]; ``None`` where it could not be told."""

    free_gb: float | None
    status: DiskStatus


class RedisState(NamedTuple):
    """Whether Redis answers, and its version or what is wrong."""

    status: RedisStatus
    version: str | None = None
    message: str | None = None


class Health(NamedTuple):
    """A health report; the last three only in a detailed one. ``timestamp`` in Unix seconds."""

    status: Literal["healthy", "degraded"]
    service: str
    version: str
    api_version: str
    timestamp: float
    databases: Mapping[str, str] | None = None
    redis: RedisState | None = None
    disk: Mapping[str, DiskSpace] | None = None


def disk_space(free_bytes: int) -> DiskSpace:
    """Free space judged: more than 5 GiB is ok, more than 1 GiB a warning."""
    free_gb = free_bytes / 2**30
    status: DiskStatus = "ok" if free_gb > OK_ABOVE_GB else "warning" if free_gb > WARNING_ABOVE_GB else "critical"
    return DiskSpace(round(free_gb, 2), status)


def is_well(databases: Mapping[str, str], redis: RedisState, disk: Mapping[str, DiskSpace]) -> bool:
    """Whether nothing is wrong that a person should see to. Redis may be absent, since nothing here needs it."""
    return (
        all(state == "ok" for state in databases.values())
        and redis.status in {"ok", "unavailable"}
        and all(space.status != "critical" for space in disk.values())
    )
