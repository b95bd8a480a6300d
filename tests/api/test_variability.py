"""Variability over HTTP: metrics of one source, candidates among all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from app.db.upgrade import PipelineUpgrade
from tests.support.pipeline import Pipeline

URL = "/api/v1/sources"
SOURCE = "J120000+371200"
GOLDEN = ((10.0, 0.5), (12.0, 0.6), (9.0, 0.5), (14.0, 0.7))
STEADY = 60
PLANTED = {"wild": 0.6, "lively": 0.4}


def make_survey(pipeline: Pipeline, **columns: Any) -> None:
    """Steady sources of every brightness, their scatter that of their errors, and two that vary."""
    random = np.random.default_rng(110)
    for number in range(STEADY):
        flux = 0.01 * 1.1**number
        for epoch in range(12):
            measured = {"flux_jy": float(random.normal(flux, 0.02 * flux)), "flux_err_jy": 0.02 * flux}
            pipeline.make_photometry(source_id=f"steady{number:02d}", mjd=60000.0 + epoch, **(measured | columns))
    for name, amplitude in PLANTED.items():
        for epoch in range(12):
            flux = 0.5 * (1 + amplitude * math.sin(epoch))
            measured = {"flux_jy": flux, "flux_err_jy": 0.01}
            pipeline.make_photometry(source_id=name, mjd=60000.0 + epoch, **(measured | columns))


def get(client: FlaskClient, path: str) -> Any:
    answer = client.get(f"{URL}{path}")
    assert answer.status_code == 200, answer.text
    return answer.json


def test_metrics_of_the_golden_light_curve(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    for epoch, (flux, error) in enumerate(GOLDEN):
        any_pipeline.make_photometry(
            source_id=SOURCE, mjd=60000.0 + epoch, flux_jy=flux, flux_err_jy=error, peak_jyb=1.0, peak_err_jyb=0.1
        )
    answer = get(any_client, f"/{SOURCE}/variability")
    PipelineUpgrade(any_pipeline.products_path, "products").upgrade()
    after = get(any_client, f"/{SOURCE}/variability")
    assert after["metrics"]["integrated"] == pytest.approx(answer["metrics"]["integrated"], rel=1e-12)
    assert answer["flux_type"] == "integrated"
    integrated, peak = answer["metrics"]["integrated"], answer["metrics"]["peak"]
    assert integrated["weighted_mean_flux_jy"] == pytest.approx(10.7581814966, abs=1e-9)
    assert integrated["v"] == pytest.approx(0.1970982918, abs=1e-9)
    assert integrated["eta"] == pytest.approx(13.4651807300, abs=1e-9)
    assert integrated["m"] == pytest.approx(2 * 5 / 23)  # 9 and 14 Jy
    assert integrated["vs"] == pytest.approx(5 / math.hypot(0.5, 0.7))
    assert (integrated["n_points"], integrated["n_fluxes"]) == (4, 4)
    assert (integrated["min_flux_jy"], integrated["max_flux_jy"], integrated["mean_flux_jy"]) == (9.0, 14.0, 11.25)
    assert (integrated["first_mjd"], integrated["last_mjd"]) == (60000.0, 60003.0)
    assert (peak["v"], peak["eta"], peak["m"], peak["vs"]) == (0.0, 0.0, 0.0, 0.0)
    assert answer["chi_squared"] == 43.5  # about the unweighted mean, as ever


def test_single_measurement_has_neither_v_nor_eta(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_photometry(source_id=SOURCE, flux_jy=1.0, flux_err_jy=0.1)
    metrics = get(client, f"/{SOURCE}/variability")["metrics"]["integrated"]
    assert [metrics[name] for name in ("v", "eta", "m", "vs")] == [None] * 4
    assert metrics["weighted_mean_flux_jy"] == 1.0


def test_type_without_fluxes_is_left_out(client: FlaskClient, pipeline: Pipeline) -> None:
    for flux in (None, math.inf):
        pipeline.make_photometry(source_id=SOURCE, flux_jy=flux)
    answer = get(client, f"/{SOURCE}/variability")
    assert (answer["flux_type"], list(answer["metrics"])) == ("peak", ["peak"])


@pytest.mark.parametrize("upgraded", [False, True], ids=["untouched", "upgraded"])
def test_planted_variables_are_found_and_steady_sources_are_not(
    client: FlaskClient, pipeline: Pipeline, upgraded: bool
) -> None:
    make_survey(pipeline)
    if upgraded:
        PipelineUpgrade(pipeline.products_path, "products").upgrade()
    answer = get(client, "/candidates?n_sigma=3")
    assert [found["id"] for found in answer["candidates"]] == list(PLANTED)
    assert (answer["n_sources"], answer["truncated"]) == (STEADY + len(PLANTED), False)
    for found in answer["candidates"]:
        assert found["eta"] > answer["eta"]["threshold"]
        assert found["v"] > answer["v"]["threshold"]
        assert found["flux_type"] == "integrated"
    for metric in ("eta", "v"):
        fit = answer[metric]
        assert fit["threshold"] == pytest.approx(10 ** (fit["mean_log10"] + 3 * fit["std_log10"]))


def test_thresholds_fall_with_n_sigma_and_the_list_is_cut_visibly(client: FlaskClient, pipeline: Pipeline) -> None:
    make_survey(pipeline)
    wide, narrow = get(client, "/candidates?n_sigma=0"), get(client, "/candidates?n_sigma=0&limit=1")
    assert len(wide["candidates"]) > 10
    assert wide["eta"]["threshold"] == pytest.approx(10 ** wide["eta"]["mean_log10"])
    assert ([found["id"] for found in narrow["candidates"]], narrow["truncated"]) == (["wild"], True)


def test_flux_type_decides_what_is_compared(client: FlaskClient, pipeline: Pipeline) -> None:
    make_survey(pipeline, peak_jyb=1.0, peak_err_jyb=0.1)
    assert get(client, "/candidates?flux_type=integrated")["n_sources"] == STEADY + len(PLANTED)
    answer = get(client, "/candidates?flux_type=peak")  # none varies at all, so none has a logarithm
    assert (answer["n_sources"], answer["flux_type"], answer["candidates"]) == (0, "peak", [])


def test_too_few_sources_are_said_to_be_too_few(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_photometry(source_id=SOURCE)
    answer = get(client, "/candidates")
    assert (answer["eta"], answer["v"], answer["candidates"], answer["truncated"]) == (None, None, [], False)
    assert "Insufficient sources" in answer["message"]


def test_sources_measured_less_often_than_asked_take_no_part(client: FlaskClient, pipeline: Pipeline) -> None:
    make_survey(pipeline)
    assert get(client, "/candidates?min_n=12")["n_sources"] == STEADY + len(PLANTED)
    assert get(client, "/candidates?min_n=13")["n_sources"] == 0


def test_sources_never_detected_well_take_no_part_where_that_is_asked(client: FlaskClient, pipeline: Pipeline) -> None:
    make_survey(pipeline, snr=7.0)
    assert get(client, "/candidates?min_snr=7")["n_sources"] == STEADY + len(PLANTED)
    assert get(client, "/candidates?min_snr=7.1")["n_sources"] == 0


@pytest.mark.parametrize(
    ("query", "status"),
    [("n_sigma=-1", 422), ("n_sigma=11", 422), ("n_sigma=nan", 422), ("n_sigma=x", 422), ("limit=0", 422),
     ("limit=1001", 422), ("min_n=1", 422), ("flux_type=total", 400)],
)  # fmt: skip
def test_meaningless_parameters_are_refused(client: FlaskClient, query: str, status: int) -> None:
    assert client.get(f"{URL}/candidates?{query}").status_code == status
