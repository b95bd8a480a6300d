"""Values of the database, cleaned column by column."""

from __future__ import annotations

import math
from typing import Any

import pytest

from app.domain.columns import Kind
from app.domain.time import iso_from_unix
from app.services.tables.cells import CLEAN, iso_times, numerals

STRAY = (None, math.nan, math.inf, 2.0, 2.5, 1e22, 0, 2**63, "x", b"\xff")


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (Kind.INTEGER, [None, None, None, 2, None, None, 0, None, None, None]),
        (Kind.BOOLEAN, [None, None, True, True, True, True, False, True, None, None]),
        (Kind.TEXT, [None, "nan", "inf", "2.0", "2.5", "1e+22", "0", str(2**63), "x", "\ufffd"]),
    ],
)
def test_cell_that_its_column_has_no_room_for_is_missing(kind: Kind, wanted: list[Any]) -> None:
    found = list(CLEAN[kind](STRAY))
    assert found == wanted
    assert [type(value) for value in found] == [type(value) for value in wanted]


@pytest.mark.parametrize("kind", [Kind.REAL, Kind.MJD])
def test_real_numbers_keep_nan_and_infinity(kind: Kind) -> None:
    assert repr(CLEAN[kind](STRAY)) == repr([None, math.nan, math.inf, 2.0, 2.5, 1e22, 0.0, 2.0**63, None, None])


@pytest.mark.parametrize(
    ("values", "whole", "wanted"),
    [
        ((1.5, None, -0.0, 3), False, ["1.5", "", "-0.0", "3"]),
        ((2**63 - 1, None), True, ["9223372036854775807", ""]),
        ((None, math.nan), False, None),
        ((1, math.inf), False, None),
        ((1, "null"), False, None),
        ((1, "2,3"), False, None),
        ((1, b"2"), False, None),
        ((1, 2.0), True, None),
        ((1, 1e22), True, None),
        ((1, 2**64), True, None),
    ],
)
def test_numbers_are_spelled_together_only_where_all_are_numbers(
    values: tuple[Any, ...], whole: bool, wanted: list[str] | None
) -> None:
    assert numerals(values, whole=whole) == wanted


def test_times_are_spelled_as_everywhere_else() -> None:
    values = (0.0, 1761918546.5, -1.25, 1e-7, 1761918546.0000005, 253402300799.0, 253402300800.0, None, math.nan, "x")
    assert iso_times(values, zone=True) == [iso_from_unix(value) or "" for value in values[:8]] + ["", ""]  # type: ignore[arg-type]
    assert iso_times(values[:2], zone=False) == ["1970-01-01T00:00:00", "2025-10-31T13:49:06.500000"]
