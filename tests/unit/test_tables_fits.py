"""Tables as FITS, read back by astropy."""

from __future__ import annotations

import io
import math
import tempfile
import warnings
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table as AstropyTable
from hypothesis import given, settings

from app.services.tables import FORMATS
from app.services.tables import fits as writer
from tests.support.tables import (
    BEYOND_FLOATS,
    CLEAN_ROWS,
    COLUMNS,
    NASTY,
    failing_rows,
    make_table,
    same_float,
    written,
)

LOWEST = -(2**63)


@pytest.fixture
def spools(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every temporary file that was made."""
    made: list[Any] = []
    make = tempfile.TemporaryFile

    def remembered() -> Any:
        made.append(make())
        return made[-1]

    monkeypatch.setattr("app.services.tables.fits.tempfile.TemporaryFile", remembered)
    return made


def read(data: bytes) -> tuple[fits.Header, Any]:
    """Header and rows; anything that astropy has to say against the file is an error."""
    assert len(data) % 2880 == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(io.BytesIO(data), memmap=False, logical_as_bytes=True) as hdus:
            hdus.verify("exception")
            return hdus[1].header, np.array(hdus[1].data)


def texts(values: Any) -> list[str]:
    """Text as readers show it: without trailing blanks, which FITS does not tell from padding."""
    return [value.rstrip(b" ").decode("unicode_escape") for value in values.tolist()]


def test_every_value_reads_back() -> None:
    _, rows = read(written("fits", make_table()))
    assert rows["id"].tolist() == [BEYOND_FLOATS, LOWEST, 0, LOWEST + 1, 2**63 - 1, 7]
    assert texts(rows["name"]) == [NASTY.rstrip(), "", "", "-1", "=1+1", " x"]
    assert rows["flagged"].tolist() == [ord("T"), 0, ord("F"), ord("T"), ord("F"), ord("T")]
    assert texts(rows["created_at"]) == [
        "2025-10-31T13:49:06.500000", "", "1970-01-01T00:00:00", "", "", "1969-12-31T23:59:58.750000"
    ]  # fmt: skip
    np.testing.assert_array_equal(rows["ra_deg"], [180.25, math.nan, 0.0, math.nan, -math.inf, 1 / 3])
    np.testing.assert_array_equal(rows["mjd"], [60979.123456789, math.nan, 0.0, math.inf, 5e-324, -0.0])


@pytest.mark.filterwarnings("ignore:Column 'flagged' contains NULL")
def test_missing_whole_numbers_are_masked_by_the_usual_reader() -> None:
    table = AstropyTable.read(io.BytesIO(written("fits", make_table())), format="fits", hdu=1)
    assert table["id"].mask.tolist() == [False, True, False, False, False, False]
    assert table["id"][0] == BEYOND_FLOATS
    assert str(table["ra_deg"].unit) == "deg"


def test_empty_text_is_a_blank_and_missing_text_nothing() -> None:
    data = written("fits", make_table([(1, "", 0.0, 1, 0.0, 0.0), (2, None, 0.0, 1, 0.0, 0.0)]))
    row = 8 + 1 + 8 + 1 + 19 + 8
    body = data[-2880:]
    assert (body[8:9], body[row + 8 : row + 9]) == (b" ", b"\0")


def test_header_tells_units_ucds_and_notes() -> None:
    header, _ = read(written("fits", make_table(description="All of it…", notes={"who": "é" * 50})))
    assert (header["NAXIS2"], header["EXTNAME"], header["TIMESYS"]) == (6, "THINGS", "UTC")
    assert [header[f"TTYPE{n}"] for n in range(1, 7)] == [column.name for column in COLUMNS]
    assert (header["TUNIT3"], header["TUCD3"], header["TUNIT6"], header["TNULL1"]) == (
        "deg", "pos.eq.ra;meta.main", "d", LOWEST
    )  # fmt: skip
    assert header["TCOMM2"] == "N\\xe4me"
    assert "TUCD4" not in header
    assert "".join(header["COMMENT"]) == "All of it\\u2026who: " + "\\xe9" * 50


def test_table_without_rows_is_its_header() -> None:
    header, rows = read(written("fits", make_table([])))
    assert (header["NAXIS2"], len(rows)) == (0, 0)


def test_rows_of_many_chunks_come_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_PIECE_BYTES", 10_000)
    many = [(n, "x" * (n % 50), n / 2, n % 2, 0.0, 1.0) for n in range(4500)]
    _, rows = read(written("fits", make_table(many)))
    assert rows["id"].tolist() == list(range(4500))
    assert rows["ra_deg"].tolist() == [n / 2 for n in range(4500)]
    assert texts(rows["name"]) == ["x" * (n % 50) for n in range(4500)]


def test_one_very_long_text_does_not_make_pieces_long() -> None:
    rows = [(n, "x" * (100_000 if n == 0 else 1), 0.0, 1, 0.0, 0.0) for n in range(100)]
    assert max(map(len, FORMATS["fits"].write(make_table(rows)))) <= 2**20


def test_failure_on_the_way_is_known_before_anything_was_sent(spools: list[Any]) -> None:
    stream = FORMATS["fits"].write(make_table(failing_rows(5000, RuntimeError("broken"))))
    with pytest.raises(RuntimeError, match="broken"):
        next(stream)
    assert [spool.closed for spool in spools] == [True]


@pytest.mark.parametrize("taken", [1, 2, None])
def test_temporary_file_goes_when_the_reader_does(spools: list[Any], taken: int | None) -> None:
    stream = FORMATS["fits"].write(make_table())
    for _, _ in zip(range(taken or 10), stream, strict=False):
        assert not spools[0].closed or taken is None
    stream.close()  # type: ignore[attr-defined]
    assert [spool.closed for spool in spools] == [True]


@settings(max_examples=30)
@given(CLEAN_ROWS)
def test_whatever_is_written_reads_back(rows: list[tuple[Any, ...]]) -> None:
    _, found = read(written("fits", make_table(rows)))
    assert found["id"].tolist() == [LOWEST if row[0] is None else row[0] for row in rows]
    assert texts(found["name"]) == [(row[1] or "").rstrip(" ") for row in rows]
    wanted = [math.nan if row[2] is None else row[2] for row in rows]
    assert all(map(same_float, found["ra_deg"].tolist(), wanted))
