"""Downloads in bulk over HTTP: archives of images and measurement sets, tables of sources."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.domain.exports import MOST_IMAGES, MOST_SOURCES
from app.services.archives import MANIFEST
from tests.support.pipeline import Pipeline

BULK = "/api/images/bulk-download"

# What follows asks the same of every generation: one will do.
one_generation = pytest.mark.parametrize("any_pipeline", ["production"], indirect=True)
with_cache = pytest.mark.parametrize("make_app", ["true"], indirect=True)


@pytest.fixture
def images(any_pipeline: Pipeline, tmp_path: Path) -> dict[int, bytes]:
    """Images 1 and 2 of the same file name, 3 whose file is missing."""
    contents = {}
    for number in (1, 2):
        path = tmp_path / "data" / f"night{number}" / "field.fits"
        path.parent.mkdir(parents=True)
        contents[number] = bytes([number]) * 5000
        path.write_bytes(contents[number])
        any_pipeline.make_image(id=number, path=str(path), ms_path="/stage/ms/2025-10-31T13:49:06.ms")
    any_pipeline.make_image(id=3, path=str(tmp_path / "data" / "gone.fits"), noise_jy=None)
    return contents


def unpacked(answer: TestResponse) -> dict[str, bytes]:
    if answer.mimetype == "application/zip":
        with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(fileobj=io.BytesIO(answer.data)) as archive:
        return {member.name: file.read() for member in archive if (file := archive.extractfile(member))}


def table(answer: TestResponse) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text)))


ARCHIVES = {
    "": ("images.zip", "application/zip"),
    "&format=fits": ("images.zip", "application/zip"),
    "&format=ZIP": ("images.zip", "application/zip"),
    "&format=tar": ("images.tar.gz", "application/gzip"),
}


@with_cache
@one_generation
def test_files_come_in_one_archive_and_none_replaces_another(any_client: FlaskClient, images: dict[int, bytes]) -> None:
    for asked, (name, content_type) in ARCHIVES.items():
        got = any_client.get(f"{BULK}?ids=1,2,1,3,99,none{asked}")
        assert (got.status_code, got.mimetype) == (200, content_type), asked
        assert got.headers["Content-Disposition"] == f'attachment; filename="{name}"'
        assert got.headers["Cache-Control"] == "no-store"
        found = unpacked(got)
        manifest = {line["id"]: (line["file"], line["status"]) for line in json.loads(found.pop(MANIFEST))}
        assert found == {"field.fits": images[1], "2_field.fits": images[2]}, asked
        assert manifest == {
            "1": ("field.fits", "ok"),
            "2": ("2_field.fits", "ok"),
            "3": (None, "not accessible"),
            "99": (None, "no such image"),
            "none": (None, "no such image"),
        }


@with_cache
@one_generation
def test_post_names_more_images_than_an_address_can(any_client: FlaskClient, images: dict[int, bytes]) -> None:
    ids: list[Any] = [2, "1", *range(1000, 1000 + MOST_IMAGES - 2)]
    answer = any_client.post(BULK, json={"image_ids": ids, "format": "zip"})
    assert answer.status_code == 200
    found = unpacked(answer)
    assert len(json.loads(found.pop(MANIFEST))) == MOST_IMAGES
    assert found == {"field.fits": images[2], "1_field.fits": images[1]}


@with_cache
def test_tables_tell_what_is_known_without_the_files(any_client: FlaskClient, images: dict[int, bytes]) -> None:
    lines = table(any_client.get(f"{BULK}?ids=3,1,99&format=csv"))
    assert [(line["id"], line["noise_jy"]) for line in lines] == [("3", ""), ("1", lines[1]["noise_jy"])]
    assert (lines[1]["run_id"], lines[1]["created_at"][-1]) == ("job-2025-10-31-134906", "Z")
    answer = any_client.get(f"{BULK}?ids=3,1,99&format=json")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="images.json"'
    assert [(line["id"], line["noise_jy"] is None) for line in answer.get_json()] == [("3", True), ("1", False)]
    assert answer.get_json()[1].keys() == lines[0].keys()


NOT_ANSWERED = [
    ("", 400, "VALIDATION_ERROR"),
    (",,", 400, "VALIDATION_ERROR"),
    ("99", 404, "RECORD_NOT_FOUND"),
    ("9223372036854775808,-1,1.0,%00", 404, "RECORD_NOT_FOUND"),
    (",".join(["1"] * (MOST_IMAGES + 1)), 422, "VALIDATION_FAILED"),
]


@with_cache
@pytest.mark.parametrize("format", ["zip", "tar", "csv", "json"])
def test_what_cannot_be_answered_is_said_before_anything_is_sent(
    client: FlaskClient, pipeline: Pipeline, format: str
) -> None:
    for ids, status, error in NOT_ANSWERED:
        named = ids.split(",") if ids.strip(",") else []
        for answer in (
            client.get(f"{BULK}?ids={ids}&format={format}"),
            client.post(BULK, json={"image_ids": named, "format": format}),
        ):
            assert (answer.status_code, answer.get_json()["error"]) == (status, error), ids
    assert str(MOST_IMAGES) in answer.get_json()["detail"]


@with_cache
def test_unknown_format_is_a_meaningless_value(client: FlaskClient) -> None:
    assert client.get(f"{BULK}?ids=1&format=rar").status_code == 400


@with_cache
@one_generation
def test_archive_of_nothing_is_not_sent(any_client: FlaskClient, images: dict[int, bytes]) -> None:
    answer = any_client.get(f"{BULK}?ids=3,99")
    assert (answer.status_code, answer.get_json()["error"]) == (404, "FILE_NOT_ACCESSIBLE")
    assert answer.get_json()["details"]["path"] == "gone.fits", "the name, never the directory"


@with_cache
@one_generation
def test_head_of_an_archive_sends_nothing(any_client: FlaskClient, images: dict[int, bytes]) -> None:
    answer = any_client.head(f"{BULK}?ids=1,2")
    assert (answer.status_code, answer.mimetype, answer.data) == (200, "application/zip", b"")


# -- measurement sets


@pytest.fixture
def ms(any_pipeline: Pipeline, tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "2025-10-31T13:49:06.ms"
    (folder / "ANTENNA").mkdir(parents=True)
    (folder / "EMPTY").mkdir()
    (folder / "table.dat").write_bytes(b"main")
    (folder / "ANTENNA" / "table.f0").write_bytes(b"antennas")
    any_pipeline.make_ms(str(folder))
    return folder


def ms_address(path: Path | str) -> str:
    return f"/api/ms/{str(path).replace('/', '%2F').replace(':', '%3A')}/download"


@with_cache
@one_generation
def test_measurement_set_comes_as_a_tar_of_its_directory(any_client: FlaskClient, ms: Path, tmp_path: Path) -> None:
    answer = any_client.get(ms_address(ms))
    assert (answer.status_code, answer.mimetype) == (200, "application/x-tar")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="2025-10-31T13-49-06.ms.tar"'
    assert unpacked(answer) == {f"{ms.name}/table.dat": b"main", f"{ms.name}/ANTENNA/table.f0": b"antennas"}
    with tarfile.open(fileobj=io.BytesIO(answer.data)) as archive:
        assert archive.getmember(f"{ms.name}/EMPTY").isdir()
    assert any_client.get(f"/api/ms/{ms}/download").data == answer.data, "slashes need not be encoded"


@with_cache
def test_measurement_set_does_not_lead_out_of_the_data_roots(
    client: FlaskClient, pipeline: Pipeline, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    ms = tmp_path / "data" / "a.ms"
    ms.mkdir()
    (ms / "good").write_text("good")
    (ms / "file-link").symlink_to(outside / "secret")
    (ms / "folder-link").symlink_to(outside)
    pipeline.make_ms(f"{ms}/")
    found = unpacked(client.get(ms_address(ms)))
    left_out = {line["path"] for line in json.loads(found.pop(MANIFEST)) if line["status"] != "ok"}
    assert found == {"a.ms/good": b"good"}
    assert left_out == {str(ms / "file-link"), str(ms / "folder-link")}

    (tmp_path / "data" / "link.ms").symlink_to(outside)
    for path in (outside, tmp_path / "data" / "link.ms", tmp_path / "data" / "gone.ms", ms / "good"):
        pipeline.make_ms(str(path))
        answer = client.get(ms_address(path))
        assert (answer.status_code, answer.get_json()["error"]) == (404, "FILE_NOT_ACCESSIBLE"), path
    (tmp_path / "data" / "unlisted.ms").mkdir()
    assert client.get(ms_address(tmp_path / "data" / "unlisted.ms")).get_json()["error"] == "RECORD_NOT_FOUND"


# -- sources

COLUMNS = "id,name,ra_deg,dec_deg,num_images,latest_image_id"


@pytest.fixture
def sources(any_pipeline: Pipeline) -> None:
    any_pipeline.make_image(id=5, path="/stage/img/a.fits")
    for source, ra_deg in (("J12+37", 180.0), ("a b", 10.5), ("=cmd()", 0.0), ("export", 1.0)):
        any_pipeline.make_photometry(source_id=source, image_path="/stage/img/a.fits", ra_deg=ra_deg, dec_deg=37.2)
    any_pipeline.make_photometry(source_id="lonely", image_path="/stage/img/none.fits", ra_deg=2.0, dec_deg=-0.5)


@pytest.mark.usefixtures("sources")
def test_sources_come_as_a_table_in_the_order_asked_for(any_client: FlaskClient) -> None:
    answer = any_client.get("/api/sources/export?ids=lonely,J12%2B37,nobody,lonely")
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sources.csv"'
    assert answer.text.splitlines() == [COLUMNS, "lonely,lonely,2.0,-0.5,0,", "J12+37,J12+37,180.0,37.2,1,5"]


@with_cache
@one_generation
@pytest.mark.usefixtures("sources")
def test_plus_and_space_in_an_id_are_understood_however_they_were_written(any_client: FlaskClient) -> None:
    for written in ("J12+37,a+b", "J12%2B37,a%20b", "J12+37,a%20b", "J12%2B37,a+b"):
        lines = table(any_client.get(f"/api/v1/sources/export?ids={written}"))
        assert [line["id"] for line in lines] == ["J12+37", "a b"], written


@with_cache
@one_generation
@pytest.mark.usefixtures("sources")
def test_spreadsheet_runs_nothing_of_a_source(any_client: FlaskClient) -> None:
    assert any_client.get("/api/v1/sources/export?ids=%3Dcmd()").text.splitlines()[1].startswith("'=cmd(),'=cmd(),0.0")


@one_generation
@pytest.mark.usefixtures("sources")
def test_one_source_comes_as_a_table_as_well(any_client: FlaskClient) -> None:
    answer = any_client.get("/api/sources/J12%2B37/export")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="source.csv"'
    assert answer.text.splitlines() == [COLUMNS, "J12+37,J12+37,180.0,37.2,1,5"]
    assert any_client.get("/api/sources/nobody/export").status_code == 404


@with_cache
def test_export_of_no_source_says_why(client: FlaskClient, pipeline: Pipeline) -> None:
    too_many = ",".join(["x"] * (MOST_SOURCES + 1))
    for query, status in (("", 400), ("?ids=", 400), ("?ids=nobody", 404), (f"?ids={too_many}", 422)):
        assert client.get(f"/api/sources/export{query}").status_code == status, query


@one_generation
@pytest.mark.usefixtures("sources")
def test_exported_sources_are_never_old(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    assert table(any_client.get("/api/sources/export?ids=lonely"))[0]["num_images"] == "0"
    any_pipeline.make_image(id=6, path="/stage/img/none.fits")
    assert table(any_client.get("/api/sources/export?ids=lonely"))[0]["latest_image_id"] == "6"
