"""Pages of a list, and the cursor that leads from one to the next.

A cursor holds the sort key of the last row seen (keyset paging), so a page deep in the list costs what the first one
does, and rows arriving meanwhile neither repeat nor hide others. It is bound to its query: used with other filters
it is refused rather than answered with nonsense.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from app.domain.columns import Column
from app.domain.errors import InvalidValue
from app.domain.selection import EVERYTHING, Selection

R = TypeVar("R")
Key = tuple[float | int | str | None, ...]

# Half of a character outside the basic plane, which JSON can write and UTF-8 cannot.
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list is asked for.

    Parameters
    ----------
    limit
        Rows at most; ``None`` for all there are, which only a stream can carry.
    offset
        Rows to pass over.
    cursor
        Where to start, as an earlier page said.
    count
        Whether the size of the whole is wanted, and how exactly.
    binding
        Name of the query that a cursor belongs to.
    selection
        Conditions, order, columns.
    format
        What the rows are wanted as: ``json``, or one of the formats of a stream.
    options
        Parameters of that list alone.
    """

    limit: int | None
    offset: int = 0
    cursor: str | None = None
    count: Literal["exact", "estimated"] | None = None
    binding: str = ""
    selection: Selection = EVERYTHING
    format: str = "json"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_stream(self) -> bool:
        """Whether the rows are read and sent a few at a time, however many there are."""
        return self.format != "json"


class Total(NamedTuple):
    """Size of a list: ``exact``, or ``at-least`` where counting further would have cost too much."""

    rows: int
    kind: Literal["exact", "at-least"]


Covered = Literal["true", "false", "unknown"]


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Part of a list.

    Parameters
    ----------
    items
        Records; where ``columns`` says so, plain rows of those columns instead.
    next_cursor
        Where the next part starts, ``None`` at the end.
    total
        Size of the whole, where it was asked for.
    columns
        What the items are rows of, where columns were chosen.
    covered
        Where nothing was found in a cone: whether any image shows that position at all.
    format
        What it is wanted as.
    """

    items: Iterable[R]
    next_cursor: str | None = None
    total: Total | None = None
    columns: tuple[Column, ...] | None = None
    covered: Covered | None = None
    format: str = "json"


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
        What the parts of the key must be; ``float`` for a REAL column, ``Real`` for what is a number indeed.

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
    """Whether it is of that kind, and such that SQLite can hold and order it."""
    if isinstance(part, bool):
        return False
    if isinstance(part, int):
        return kind in {int, float, Real} and -(2**63) <= part < 2**63
    if isinstance(part, float):
        return kind in {float, Real} and not math.isnan(part)
    # Nothing keeps text out of a REAL column, and a row with it has its place in the order.
    return isinstance(part, str) and kind in {str, float} and not _SURROGATE.search(part)
