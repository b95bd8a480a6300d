"""Write-ahead logs known to be left behind by files that were replaced, told to the processes that come after.

Who opens a file for the first time cannot see whose log lies beside it: SQLite's logs do not say to which database they
belong. So whoever saw the file being replaced writes it down in our own directory, and workers that start later, or
never had the old file open, read it there.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import orjson

log = logging.getLogger(__name__)

FILE_NAME = "orphaned-logs.json"
# Device and inode.
File = tuple[int, int]
# A file in the state it is in: device, inode, time of the last change [ns], size [bytes].
Stamp = tuple[int, int, int, int]


class Orphan(NamedTuple):
    """A log as it was left behind, and the file that it belongs to."""

    log: Stamp
    of: File


class OrphanNotes:
    """The file in which they stand, one line of JSON by the path of the database.

    Devices are not written down, since their numbers may be others when the machine has started again.

    Parameters
    ----------
    directory
        Where the file lies; ``None`` for nowhere.
    """

    def __init__(self, directory: Path | None) -> None:
        self._file = directory / FILE_NAME if directory is not None else None
        self._seen: Stamp | None = None

    def news(self) -> dict[str, Orphan] | None:
        """What stands there by path, ``None`` where that has not changed since the last call."""
        seen = stamp(str(self._file)) if self._file is not None else None
        if seen == self._seen:
            return None
        self._seen = seen
        return self._read()

    def write(self, path: Path, orphan: Orphan | None) -> None:
        """Note what was left behind beside a database, or that nothing is any more."""
        if self._file is None:
            return
        notes = self._read()
        if notes.pop(str(path), None) == orphan:
            return
        if orphan is not None:
            notes[str(path)] = orphan
        try:
            self._replace({name: [*note.log[1:], note.of[1]] for name, note in notes.items()})
        except OSError as error:
            log.warning("Workers that start later will not know whose log lies beside %s: %s", path, error)

    def _read(self) -> dict[str, Orphan]:
        try:
            text = self._file.read_bytes() if self._file is not None else b"{}"
            return {name: _orphan(Path(name), *numbers) for name, numbers in orjson.loads(text).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("%s cannot be read: %s", self._file, error)
            return {}

    def _replace(self, notes: dict[str, list[int]]) -> None:
        assert self._file is not None
        self._file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{FILE_NAME}-", dir=self._file.parent)
        try:
            with open(handle, "wb") as file:
                file.write(orjson.dumps(notes))
            os.replace(name, self._file)
        except BaseException:
            os.unlink(name)
            raise


def is_left_behind(directory: Path, path: Path) -> bool:
    """Whether the log beside a database is noted, in a directory, as that of a file which it replaced."""
    orphan = (OrphanNotes(directory).news() or {}).get(str(path))
    if orphan is None:
        return False
    file, beside = stamp(str(path)), stamp(f"{os.path.realpath(path)}-wal")
    return file is not None and file[:2] != orphan.of and beside == orphan.log


def stamp(path: str) -> Stamp | None:
    """The state of a file, ``None`` without one."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _orphan(path: Path, inode: int, changed_ns: int, size: int, of: int) -> Orphan:
    device = os.stat(os.path.dirname(os.path.realpath(path))).st_dev
    return Orphan((device, inode, changed_ns, size), (device, of))
