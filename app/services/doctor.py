"""The doctor: looks at everything the service needs and says, in plain words, what is wrong and what to do about it."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from app.config import Settings
from app.db import probe
from app.db.inspection import DatabaseFacts, inspect, missing
from app.db.upgrade import PipelineUpgrade
from app.domain.diagnosis import Check as Check
from app.domain.diagnosis import Verdict
from app.domain.errors import Busy, DatabaseError, DatabaseUnavailable
from app.domain.health import disk_space
from app.repositories.keys import count_writers
from app.services.soundness import state_directory, whole
from app.services.surroundings import look_around

_PATIENCE_S = 2.0

_GENERATIONS = {
    "unified": "unified: one file for everything",
    "production": "production: tables as the pipeline's own setup makes them",
    "models": "made from the pipeline's object-relational models",
    "migrations": "made by the pipeline's migrations",
    "mixed": "a mixture of several generations",
}


def examine(settings: Settings) -> list[Check]:
    """Look at everything. Changes nothing, and creates nothing."""
    return [
        *_safety(settings),
        *_databases(settings),
        *_directories(settings),
        *look_around(settings),
        _port(settings),
    ]


def _safety(settings: Settings) -> Iterator[Check]:
    yield Check("configuration", "ok", f"understood; the environment is {settings.environment}")
    if settings.auth_disabled:
        yield Check(
            "write access", "note", "everyone may write", "Unset DSA110_AUTH_DISABLED before others can connect."
        )
    elif not settings.api_keys and not settings.jwt_secret and not _has_writer(settings):
        remedy = "Give writers a key: contimg-api keys create --scope write."
        yield Check("write access", "note", "nobody may write", remedy)
    else:
        yield Check("write access", "ok", "by key or token")
    if any(network.prefixlen == 0 for network in settings.allowed_networks):
        yield Check("networks", "note", "every address may read", "List the networks that may: DSA110_ALLOWED_IPS.")
    if settings.debug:
        yield Check("debugging", "note", "clients are shown tracebacks", "Unset DSA110_DEBUG where others can connect.")


def _has_writer(settings: Settings) -> bool:
    """Whether a key that may write was made and is valid still; what is wrong with their database is told elsewhere."""
    try:
        return count_writers(settings.api_state_dir, timeout_s=_PATIENCE_S) > 0
    except (DatabaseError, FileNotFoundError):
        return False


def _databases(settings: Settings) -> Iterator[Check]:
    yield from _database("products", settings.products_db, "PIPELINE_PRODUCTS_DB", "main")
    if settings.cal_registry_db != settings.products_db:
        yield from _database("cal_registry", settings.cal_registry_db, "PIPELINE_CAL_REGISTRY_DB", "registry")
    others = {
        "hdf5": (settings.hdf5_db, "PIPELINE_HDF5_DB"),
        "ingest": (settings.ingest_db, "PIPELINE_INGEST_DB"),
        "data_registry": (settings.data_registry_db, "PIPELINE_DATA_REGISTRY_DB"),
    }
    for name, (path, variable) in others.items():
        if path != settings.products_db:
            yield _reachable(name, path, variable, needed=False)


def _database(name: str, path: Path, variable: str, schema: str) -> Iterator[Check]:
    reachable = _reachable(name, path, variable, needed=schema == "main")
    yield reachable
    if reachable.verdict != "ok":
        return
    yield whole(name, path)
    try:
        facts = inspect(path, name, timeout_s=_PATIENCE_S)
    except DatabaseError as error:
        yield Check(f"{name} tables", "wrong", error.message, _remedy_of(path))
        return
    yield from _schema(name, facts, schema)
    yield _log_of(name, path, facts)
    if schema == "main":
        yield Check(f"{name} generation", "ok", _GENERATIONS[facts.generation])
        yield _upgrade(name, path)


def _reachable(name: str, path: Path, variable: str, *, needed: bool) -> Check:
    what = f"{name} database"
    try:
        probe.look(path, name, timeout_s=_PATIENCE_S)
    except FileNotFoundError:
        remedy = f"Point {variable} at the pipeline's file" + (", or make one: contimg-api init." if needed else ".")
        return Check(what, "wrong" if needed else "note", f"there is no {path}", remedy)
    except Busy:
        return Check(what, "wrong", f"{path} is locked", "See which process holds it: fuser -v FILE.")
    except DatabaseUnavailable as error:
        return Check(what, "wrong", f"{path}: {error.reason}", _remedy_of(path))
    except DatabaseError as error:
        return Check(what, "wrong", f"{path}: {error.message}", f"Check the file that {variable} names.")
    return Check(what, "ok", f"{path} answers")


def _remedy_of(path: Path) -> str:
    """What helps where SQLite cannot read a file that is there."""
    path = Path(os.path.realpath(path))
    if not os.access(path.parent, os.X_OK):
        return f"Let this user (uid {os.getuid()}) enter {path.parent}."
    if not os.access(path, os.R_OK):
        return f"Let this user (uid {os.getuid()}) read the file."
    for companion in (probe.beside(path, "-wal"), probe.beside(path, "-shm")):
        if companion.exists() and not os.access(companion, os.R_OK):
            return f"Let this user (uid {os.getuid()}) read {companion}: without it the newest rows are out of reach."
    if (journal := probe.beside(path, "-journal")).exists():
        return f"Start the writer again, or open the file once with: sqlite3 {path} .tables; never remove {journal}."
    if not os.access(path.parent, os.W_OK):
        return f"The file is in WAL mode: let this user write to {path.parent}, or keep a writer connected."
    return "Check that the file is an SQLite database: sqlite3 FILE 'PRAGMA integrity_check'."


def _schema(name: str, facts: DatabaseFacts, schema: str) -> Iterator[Check]:
    complete = True
    for table, lacking, fatal in missing(facts, schema):
        there = table.name in facts.columns
        if fatal or not there:
            complete = complete and not fatal
            found = f"lacks {', '.join(sorted(lacking))}" if there else "is missing"
            remedy = "Point the setting at a database that the pipeline made." if fatal else None
            yield Check(f"{name} table {table.name}", "wrong" if fatal else "note", found, remedy)
    if complete:
        yield Check(f"{name} tables", "ok", "every table and column that is needed is there")


def _log_of(name: str, path: Path, facts: DatabaseFacts) -> Check:
    what = f"{name} journal"
    if facts.journal_mode != "wal":
        return Check(what, "note", f"mode {facts.journal_mode}: readers and the writer wait for each other",
                     "Let the pipeline set PRAGMA journal_mode = WAL.")  # fmt: skip
    held = all(probe.beside(path, ending).exists() for ending in ("-wal", "-shm"))
    if held or os.access(probe.beside(path, "").parent, os.W_OK):
        return Check(what, "ok", "write-ahead log, within reach")
    return Check(what, "wrong", "the write-ahead log cannot be opened once its writer closes it", _remedy_of(path))


def _upgrade(name: str, path: Path) -> Check:
    what, remedy = f"{name} upgrade", "Run: contimg-api db upgrade."
    try:
        status = PipelineUpgrade(path, name, busy_timeout_s=_PATIENCE_S).status()
    except Busy as error:
        return Check(what, "note", f"not known: {error.message}", "See which process holds it: fuser -v FILE.")
    except DatabaseError as error:
        return Check(what, "wrong", error.message, "Install that version, or one that is newer; then run it again.")
    if status.revision is None:
        return Check(what, "note", "not upgraded: everything works, sources and statistics more slowly", remedy)
    if not status.current:
        return Check(what, "note", "made for another version of the service or of the tables", remedy)
    return Check(what, "ok", "indexes and summaries of this service are there and kept")


def _directories(settings: Settings) -> Iterator[Check]:
    if settings.api_state_dir.is_dir():
        yield from state_directory(settings)
    else:
        yield _makeable("state directory", settings.api_state_dir, "DSA110_API_STATE_DIR")
    for root in settings.data_roots:
        yield _readable(f"data root {root}", root, "DSA110_DATA_ROOTS", "its images cannot be served")
    for directory in settings.log_dirs:
        yield _readable(f"log directory {directory}", directory, "DSA110_LOG_DIRS", "logs there cannot be shown")
    for path in settings.disk_paths:
        if path.exists():
            space = disk_space(shutil.disk_usage(path).free)
            verdict: Verdict = "wrong" if space.status == "critical" else "note" if space.status == "warning" else "ok"
            remedy = None if verdict == "ok" else "Make room."
            yield Check(f"disk of {path}", verdict, f"{space.free_gb} GiB free", remedy)


def _makeable(what: str, path: Path, variable: str) -> Check:
    nearest = next(place for place in (path, *path.parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        remedy = f"Let this user (uid {os.getuid()}) write to {nearest}, or choose another place with {variable}."
        return Check(what, "wrong", f"{path} cannot be written", remedy)
    return Check(what, "ok", f"{path} will be made in {nearest}")


def _readable(what: str, path: Path, variable: str, consequence: str) -> Check:
    if not path.is_dir():
        return Check(what, "note", f"does not exist: {consequence}", f"Make it, or take it out of {variable}.")
    if not os.access(path, os.R_OK | os.X_OK):
        return Check(what, "wrong", f"cannot be read: {consequence}", f"Let this user (uid {os.getuid()}) read it.")
    return Check(what, "ok", "is readable")


def _port(settings: Settings) -> Check:
    address = f"{settings.host}:{settings.port}"
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((settings.host, settings.port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            remedy = "Fine if that is this service; else choose another with DSA110_PORT."
            return Check("port", "note", f"{address} is in use", remedy)
        remedy = "Choose an address of this host and a port this user may open: DSA110_HOST, DSA110_PORT."
        return Check("port", "wrong", f"{address}: {error.strerror}", remedy)
    return Check("port", "ok", f"{address} is free")
