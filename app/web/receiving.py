"""When a request has come in whole: looked at while its bytes arrive, without reading any of them for good.

gunicorn's parser decides what a request is and whether it is well formed. Here it is only seen when there is enough
for it: the head and, where one is announced and may be as long, the body (RFC 9112, sections 6 and 7.1). What looks
strange is enough as well, for the parser to refuse.
"""

from __future__ import annotations

import re
from enum import Enum

_LENGTH = re.compile(rb"\r\ncontent-length[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_CODED = re.compile(rb"\r\ntransfer-encoding[ \t]*:", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect[ \t]*:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)
_END = b"\r\n\r\n"
_LONGEST_CHUNK_LINE = 4096


# What the parser gets at once [bytes]: it copies all that it has for every chunk that it finds in it. More only where
# it knows how much is still to come of one.
_PIECE, _LARGEST_PIECE = 8_192, 65_536


class State(Enum):
    """How far a request has come."""

    HEAD = "head"
    BODY = "body"
    ENOUGH = "enough"
    HEAD_TOO_LONG = "head too long"


class Incoming:
    """The bytes of a request so far.

    Parameters
    ----------
    longest_line
        Longest request line [bytes].
    longest_head
        Most bytes of request line and header fields together.
    longest_body
        Longest body that is worth waiting for [bytes].
    """

    def __init__(self, *, longest_line: int, longest_head: int, longest_body: int) -> None:
        self.data = bytearray()
        self.state = State.HEAD
        self.wants_to_be_asked = False
        # A request without a body, and nothing behind it.
        self.is_bare = False
        self._longest_line = longest_line
        self._longest_head = longest_head
        self._longest_body = longest_body
        self._ends_at: int | None = None
        self._looked_to = 0
        self._trailer_looked_to = 0

    def feed(self, piece: bytes) -> State:
        """Take in some more; how far that is."""
        self.data += piece
        if self.state is State.HEAD:
            self._look_for_body()
        if self.state is State.BODY:
            self._look_for_end()
        return self.state

    def _look_for_body(self) -> None:
        end = self.data.find(_END, max(0, self._looked_to - len(_END)))
        self._looked_to = len(self.data)
        if end >= 0:
            self._read_head(end)
        elif len(self.data) > self._longest_head:
            self.state = State.HEAD_TOO_LONG
        elif len(self.data) > self._longest_line + 2 and self.data.find(b"\r\n", 0, self._longest_line + 4) < 0:
            self.state = State.ENOUGH

    def _read_head(self, end: int) -> None:
        head = bytes(self.data[: end + 2])
        start = end + len(_END)
        lengths = {length.strip() for length in _LENGTH.findall(head)}
        coded = _CODED.search(head) is not None
        if end > self._longest_head:
            self.state = State.HEAD_TOO_LONG
        elif not coded and not lengths - {b"0"}:
            self.state = State.ENOUGH
            self.is_bare = start == len(self.data)
        elif coded and not lengths:
            self.state, self._looked_to = State.BODY, start
        elif coded or len(lengths) > 1 or not (length := lengths.pop()).isdigit() or len(length) > 18:
            self.state = State.ENOUGH  # ambiguous, or no number: refused by the parser
        elif int(length) > self._longest_body:
            self.state = State.ENOUGH  # refused unread
        else:
            self.state, self._ends_at = State.BODY, start + int(length)
        if self.state is State.BODY:
            self._settle_expectation(start)

    def _settle_expectation(self, start: int) -> None:
        """A client that waits to be asked for the body is asked once, by whoever reads it.

        One that speaks HTTP/1.0 never is (RFC 9110, section 10.1.1): it would take that for the answer.
        """
        head, asked = _EXPECT.subn(b"", bytes(self.data[: start - 2]))
        if not asked:
            return
        self.wants_to_be_asked = not head.partition(b"\r\n")[0].endswith(b" HTTP/1.0")
        shorter = start - 2 - len(head)
        self.data[: start - 2] = head
        self._looked_to -= shorter
        if self._ends_at is not None:
            self._ends_at -= shorter

    def _look_for_end(self) -> None:
        if self._ends_at is not None:
            if len(self.data) >= self._ends_at:
                self.state = State.ENOUGH
        elif len(self.data) > self._longest_head + 2 * self._longest_body or self._is_last_chunk_there():
            self.state = State.ENOUGH

    def _is_last_chunk_there(self) -> bool:
        """Walk the chunks that are there whole; also true where they are none."""
        while self._looked_to < len(self.data):
            end = self.data.find(b"\r\n", self._looked_to)
            if end < 0:
                return len(self.data) - self._looked_to > _LONGEST_CHUNK_LINE
            size = bytes(self.data[self._looked_to : end]).partition(b";")[0].strip()
            if re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size) is None:
                return True
            if int(size, 16) == 0:
                return self._is_trailer_there(end)
            self._looked_to = end + 2 + int(size, 16) + 2
        return False

    def _is_trailer_there(self, start: int) -> bool:
        """Look for the end behind the last chunk, each time only through what is new."""
        found = self.data.find(_END, max(start, self._trailer_looked_to - len(_END))) >= 0
        self._trailer_looked_to = len(self.data)
        return found or self._trailer_looked_to - start > self._longest_head


class Pieces:
    """A request that has come in, handed out a piece at a time as if from its socket, and nothing after it."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = data
        self._given = 0
        # Whether more was asked for than there is.
        self.ended_early = False

    def __call__(self, size_hint: int | None = None) -> bytes:
        """The next piece, empty at the end."""
        end = self._given + min(max(size_hint or 0, _PIECE), _LARGEST_PIECE)
        piece = self._data[self._given : end]
        self._given += len(piece)
        self.ended_early = not piece
        return piece

    def rest(self) -> bytes:
        """What is left, of the requests that follow, to be handed out elsewhere."""
        left, self._given = self._data[self._given :], len(self._data)
        return left
