"""Indexes for every order and lookup over the smaller tables, and the books of what was laid.

An index of the pipeline's own that serves as well is left to do so. Expressions are word for word those of the
canonical views, because SQLite recognises an index on an expression by its text.
"""

from __future__ import annotations

from typing import NamedTuple

from alembic import op

from migrations.products.laying import LEDGER, columns, is_served, lay, take_away

revision = "0001"
down_revision = None

PART = "indexes"
PROCESSED = "ifnull(processed_at, -9e999)"
STARTED = "ifnull(ifnull(started_at, created_at), -9e999)"
# Base name of a path without its trailing slashes.
MS_NAME = "replace(rtrim(path, '/'), rtrim(rtrim(path, '/'), replace(path, '/', '')), '')"


class Index(NamedTuple):
    """An index to make where the file has the columns; ``keys`` names them where the key holds expressions."""

    name: str
    table: str
    columns: str
    keys: str = ""
    where: str = ""


INDEXES = (
    Index("images_created", "images", "created_at"),
    Index("images_path", "images", "path created_at"),
    Index("images_ms", "images", "ms_path created_at"),
    Index("ms_processed", "ms_index", "processed_at path", f"{PROCESSED} DESC, path"),
    Index("ms_name", "ms_index", "path", MS_NAME),
    Index("jobs_run", "jobs", "run_id created_at"),
    Index("jobs_ms", "jobs", "ms_path created_at"),
    Index("jobs_finished", "jobs", "finished_at status"),
    Index(
        "jobs_rerun",
        "jobs",
        "started_at created_at id type run_id",
        f"{STARTED} DESC, 'rerun:' || id",
        "run_id IS NOT NULL AND type = 'pipeline_rerun'",
    ),
    Index("batch_items", "batch_job_items", "batch_id"),
    Index("image_qa_image", "image_qa", "image_path timestamp"),
    Index("image_qa_ms", "image_qa", "ms_path timestamp"),
    Index("calibration_qa_ms", "calibration_qa", "ms_path timestamp"),
    Index("qa_flags_image", "qa_flags", "image_path timestamp"),
    Index("qa_flags_ms", "qa_flags", "ms_path timestamp"),
    Index("caltables_created", "caltables", "created_at"),
    Index("caltables_ms", "caltables", "source_ms_path created_at"),
)


def upgrade() -> None:
    """Make the books and the indexes."""
    for statement in LEDGER:
        op.execute(statement)
    watched: dict[str, list[str]] = {}
    for index in INDEXES:
        watched.setdefault(index.table, []).extend(index.columns.split())
    lay(PART, revision, [_statement(index) for index in INDEXES if _is_wanted(index)], watched)


def downgrade() -> None:
    """Drop them; the books go last."""
    take_away(PART)
    for table in ("contimg_api_object", "contimg_api_part"):
        op.execute(f"DROP TABLE {table}")


def _is_wanted(index: Index) -> bool:
    wanted = index.columns.split()
    return columns(index.table).issuperset(wanted) and (bool(index.keys) or not is_served(index.table, wanted))


def _statement(index: Index) -> str:
    keys = index.keys or ", ".join(index.columns.split())
    where = f" WHERE {index.where}" if index.where else ""
    return f"CREATE INDEX contimg_api_{index.name} ON {index.table} ({keys}){where}"
