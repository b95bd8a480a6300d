"""Tables to write, with everything in them that a format could stumble over."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from hypothesis import strategies as st

from app.domain.columns import Column, Kind
from app.services.tables import FORMATS, Table

COLUMNS = (
    Column("id", Kind.IDENTIFIER, "Number of the <row> & no other.", ucd="meta.id;meta.main"),
    Column("name", Kind.TEXT, "Näme", ucd="meta.title"),
    Column("ra_deg", Kind.REAL, "Right ascension", "deg", "pos.eq.ra;meta.main"),
    Column("flagged", Kind.BOOLEAN, "Whether flagged"),
    Column("created_at", Kind.TIME, "When", ucd="time.creation"),
    Column("mjd", Kind.MJD, "", ucd="time.epoch"),
)

BEYOND_FLOATS = 2**53 + 1
NASTY = 'a,b"c"\n\r\nd\re]]>&amp;<é> \\x \t\x01…🔭 '

ROWS: list[tuple[Any, ...]] = [
    (BEYOND_FLOATS, NASTY, 180.25, 1, 1761918546.5, 60979.123456789),
    (None, None, None, None, None, None),
    (0, "", 0.0, 0, 0.0, 0.0),
    (-(2**63) + 1, "-1", math.nan, 1, math.nan, math.inf),
    (2**63 - 1, "=1+1", -math.inf, 0, 1e30, 5e-324),
    (7, " x ", 1 / 3, 1, -1.25, -0.0),
]

REALS = st.none() | st.floats()
SQLITE_VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary()
"""Whatever SQLite can hold, in whichever column."""

CLEAN_ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
        st.none() | st.text(),
        REALS,
        st.sampled_from((None, 0, 1)),
        st.none() | st.floats(-1e9, 4e9),
        REALS,
    ),
    max_size=5,
)


def make_table(rows: Iterable[tuple[Any, ...]] = tuple(ROWS), **fields: Any) -> Table:
    """A table of :data:`COLUMNS`."""
    return Table("things", COLUMNS, rows)._replace(**fields)


def written(name: str, table: Table) -> bytes:
    """A whole table in a format."""
    return b"".join(FORMATS[name].write(table))


def broken_off(name: str, table: Table, error: type[Exception]) -> bytes:
    """What a format gives out until its rows raise."""
    pieces = []
    try:
        for piece in FORMATS[name].write(table):
            pieces.append(piece)
    except error:
        return b"".join(pieces)
    raise AssertionError("the failure of the rows was kept quiet")


def failing_rows(count: int, error: Exception) -> Iterator[tuple[Any, ...]]:
    """So many rows, and then an error."""
    for number in range(count):
        yield (number, "x", 1.5, 1, 0.0, 60000.0)
    raise error


def same_float(one: float | None, other: float | None) -> bool:
    """Equal to the bit, or both not a number, or both missing."""
    if one is None or other is None:
        return one is other
    return (math.isnan(one) and math.isnan(other)) or (
        one == other and math.copysign(1, one) == math.copysign(1, other)
    )
