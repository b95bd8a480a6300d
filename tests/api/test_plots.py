"""Plots over HTTP."""

from __future__ import annotations

import io
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from app.services.plots import service
from tests.support.pipeline import BASE_MJD, BASE_UNIX_S, Pipeline, ms_path

SOURCE = "J120000+371200"
CURVE = f"/api/v1/sources/{SOURCE.replace('+', '%2B')}/lightcurve"


@pytest.fixture
def measured(pipeline: Pipeline) -> Pipeline:
    """Three measurements of one source in images of the grades good, warn and fail."""
    measure(pipeline)
    return pipeline


def measure(pipeline: Pipeline) -> None:
    for n, stage in enumerate(("imaged", "calibrated", "ingested")):
        pipeline.make_ms(stage=stage)
        pipeline.make_image()
        pipeline.make_photometry(mjd=BASE_MJD + n)


def get(client: FlaskClient, url: str, **headers: str) -> Any:
    """An answer, read to its end."""
    with client.get(url, headers=headers) as response:
        _ = response.data
        return response


def says(client: FlaskClient, url: str) -> str:
    """An SVG as text: every text in it stands in a comment beside its shapes."""
    response = get(client, url)
    assert response.status_code == 200, response.text
    return str(response.text)


def problem(client: FlaskClient, url: str) -> tuple[int, str]:
    response = client.get(url)
    return response.status_code, response.get_json()["error"]


def test_light_curve_is_a_png_or_an_svg(client: FlaskClient, measured: Pipeline) -> None:
    png = get(client, f"{CURVE}.png?width=300&height=200")
    assert (png.content_type, Image.open(io.BytesIO(png.data)).size) == ("image/png", (300, 200))
    assert png.headers["Content-Disposition"] == f'inline; filename="{SOURCE}-lightcurve.png"'
    svg = get(client, f"{CURVE}.svg?theme=dark")
    assert svg.content_type == "image/svg+xml; charset=utf-8"
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
    assert svg.headers["Content-Security-Policy"] == policy, "it may style itself, and nothing else"
    for wanted in (SOURCE, "N = 3", "image good", "image warn", "image fail", "Flux density [mJy]", "#12161c"):
        assert wanted in svg.text, wanted
    assert problem(client, f"{CURVE}.gif")[0] == 404


def test_light_curve_is_drawn_from_every_generation_of_the_schema(
    any_pipeline: Pipeline, any_client: FlaskClient
) -> None:
    measure(any_pipeline)
    shown = says(any_client, f"{CURVE}.svg?flux_type=both")
    assert "integrated: N = 3" in shown or "<!-- N = 3" in shown
    assert "image good" in shown


def test_type_of_flux_is_as_asked(client: FlaskClient, measured: Pipeline) -> None:
    labels = {
        "integrated": "Flux density [mJy]",
        "peak": "Peak [mJy/beam]",
        "BOTH": "Flux density [mJy], peak [mJy/beam]",
    }
    for flux_type, label in labels.items():
        assert f"<!-- {label} -->" in says(client, f"{CURVE}.svg?flux_type={flux_type}")


def test_dates_bound_a_light_curve(client: FlaskClient, measured: Pipeline) -> None:
    assert "N = 2" in says(client, f"{CURVE}.svg?start_date=2025-11-01")
    assert "N = 1" in says(client, f"{CURVE}.svg?start_date=2025-11-01&end_date=2025-11-02")
    assert "No measurement between these dates" in says(client, f"{CURVE}.svg?end_date=2020-01-01")
    assert problem(client, f"{CURVE}.svg?start_date=yesterday") == (400, "VALIDATION_ERROR")


def test_unknown_source_is_not_found_whatever_the_dates(client: FlaskClient, measured: Pipeline) -> None:
    for query in ("", "?start_date=2020-01-01", "?flux_type=peak"):
        assert problem(client, f"/api/v1/sources/nobody/lightcurve.png{query}") == (404, "RECORD_NOT_FOUND")


def test_source_without_a_usable_flux_gets_a_plot_that_says_so(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_photometry(flux_jy=math.inf, peak_jyb=-math.inf)
    assert "None of 1 measurements has a usable flux and time" in says(client, f"{CURVE}.svg")
    assert get(client, f"{CURVE}.png?width=200").status_code == 200


def test_plot_is_drawn_once_and_revalidated_for_nothing(
    client: FlaskClient, measured: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = get(client, f"{CURVE}.png?width=200")
    kept = [path.name for path in (tmp_path / "state" / "api" / "pictures").rglob("*") if path.is_file()]
    assert [first.headers["ETag"].strip('"').endswith(name) for name in kept] == [True], "beside the pictures"
    assert first.headers["Cache-Control"] == "private, no-cache"
    monkeypatch.setattr(service, "draw_light_curve", None)
    assert get(client, f"{CURVE}.png?width=200").data == first.data
    again = get(client, f"{CURVE}.png?width=200", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    part = get(client, f"{CURVE}.png?width=200", Range="bytes=1-3")
    assert (part.status_code, part.data) == (206, b"PNG")
    head = client.head(f"{CURVE}.png?width=200")
    assert (head.status_code, head.headers["Content-Length"], head.data) == (200, str(len(first.data)), b"")


def test_what_changes_the_data_changes_the_plot_at_once(client: FlaskClient, measured: Pipeline) -> None:
    tags = [get(client, f"{CURVE}.png?width=200").headers["ETag"]]

    def changed() -> bool:
        tags.append(get(client, f"{CURVE}.png?width=200").headers["ETag"])
        return tags[-1] not in tags[:-1]

    measured.make_photometry(mjd=BASE_MJD + 5)
    assert changed(), "a new point"
    measured.connection.execute("UPDATE ms_index SET stage = 'imaged' WHERE path = ?", (ms_path(2),))
    measured.connection.commit()
    assert changed(), "a better grade"
    measured.make_photometry(source_id="another")
    assert not changed(), "somebody else's point"


def test_what_cannot_be_drawn_is_refused(client: FlaskClient, measured: Pipeline) -> None:
    sizes = ("width=199", "width=3001", "height=199", "height=3001", "width=1e3", "width=", "height=x", "width=-900")
    for plot in (f"{CURVE}.png", "/api/v1/stats/timeline.svg"):
        for size in sizes:
            assert problem(client, f"{plot}?{size}") == (422, "VALIDATION_FAILED"), (plot, size)
    for query in ("days=0", "days=366", "end_date=0001-01-01", "end_date=9999-12-31"):
        assert problem(client, f"/api/v1/stats/timeline.png?{query}") == (422, "VALIDATION_FAILED"), query
    for query in ("flux_type=total", "theme=blue"):
        response = client.get(f"{CURVE}.png?{query}")
        assert response.status_code == 400
        assert "expected one of" in response.get_json()["detail"]


def test_timeline_counts_what_came_up_to_today_or_another_day(client: FlaskClient, measured: Pipeline) -> None:
    measured.make_job(status="done", finished_at=BASE_UNIX_S)
    measured.make_job(status="failed", finished_at=BASE_UNIX_S)
    shown = says(client, "/api/v1/stats/timeline.svg?days=7&end_date=2025-11-02")
    for wanted in (
        "2025-10-27 to 2025-11-02 (UTC)", "Images: 3", "Photometry: 3", "Jobs: 2", "completed 1", "failed 1",
    ):  # fmt: skip
        assert f"{wanted} -->" in shown, wanted
    days = client.get("/api/v1/stats/timeline?days=3").get_json()["days"]
    assert f"{days[0]['date']} to {days[-1]['date']} (UTC)" in says(client, "/api/v1/stats/timeline.svg?days=3")
    assert "Images: 0 -->" in says(client, "/api/v1/stats/timeline.svg?days=7&end_date=2025-10-30T23:59:59Z")


def test_candidates_are_those_of_the_list_and_named(client: FlaskClient, pipeline: Pipeline) -> None:
    assert "No source has both metrics" in says(client, "/api/v1/sources/candidates.svg")
    for n in range(40):
        for epoch in range(4):
            swing = 0.02 * (epoch % 2) if n == 7 else 1e-4 * ((n * 7 + epoch * 5) % 11)
            pipeline.make_photometry(source_id=f"S{n:02d}", mjd=BASE_MJD + epoch, flux_jy=0.01 + swing)
    listed = client.get("/api/v1/sources/candidates?n_sigma=4").get_json()
    assert [each["id"] for each in listed["candidates"]] == ["S07"]
    shown = says(client, "/api/v1/sources/candidates.svg?n_sigma=4")
    for wanted in ("40 sources", "1 candidate beyond 4σ in both", "<!-- S07 -->", f"{listed['eta']['threshold']:.3g}"):
        assert wanted in shown, wanted
    before = get(client, "/api/v1/sources/candidates.png?width=200").headers["ETag"]
    pipeline.make_photometry(source_id="S07", mjd=BASE_MJD + 9)
    assert get(client, "/api/v1/sources/candidates.png?width=200").headers["ETag"] != before
    for query in ("n_sigma=11", "min_n=1", "width=100"):
        assert problem(client, f"/api/v1/sources/candidates.png?{query}")[0] == 422, query
    assert says(client, "/api/v1/sources/candidates.svg?foo=1"), "unknown ones are passed over"


def test_more_plots_at_once_than_may_be_are_put_off(
    environ: dict[str, str], make_app: Callable[[Pipeline], Flask], measured: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ["DSA110_RENDERINGS"] = "1"
    app = make_app(measured)
    begun, finish = threading.Semaphore(0), threading.Event()

    def slow(*args: Any) -> None:
        begun.release()
        assert finish.wait(30)
        args[-1].write(b"drawn")

    monkeypatch.setattr(service, "draw_light_curve", slow)
    statuses: list[int] = []
    threads = [
        threading.Thread(
            target=lambda n=n: statuses.append(get(app.test_client(), f"{CURVE}.png?width={n}").status_code)
        )
        for n in (201, 202)
    ]
    for thread in threads:
        thread.start()
    assert begun.acquire(timeout=30)
    turnstile = app.extensions["contimg.services"].pictures._turnstile
    limit = time.monotonic() + 30.0
    while turnstile._queue._value and time.monotonic() < limit:
        time.sleep(0.001)
    response = app.test_client().get(f"{CURVE}.png?width=203")
    finish.set()
    assert (response.status_code, response.get_json()["error"]) == (503, "SERVICE_OVERLOADED")
    assert int(response.headers["Retry-After"]) > 0
    for thread in threads:
        thread.join()
    assert statuses == [200, 200]
