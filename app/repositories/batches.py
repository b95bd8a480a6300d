"""Batches: read like everything else, written to the pipeline's batch tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from app.db.introspection import columns_of
from app.db.pipeline import PipelineDatabase
from app.db.writing import WritableDatabase
from app.domain.batches import KIND, Batch, BatchDetail, BatchItem, BatchSelection
from app.domain.errors import BatchNotFound
from app.domain.paging import Page, PageRequest
from app.repositories.listing import Listing, SortKey

LIST = Listing(("v_batch",), Batch, (SortKey("id", int, descending=True),))

GET = f"SELECT {', '.join(BatchDetail._fields[:-1])} FROM v_batch WHERE id = :id"
ITEMS = f"SELECT {', '.join(BatchItem._fields)} FROM v_batch_item WHERE batch_id = :id ORDER BY id"
SELECT_MS = """SELECT path FROM v_ms
WHERE (:stage IS NULL OR stage = :stage) AND (:status IS NULL OR status = :status)
  AND (:field_name IS NULL OR field_name = :field_name)
  AND (:start_mjd IS NULL OR mid_mjd >= :start_mjd) AND (:end_mjd IS NULL OR mid_mjd <= :end_mjd)
ORDER BY mid_mjd, path LIMIT :limit"""
KNOWN_MS = "SELECT path FROM v_ms WHERE path IN (SELECT value FROM json_each(:paths))"

INSERT = """INSERT INTO batch_jobs (type, created_at, status, total_items, completed_items, failed_items, params)
VALUES (:type, :at, 'pending', :total, 0, 0, :params)"""
INSERT_ITEM = "INSERT INTO batch_job_items (batch_id, ms_path, status) VALUES (:batch_id, :ms_path, 'pending')"
# A number that was cancelled stays so, whatever a worker that has not heard of it yet reports.
START_ITEM = """UPDATE batch_job_items SET status = 'running', started_at = :at, job_id = :job_row_id
WHERE id = :id AND status <> 'cancelled'"""
IS_CANCELLED = "SELECT id FROM batch_job_items WHERE id = :id AND status = 'cancelled'"
WAIT_ITEM = "UPDATE batch_job_items SET status = 'pending', started_at = NULL WHERE id = :id AND status = 'running'"
END_ITEM = """UPDATE batch_job_items SET status = :status, error = :error
WHERE id = :id AND status <> 'cancelled'"""
TIME_ITEM = "UPDATE batch_job_items SET completed_at = :at WHERE id = :id"
CANCEL_ITEMS = """UPDATE batch_job_items SET status = 'cancelled'
WHERE batch_id = :batch_id AND status IN ('pending', 'running')"""
COUNT = """UPDATE batch_jobs SET
  completed_items = (SELECT count(*) FROM batch_job_items WHERE batch_id = :batch_id AND status = 'done'),
  failed_items = (SELECT count(*) FROM batch_job_items WHERE batch_id = :batch_id AND status = 'failed'),
  status = CASE
    WHEN EXISTS (SELECT 1 FROM batch_job_items WHERE batch_id = :batch_id AND status IN ('pending', 'running'))
      THEN 'running'
    WHEN EXISTS (SELECT 1 FROM batch_job_items WHERE batch_id = :batch_id AND status = 'failed') THEN 'failed'
    ELSE 'done' END
WHERE id = :batch_id"""

# One whose items nobody recorded has nothing to count.
CANCEL_EMPTY = """UPDATE batch_jobs SET status = 'cancelled'
WHERE id = :batch_id AND NOT EXISTS (SELECT 1 FROM batch_job_items WHERE batch_id = :batch_id)"""

ItemStatus = Literal["done", "failed", "cancelled"]


class BatchRepository:
    """Batches by page and number."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def page(self, request: PageRequest) -> Page[Batch]:
        """Batches, newest first."""
        return LIST.page(self._database, request)

    def get(self, batch_id: int) -> BatchDetail:
        """One batch with its items; raises BatchNotFound."""
        row = self._database.row(GET, {"id": batch_id}, missing=BatchNotFound("BatchJob", batch_id))
        items = [BatchItem(*item) for item in self._database.rows(ITEMS, {"id": batch_id})]
        return BatchDetail._make((*row, items))

    def select(self, selection: BatchSelection, limit: int) -> list[str]:
        """Paths of the measurement sets that a selection means, oldest first."""
        return [path for (path,) in self._database.rows(SELECT_MS, {**selection._asdict(), "limit": limit})]

    def unknown(self, paths: Sequence[str]) -> list[str]:
        """Those of some paths at which no measurement set is indexed."""
        known = {path for (path,) in self._database.rows(KNOWN_MS, {"paths": json.dumps(list(paths))})}
        return [path for path in paths if path not in known]


class BatchWriter:
    """Writes batches and what becomes of their items."""

    def __init__(self, database: WritableDatabase) -> None:
        self._database = database

    def create(self, ms_paths: Sequence[str], params: Mapping[str, Any], at: float) -> tuple[int, list[int]]:
        """Record a batch at a Unix time [s]; its number and those of its items, in the order of the paths."""
        row = {"type": KIND, "at": at, "total": len(ms_paths), "params": json.dumps(params)}
        with self._database.transaction() as connection:
            batch_id = connection.execute(INSERT, row).lastrowid
            assert batch_id is not None
            items = [
                connection.execute(INSERT_ITEM, {"batch_id": batch_id, "ms_path": path}).lastrowid for path in ms_paths
            ]
        return batch_id, [item for item in items if item is not None]

    def start_item(self, batch_id: int, item_id: int, job_row_id: int | None, at: float) -> bool:
        """Work on an item begins at a Unix time [s], by a row of the jobs table; false where the item was cancelled."""
        with self._database.transaction() as connection:
            connection.execute(START_ITEM, {"id": item_id, "at": at, "job_row_id": job_row_id})
            connection.execute(COUNT, {"batch_id": batch_id})
            return connection.execute(IS_CANCELLED, {"id": item_id}).fetchone() is None

    def wait_item(self, batch_id: int, item_id: int) -> None:
        """Work on an item waits once more."""
        with self._database.transaction() as connection:
            connection.execute(WAIT_ITEM, {"id": item_id})
            connection.execute(COUNT, {"batch_id": batch_id})

    def end_item(self, batch_id: int, item_id: int, status: ItemStatus, error: str | None, at: float) -> None:
        """Work on an item has ended at a Unix time [s]; some files have no column for the time."""
        with self._database.transaction() as connection:
            connection.execute(END_ITEM, {"id": item_id, "status": status, "error": error})
            if "completed_at" in columns_of(connection, "main", "batch_job_items"):
                connection.execute(TIME_ITEM, {"id": item_id, "at": at})
            connection.execute(COUNT, {"batch_id": batch_id})

    def cancel(self, batch_id: int) -> None:
        """Cancel every item that is not over."""
        with self._database.transaction() as connection:
            if connection.execute(CANCEL_EMPTY, {"batch_id": batch_id}).rowcount == 0:
                connection.execute(CANCEL_ITEMS, {"batch_id": batch_id})
                connection.execute(COUNT, {"batch_id": batch_id})
