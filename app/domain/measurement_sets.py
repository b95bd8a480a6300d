"""Measurement sets: one row per set of visibilities that the pipeline has taken in."""

from __future__ import annotations

from typing import NamedTuple

from app.domain import json_text
from app.domain.columns import Column, Kind
from app.domain.qa import GRADES, Grade, grade_of_stage, ms_summary
from app.domain.run_id import run_id

# What the pipeline is known to write, in the order in which it happens; there may be others.
KNOWN_STAGES = ("ingested", "converted", "calibrated", "imaged", "mosaicked", "cataloged")
KNOWN_STATUSES = ("pending", "converted", "done", "failed", "skipped_no_caltables")


class MeasurementSet(NamedTuple):
    """A measurement set as lists show it; pointing in ICRS degrees, times in Unix seconds."""

    path: str
    processed_at: float | None
    status: str | None
    stage: str | None
    pointing_ra_deg: float | None
    pointing_dec_deg: float | None
    sort_processed_at: float
    separation_arcsec: float | None = None

    @property
    def run_id(self) -> str | None:
        """Run that processes it."""
        return run_id(self.path)

    @property
    def qa_grade(self) -> Grade:
        """Grade of its stage."""
        return grade_of_stage(self.stage)


class CalibratorMatch(NamedTuple):
    """A calibration table solved from a measurement set, and its type (``K``, ``BP``, ``GP`` …)."""

    cal_table: str
    type: str | None


class MeasurementSetDetail(NamedTuple):
    """A measurement set with what was made from it.

    ``calibrators`` is JSON, pairs of path and type in the order in which the tables are applied.
    """

    path: str
    processed_at: float | None
    status: str | None
    stage: str | None
    cal_applied: int | None
    pointing_ra_deg: float | None
    pointing_dec_deg: float | None
    calibrators: str
    newest_cal_table: str | None
    newest_image_id: int | None

    @property
    def run_id(self) -> str | None:
        """Run that processes it."""
        return run_id(self.path)

    @property
    def qa_grade(self) -> Grade:
        """Grade of its stage."""
        return grade_of_stage(self.stage)

    @property
    def qa_summary(self) -> str:
        """Calibration and stage in one line."""
        return ms_summary(self.cal_applied, self.stage)

    @property
    def calibrator_matches(self) -> list[CalibratorMatch]:
        """Its calibration tables, in the order in which they are applied."""
        return [CalibratorMatch(*pair) for pair in json_text.parse(self.calibrators)]

    @property
    def cal_table(self) -> str | None:
        """The calibration table that is applied first."""
        return next((match.cal_table for match in self.calibrator_matches), None)


MS_COLUMNS = (
    Column("path", Kind.TEXT, "Path of the measurement set.", ucd="meta.id;meta.main"),
    Column("run_id", Kind.TEXT, "Run that processes it.", ucd="meta.id", is_filter=False),
    Column("stage", Kind.TEXT, "Stage that it has reached.", ucd="meta.code.status"),
    Column("status", Kind.TEXT, "What the pipeline says of it.", ucd="meta.code.status"),
    Column("qa_grade", Kind.TEXT, "good, warn or fail, by its stage.", ucd="meta.code.qual", words=GRADES),
    Column("pointing_ra_deg", Kind.REAL, "Right ascension of the pointing.", "deg", "pos.eq.ra;meta.main"),
    Column("pointing_dec_deg", Kind.REAL, "Declination of the pointing.", "deg", "pos.eq.dec;meta.main"),
    Column("created_at", Kind.TIME, "When it was processed.", ucd="time.processing", source="processed_at"),
    Column("start_mjd", Kind.MJD, "Start of the observation.", "d", "time.start;obs"),
    Column("mid_mjd", Kind.MJD, "Middle of the observation.", "d", "time.epoch;obs"),
    Column("end_mjd", Kind.MJD, "End of the observation.", "d", "time.end;obs"),
    Column("field_name", Kind.TEXT, "Field observed.", ucd="meta.id;obs.field"),
    Column("cal_applied", Kind.BOOLEAN, "Whether calibration was applied.", ucd="meta.code"),
    Column("imagename", Kind.TEXT, "Its primary image.", ucd="meta.id;meta.file"),
)
