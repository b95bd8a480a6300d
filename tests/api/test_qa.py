"""Quality reports over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.pipeline import GENERATIONS, Pipeline

MS = "/stage/ms/2025-10-31T13:49:06.ms"
RUN = "job-2025-10-31-134906"
IMAGE = "/stage/img/a.fits"
WITH_QA_TABLES = ("production", "head", "mixed")


@pytest.fixture(params=GENERATIONS)
def flagged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline of any generation that also writes qa_flags."""
    with Pipeline(tmp_path / "state", request.param, qa_flags=True) as made:
        yield made


def get(make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, *paths: str) -> list[Any]:
    client = make_app(pipeline).test_client()
    answers = [client.get(f"/api{path}") for path in paths]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.get_json() for answer in answers]


def ms_url(path: str = MS) -> str:
    return f"/qa/ms/{quote(path, safe='')}"


# -- images


def test_newest_qa_row_is_merged_into_every_view_of_an_image(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    any_pipeline.make_ms(MS)
    any_pipeline.make_image(
        id=7, path=IMAGE, ms_path=MS, noise_jy=None, dynamic_range=None, beam_major_arcsec=12.34,
        beam_minor_arcsec=None, beam_pa_deg=None,
    )  # fmt: skip
    any_pipeline.make_image_qa(image_path=IMAGE, ms_path=MS, rms_noise=0.9, timestamp=1.0)
    any_pipeline.make_image_qa(
        image_path=IMAGE, ms_path=MS, rms_noise=0.0, dynamic_range=0.0, beam_major=0.0, beam_minor=9.0, beam_pa=0.0,
        num_sources=0, peak_flux=0.0, overall_quality="poor", timestamp=2.0,
    )  # fmt: skip
    report = any_client.get("/api/qa/image/7").get_json()
    quality = any_client.get("/api/images/7/qa").get_json()
    detail = any_client.get("/api/images/7").get_json()
    if any_pipeline.generation not in WITH_QA_TABLES:
        assert report == {
            "image_id": "7", "qa_grade": "good", "qa_summary": 'Beam 12.3"', "flags": [], "timestamp": None,
            "quality_metrics": {
                "rms_noise": None, "dynamic_range": None, "beam_major_arcsec": 12.34, "beam_minor_arcsec": None,
                "beam_pa_deg": None,
            },
        }  # fmt: skip
        return
    summary = 'RMS 0.00 mJy, DR 0, Beam 0.0"'
    verdict = [{"rule": "overall_quality", "value": "poor", "source": "image_qa"}]
    assert report == {
        "image_id": "7",
        "qa_grade": "good",
        "qa_summary": summary,
        "quality_metrics": {
            "rms_noise": 0.0, "dynamic_range": 0.0, "beam_major": 0.0, "beam_minor": 9.0, "beam_pa": 0.0,
            "beam_major_arcsec": 0.0, "beam_minor_arcsec": 9.0, "beam_pa_deg": 0.0,
        },
        "flags": verdict,
        "timestamp": 2.0,
    }  # fmt: skip
    assert quality == {
        "image_id": "7",
        "qa_grade": "good",
        "qa_summary": summary,
        "quality_metrics": {"noise_rms_jy": 0.0, "dynamic_range": 0.0, "theoretical_noise_jy": None},
        "beam": {"major_arcsec": 0.0, "minor_arcsec": 9.0, "pa_deg": 0.0},
        "source_stats": {"n_sources": 0, "peak_flux_jy": 0.0},
        "flags": verdict,
        "warnings": ["Low dynamic range"],
    }
    assert (detail["noise_jy"], detail["qa_summary"]) == (0.0, summary)


def test_qa_row_of_the_measurement_set_serves_an_image_without_its_own(
    make_app: Callable[[Pipeline], Flask], tmp_path: Path
) -> None:
    with Pipeline(tmp_path / "state", "production") as pipeline:
        image = pipeline.make_image(path=IMAGE, ms_path=MS, noise_jy=None)
        pipeline.make_image_qa(image_path="/other.fits", ms_path=MS, rms_noise=0.02, timestamp=5.0)
        quality, report = get(make_app, pipeline, f"/images/{image}/qa", f"/qa/image/{image}")
    assert quality["quality_metrics"]["noise_rms_jy"] == 0.02
    assert quality["warnings"] == ["High noise level detected"]
    assert quality["qa_grade"] is None
    assert report["timestamp"] == 5.0


def test_own_values_of_an_image_stand_before_those_of_its_qa_row_except_the_beam(
    make_app: Callable[[Pipeline], Flask], tmp_path: Path
) -> None:
    with Pipeline(tmp_path / "state", "mixed") as pipeline:
        image = pipeline.make_image(path=IMAGE, noise_jy=0.0, dynamic_range=5000.0, beam_major_arcsec=12.0)
        pipeline.make_image_qa(image_path=IMAGE, rms_noise=0.5, dynamic_range=1.0, beam_major=13.0)
        (quality,) = get(make_app, pipeline, f"/images/{image}/qa")
    assert quality["quality_metrics"] == {
        "noise_rms_jy": 0.0, "dynamic_range": 5000.0, "theoretical_noise_jy": None
    }  # fmt: skip
    assert quality["beam"]["major_arcsec"] == 13.0


def test_flags_of_an_image_are_whole_rows_newest_first(
    make_app: Callable[[Pipeline], Flask], flagged: Pipeline
) -> None:
    image = flagged.make_image(path=IMAGE, ms_path=MS)
    flagged.make_qa_flag(image_path=IMAGE, ms_path=MS, timestamp=1.0, rule="old")
    flagged.make_qa_flag(image_path=IMAGE, timestamp=2.0, rule="new", severity=None)
    flagged.make_qa_flag(image_path="/other.fits", ms_path=MS, rule="of another image")
    flagged.make_qa_flag(image_path=None, ms_path=MS, rule="of the measurement set")
    report, quality = get(make_app, flagged, f"/qa/image/{image}", f"/images/{image}/qa")
    reason = "noise above twice the theoretical value"
    assert report["flags"] == quality["flags"] == [
        {"source": "qa_flags", "details": {"ms_path": None, "rule": "new", "severity": None, "reason": reason}},
        {"source": "qa_flags", "details": {"ms_path": MS, "rule": "old", "severity": "warning", "reason": reason}},
    ]  # fmt: skip


def test_flags_of_the_measurement_set_stand_in_for_an_image_without_its_own(
    make_app: Callable[[Pipeline], Flask], flagged: Pipeline
) -> None:
    image = flagged.make_image(path=IMAGE, ms_path=MS)
    flagged.make_qa_flag(image_path=None, ms_path=MS, rule="of the measurement set")
    flagged.make_qa_flag(image_path="/other.fits", ms_path=MS, rule="of another image")
    (report,) = get(make_app, flagged, f"/qa/image/{image}")
    assert [flag["details"]["rule"] for flag in report["flags"]] == ["of the measurement set"]


# -- measurement sets


def test_report_on_a_measurement_set_opens_the_json_of_its_newest_calibration_qa(
    any_client: FlaskClient, any_pipeline: Pipeline
) -> None:
    any_pipeline.make_ms(MS, stage="calibrated", status="converted", cal_applied=1)
    any_pipeline.make_calibration_qa(ms_path=MS, timestamp=1.0, overall_quality="poor")
    any_pipeline.make_calibration_qa(
        ms_path=MS, timestamp=2.0, k_metrics=json.dumps({"avg_snr": 0.0}), bp_metrics="{not JSON", g_metrics=None,
        flags_total=0.0, overall_quality="excellent",
    )  # fmt: skip
    report = any_client.get(f"/api{ms_url()}").get_json()
    known = any_pipeline.generation in WITH_QA_TABLES
    assert report == {
        "ms_path": MS,
        "qa_grade": "warn",
        "qa_summary": "Calibrated, Stage: calibrated",
        "stage": "calibrated",
        "status": "converted",
        "cal_applied": True,
        "quality_metrics": {
            **({"overall_quality": "excellent", "k_metrics": {"avg_snr": 0.0}, "bp_metrics": "{not JSON",
                "flags_total": 0.0} if known else {}),
            "stage": "calibrated",
            "status": "converted",
        },
        "flags": [
            {"rule": "overall_quality", "value": "excellent", "source": "calibration_qa"},
            {"rule": "flags_total", "value": 0.0, "source": "calibration_qa"},
        ] if known else [],
        "timestamp": 2.0 if known else None,
    }  # fmt: skip


def test_report_on_a_measurement_set_that_nothing_is_known_of(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_ms("/50%.ms", stage=None, status=None, cal_applied=None)
    report = client.get(f"/api{ms_url('/50%.ms')}").get_json()
    assert (report["ms_path"], report["qa_grade"], report["qa_summary"]) == ("/50%.ms", "fail", "No QA info")
    assert report["cal_applied"] is False
    assert report["quality_metrics"] == {"stage": None, "status": None}


def test_flags_of_a_measurement_set_name_the_image_they_came_with(
    make_app: Callable[[Pipeline], Flask], flagged: Pipeline
) -> None:
    flagged.make_ms(MS)
    flagged.make_qa_flag(image_path=IMAGE, ms_path=MS, rule="r", severity="s", reason="why")
    flagged.make_qa_flag(image_path=IMAGE, ms_path="/other.ms")
    (report,) = get(make_app, flagged, ms_url())
    assert report["flags"] == [
        {"source": "qa_flags", "details": {"image_path": IMAGE, "rule": "r", "severity": "s", "reason": "why"}}
    ]


# -- jobs


def test_report_on_a_job_lists_flags_of_its_measurement_set_then_of_its_newest_image(
    make_app: Callable[[Pipeline], Flask], flagged: Pipeline
) -> None:
    flagged.make_ms(MS)
    flagged.make_image(path="/old.fits", ms_path=MS, created_at=1.0)
    flagged.make_image(path=IMAGE, ms_path=MS, created_at=2.0)
    flagged.make_caltable(path="/cal/1", source_ms_path=MS)
    flagged.make_calibration_qa(ms_path=MS, overall_quality="good", flags_total=None)
    flagged.make_image_qa(image_path=IMAGE, ms_path=MS, overall_quality="poor")
    flagged.make_qa_flag(image_path=None, ms_path=MS, rule="ms")
    flagged.make_qa_flag(image_path=IMAGE, ms_path=None, rule="image")
    flagged.make_qa_flag(image_path="/old.fits", ms_path=None, rule="older image")
    flagged.make_job(ms_path=MS, status="done", params=json.dumps({"config": {"niter": 5}}))
    (report,) = get(make_app, flagged, f"/qa/job/{RUN}")
    told = [(flag["source"], flag.get("value") or flag["details"]["rule"]) for flag in report.pop("flags")]
    qa_tables = flagged.generation in WITH_QA_TABLES
    assert told == [
        *([("calibration_qa", "good")] if qa_tables else []),
        ("qa_flags", "ms"),
        *([("image_qa", "poor")] if qa_tables else []),
        ("qa_flags", "image"),
    ]
    assert report == {
        "run_id": RUN, "qa_grade": "good", "qa_summary": "Stage: imaged", "ms_path": MS, "cal_table": "/cal/1",
        "queue_status": "done", "pipeline_config": {"niter": 5},
    }  # fmt: skip


def test_report_on_a_job_tells_a_flag_of_the_measurement_set_once(
    make_app: Callable[[Pipeline], Flask], flagged: Pipeline
) -> None:
    flagged.make_ms(MS)
    flagged.make_image(path=IMAGE, ms_path=MS)
    flagged.make_qa_flag(image_path=None, ms_path=MS, rule="ms")
    (report,) = get(make_app, flagged, f"/qa/job/{RUN}")
    assert [flag["details"]["rule"] for flag in report["flags"]] == ["ms"]


@pytest.mark.parametrize(
    ("path", "entity"),
    [
        ("/qa/image/99", "Image"),
        ("/qa/image/99999999999999999999", "Image"),
        ("/images/99/qa", "Image"),
        ("/images/-1/qa", "Image"),
        (ms_url("/none.ms"), "MeasurementSet"),
        ("/qa/job/job-none", "Job"),
        ("/qa/job/job-%25", "Job"),
    ],
)
def test_report_on_what_is_unknown_is_not_found(
    path: str, entity: str, client: FlaskClient, pipeline: Pipeline
) -> None:
    pipeline.make_ms(MS)
    answer = client.get(f"/api{path}")
    assert answer.status_code == 404
    assert answer.get_json()["details"]["entity_type"] == entity
