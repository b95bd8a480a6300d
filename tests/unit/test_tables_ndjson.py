"""Tables as newline-delimited JSON, read back by the standard library."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given, settings

from app.domain.columns import Column, Kind
from app.services.tables import Table
from tests.support.tables import BEYOND_FLOATS, CLEAN_ROWS, COLUMNS, NASTY, make_table, same_float, written


def read(data: bytes) -> list[dict[str, Any]]:
    assert data.endswith(b"\n")
    return [json.loads(line, parse_constant=lambda word: 1 / 0) for line in data.split(b"\n")[:-1]]


def test_every_value_reads_back() -> None:
    items = read(written("ndjson", make_table()))
    assert [list(item) for item in items] == [[column.name for column in COLUMNS]] * len(items)
    assert [tuple(item.values()) for item in items] == [
        (BEYOND_FLOATS, NASTY, 180.25, True, "2025-10-31T13:49:06.500000Z", 60979.123456789),
        (None, None, None, None, None, None),
        (0, "", 0.0, False, "1970-01-01T00:00:00Z", 0.0),
        (-(2**63) + 1, "-1", None, True, None, None),
        (2**63 - 1, "=1+1", None, False, None, 5e-324),
        (7, " x ", 1 / 3, True, "1969-12-31T23:59:58.750000Z", -0.0),
    ]
    assert items[2]["flagged"] is False
    assert math.copysign(1, items[5]["mjd"]) == -1


def test_table_that_needs_no_conversion_is_the_same() -> None:
    columns = [Column("a", Kind.INTEGER, ""), Column("b", Kind.TEXT, "")]
    assert written("ndjson", Table("t", columns, [(1, b"\xff"), (None, "x")])) == (
        '{"a":1,"b":"\ufffd"}\n{"a":null,"b":"x"}\n'.encode()
    )


def test_empty_table_is_nothing_at_all() -> None:
    assert written("ndjson", make_table([])) == b""


@settings(max_examples=40)
@given(CLEAN_ROWS.filter(bool))
def test_whatever_is_written_reads_back(rows: list[tuple[Any, ...]]) -> None:
    for item, (number, text, real, truth, _, _) in zip(read(written("ndjson", make_table(rows))), rows, strict=True):
        finite = real if real is not None and math.isfinite(real) else None
        assert (item["id"], item["name"], item["flagged"]) == (number, text, {None: None, 0: False, 1: True}[truth])
        assert same_float(item["ra_deg"], finite)
