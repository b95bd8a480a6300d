"""Rows that INSERT OR REPLACE and UPDATE OR REPLACE remove in silence.

SQLite fires no DELETE triggers for them (unless ``PRAGMA recursive_triggers`` is on). So a BEFORE trigger notes the
rows that stand in the way of the new one, and AFTER triggers look which of them are gone. What makes this exact:

- Every INSERT, and every UPDATE of a column that an AFTER trigger listens to, passes the BEFORE trigger, which first
  clears the notes of earlier statements. Notes left behind by OR IGNORE or ON CONFLICT DO UPDATE do no harm.
- A note is only a suspicion. A row counts as replaced when it is gone afterwards, or when the new row has its number.
- Should DELETE triggers fire after all, they cross the note out.

No statement in a trigger may run into a conflict of its own, because the conflict handling of the pipeline's statement
would overrule it (https://www.sqlite.org/lang_createtrigger.html).
"""

from __future__ import annotations

from collections.abc import Sequence

from app.db.introspection import Index, indexes_of
from app.domain.errors import DatabaseError
from migrations.products.laying import database

TABLE = """
    CREATE TABLE contimg_api_replaced
    (base TEXT NOT NULL, number INTEGER NOT NULL, key TEXT NOT NULL, name TEXT, PRIMARY KEY (base, number))
    WITHOUT ROWID
"""

BEFORE = """
    CREATE TRIGGER contimg_api_{base}_note_{event} BEFORE {event}{of} ON {base}
    WHEN EXISTS (SELECT 1 FROM contimg_api_replaced WHERE base = '{base}')
        OR EXISTS (SELECT 1 FROM {base} AS t WHERE {conflict})
    BEGIN
        DELETE FROM contimg_api_replaced WHERE base = '{base}';
        INSERT INTO contimg_api_replaced (base, number, key, name)
        SELECT '{base}', t.rowid, {key}, {name} FROM {base} AS t WHERE {conflict};
    END
"""

DELETED = """
    CREATE TRIGGER contimg_api_{base}_note_delete AFTER DELETE ON {base}
    WHEN EXISTS (SELECT 1 FROM contimg_api_replaced WHERE base = '{base}' AND number = OLD.rowid)
    BEGIN
        DELETE FROM contimg_api_replaced WHERE base = '{base}' AND number = OLD.rowid;
    END
"""


def notes(base: str) -> str:
    """SQL condition: rows of a table stood in the way of the statement at hand."""
    return f"EXISTS (SELECT 1 FROM contimg_api_replaced WHERE base = '{base}')"


def gone(base: str) -> str:
    """SQL condition: the noted row ``r`` was replaced by the row ``NEW``."""
    return f"(r.number = NEW.rowid OR NOT EXISTS (SELECT 1 FROM {base} AS t WHERE t.rowid = r.number))"


def conflict_columns(base: str) -> list[str]:
    """Columns whose change may replace a row: those of unique keys and the integer primary key."""
    unique = {column.name for index in _unique(base) for column in index.key if column.name is not None}
    number = {row[1] for row in database().execute(f"PRAGMA table_info({base})") if row[5]}
    return sorted(unique | number)


def note_triggers(base: str, *, key: str, name: str, listened: Sequence[str]) -> list[str]:
    """Triggers that note conflicting rows.

    Parameters
    ----------
    base
        The table.
    key, name
        SQL over its row ``t``: by what it is counted, and what its sources are found by.
    listened
        Columns whose UPDATE the AFTER triggers listen to.
    """
    same = ["t.rowid = NEW.rowid", *(_same(index) for index in _unique(base))]
    conflict = f"({' OR '.join(same)})"
    of = f" OF {', '.join(sorted({*listened, *conflict_columns(base)}))}"
    insert = BEFORE.format(base=base, event="insert", of="", conflict=conflict, key=key, name=name)
    conflict += " AND t.rowid <> OLD.rowid"
    update = BEFORE.format(base=base, event="update", of=of, conflict=conflict, key=key, name=name)
    return [insert, update, DELETED.format(base=base)]


def _unique(base: str) -> list[Index]:
    found = [index for index in indexes_of(database(), "main", base) if index.unique]
    if any(column.name is None for index in found for column in index.key):
        raise DatabaseError(f"{base} has a unique index on an expression, which summaries cannot follow")
    return found


def _same(index: Index) -> str:
    equal = (f't."{column.name}" = NEW."{column.name}" COLLATE {column.collation}' for column in index.key)
    return f"({' AND '.join(equal)})"
