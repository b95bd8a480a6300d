"""Tables as Parquet, read back by pyarrow."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from app.domain.errors import NotInstalled
from app.services.tables import FORMATS, parquet
from tests.support.tables import (
    BEYOND_FLOATS,
    CLEAN_ROWS,
    NASTY,
    ROWS,
    broken_off,
    failing_rows,
    make_table,
    same_float,
    written,
)


def read(data: bytes) -> Any:
    return pq.read_table(io.BytesIO(data))


def test_every_value_reads_back() -> None:
    columns = read(written("parquet", make_table())).to_pydict()
    assert columns["id"] == [BEYOND_FLOATS, None, 0, -(2**63) + 1, 2**63 - 1, 7]
    assert columns["name"] == [NASTY, None, "", "-1", "=1+1", " x "]
    assert columns["flagged"] == [True, None, False, True, False, True]
    assert columns["created_at"] == [
        datetime(2025, 10, 31, 13, 49, 6, 500000, tzinfo=UTC),
        None,
        datetime(1970, 1, 1, tzinfo=UTC),
        None,
        None,
        datetime(1969, 12, 31, 23, 59, 58, 750000, tzinfo=UTC),
    ]
    assert all(map(same_float, columns["ra_deg"], [row[2] for row in ROWS]))
    assert all(map(same_float, columns["mjd"], [row[5] for row in ROWS]))


def test_fields_tell_units_and_ucds() -> None:
    table = make_table(description="All of it", notes={"server": "é"})
    schema = pq.read_schema(io.BytesIO(written("parquet", table)))
    assert schema.metadata[b"server"].decode() == "é"
    assert (schema.metadata[b"name"], schema.metadata[b"description"]) == (b"things", b"All of it")
    assert schema.field("ra_deg").metadata[b"unit"] == b"deg"
    assert schema.field("ra_deg").metadata[b"ucd"] == b"pos.eq.ra;meta.main"
    assert schema.field("mjd").metadata[b"unit"] == b"d"
    assert schema.field("created_at").type == pa.timestamp("us", tz="UTC")


def test_table_without_rows_is_its_schema() -> None:
    table = read(written("parquet", make_table([])))
    assert (table.num_rows, table.num_columns) == (0, 6)


def test_rows_come_in_groups_as_they_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROW_GROUP_ROWS", 4000)
    read_so_far: list[int] = []

    def rows() -> Any:
        for number in range(10_000):
            read_so_far.append(number)
            yield (number, "x", 0.5, 1, 0.0, 0.0)

    stream = FORMATS["parquet"].write(make_table(rows()))
    first = next(stream)
    assert len(first) > 0
    assert len(read_so_far) == 4000
    file = pq.ParquetFile(io.BytesIO(first + b"".join(stream)))
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [4000, 4000, 2000]
    assert file.read().column("id").to_pylist() == list(range(10_000))


def test_file_broken_off_on_the_way_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROW_GROUP_ROWS", 2000)
    data = broken_off("parquet", make_table(failing_rows(5000, RuntimeError("broken"))), RuntimeError)
    assert len(data) > 0
    with pytest.raises(pa.ArrowInvalid, match="footer"):
        read(data)


def test_missing_library_is_told_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(NotInstalled, match=r"pip install 'dsa110-contimg-api\[parquet\]'"):
        FORMATS["parquet"].write(make_table())


@settings(max_examples=40)
@given(CLEAN_ROWS)
def test_whatever_is_written_reads_back(rows: list[tuple[Any, ...]]) -> None:
    columns = read(written("parquet", make_table(rows))).to_pydict()
    assert columns["id"] == [row[0] for row in rows]
    assert columns["name"] == [row[1] for row in rows]
    assert columns["flagged"] == [None if row[3] is None else bool(row[3]) for row in rows]
    assert all(map(same_float, columns["ra_deg"], [row[2] for row in rows]))
