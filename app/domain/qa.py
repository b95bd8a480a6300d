"""Quality words: the grade of a stage and the summaries people read beside it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

Grade = Literal["good", "warn", "fail"]

GRADES: tuple[Grade, ...] = get_args(Grade)
IMAGED_STAGES = frozenset({"imaged", "mosaicked", "cataloged"})
_WORST_FIRST: tuple[Grade, ...] = ("fail", "warn", "good")

HIGH_NOISE_JY = 0.01
LOW_DYNAMIC_RANGE = 100.0


def grade_of_stage(stage: str | None) -> Grade:
    """Grade of a measurement set by how far the pipeline took it; its status plays no part."""
    if stage in IMAGED_STAGES:
        return "good"
    return "warn" if stage == "calibrated" else "fail"


def worst_grade(grades: Iterable[Grade | None]) -> Grade | None:
    """The worst of several grades (fail before warn before good), or ``None`` where none is known."""
    present = set(grades)
    return next((grade for grade in _WORST_FIRST if grade in present), None)


def image_summary(noise_jy: float | None, dynamic_range: float | None, beam_major_arcsec: float | None) -> str:
    """One line on an image: noise [Jy/beam, shown in mJy], dynamic range and beam major axis [arcsec], as known."""
    parts = []
    if noise_jy is not None:
        parts.append(f"RMS {noise_jy * 1000:.2f} mJy")
    if dynamic_range is not None:
        parts.append(f"DR {dynamic_range:.0f}")
    if beam_major_arcsec is not None:
        parts.append(f'Beam {beam_major_arcsec:.1f}"')
    return ", ".join(parts) or "No QA metrics available"


def ms_summary(cal_applied: int | None, stage: str | None) -> str:
    """One line on a measurement set: whether calibration was applied, and its stage."""
    parts = ["Calibrated"] if cal_applied else []
    if stage:
        parts.append(f"Stage: {stage}")
    return ", ".join(parts) or "No QA info"


def stage_summary(stage: str | None) -> str:
    """One line on a run: the stage its measurement set has reached."""
    return f"Stage: {stage or 'unknown'}"


def image_warnings(noise_jy: float | None, dynamic_range: float | None) -> list[str]:
    """What is worth a second look in an image (noise above 10 mJy/beam, dynamic range below 100)."""
    warnings = []
    if noise_jy is not None and noise_jy > HIGH_NOISE_JY:
        warnings.append("High noise level detected")
    if dynamic_range is not None and dynamic_range < LOW_DYNAMIC_RANGE:
        warnings.append("Low dynamic range")
    return warnings
