"""FITS files: only regular files inside the data roots, whole, in part, and resumed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.support.pipeline import Pipeline

CONTENT = bytes(range(256)) * 100


@pytest.fixture
def image(pipeline: Pipeline, tmp_path: Path) -> tuple[int, Path]:
    path = tmp_path / "data" / "image.fits"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(CONTENT)
    return pipeline.make_image(path=str(path)), path


def test_file_comes_whole_under_its_own_name(client: FlaskClient, image: tuple[int, Path]) -> None:
    with client.get(f"/api/images/{image[0]}/fits") as response:
        assert response.data == CONTENT
        assert response.headers["Content-Type"] == "application/fits"
        assert "image.fits" in response.headers["Content-Disposition"]
        assert response.headers["Content-Length"] == str(len(CONTENT))
        assert response.headers["Accept-Ranges"] == "bytes"
        assert response.headers["Cache-Control"] == "private, no-cache"


def test_broken_download_resumes_while_the_file_is_the_same(client: FlaskClient, image: tuple[int, Path]) -> None:
    url = f"/api/images/{image[0]}/fits"
    with client.head(url) as head:
        etag = head.headers["ETag"]
    with client.get(url, headers={"Range": "bytes=1000-", "If-Range": etag}) as rest:
        assert rest.status_code == 206
        assert rest.data == CONTENT[1000:]
    with client.get(url, headers={"Range": "bytes=1000-", "If-Range": '"another"'}) as whole:
        assert whole.status_code == 200
        assert whole.data == CONTENT
    with client.get(url, headers={"If-None-Match": etag}) as unchanged:
        assert unchanged.status_code == 304


def test_range_beyond_the_end_is_refused(client: FlaskClient, image: tuple[int, Path]) -> None:
    with client.get(f"/api/images/{image[0]}/fits", headers={"Range": "bytes=99999999-"}) as response:
        assert response.status_code == 416
        assert response.get_json()["error"] == "RANGE_NOT_SATISFIABLE"
        assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def refused(client: FlaskClient, pipeline: Pipeline, path: str) -> str:
    number = pipeline.make_image(path=path)
    response = client.get(f"/api/images/{number}/fits")
    assert response.status_code == 404, path
    body = response.get_json()
    assert body["error"] == "FILE_NOT_ACCESSIBLE"
    assert body["details"]["operation"] == "read"
    assert os.path.dirname(path) == "" or os.path.dirname(path) not in response.text
    return str(body["details"]["path"])


def test_what_is_no_file_inside_the_roots_is_refused(client: FlaskClient, pipeline: Pipeline, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(exist_ok=True)
    outside = tmp_path / "outside.fits"
    outside.write_bytes(CONTENT)
    (data / "link.fits").symlink_to(outside)
    (data / "casa.image").mkdir()
    (tmp_path / "data-of-others").mkdir()
    (tmp_path / "data-of-others" / "x.fits").write_bytes(CONTENT)
    os.mkfifo(data / "pipe.fits")
    for path in (
        data / "missing.fits",
        outside,
        data / "link.fits",
        data / "casa.image",
        data / "pipe.fits",
        data / ".." / "outside.fits",
        tmp_path / "data-of-others" / "x.fits",
        Path("/etc/passwd"),
        Path("/proc/self/environ"),
    ):
        refused(client, pipeline, str(path))
    assert refused(client, pipeline, "a\0b.fits")
    assert refused(client, pipeline, "")


def test_link_inside_the_roots_is_followed(client: FlaskClient, pipeline: Pipeline, image: tuple[int, Path]) -> None:
    link = image[1].with_name("latest.fits")
    link.symlink_to(image[1])
    with client.get(f"/api/images/{pipeline.make_image(path=str(link))}/fits") as response:
        assert response.data == CONTENT


@pytest.mark.parametrize("name", ["copy.sqlite3", "copy.db", "copy.sqlite3-wal", "COPY.SQLITE"])
def test_database_is_no_download_wherever_it_lies(
    client: FlaskClient, pipeline: Pipeline, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "data" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"SQLite format 3\0" + bytes(100))
    refused(client, pipeline, str(path))


def test_database_in_use_is_no_download_under_another_name(
    client: FlaskClient, pipeline: Pipeline, tmp_path: Path
) -> None:
    alias = tmp_path / "data" / "innocent.fits"
    alias.parent.mkdir(exist_ok=True)
    os.link(pipeline.products_path, alias)
    refused(client, pipeline, str(alias))


def test_file_that_is_not_fits_is_downloaded_as_it_is(client: FlaskClient, pipeline: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "data" / "notes.fits"
    path.parent.mkdir(exist_ok=True)
    path.write_text("no FITS at all")
    with client.get(f"/api/images/{pipeline.make_image(path=str(path))}/fits") as response:
        assert response.data == b"no FITS at all"
