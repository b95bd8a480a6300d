"""Columns that a list publishes: one declaration says what may be filtered, sorted, chosen, and how it is written.

Names are what clients see. Units follow VOUnits, UCDs the UCD1+ controlled vocabulary of the IVOA, so that a VOTable
or FITS table of any list describes itself.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple


class Kind(enum.Enum):
    """What a column holds inside; how it is written depends on the format."""

    TEXT = "text"
    IDENTIFIER = "identifier"  # an integer key; text in JSON, where it would outgrow a client's numbers
    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"  # 0 or 1
    TIME = "time"  # Unix seconds; ISO 8601 UTC wherever people read it
    MJD = "mjd"  # Modified Julian Date, UTC [d]

    @property
    def is_number(self) -> bool:
        """Whether bounds make sense of its values."""
        return self in {Kind.INTEGER, Kind.REAL, Kind.TIME, Kind.MJD}

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers."""
        return self in {Kind.INTEGER, Kind.IDENTIFIER}

    @property
    def is_continuous(self) -> bool:
        """Whether two values are hardly ever equal."""
        return self in {Kind.REAL, Kind.TIME, Kind.MJD}

    @property
    def is_text(self) -> bool:
        """Whether its values begin with something."""
        return self is Kind.TEXT


class Column(NamedTuple):
    """A published column.

    Parameters
    ----------
    name
        As clients know it.
    kind
        What it holds.
    description
        One sentence for people.
    unit
        VOUnit, empty for none.
    ucd
        UCD1+, empty for none.
    source
        Column of the list's canonical view where that has another name.
    is_filter
        Whether a list may be filtered and sorted by it.
    words
        All that it can hold, where that is certain; empty for anything.
    """

    name: str
    kind: Kind
    description: str
    unit: str = ""
    ucd: str = ""
    source: str = ""
    is_filter: bool = True
    words: tuple[str, ...] = ()

    @property
    def view_column(self) -> str:
        """Name of the column in the list's canonical view."""
        return self.source or self.name


def named(columns: Iterable[Column]) -> dict[str, Column]:
    """Columns by their published names."""
    return {column.name: column for column in columns}
