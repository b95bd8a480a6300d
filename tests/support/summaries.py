"""What the summaries must hold, worked out row by row in Python from the pipeline's tables alone."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Any

from app.db.summaries import SUMMARISED_SOURCE
from tests.support.pipeline_schema import columns_of

Sources = dict[str, tuple[int, int, int | None, float, float]]
Counts = dict[tuple[str, str], int]

COUNTED = {"images": ("images", "type"), "ms_index": ("ms", "stage"), "batch_jobs": ("batch_jobs", "status")}


def true_sources(connection: sqlite3.Connection) -> Sources:
    """Points, images, newest image and newest position of each source."""
    images: dict[str, tuple[float, int]] = {}
    for number, path, created_at in connection.execute("SELECT id, path, created_at FROM images"):
        images[path] = max(images.get(path, (created_at, number)), (created_at, number))
    measured: dict[str, list[Any]] = {}
    when = "measured_at" if "measured_at" in columns_of(connection, "photometry") else "NULL"
    sql = f"SELECT source_id, id, image_path, ra_deg, dec_deg, mjd, {when} FROM photometry WHERE source_id IS NOT NULL"
    for source, *row in connection.execute(sql):
        measured.setdefault(source, []).append(row)
    return {source: _source(rows, images) for source, rows in measured.items()}


def kept_sources(connection: sqlite3.Connection) -> Sources:
    """The same as the triggers keep it; of an image in doubt what the canonical view makes of it."""
    connection.execute("CREATE TEMP VIEW IF NOT EXISTS t_photometry AS SELECT source_id, image_path FROM photometry")
    connection.execute("CREATE TEMP VIEW IF NOT EXISTS t_images AS SELECT id, path, created_at FROM images")
    sql = f"""
        SELECT v.id, k.n_points, v.num_images, v.image_id, v.ra_deg, v.dec_deg
        FROM ({SUMMARISED_SOURCE.format(light_curve="")}) AS v JOIN contimg_api_source AS k ON k.source_id = v.id"""
    return {source: tuple(values) for source, *values in connection.execute(sql)}  # type: ignore[misc]


def true_counts(connection: sqlite3.Connection) -> Counts:
    """Rows of each kind."""
    counts: Counter[tuple[str, str]] = Counter()
    for table, (kind, column) in COUNTED.items():
        for (key,) in connection.execute(f"SELECT {column} FROM {table}"):
            counts[kind, key or ""] += 1
    counts["sources", ""] = len(true_sources(connection))
    named = "SELECT count(*) FROM photometry WHERE source_id IS NOT NULL"
    counts["points", ""] = connection.execute(named).fetchone()[0]
    if columns_of(connection, "caltables"):
        counts["caltables", ""] = len(connection.execute("SELECT id FROM caltables").fetchall())
    return {key: n for key, n in counts.items() if n}


def kept_counts(connection: sqlite3.Connection) -> Counts:
    """The same as the triggers keep it."""
    return {(kind, key): n for kind, key, n in connection.execute("SELECT kind, key, n FROM contimg_api_count") if n}


def _source(rows: list[Any], images: dict[str, tuple[float, int]]) -> tuple[int, int, int | None, float, float]:
    seen = {path for _, path, *_ in rows if path in images}
    newest = max((images[path] for path in seen), default=(0.0, None))[1]
    _, _, ra_deg, dec_deg = max((_date(mjd, at), number, ra, dec) for number, _, ra, dec, mjd, at in rows)
    return len(rows), len(seen), newest, ra_deg, dec_deg


def _date(mjd: float | None, measured_at: float | None) -> float:
    if mjd is not None:
        return mjd
    return float("-inf") if measured_at is None else measured_at / 86400.0 + 40587.0
