"""Writing to the pipeline's tables: the upserts of ingest, for whichever columns a file's generation has.

Everything here happens inside a transaction that a service opened. Values that are None and values whose column the
file lacks are left out of every statement, so that nothing known is ever overwritten by NULL.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.domain.errors import InvalidValue

Values = Mapping[str, Any]

COLUMNS = "SELECT name FROM pragma_table_info(:table)"
INSERT = "INSERT INTO {table} ({columns}) VALUES ({bindings})"

KNOWN_IMAGES = "SELECT path, id FROM images WHERE path IN (SELECT value FROM json_each(:paths)) ORDER BY id"
UPDATE_IMAGE = "UPDATE images SET {assignments} WHERE id = :id AND ({changes})"

KNOWN_STAGES = "SELECT path, stage FROM ms_index WHERE path IN (SELECT value FROM json_each(:paths))"
UPDATE_MS = "UPDATE ms_index SET {assignments} WHERE path = :path AND ({changes})"

KNOWN_CALTABLES = "SELECT path, id FROM caltables WHERE path IN (SELECT value FROM json_each(:paths))"
UPDATE_CALTABLE = "UPDATE caltables SET {assignments} WHERE id = :id AND ({changes})"

# A source has fewer measurements than an image has, so the plus keeps SQLite off the index on image_path.
FIND_PHOTOMETRY = """
    SELECT max(id) FROM photometry
    WHERE source_id = :source_id AND +image_path = :image_path AND (:mjd IS NULL OR mjd = :mjd)
"""
UPDATE_PHOTOMETRY = "UPDATE photometry SET {assignments} WHERE id = :id AND ({changes})"

MJD_OF_IMAGE = """
    SELECT coalesce(m.mid_mjd, m.start_mjd, i.created_at / 86400.0 + 40587.0)
    FROM images AS i LEFT JOIN ms_index AS m ON m.path = i.ms_path
    WHERE i.path = :path
    ORDER BY i.id DESC LIMIT 1
"""


class PipelineTables:
    """The pipeline's tables as one transaction may change them.

    Parameters
    ----------
    connection
        Inside a transaction (:meth:`app.db.writing.WritableDatabase.transaction`).
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._columns: dict[str, frozenset[str]] = {}

    def known_images(self, paths: Sequence[str]) -> dict[str, int]:
        """Ids of those images that are registered, by path; of several rows with one path the newest."""
        return dict(self._connection.execute(KNOWN_IMAGES, {"paths": json.dumps(paths)}).fetchall())

    def update_image(self, image_id: int, facts: Values, gaps: Values) -> bool:
        """Change an image's row: facts replace what stands there, gaps fill only what is NULL; whether any did."""
        return self._update(UPDATE_IMAGE, "images", facts, gaps, {"id": image_id})

    def known_stages(self, paths: Sequence[str]) -> dict[str, str | None]:
        """Stages of those measurement sets that are indexed, by path."""
        return dict(self._connection.execute(KNOWN_STAGES, {"paths": json.dumps(paths)}).fetchall())

    def update_ms(self, path: str, facts: Values, gaps: Values) -> bool:
        """Change a measurement set's row, as :meth:`update_image` does."""
        return self._update(UPDATE_MS, "ms_index", facts, gaps, {"path": path})

    def known_caltables(self, paths: Sequence[str]) -> dict[str, int]:
        """Ids of those calibration tables that are registered, by path."""
        return dict(self._connection.execute(KNOWN_CALTABLES, {"paths": json.dumps(paths)}).fetchall())

    def update_caltable(self, caltable_id: int, facts: Values, gaps: Values) -> bool:
        """Change a calibration table's row, as :meth:`update_image` does."""
        return self._update(UPDATE_CALTABLE, "caltables", facts, gaps, {"id": caltable_id})

    def find_photometry(self, source_id: str, image_path: str, mjd: float | None) -> int | None:
        """Id of the measurement of a source in an image at a time (``None``: at any time), or ``None``."""
        key = {"source_id": source_id, "image_path": image_path, "mjd": mjd}
        row = self._connection.execute(FIND_PHOTOMETRY, key).fetchone()
        found: int | None = row[0]
        return found

    def update_photometry(self, photometry_id: int, facts: Values) -> bool:
        """Change a measurement's row; whether anything in it was another."""
        return self._update(UPDATE_PHOTOMETRY, "photometry", facts, {}, {"id": photometry_id})

    def mjd_of_image(self, path: str) -> float | None:
        """When an image was observed [MJD]: the middle of its measurement set, else when the image was made."""
        row = self._connection.execute(MJD_OF_IMAGE, {"path": path}).fetchone()
        mjd: float | None = row[0] if row else None
        return mjd

    def insert(self, table: str, values: Values) -> None:
        """Add a row; values without a column in this file are left out.

        Raises
        ------
        InvalidValue
            The file's own constraints refuse the row. The transaction goes on.
        """
        known = self._writable(table, values)
        statement = INSERT.format(
            table=table, columns=", ".join(known), bindings=", ".join(f":{column}" for column in known)
        )
        self._change(statement, table, known)

    def insert_all(self, table: str, rows: Iterable[Values]) -> None:
        """Add several rows, each as :meth:`insert` does."""
        for row in rows:
            self.insert(table, row)

    def _update(self, statement: str, table: str, facts: Values, gaps: Values, key: Values) -> bool:
        replaced = self._writable(table, {name: value for name, value in facts.items() if name not in key})
        filled = self._writable(table, {name: value for name, value in gaps.items() if name not in {*facts, *key}})
        assignments = [f"{column} = :{column}" for column in replaced]
        assignments += [f"{column} = coalesce({column}, :{column})" for column in filled]
        if not assignments:
            return False
        changes = [f"{column} IS NOT :{column}" for column in replaced] + [f"{column} IS NULL" for column in filled]
        changing = statement.format(assignments=", ".join(assignments), changes=" OR ".join(changes))
        return self._change(changing, table, {**replaced, **filled, **key}) > 0

    def _change(self, statement: str, table: str, values: Values) -> int:
        try:
            return self._connection.execute(statement, values).rowcount
        except sqlite3.IntegrityError as error:
            raise InvalidValue(table, _refusal(error)) from error

    def _writable(self, table: str, values: Values) -> dict[str, Any]:
        if table not in self._columns:
            rows = self._connection.execute(COLUMNS, {"table": table}).fetchall()
            self._columns[table] = frozenset(name for (name,) in rows)
        return {name: value for name, value in values.items() if name in self._columns[table] and value is not None}


def _refusal(error: sqlite3.IntegrityError) -> str:
    if error.sqlite_errorname == "SQLITE_CONSTRAINT_FOREIGNKEY":
        return "this database demands that the measurement set, or the image, it belongs to is registered first"
    return str(error)
