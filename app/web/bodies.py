"""Bodies of answers that go out after the application has answered, and how much of them went out.

What can be known is what the system took: pieces that were taken whole, and of a file that the system sends by itself
(``sendfile``) every byte. A client that breaks off may have received less, by what is on its way: some megabytes at
most, as the buffers of both sockets go.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from app.web.caching import Environ, close

# Bytes that were sent, and when that began (time.perf_counter()).
Note = Callable[[int, float], None]


def watched(body: Iterable[bytes], environ: Environ, note: Note) -> Iterable[bytes]:
    """The same body; ``note`` is called when it is closed, which a server does in every case.

    Notes
    -----
    A file stays in the server's own wrapper, without which the server would not have the system send it.
    """
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(body, wrapper) and hasattr(body, "filelike"):
        file: Iterable[bytes] = wrapper(_File(body.filelike, note))
        return file
    return _Pieces(body, note)


class _Pieces:
    """A body in pieces; one is counted when the next is asked for, because only then was it taken."""

    def __init__(self, body: Iterable[bytes], note: Note) -> None:
        self._body = body
        self._note = note
        self._sent = 0
        self._began: float | None = None

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._body:
            if self._began is None:
                self._began = time.perf_counter()
            yield piece
            self._sent += len(piece)

    def close(self) -> None:
        """Close the body, then take note."""
        try:
            close(self._body)
        finally:
            self._note(self._sent, time.perf_counter() if self._began is None else self._began)


class _File:
    """A file that the server reads, or has the system send: :meth:`socket.socket.sendfile` leaves it where that ended.

    Leaving it there is a call of :meth:`seek`, whether all was sent or the client broke off.
    """

    def __init__(self, file: IO[bytes], note: Note) -> None:
        self._file = file
        self._note = note
        self._began = time.perf_counter()
        self._start = file.tell()
        self._sent = 0

    def fileno(self) -> int:
        """The descriptor; OSError where there is none."""
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        """The next piece."""
        piece = self._file.read(size)
        self._sent += len(piece)
        return piece

    def seek(self, offset: int) -> int:
        """Go where sending begins or ended."""
        self._sent = offset - self._start
        return self._file.seek(offset)

    def close(self) -> None:
        """Close the file, then take note."""
        try:
            self._file.close()
        finally:
            self._note(self._sent, self._began)
