"""Rows of the pipeline's jobs table, as the worker writes them for reruns."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from app.db.introspection import columns_of
from app.db.writing import WritableDatabase
from app.domain.jobs import JobStatus
from app.domain.reruns import KIND

FIND = "SELECT id FROM jobs WHERE run_id = :run_id AND type = :type ORDER BY id DESC LIMIT 1"
# Rows of a table without the column run_id are told apart by what the params hold.
FIND_BY_PARAMS = """SELECT id FROM jobs
WHERE ms_path = :ms_path AND type = :type AND json_valid(params) AND json_extract(params, '$.run_id') = :run_id
ORDER BY id DESC LIMIT 1"""
INSERT = """INSERT INTO jobs (type, status, ms_path, run_id, params, created_at)
VALUES (:type, 'pending', :ms_path, :run_id, :params, :at)"""
INSERT_WITHOUT_RUN_ID = """INSERT INTO jobs (type, status, ms_path, params, created_at)
VALUES (:type, 'pending', :ms_path, :params, :at)"""
START = "UPDATE jobs SET status = 'running', started_at = :at, finished_at = NULL WHERE id = :id"
WAIT = "UPDATE jobs SET status = 'pending', started_at = NULL WHERE id = :id"
END = "UPDATE jobs SET status = :status, finished_at = :at WHERE id = :id"


class JobWriter:
    """Writes the rows of reruns; does nothing, and says so by ``None``, where the file has no jobs table."""

    def __init__(self, database: WritableDatabase) -> None:
        self._database = database

    def record(self, run_id: str, ms_path: str, params: Mapping[str, Any], at: float) -> int | None:
        """Number of the run's row, which is made as pending unless an earlier attempt has made it.

        Parameters
        ----------
        run_id, ms_path
            The run and its measurement set.
        params
            What it was ordered with; written as JSON.
        at
            Unix time [s].
        """
        row = {"type": KIND, "run_id": run_id, "ms_path": ms_path, "params": json.dumps(params), "at": at}
        with self._database.transaction() as connection:
            columns = columns_of(connection, "main", "jobs")
            if not columns:
                return None
            has_run_id = "run_id" in columns
            found = _first(connection, has_run_id, row)
            if found is not None:
                return found
            return connection.execute(INSERT if has_run_id else INSERT_WITHOUT_RUN_ID, row).lastrowid

    def start(self, row_id: int, at: float) -> None:
        """The run has begun."""
        self._write(START, {"id": row_id, "at": at})

    def wait(self, row_id: int) -> None:
        """The run was given back to the queue."""
        self._write(WAIT, {"id": row_id})

    def end(self, row_id: int, status: JobStatus, at: float) -> None:
        """The run has ended."""
        self._write(END, {"id": row_id, "status": status, "at": at})

    def find(self, run_id: str, ms_path: str) -> int | None:
        """Number of the run's row, if there is one."""
        with self._database.transaction() as connection:
            columns = columns_of(connection, "main", "jobs")
            if not columns:
                return None
            return _first(connection, "run_id" in columns, {"type": KIND, "run_id": run_id, "ms_path": ms_path})

    def _write(self, sql: str, params: Mapping[str, Any]) -> None:
        with self._database.transaction() as connection:
            connection.execute(sql, params)


def _first(connection: sqlite3.Connection, has_run_id: bool, row: Mapping[str, Any]) -> int | None:
    found = connection.execute(FIND if has_run_id else FIND_BY_PARAMS, row).fetchone()
    return None if found is None else int(found[0])
