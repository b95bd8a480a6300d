"""Every column says what it holds in words of the Virtual Observatory, in an order that its rules allow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from astropy.io.votable.ucd import check_ucd, parse_ucd

from app.domain.columns import Column
from app.domain.selection import SEPARATION
from app.domain.vo import LINK_COLUMNS, OBSCORE_COLUMNS
from tests.contract.column_tables import LISTS

TABLES = {**LISTS, "ObsCore": OBSCORE_COLUMNS, "DataLink": LINK_COLUMNS, "searches": (SEPARATION,)}


def described() -> Iterator[tuple[str, Column]]:
    for name, columns in TABLES.items():
        yield from ((f"{name} {column.name}", column) for column in columns if column.ucd)


@pytest.mark.parametrize("column", [pytest.param(column, id=name) for name, column in described()])
def test_ucd_is_of_the_controlled_vocabulary(column: Column) -> None:
    parse_ucd(column.ucd, check_controlled_vocabulary=True)  # says what is wrong
    assert check_ucd(column.ucd, check_controlled_vocabulary=True)
