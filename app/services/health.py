"""Health reports, quick even where a probe hangs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from app.db import probe
from app.domain.errors import DatabaseError, DatabaseUnavailable
from app.domain.health import (
    API_VERSION,
    LONGEST_REASON,
    SERVICE,
    VERSION,
    DiskSpace,
    Health,
    RedisState,
    disk_space,
    is_well,
)
from app.services import redis
from app.services.probes import Probes

_LATE = "No answer in time"
_ABSENT = "absent"


class HealthService:
    """Looks at what this service leans on.

    Parameters
    ----------
    databases
        Files by logical name.
    redis_url
        The Redis to look at.
    disk_paths
        Directories whose free space matters.
    timeout_s
        Time for all probes together, since they run side by side [s].
    now
        The time, in Unix seconds.
    """

    def __init__(
        self,
        databases: Mapping[str, Path],
        redis_url: str,
        disk_paths: tuple[Path, ...],
        timeout_s: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._timeout_s = timeout_s
        self._now = now
        self._databases = {name: partial(self._database, name, path) for name, path in databases.items()}
        self._disks = {str(path): partial(_disk, path) for path in disk_paths}
        self._redis = partial(redis.look, redis_url, timeout_s=timeout_s)
        self._probes: Probes[Any] = Probes()

    def report(self, *, detailed: bool = False) -> Health:
        """How the service is; in detail, how everything it leans on is. Never fails."""
        if not detailed:
            return Health("healthy", SERVICE, VERSION, API_VERSION, self._now())
        # Names of different families must not meet, hence the prefixes.
        named: dict[str, Callable[[], Any]] = {f"database {name}": look for name, look in self._databases.items()}
        named |= {f"disk {name}": look for name, look in self._disks.items()}
        found = self._probes.run({**named, "redis": self._redis}, self._timeout_s)
        databases = {name: found[f"database {name}"] or f"error: {_LATE}" for name in self._databases}
        disks = {name: found[f"disk {name}"] or DiskSpace(None, "error") for name in self._disks}
        disk = {name: space for name, space in disks.items() if space != _ABSENT}
        state = found["redis"] or RedisState("error", message=_LATE)
        status: Literal["healthy", "degraded"] = "healthy" if is_well(databases, state, disk) else "degraded"
        return Health(status, SERVICE, VERSION, API_VERSION, self._now(), databases, state, disk)

    def _database(self, name: str, path: Path) -> str:
        try:
            probe.look(path, name, timeout_s=self._timeout_s)
        except FileNotFoundError:
            return "not_found"
        except DatabaseUnavailable as error:
            return f"error: {error.reason[:LONGEST_REASON]}"
        except DatabaseError as error:
            return f"error: {error.message[:LONGEST_REASON]}"
        return "ok"


def _disk(path: Path) -> DiskSpace | str:
    try:
        return disk_space(shutil.disk_usage(path).free)
    except FileNotFoundError:
        return _ABSENT
    except OSError:
        return DiskSpace(None, "error")
