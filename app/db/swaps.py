"""Files replaced under our feet, and the write-ahead logs they leave behind.

A restore or a replica refresh puts a new file at the path of the old one. While this process has the old database
open, its ``-wal`` cannot be folded in and removed by the last writer, so it may stay beside the new file, and SQLite
would lay the old file's last pages over the new file's content. Such a log is set aside: the new file is read without
it (``immutable``) until the log is gone or changes.

A new file may as well come with a log of its own, that is laid over it as it should be. So a log counts as left behind
only where this process still has it open, which keeps its number from being another's, and

- it lay beside the old file, which is still open, when that was opened, or
- nobody in this process has opened the new file yet, so that it can have been opened with an old one only.

References
----------
https://www.sqlite.org/howtocorrupt.html, section 1.4; https://www.sqlite.org/uri.html, ``immutable``
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import NamedTuple

FDS = Path("/proc/self/fd")
# Device and inode.
File = tuple[int, int]
# A file in the state it is in: device, inode, time of the last change [ns], size [bytes].
Stamp = tuple[int, int, int, int]


class Identity(NamedTuple):
    """Which file stands at a path: device and inode, and whether a log of another file lies beside it."""

    device: int
    inode: int
    orphaned_log: bool = False


class _Orphan(NamedTuple):
    log: Stamp
    of: File


class Swaps:
    """Identity of the files at some paths, and which of their logs are orphans; one for a process.

    Files are looked at by ``stat`` only: closing a second handle of a database would drop SQLite's locks
    (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Path, File] = {}
        self._logs: dict[Path, tuple[File, File]] = {}
        self._orphans: dict[Path, _Orphan] = {}

    def identity(self, path: Path | None) -> Identity | None:
        """What stands at a path now, ``None`` without a file."""
        if path is None or (file := _file_at(path)) is None:
            return None
        orphan = self._orphans.get(path)
        return Identity(*file, orphan is not None and orphan.of != file and orphan.log == _stamp(_log_of(path)))

    def settle(self, path: Path | None) -> None:
        """Take note of the file at a path, or that it is gone; to be called before connections to it are closed."""
        if path is None:
            return
        with self._lock:
            file = _file_at(path)
            known = self._known.get(path) if file is None else self._known.setdefault(path, file)
            if known is None or known == file:
                return
            orphan = self._left_behind(path, known, file)
            if _file_at(path) != file:
                return  # the next one to open will look again
            if file is not None:
                self._known[path] = file
            if orphan is None:
                self._orphans.pop(path, None)
            else:
                self._orphans[path] = orphan

    def opened(self, path: Path | None, identity: Identity | None) -> None:
        """Take note of the log of a file that was opened and is still there: it is its own."""
        if path is None or identity is None or identity.orphaned_log:
            return
        stamp = _stamp(_log_of(path))
        if stamp is not None:
            self._logs[path] = (identity.device, identity.inode), stamp[:2]

    def _left_behind(self, path: Path, known: File, new: File | None) -> _Orphan | None:
        """The log at a path, where it is not that of the file that stands there now but of one known before."""
        stamp, before = _stamp(_log_of(path)), self._orphans.get(path)
        if stamp is None or stamp[3] == 0:
            return None
        if before is not None and before.log == stamp:
            return before if before.of != new else None
        open_here = _open_files()
        own = known in open_here and self._logs.get(path) == (known, stamp[:2])
        held = stamp[:2] in open_here
        return _Orphan(stamp, known) if held and (own or new not in open_here) else None


def _file_at(path: Path) -> File | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _log_of(path: Path) -> str:
    return f"{path}-wal"


def _stamp(path: str) -> Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _open_files() -> set[File]:
    """The files that this process has open; a system without /proc tells of none."""
    try:
        names = os.listdir(FDS)
    except OSError:
        return set()
    found = set()
    for name in names:
        try:
            status = os.fstat(int(name))
        except OSError:
            continue
        found.add((status.st_dev, status.st_ino))
    return found
