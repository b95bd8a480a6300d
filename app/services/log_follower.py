"""Reading on in a log while it is written, across rotation, from wherever one left off."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

BLOCK_BYTES = 1 << 16
# A longer line is given out in pieces.
LONGEST_LINE_BYTES = 1 << 16


class Position(NamedTuple):
    """A place in a log: a byte of a file, and which file that is, since rotation puts another at the same path."""

    offset: int
    file: int | None = None

    def __str__(self) -> str:
        return f"{self.offset}" if self.file is None else f"{self.offset}:{self.file:x}"

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """The place that an event id names, or ``None`` for one that is none."""
        offset, _, file = text.partition(":")
        try:
            place = cls(int(offset), int(file, 16) if file else None)
        except ValueError:
            return None
        return place if 0 <= place.offset < 2**63 else None


class LogLine(NamedTuple):
    """A line without its end, and the place behind it."""

    text: str
    behind: Position


class LogFollower:
    """Follows the log at a path.

    Parameters
    ----------
    path
        The file; it may come later, be renamed (``.1``, ``.2`` … beside it) while another takes its place, or be cut.
    start
        Where to go on: behind the last line that was seen; ``None`` from the beginning.

    Notes
    -----
    Of a file that was renamed what is left is read first, then the files that came after it, then the new one. A file
    that is shorter than the place reached in it was cut and is read from its beginning.
    """

    def __init__(self, path: Path, start: Position | None = None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._offset = 0
        self._partial = b""
        self._ahead: list[Path] = []
        self._resume(start)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def position(self) -> Position:
        """The place behind the last line that was given out."""
        return Position(self._offset, None if self._file is None else os.fstat(self._file.fileno()).st_ino)

    def lines(self) -> Iterator[LogLine]:
        """Lines that have come since; whole ones, but the last of a file that is written no more as it is."""
        while self._file is not None or self._open(self._path):
            yield from self._read()
            if not self._moved():
                return
            # What was written between the last look and the renaming.
            yield from self._read()
            if self._partial:
                yield self._line(self._partial)
            self.close()
            self._open(self._ahead.pop(0) if self._ahead else self._path)

    def _resume(self, start: Position | None) -> None:
        if start is None:
            return
        is_open = self._open(self._path)
        if start.file is None or (is_open and start.file == self.position.file):
            self._go_to(start.offset)
            return
        chain = _rotated(self._path)
        at = next((n for n, (_, status) in enumerate(chain) if status.st_ino == start.file), None)
        if at is not None:
            self.close()
            self._open(chain[at][0])
            self._ahead = [path for path, _ in chain[at + 1 :]]
            self._go_to(start.offset)

    def _open(self, path: Path) -> bool:
        # The path is a real one: a link that stands there now was put there since.
        try:
            self._file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb", buffering=0)
        except OSError:
            return False
        self._offset, self._partial = 0, b""
        return True

    def _go_to(self, offset: int) -> None:
        if self._file is not None and offset <= os.fstat(self._file.fileno()).st_size:
            self._offset = offset
            self._file.seek(offset)

    def _moved(self) -> bool:
        """Whether the file at hand has been renamed or removed, and another is there to go on with."""
        assert self._file is not None
        try:
            return bool(self._ahead) or not os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno()))
        except OSError:
            return False

    def _read(self) -> Iterator[LogLine]:
        assert self._file is not None
        if os.fstat(self._file.fileno()).st_size < self._offset + len(self._partial):
            self._file.seek(0)
            self._offset, self._partial = 0, b""
        while data := self._file.read(BLOCK_BYTES):
            self._partial += data
            *whole, rest = self._partial.split(b"\n")
            for line in whole:
                yield self._line(line, end=1)
            self._partial = rest
            if len(rest) > LONGEST_LINE_BYTES:
                yield self._line(rest)

    def _line(self, line: bytes, end: int = 0) -> LogLine:
        self._offset += len(line) + end
        self._partial = b""
        return LogLine(line.decode("utf-8", "replace").rstrip("\r"), self.position)


def _rotated(path: Path) -> list[tuple[Path, os.stat_result]]:
    """Earlier files of a log, oldest first; one that is rotated away in that moment is none."""
    found = []
    for other in path.parent.glob(f"{path.name}.*"):
        with contextlib.suppress(OSError):
            status = other.lstat()
            if stat.S_ISREG(status.st_mode) and other.suffix not in {".gz", ".xz", ".zst", ".bz2"}:
                found.append((other, status))
    return sorted(found, key=lambda each: each[1].st_mtime_ns)
