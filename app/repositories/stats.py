"""Statistics, from the tables of every resource."""

from __future__ import annotations

from app.db.pipeline import PipelineDatabase
from app.domain.statistics import Counts, RecentImage, tally
from app.repositories.words import read

# Words as bytes, because text of a pipeline need not be UTF-8 (:mod:`app.repositories.words`).
COUNTS = "SELECT kind, CAST(key AS BLOB), n FROM v_count"

RECENT_IMAGES = """
    SELECT CAST(path AS BLOB), created_at, CAST(type AS BLOB) FROM v_image
    ORDER BY created_at DESC, id DESC LIMIT :limit
"""

# Bounded ranges of the very expressions that the upgrade indexes; a day number is Unix seconds over 86400.
TIMELINE = """
    SELECT 'ms' AS kind, CAST(m.sort_processed_at / 86400 AS INTEGER) AS day, x'' AS status, count(*)
    FROM v_ms AS m WHERE m.sort_processed_at >= :start AND m.sort_processed_at < :end GROUP BY day
    UNION ALL
    SELECT 'images', CAST(i.created_at / 86400 AS INTEGER) AS day, x'', count(*)
    FROM t_images AS i WHERE i.created_at >= :start AND i.created_at < :end GROUP BY day
    UNION ALL
    SELECT 'photometry', CAST(p.measured_at / 86400 AS INTEGER) AS day, x'', count(*)
    FROM t_photometry AS p WHERE p.measured_at >= :start AND p.measured_at < :end GROUP BY day
    UNION ALL
    SELECT 'jobs', CAST(j.finished_at / 86400 AS INTEGER) AS day, CAST(j.status AS BLOB), count(*)
    FROM t_jobs AS j WHERE j.finished_at >= :start AND j.finished_at < :end GROUP BY day, j.status
"""


class StatsRepository:
    """Counts rows."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def counts(self) -> Counts:
        """Rows of every kind, in one statement."""
        return tally((kind, read(key), n) for kind, key, n in self._database.rows(COUNTS))

    def recent_images(self, limit: int) -> list[RecentImage]:
        """The newest images."""
        rows = self._database.rows(RECENT_IMAGES, {"limit": limit})
        return [RecentImage(read(path), created_at, read(kind)) for path, created_at, kind in rows]

    def daily(self, start_s: float, end_s: float) -> list[tuple[str, int, str, int]]:
        """Rows ``(kind, day number, status, n)`` for what came within [start, end) in Unix seconds."""
        rows = self._database.rows(TIMELINE, {"start": start_s, "end": end_s})
        return [(kind, day, read(status), n) for kind, day, status, n in rows]
