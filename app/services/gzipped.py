"""Reading a gzipped file here and there, forwards, in one pass.

A gzip stream can only be read on from where one is: going back means to start again from its beginning. astropy
returns to where it was after each piece it reads, without reading anything there; done at once, that would decompress
the whole file for every row of an image.
"""

from __future__ import annotations

import gzip
import io
from pathlib import Path

MAGIC = b"\x1f\x8b"
# A header is read a block at a time until it ends (FITS 4.0, section 3.1). None of an image has so many blocks; but a
# few kilobytes of gzip can hold gigabytes of them, and no end.
HEADER_BLOCK_BYTES = 2880
MOST_HEADER_BLOCKS = 2000


def is_gzipped(path: Path) -> bool:
    """Whether a file begins as gzip does (RFC 1952, section 2.3.1)."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


class LazyGzip(gzip.GzipFile):
    """A gzipped file, open for reading, that goes where it was sent only when it is read there."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "rb")
        self._wanted: int | None = None
        self._blocks = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Remember where to read next."""
        if whence != io.SEEK_SET:
            offset, self._wanted = super().seek(offset, whence), None
            return offset
        self._wanted = offset
        return offset

    def tell(self) -> int:
        """Where the next byte will be read."""
        return super().tell() if self._wanted is None else self._wanted

    def read(self, size: int | None = -1) -> bytes:
        """Go there and read; OSError for a header without end."""
        self._blocks = self._blocks + 1 if size == HEADER_BLOCK_BYTES else 0
        if self._blocks > MOST_HEADER_BLOCKS:
            raise OSError("a header without end")
        if self._wanted is not None:
            super().seek(self._wanted)
            self._wanted = None
        return super().read(size)
