"""Tables as VOTable, read back by astropy."""

from __future__ import annotations

import io
import math
import warnings
from typing import Any
from xml.etree import ElementTree

import pytest
from astropy.io import votable
from hypothesis import given, settings

from app.domain.columns import Column, Kind
from app.domain.errors import QueryTimeout
from app.services.tables import Table
from tests.support.tables import (
    BEYOND_FLOATS,
    CLEAN_ROWS,
    COLUMNS,
    NASTY,
    broken_off,
    failing_rows,
    make_table,
    same_float,
    written,
)


def read(data: bytes) -> Any:
    """The document; anything that astropy has to say against it is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        document = votable.parse(io.BytesIO(data), verify="exception")
    assert [resource.type for resource in document.resources] == ["results"]
    return document


def column(data: bytes, name: str) -> list[Any]:
    """Cells of a column, missing ones as ``None``."""
    table = read(data).get_first_table()
    return [
        None if masked else value.item() if hasattr(value, "item") else str(value)
        for value, masked in zip(table.array[name].data, table.array[name].mask, strict=True)
    ]


def statuses(data: bytes) -> list[tuple[str, str | None]]:
    return [(info.value, info.content) for info in read(data).resources[0].infos if info.name == "QUERY_STATUS"]


def test_every_value_reads_back() -> None:
    data = written("votable", make_table())
    assert column(data, "id") == [BEYOND_FLOATS, None, 0, -(2**63) + 1, 2**63 - 1, 7]
    assert column(data, "name") == [NASTY.replace("\x01", "\ufffd").strip(), "", "", "-1", "=1+1", "x"], (
        "astropy strips"
    )
    assert column(data, "flagged") == [True, None, False, True, False, True]
    assert column(data, "created_at") == [
        "2025-10-31T13:49:06.500000", "", "1970-01-01T00:00:00", "", "", "1969-12-31T23:59:58.750000"
    ]  # fmt: skip
    assert column(data, "ra_deg") == [180.25, None, 0.0, None, -math.inf, 1 / 3]
    assert column(data, "mjd") == [60979.123456789, None, 0.0, math.inf, 5e-324, -0.0]


def test_document_keeps_blanks_and_tells_nan_from_missing() -> None:
    cells = [cell.text for cell in ElementTree.fromstring(written("votable", make_table())).iter() if "TD" in cell.tag]
    by_row = [cells[start : start + len(COLUMNS)] for start in range(0, len(cells), len(COLUMNS))]
    assert (by_row[0][1], by_row[5][1]) == (NASTY.replace("\x01", "\ufffd"), " x ")
    assert [row[2] for row in by_row] == ["180.25", None, "0.0", "NaN", "-Inf", "0.3333333333333333"]


def test_fields_tell_units_ucds_and_systems() -> None:
    document = read(written("votable", make_table()))
    fields = {field.name: field for field in document.get_first_table().fields}
    assert list(fields) == [column.name for column in COLUMNS]
    assert [(field.datatype, field.arraysize, field.xtype) for field in fields.values()] == [
        ("long", None, None), ("unicodeChar", "*", None), ("double", None, None),
        ("boolean", None, None), ("char", "*", "timestamp"), ("double", None, None),
    ]  # fmt: skip
    assert (str(fields["ra_deg"].unit), fields["ra_deg"].ucd, fields["ra_deg"].ref) == (
        "deg", "pos.eq.ra;meta.main", "icrs"
    )  # fmt: skip
    assert (str(fields["mjd"].unit), fields["mjd"].ref, fields["mjd"].description) == ("d", "mjd_utc", None)
    assert fields["id"].description == "Number of the <row> & no other."
    assert [system.ID for system in document.resources[0].coordinate_systems] == ["icrs"]
    times = {system.ID: system for system in document.resources[0].time_systems}
    assert (times["mjd_utc"].timescale, times["mjd_utc"].timeorigin) == ("UTC", "MJD-origin")
    assert times["utc"].timeorigin is None


def test_table_without_positions_and_times_has_no_systems() -> None:
    document = read(written("votable", Table("t", [Column("a", Kind.REAL, "")], [(1.5,)])))
    assert (list(document.resources[0].coordinate_systems), list(document.resources[0].time_systems)) == ([], [])


def test_description_and_notes_are_in_the_document() -> None:
    table = make_table(description="All <of> it", notes={"server": 'a "b" & <c>\nd'})
    document = read(written("votable", table))
    assert document.get_first_table().description == "All <of> it"
    assert document.get_first_table().name == "things"
    notes = {info.name: info.value for info in document.resources[0].infos}
    assert notes == {"QUERY_STATUS": "OK", "server": 'a "b" & <c> d'}


def test_table_without_rows_is_its_metadata() -> None:
    document = read(written("votable", make_table([])))
    assert len(document.get_first_table().array) == 0
    assert len(document.get_first_table().fields) == len(COLUMNS)


@pytest.mark.parametrize(("more", "told"), [(None, []), (False, []), (True, ["OVERFLOW"])])
def test_overflow_is_told_after_the_last_row(more: bool | None, told: list[str]) -> None:
    seen: list[int] = []

    def rows() -> Any:
        yield (1, "a", 1.0, 1, 0.0, 0.0)
        seen.append(1)

    def overflow() -> bool:
        assert seen, "asked before the last row"
        return bool(more)

    data = written("votable", make_table(rows(), overflow=None if more is None else overflow))
    assert [status for status, _ in statuses(data)] == ["OK", *told]
    assert data.rindex(b"</TABLE>") < data.rindex(b"<INFO") if told else True


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (QueryTimeout("It took too long <here>"), "It took too long <here>"),
        (RuntimeError("/a/path"), "the service failed"),
    ],
)
def test_failure_on_the_way_closes_the_document_with_an_error(error: Exception, reason: str) -> None:
    data = broken_off("votable", make_table(failing_rows(5000, error)), type(error))
    assert statuses(data) == [("OK", None), ("ERROR", f"The table ends before its last row: {reason}")]


def test_text_in_a_column_of_numbers_is_missing() -> None:
    columns = [Column("a", Kind.REAL, ""), Column("b", Kind.INTEGER, ""), Column("c", Kind.TEXT, "")]
    data = written("votable", Table("t", columns, [("x", 2.5, 1), (b"x", 2.0, 1.5), (3, "x", b"y")]))
    assert column(data, "a") == [None, None, 3.0]
    assert column(data, "b") == [None, 2, None]
    assert column(data, "c") == ["1", "1.5", "y"]


@settings(max_examples=40)
@given(CLEAN_ROWS)
def test_whatever_is_written_reads_back(rows: list[tuple[Any, ...]]) -> None:
    data = written("votable", make_table(rows))
    assert column(data, "id") == [row[0] for row in rows]
    missing = [None if row[2] is None or math.isnan(row[2]) else row[2] for row in rows]
    assert all(map(same_float, column(data, "ra_deg"), missing))
    assert column(data, "flagged") == [None if row[3] is None else bool(row[3]) for row in rows]
