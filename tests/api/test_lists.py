"""Lists asked over HTTP: conditions, order, columns, places and formats, by the names that clients use."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from astropy.io.votable import parse
from flask.testing import FlaskClient

from app.domain.columns import Column
from app.domain.selection import Operator, applicable
from app.schemas.cal import CalQuery
from app.schemas.images import ImageQuery
from app.schemas.jobs import JobQuery
from app.schemas.lists import ListQuery
from app.schemas.ms import MsQuery
from app.schemas.photometry import PhotometryQuery
from app.schemas.sources import SourceQuery
from tests.contract.column_tables import LISTS
from tests.support.pipeline import Pipeline

QUERIES: dict[str, type[ListQuery]] = {
    "/images": ImageQuery,
    "/ms": MsQuery,
    "/sources": SourceQuery,
    "/photometry": PhotometryQuery,
    "/jobs": JobQuery,
    "/cal": CalQuery,
}
STREAMED = ("ndjson", "csv", "votable", "fits", "parquet")


@pytest.fixture(autouse=True)
def survey(pipeline: Pipeline) -> None:
    """Two of everything, at places and with values that differ."""
    for n in (1, 2):
        ms = pipeline.make_ms(f"/stage/ms/2025-10-3{n - 1}T13:49:06.ms", stage=("imaged", "calibrated")[n - 1])
        place = {"ra_deg": 10.0 * n, "dec_deg": 20.0}
        image = pipeline.make_image(
            path=f"/stage/images/{n}.fits", ms_path=ms, noise_jy=0.001 * n, type=("image", "pbcor")[n - 1],
            center_ra_deg=10.0 * n, center_dec_deg=20.0, created_at=1761915600.0 + n, pbcor=n - 1,
            imsize_x=512, imsize_y=512, cellsize_arcsec=2.0,
        )  # fmt: skip
        assert image
        for epoch in range(3):
            pipeline.make_photometry(
                source_id=f"=S{n}",
                image_path=f"/stage/images/{n}.fits",
                flux_jy=0.1 * n * (1 + epoch),
                mjd=60979.0 + epoch,
                **place,
            )
        pipeline.make_caltable(path=f"/cal/{n}.bcal", set_name=f"set{n}")


def get(client: FlaskClient, address: str, **headers: str) -> Any:
    answer = client.get(f"/api/v1{address}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/images?max_noise_jy=0.0015&fields=id", ["1"]),
        ("/images?min_noise_jy=0.0015&fields=id", ["2"]),
        ("/images?type=image&type=pbcor&sort=-noise_jy&fields=id", ["2", "1"]),
        ("/images?qa_grade=warn&fields=id", ["2"]),
        ("/images?pbcor=false&fields=id", ["1"]),
        ("/images?id=2&id=77&fields=id", ["2"]),
        ("/images?prefix_path=/stage/images/1&fields=id", ["1"]),
        ("/images?min_created_at=2025-10-31T13:00:01.500Z&fields=id", ["2"]),
        ("/images?max_created_at=60979.54167827&fields=id", ["1"]),
        ("/images?ra_deg=10&dec_deg=20&radius_arcsec=1&fields=id", ["1"]),
        ("/images?ra_deg=00:40:00&dec_deg=%2B20:00:00&radius_deg=11&fields=id", ["1", "2"]),
        ("/images?ra_deg=10.1&dec_deg=20.1&match=footprint&fields=id", ["1"]),
        ("/images?name=%3DS2&match=footprint&fields=id", ["2"]),
        ("/images?name=%3DS2&radius_deg=1&fields=id", ["2"]),
        ("/ms?name=%3DS1&radius_deg=180&stage=calibrated&fields=stage", ["calibrated"]),
        ("/ms?prefix_path=/stage/ms/2025-10-31&fields=stage", ["calibrated"]),
        ("/jobs?status=completed&fields=run_id", ["job-2025-10-31-134906", "job-2025-10-30-134906"]),
        ("/cal?set_name=set2&fields=path", ["/cal/2.bcal"]),
        ("/photometry?source_id=%3DS2&min_mjd=60981&fields=flux_jy", [0.6000000000000001]),
        ("/sources?min_v=0.1&sort=-max_flux_jy&fields=id", ["=S2", "=S1"]),
        ("/sources?min_max_flux_jy=0.5&fields=name", ["=S2"]),
    ],
)
def test_list_finds_what_is_asked_for(client: FlaskClient, address: str, expected: list[Any]) -> None:
    assert [next(iter(row.values())) for row in get(client, address)] == expected


@pytest.mark.parametrize("address", QUERIES)
def test_every_condition_of_every_column_is_a_parameter(client: FlaskClient, address: str) -> None:
    parameters = QUERIES[address]().fields
    for column in LISTS[address]:
        for operator in applicable(column):
            assert operator.parameter(column) in parameters
            value = value_of(column, operator)
            answer = client.get(f"/api/v1{address}", query_string={operator.parameter(column): value})
            assert answer.status_code == 200, answer.text


def value_of(column: Column, operator: Operator) -> str:
    if operator is Operator.BEGINS or column.kind.is_text:
        return "a"
    return {"boolean": "true", "time": "2025-10-31", "mjd": "60979.5"}.get(column.kind.value, "1")


@pytest.mark.parametrize("address", QUERIES)
def test_every_column_can_be_chosen_and_sorted_by(client: FlaskClient, address: str) -> None:
    for column in LISTS[address]:
        (row, *_) = get(client, f"{address}?fields={column.name}")
        assert list(row) == [column.name]
        if column.is_filter:
            assert len(get(client, f"{address}?sort={column.name}&limit=2")) == 2
    names = [column.name for column in reversed(LISTS[address])]
    assert list(get(client, f"{address}?fields={','.join(names)}&limit=1")[0]) == names


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("fields=noise", "fields", "known are id, path"),
        ("fields=", "fields", "Unknown column ''"),
        ("sort=-noise", "sort", "known are id, path"),
        ("sort=id,-id", "sort", "named twice"),
        ("sort=run_id", "sort", "known are"),
        ("sort=separation_arcsec", "sort", "needs a position"),
        ("fields=separation_arcsec", "sort", "needs a position"),
        ("min_path=a", "min_path", "known are"),
        ("noise_jy=0.1", "noise_jy", "known are"),
        ("min_noise_jy=much", "min_noise_jy", "valid number"),
        ("min_noise_jy=nan", "min_noise_jy", "nan"),
        ("pbcor=maybe", "pbcor", "true or false"),
        ("ra_deg=10", "dec_deg", "needs ra_deg and dec_deg"),
        ("radius_deg=1", "ra_deg", "needs ra_deg and dec_deg"),
        ("ra_deg=10&dec_deg=20", "radius_deg", "needs radius_deg or radius_arcsec"),
        ("ra_deg=10&dec_deg=91&radius_deg=1", "dec_deg", "90"),
        ("ra_deg=400&dec_deg=1&radius_deg=1", "ra_deg", "360"),
        ("ra_deg=1&dec_deg=1&radius_deg=1&radius_arcsec=2", "radius_arcsec", "once"),
        ("ra_deg=1&dec_deg=1&radius_deg=-1", "radius_deg", "0"),
        ("ra_deg=12:60:00&dec_deg=1&radius_deg=1", "ra_deg", "less than 60"),
        ("ra_deg=east&dec_deg=1&radius_deg=1", "ra_deg", "sexagesimal"),
        ("name=x&ra_deg=1&dec_deg=1&radius_deg=1", "name", "either"),
        ("limit=1001", "limit", "1000"),
    ],
)
def test_what_a_list_does_not_know_is_refused_with_what_it_knows(
    client: FlaskClient, query: str, field: str, reason: str
) -> None:
    answer = client.get(f"/api/v1/images?{query}")
    assert answer.status_code == 422, answer.text
    (fault,) = answer.get_json()["errors"]
    assert fault["field"] == field
    assert reason in fault["message"]


@pytest.mark.parametrize("query", ["min_created_at=yesterday", "min_created_at=1761915600", "format=xls", "count=all"])
def test_values_without_a_meaning_are_a_bad_request(client: FlaskClient, query: str) -> None:
    assert client.get(f"/api/v1/images?{query}").status_code == 400


def test_too_many_values_of_one_condition_are_refused(client: FlaskClient) -> None:
    query = "&".join(f"id={n}" for n in range(1001))
    assert client.get(f"/api/v1/images?{query}").status_code == 422


def test_rows_in_a_cone_tell_how_far_they_are_nearest_first(client: FlaskClient) -> None:
    rows = get(client, "/sources?ra_deg=10&dec_deg=20&radius_deg=20")
    assert [row["id"] for row in rows] == ["=S1", "=S2"]
    assert rows[0]["separation_arcsec"] == 0.0
    assert rows[1]["separation_arcsec"] == pytest.approx(33823.9, abs=0.1)
    assert [
        row["id"] for row in get(client, "/sources?ra_deg=10&dec_deg=20&radius_deg=20&sort=-separation_arcsec")
    ] == ["=S2", "=S1"]


def test_an_empty_cone_says_whether_it_was_observed(client: FlaskClient) -> None:
    def covered(address: str) -> str | None:
        return client.get(f"/api/v1{address}").headers.get("X-Covered")

    assert covered("/sources?ra_deg=10.1&dec_deg=20.1&radius_arcsec=1") == "true"
    assert covered("/sources?ra_deg=10.1&dec_deg=-20.1&radius_arcsec=1") == "false"
    assert covered("/sources?ra_deg=10&dec_deg=20&radius_arcsec=1") is None
    assert covered("/sources?ra_deg=10.1&dec_deg=-20.1&radius_arcsec=1&format=csv") == "false"


def test_a_name_that_is_no_source_is_not_found(client: FlaskClient) -> None:
    answer = client.get("/api/v1/images?name=nobody&radius_deg=1")
    assert (answer.status_code, answer.get_json()["code"]) == (404, "SOURCE_NOT_FOUND")


def test_conditions_order_and_cursor_travel_by_link(client: FlaskClient) -> None:
    seen, address = [], "/api/v1/photometry?source_id=%3DS1&source_id=%3DS2&sort=-flux_jy&fields=flux_jy&limit=2"
    while address:
        answer = client.get(address)
        seen += [row["flux_jy"] for row in answer.get_json()]
        after = [link for link in answer.headers["Link"].split(", ") if 'rel="next"' in link]
        address = after[0].split(">")[0].removeprefix("<") if after else ""
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 6


def test_a_cursor_goes_on_in_another_format_but_not_under_other_conditions(client: FlaskClient) -> None:
    link = client.get("/api/v1/photometry?min_mjd=1&limit=4").headers["Link"]
    cursor = link.split("cursor=")[1].split(">")[0]
    assert len(client.get(f"/api/v1/photometry?min_mjd=1&format=ndjson&cursor={cursor}").text.splitlines()) == 2
    assert client.get(f"/api/v1/photometry?min_mjd=2&cursor={cursor}").status_code == 400
    assert client.get(f"/api/v1/photometry?min_mjd=2&format=csv&cursor={cursor}").status_code == 400


@pytest.mark.parametrize("form", STREAMED)
@pytest.mark.parametrize("address", QUERIES)
def test_whole_list_in_every_format(client: FlaskClient, address: str, form: str) -> None:
    answer = client.get(f"/api/v1{address}?format={form}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Accept" in answer.headers["Vary"]
    assert "ETag" not in answer.headers
    assert "Link" not in answer.headers
    if form == "ndjson":
        shown = get(client, f"{address}?fields={','.join(column.name for column in LISTS[address])}")
        lines = [json.loads(line) for line in answer.data.splitlines()]
        assert [{**line, "id": str(line["id"])} if "id" in line else line for line in lines] == [
            {**row, **({"image_id": int(row["image_id"])} if "image_id" in row else {})} for row in shown
        ]


def test_accept_chooses_the_format_and_a_kept_answer_is_not_taken_for_another(client: FlaskClient) -> None:
    address = "/api/v1/sources?sort=id"
    kinds = {
        accept: client.get(address, headers={"Accept": accept}).mimetype
        for accept in (
            "application/json",
            "text/csv",
            "application/x-votable+xml",
            "*/*",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "image/png",
            "text/csv;q=0.5, application/x-ndjson",
        )
    }
    assert list(kinds.values()) == [
        "application/json",
        "text/csv",
        "application/x-votable+xml",
        "application/json",
        "application/json",
        "application/json",
        "application/x-ndjson",
    ]
    assert client.get(f"{address}&format=json", headers={"Accept": "text/csv"}).mimetype == "application/json"


def test_csv_guards_names_that_a_spreadsheet_would_run(client: FlaskClient) -> None:
    rows = list(csv.DictReader(io.StringIO(client.get("/api/v1/sources?format=csv").text)))
    assert [row["id"] for row in rows] == ["'=S1", "'=S2"]


def test_votable_describes_its_columns(client: FlaskClient) -> None:
    body = client.get("/api/v1/sources?format=votable&ra_deg=10&dec_deg=20&radius_deg=20").data
    table = parse(io.BytesIO(body), verify="exception").get_first_table()
    fields = {field.name: field for field in table.fields}
    assert (str(fields["ra_deg"].unit), fields["ra_deg"].ucd) == ("deg", "pos.eq.ra;meta.main")
    assert str(fields["separation_arcsec"].unit) == "arcsec"
    assert list(table.array["id"]) == ["=S1", "=S2"]


def test_limit_of_a_stream_has_no_maximum_and_zero_is_none(client: FlaskClient) -> None:
    assert len(client.get("/api/v1/photometry?format=ndjson&limit=100000").data.splitlines()) == 6
    assert client.get("/api/v1/photometry?format=ndjson&limit=0").data == b""
    assert len(client.get("/api/v1/photometry?format=csv&limit=0").data.splitlines()) == 1
    assert len(client.get("/api/v1/photometry?format=ndjson&limit=2&offset=3").data.splitlines()) == 2
