"""Places for what takes a thread for long: archives and tables that are made while they are sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

from flask import Flask, current_app

from app.config import Settings
from app.domain.errors import Overloaded

_EXTENSION = "contimg.downloads"


class Place:
    """A place that was taken; left once, at the latest when nobody has it any more."""

    def __init__(self, free: threading.Semaphore) -> None:
        self._free: threading.Semaphore | None = free

    def leave(self) -> None:
        """Let somebody else have it."""
        free, self._free = self._free, None
        if free is not None:
            free.release()

    __del__ = leave


class Sent:
    """A body that has its place until it is sent, or nobody wants the rest; ``first`` of it was made before."""

    def __init__(self, pieces: Iterator[bytes], place: Place, first: bytes = b"") -> None:
        self._first = first
        self._pieces = pieces
        self._place = place

    def __iter__(self) -> Iterator[bytes]:
        if self._first:
            yield self._first
        yield from self._pieces
        self._place.leave()

    def close(self) -> None:
        """Stop, and leave the place."""
        try:
            close = getattr(self._pieces, "close", None)
            if close is not None:
                close()
        finally:
            self._place.leave()


def install(app: Flask, settings: Settings) -> None:
    """Give the application its places."""
    app.extensions[_EXTENSION] = threading.Semaphore(settings.max_downloads)


def take() -> Place:
    """A place for one more archive or table; raises Overloaded where there is none."""
    free = cast(threading.Semaphore, current_app.extensions[_EXTENSION])
    if not free.acquire(blocking=False):
        raise Overloaded("As many archives and tables as may be are being sent; try again soon")
    return Place(free)
