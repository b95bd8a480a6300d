"""Tables as CSV (RFC 4180), with a line of names, that a spreadsheet opens without running anything.

A missing value is an empty cell, empty text is ``""``, NaN and infinity are ``nan``, ``inf`` and ``-inf``. Text that a
spreadsheet would take for a formula gets an apostrophe in front; numbers, negative ones too, are left alone.

The standard library's writer is not used for rows: it spells each number by itself, which is all it does for most of
its time, and is five times slower than spelling columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from app.domain.columns import Column, Kind
from app.services.tables.cells import iso_times, numerals, truths
from app.services.tables.model import Format, Row, Table, chunks

# A cell that begins with one of these is a formula to a spreadsheet.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

_STARTS_TO_LOOK_AT = {"", *FORMULA_STARTS}
_QUOTED = ('"', ",", "\r", "\n")
_TRUTH = {None: "", True: "true", False: "false"}


def write(table: Table) -> Iterator[bytes]:
    """The table as CSV; what its rows raise comes through and leaves the stream without its end."""
    pieces = chunks(table.rows)
    head = _lines([[guarded(column.name)] for column in table.columns])
    yield head + _encode(table.columns, next(pieces, []))
    for rows in pieces:
        yield _encode(table.columns, rows)


def guarded(text: str) -> str:
    """Text as a cell: an apostrophe before what a spreadsheet would run, quotes around what needs them."""
    if text.startswith(FORMULA_STARTS):
        text = f"'{text}"
    if not text or any(character in text for character in _QUOTED):
        return '"' + text.replace('"', '""') + '"'
    return text


def _encode(columns: Sequence[Column], rows: list[Row]) -> bytes:
    if not rows:
        return b""
    by_column = zip(columns, zip(*rows, strict=True), strict=True)
    return _lines([_cells(column.kind, values) for column, values in by_column])


def _lines(columns: Sequence[Iterable[str]]) -> bytes:
    lines = list(map(",".join, zip(*columns, strict=True)))
    if len(columns) == 1:  # a line without anything is no row to most readers
        lines = [line or '""' for line in lines]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _cells(kind: Kind, values: tuple[Any, ...]) -> list[str]:
    if kind is Kind.TEXT:
        return _texts(values)
    if kind is Kind.TIME:
        return iso_times(values, zone=True)
    if kind is Kind.BOOLEAN:
        return [_TRUTH[value] for value in truths(values)]
    return numerals(values) or [_cell(value) for value in values]


def _texts(values: tuple[Any, ...]) -> list[str]:
    try:
        together = "\0".join(values)
    except TypeError:  # something among them is not text
        return [_cell(value) for value in values]
    if any(character in together for character in _QUOTED):
        return list(map(guarded, values))
    if _STARTS_TO_LOOK_AT.isdisjoint({value[:1] for value in values}):
        return list(values)
    return list(map(guarded, values))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return repr(value)
    return guarded(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


FORMAT = Format("csv", "text/csv; charset=utf-8; header=present", "csv", ("text/csv",), write)
