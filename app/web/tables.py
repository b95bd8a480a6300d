"""Lists as tables: rows of chosen columns as JSON, or streamed in one of the formats of tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import marshmallow as ma
from flask import Response

from app.domain.columns import Column, Kind
from app.domain.paging import Page
from app.domain.time import iso_from_unix
from app.services.tables import FORMATS, Table
from app.services.tables.csv import guarded
from app.web import places
from app.web.disposition import disposition
from app.web.json import encode
from app.web.media import JSON

_WIRES: dict[Kind, Callable[[Any], Any]] = {Kind.IDENTIFIER: str, Kind.TIME: iso_from_unix, Kind.BOOLEAN: bool}
# SQLite lets them into a column of numbers, where they stand for nothing.
_NO_NUMBERS = frozenset({str, bytes})


def send_page(page: Page[Any], columns: Sequence[Column], name: str) -> Response:
    """Answer with rows of chosen columns.

    Parameters
    ----------
    page
        Whose items are rows.
    columns
        What they are rows of.
    name
        Of the list; files are called by it.
    """
    if page.format == JSON:
        return Response(encode(list(_objects(page.items, columns))), mimetype="application/json")
    return send_table(Table(name, columns, page.items), page.format)


def send_table(table: Table, form: str, file_name: str = "") -> Response:
    """Answer with a table as a stream that begins once its first rows are there.

    Files are called ``file_name``, or as the table where it is empty.
    """
    place = places.take()
    written = FORMATS[form]
    pieces = iter(written.write(table))
    first = next(pieces, b"")
    # A VOTable is shown by what asked for it, TOPCAT or a browser.
    kind = "inline" if written.content_type.startswith("application/x-votable") else "attachment"
    headers = {"Content-Disposition": disposition(kind, f"{file_name or table.name}.{written.extension}")}
    return Response(places.Sent(pieces, place, first), content_type=written.content_type, headers=headers)


def send_records(
    records: Iterable[Any], schema: ma.Schema, columns: Sequence[Column], name: str, form: str
) -> Response:
    """Answer with records as a stream: a JSON array of them, or a table of all their ``rows``."""
    if form != JSON:
        return send_table(Table(name, columns, chain.from_iterable(record.rows for record in records)), form)
    place = places.take()
    pieces = _array(map(schema.dump, records))
    return Response(places.Sent(pieces, place, next(pieces)), mimetype="application/json")


def _array(objects: Iterable[Any]) -> Iterator[bytes]:
    separator = b"["
    for found in objects:
        yield separator + encode(found)
        separator = b","
    yield b"]" if separator == b"," else b"[]"


def csv_response(name: str, lines: Sequence[Mapping[str, Any]]) -> Response:
    """Answer with a small table to download.

    Parameters
    ----------
    name
        Of the file.
    lines
        At least one, all of the same columns; ``None`` becomes an empty cell.
    """
    rows = [list(lines[0]), *(line.values() for line in lines)]
    text = "".join(f"{','.join(map(_cell, row))}\r\n" for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, content_type="text/csv; charset=utf-8", headers=headers)


def _cell(value: Any) -> str:
    return "" if value is None else guarded(value) if isinstance(value, str) else str(value)


def _objects(rows: Iterable[tuple[Any, ...]], columns: Sequence[Column]) -> Iterator[dict[str, Any]]:
    names = [column.name for column in columns]
    wires = [(column.name, _WIRES[column.kind]) for column in columns if column.kind in _WIRES]
    numbers = [column.name for column in columns if column.kind.is_number and column.kind not in _WIRES]
    for row in rows:
        found = dict(zip(names, row, strict=True))
        for name in numbers:
            if found[name].__class__ in _NO_NUMBERS:
                found[name] = None
        for name, wire in wires:
            if found[name] is not None:
                found[name] = wire(found[name])
        yield found
