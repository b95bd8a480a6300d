"""What a table is, and what a format is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

from app.domain.columns import Column, Kind

Row = tuple[Any, ...]

# Rows turned into bytes at a time: enough that work by columns pays, few enough to take a megabyte or two.
CHUNK_ROWS = 2000


class Table(NamedTuple):
    """A table to write.

    Parameters
    ----------
    name
        Stem of the file's name, and the table's name where the format has room for one.
    columns
        At least one.
    rows
        Values by position, as they are in the database: a TIME in Unix seconds, a BOOLEAN as 0 or 1, anything may be
        ``None``, NaN or infinite. Read once, a chunk at a time, while the table is being written.
    description
        One sentence for people, where the format has room for it.
    notes
        Further facts by name: INFO elements of a VOTable, comments of a FITS header, metadata of a Parquet file. CSV
        and NDJSON have no room for them.
    overflow
        Asked after the last row: whether there were more rows than were given. A VOTable says so.
    attributes
        Further attributes of FIELDs of a VOTable (``ID``, ``utype``, ``xtype``), by the column's name.
    attached
        XML of further RESOURCEs of a VOTable, which follow the table's own.
    """

    name: str
    columns: Sequence[Column]
    rows: Iterable[Row]
    description: str = ""
    notes: Mapping[str, str] = MappingProxyType({})
    overflow: Callable[[], bool] | None = None
    attributes: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    attached: str = ""


class Format(NamedTuple):
    """A format that tables can be written in.

    Parameters
    ----------
    name
        As clients ask for it.
    content_type
        Of the answer.
    extension
        Of the file, without a dot.
    media_types
        By which an ``Accept`` header can ask for it, without parameters, the usual one first.
    write
        A table as pieces of bytes, in constant memory. Raises NotInstalled at once where a library is missing. Nothing
        is given out before the first chunk of rows is there, so whoever takes the first piece before answering still
        learns of what goes wrong until then. What the rows raise later comes through; the pieces given out by then
        do not make a file that could pass for a whole one (text: the stream has to be broken off).
    """

    name: str
    content_type: str
    extension: str
    media_types: tuple[str, ...]
    write: Callable[[Table], Iterator[bytes]]


def chunks(rows: Iterable[Row], size: int = CHUNK_ROWS) -> Iterator[list[Row]]:
    """Rows in lists of at most ``size``, never an empty one."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


def unit(column: Column) -> str:
    """VOUnit of a column; MJDs are days whether or not the column says so."""
    return column.unit or ("d" if column.kind is Kind.MJD else "")
