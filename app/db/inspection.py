"""What kind of database a file is, for people who set the service up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from app.db.errors import translate
from app.db.views import TABLES, Table, columns_of

TABLE_NAMES = "SELECT name FROM sqlite_master WHERE type = 'table'"

# Without these columns a row means nothing; the others may be missing and read NULL.
ESSENTIAL = {
    "images": {"id", "path", "ms_path", "created_at", "type"},
    "ms_index": {"path"},
    "photometry": {"id", "source_id", "image_path", "ra_deg", "dec_deg"},
    "caltables": {"id", "path", "table_type", "order_index", "created_at"},
}


class DatabaseFacts(NamedTuple):
    """A database as it was found; ``columns`` of each table by its name."""

    journal_mode: str
    columns: Mapping[str, set[str]]

    @property
    def generation(self) -> str:
        """Which pipeline made the products tables, as far as their columns tell."""
        return generation_of(self.columns)


def inspect(path: Path, name: str, *, timeout_s: float) -> DatabaseFacts:
    """Look into a database, read-only.

    Raises
    ------
    DatabaseUnavailable, Busy
        It cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=timeout_s)) as connection:
            (journal_mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            tables = [table for (table,) in connection.execute(TABLE_NAMES)]
            return DatabaseFacts(journal_mode, {table: columns_of(connection, "main", table) for table in tables})
    except sqlite3.Error as error:
        raise translate(error, name) from error


def generation_of(columns: Mapping[str, set[str]]) -> str:
    """Name of the schema's generation: ``unified``, ``production``, ``models``, ``migrations`` or ``mixed``."""
    photometry = columns.get("photometry", set())
    if "caltables" in columns:
        return "unified"
    has_models = "snr" in photometry and "dynamic_range" in columns.get("images", set())
    if has_models and "measured_at" not in photometry:
        return "migrations"
    if "image_qa" in columns:
        return "mixed" if "dynamic_range" in columns.get("images", set()) or "snr" in photometry else "production"
    return "models" if has_models else "mixed"


def missing(facts: DatabaseFacts, schema: str) -> Iterator[tuple[Table, set[str], bool]]:
    """Tables of a schema (``main`` or ``registry``) that lack something, what they lack, and whether that is fatal."""
    for table in TABLES:
        if table.schema != schema:
            continue
        present = facts.columns.get(table.name, set())
        wanted = {column for column in table.columns.split() if not set(column.split("|")) & present}
        if wanted:
            needed = table.required if not present else bool(ESSENTIAL.get(table.name, set()) & wanted)
            yield table, wanted, needed
