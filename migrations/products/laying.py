"""What the revisions do alike: look which tables are there, lay a part, keep the books, take the part away."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from alembic import op

from app.db.introspection import columns_of, indexes_of
from app.db.parts import shape_of

LEDGER = (
    "CREATE TABLE contimg_api_part "
    "(name TEXT PRIMARY KEY, revision TEXT NOT NULL, watched TEXT NOT NULL, shape TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE contimg_api_object (name TEXT PRIMARY KEY, part TEXT NOT NULL, sql TEXT NOT NULL) WITHOUT ROWID",
)
RECORD_PART = "INSERT INTO contimg_api_part (name, revision, watched, shape) VALUES (?, ?, ?, ?)"
RECORD_OBJECTS = """
    INSERT INTO contimg_api_object (name, part, sql) SELECT name, ?, sql FROM sqlite_master
    WHERE name LIKE 'contimg\\_api\\_%' ESCAPE '\\' AND sql IS NOT NULL
        AND name NOT IN (SELECT name FROM contimg_api_object) AND name NOT IN ({others})
"""
OBJECTS = """
    SELECT m.type, m.name FROM contimg_api_object AS o JOIN sqlite_master AS m ON m.name = o.name
    WHERE o.part = ? ORDER BY m.type = 'table', m.name
"""
FORGET = ("DELETE FROM contimg_api_object WHERE part = ?", "DELETE FROM contimg_api_part WHERE name = ?")


def database() -> sqlite3.Connection:
    """The connection underneath Alembic's, for questions and for statements with values."""
    connection: sqlite3.Connection = op.get_bind().connection.driver_connection
    return connection


def columns(table: str) -> set[str]:
    """Columns that this file's table has; none where there is no such table."""
    return columns_of(database(), "main", table)


def read(alias: str, column: str, present: Iterable[str]) -> str:
    """SQL that reads a column of a row (of the row at hand for an empty alias), NULL where the file has none."""
    return f"{alias}.{column}".lstrip(".") if column in present else "NULL"


def lay(part: str, revision: str, statements: Sequence[str], watched: Mapping[str, Sequence[str]]) -> None:
    """Run the statements and note what came of them as a part.

    Parameters
    ----------
    part
        Its name.
    revision
        The migration that lays it.
    statements
        Plain SQL; every object they make is named ``contimg_api_*``.
    watched
        The tables and columns they were composed for.
    """
    for statement in statements:
        op.execute(statement)
    connection = database()
    connection.execute(RECORD_PART, (part, revision, json.dumps(watched), shape_of(connection, "main", watched)))
    others = "'contimg_api_part', 'contimg_api_object', 'contimg_api_version'"
    connection.execute(RECORD_OBJECTS.format(others=others), (part,))


def take_away(part: str) -> None:
    """Drop whatever is left of a part."""
    connection = database()
    for kind, name in connection.execute(OBJECTS, (part,)).fetchall():
        op.execute(f"DROP {kind} IF EXISTS {name}")
    for statement in FORGET:
        connection.execute(statement, (part,))


def is_served(table: str, wanted: Sequence[str]) -> bool:
    """Whether an index of this file begins with these plain columns, or tells rows apart by fewer of them."""
    for index in indexes_of(database(), "main", table):
        names = [column.name for column in index.key if column.collation == "BINARY"]
        if index.partial or len(names) < len(index.key):
            continue
        if names[: len(wanted)] == list(wanted) or (index.unique and names == list(wanted[: len(names)])):
            return True
    return False
