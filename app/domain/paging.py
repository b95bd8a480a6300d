"""Pages of a list, and the cursor that leads from one to the next.

A cursor holds the sort key of the last row seen (keyset paging), so a page deep in the list costs what the first one
does, and rows arriving meanwhile neither repeat nor hide others. It is bound to its query: used with other filters
it is refused rather than answered with nonsense.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from app.domain.errors import InvalidValue

R = TypeVar("R")
Key = tuple[float | int | str | None, ...]


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list is asked for; ``binding`` names the query that a cursor belongs to."""

    limit: int
    offset: int = 0
    cursor: str | None = None
    count: Literal["exact"] | None = None
    binding: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Part of a list, the cursor of the next part (``None`` at the end) and the whole's size where it was asked for."""

    items: list[R]
    next_cursor: str | None = None
    total: int | None = None


def _seal(binding: str) -> str:
    return hashlib.blake2b(binding.encode(), digest_size=6).hexdigest()


def encode_cursor(key: Key, binding: str) -> str:
    """An opaque, URL-safe cursor for a row's sort key within the query named by ``binding``."""
    text = json.dumps([_seal(binding), *key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str, binding: str, types: tuple[type, ...]) -> Key:
    """The sort key inside a cursor.

    Parameters
    ----------
    cursor
        As given out by :func:`encode_cursor`.
    binding
        Name of the query at hand.
    types
        What the parts of the key must be.

    Raises
    ------
    InvalidValue
        The cursor is damaged, or belongs to another query.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        seal, *key = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidValue("cursor", "it is damaged; start again from the first page") from error
    if seal != _seal(binding):
        raise InvalidValue("cursor", "it belongs to another query; start again from the first page")
    if len(key) != len(types) or not all(_fits(part, kind) for part, kind in zip(key, types, strict=True)):
        raise InvalidValue("cursor", "it is damaged; start again from the first page")
    return tuple(key)


def _fits(part: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(part, int | float) and not isinstance(part, bool)
    if kind is int:
        return isinstance(part, int) and not isinstance(part, bool) and abs(part) < 2**63
    return isinstance(part, kind)
