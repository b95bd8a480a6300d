"""What the doctor says of whole files, and of what readiness looks at beside databases."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from app.config import Settings
from app.db import probe
from app.domain.diagnosis import Check
from app.domain.errors import ContimgError, DatabaseUnavailable
from app.queue.engine import Engine
from app.services.probes import Probes
from app.services.readiness import ReadinessService, looks

_LOCKED_FOR_S = 2.0
# So long one file is read for damage; about 700 MiB are looked at in that time.
_READS_FOR_S = 3.0


def whole(name: str, path: Path) -> Check:
    """Whether a database is free of damage, as far as can be seen within a few seconds."""
    what, look = f"{name} content", partial(_look_through, path, name)
    probes: Probes[bool | str] = Probes()
    found = probes.run({what: look}, _LOCKED_FOR_S + _READS_FOR_S)[what]
    if isinstance(found, str):
        remedy = f"Keep a copy, then put a backup back: contimg-api restore BACKUP. See: sqlite3 {path} .recover"
        return Check(what, "wrong", f"{path}: {found}", remedy)
    if found:
        return Check(what, "ok", "no damage")
    return Check(what, "ok", f"not looked at in full: reading it takes longer than {_READS_FOR_S:g} s")


def state_directory(settings: Settings) -> Iterator[Check]:
    """Whether what must be remembered can be written, by the looks that ``/readyz`` takes."""
    directory = settings.api_state_dir
    engine = Engine(settings.queue_url, settings.queue_name, directory)
    known = looks(settings, engine)
    state, disk = ReadinessService({name: known[name] for name in ("state", "disk")}).report().checks
    if state.ok:
        yield Check("state directory", "ok", f"{directory} is writable")
    else:
        remedy = f"Let this user (uid {os.getuid()}) write to {directory} and to the databases there."
        full = state.found == os.strerror(errno.ENOSPC)
        yield Check("state directory", "wrong", f"{directory}: {state.found}", "Make room." if full else remedy)
    if not disk.ok:
        yield Check("disk of the state directory", "wrong", f"{directory}: {disk.found}", "Make room.")


def _look_through(path: Path, name: str) -> bool | str:
    try:
        return probe.look_through(path, name, timeout_s=_LOCKED_FOR_S, within_s=_READS_FOR_S)
    except DatabaseUnavailable as error:
        return error.reason
    except ContimgError as error:
        return error.message
    except OSError as error:
        return error.strerror or type(error).__name__
