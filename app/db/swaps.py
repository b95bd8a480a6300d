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

import logging
import os
import threading
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from app.db.orphans import File, Orphan, OrphanNotes, stamp

log = logging.getLogger(__name__)

FDS = Path("/proc/self/fd")


class Identity(NamedTuple):
    """Which file stands at a path: device and inode, and whether a log of another file lies beside it."""

    device: int
    inode: int
    orphaned_log: bool = False


class Swaps:
    """Identity of the files at some paths, and which of their logs are orphans; one for a process.

    Files are looked at by ``stat`` only: closing a second handle of a database would drop SQLite's locks
    (https://www.sqlite.org/howtocorrupt.html, section 2.2).

    Parameters
    ----------
    directory
        Where processes tell those that come after which logs are orphans; ``None`` for nowhere.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._notes = OrphanNotes(directory)
        self._lock = threading.Lock()
        self._known: dict[Path, File] = {}
        self._logs: dict[Path, tuple[File, File]] = {}
        self._orphans: dict[Path, Orphan] = {}

    def identity(self, path: Path | None) -> Identity | None:
        """What stands at a path now, ``None`` without a file."""
        if path is None or (file := _file_at(path)) is None:
            return None
        orphan = self._orphans.get(path)
        return Identity(*file, orphan is not None and orphan.of != file and orphan.log == stamp(_log_of(path)))

    def settle(self, path: Path | None, looking: Collection[int] = ()) -> None:
        """Take note of the file at a path, or that it is gone; to be called before connections to it are closed.

        ``looking`` are this process's own handles of files that it only looks at.
        """
        if path is None:
            return
        self.learn()
        with self._lock:
            file = _file_at(path)
            known = self._known.get(path) if file is None else self._known.setdefault(path, file)
            if known is None or known == file:
                return
            orphan = self._left_behind(path, known, file, looking)
            if _file_at(path) != file:
                return  # the next one to open will look again
            if file is not None:
                self._known[path] = file
            if orphan is None:
                self._orphans.pop(path, None)
            elif self._orphans.get(path) != orphan:
                self._orphans[path] = orphan
                log.error(
                    "%s was replaced, and the log of the file before lies beside it. It is not read; "
                    "remove it, and its -shm, once nothing has the old file open.",
                    path,
                )
            self._notes.write(path, orphan)

    def learn(self) -> None:
        """Take over what other processes noted; costs one look at a file where there is nothing new."""
        news = self._notes.news()
        if news is not None:
            with self._lock:
                self._orphans.update({Path(name): orphan for name, orphan in news.items()})

    def opened(self, path: Path | None, identity: Identity | None) -> None:
        """Take note of the log of a file that was opened and is still there: it is its own."""
        if path is None or identity is None or identity.orphaned_log:
            return
        found = stamp(_log_of(path))
        if found is not None:
            self._logs[path] = (identity.device, identity.inode), found[:2]

    def _left_behind(self, path: Path, known: File, new: File | None, looking: Collection[int]) -> Orphan | None:
        """The log at a path, where it is not that of the file that stands there now but of one known before."""
        found, before = stamp(_log_of(path)), self._orphans.get(path)
        if found is None or found[3] == 0:
            return None
        if before is not None and before.log == found:
            return before if before.of != new else None
        open_here = _open_files(looking)
        own = known in open_here and self._logs.get(path) == (known, found[:2])
        held = found[:2] in open_here
        return Orphan(found, known) if held and (own or new not in open_here) else None


def _file_at(path: Path) -> File | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _log_of(path: Path) -> str:
    # SQLite names its files after the target of a link.
    return f"{os.path.realpath(path)}-wal"


def _open_files(looking: Collection[int]) -> set[File]:
    """The files that this process has open; a system without /proc tells of none."""
    try:
        names = os.listdir(FDS)
    except OSError:
        return set()
    found = set()
    for name in names:
        if int(name) in looking:
            continue
        try:
            status = os.fstat(int(name))
        except OSError:
            continue
        found.add((status.st_dev, status.st_ino))
    return found
