"""Tables as CSV, read back by the standard library."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import pytest
from hypothesis import given, settings

from app.domain.columns import Column, Kind
from app.services.tables import Table
from app.services.tables.csv import FORMULA_STARTS
from tests.support.tables import BEYOND_FLOATS, CLEAN_ROWS, COLUMNS, NASTY, ROWS, make_table, same_float, written


def read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))


def only(kind: Kind, *values: Any) -> list[str]:
    """Cells of a table of one column beside a column of numbers."""
    columns = [Column("a", Kind.INTEGER, ""), Column("b", kind, "")]
    return [row[1] for row in read(written("csv", Table("t", columns, [(1, value) for value in values])))[1:]]


def test_names_come_first_and_lines_end_as_the_rfc_has_it() -> None:
    data = written("csv", make_table(ROWS[2:3]))
    assert data == b'id,name,ra_deg,flagged,created_at,mjd\r\n0,"",0.0,false,1970-01-01T00:00:00Z,0.0\r\n'


def test_every_value_reads_back() -> None:
    head, *rows = read(written("csv", make_table()))
    assert head == [column.name for column in COLUMNS]
    assert rows == [
        [str(BEYOND_FLOATS), NASTY, "180.25", "true", "2025-10-31T13:49:06.500000Z", "60979.123456789"],
        ["", "", "", "", "", ""],
        ["0", "", "0.0", "false", "1970-01-01T00:00:00Z", "0.0"],
        ["-9223372036854775807", "'-1", "nan", "true", "", "inf"],
        ["9223372036854775807", "'=1+1", "-inf", "false", "", "5e-324"],
        ["7", " x ", "0.3333333333333333", "true", "1969-12-31T23:59:58.750000Z", "-0.0"],
    ]


def test_missing_is_nothing_and_empty_text_is_a_pair_of_quotes() -> None:
    lines = written("csv", make_table(ROWS[1:3])).decode().split("\r\n")
    assert lines[1] == ",,,,,"
    assert lines[2].startswith('0,"",')


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_text_that_a_spreadsheet_would_run_is_guarded(start: str) -> None:
    assert only(Kind.TEXT, "plain", f"{start}1", None, f"{start},1") == ["plain", f"'{start}1", "", f"'{start},1"]
    assert only(Kind.TEXT, "plain", f"{start}1") == ["plain", f"'{start}1"], "without anything that needs quotes"


def test_text_in_a_column_of_numbers_is_guarded_too() -> None:
    assert only(Kind.REAL, "=1+1", -1.5) == ["'=1+1", "-1.5"]
    assert only(Kind.REAL, b"=1+1", "a,b", None) == ["'=1+1", "a,b", ""]


def test_name_of_a_column_is_guarded() -> None:
    assert written("csv", Table("t", [Column("=a", Kind.REAL, "")], [])) == b"'=a\r\n"


@pytest.mark.parametrize("kind", [Kind.REAL, Kind.MJD, Kind.INTEGER])
def test_numbers_are_never_guarded(kind: Kind) -> None:
    assert only(kind, -5, -1.5, -math.inf, None, math.nan) == ["-5", "-1.5", "-inf", "", "nan"]
    assert only(kind, -5, -1.5) == ["-5", "-1.5"]


def test_row_of_one_missing_value_is_still_a_row() -> None:
    table = Table("t", [Column("a", Kind.REAL, "")], [(1.5,), (None,), (2.5,)])
    assert read(written("csv", table)) == [["a"], ["1.5"], [""], ["2.5"]]


def test_empty_table_has_its_names() -> None:
    assert read(written("csv", make_table([]))) == [[column.name for column in COLUMNS]]


@settings(max_examples=40)
@given(CLEAN_ROWS)
def test_whatever_is_written_reads_back(rows: list[tuple[Any, ...]]) -> None:
    found = read(written("csv", make_table(rows)))[1:]
    assert len(found) == len(rows)
    for cells, (number, text, real, truth, _, mjd) in zip(found, rows, strict=True):
        guard = "'" if text and text.startswith(FORMULA_STARTS) else ""
        assert cells[0] == ("" if number is None else str(number))
        assert cells[1] == guard + (text or "")
        assert same_float(float(cells[2]) if cells[2] else None, real)
        assert cells[3] == {None: "", 0: "false", 1: "true"}[truth]
        assert same_float(float(cells[5]) if cells[5] else None, mjd)
