"""SQLite's own note of the last commit, read where SQLite's readers read it.

In WAL mode every connection to a database shares a few pages of memory, the file ``…-shm``, and begins each read by
looking at the header there: as long as it has not changed, the snapshot that was read last still holds. Each commit
changes it (it counts transactions and carries a checksum). So does this module: it compares those 48 bytes. That is
the question which ``PRAGMA data_version`` answers, at a hundredth of the cost under load: a statement gives up the
interpreter's lock several times, and four threads that pass it around spend more time on that than on the request.

It is a shortcut only. What is compared must be the very memory that SQLite has mapped in this process, or the pragma
is asked; the content of the header is never interpreted.

Notes
-----
Opening the file is harmless; closing it is not: POSIX drops every lock that the process has on a file when any
handle of it is closed. Handles therefore belong to the process and are kept, at most ``_MOST`` of them; one is closed
only after its file was deleted, which SQLite does when nobody has the database open any more.

References
----------
https://www.sqlite.org/walformat.html, sections 2.1 and 2.3.1; https://www.sqlite.org/howtocorrupt.html, section 2.2
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from app.db.swaps import Identity

# First of the two copies of the header: writers store it last, readers look at it first.
_HEADER = slice(0, 48)
_SHORTEST = 136
_MAPS = Path("/proc/self/maps")
_MOST = 32
# The coarsest time that a file system notes, and some more [ns].
_GRAIN_NS = 2_500_000_000
# What is said where files were deleted beside a database that this process has open.
WHY_ADRIFT = "its -wal or -shm was deleted while it was open, so it is opened anew"


class _Mapped(NamedTuple):
    handle: int
    memory: mmap.mmap


class _Directory:
    """A directory in which nothing is made or deleted most of the time: one look at it spares those at its files."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._calm_ns = -1

    def changed_ns(self) -> int | None:
        """When something was last made or deleted there, ``None`` where that is known: time of the directory [ns]."""
        changed_ns = os.fstat(self._handle).st_mtime_ns
        return None if changed_ns == self._calm_ns else changed_ns

    def settle(self, changed_ns: int) -> None:
        """Take note that nothing is amiss; not yet where another change could still get the same time."""
        if time.time_ns() - changed_ns > _GRAIN_NS:
            self._calm_ns = changed_ns


class _Open(NamedTuple):
    """The shared memory of a database, the handle of its log, where there is one, and where both lie."""

    mapped: _Mapped
    log: int | None
    directory: _Directory

    @property
    def is_lost(self) -> bool:
        """Whether either was deleted."""
        try:
            return os.fstat(self.mapped.handle).st_nlink == 0 or (
                self.log is not None and os.fstat(self.log).st_nlink == 0
            )
        except OSError:  # closed, which only what was deleted is
            return True


# By device and inode of the shared memory's file: numbers that stay taken as long as the handle is open.
_kept: dict[tuple[int, int], _Mapped] = {}
_kept_logs: dict[tuple[int, int], int] = {}
_kept_directories: dict[tuple[int, int], _Directory] = {}
_lock = threading.Lock()


def handles() -> frozenset[int]:
    """The handles that this module has open: they are no sign that SQLite has."""
    with _lock:
        return frozenset([*(mapped.handle for mapped in _kept.values()), *_kept_logs.values()])


class WalIndexes:
    """The shared memory of the databases that are read here."""

    def __init__(self) -> None:
        self._of: dict[Identity | None, _Open] = {}

    def header(self, database: Identity | None) -> bytes | None:
        """The header that the database's readers go by, ``None`` where only SQLite can tell."""
        found = self._of.get(database)
        return None if found is None else found.mapped.memory[_HEADER]

    def is_any_lost(self, databases: Iterable[Identity | None]) -> bool:
        """Whether somebody deleted the shared memory, or the log, of databases that this process has open.

        Others then make them anew and commit there, while every connection of this process goes on with the deleted
        ones; SQLite shares them between all connections of a process, so opening another does not help.
        """
        calm, changed = None, {}
        for database in databases:
            found = self._of.get(database)
            if found is None or found.directory is calm:
                continue
            if found.directory not in changed:
                changed_ns = found.directory.changed_ns()
                if changed_ns is None:
                    calm = found.directory
                    continue
                changed[found.directory] = changed_ns
            if found.is_lost:
                return True
        for directory, changed_ns in changed.items():
            directory.settle(changed_ns)
        return False

    def is_superseded(self, path: Path, database: Identity | None) -> bool:
        """Whether, of what was deleted, others have come, by which somebody may have committed something."""
        found = self._of.get(database)
        if found is None:
            return False
        name = os.path.realpath(path)
        log, index = _status(f"{name}-wal"), _status(f"{name}-shm")
        try:
            if log is not None and (found.log is None or not os.path.samestat(log, os.fstat(found.log))):
                return log.st_size > 0
            return index is not None and not os.path.samestat(index, os.fstat(found.mapped.handle))
        except OSError:
            return True

    def find(self, path: Path, database: Identity | None) -> None:
        """Look for the shared memory of a database that was just opened, and read from, in this process."""
        if database is None:
            return
        # SQLite names its files after the target of a link. The log of another file, left behind, is not read at all.
        name = os.path.realpath(path)
        mapped = None if database.orphaned_log else _find(f"{name}-shm")
        # Put anew each time: the number of a deleted database comes back with another.
        if mapped is None:
            self._of.pop(database, None)
        else:
            self._of[database] = _Open(mapped, _find_log(f"{name}-wal"), _find_directory(os.path.dirname(name)))

    def forget(self, databases: Iterable[Identity | None]) -> None:
        """What was found for these may be another's, which took their place in that moment."""
        for database in databases:
            self._of.pop(database, None)


def _status(name: str) -> os.stat_result | None:
    try:
        return os.stat(name)
    except OSError:
        return None


def _find(name: str) -> _Mapped | None:
    with _lock:
        file = _mapped_by_sqlite(name)
        if file is None or file in _kept:
            return None if file is None else _kept[file]
        if len(_kept) >= _MOST:
            _close_deleted()
        return _open(name, file) if len(_kept) < _MOST else None


def _open(name: str, file: tuple[int, int]) -> _Mapped | None:
    try:
        handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        _kept[file] = _Mapped(handle, mmap.mmap(handle, _SHORTEST, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        return None  # and the handle stays open
    return _kept[file]


def _find_log(name: str) -> int | None:
    """A handle of the log, by which to see that it is deleted; SQLite locks nothing in it."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    status = os.fstat(handle)
    with _lock:
        if len(_kept_logs) >= _MOST:
            for file, kept in list(_kept_logs.items()):
                if os.fstat(kept).st_nlink == 0:
                    os.close(_kept_logs.pop(file))
        known = _kept_logs.setdefault((status.st_dev, status.st_ino), handle)
    if known != handle:
        os.close(handle)
    return known


def _find_directory(name: str) -> _Directory:
    """The same for all databases in it."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    status = os.fstat(handle)
    with _lock:
        made = _Directory(handle)
        known = _kept_directories.setdefault((status.st_dev, status.st_ino), made)
    if known is not made:
        os.close(handle)
    return known


def _close_deleted() -> None:
    for file, mapped in list(_kept.items()):
        if os.fstat(mapped.handle).st_nlink == 0:
            # The mapping itself goes with the last reference to it.
            os.close(_kept.pop(file).handle)


def _mapped_by_sqlite(name: str) -> tuple[int, int] | None:
    """Device and inode of a file, if that very file is mapped here; a system that does not tell says no."""
    try:
        status = os.stat(name)
        lines = _MAPS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    for line in lines:
        # address, permissions, offset, device, inode, path
        words = line.split(maxsplit=5)
        if len(words) == 6 and words[5] == name and int(words[4]) == status.st_ino:
            return status.st_dev, status.st_ino
    return None
