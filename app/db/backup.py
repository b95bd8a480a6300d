"""Copies of databases that are in use, and copies put back.

A copy is taken by SQLite's online backup in one step: one read transaction, hence one state of the database whatever
is written meanwhile. In WAL mode writers go on; in other modes they wait for as long as the copying takes.

A copy is put back in one of two ways. *Poured* into the file that is there, in one write transaction, so that whoever
has it open sees either the old content or the new. Or *put* in its place by renaming, for a file that is missing or
damaged; that is for files that nobody has open.

References
----------
https://www.sqlite.org/backup.html; https://www.sqlite.org/howtocorrupt.html, section 1.2
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import itertools
import os
import shutil
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from app.db.errors import primary_code, translate
from app.db.writing import connect
from app.domain.errors import Busy, DatabaseUnavailable

SQLITE_VERSION = sqlite3.sqlite_version
COMPANIONS = ("-wal", "-shm", "-journal")

_BETWEEN_ATTEMPTS_S = 0.002
_LOOK_S = 5.0
# Where every connection in WAL mode holds a shared lock on the index of the log, for as long as it is open
# (https://www.sqlite.org/walformat.html, section 2.3.1).
_OPEN_CONNECTIONS_LOCK = 128
_FLOCK = "@hhqqi"


class Holder(NamedTuple):
    """A process that has a database open."""

    pid: int
    command: str


def copy(source: Path, target: Path, name: str, *, timeout_s: float) -> int:
    """Copy a database that may be in use into a new file, which is on the disk afterwards; its user_version.

    Raises
    ------
    Busy
        Another process kept the database locked for ``timeout_s``.
    DatabaseUnavailable
        It cannot be read, or the copy is damaged.
    OSError
        The copy cannot be written.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=0)) as read,
            closing(sqlite3.connect(target)) as written,
        ):
            # The copy is nobody's yet: no need to be able to undo half of it.
            written.execute("PRAGMA journal_mode = OFF")
            read.backup(written, sleep=_BETWEEN_ATTEMPTS_S, progress=_patience(name, timeout_s))
    except sqlite3.Error as error:
        if primary_code(error) == "SQLITE_FULL":  # the copy's disk: the original is only read
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise translate(error, name) from error
    _sync(target)
    return check(target, name)


def check(path: Path, name: str) -> int:
    """Look through every page of a copy that nobody writes to; its user_version.

    Raises
    ------
    DatabaseUnavailable
        It is damaged, or no database.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        raise translate(error, name) from error
    if found != "ok":
        raise DatabaseUnavailable(name, f"the file is damaged: {found}")
    return int(version)


def digest(path: Path) -> str:
    """SHA-256 of a copy, in hexadecimal. Never of a database in use: closing the file would drop SQLite's locks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def takes(target: Path, source: Path) -> bool:
    """Whether a copy can be poured into a file: it is a database that can be read, with pages of the same size.

    A database in WAL mode cannot change the size of its pages.
    """
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as read,
            closing(connect(target, busy_timeout_s=_LOOK_S)) as written,
        ):
            written.execute("SELECT count(*) FROM sqlite_master").fetchone()
            sizes = {connection.execute("PRAGMA page_size").fetchone()[0] for connection in (read, written)}
    except sqlite3.Error:
        return False
    return len(sizes) == 1


def pour(
    source: Path, target: Path, name: str, *, timeout_s: float, while_locked: Callable[[], object] = lambda: None
) -> None:
    """Give a database the content of a copy in one transaction, whoever has it open.

    Parameters
    ----------
    source, target
        The copy, and the database.
    name
        Logical name of the database, for errors.
    timeout_s
        How long to wait for other writers [s].
    while_locked
        Called once nobody else can write to the database and before others see anything new: what it raises leaves the
        database as it was.

    Raises
    ------
    Busy
        Another process kept it locked for ``timeout_s``.
    DatabaseUnavailable
        It cannot be written to, or has pages of another size (:func:`takes`).

    Notes
    -----
    The first step of SQLite's backup locks the target, the one that copies the last page commits. All pages but one are
    copied by the first. A database of one page, which has no table, is committed by it.
    """
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as read,
            closing(connect(target, busy_timeout_s=0)) as written,
        ):
            (pages,) = read.execute("PRAGMA page_count").fetchone()
            patience, locked = _patience(name, timeout_s), False
            if pages == 1:
                locked = True
                while_locked()

            def progress(status: int, remaining: int, total: int) -> None:
                nonlocal locked
                patience(status, remaining, total)
                if status == sqlite3.SQLITE_OK and not locked:
                    locked = True
                    while_locked()

            read.backup(written, pages=max(1, pages - 1), sleep=_BETWEEN_ATTEMPTS_S, progress=progress)
    except sqlite3.Error as error:
        raise translate(error, name) from error


def put(source: Path, target: Path) -> Path | None:
    """Put a copy in the place of a file that nobody has open; where the file that was there is kept, if there was one.

    What lay beside that file (a log of its own) is kept with it: the new file must not be read with it. A link stays;
    what it leads to is replaced.
    """
    target = _real(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.restored-{os.getpid()}")
    try:
        shutil.copyfile(source, fresh)
        _take_over_mode(target, fresh)
        _sync(fresh)
        kept = _set_aside(target)
        fresh.rename(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_directory(target.parent)
    return kept


def holders(path: Path) -> list[Holder]:
    """Other processes that have a database or its log open, as far as this user may see.

    Notes
    -----
    Of a database in WAL mode, SQLite's own lock tells of any user's process; the others are found by their open files.
    """
    path = _real(path)
    identities = _identities(path)
    found = {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _has_open(pid, identities)}
    locking = _locking_pid(Path(f"{path}-shm"))
    if locking is not None:
        found.add(locking)
    return [Holder(pid, _command(pid)) for pid in sorted(found - {os.getpid()})]


def sync_directory(path: Path) -> None:
    """See to it that the names in a directory are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _real(path: Path) -> Path:
    """A file without the links that lead to it: SQLite names a database's log and its index after that."""
    return Path(os.path.realpath(path))


def _patience(name: str, timeout_s: float) -> Callable[[int, int, int], None]:
    """Python's backup tries for ever where the database is locked; this ends it after a while."""
    until = time.monotonic() + timeout_s

    def progress(status: int, remaining: int, total: int) -> None:
        if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} and time.monotonic() > until:
            raise Busy(f"The {name} database is locked by another process", database=name)

    return progress


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _take_over_mode(old: Path, new: Path) -> None:
    """The new file becomes whose the old one was; of one that is lost, whose directory it lies in, and private."""
    status = old.stat() if old.exists() else old.parent.stat()
    new.chmod(status.st_mode & 0o7777 if old.exists() else 0o640)
    with suppress(PermissionError):
        os.chown(new, status.st_uid, status.st_gid)


def _set_aside(path: Path) -> Path | None:
    if not path.exists():
        for ending in COMPANIONS:
            Path(f"{path}{ending}").unlink(missing_ok=True)
        return None
    kept = _free_name(f"{path}.replaced-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    for ending in COMPANIONS:
        with suppress(FileNotFoundError):
            Path(f"{path}{ending}").rename(f"{kept}{ending}")
    return path.rename(kept)


def _free_name(stem: str) -> Path:
    """The stem, or with a number where that is taken: what was set aside is somebody's only copy."""
    numbered = itertools.chain((stem,), (f"{stem}-{number}" for number in itertools.count(2)))
    return next(Path(name) for name in numbered if not any(os.path.lexists(name + end) for end in ("", *COMPANIONS)))


def _identities(path: Path) -> set[tuple[int, int]]:
    found = set()
    for name in (path, *(Path(f"{path}{ending}") for ending in COMPANIONS)):
        with suppress(OSError):
            status = name.stat()
            found.add((status.st_dev, status.st_ino))
    return found


def _has_open(pid: int, identities: set[tuple[int, int]]) -> bool:
    return any(identity in identities for identity in _open_files(pid))


def _open_files(pid: int) -> Iterator[tuple[int, int]]:
    directory = f"/proc/{pid}/fd"
    with suppress(OSError):  # another user's, or just ended
        for descriptor in os.listdir(directory):
            with suppress(OSError):
                status = os.stat(f"{directory}/{descriptor}")
                yield status.st_dev, status.st_ino


def _locking_pid(index: Path) -> int | None:
    """A process whose connection holds the index of a write-ahead log; this process must not have it open itself."""
    try:
        descriptor = os.open(index, os.O_RDWR)
    except OSError:
        return None
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _OPEN_CONNECTIONS_LOCK, 1, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK else int(pid)


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return "another user's"
    return words[:60] or "?"
