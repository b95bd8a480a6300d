"""Sources and their photometry over HTTP, in every generation of the pipeline's schema."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.support.pipeline import BASE_MJD, BASE_UNIX_S, Pipeline, image_path, ms_path

SOURCE = "J120000+371200"  # the one that builders measure unless told otherwise
LEAVES = ("", "/contributing-images", "/lightcurve", "/variability", "/qa")
INFINITY = float("inf")


def url(source_id: str, leaf: str = "") -> str:
    return f"/api/v1/sources/{quote(source_id, safe='')}{leaf}"


def get(client: FlaskClient, source_id: str = SOURCE, leaf: str = "") -> Any:
    answer = client.get(url(source_id, leaf))
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def make_curve(pipeline: Pipeline, *points: tuple[float | None, float | None], source_id: str = SOURCE) -> None:
    """Measurements of one source, each a flux with its error and no peak to fall back on."""
    for flux_jy, flux_err_jy in points:
        peak = {"peak_jyb": INFINITY, "peak_err_jyb": None}  # several generations want a peak
        pipeline.make_photometry(source_id=source_id, flux_jy=flux_jy, flux_err_jy=flux_err_jy, **peak)


# -- list


def test_list_says_where_a_source_is_and_which_image_shows_it(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    older, newer = any_pipeline.make_image(), any_pipeline.make_image()
    assert older < newer
    for number in (1, 2):
        any_pipeline.make_photometry(source_id="b", image_path=image_path(number))
    any_pipeline.make_photometry(source_id="a", image_path="/stage/img/gone.fits")
    listed = any_client.get("/api/sources").get_json()
    known = ("id", "name", "ra_deg", "dec_deg", "num_images", "image_id")
    assert [tuple(source[name] for name in known) for source in listed] == [
        ("a", "a", 180.0, 37.2, 0, None),
        ("b", "b", 180.0, 37.2, 2, str(newer)),
    ]


def test_plus_in_a_name_need_not_be_encoded(client: FlaskClient, pipeline: Pipeline) -> None:
    """Decoding of a query makes a space of it; a name that has one is found as well."""
    pipeline.make_photometry(source_id=SOURCE)
    pipeline.make_photometry(source_id="SRC 1 2")
    for name, query in ((SOURCE, SOURCE), (SOURCE, quote(SOURCE)), ("SRC 1 2", "SRC%201%202")):
        for address, column in (("sources?id", "id"), ("photometry?source_id", "source_id")):
            rows = client.get(f"/api/v1/{address}={query}").get_json()
            assert [row[column] for row in rows] == [name]
        near = client.get(f"/api/v1/sources?name={query}&radius_arcsec=1")
        assert near.status_code == 200, near.text
    assert client.get("/api/v1/sources?name=J1+2&radius_arcsec=1").status_code == 404


def test_list_leaves_out_what_is_not_known_of_variability(client: FlaskClient, pipeline: Pipeline) -> None:
    """The dashboard takes null for a number, and plots it."""
    pipeline.make_photometry(source_id="once", flux_jy=0.5, peak_jyb=0.25)
    pipeline.make_photometry(source_id="unknown", flux_jy=None, peak_jyb=INFINITY)
    for flux_jy in (10.0, 12.0, 9.0, 14.0):
        error = {10.0: 0.5, 12.0: 0.6, 9.0: 0.5, 14.0: 0.7}[flux_jy]
        pipeline.make_photometry(source_id="varies", flux_jy=flux_jy, flux_err_jy=error, peak_jyb=flux_jy / 2)
    once, unknown, varies = (
        {name: source.get(name) for name in ("eta", "v", "peak_flux_jy") if name in source}
        for source in client.get("/api/sources").get_json()
    )
    assert (once, unknown) == ({"peak_flux_jy": 0.25}, {})
    assert varies == pytest.approx({"eta": 13.4651807300, "v": 0.1970982918, "peak_flux_jy": 7.0})


def test_images_are_counted_and_not_the_measurements_in_them(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    any_pipeline.make_image()
    for path in (image_path(1), image_path(1), image_path(1), "/stage/img/gone.fits"):
        any_pipeline.make_photometry(image_path=path)
    (source,) = any_client.get("/api/sources").get_json()
    assert source["num_images"] == 1


def test_measurements_without_a_source_do_not_break_the_list(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    any_pipeline.make_photometry(source_id="a")
    if any_pipeline.generation != "alembic":  # the one generation where a source is always named
        any_pipeline.make_photometry(source_id=None)
    answer = any_client.get("/api/sources?count=exact")
    assert [source["id"] for source in answer.get_json()] == ["a"]
    assert answer.headers["X-Total-Count"] == "1"


def test_position_is_that_of_the_newest_observation_whatever_came_last(
    any_client: FlaskClient, any_pipeline: Pipeline
) -> None:
    for mjd, ra_deg, dec_deg in ((60000.0, 1.0, 1.0), (60002.0, 0.0, 0.0), (60001.0, 2.0, 2.0)):
        any_pipeline.make_photometry(mjd=mjd, ra_deg=ra_deg, dec_deg=dec_deg)
    listed, single = any_client.get("/api/sources").get_json()[0], get(any_client)
    for source in (listed, single, get(any_client, leaf="/qa")["metrics"]):
        assert (source["ra_deg"], source["dec_deg"]) == (0.0, 0.0)


def test_position_of_observations_at_one_time_is_that_of_the_larger_row_id(
    client: FlaskClient, pipeline: Pipeline
) -> None:
    for ra_deg in (1.0, 2.0, 3.0):
        pipeline.make_photometry(mjd=60000.0, ra_deg=ra_deg)
    assert client.get("/api/sources").get_json()[0]["ra_deg"] == get(client)["ra_deg"] == 3.0


def test_newest_image_is_found_by_time_then_by_id(client: FlaskClient, pipeline: Pipeline) -> None:
    ids = [pipeline.make_image(created_at=created_at) for created_at in (5.0, 9.0, 9.0, 0.0)]
    for number in range(1, 5):
        pipeline.make_photometry(image_path=image_path(number))
    assert client.get("/api/sources").get_json()[0]["image_id"] == str(ids[2])
    assert get(client)["latest_image_id"] == str(ids[2])


def test_list_is_ordered_by_id_and_walked_by_link(client: FlaskClient, pipeline: Pipeline) -> None:
    names = ["é", "a b", "a", "Z", "a%2Fb", "10", "9", "a+b"]
    for name in names:
        pipeline.make_photometry(source_id=name)
    walked, target = [], "/api/sources?limit=3"
    while target:
        answer = client.get(target)
        walked += [source["id"] for source in answer.get_json()]
        target = answer.headers["Link"].partition('rel="first", <')[2].partition(">")[0]
    assert walked == sorted(names)


def test_empty_survey_has_no_sources(client: FlaskClient) -> None:
    assert client.get("/api/v1/sources").get_json() == []


# -- detail and its images


def test_images_of_a_source_carry_their_own_grade_and_flux(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    stages = {1: "imaged", 2: "calibrated", 3: None}
    ids = [any_pipeline.make_image() for _ in range(4)]
    for number, stage in stages.items():
        any_pipeline.make_ms(ms_path(number), stage=stage)
    for number in range(1, 5):
        any_pipeline.make_photometry(image_path=image_path(number), flux_jy=number / 8, flux_err_jy=number / 64)
    source = get(any_client)
    assert {name: source[name] for name in ("id", "name", "latest_image_id")} == {
        "id": SOURCE, "name": SOURCE, "latest_image_id": str(ids[3]),
    }  # fmt: skip
    images = source["contributing_images"]
    assert [image["qa_grade"] for image in images] == [None, "fail", "warn", "good"]
    assert images[3] == {
        "image_id": str(ids[0]), "path": image_path(1), "ms_path": ms_path(1), "qa_grade": "good",
        "created_at": "2025-10-31T13:00:01Z", "flux_jy": 0.125, "flux_error_jy": 0.015625,
    }  # fmt: skip
    assert get(any_client, leaf="/contributing-images") == images


def test_unknown_flux_of_an_image_is_left_out_and_zero_is_a_flux(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image()
    pipeline.make_image()
    make_curve(pipeline, (None, None), (0.0, 0.0))
    zero, unknown = get(client)["contributing_images"]
    assert (zero["flux_jy"], zero["flux_error_jy"]) == (0.0, 0.0)
    assert not {"flux_jy", "flux_error_jy"} & unknown.keys()


def test_flux_of_an_image_is_that_of_the_newest_measurement_there(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image()
    for measured_at, flux_jy in ((10.0, 0.1), (30.0, 0.3), (30.0, 0.4), (20.0, 0.2)):
        pipeline.make_photometry(image_path=image_path(1), measured_at=measured_at, flux_jy=flux_jy)
    pipeline.make_photometry(source_id="other", image_path=image_path(1), measured_at=99.0, flux_jy=9.0)
    (image,) = get(client)["contributing_images"]
    assert image["flux_jy"] == 0.4


def test_image_recorded_twice_is_listed_twice_and_counted_once(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    if any_pipeline.generation in {"alembic", "head"}:  # where paths are unique
        return
    ids = [any_pipeline.make_image(path="/stage/img/a.fits") for _ in range(2)]
    any_pipeline.make_photometry(image_path="/stage/img/a.fits")
    assert any_client.get("/api/sources").get_json()[0]["num_images"] == 1
    images = get(any_client)["contributing_images"]
    assert [image["image_id"] for image in images] == [str(number) for number in reversed(ids)]
    assert {image["flux_jy"] for image in images} == {0.011}


def test_image_measured_twice_is_listed_once(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image()
    for _ in range(3):
        pipeline.make_photometry(image_path=image_path(1))
    assert len(get(client)["contributing_images"]) == 1


def test_source_whose_images_are_gone_still_is_a_source(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_photometry(image_path="/stage/img/gone.fits")
    assert get(client) == {
        "id": SOURCE, "name": SOURCE, "ra_deg": 180.0, "dec_deg": 37.2, "contributing_images": [],
        "latest_image_id": None,
    }  # fmt: skip
    assert get(client, leaf="/contributing-images") == []


# -- light curve


def test_light_curve_answers_without_a_column_for_snr(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    any_pipeline.make_photometry()
    snr = 25.0 if "snr" in any_pipeline.columns("photometry") else None
    flags = {"flags": 0} if "flags" in any_pipeline.columns("photometry") else {}
    assert get(any_client, leaf="/lightcurve") == {
        "source_id": SOURCE,
        "data_points": [
            {
                "mjd": BASE_MJD + 1 / 86400, "flux_jy": 0.011, "flux_err_jy": 0.0005, "snr": snr,
                "image_path": image_path(1), **flags,
            }
        ],
    }  # fmt: skip


FLUXES: list[tuple[dict[str, Any], tuple[float | None, float | None]]] = [
    # as stored beside a peak of 0.01 ± 0.0004, as shown
    ({"flux_jy": 0.0, "flux_err_jy": 0.0}, (0.0, 0.0)),
    ({"flux_jy": -0.5, "flux_err_jy": None}, (-0.5, 0.0004)),
    ({"flux_jy": None, "flux_err_jy": None}, (0.01, 0.0004)),
    ({"flux_jy": float("nan"), "flux_err_jy": 0.25}, (0.01, 0.25)),
    ({"flux_jy": INFINITY, "flux_err_jy": -INFINITY}, (0.01, 0.0004)),
    ({"flux_jy": None, "flux_err_jy": None, "peak_jyb": -INFINITY, "peak_err_jyb": INFINITY}, (None, None)),
    ({"flux_jy": "strong", "flux_err_jy": "weak"}, (0.01, 0.0004)),
]


def test_flux_falls_back_to_the_peak_where_missing_and_only_there(
    any_client: FlaskClient, any_pipeline: Pipeline
) -> None:
    for stored, _ in FLUXES:
        any_pipeline.make_photometry(**stored)
    points = get(any_client, leaf="/lightcurve")["data_points"]
    assert [(point["flux_jy"], point["flux_err_jy"]) for point in points] == [shown for _, shown in FLUXES]


def test_flux_is_found_under_the_name_of_the_later_generation(tmp_path: Any, make_app: Any) -> None:
    with Pipeline(tmp_path / "later", "head") as pipeline:
        pipeline.make_photometry(flux_jy=None, peak_jyb=None, peak_flux_jy=0.125)
        (point,) = get(make_app(pipeline).test_client(), leaf="/lightcurve")["data_points"]
    assert point["flux_jy"] == 0.125


def test_light_curve_is_ordered_by_observation_then_row(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    for mjd, path in ((60002.0, "c"), (60000.0, "a"), (60001.0, "b1"), (60001.0, "b2"), (0.0, "zero")):
        any_pipeline.make_photometry(mjd=mjd, image_path=path)
    points = get(any_client, leaf="/lightcurve")["data_points"]
    assert [point["image_path"] for point in points] == ["zero", "a", "b1", "b2", "c"]


def test_time_of_observation_is_taken_from_the_measurement_where_missing(
    client: FlaskClient, pipeline: Pipeline
) -> None:
    pipeline.make_photometry(mjd=None, measured_at=0.0)
    pipeline.make_photometry(mjd=None, measured_at=BASE_UNIX_S)
    points = get(client, leaf="/lightcurve")["data_points"]
    assert [point["mjd"] for point in points] == [40587.0, BASE_MJD]


def test_measurements_without_any_time_come_last_and_lie_between_no_dates(tmp_path: Any, make_app: Any) -> None:
    with Pipeline(tmp_path / "timeless", "head") as pipeline:
        for mjd in (None, 60000.0):
            pipeline.make_photometry(mjd=mjd, measured_at=None)
        client = make_app(pipeline).test_client()
        points = get(client, leaf="/lightcurve")["data_points"]
        bounded = get(client, leaf="/lightcurve?start_date=1858-11-17")["data_points"]
    assert [point["mjd"] for point in points] == [60000.0, None]
    assert [point["mjd"] for point in bounded] == [60000.0]


RANGES: dict[str, list[float]] = {
    # days of observation after 2023-02-25, which is MJD 60000
    "": [0.0, 0.5, 1.0, 1.5],
    "?start_date=2023-02-25&end_date=2023-02-26": [0.0, 0.5, 1.0],
    "?start_date=2023-02-25T12:00:00&end_date=2023-02-26T12:00:00Z": [0.5, 1.0, 1.5],
    "?start_date=2023-02-25T12:00:00.5Z": [1.0, 1.5],
    "?end_date=2023-02-25T11:59:59": [0.0],
    "?start_date=2023-02-26&end_date=2023-02-25": [],
    "?start_date=2023-02-25T14:00:00%2B02:00&end_date=2023-02-25T12:00:00": [0.5],
    "?nonsense=1": [0.0, 0.5, 1.0, 1.5],
}


def test_both_dates_are_included_and_mean_utc(client: FlaskClient, pipeline: Pipeline) -> None:
    for day in (0.0, 0.5, 1.0, 1.5):
        pipeline.make_photometry(mjd=60000.0 + day)
    for query, days in RANGES.items():
        points = get(client, leaf=f"/lightcurve{query}")["data_points"]
        assert [point["mjd"] - 60000.0 for point in points] == days, query


def test_date_includes_the_observation_at_that_very_second_however_its_mjd_was_rounded(
    client: FlaskClient, pipeline: Pipeline
) -> None:
    resolution = 2.0**-37  # of a double near 60000
    for mjd in (60979.57576388889 - resolution, 60979.57576388889, 60979.57576388889 + resolution):
        pipeline.make_photometry(mjd=mjd)
    query = "/lightcurve?start_date=2025-10-31T13:49:06&end_date=2025-10-31T13:49:06"
    assert len(get(client, leaf=query)["data_points"]) == 3


@pytest.mark.parametrize("name", ["start_date", "end_date"])
def test_bad_date_is_a_bad_request_and_not_a_crash(client: FlaskClient, name: str) -> None:
    for date in ("yesterday", "", "2025-02-30", "2025-10-31T24:01:00", "1761915600", "20251031"):
        answer = client.get(url("unknown", "/lightcurve"), query_string={name: date})
        body = answer.get_json()
        assert (answer.status_code, body["error"]) == (400, "VALIDATION_ERROR"), date
        assert body["details"]["field"] == name


def test_light_curve_of_an_unknown_source_is_empty(any_client: FlaskClient) -> None:
    assert get(any_client, "nobody", "/lightcurve") == {"source_id": "nobody", "data_points": []}


# -- variability


def as_ever(answer: dict[str, Any]) -> dict[str, Any]:
    """The members that there were before the metrics."""
    return {name: value for name, value in answer.items() if name not in {"flux_type", "metrics"}}


def test_worked_example_of_variability(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    make_curve(any_pipeline, (1.0, 0.1), (1.2, 0.1), (0.8, 0.1))
    assert as_ever(get(any_client, leaf="/variability")) == {
        "source_id": SOURCE, "source_name": SOURCE, "n_epochs": 3, "variability_index": 0.2, "modulation_index": 0.2,
        "chi_squared": 8.0, "chi_squared_reduced": 4.0, "is_variable": True,
        "flux_stats": {"mean_jy": 1.0, "std_jy": 0.2, "min_jy": 0.8, "max_jy": 1.2},
    }  # fmt: skip


def test_single_epoch_is_too_few(client: FlaskClient, pipeline: Pipeline) -> None:
    make_curve(pipeline, (1.0, 0.1))
    assert as_ever(get(client, leaf="/variability")) == {
        "source_id": SOURCE, "source_name": SOURCE, "n_epochs": 1, "variability_index": None,
        "modulation_index": None, "chi_squared": None, "chi_squared_reduced": None, "is_variable": None,
        "flux_stats": None, "message": "Insufficient epochs for variability analysis (need at least 2)",
    }  # fmt: skip


def test_single_known_flux_among_several_epochs_is_too_few(client: FlaskClient, pipeline: Pipeline) -> None:
    make_curve(pipeline, (None, 0.1), (1.0, 0.1), (INFINITY, 0.1))
    assert as_ever(get(client, leaf="/variability")) == {
        "source_id": SOURCE, "source_name": SOURCE, "n_epochs": 3, "variability_index": None,
        "message": "Insufficient flux measurements",
    }  # fmt: skip


def test_constant_source_has_zeros_and_not_nulls(client: FlaskClient, pipeline: Pipeline) -> None:
    make_curve(pipeline, (0.5, 0.1), (0.5, 0.1))
    answer = get(client, leaf="/variability")
    assert [answer[name] for name in ("variability_index", "modulation_index", "chi_squared", "chi_squared_reduced")] \
        == [0.0, 0.0, 0.0, 0.0]  # fmt: skip
    assert answer["is_variable"] is False
    assert answer["flux_stats"] == {"mean_jy": 0.5, "std_jy": 0.0, "min_jy": 0.5, "max_jy": 0.5}


def test_gaps_do_not_move_a_flux_to_the_error_of_another(client: FlaskClient, pipeline: Pipeline) -> None:
    make_curve(pipeline, (1.0, 0.1), (None, 0.001), (1.2, 0.1), (0.8, 0.1), (None, None))
    answer = get(client, leaf="/variability")
    assert (answer["n_epochs"], answer["chi_squared"], answer["chi_squared_reduced"]) == (5, 8.0, 4.0)


def test_points_without_a_usable_error_lower_the_degrees_of_freedom(client: FlaskClient, pipeline: Pipeline) -> None:
    make_curve(pipeline, (1.0, 0.0), (1.0, None), (1.0, -0.1), (1.2, 0.1), (0.8, 0.1), (1.0, 0.1))
    answer = get(client, leaf="/variability")
    assert (answer["chi_squared"], answer["chi_squared_reduced"]) == (8.0, 4.0)


def test_no_usable_error_gives_no_chi_squared(client: FlaskClient, pipeline: Pipeline) -> None:
    make_curve(pipeline, (1.0, None), (1.2, 0.0), (0.8, -1.0))
    answer = get(client, leaf="/variability")
    assert (answer["variability_index"], answer["chi_squared"], answer["chi_squared_reduced"]) == (0.2, None, None)


def test_absurd_fluxes_give_nulls_and_not_an_error(client: FlaskClient, pipeline: Pipeline) -> None:
    make_curve(pipeline, (1.6e308, 1e-300), (1.6e308, 1e-300), (-1.6e308, 0.1))
    answer = get(client, leaf="/variability")
    assert (answer["flux_stats"]["std_jy"], answer["chi_squared"]) == (None, None)


# -- quality


def test_worst_grade_is_not_the_alphabetical_one(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    for number, stage in ((1, "imaged"), (2, "ingested"), (3, "calibrated")):
        any_pipeline.make_ms(ms_path(number), stage=stage)
        any_pipeline.make_image()
        any_pipeline.make_photometry()
    any_pipeline.make_image()  # whose measurement set is not indexed
    any_pipeline.make_photometry()
    assert get(any_client, leaf="/qa") == {
        "source_id": SOURCE, "source_name": SOURCE, "n_images": 4, "qa_grades": ["warn", "fail", "good"],
        "overall_grade": "fail", "flags": [], "metrics": {"ra_deg": 180.0, "dec_deg": 37.2},
    }  # fmt: skip


def test_source_without_images_has_no_grade(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_photometry()
    answer = get(client, leaf="/qa")
    assert (answer["n_images"], answer["qa_grades"], answer["overall_grade"]) == (0, [], None)


# -- names


ODD_NAMES = [
    "J1200 37", "100%", "%41", "a%2520b", "a+b", "Ωμέγα ☉", "export.csv", "..", "a;b?c#d&e=f", '"; --', "ß" * 90,
]  # fmt: skip


def test_names_are_decoded_exactly_once_on_every_route(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image()
    for name in ODD_NAMES:
        pipeline.make_photometry(source_id=name, image_path=image_path(1))
    for name in ODD_NAMES:
        assert get(client, name)["id"] == name
        assert len(get(client, name, "/lightcurve")["data_points"]) == 1, name
        assert get(client, name, "/variability")["source_id"] == name
        assert get(client, name, "/qa")["source_name"] == name
        assert len(get(client, name, "/contributing-images")) == 1, name


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if leaf != "/lightcurve"])
def test_unknown_source_is_not_found_however_odd_its_name(client: FlaskClient, pipeline: Pipeline, leaf: str) -> None:
    pipeline.make_photometry()
    odd = ["nobody", "x" * 10_000, "\0", f"{SOURCE}\0", SOURCE.lower(), f"{SOURCE} ", "%", "' OR 1=1", "_" * 14]
    for name in odd:
        answer = client.get(url(name, leaf))
        body = answer.get_json()
        assert (answer.status_code, body["error"], body["code"]) == (404, "RECORD_NOT_FOUND", "SOURCE_NOT_FOUND")
        assert body["details"]["entity_type"] == "Source"
        assert len(answer.data) < 4000, "a long name is not repeated"


@pytest.mark.parametrize("leaf", LEAVES)
def test_answers_follow_a_commit_at_once(client: FlaskClient, pipeline: Pipeline, leaf: str) -> None:
    pipeline.make_photometry()
    before = client.get(url(SOURCE, leaf)).get_json()
    pipeline.make_image()
    make_curve(pipeline, (0.5, 0.1))
    assert client.get(url(SOURCE, leaf)).get_json() != before


@pytest.mark.parametrize("missing", ["photometry", "images"])
def test_missing_core_table_is_unavailable_and_not_empty(client: FlaskClient, pipeline: Pipeline, missing: str) -> None:
    pipeline.make_photometry()
    pipeline.connection.execute(f"DROP TABLE {missing}")
    for target in ("/api/sources", url(SOURCE)):
        answer = client.get(target)
        assert (answer.status_code, answer.get_json()["error"]) == (503, "DATABASE_CONNECTION_ERROR")
