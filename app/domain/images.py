"""Images: one row per product of the imaging stage."""

from __future__ import annotations

from typing import NamedTuple

from app.domain.columns import Column, Kind
from app.domain.qa import GRADES, Grade, grade_of_stage, image_summary, image_warnings
from app.domain.run_id import run_id


class Image(NamedTuple):
    """An image as lists show it.

    ``center_*`` in ICRS degrees, ``created_at`` in Unix seconds. ``has_ms`` tells whether the measurement set is
    indexed; without it there is no stage to grade.
    """

    id: int
    path: str
    ms_path: str
    created_at: float
    center_ra_deg: float | None
    center_dec_deg: float | None
    has_ms: int
    stage: str | None
    separation_arcsec: float | None = None

    @property
    def qa_grade(self) -> Grade | None:
        """Grade of the measurement set's stage, ``None`` where that is not indexed."""
        return grade_of_stage(self.stage) if self.has_ms else None

    @property
    def run_id(self) -> str | None:
        """Run that made the image."""
        return run_id(self.ms_path)


class ImageDetail(NamedTuple):
    """An image with everything known of it, the newest QA row merged in.

    ``noise_jy`` and ``peak_flux_jy`` in Jy/beam, beam axes in arcsec, angles in degrees, times in Unix seconds.
    """

    id: int
    path: str
    ms_path: str
    created_at: float
    center_ra_deg: float | None
    center_dec_deg: float | None
    has_ms: int
    stage: str | None
    cal_table: str | None
    noise_jy: float | None
    dynamic_range: float | None
    beam_major_arcsec: float | None
    beam_minor_arcsec: float | None
    beam_pa_deg: float | None
    n_sources: int | None
    peak_flux_jy: float | None
    overall_quality: str | None
    qa_timestamp: float | None
    qa_rms_noise: float | None
    qa_dynamic_range: float | None
    qa_beam_major: float | None
    qa_beam_minor: float | None
    qa_beam_pa: float | None

    @property
    def qa_grade(self) -> Grade | None:
        """Grade of the measurement set's stage, ``None`` where that is not indexed."""
        return grade_of_stage(self.stage) if self.has_ms else None

    @property
    def run_id(self) -> str | None:
        """Run that made the image."""
        return run_id(self.ms_path)

    @property
    def qa_summary(self) -> str:
        """Noise, dynamic range and beam in one line."""
        return image_summary(self.noise_jy, self.dynamic_range, self.beam_major_arcsec)

    @property
    def warnings(self) -> list[str]:
        """What is worth a second look."""
        return image_warnings(self.noise_jy, self.dynamic_range)


IMAGE_COLUMNS = (
    Column("id", Kind.IDENTIFIER, "Key of the image.", ucd="meta.id;meta.main"),
    Column("path", Kind.TEXT, "Path of the image file.", ucd="meta.id;meta.file"),
    Column("ms_path", Kind.TEXT, "Measurement set that it was made from.", ucd="meta.id;meta.file"),
    Column("run_id", Kind.TEXT, "Run that made it.", ucd="meta.id", is_filter=False),
    Column("type", Kind.TEXT, "Kind of product: image, pbcor, residual …", ucd="meta.code.class"),
    Column("file_format", Kind.TEXT, "fits or casa.", ucd="meta.code.mime", source="format"),
    Column("field_name", Kind.TEXT, "Field observed.", ucd="meta.id;obs.field"),
    Column(
        "qa_grade",
        Kind.TEXT,
        "good, warn or fail, by the stage of the measurement set.",
        ucd="meta.code.qual",
        words=GRADES,
    ),
    Column("stage", Kind.TEXT, "Stage that the measurement set has reached.", ucd="meta.code.status"),
    Column("created_at", Kind.TIME, "When the image was made.", ucd="time.creation"),
    Column("observed_mjd", Kind.MJD, "Middle of the observation, as well as it is known.", "d", "time.epoch;obs"),
    Column("pointing_ra_deg", Kind.REAL, "Right ascension of the image centre.", "deg", "pos.eq.ra", "center_ra_deg"),
    Column("pointing_dec_deg", Kind.REAL, "Declination of the image centre.", "deg", "pos.eq.dec", "center_dec_deg"),
    Column("ra_deg", Kind.REAL, "Right ascension of the centre, else of the pointing.", "deg", "pos.eq.ra;meta.main"),
    Column("dec_deg", Kind.REAL, "Declination of the centre, else of the pointing.", "deg", "pos.eq.dec;meta.main"),
    Column("noise_jy", Kind.REAL, "RMS noise per beam.", "Jy/beam", "stat.rms;phot.flux.density"),
    Column("dynamic_range", Kind.REAL, "Peak over noise.", ucd="stat.snr"),
    Column(
        "beam_major_arcsec", Kind.REAL, "Major axis of the beam (FWHM).", "arcsec", "phys.angSize.smajAxis;instr.beam"
    ),
    Column(
        "beam_minor_arcsec", Kind.REAL, "Minor axis of the beam (FWHM).", "arcsec", "phys.angSize.sminAxis;instr.beam"
    ),
    Column("beam_pa_deg", Kind.REAL, "Position angle of the beam, north through east.", "deg", "pos.posAng;instr.beam"),
    Column("imsize_x", Kind.INTEGER, "Width.", "pixel", "pos.wcs.naxis"),
    Column("imsize_y", Kind.INTEGER, "Height.", "pixel", "pos.wcs.naxis"),
    Column("cellsize_arcsec", Kind.REAL, "Size of a pixel.", "arcsec", "pos.wcs.scale"),
    Column("freq_ghz", Kind.REAL, "Centre frequency.", "GHz", "em.freq"),
    Column("bandwidth_mhz", Kind.REAL, "Bandwidth.", "MHz", "instr.bandwidth"),
    Column("integration_sec", Kind.REAL, "Time on the field.", "s", "time.duration;obs.exposure"),
    Column("pbcor", Kind.BOOLEAN, "Whether it is corrected for the primary beam.", ucd="meta.code"),
)
