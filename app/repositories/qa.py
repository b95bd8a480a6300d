"""Quality reports, read from the QA tables; empty where a file has none."""

from __future__ import annotations

from app.db.pipeline import PipelineDatabase
from app.domain.errors import NotFound
from app.domain.graded_days import StageCount
from app.domain.quality import Flag, MsReport
from app.repositories.spellings import SPELLED, spellings

# The flags, last field of the report, lie in a table of their own.
MS = f"SELECT {', '.join(MsReport._fields[:-1])} FROM v_ms_quality WHERE {SPELLED}"
MS_FLAGS = "SELECT ms_details FROM t_qa_flags WHERE ms_path = :ms_path ORDER BY timestamp DESC"
IMAGE_FLAGS = "SELECT image_details FROM t_qa_flags WHERE image_path = :path ORDER BY timestamp DESC"
# Flags of the measurement set stand in for an image without its own, but not those of its other images.
IMAGE_FLAGS_OR_MS = """SELECT CASE WHEN f.image_path IS NULL THEN f.ms_details ELSE f.image_details END
FROM t_qa_flags AS f
WHERE f.image_path = :path OR f.image_path IS NULL AND f.ms_path = :ms_path
    AND NOT EXISTS (SELECT 1 FROM t_qa_flags AS own WHERE own.image_path = :path)
ORDER BY f.timestamp DESC"""

# Nothing keeps text or infinity out of a REAL column; a day with either cannot be named.
NEWEST_IMAGE = """SELECT i.created_at FROM t_images AS i WHERE i.created_at BETWEEN 0 AND :latest
ORDER BY i.created_at DESC LIMIT 1"""
# Grades follow from stages, of which there are few: grading them costs nothing beside calling into Python for each row.
BY_DAY = """SELECT CAST((i.created_at - :start) / 86400 AS INTEGER) AS day, i.has_ms, i.stage, count(*)
FROM v_image AS i WHERE i.created_at >= :start AND i.created_at < :end GROUP BY day, i.has_ms, i.stage"""
LATEST_S = 253402300799.0  # the last second of the year 9999


class QaRepository:
    """Quality of measurement sets and images."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def ms(self, path: str) -> MsReport:
        """The newest calibration QA of the measurement set at a path as a URL gave it; raises NotFound."""
        return MsReport(*self._database.row(MS, spellings(path), missing=NotFound("MeasurementSet", path)))

    def ms_flags(self, ms_path: str) -> tuple[Flag, ...]:
        """Rows of qa_flags about a measurement set, newest first."""
        return self._flags(MS_FLAGS, ms_path=ms_path)

    def image_flags(self, path: str) -> tuple[Flag, ...]:
        """Rows of qa_flags about the image itself, newest first."""
        return self._flags(IMAGE_FLAGS, path=path)

    def image_or_ms_flags(self, path: str, ms_path: str) -> tuple[Flag, ...]:
        """Rows of qa_flags about an image or, where there are none, about its measurement set, newest first."""
        return self._flags(IMAGE_FLAGS_OR_MS, path=path, ms_path=ms_path)

    def newest_image(self) -> float | None:
        """When the newest image was made [Unix s]; ``None`` where there is none."""
        row = self._database.find(NEWEST_IMAGE, {"latest": LATEST_S})
        return None if row is None else float(row[0])

    def by_day(self, start_s: float, end_s: float) -> list[StageCount]:
        """Images made within [start, end) in Unix seconds, by day, the first of them 0, and stage."""
        return [StageCount(*row) for row in self._database.rows(BY_DAY, {"start": start_s, "end": end_s})]

    def _flags(self, sql: str, **values: str) -> tuple[Flag, ...]:
        return tuple(Flag.from_row(details) for (details,) in self._database.rows(sql, values))
