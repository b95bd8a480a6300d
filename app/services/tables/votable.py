"""Tables as VOTable 1.4 (IVOA), written as text: TABLEDATA can be streamed row by row, and needs no library.

Missing values of any type are empty cells, which VOTable allows since 1.3; NaN and infinity keep their own spelling.
Text is ``unicodeChar``; characters that XML 1.0 has no room for become U+FFFD. Times are DALI timestamps (UTC, no
zone); times and positions refer to a TIMESYS and a COOSYS, so that a client need not guess their systems.

When the rows fail on the way, the document is closed with ``QUERY_STATUS=ERROR``, as DALI has it for errors met after
streaming began, and the exception still comes through: a client that reads the document to its end learns of the
error, and one that watches the connection sees it broken off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.domain.columns import Column, Kind
from app.domain.errors import ContimgError
from app.services.tables.cells import integers, iso_times, numerals, reals, texts, truths
from app.services.tables.model import Format, Row, Table, chunks, unit

# XML 1.0, section 2.2, allows no other control characters; a reader turns a bare carriage return into a line feed.
_XML: dict[int, str] = {
    **dict.fromkeys([*range(0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\N{REPLACEMENT CHARACTER}"),
    ord("\t"): "\t",
    ord("\n"): "\n",
    ord("\r"): "&#13;",
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord('"'): "&quot;",
}
_TYPES: dict[Kind, dict[str, str]] = {
    Kind.TEXT: {"datatype": "unicodeChar", "arraysize": "*"},
    Kind.INTEGER: {"datatype": "long"},
    Kind.IDENTIFIER: {"datatype": "long"},
    Kind.REAL: {"datatype": "double"},
    Kind.BOOLEAN: {"datatype": "boolean"},
    Kind.TIME: {"datatype": "char", "arraysize": "*", "xtype": "timestamp"},
    Kind.MJD: {"datatype": "double"},
}
_SYSTEMS = {
    "icrs": '<COOSYS ID="icrs" system="ICRS"/>',
    "utc": '<TIMESYS ID="utc" timescale="UTC" refposition="TOPOCENTER"/>',
    "mjd_utc": '<TIMESYS ID="mjd_utc" timeorigin="MJD-origin" timescale="UTC" refposition="TOPOCENTER"/>',
}
_POSITIONS = ("pos.eq.ra", "pos.eq.dec", "POS_EQ_RA", "POS_EQ_DEC")
_TRUTH = {None: "", True: "true", False: "false"}
_NOT_FINITE = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}


def write(table: Table) -> Iterator[bytes]:
    """The table as a VOTable; what its rows raise comes through, after the document was closed with the error."""
    pieces = chunks(table.rows)
    yield _head(table).encode() + _encode(table.columns, next(pieces, []))
    try:
        for rows in pieces:
            yield _encode(table.columns, rows)
        overflow = table.overflow is not None and table.overflow()
    except Exception as error:
        reason = error.message if isinstance(error, ContimgError) else "the service failed"
        yield _tail(table, _info("QUERY_STATUS", "ERROR", f"The table ends before its last row: {reason}")).encode()
        raise
    yield _tail(table, _info("QUERY_STATUS", "OVERFLOW") if overflow else "").encode()


def escaped(text: str) -> str:
    """Text for an XML document, in an element or an attribute."""
    return text.translate(_XML)


def _head(table: Table) -> str:
    wanted = {_system(column) for column in table.columns}
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">',
        '<RESOURCE type="results">',
        _info("QUERY_STATUS", "OK"),
        *(_info(name, value) for name, value in table.notes.items()),
        *(element for name, element in _SYSTEMS.items() if name in wanted),
        f"<TABLE{_attributes({'name': table.name})}>",
        _description(table.description),
        *(_field(column, table.attributes.get(column.name, {})) for column in table.columns),
        "<DATA>",
        "<TABLEDATA>",
    ]
    return _joined(lines)


def _tail(table: Table, status: str) -> str:
    lines = ["</TABLEDATA>", "</DATA>", "</TABLE>", status, "</RESOURCE>", table.attached, "</VOTABLE>"]
    return _joined(lines)


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines if line)


def _field(column: Column, own: Mapping[str, str]) -> str:
    further = {"unit": unit(column), "ucd": column.ucd, "ref": _system(column)}
    attributes = _attributes(
        {"name": column.name, **_TYPES[column.kind], **{name: text for name, text in further.items() if text}, **own}
    )
    return f"<FIELD{attributes}>{_description(column.description)}</FIELD>"


def _description(text: str) -> str:
    return f"<DESCRIPTION>{escaped(text)}</DESCRIPTION>" if text else ""


def _system(column: Column) -> str:
    if column.kind is Kind.TIME:
        return "utc"
    if column.kind is Kind.MJD:
        return "mjd_utc"
    return "icrs" if column.ucd.startswith(_POSITIONS) else ""


def _info(name: str, value: str, text: str = "") -> str:
    return f"<INFO{_attributes({'name': name, 'value': value})}>{escaped(text)}</INFO>"


def _attributes(values: Mapping[str, str]) -> str:
    return "".join(f' {name}="{escaped(value)}"' for name, value in values.items())


def _encode(columns: Sequence[Column], rows: list[Row]) -> bytes:
    if not rows:
        return b""
    by_column = zip(columns, zip(*rows, strict=True), strict=True)
    cells = [_cells(column.kind, values) for column, values in by_column]
    lines = map("</TD><TD>".join, zip(*cells, strict=True))
    return "".join(f"<TR><TD>{line}</TD></TR>\n" for line in lines).encode()


def _cells(kind: Kind, values: tuple[Any, ...]) -> list[str]:
    if kind is Kind.TEXT:
        return ["" if text is None else text.translate(_XML) for text in texts(values)]
    if kind is Kind.TIME:
        return iso_times(values, zone=False)
    if kind is Kind.BOOLEAN:
        return [_TRUTH[value] for value in truths(values)]
    if kind.is_whole:
        return numerals(values, whole=True) or ["" if value is None else str(value) for value in integers(values)]
    return numerals(values) or ["" if value is None else _real(value) for value in reals(values)]


def _real(value: float) -> str:
    text = repr(value)
    return _NOT_FINITE.get(text, text)


FORMAT = Format(
    "votable",
    "application/x-votable+xml",
    "vot",
    ("application/x-votable+xml", "text/xml", "application/xml"),
    write,
)
