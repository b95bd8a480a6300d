"""The derivations that every resource shares: run ids, grades, summaries, states, times."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import qa
from app.domain.jobs import job_status
from app.domain.run_id import run_id
from app.domain.time import iso_from_unix, mjd_from_iso, mjd_from_unix, unix_from_iso, unix_from_mjd


@pytest.mark.parametrize(
    ("ms_path", "expected"),
    [
        ("/d/2025-10-31T13:49:06.ms", "job-2025-10-31-134906"),
        ("/d/2025-10-31T13:49:06.123.ms", "job-2025-10-31-134906"),
        ("/d/2025-10-31T13:49:06_cal.ms", "job-2025-10-31-134906_cal"),
        ("/d/2025-10-31T13:49:06_TARGET.ms", "job-2025-10-31-134906_TARGET"),
        ("/d/2025-10-31T13:49:06.ms/", "job-2025-10-31-134906"),
        ("/d/obs.ms", "job-obs"),
        ("/d/TARGET.ms", "job-TARGET"),
        ("/d/2025-10-31_TEST.ms", "job-2025-10-31_TEST"),
        ("/d/x2025-10-31T13:49:06.ms", "job-x2025-10-31T13:49:06"),
        ("/d/٢٠٢٥-10-31T13:49:06.ms", "job-٢٠٢٥-10-31T13:49:06"),
        ("", None),
        (None, None),
    ],
)
def test_run_id_splits_at_the_t_behind_a_date_only(ms_path: str | None, expected: str | None) -> None:
    assert run_id(ms_path) == expected


@pytest.mark.parametrize(
    ("stage", "grade"),
    [
        ("imaged", "good"),
        ("mosaicked", "good"),
        ("cataloged", "good"),
        ("calibrated", "warn"),
        ("converted", "fail"),
        ("IMAGED", "fail"),
        ("", "fail"),
        (None, "fail"),
    ],
)
def test_grade_follows_the_stage(stage: str | None, grade: str) -> None:
    assert qa.grade_of_stage(stage) == grade


def test_worst_grade_is_not_the_alphabetical_one() -> None:
    assert qa.worst_grade(["good", "warn"]) == "warn"
    assert qa.worst_grade(["warn", "fail", "good"]) == "fail"
    assert qa.worst_grade([None, "good"]) == "good"
    assert qa.worst_grade([]) is None


@pytest.mark.parametrize(
    ("values", "summary"),
    [
        ((0.00035, 1200.4, 12.34), 'RMS 0.35 mJy, DR 1200, Beam 12.3"'),
        ((0.0, 0.0, 0.0), 'RMS 0.00 mJy, DR 0, Beam 0.0"'),
        ((None, 12.0, None), "DR 12"),
        ((None, None, None), "No QA metrics available"),
    ],
)
def test_image_summary_keeps_zero_and_drops_only_the_unknown(values: tuple[float | None, ...], summary: str) -> None:
    assert qa.image_summary(*values) == summary


@pytest.mark.parametrize(
    ("cal_applied", "stage", "summary"),
    [
        (1, "imaged", "Calibrated, Stage: imaged"),
        (0, "imaged", "Stage: imaged"),
        (1, None, "Calibrated"),
        (None, "", "No QA info"),
    ],
)
def test_ms_summary(cal_applied: int | None, stage: str | None, summary: str) -> None:
    assert qa.ms_summary(cal_applied, stage) == summary


def test_warnings_count_a_dynamic_range_of_zero() -> None:
    assert qa.image_warnings(0.02, 0.0) == ["High noise level detected", "Low dynamic range"]
    assert qa.image_warnings(0.01, 100.0) == []
    assert qa.image_warnings(None, None) == []


@pytest.mark.parametrize(
    ("recorded", "ms_status", "stage", "processed_at", "state"),
    [
        ("done", "failed", "imaged", 1.0, "completed"),
        ("finished", None, None, None, "completed"),
        ("queued", None, "imaged", 1.0, "pending"),
        ("started", None, None, None, "running"),
        ("error", None, "imaged", 1.0, "failed"),
        ("canceled", None, None, None, "cancelled"),
        ("mystery", None, "imaged", 1.0, "completed"),
        (None, "failed", "imaged", 1.0, "failed"),
        (None, "calibration error", "calibrated", 1.0, "failed"),
        (None, "done", "converted", 1.0, "completed"),
        (None, "ok", "calibrated", 1.0, "running"),
        (None, None, None, 0.0, "running"),
        (None, "pending", "ingested", None, "pending"),
        (None, None, None, None, "pending"),
    ],
)
def test_job_state_is_not_always_completed(
    recorded: str | None, ms_status: str | None, stage: str | None, processed_at: float | None, state: str
) -> None:
    assert job_status(recorded, ms_status, stage, processed_at) == state


@pytest.mark.parametrize(
    ("unix_s", "iso"),
    [
        (1761918546.0, "2025-10-31T13:49:06Z"),
        (1761922146.5, "2025-10-31T14:49:06.500000Z"),
        (0.0, "1970-01-01T00:00:00Z"),
        (-1.0, "1969-12-31T23:59:59Z"),
        (None, None),
        (1e18, None),
        (math.nan, None),
        (math.inf, None),
    ],
)
def test_times_are_utc_with_z_and_zero_is_a_time(unix_s: float | None, iso: str | None) -> None:
    assert iso_from_unix(unix_s) == iso


@given(st.floats(min_value=0, max_value=4e9))
def test_mjd_and_back(unix_s: float) -> None:
    assert unix_from_mjd(mjd_from_unix(unix_s)) == pytest.approx(unix_s, abs=1e-4)


@given(st.datetimes())
def test_iso_and_back(moment: object) -> None:
    text = f"{moment.isoformat()}Z"  # type: ignore[attr-defined]
    assert unix_from_iso(text) == pytest.approx(unix_from_iso(iso_from_unix(unix_from_iso(text)) or ""), abs=1e-5)


@pytest.mark.parametrize(
    ("text", "mjd"),
    [
        ("1858-11-17", 0.0),
        ("2000-01-01T12:00:00", 51544.5),
        ("2000-01-01T12:00:00Z", 51544.5),
        ("2000-01-01T13:00:00+01:00", 51544.5),
        ("2000-01-01T12:00:00.5", 51544.5 + 0.5 / 86400),
    ],
)
def test_dates_without_an_offset_are_utc(text: str, mjd: float) -> None:
    assert mjd_from_iso(text) == pytest.approx(mjd, abs=1e-9)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2025-13-01", "2025-02-30", "2025-10-31T25:00:00", "20251031", "٢٠٢٥-10-31"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unix_from_iso(text)
