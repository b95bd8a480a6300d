"""Readiness: everything that a request may need, looked at all at once and waited for only so long."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

from app.config import Settings
from app.db import probe
from app.db.inspection import inspect, missing
from app.domain.errors import ContimgError, DatabaseUnavailable
from app.domain.readiness import LEAST_FREE_BYTES, Check, Readiness
from app.queue.engine import FILE_NAME, Engine
from app.services.probes import Probes

# A load balancer wants its answer within two seconds.
WITHIN_S = 1.5
_LOCKED_FOR_S = 1.0
# So long one finding holds: many proxies that ask at once cost one look.
_HOLDS_S = 0.25

Look = Callable[[], str]


class ReadinessService:
    """Looks whether requests can be answered.

    Parameters
    ----------
    looks
        What is looked at, by name: each says what it found, or raises.
    within_s
        Time for all of them together, since they run side by side [s].

    Notes
    -----
    A look that hangs, as on a disk that is gone, keeps its one thread; it is told as failed each time, at once where
    its time has passed, and not started a second time.
    """

    def __init__(self, looks: Mapping[str, Look], *, within_s: float = WITHIN_S) -> None:
        self._looks = dict(looks)
        self._within_s = within_s
        self._probes: Probes[Check] = Probes()
        self._known: dict[str, tuple[float, Check]] = {}

    def report(self, leave_out: Collection[str] = ()) -> Readiness:
        """What was found; ``leave_out`` names what the asker can do without."""
        wanted = [name for name in self._looks if name not in leave_out]
        due = time.monotonic() - _HOLDS_S
        known = {name: check for name, (at, check) in self._known.copy().items() if at > due}
        looks = {name: partial(_checked, name, self._looks[name]) for name in wanted if name not in known}
        found = self._probes.run(looks, self._within_s)
        at = time.monotonic()
        self._known.update({name: (at, check) for name, check in found.items() if check is not None})
        late = f"no answer within {self._within_s:g} s"
        return Readiness(tuple(known.get(name) or found.get(name) or Check(name, False, late) for name in wanted))


def looks(settings: Settings, queue: Engine) -> dict[str, Look]:
    """What this service needs, by name: databases, their schema, a place to write, room there, the queue."""
    return {
        "products": partial(_readable, "products", settings.products_db),
        "cal_registry": partial(_registry, settings.cal_registry_db),
        "schema": partial(_schema, settings.products_db),
        "state": partial(_writable, settings.api_state_dir),
        "disk": partial(_room, settings.api_state_dir),
        "queue": partial(_queue, queue, settings.api_state_dir / FILE_NAME),
    }


def _checked(name: str, look: Look) -> Check:
    try:
        return Check(name, True, look())
    except DatabaseUnavailable as error:
        return Check(name, False, error.reason)
    except ContimgError as error:
        return Check(name, False, error.message)
    except OSError as error:
        return Check(name, False, error.strerror or type(error).__name__)


def _readable(name: str, path: Path) -> str:
    try:
        probe.look(path, name, timeout_s=_LOCKED_FOR_S)
    except FileNotFoundError as error:
        raise DatabaseUnavailable(name, "the file does not exist") from error
    return "readable"


def _registry(path: Path) -> str:
    """The registry may be absent, since answers do without it; one that is there must be readable."""
    try:
        probe.look(path, "cal_registry", timeout_s=_LOCKED_FOR_S)
    except FileNotFoundError:
        return "absent"
    return "readable"


def _schema(path: Path) -> str:
    facts = inspect(path, "products", timeout_s=_LOCKED_FOR_S)
    lacking = [table.name for table, _, fatal in missing(facts, "main") if fatal]
    if lacking:
        raise DatabaseUnavailable("products", f"no tables that the pipeline makes: {', '.join(sorted(lacking))}")
    return f"known ({facts.generation})"


def _writable(directory: Path) -> str:
    directory.mkdir(parents=True, exist_ok=True)
    # Permissions alone tell nothing of quotas or of a file system that turned read-only.
    with tempfile.TemporaryFile(dir=directory, buffering=0) as trial:
        trial.write(b"\0" * 4096)
    # What somebody else has put there, such as a database restored by root, tells nothing of what we may make.
    for file in sorted(directory.glob("*.sqlite3")):
        if not os.access(file, os.W_OK):
            raise OSError(0, f"{file.name} cannot be written to")
    return "writable"


def _room(directory: Path) -> str:
    nearest = next(place for place in (directory, *directory.parents) if place.exists())
    free = shutil.disk_usage(nearest).free
    if free < LEAST_FREE_BYTES:
        raise OSError(0, f"only {free // 2**20} MiB free in the state directory")
    return f"{free / 2**30:.1f} GiB free"


def _queue(queue: Engine, file: Path) -> str:
    if queue.kind != "sqlite":
        queue.read("readyz")
        return "reachable"
    # Not by a connection that may write: the last one to close folds in the log and holds up whoever opens the next.
    try:
        probe.look(file, "queue", timeout_s=_LOCKED_FOR_S)
    except FileNotFoundError:
        return "not made yet"
    return "reachable"
