"""Files that were dear to make, kept on disk within a bound: those not asked for the longest go first.

Several processes share a directory. A file gets its name only when it is complete, and is never changed afterwards, so
no reader sees half of one. While it is written it is locked by whoever writes it; a writer that was killed has no lock
any more, and what it left is removed by the next one who looks.
"""

from __future__ import annotations

import fcntl
import io
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

log = logging.getLogger(__name__)

_UNFINISHED = ".part"
# So much is kept free, because each of several processes may fill a part of it before it looks again.
_ROOM = 1 / 8
_BETWEEN_LOOKS = 1 / 64

Maker = Callable[[IO[bytes]], None]


class _Kept(NamedTuple):
    asked_ns: int
    size: int
    path: Path


class DiskCache:
    """Complete files by key.

    Parameters
    ----------
    directory
        Made when first needed. Nothing else may lie in it.
    capacity_bytes
        Most bytes kept.
    """

    def __init__(self, directory: Path, capacity_bytes: int) -> None:
        self._directory = directory
        self._capacity_bytes = capacity_bytes
        self._unseen_bytes = capacity_bytes  # written since the last look; the first one looks
        self._making: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def fetch(self, key: str, make: Maker) -> IO[bytes]:
        """The file of a key, open for reading at its start; made if it is not there.

        Where the directory cannot be written to, the file is made in memory each time, and the log says so.

        Parameters
        ----------
        key
            Hexadecimal digits.
        make
            Writes the file; called by one thread of this process at a time for the same key.
        """
        with self._alone(key):
            return self.find(key) or self._make(key, make)

    def find(self, key: str) -> IO[bytes] | None:
        """The file of a key, open for reading; ``None`` where it has to be made."""
        path = self._path(key)
        try:
            file = path.open("rb")
        except OSError:
            return None
        with suppress(OSError):
            # Mounts that do not note the time of reading are common.
            os.utime(path, ns=(time.time_ns(), os.fstat(file.fileno()).st_mtime_ns))
        return file

    def _make(self, key: str, make: Maker) -> IO[bytes]:
        try:
            return self._make_on_disk(key, make)
        except OSError as error:  # no such directory, not ours, or full
            log.warning("Pictures cannot be kept: %s", error)
        memory = io.BytesIO()
        make(memory)
        memory.seek(0)
        return memory

    def _make_on_disk(self, key: str, make: Maker) -> IO[bytes]:
        file, unfinished = self._begin(key)
        try:
            make(file)
            file.flush()
            self._finish(file, unfinished, self._path(key))
            file.seek(0)
        except BaseException:
            file.close()
            raise
        finally:
            unfinished.unlink(missing_ok=True)
        return file

    def _begin(self, key: str) -> tuple[IO[bytes], Path]:
        path = self._path(key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_name(f"{uuid.uuid4().hex}{_UNFINISHED}")
        # Not mode "x+b": astropy does not know it.
        file = os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600), "w+b")
        fcntl.flock(file, fcntl.LOCK_EX)
        return file, unfinished

    def _finish(self, file: IO[bytes], unfinished: Path, path: Path) -> None:
        size = os.fstat(file.fileno()).st_size
        if size > self._capacity_bytes * (1 - _ROOM):
            return
        with self._lock:
            self._unseen_bytes += size
            look = self._unseen_bytes > self._capacity_bytes * _BETWEEN_LOOKS
            if look:
                self._unseen_bytes = 0
        if look:
            self._make_room(size)
        with suppress(OSError):  # swept away between its making and its locking, or the disk is full
            unfinished.replace(path)
        fcntl.flock(file, fcntl.LOCK_UN)

    def _make_room(self, size: int) -> None:
        kept = sorted(self._everything())
        total = size + sum(item.size for item in kept)
        for item in kept:
            if total <= self._capacity_bytes * (1 - _ROOM):
                return
            with suppress(OSError):
                item.path.unlink()
            total -= item.size

    def _everything(self) -> Iterator[_Kept]:
        for path in self._directory.glob("??/*"):
            with suppress(OSError):
                if path.suffix == _UNFINISHED:
                    _remove_abandoned(path)
                else:
                    status = path.stat()
                    yield _Kept(status.st_atime_ns, status.st_size, path)

    def _path(self, key: str) -> Path:
        return self._directory / key[:2] / key[2:]

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        with self._lock:
            lock = self._making.setdefault(key, threading.Lock())
        with lock:
            try:
                yield
            finally:
                with self._lock:
                    self._making.pop(key, None)


def _remove_abandoned(path: Path) -> None:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        path.unlink(missing_ok=True)
