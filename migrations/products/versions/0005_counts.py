"""``contimg_api_count``: how many rows of each kind there are, kept exact by triggers.

Statistics and metrics then read a handful of rows instead of counting. Measurements are counted
with the source summary of the next revision. See :mod:`migrations.products.replaced`
for how rows replaced in silence are counted off.
"""

from __future__ import annotations

from typing import NamedTuple

from migrations.products import replaced
from migrations.products.laying import columns, lay, take_away

revision = "0005"
down_revision = "0004"

PART = "counts"

TABLE = """
    CREATE TABLE contimg_api_count (kind TEXT NOT NULL, key TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (kind, key))
    WITHOUT ROWID
"""

FILL = "INSERT INTO contimg_api_count (kind, key, n) SELECT '{kind}', {key}, count(*) FROM {base} AS t GROUP BY 2"

INSERTED = """
    CREATE TRIGGER contimg_api_{base}_count_insert AFTER INSERT ON {base}
    BEGIN
        {add}
    END
"""

UPDATED = """
    CREATE TRIGGER contimg_api_{base}_count_update AFTER UPDATE OF {column} ON {base}
    WHEN {new} IS NOT {old}
    BEGIN
        {subtract}
        {add}
    END
"""

DELETED = """
    CREATE TRIGGER contimg_api_{base}_count_delete AFTER DELETE ON {base}
    BEGIN
        {subtract}
    END
"""

REPLACED = """
    CREATE TRIGGER contimg_api_{base}_count_replace_{event} AFTER {event}{of} ON {base}
    WHEN {notes}
    BEGIN
        UPDATE contimg_api_count SET n = n - (
            SELECT count(*) FROM contimg_api_replaced AS r
            WHERE r.base = '{base}' AND r.key = contimg_api_count.key AND {gone})
        WHERE kind = '{kind}' AND key IN (SELECT key FROM contimg_api_replaced WHERE base = '{base}');
    END
"""

ADD = """INSERT INTO contimg_api_count (kind, key, n) SELECT '{kind}', {key}, 0
        WHERE NOT EXISTS (SELECT 1 FROM contimg_api_count WHERE kind = '{kind}' AND key = {key});
        UPDATE contimg_api_count SET n = n + 1 WHERE kind = '{kind}' AND key = {key};"""

SUBTRACT = "UPDATE contimg_api_count SET n = n - 1 WHERE kind = '{kind}' AND key = {key};"


class Counted(NamedTuple):
    """A table whose rows are counted, by a column or all together; ``name`` is what its sources are found by."""

    base: str
    kind: str
    column: str | None = None
    name: str | None = None


COUNTED = (
    Counted("images", "images", "type", "path"),
    Counted("ms_index", "ms", "stage"),
    Counted("batch_jobs", "batch_jobs", "status"),
    Counted("caltables", "caltables"),
)
# Columns that the triggers of the next revision listen to, so that the same notes serve them.
LISTENED = {"images": ("path", "created_at", "id")}


def upgrade() -> None:
    """Make the table, count what is there, lay the triggers; all in one transaction."""
    statements = [TABLE, replaced.TABLE]
    for counted in COUNTED:
        if columns(counted.base):
            statements += _statements(counted)
    watched = {
        counted.base: [name for name in (counted.column, counted.name) if name] + [*LISTENED.get(counted.base, ())]
        for counted in COUNTED
    }
    lay(PART, revision, statements, watched)


def downgrade() -> None:
    """Drop the triggers, then the tables."""
    take_away(PART)


def _statements(counted: Counted) -> list[str]:
    base, kind, present = counted.base, counted.kind, columns(counted.base)
    column = counted.column if counted.column in present else None
    listened = [name for name in (column, *LISTENED.get(base, ())) if name in present and name is not None]
    of = f" OF {', '.join(sorted({*listened, *replaced.conflict_columns(base)}))}"
    new, old, row = (f"ifnull({alias}.{column}, '')" if column else "''" for alias in ("NEW", "OLD", "t"))
    add, subtract = ADD.format(kind=kind, key=new), SUBTRACT.format(kind=kind, key=old)
    name = f"t.{counted.name}" if counted.name in present else "NULL"
    statements = [
        FILL.format(kind=kind, key=row, base=base),
        *replaced.note_triggers(base, key=row, name=name, listened=listened),
        INSERTED.format(base=base, add=add),
        DELETED.format(base=base, subtract=subtract),
    ]
    if column:
        statements.append(UPDATED.format(base=base, column=column, new=new, old=old, add=add, subtract=subtract))
    for event, columns_listened in (("insert", ""), ("update", of)):
        statements.append(
            REPLACED.format(
                base=base,
                kind=kind,
                event=event,
                of=columns_listened,
                notes=replaced.notes(base),
                gone=replaced.gone(base),
            )
        )
    return statements
