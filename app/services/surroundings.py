"""What the doctor looks at beyond databases and directories: the queue and its workers, our own file, the process."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

from app.config import Settings
from app.db import probe, state
from app.db.orphans import is_left_behind
from app.domain.diagnosis import Check
from app.domain.errors import ContimgError
from app.queue.engine import FILE_NAME, Engine
from app.queue.heartbeat import Workers
from app.services import redis
from app.services.probes import Probes
from app.services.soundness import whole

_PATIENCE_S = 3.0
# A log this large is not folded in any more; SQLite's own writers do so at 4 MB.
_LARGE_LOG_BYTES = 256 * 2**20
_FEW_FILES = 4096


def look_around(settings: Settings) -> Iterator[Check]:
    """Look at all of it. Changes nothing, and creates nothing."""
    yield from _own_database(settings.api_state_dir / state.FILE_NAME)
    yield from _queue(settings)
    yield from _limiter(settings)
    for name, path in {"products": settings.products_db, "cal_registry": settings.cal_registry_db}.items():
        log = probe.beside(path, "-wal")
        yield from _log_size(name, log)
        if is_left_behind(settings.api_state_dir, path):
            remedy = f"Once nothing has the file open that was replaced: rm {log} {probe.beside(path, '-shm')}"
            yield Check(f"{name} log", "wrong", "of a file that was replaced; others would read it", remedy)
    yield _open_files()
    yield _threads(settings)


def _own_database(path: Path) -> Iterator[Check]:
    reachable = _own_version(path)
    yield reachable
    if reachable.verdict == "ok" and path.exists():
        yield whole("own", path)


def _own_version(path: Path) -> Check:
    what, newest = "own database", len(state.steps())
    try:
        version = probe.version(path, "api", timeout_s=_PATIENCE_S)
    except FileNotFoundError:
        return Check(what, "ok", "not made yet; the first write makes it")
    except ContimgError as error:
        return Check(what, "wrong", error.message, "Put a backup back: contimg-api restore BACKUP.")
    if version > newest:
        remedy = "Install that version again, or put back the backup made before: contimg-api restore BACKUP."
        return Check(what, "wrong", "a newer version of this service has been at work on it", remedy)
    return Check(what, "ok", f"{path} answers, version {version} of {newest}")


def _queue(settings: Settings) -> Iterator[Check]:
    engine = Engine(settings.queue_url, settings.queue_name, settings.api_state_dir)
    what = "work queue"
    if engine.kind == "sqlite" and not (settings.api_state_dir / FILE_NAME).exists():
        yield Check(what, "ok", "a file of its own, not made yet")
        return
    probes: Probes[int | ContimgError] = Probes()
    living = probes.run({what: lambda: _living(engine)}, _PATIENCE_S)[what]
    if living is None or isinstance(living, ContimgError):
        found = "no answer in time" if living is None else living.message
        yield Check(what, "wrong", f"{engine.kind}: {found}", "See that it runs; DSA110_QUEUE_URL says where.")
        return
    yield Check(what, "ok", f"in {engine.kind}, answers")
    if living or not settings.pipeline_run_cmd:
        yield Check("workers", "ok", f"{living} alive" if living else "none, and none is needed: reruns are not set up")
    else:
        yield Check("workers", "note", "none is alive: reruns wait", "Start one: contimg-api worker.")


def _living(engine: Engine) -> int | ContimgError:
    try:
        return len(Workers(engine).living())
    except ContimgError as error:
        return error
    finally:
        engine.close()


def _limiter(settings: Settings) -> Iterator[Check]:
    url = settings.rate_limit_storage_url
    if not url or settings.rate_limit_disabled:
        return
    found = redis.look(url, timeout_s=_PATIENCE_S)
    if found.status == "ok":
        yield Check("rate limits", "ok", "counted in Redis, which answers")
    else:
        remedy = "See that Redis runs; DSA110_RATE_LIMIT_STORAGE_URL says where."
        yield Check("rate limits", "wrong", f"{found.message}: nobody is limited", remedy)


def _log_size(name: str, log: Path) -> Iterator[Check]:
    try:
        size = log.stat().st_size
    except OSError:
        return
    if size > _LARGE_LOG_BYTES:
        found = f"{size / 2**20:.0f} MiB: it is not folded in, so every read takes longer"
        remedy = f"A reader or writer never ends; find it and end it: fuser -v {log}"
        yield Check(f"{name} log", "note", found, remedy)


def _open_files() -> Check:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < _FEW_FILES:
        remedy = "Raise it: LimitNOFILE=65536 in the unit, or ulimit -n."
        return Check("open files", "note", f"a process may have {limit}: too few for many connections", remedy)
    return Check("open files", "ok", "as many as are needed")


def _threads(settings: Settings) -> Check:
    left = settings.threads - settings.max_streams
    if left < 1:
        found = f"{settings.max_streams} streams of events can take all {settings.threads} threads of a worker"
        return Check("threads", "note", found, "Raise DSA110_THREADS, or lower DSA110_MAX_STREAMS.")
    return Check("threads", "ok", f"{left} of {settings.threads} in each worker are never taken by streams")
