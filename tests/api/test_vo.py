"""The Virtual Observatory over HTTP: answers as astropy's strictest reading finds them, errors as the standards say."""

from __future__ import annotations

import io
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from astropy.io import fits
from astropy.io.votable import parse
from astropy.io.votable.tree import VOTableFile
from astropy.wcs import WCS
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import create_app
from app.config import Settings
from app.domain.vo import PUBLISHER
from app.web import vo
from tests.support.pipeline import BASE_MJD, Pipeline
from tests.support.radio_images import BEAM, write_image

CONE = "/vo/scs/sources"
IMAGES = "/vo/sia2/query"
LINKS = "/vo/datalink"
CUT = "/vo/soda/sync"
OLD_UCDS = ("ID_MAIN", "POS_EQ_RA_MAIN", "POS_EQ_DEC_MAIN")
VOTABLE = "application/x-votable+xml"


def did(image_id: int) -> str:
    return f"{PUBLISHER}?image/{image_id}"


def ask(client: FlaskClient, path: str, **parameters: Any) -> TestResponse:
    return client.get(f"{path}?{urlencode(parameters, doseq=True)}")


def read(response: TestResponse) -> VOTableFile:
    """The answer as a VOTable without fault, but for the old names that Simple Cone Search insists on."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        document = parse(io.BytesIO(response.get_data()), verify="warn")
    complaints = [str(warning.message) for warning in caught]
    assert [each for each in complaints if not any(f"Invalid UCD '{name}'" in each for name in OLD_UCDS)] == []
    return document


def rows(response: TestResponse) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    table = read(response).get_first_table().to_table()
    return [{name: row[name] for name in table.colnames} for row in table]


def statuses(response: TestResponse) -> list[str]:
    (results,) = (resource for resource in read(response).resources if resource.type == "results")
    return [info.value for info in (*results.infos, *results.tables[0].infos) if info.name == "QUERY_STATUS"]


def failure(response: TestResponse) -> str:
    (info,) = (info for info in read(response).resources[0].infos if info.name == "QUERY_STATUS")
    assert info.value == "ERROR"
    return str(info.content)


def text_of(response: TestResponse) -> ElementTree.Element:
    assert response.status_code == 200
    return ElementTree.fromstring(response.get_data())


def make_sources(pipeline: Pipeline) -> None:
    """Three sources about a minute of arc from one another, to both sides of right ascension 0."""
    for name, ra_deg in (("A", 0.001), ("B <&>", 0.02), ("C", 359.99)):
        for epoch in range(3):
            pipeline.make_photometry(
                source_id=name, ra_deg=ra_deg, dec_deg=16.0, flux_jy=0.01 + 0.001 * epoch, flux_err_jy=0.001
            )


def make_image(pipeline: Pipeline, data: Path) -> int:
    """An image of 8 by 6 arcmin at 180, +37.2 with its file and its measurement set; its id."""
    path = write_image(data / "a.fits")
    ms = pipeline.make_ms(start_mjd=BASE_MJD, mid_mjd=BASE_MJD + 0.002, end_mjd=BASE_MJD + 0.004)
    return pipeline.make_image(path=str(path), ms_path=ms, imsize_x=120, imsize_y=90, cellsize_arcsec=4.0)


def client_of(pipeline: Pipeline, directory: Path) -> FlaskClient:
    settings = {
        "DSA110_ENV": "testing",
        "DSA110_LOG_REQUESTS": "false",
        "PIPELINE_PRODUCTS_DB": str(pipeline.products_path),
        "DSA110_STATE_DIR": str(directory / "state"),
        "DSA110_DATA_ROOTS": str(directory / "data"),
    }
    return create_app(Settings.from_environment(settings)).test_client()


def close(client: FlaskClient) -> None:
    client.application.extensions["contimg.services"].close()


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A client of a survey that no test changes: three sources and, as number 1, an image."""
    directory = tmp_path_factory.mktemp("survey")
    with Pipeline(directory / "state", "orm") as pipeline:
        make_sources(pipeline)
        assert make_image(pipeline, directory / "data") == 1
        client = client_of(pipeline, directory)
        yield client
        close(client)


@pytest.fixture
def any_one(any_pipeline: Pipeline, tmp_path: Path) -> Iterator[FlaskClient]:
    """A client of a survey in every generation of the schema."""
    client = client_of(any_pipeline, tmp_path)
    yield client
    close(client)


# -- Simple Cone Search


def test_cone_finds_sources_nearest_first_across_right_ascension_0(
    any_pipeline: Pipeline, any_one: FlaskClient
) -> None:
    make_sources(any_pipeline)
    response = ask(any_one, CONE, RA=0, DEC=16, SR=0.015)
    assert response.content_type == VOTABLE
    assert [row["id"] for row in rows(response)] == ["A", "C"]
    assert statuses(response) == ["OK"]


def test_cone_has_one_column_of_each_name_that_the_standard_asks_for(survey: FlaskClient) -> None:
    for verbosity in (1, 2, 3):
        document = read(ask(survey, CONE, RA=0, DEC=16, SR=1, VERB=verbosity))
        (resource,) = document.resources
        (table,) = resource.tables
        ucds = [field.ucd for field in table.fields]
        assert [ucds.count(ucd) for ucd in OLD_UCDS] == [1, 1, 1]
        assert all(field.description for field in table.fields)


def test_verbosity_chooses_how_many_columns_there_are(survey: FlaskClient) -> None:
    widths = [len(rows(ask(survey, CONE, RA=0, DEC=16, SR=1, VERB=verb))[0]) for verb in (1, 2, 3)]
    assert widths[0] == 3 < widths[1] < widths[2]
    usual = rows(ask(survey, CONE, RA=0, DEC=16, SR=1))[0]
    assert len(usual) == widths[1]
    assert usual["v"] == pytest.approx(0.001 / 0.011)
    assert usual["eta"] == pytest.approx(1.0)


def test_names_of_parameters_are_known_in_any_case_and_blank_ones_are_not_given(survey: FlaskClient) -> None:
    response = ask(survey, CONE, ra=0, Dec=16, sR=1, VERB="", maxrec=" ", unknown="x")
    assert len(rows(response)) == 3


def test_names_are_escaped(survey: FlaskClient) -> None:
    assert "B <&>" in [row["id"] for row in rows(ask(survey, CONE, RA=0, DEC=16, SR=1))]


@pytest.mark.parametrize(("parameters", "status"), [({"SR": 0}, ["OK"]), ({"MAXREC": 0}, ["OK", "OVERFLOW"])])
def test_radius_0_or_no_rows_give_the_description_of_the_table_alone(
    survey: FlaskClient, parameters: dict[str, int], status: list[str]
) -> None:
    response = ask(survey, CONE, **{"RA": 0, "DEC": 16, "SR": 1, **parameters})
    assert rows(response) == []
    assert statuses(response) == status


@pytest.mark.parametrize(("most", "count", "status"), [(2, 2, ["OK", "OVERFLOW"]), (3, 3, ["OK"]), (4, 3, ["OK"])])
def test_overflow_is_told_after_the_table_where_rows_were_left_out(
    survey: FlaskClient, most: int, count: int, status: list[str]
) -> None:
    response = ask(survey, CONE, RA=0, DEC=16, SR=1, MAXREC=most)
    assert len(rows(response)) == count
    assert statuses(response) == status
    assert response.text.find("OVERFLOW") == -1 or response.text.find("OVERFLOW") > response.text.find("</TABLE>")


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"DEC": 91}, "DEC"),
        ({"RA": "as3f"}, "RA"),
        ({"RA": "NaN"}, "RA"),
        ({"RA": 361}, "RA"),
        ({"RA": [1, 2]}, "RA"),
        ({"SR": ""}, "SR"),
        ({"SR": -1}, "SR"),
        ({"SR": "inf"}, "SR"),
        ({"VERB": 4}, "VERB"),
        ({"MAXREC": -1}, "MAXREC"),
        ({"MAXREC": "1_0"}, "MAXREC"),
        ({"RESPONSEFORMAT": "jpeg"}, "RESPONSEFORMAT"),
        ({"RESPONSEFORMAT": "application/x-votable+xml;serialization=binary2"}, "RESPONSEFORMAT"),
        ({"RA": "<x>"}, "RA"),
    ],
)
def test_what_cannot_be_searched_is_a_votable_with_an_error_and_status_200(
    survey: FlaskClient, parameters: dict[str, Any], name: str
) -> None:
    response = ask(survey, CONE, **{"RA": 1, "DEC": 2, "SR": 0.1, **parameters})
    assert response.status_code == 200
    assert response.content_type == VOTABLE
    document = read(response)
    (info,) = (info for info in document.infos if info.name == "Error")
    assert info.value.startswith(f"UsageFault: {name}: ")
    assert failure(response) == info.value
    assert "ETag" not in response.headers


@pytest.mark.parametrize(
    ("wanted", "content_type"),
    [
        ("votable", VOTABLE),
        ("VOTable", VOTABLE),
        (VOTABLE, VOTABLE),
        ("application/x-votable xml", VOTABLE),
        ("text/xml", "text/xml"),
        (f"{VOTABLE}; serialization=TABLEDATA", VOTABLE),
        ("csv", "text/csv"),
        ("text/csv", "text/csv"),
        ("fits", "application/fits"),
        ("parquet", "application/vnd.apache.parquet"),
    ],
)
def test_answer_is_called_by_the_media_type_that_was_asked_for(
    survey: FlaskClient, wanted: str, content_type: str
) -> None:
    response = ask(survey, CONE, RA=0, DEC=16, SR=1, RESPONSEFORMAT=wanted)
    assert (response.status_code, response.content_type) == (200, content_type)
    if content_type == "text/csv":
        assert len(response.text.splitlines()) == 4


def test_empty_cone_tells_whether_any_image_shows_its_centre(pipeline: Pipeline, client: FlaskClient) -> None:
    pipeline.make_image(center_ra_deg=10.0, center_dec_deg=20.0, imsize_x=100, imsize_y=100, cellsize_arcsec=10.0)
    pipeline.make_photometry(source_id="A", ra_deg=200.0, dec_deg=20.0)
    for ra_deg, covered in ((10.0, "true"), (50.0, "false")):
        document = read(ask(client, CONE, RA=ra_deg, DEC=20, SR=0.01))
        assert [info.value for info in document.resources[0].infos if info.name == "covered"] == [covered]


def test_cone_search_is_kept_while_the_databases_stand_still(pipeline: Pipeline, client: FlaskClient) -> None:
    make_sources(pipeline)
    first = ask(client, CONE, RA=0, DEC=16, SR=1)
    etag = first.headers["ETag"]
    again = client.get(f"{CONE}?RA=0&DEC=16&SR=1", headers={"If-None-Match": etag})
    assert again.status_code == 304
    pipeline.make_photometry(source_id="D", ra_deg=0.0, dec_deg=16.0)
    assert len(rows(ask(client, CONE, RA=0, DEC=16, SR=1))) == 4


def test_long_answer_is_streamed_and_not_kept(survey: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vo, "WHOLE_BYTES", 100)
    response = ask(survey, CONE, RA=0.0001, DEC=16, SR=1)
    assert "ETag" not in response.headers
    assert len(rows(response)) == 3


def test_parameters_may_come_in_a_form(survey: FlaskClient) -> None:
    assert len(rows(survey.post(CONE, data={"RA": "0", "DEC": "16", "SR": "1"}))) == 3


# -- Simple Image Access


def test_image_is_found_with_the_columns_of_obscore(survey: FlaskClient) -> None:
    (found,) = rows(ask(survey, IMAGES, POS="CIRCLE 180.02 37.2 0.01"))
    assert found["obs_publisher_did"] == did(1)
    assert found["access_url"] == "http://localhost/api/v1/images/1/fits"
    assert (found["access_format"], found["dataproduct_type"], found["calib_level"]) == ("application/fits", "image", 2)
    assert (found["s_ra"], found["s_dec"]) == (180.0, 37.2)
    assert found["s_fov"] == pytest.approx((8**2 + 6**2) ** 0.5 / 60)
    assert found["s_region"].startswith("POLYGON ICRS 180.0")
    assert found["t_min"] == pytest.approx(BASE_MJD)
    assert found["t_max"] == pytest.approx(BASE_MJD + 0.004)
    assert found["t_exptime"] == 309.0
    assert found["em_min"] == pytest.approx(299792458.0 / 1.49375e9)
    assert found["em_max"] == pytest.approx(299792458.0 / 1.30625e9)
    assert found["s_resolution"] == 13.5
    assert found["facility_name"] == "DSA-110"


def test_right_ascension_is_between_0_and_360_however_it_is_stored(client: FlaskClient, pipeline: Pipeline) -> None:
    size = {"imsize_x": 100, "imsize_y": 100, "cellsize_arcsec": 4.0}
    for ra_deg in (-10.5, 349.5, 0.0):
        pipeline.make_image(ms_path="/stage/ms/gone.ms", center_ra_deg=ra_deg, center_dec_deg=10.0, **size)
    assert [row["s_ra"] for row in rows(ask(client, IMAGES))] == [349.5, 349.5, 0.0]


def test_images_are_listed_whatever_a_file_knows_of_them(any_pipeline: Pipeline, any_one: FlaskClient) -> None:
    any_pipeline.make_ms()
    any_pipeline.make_image()
    any_pipeline.make_image(ms_path="/stage/ms/gone.ms", center_ra_deg=None, center_dec_deg=None)
    found = rows(ask(any_one, IMAGES))
    assert [row["obs_publisher_did"] for row in found] == [did(1), did(2)]
    assert found[1]["obs_id"]
    # By its centre, or where there is none, by the pointing of its measurement set.
    assert len(rows(ask(any_one, IMAGES, POS="CIRCLE 180.05 37.22 0.2"))) == 1


def test_numbers_that_are_none_do_not_stop_the_others(pipeline: Pipeline, client: FlaskClient) -> None:
    pipeline.make_image(center_ra_deg="east", freq_ghz=float("inf"), imsize_x="wide", beam_major_arcsec="round")
    pipeline.make_image()
    assert len(rows(ask(client, IMAGES, BAND="0.1 0.3"))) == 1
    assert len(rows(ask(client, IMAGES))) == 2


def test_directories_that_casa_calls_images_are_left_out(pipeline: Pipeline, client: FlaskClient) -> None:
    pipeline.make_image(format="casa")
    pipeline.make_image(format=None)
    assert [row["obs_publisher_did"] for row in rows(ask(client, IMAGES))] == [did(2)]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"POS": "CIRCLE 180.1 37.2 0.05"}, True),
        ({"POS": "CIRCLE 181 37.2 0.05"}, False),
        ({"POS": ["CIRCLE 181 37.2 0.05", "CIRCLE 180 37.2 0.05", "CIRCLE 180 37.2 1"]}, True),
        ({"POS": "RANGE 179 180 36 38"}, True),
        ({"POS": "RANGE 0 360 -2 2"}, False),
        ({"POS": "RANGE 0 360 37.2 +Inf"}, True),
        ({"POS": "POLYGON 179 36 181 36 181 38 179 38"}, True),
        ({"BAND": "0.21"}, True),
        ({"BAND": "-Inf 0.19"}, False),
        ({"BAND": ["-Inf 0.19", "0.2 0.3"]}, True),
        ({"TIME": f"{BASE_MJD + 0.003} +Inf"}, True),
        ({"TIME": f"{BASE_MJD + 0.005} +Inf"}, False),
        ({"TIME": f"{BASE_MJD + 0.001}"}, True),
        ({"FOV": "0.1 0.2"}, True),
        ({"FOV": "1 2"}, False),
        ({"SPATRES": "-Inf 20"}, True),
        ({"SPECRP": "100 +Inf"}, False),
        ({"EXPTIME": "300 400"}, True),
        ({"TIMERES": "-Inf 1"}, False),
        ({"POL": "I"}, True),
        ({"POL": "V"}, False),
        ({"ID": did(1)}, True),
        ({"ID": did(1).upper()}, True),
        ({"ID": did(2)}, False),
        ({"ID": "ivo://elsewhere/x"}, False),
        ({"ID": did(10**17)}, False),
        ({"COLLECTION": "DSA-110 continuum"}, True),
        ({"COLLECTION": "other"}, False),
        ({"FACILITY": "dsa-110"}, True),
        ({"INSTRUMENT": "ALMA"}, False),
        ({"DPTYPE": ["cube", "image"]}, True),
        ({"DPTYPE": "cube"}, False),
        ({"CALIB": [2, 3]}, True),
        ({"CALIB": 0}, False),
        ({"TARGET": "J1200+37"}, True),
        ({"TARGET": "M31"}, False),
        ({"FORMAT": "application/fits"}, True),
        ({"FORMAT": "image/png"}, False),
        ({"pos": "circle 180 37.2 0.1", "band": "0.21", "TIME": "0 1"}, False),
    ],
)
def test_images_are_chosen_by_every_parameter_of_the_standard(
    survey: FlaskClient, parameters: dict[str, Any], found: bool
) -> None:
    assert len(rows(ask(survey, IMAGES, **parameters))) == int(found)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"POS": "BOX 1 2 3 4"}, "POS: 'BOX' is no shape"),
        ({"POS": "CIRCLE 1 91 1"}, "POS: "),
        ({"POS": "RANGE 350 10 0 1"}, "POS: "),
        ({"BAND": "2 1"}, "BAND: "),
        ({"BAND": "1 2 3"}, "BAND: "),
        ({"TIME": "yesterday"}, "TIME: "),
        ({"MAXREC": "x"}, "MAXREC: "),
        ({"MAXREC": [1, 2]}, "MAXREC: "),
        ({"RESPONSEFORMAT": "image/jpeg"}, "RESPONSEFORMAT: 'image/jpeg' is not given here"),
        ({"UPLOAD": "t,http://x"}, "UPLOAD: "),
    ],
)
def test_query_that_means_nothing_is_400_and_a_votable(
    survey: FlaskClient, parameters: dict[str, Any], reason: str
) -> None:
    response = ask(survey, IMAGES, **parameters)
    assert (response.status_code, response.content_type) == (400, VOTABLE)
    assert failure(response).startswith(f"UsageFault: {reason}")


def test_images_overflow_and_no_rows_describe_the_table(pipeline: Pipeline, client: FlaskClient) -> None:
    for _ in range(3):
        pipeline.make_image()
    for most, status in ((0, ["OK", "OVERFLOW"]), (2, ["OK", "OVERFLOW"]), (3, ["OK"])):
        response = ask(client, IMAGES, MAXREC=most)
        assert len(rows(response)) == most
        assert statuses(response) == status


def test_description_of_services_refers_to_a_column_that_is_there(survey: FlaskClient) -> None:
    root = text_of(ask(survey, IMAGES, MAXREC=0))
    xmlns = {"v": "http://www.ivoa.net/xml/VOTable/v1.3"}
    ids = {field.get("ID") for field in root.iterfind(".//v:FIELD", xmlns)}
    services = root.findall("v:RESOURCE[@utype='adhoc:service']", xmlns)
    assert [each.get("ID") for each in services] == ["links", "soda"]
    for each in services:
        assert {param.get("ref") for param in each.iterfind(".//v:PARAM[@ref]", xmlns)} <= ids


def test_image_answers_with_relative_hosts_are_never_kept_but_those_with_the_public_address_are(
    pipeline: Pipeline, environ: dict[str, str], make_app: Callable[[Pipeline], Flask], tmp_path: Path
) -> None:
    image = make_image(pipeline, tmp_path / "data")
    client = make_app(pipeline).test_client()
    for host in ("one.example", "two.example"):
        response = client.get(IMAGES, headers={"Host": host})
        assert rows(response)[0]["access_url"].startswith(f"http://{host}/api/v1/")
        assert "ETag" not in response.headers
    environ["DSA110_PUBLIC_URL"] = "https://contimg.example/radio/"
    client = make_app(pipeline).test_client()
    response = client.get(IMAGES, headers={"Host": "two.example"})
    assert rows(response)[0]["access_url"] == f"https://contimg.example/radio/api/v1/images/{image}/fits"
    assert "ETag" in response.headers
    assert "https://contimg.example/radio/vo/soda/sync" in response.text


@pytest.mark.parametrize(("peer", "scheme"), [("127.0.0.1", "https"), ("10.1.2.3", "http")])
def test_scheme_is_believed_from_a_trusted_proxy_only(survey: FlaskClient, peer: str, scheme: str) -> None:
    headers = {"X-Forwarded-Proto": "https", "Host": "contimg.example"}
    response = survey.get(IMAGES, headers=headers, environ_overrides={"REMOTE_ADDR": peer})
    assert rows(response)[0]["access_url"].startswith(f"{scheme}://contimg.example/")


# -- DataLink


def test_description_of_the_cut_out_service_is_in_the_order_of_the_schema(survey: FlaskClient) -> None:
    """VOTable 1.4, section 4.1: a PARAM has its DESCRIPTION first, then its VALUES."""
    document = text_of(ask(survey, LINKS, ID=did(1)))
    parts = [
        [part.tag.rpartition("}")[2] for part in param] for param in document.iter() if param.tag.endswith("PARAM")
    ]
    assert ["DESCRIPTION", "VALUES"] in parts
    assert all(each == sorted(each) for each in parts)


def test_links_lead_to_what_they_promise(survey: FlaskClient) -> None:
    response = ask(survey, LINKS, ID=did(1))
    assert response.content_type == f"{VOTABLE};content=datalink"
    found = rows(response)
    assert [row["semantics"] for row in found] == [
        "#this", "#preview", "#preview", "#cutout", "#progenitor", "#auxiliary",
    ]  # fmt: skip
    for row in found:
        assert sum(bool(row[name]) for name in ("access_url", "service_def", "error_message")) == 1
        if str(row["access_url"]).endswith(".png"):
            assert row["access_url"] == "http://localhost/api/v1/images/1/preview.png"  # takes a second to draw
        elif row["access_url"]:
            with survey.get(row["access_url"].removeprefix("http://localhost")) as followed:
                assert (followed.status_code, followed.mimetype) == (200, row["content_type"])
                if row["semantics"] == "#this":
                    assert row["content_length"] == len(followed.get_data())


def test_links_of_one_image_describe_the_region_that_can_be_cut_out(survey: FlaskClient) -> None:
    for count, described in ((1, True), (2, False)):
        response = ask(survey, LINKS, ID=[did(1), did(2)][:count])
        assert ('<MAX value="180 37.2 0.0833' in response.text) is described


def test_every_dataset_gets_rows_in_the_order_of_the_request_and_unknown_ones_say_so(survey: FlaskClient) -> None:
    asked = ["ivo://elsewhere/x<y>", did(1), did(99), did(1)]
    found = rows(ask(survey, LINKS, id=asked))
    assert list(dict.fromkeys(row["ID"] for row in found)) == asked[:3]
    messages = {row["ID"]: row["error_message"] for row in found if row["error_message"]}
    assert messages[asked[0]].startswith("UsageFault: ")
    assert messages[asked[2]].startswith("NotFoundFault: ")
    assert set(messages) == {asked[0], asked[2]}


def test_image_whose_file_is_gone_says_so_and_keeps_its_other_links(pipeline: Pipeline, client: FlaskClient) -> None:
    image_id = pipeline.make_image(path="/stage/secret/gone.fits")
    response = ask(client, LINKS, ID=did(image_id))
    found = rows(response)
    assert [row["semantics"] for row in found] == ["#this", "#progenitor", "#auxiliary"]
    assert found[0]["error_message"].startswith("FatalFault: ")
    assert "secret" not in response.text


def test_links_without_a_dataset_are_refused(survey: FlaskClient) -> None:
    response = survey.get(LINKS)
    assert response.status_code == 400
    assert failure(response).startswith("UsageFault: ID: ")


def test_rows_of_links_are_bounded_as_any(survey: FlaskClient) -> None:
    response = ask(survey, LINKS, ID=did(1), MAXREC=2)
    assert len(rows(response)) == 2
    assert statuses(response) == ["OK", "OVERFLOW"]


# -- SODA


@pytest.mark.parametrize(
    "region",
    [
        {"CIRCLE": "180.0 37.2 0.01"},
        {"POS": "CIRCLE 180.0 37.2 0.01"},
        {"POS": "RANGE 179.993 180.007 37.194 37.206"},
        {"POLYGON": "179.993 37.194 180.007 37.194 180.007 37.206 179.993 37.206"},
    ],
)
def test_cut_out_has_coordinates_and_beam_and_holds_the_region(survey: FlaskClient, region: dict[str, str]) -> None:
    with ask(survey, CUT, ID=did(1), **region) as response:
        assert (response.status_code, response.mimetype) == (200, "application/fits")
        with fits.open(io.BytesIO(response.get_data())) as hdus:
            ny, nx = hdus[0].shape
            assert 14 <= nx <= 20
            assert 14 <= ny <= 20
            ra_deg, dec_deg = WCS(hdus[0].header).wcs_pix2world((nx - 1) / 2, (ny - 1) / 2, 0)
            assert (ra_deg, dec_deg) == (pytest.approx(180.0, abs=0.002), pytest.approx(37.2, abs=0.002))
            assert hdus[0].header["BMAJ"] == pytest.approx(BEAM["BMAJ"])


def test_region_without_a_pixel_has_no_content(survey: FlaskClient) -> None:
    response = ask(survey, CUT, ID=did(1), CIRCLE="10 10 0.1")
    assert (response.status_code, response.get_data()) == (204, b"")


@pytest.mark.parametrize("region", [{}, {"POS": "RANGE 0 360 -90 90"}])
def test_without_a_bound_the_whole_file_comes(survey: FlaskClient, region: dict[str, str]) -> None:
    with ask(survey, CUT, ID=did(1), **region) as response:
        whole = response.get_data()
    with survey.get("/api/v1/images/1/fits") as response:
        assert whole == response.get_data()


@pytest.mark.parametrize(
    ("parameters", "status", "begins"),
    [
        ({"ID": []}, 400, "UsageError: ID: "),
        ({"ID": [did(1), did(1)]}, 400, "MultiValuedParamNotSupported: ID: "),
        ({"CIRCLE": ["1 2 3", "1 2 4"]}, 400, "MultiValuedParamNotSupported: CIRCLE: "),
        ({"CIRCLE": "180 37.2 0.1", "POS": "CIRCLE 180 37.2 0.1"}, 400, "UsageError: POS: "),
        ({"CIRCLE": "180 37.2"}, 400, "UsageError: CIRCLE: "),
        ({"BAND": "0.2 0.3"}, 400, "UsageError: BAND: This parameter is not supported"),
        ({"RESPONSEFORMAT": "votable"}, 400, "UsageError: RESPONSEFORMAT: "),
        ({"ID": did(99)}, 404, "UsageError: Dataset not found"),
        ({"ID": "what"}, 404, "UsageError: Dataset not found"),
    ],
)
def test_cut_out_that_cannot_be_made_is_told_as_text(
    survey: FlaskClient, parameters: dict[str, Any], status: int, begins: str
) -> None:
    response = ask(survey, CUT, **{"ID": did(1), **parameters})
    assert (response.status_code, response.mimetype) == (status, "text/plain")
    assert response.text.startswith(begins)


# -- what the service says of itself


def test_capabilities_name_every_protocol_and_each_address_answers(survey: FlaskClient) -> None:
    for path in ("/vo/capabilities", "/vo/sia2/capabilities", "/vo/scs/capabilities", "/vo/soda/capabilities"):
        root = text_of(survey.get(path))
        urls = {each.get("standardID"): each.findtext("interface/accessURL") for each in root.iterfind("capability")}
        assert urls["ivo://ivoa.net/std/SIA#query-2.0"] == "http://localhost/vo/sia2/query"
        assert len(urls) == 7
        for url in urls.values():
            assert survey.get(str(url).removeprefix("http://localhost")).status_code in {200, 400}


def test_availability_tells_whether_the_database_can_be_read(
    pipeline: Pipeline, client: FlaskClient, survey: FlaskClient
) -> None:
    available = "{http://www.ivoa.net/xml/VOSIAvailability/v1.0}available"
    response = survey.get("/vo/availability")
    assert text_of(response).findtext(available) == "true"
    assert response.headers["Cache-Control"] == "no-store"
    pipeline.close()
    pipeline.products_path.unlink()
    response = client.get("/vo/availability")
    assert text_of(response).findtext(available) == "false"
    assert str(pipeline.products_path.parent) not in response.text


def test_database_that_cannot_be_read_is_a_fault_that_will_pass(pipeline: Pipeline, client: FlaskClient) -> None:
    pipeline.close()
    pipeline.products_path.unlink()
    for path in (f"{CONE}?RA=1&DEC=2&SR=3", IMAGES, f"{LINKS}?ID={did(1)}", f"{CUT}?ID={did(1)}"):
        response = client.get(path)
        assert response.status_code == 503
        assert "Retry-After" in response.headers
        assert response.headers["Cache-Control"] == "no-store"
        if path.startswith(CUT):
            assert response.mimetype == "text/plain"
            assert response.text.startswith("ServiceUnavailable: ")
        else:
            assert response.content_type == VOTABLE
            assert failure(response).startswith("TransientFault: ")


def test_tables_are_described(survey: FlaskClient) -> None:
    root = text_of(survey.get("/vo/tables"))
    assert [each.text for each in root.iterfind("schema/table/name")] == ["sources", "images"]
    names = [each.text for each in root.iterfind("schema/table/column/name")]
    assert {"ra_deg", "s_ra", "access_url"} <= set(names)


def test_addresses_that_clients_try_are_404_and_not_a_page_of_the_dashboard(
    pipeline: Pipeline, environ: dict[str, str], make_app: Callable[[Pipeline], Flask], tmp_path: Path
) -> None:
    (tmp_path / "ui").mkdir()
    (tmp_path / "ui" / "index.html").write_text("<html></html>")
    environ["DSA110_UI_DIR"] = str(tmp_path / "ui")
    client = make_app(pipeline).test_client()
    with client.get("/elsewhere") as page:
        assert page.status_code == 200
    assert client.get("/vo/sia2/query/capabilities").status_code == 404


def test_addresses_outside_the_allowed_networks_are_refused_here_too(survey: FlaskClient) -> None:
    response = survey.get("/vo/capabilities", environ_overrides={"REMOTE_ADDR": "8.8.8.8"})
    assert response.status_code == 403
    assert survey.get("/vo/capabilities").headers["X-Request-ID"]
