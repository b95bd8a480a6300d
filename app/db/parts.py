"""What the upgrade laid into a database file, and whether it can still be believed.

The upgrade adds *parts* to the pipeline's file: indexes, counts, the source summary. Two small tables keep the
books: ``contimg_api_part`` says which tables and columns a part was composed for, ``contimg_api_object`` what it
consists of, word for word. A part stands while all its objects do and the tables still have that shape. A pipeline
that rebuilds a table drops its triggers with it, and whatever they kept would quietly grow stale: such a part has
fallen, nobody reads it any more, and ``contimg-api db status`` says so.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from app.db.introspection import columns_of, indexes_of

LEDGER = ("contimg_api_part", "contimg_api_object")
# Tables that a part depends on, and of each the columns that matter to it.
Watched = Mapping[str, Sequence[str]]

HAS_LEDGER = "SELECT count(*) FROM {schema}.sqlite_master WHERE name IN ('contimg_api_part', 'contimg_api_object')"
LAID = "SELECT name, revision, watched, shape FROM {schema}.contimg_api_part ORDER BY revision, name"
# A part without objects is one whose tables the file did not have.
OBJECTS = """
    SELECT o.part, count(*), CAST(total(m.sql IS NOT o.sql) AS INTEGER)
    FROM {schema}.contimg_api_object AS o LEFT JOIN {schema}.sqlite_master AS m ON m.name = o.name
    GROUP BY o.part
"""


class Part(NamedTuple):
    """A part as it was laid: by which migration, of how many objects, and whether it has fallen since."""

    name: str
    revision: str
    objects: int
    fallen: bool


def parts_of(connection: sqlite3.Connection, schema: str, names: Collection[str] | None = None) -> list[Part]:
    """Every part laid into a database, or those of the given names; none in a file that was never upgraded."""
    if connection.execute(HAS_LEDGER.format(schema=schema)).fetchone()[0] != len(LEDGER):
        return []
    objects = {part: (n, broken) for part, n, broken in connection.execute(OBJECTS.format(schema=schema))}
    parts = []
    for name, revision, watched, shape in connection.execute(LAID.format(schema=schema)).fetchall():
        if names is not None and name not in names:
            continue
        n, broken = objects.get(name, (0, 0))
        reshaped = shape_of(connection, schema, json.loads(watched)) != shape
        parts.append(Part(name, revision, n, broken > 0 or reshaped))
    return parts


def standing_parts(connection: sqlite3.Connection, schema: str, names: Collection[str]) -> frozenset[str]:
    """Those of the named parts that are there and can be believed."""
    return frozenset(part.name for part in parts_of(connection, schema, names) if part.objects and not part.fallen)


def shape_of(connection: sqlite3.Connection, schema: str, watched: Watched) -> str:
    """What a part depends on, as text: of each watched table the columns that are there, and its unique keys."""
    shape = {
        table: {
            "columns": sorted(columns_of(connection, schema, table).intersection(columns)),
            "unique": sorted((i.key for i in indexes_of(connection, schema, table) if i.unique), key=str),
        }
        for table, columns in watched.items()
    }
    return json.dumps(shape, sort_keys=True)
