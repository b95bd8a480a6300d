"""The canonical view of ``qa_flags``, a table whose columns nobody fixed.

It has a key (an image's or a measurement set's path, or both), a time, and whatever else its maker liked. That rest
is published word for word, so it leaves the database as one JSON object.
"""

from __future__ import annotations

import json
import sqlite3

_KEYS = ("image_path", "ms_path", "timestamp")


def qa_flags_view(connection: sqlite3.Connection) -> str:
    """SQL that lays ``t_qa_flags``; an empty view where there is no such table.

    Notes
    -----
    ``image_details`` is the row without ``image_path`` and ``timestamp``, for flags looked up by image;
    ``ms_details`` the row without ``ms_path`` and ``timestamp``.
    """
    names = [row[1] for row in connection.execute("PRAGMA main.table_info(qa_flags)")]
    columns = [f"{key if key in names else 'NULL'} AS {key}" for key in _KEYS]
    columns.append(f"{_json_object(names, without='image_path')} AS image_details")
    columns.append(f"{_json_object(names, without='ms_path')} AS ms_details")
    origin = "FROM main.qa_flags" if names else "WHERE 0"
    return f"CREATE TEMP VIEW t_qa_flags AS SELECT {', '.join(columns)} {origin}"


def _json_object(names: list[str], *, without: str) -> str:
    """SQL for a JSON object, put together by hand because json_object() takes 63 members at most."""
    members = [_member(name) for name in names if name not in {without, "timestamp"}]
    return "'{' || " + " || ',' || ".join(members) + " || '}'" if members else "'{}'"


def _member(name: str) -> str:
    column = '"' + name.replace('"', '""') + '"'
    key = json.dumps(name).replace("'", "''")
    # JSON knows neither BLOBs nor infinity: SQLite fails on the one and writes nonsense for the other. Bytes go out in
    # hexadecimal, since they need not be text.
    value = (
        f"CASE typeof({column}) WHEN 'blob' THEN hex({column}) "
        f"WHEN 'real' THEN CASE WHEN abs({column}) < 9e999 THEN {column} END ELSE {column} END"
    )
    return f"'{key}:' || json_quote({value})"
