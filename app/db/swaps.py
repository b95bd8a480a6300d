"""Files replaced under our feet, and the write-ahead logs they leave behind.

A restore or a replica refresh puts a new file at the path of the old one. While this process has the old database
open, its ``-wal`` cannot be folded in and removed by the last writer, so it may stay beside the new file, and SQLite
would lay the old file's last pages over the new file's content. A log that this process held open before the swap is
the old file's for certain: it is set aside, and the new file is read without it (``immutable``) until the log is gone
or changes.

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
Stamp = tuple[int, int, int, int]


class Identity(NamedTuple):
    """Which file stands at a path: device and inode, and whether a log of another file lies beside it."""

    device: int
    inode: int
    orphaned_log: bool = False


class Swaps:
    """Identity of the files at some paths, and which of their logs are orphans; one for a process.

    Files are looked at by ``stat`` only: closing a second handle of a database would drop SQLite's locks
    (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[int, int]] = {}
        self._orphans: dict[Path, Stamp] = {}

    def identity(self, path: Path | None) -> Identity | None:
        """What stands at a path now, ``None`` without a file."""
        try:
            status = os.stat(path) if path is not None else None
        except OSError:
            return None
        if path is None or status is None:
            return None
        if not self._orphans:
            return Identity(status.st_dev, status.st_ino)
        return Identity(status.st_dev, status.st_ino, self._orphans.get(path) == _stamp(_log_of(path)))

    def settle(self, path: Path | None) -> None:
        """Take note of the file at a path; to be called before connections to an earlier one there are closed."""
        identity = self.identity(path)
        if path is None or identity is None:
            return
        with self._lock:
            now = (identity.device, identity.inode)
            if self._known.setdefault(path, now) == now:
                return
            self._known[path] = now
            self._orphans.pop(path, None)
            stamp = _stamp(_log_of(path))
            if stamp is not None and stamp[3] > 0 and _holds_open(stamp):
                self._orphans[path] = stamp


def _log_of(path: Path) -> str:
    return f"{path}-wal"


def _stamp(path: str) -> Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _holds_open(stamp: Stamp) -> bool:
    """Whether this process has the file open; a system without /proc says no."""
    try:
        names = os.listdir(FDS)
    except OSError:
        return False
    for name in names:
        try:
            status = os.fstat(int(name))
        except OSError:
            continue
        if (status.st_dev, status.st_ino) == stamp[:2]:
            return True
    return False
