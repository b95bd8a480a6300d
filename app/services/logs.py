"""Logs of runs: the end of a file that may be very long and may still be written to."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import BinaryIO

from app.domain.errors import FileNotAccessible
from app.domain.logs import LONGEST_TAIL, LogTail, log_name
from app.services.files import DataFiles

BLOCK_BYTES = 1 << 18
# A tail longer than this loses its beginning: a log without line ends must not fill the memory.
LARGEST_TAIL_BYTES = 16 << 20
CUT = "[beginning of this line left out] "


class LogService:
    """Finds and reads the logs.

    Parameters
    ----------
    directories
        Where logs lie, searched in this order.
    files
        Finds regular files inside these directories, and only those.
    """

    def __init__(self, directories: tuple[Path, ...], files: DataFiles) -> None:
        self._directories = directories
        self._files = files

    def locate(self, run_id: str) -> Path | None:
        """The run's log, or ``None``: whether it is absent or out of bounds is nobody's business."""
        name = log_name(run_id)
        for directory in self._directories if name else ():
            try:
                return self._files.locate(posixpath.join(directory, str(name)))
            except FileNotAccessible:
                continue
        return None

    def tail(self, run_id: str, lines: int) -> LogTail:
        """The last lines of a run's log.

        Parameters
        ----------
        run_id
            Run whose log to read; the run itself need not be known.
        lines
            How many; none or fewer than none asks for as many as may be had, 10,000.
        """
        path = self.locate(run_id)
        if path is None:
            return LogTail(run_id, [], error=f"Log file not found for run_id: {run_id[:200]}")
        try:
            with open(path, "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                last = last_lines(file, size, lines if lines > 0 else LONGEST_TAIL)
                return LogTail(run_id, last, total_lines=count_lines(file, size))
        except OSError as error:
            return LogTail(run_id, [], error=f"Failed to read log file: {error.strerror or 'unknown reason'}")


def last_lines(file: BinaryIO, size: int, lines: int) -> list[str]:
    """The last lines of the first ``size`` bytes of a file, read backwards in blocks.

    Notes
    -----
    Bytes that are not UTF-8 become U+FFFD. Past 16 MiB the oldest line is cut at its beginning, and says so.
    """
    blocks: list[bytes] = []
    start, ends = size, 0
    # One more line end than lines: the one before the first of them. The last byte may be one itself.
    while start > 0 and ends <= lines and size - start < LARGEST_TAIL_BYTES:
        step = min(BLOCK_BYTES, start)
        start -= step
        blocks.append(_read_at(file, start, step))
        ends += blocks[-1].count(b"\n")
    found = b"".join(reversed(blocks)).split(b"\n")
    texts = [line.decode("utf-8", "replace") + "\n" for line in found[:-1]]
    if found[-1]:
        texts.append(found[-1].decode("utf-8", "replace"))
    if start > 0 and ends <= lines and texts:
        texts[0] = CUT + texts[0]
    return texts[-lines:]


def count_lines(file: BinaryIO, size: int) -> int:
    """Number of lines in the first ``size`` bytes of a file, the last one with or without its end."""
    count, start, block = 0, 0, b""
    while start < size:
        block = _read_at(file, start, min(BLOCK_BYTES, size - start))
        if not block:
            break
        count += block.count(b"\n")
        start += len(block)
    return count + (block[-1:] not in (b"\n", b""))


def _read_at(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)
