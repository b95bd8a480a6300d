"""What all formats have in common."""

from __future__ import annotations

import csv
import gc
import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest
from astropy.io import fits, votable
from hypothesis import given, settings
from hypothesis import strategies as st

from app.services.tables import FORMATS, Table
from app.services.tables.model import CHUNK_ROWS
from tests.support.tables import COLUMNS, SQLITE_VALUES, broken_off, failing_rows, make_table, written

# How many rows a reader that knows nothing of ours finds.
COUNTS = {
    "ndjson": lambda data: data.count(b"\n"),
    "csv": lambda data: len(list(csv.reader(io.StringIO(data.decode(), newline="")))) - 1,
    "votable": lambda data: len(votable.parse(io.BytesIO(data)).get_first_table().array),
    "fits": lambda data: fits.open(io.BytesIO(data))[1].header["NAXIS2"],
    "parquet": lambda data: pq.read_metadata(io.BytesIO(data)).num_rows,
}

every_format = pytest.mark.parametrize("name", FORMATS)


def many_rows(count: int) -> Iterator[tuple[Any, ...]]:
    for number in range(count):
        yield (number, f"source {number}", number / 7, number % 2, 1.7e9 + number / 3, 60000 + number / 3)


@every_format
def test_format_is_known_by_its_own_name(name: str) -> None:
    form = FORMATS[name]
    assert form.name == name
    assert form.content_type.split(";")[0] == form.media_types[0]
    assert "." not in form.extension


def test_no_two_formats_share_a_media_type() -> None:
    types = [media_type for form in FORMATS.values() for media_type in form.media_types]
    assert len(set(types)) == len(types)


@every_format
@pytest.mark.parametrize("count", [0, 1, CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 1])
def test_no_row_is_lost_where_chunks_meet(name: str, count: int) -> None:
    assert COUNTS[name](written(name, make_table(many_rows(count)))) == count


@every_format
def test_failure_before_the_first_row_leaves_nothing_sent(name: str) -> None:
    assert broken_off(name, make_table(failing_rows(0, RuntimeError("broken"))), RuntimeError) == b""
    assert broken_off(name, make_table(failing_rows(10, RuntimeError("broken"))), RuntimeError) == b""


@pytest.mark.parametrize("name", ["ndjson", "csv"])
def test_failure_on_the_way_comes_through_after_whole_rows(name: str) -> None:
    data = broken_off(name, make_table(failing_rows(5000, RuntimeError("broken"))), RuntimeError)
    assert 4000 <= COUNTS[name](data) <= 5000
    assert data.endswith(b"\n")


@every_format
def test_row_of_another_length_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="zip"):
        written(name, make_table([(1, "a")]))
    with pytest.raises(ValueError, match="zip"):
        written(name, make_table([(1, "a", 1.0, 1, 0.0, 0.0), (1, "a", 1.0, 1, 0.0)]))


@pytest.mark.parametrize("name", ["ndjson", "csv", "votable"])
def test_rows_are_read_no_further_than_was_given_out(name: str) -> None:
    seen: list[int] = []

    def rows() -> Iterator[tuple[Any, ...]]:
        for row in many_rows(5 * CHUNK_ROWS):
            seen.append(row[0])
            yield row

    stream = FORMATS[name].write(make_table(rows()))
    next(stream)
    assert len(seen) <= CHUNK_ROWS
    assert sum(1 for _ in stream) >= 4


@every_format
def test_memory_does_not_grow_with_the_table(name: str) -> None:
    def peak_bytes(count: int) -> int:
        gc.collect()
        tracemalloc.start()
        try:
            assert sum(map(len, FORMATS[name].write(make_table(many_rows(count))))) > 10 * count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    written(name, make_table())  # what is imported stays
    few = peak_bytes(2 * CHUNK_ROWS)
    assert few < 6_000_000
    assert peak_bytes(12 * CHUNK_ROWS) < 3 * few  # six times as many rows; what is left for the collector varies


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[SQLITE_VALUES] * len(COLUMNS)), min_size=1, max_size=4))
def test_whatever_sqlite_holds_is_written(rows: list[tuple[Any, ...]]) -> None:
    for name in FORMATS:
        assert COUNTS[name](written(name, Table("t", COLUMNS, rows))) == len(rows), name
