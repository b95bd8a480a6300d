"""Tables as newline-delimited JSON: one object for each row, NaN and infinity as ``null``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from app.domain.columns import Column, Kind
from app.services.tables.cells import moments, truths
from app.services.tables.model import Format, Row, Table, chunks

# Times reach orjson as datetimes without a zone.
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z

# Fewer than elsewhere: orjson sets aside some four kilobytes for a line, however short, until lines are joined.
_CHUNK_ROWS = 500

# The other kinds are in the database what they are in JSON.
_CONVERTED: dict[Kind, Callable[[Sequence[Any]], Sequence[Any]]] = {Kind.TIME: moments, Kind.BOOLEAN: truths}


def write(table: Table) -> Iterator[bytes]:
    """The table as lines of JSON; what its rows raise comes through and leaves the stream without its end."""
    names = [column.name for column in table.columns]
    for rows in chunks(table.rows, _CHUNK_ROWS):
        yield b"".join([_line(dict(zip(names, row, strict=True))) for row in _converted(table.columns, rows)])


def _line(item: dict[str, Any]) -> bytes:
    return orjson.dumps(item, default=_foreign, option=_OPTIONS)


def _converted(columns: Sequence[Column], rows: list[Row]) -> Sequence[Row]:
    if _CONVERTED.keys().isdisjoint(column.kind for column in columns):
        return rows
    by_column = zip(columns, zip(*rows, strict=True), strict=True)
    converted = [_CONVERTED[column.kind](cells) if column.kind in _CONVERTED else cells for column, cells in by_column]
    return list(zip(*converted, strict=True))


def _foreign(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    raise TypeError(f"{type(value).__name__} has no JSON form")


FORMAT = Format(
    "ndjson",
    "application/x-ndjson",
    "ndjson",
    ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"),
    write,
)
