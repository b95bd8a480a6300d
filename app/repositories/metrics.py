"""Figures for the monitoring system."""

from __future__ import annotations

from collections import Counter

from app.db.pipeline import PipelineDatabase
from app.domain.metrics import DYNAMIC_RANGE_BOUNDS, NOISE_BOUNDS_JY, SNR_BOUNDS, Grouped, Histogram
from app.repositories.words import read

# Words as bytes, because text of a pipeline need not be UTF-8 (:mod:`app.repositories.words`). Grouped as they are
# written, so that an index can be used; what is the same once it is read is added up behind.
PROCESSED = """
    SELECT CAST(status AS BLOB), CAST(stage AS BLOB), count(*) FROM t_ms_index
    WHERE processed_at IS NOT NULL GROUP BY status, stage
"""

CALIBRATIONS = """
    SELECT CAST(status AS BLOB), CAST(table_type AS BLOB), count(*) FROM t_caltables
    GROUP BY status, table_type
"""


def _distribution(column: str, bounds: tuple[float, ...]) -> str:
    """Count and sum of the finite values, minus infinities, then the values up to each bound, infinities included.

    Bare comparisons under FILTER: on a million images this takes a third of the time of a CASE that leaves the
    infinities out beforehand.
    """
    at_most = ", ".join(f"count(*) FILTER (WHERE {column} <= {bound!r})" for bound in bounds)
    finite = f"FILTER (WHERE abs({column}) < 9e999)"
    return f"count(*) {finite}, total({column}) {finite}, count(*) FILTER (WHERE {column} = -9e999), {at_most}"


# Both distributions in one pass.
IMAGE_QUALITY = f"""
    SELECT {_distribution("i.noise_jy", NOISE_BOUNDS_JY)}, {_distribution("i.dynamic_range", DYNAMIC_RANGE_BOUNDS)}
    FROM t_images AS i
"""

# A report is JSON text written by the pipeline; what is no JSON, or holds no number there, counts nothing.
_SOLUTIONS = " UNION ALL ".join(
    f"SELECT CASE WHEN json_valid({metrics}) THEN json_extract({metrics}, '$.avg_snr') END AS snr FROM t_calibration_qa"
    for metrics in ("k_metrics", "bp_metrics", "g_metrics")
)
CALIBRATION_SNR = f"""
    SELECT {_distribution("snr", SNR_BOUNDS)} FROM ({_SOLUTIONS}) WHERE typeof(snr) IN ('integer', 'real')
"""


class MetricsRepository:
    """Groups and distributions over whole tables."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def processed(self) -> list[Grouped]:
        """Processed measurement sets by status and stage."""
        return self._grouped(PROCESSED)

    def calibrations(self) -> list[Grouped]:
        """Calibration tables by status and type."""
        return self._grouped(CALIBRATIONS)

    def image_quality(self) -> tuple[Histogram, Histogram]:
        """Distributions of noise [Jy/beam] and dynamic range over every image."""
        (row,) = self._database.rows(IMAGE_QUALITY)
        middle = 3 + len(NOISE_BOUNDS_JY)
        return _histogram(row[:middle], NOISE_BOUNDS_JY), _histogram(row[middle:], DYNAMIC_RANGE_BOUNDS)

    def calibration_snr(self) -> Histogram:
        """Distribution of the mean signal-to-noise ratio of calibration solutions."""
        (row,) = self._database.rows(CALIBRATION_SNR)
        return _histogram(row, SNR_BOUNDS)

    def _grouped(self, sql: str) -> list[Grouped]:
        """Rows by two words, each pair once; without a word, and with an empty one, it is unknown."""
        counts: Counter[tuple[str, str]] = Counter()
        for status, kind, n in self._database.rows(sql):
            counts[read(status) or "unknown", read(kind) or "unknown"] += n
        return [Grouped(*words, n) for words, n in counts.items()]


def _histogram(row: tuple[float, ...], bounds: tuple[float, ...]) -> Histogram:
    n, total, minus_infinities, *at_most = row
    return Histogram(bounds, tuple(int(below - minus_infinities) for below in at_most), int(n), total)
