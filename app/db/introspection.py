"""What a database file has: columns and indexes of its tables."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple


class KeyColumn(NamedTuple):
    """A column of an index and the collation that compares it; an expression has no name."""

    name: str | None
    collation: str


class Index(NamedTuple):
    """An index: its key, whether that is unique, and whether it covers some of the rows only."""

    key: tuple[KeyColumn, ...]
    unique: bool
    partial: bool


def columns_of(connection: sqlite3.Connection, schema: str, table: str) -> set[str]:
    """Names of a table's columns; empty where there is no such table."""
    return {row[1] for row in connection.execute(f"PRAGMA {schema}.table_info({table})")}


def indexes_of(connection: sqlite3.Connection, schema: str, table: str) -> list[Index]:
    """Indexes of a table, those behind its constraints included; the integer primary key has none."""
    listed = connection.execute(f"PRAGMA {schema}.index_list({table})").fetchall()
    return [
        Index(_key(connection, schema, name), bool(unique), bool(partial)) for _, name, unique, _, partial in listed
    ]


def _key(connection: sqlite3.Connection, schema: str, index: str) -> tuple[KeyColumn, ...]:
    columns = connection.execute(f'PRAGMA {schema}.index_xinfo("{index}")').fetchall()
    return tuple(KeyColumn(name, collation) for _, _, name, _, collation, in_key in columns if in_key)
