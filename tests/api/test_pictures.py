"""Pictures, cut-outs, headers and measured sources of images over HTTP."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from app.services.pictures import service
from tests.support.pipeline import Pipeline
from tests.support.radio_images import NX, NY, pixels, write_image

DRAWN = ("thumbnail", "preview.png?size=320", "cutout?ra_deg=180&dec_deg=37.2", "animation?size=128")
CENTRE = "ra_deg=180&dec_deg=37.2"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def make_image(pipeline: Pipeline, path: Path, **columns: Any) -> str:
    if not path.exists():
        write_image(path)
    return str(pipeline.make_image(**{"path": str(path), "field_name": "3C286", "type": "image", **columns}))


@pytest.fixture
def image(pipeline: Pipeline, data: Path) -> str:
    """Two images of one field; the id of the first."""
    first = make_image(pipeline, data / "a.fits")
    make_image(pipeline, data / "b.fits")
    return first


def kept(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "state" / "api" / "pictures").rglob("*") if path.is_file()]


def picture(client: FlaskClient, url: str) -> Image.Image:
    with client.get(url) as response:
        assert response.status_code == 200, response.text
        return Image.open(io.BytesIO(response.data))


def body(client: FlaskClient, url: str) -> bytes:
    with client.get(url) as response:
        assert response.status_code == 200, response.text
        return response.data


def status(client: FlaskClient, url: str) -> int:
    with client.get(url) as response:
        return response.status_code


def problem(client: FlaskClient, url: str) -> tuple[int, str]:
    response = client.get(url)
    return response.status_code, response.get_json()["error"]


def test_thumbnail_is_a_png_of_the_size_asked_for(client: FlaskClient, image: str) -> None:
    assert picture(client, f"/api/images/{image}/thumbnail").size == (256, 192)
    small = picture(client, f"/api/v1/images/{image}/thumbnail?size=32")
    assert (small.size, small.format) == ((32, 24), "PNG")


def test_thumbnail_of_an_impossible_size_is_refused(client: FlaskClient, image: str) -> None:
    for size in ("31", "2049", "0", "-5", "1e3", "x", ""):
        assert problem(client, f"/api/images/{image}/thumbnail?size={size}") == (422, "VALIDATION_FAILED"), size


def test_preview_draws_what_is_asked_for(client: FlaskClient, pipeline: Pipeline, image: str, data: Path) -> None:
    url = f"/api/images/{image}/preview.png?size=320"
    plain = body(client, url)
    assert max(Image.open(io.BytesIO(plain)).size) == 320
    for more in ("stretch=log", "cmap=viridis", "theme=dark", "beam=false", "grid=true"):
        assert body(client, f"{url}&{more}") != plain, more
    assert body(client, f"{url}&sources=true") == plain
    pipeline.make_photometry(image_path=str(data / "a.fits"), ra_deg=180.0, dec_deg=37.2)
    assert body(client, f"{url}&sources=true") != plain, "the new measurement is circled at once"


def test_unknown_word_is_answered_with_the_known_ones(client: FlaskClient, image: str) -> None:
    for query in ("stretch=zoom", "cmap=jet", "theme=blue"):
        response = client.get(f"/api/images/{image}/preview.png?{query}")
        assert response.status_code == 400, query
        assert "expected one of" in response.get_json()["detail"]


@pytest.mark.parametrize("what", DRAWN)
def test_picture_is_made_once_and_revalidated_for_nothing(
    client: FlaskClient, image: str, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"/api/images/{image}/{what}"
    with client.get(url) as response:
        first = response.data
        etag = response.headers["ETag"]
        assert response.headers["Cache-Control"] == "private, no-cache"
        assert response.headers["Accept-Ranges"] == "bytes"
    assert len(kept(tmp_path)) == 1
    monkeypatch.setattr(service, "open_image", None)  # what is kept needs no opening
    with client.get(url) as again:
        assert (again.data, again.headers["ETag"]) == (first, etag)
    with client.get(url, headers={"Range": "bytes=10-19"}) as part:
        assert (part.status_code, part.data) == (206, first[10:20])
    with client.head(url) as head:
        assert (head.status_code, head.headers["Content-Length"], head.data) == (200, str(len(first)), b"")
    for path in kept(tmp_path):
        path.unlink()
    with client.get(url, headers={"If-None-Match": f'"other", {etag}'}) as unchanged:
        assert (unchanged.status_code, unchanged.data) == (304, b"")
        assert unchanged.headers["ETag"] == etag
    assert kept(tmp_path) == []


@pytest.mark.parametrize("what", DRAWN)
def test_changed_file_gets_a_new_picture(client: FlaskClient, image: str, data: Path, what: str) -> None:
    url = f"/api/images/{image}/{what}"
    with client.get(url) as response:
        before, etag = response.data, response.headers["ETag"]
    before_change = (data / "a.fits").stat()
    write_image(data / "new.fits", pixels(7))
    os.utime(data / "new.fits", ns=(before_change.st_atime_ns, before_change.st_mtime_ns))
    os.replace(data / "new.fits", data / "a.fits")
    with client.get(url, headers={"If-None-Match": etag}) as response:
        assert response.status_code == 200
        assert response.data != before


def test_picture_is_the_same_under_both_prefixes(client: FlaskClient, image: str, tmp_path: Path) -> None:
    assert body(client, f"/api/images/{image}/thumbnail") == body(client, f"/api/v1/images/{image}/thumbnail")
    assert len(kept(tmp_path)) == 1


ROUTES = ("header", "header?format=text", *DRAWN, "sources")


def test_unknown_image_is_not_found(client: FlaskClient) -> None:
    for what in ROUTES:
        response = client.get(f"/api/images/999/{what}")
        assert (response.status_code, response.get_json()["code"]) == (404, "IMAGE_NOT_FOUND"), what


def test_image_without_a_file_is_not_found(client: FlaskClient, pipeline: Pipeline, data: Path) -> None:
    number = pipeline.make_image(path=str(data / "absent.fits"))
    for what in ROUTES[:-1]:
        assert problem(client, f"/api/images/{number}/{what}") == (404, "FILE_NOT_ACCESSIBLE"), what


def test_file_outside_the_data_roots_is_not_read(client: FlaskClient, pipeline: Pipeline, tmp_path: Path) -> None:
    path = write_image(tmp_path / "elsewhere" / "a.fits")
    number = pipeline.make_image(path=str(path))
    for what in ROUTES[:-1]:
        assert problem(client, f"/api/images/{number}/{what}") == (404, "FILE_NOT_ACCESSIBLE"), what


@pytest.mark.parametrize("content", [b"", b"not FITS at all", b"SIMPLE  =                    T" + b" " * 2850])
def test_broken_file_is_a_problem_of_the_file(
    client: FlaskClient, pipeline: Pipeline, data: Path, content: bytes, tmp_path: Path
) -> None:
    (data / "a.fits").write_bytes(content)
    number = make_image(pipeline, data / "a.fits")
    make_image(pipeline, data / "b.fits")
    for what in ROUTES[:-1]:
        assert problem(client, f"/api/images/{number}/{what}") == (422, "FITS_PARSING_ERROR"), what
    assert kept(tmp_path) == []


def test_truncated_file_is_a_problem_of_the_file(client: FlaskClient, image: str, data: Path, tmp_path: Path) -> None:
    content = (data / "a.fits").read_bytes()
    (data / "a.fits").write_bytes(content[:4000])
    for what in ("thumbnail", "preview.png", f"cutout?{CENTRE}&format=png", f"cutout?{CENTRE}"):
        assert problem(client, f"/api/images/{image}/{what}") == (422, "FITS_PARSING_ERROR"), what
    assert kept(tmp_path) == []


def test_blank_image_is_told_apart_from_a_broken_one(client: FlaskClient, pipeline: Pipeline, data: Path) -> None:
    write_image(data / "blank.fits", np.full((NY, NX), np.nan, np.float32))
    number = make_image(pipeline, data / "blank.fits")
    for what in ("thumbnail", "preview.png", f"cutout?{CENTRE}&format=png"):
        assert problem(client, f"/api/images/{number}/{what}") == (422, "IMAGE_BLANK"), what


def test_cutout_is_fits_with_coordinates_around_the_position(client: FlaskClient, image: str) -> None:
    url = f"/api/images/{image}/cutout?{CENTRE}"
    with client.get(f"{url}&size_arcsec=80") as response:
        assert response.headers["Content-Type"] == "application/fits"
        assert 'filename="a-180.00000+37.20000-80as.fits"' in response.headers["Content-Disposition"]
        (hdu,) = fits.open(io.BytesIO(response.data))
    assert hdu.data.shape == (20, 20)
    assert WCS(hdu.header).wcs_world2pix([[180.0, 37.2]], 0)[0] == pytest.approx([10.0, 10.0])
    assert body(client, f"{url}&size_arcmin=2") == body(client, f"{url}&size_arcsec=120")


def test_cutout_follows_a_source_by_name(client: FlaskClient, pipeline: Pipeline, image: str, data: Path) -> None:
    name = "NVSS 0000+16 core β 5%/x"
    pipeline.make_photometry(source_id=name, image_path=str(data / "b.fits"), ra_deg=180.1, dec_deg=37.2)
    pipeline.make_photometry(source_id=name, image_path=str(data / "a.fits"), ra_deg=180.01, dec_deg=37.21)
    pipeline.make_photometry(source_id=name, image_path="/other.fits", ra_deg=10.0, dec_deg=-40.0)
    by_name = body(client, f"/api/images/{image}/cutout?source={quote(name)}&size_arcsec=40")
    by_position = body(client, f"/api/images/{image}/cutout?ra_deg=180.01&dec_deg=37.21&size_arcsec=40")
    assert by_name == by_position, "where it was measured in this image"
    response = client.get(f"/api/images/{image}/cutout?source=nobody")
    assert (response.status_code, response.get_json()["code"]) == (404, "SOURCE_NOT_FOUND")


def test_cutout_as_a_picture_takes_what_a_preview_takes(client: FlaskClient, image: str) -> None:
    url = f"/api/images/{image}/cutout?{CENTRE}&format=png&size=400"
    drawn = picture(client, url)
    assert (drawn.format, max(drawn.size)) == ("PNG", 400)
    assert body(client, url) != body(client, f"{url}&cmap=inferno")


IMPOSSIBLE = (
    ("", 422, "VALIDATION_FAILED"),
    ("ra_deg=180", 422, "VALIDATION_FAILED"),
    ("dec_deg=37.2", 422, "VALIDATION_FAILED"),
    (f"{CENTRE}&source=x", 422, "VALIDATION_FAILED"),
    ("ra_deg=180&source=x", 422, "VALIDATION_FAILED"),
    ("source=", 422, "VALIDATION_FAILED"),
    ("ra_deg=nan&dec_deg=37.2", 422, "VALIDATION_FAILED"),
    ("ra_deg=inf&dec_deg=37.2", 422, "VALIDATION_FAILED"),
    ("ra_deg=361&dec_deg=37.2", 422, "VALIDATION_FAILED"),
    ("ra_deg=180&dec_deg=-90.1", 422, "VALIDATION_FAILED"),
    (f"{CENTRE}&size_arcsec=0", 422, "VALIDATION_FAILED"),
    (f"{CENTRE}&size_arcsec=36001", 422, "VALIDATION_FAILED"),
    (f"{CENTRE}&size_arcsec=60&size_arcmin=1", 422, "VALIDATION_FAILED"),
    (f"{CENTRE}&format=jpeg", 400, "VALIDATION_ERROR"),
    ("ra_deg=10&dec_deg=37.2", 404, "POSITION_OUTSIDE_IMAGE"),
    ("ra_deg=0&dec_deg=-37.2", 404, "POSITION_OUTSIDE_IMAGE"),
)


def test_impossible_cutout_says_why(client: FlaskClient, image: str, tmp_path: Path) -> None:
    for query, code, error in IMPOSSIBLE:
        for more in ("", "" if "format" in query else "&format=png"):
            found = problem(client, f"/api/images/{image}/cutout?{query}{more}")
            assert found == (code, error), (query, more)
    assert kept(tmp_path) == []


def test_cutout_is_bounded_in_pixels(
    environ: dict[str, str], make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, image: str
) -> None:
    environ["DSA110_CUTOUT_MAX_PIXELS"] = "400"
    client = make_app(pipeline).test_client()
    assert status(client, f"/api/images/{image}/cutout?{CENTRE}&size_arcsec=80") == 200
    response = client.get(f"/api/images/{image}/cutout?{CENTRE}&size_arcsec=84")
    assert (response.status_code, response.get_json()["error"]) == (422, "CUTOUT_TOO_LARGE")
    assert response.get_json()["details"] == {"pixels": 441, "most": 400}


def test_animation_shows_the_field_in_the_order_of_time(
    any_client: FlaskClient, any_pipeline: Pipeline, data: Path
) -> None:
    stamps = ["2025-10-03T01:02:03", "2025-10-01T01:02:03", "2025-10-02T01:02:03"]
    ids = []
    for number, stamp in enumerate(stamps):
        ms = any_pipeline.make_ms(
            f"/stage/ms/{stamp}.ms", mid_mjd=60951.04 + int(stamp[8:10]), pointing_ra_deg=180.0, pointing_dec_deg=37.2
        )
        path = write_image(data / f"{stamp}.fits", pixels(number), header={"DATE-OBS": stamp})
        ids.append(any_pipeline.make_image(path=str(path), ms_path=ms, type="image", center_ra_deg=180.0,
                                           center_dec_deg=37.2, field_name="F"))  # fmt: skip
    made = picture(any_client, f"/api/images/{ids[0]}/animation?size=128&fps=5&cmap=gray")
    assert (made.format, made.n_frames, made.info["duration"]) == ("GIF", 3, 200)  # type: ignore[attr-defined]
    shown = []
    for number in range(3):
        made.seek(number)
        shown.append(np.asarray(made.convert("L"))[:80].astype(float))
    (data / "2025-10-02T01:02:03.fits").unlink()
    shorter = picture(any_client, f"/api/images/{ids[0]}/animation?size=128&fps=5&cmap=gray")
    assert shorter.n_frames == 2  # type: ignore[attr-defined]
    shorter.seek(1)
    np.testing.assert_array_equal(np.asarray(shorter.convert("L"))[:80], shown[2])
    nearest = picture(any_client, f"/api/images/{ids[0]}/animation?size=128&frames=2")
    assert nearest.n_frames == 2  # type: ignore[attr-defined]


def test_animation_of_a_lonely_image_is_not_there(client: FlaskClient, pipeline: Pipeline, data: Path) -> None:
    number = make_image(pipeline, data / "a.fits", center_ra_deg=180.0, center_dec_deg=37.2)
    make_image(pipeline, data / "b.fits", field_name="elsewhere", center_ra_deg=181.0, center_dec_deg=37.2)
    make_image(pipeline, data / "c.fits", type="residual", center_ra_deg=180.0, center_dec_deg=37.2)
    make_image(pipeline, data / "absent.fits.lost", center_ra_deg=180.0, center_dec_deg=37.2)
    (data / "absent.fits.lost").unlink()
    (data / "broken.fits").write_bytes(b"broken")
    assert problem(client, f"/api/images/{number}/animation") == (404, "TOO_FEW_IMAGES")
    make_image(pipeline, data / "broken.fits", center_ra_deg=180.0, center_dec_deg=37.2)
    assert problem(client, f"/api/images/{number}/animation") == (404, "TOO_FEW_IMAGES")
    make_image(pipeline, data / "d.fits", field_name="another name", center_ra_deg=180.3, center_dec_deg=37.1)
    assert picture(client, f"/api/images/{number}/animation?size=128").n_frames == 2  # type: ignore[attr-defined]


def test_animation_is_bounded(client: FlaskClient, image: str) -> None:
    for query in ("frames=1", "frames=51", "fps=0.5", "fps=11", "fps=nan", "size=10", "size=641", "frames=x"):
        found = problem(client, f"/api/images/{image}/animation?{query}")
        assert found == (422, "VALIDATION_FAILED"), query


def test_header_is_json_or_text(client: FlaskClient, image: str) -> None:
    (hdu,) = client.get(f"/api/images/{image}/header").get_json()
    assert (hdu["index"], hdu["name"], hdu["kind"], hdu["shape"]) == (0, "PRIMARY", "image", [NY, NX])
    assert hdu["cards"][0] == {"keyword": "SIMPLE", "value": True, "comment": "conforms to FITS standard"}
    assert {"keyword": "OBJECT", "value": "3C286", "comment": ""} in hdu["cards"]
    text = client.get(f"/api/images/{image}/header?format=text")
    assert text.headers["Content-Type"].startswith("text/plain")
    assert all(len(line) == 80 for line in text.text.splitlines())
    assert "OBJECT  = '3C286   '" in text.text
    assert client.head(f"/api/images/{image}/header").status_code == 200


def test_header_of_a_table_without_images_is_read(client: FlaskClient, pipeline: Pipeline, data: Path) -> None:
    fits.BinTableHDU.from_columns([fits.Column("A", "E", array=[1.0])]).writeto(data / "table.fits")
    number = make_image(pipeline, data / "table.fits")
    assert [hdu["kind"] for hdu in client.get(f"/api/images/{number}/header").get_json()] == ["image", "table"]
    assert problem(client, f"/api/images/{number}/thumbnail") == (422, "FITS_PARSING_ERROR")


def test_sources_of_an_image_come_with_their_fluxes_in_it(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    number = any_pipeline.make_image(path="/stage/a.fits")
    common = {"image_path": "/stage/a.fits", "mjd": 60000.5, "snr": None}
    any_pipeline.make_photometry(source_id="faint", flux_jy=0.002, flux_err_jy=0.001, **common)
    any_pipeline.make_photometry(source_id="bright", ra_deg=0.0, dec_deg=-1.0, flux_jy=0.5, flux_err_jy=0.01, **common)
    any_pipeline.make_photometry(source_id="bright", image_path="/stage/b.fits", flux_jy=9.0)
    bright, faint = any_client.get(f"/api/images/{number}/sources").get_json()
    assert bright == {
        "id": "bright", "ra_deg": 0.0, "dec_deg": -1.0, "flux_jy": 0.5, "flux_err_jy": 0.01, "snr": 50.0,
        "detected": True, "mjd": 60000.5,
    }  # fmt: skip
    assert (faint["id"], faint["snr"], faint["detected"]) == ("faint", 2.0, False)


def test_sources_of_an_image_are_walked_by_link_without_loss(client: FlaskClient, pipeline: Pipeline) -> None:
    number = pipeline.make_image(path="/stage/a.fits")
    fluxes = [0.1, 0.1, 0.1, None, float("inf"), 0.0, -0.5, 0.3]
    for n, flux_jy in enumerate(fluxes):
        pipeline.make_photometry(source_id=f"S{n}", image_path="/stage/a.fits", flux_jy=flux_jy, peak_jyb=0.1)
    found: list[dict[str, Any]] = []
    url = f"/api/v1/images/{number}/sources?limit=3&count=exact"
    while url:
        response = client.get(url)
        assert response.headers["X-Total-Count"] == "8"
        found += response.get_json()
        links = [part for part in response.headers["Link"].split(", ") if 'rel="next"' in part]
        url = links[0].split(">")[0].lstrip("<") if links else ""
    assert sorted(item["id"] for item in found) == [f"S{n}" for n in range(8)]
    values = [item["flux_jy"] for item in found]
    assert values == sorted(values, reverse=True)
    assert values.count(0.1) == 5, "a missing or infinite flux falls back to the peak"


def test_cursor_of_another_image_is_refused(client: FlaskClient, pipeline: Pipeline) -> None:
    ids = [pipeline.make_image(path=f"/stage/{name}.fits") for name in "ab"]
    for n in range(4):
        pipeline.make_photometry(source_id=f"S{n}", image_path=f"/stage/{'ab'[n % 2]}.fits")
    link = client.get(f"/api/v1/images/{ids[0]}/sources?limit=1").headers["Link"]
    cursor = link.split("cursor=")[1].split(">")[0]
    assert status(client, f"/api/v1/images/{ids[0]}/sources?limit=1&cursor={cursor}") == 200
    assert problem(client, f"/api/v1/images/{ids[1]}/sources?limit=1&cursor={cursor}") == (400, "VALIDATION_ERROR")


def test_image_nobody_measured_has_no_sources(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    number = any_pipeline.make_image()
    assert any_client.get(f"/api/images/{number}/sources").get_json() == []


def test_more_pictures_at_once_than_allowed_are_put_off(
    environ: dict[str, str], make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, image: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    environ["DSA110_RENDERINGS"] = "1"
    app = make_app(pipeline)
    begun, finish = threading.Semaphore(0), threading.Event()
    drawn = service.draw_thumbnail

    def slowly(*arguments: Any) -> None:
        begun.release()
        finish.wait(30)
        drawn(*arguments)

    monkeypatch.setattr(service, "draw_thumbnail", slowly)
    statuses: list[int] = []

    def ask(size: int) -> None:
        statuses.append(status(app.test_client(), f"/api/images/{image}/thumbnail?size={size}"))

    threads = [threading.Thread(target=ask, args=(size,)) for size in (50, 60)]
    for thread in threads:
        thread.start()
    assert begun.acquire(timeout=30)
    turnstile = app.extensions["contimg.services"].pictures._turnstile
    while turnstile._queue._value:
        pass
    response = app.test_client().get(f"/api/images/{image}/thumbnail?size=70")
    finish.set()
    assert (response.status_code, response.get_json()["error"]) == (503, "SERVICE_OVERLOADED")
    assert int(response.headers["Retry-After"]) > 0
    for thread in threads:
        thread.join()
    assert statuses == [200, 200]
    assert status(app.test_client(), f"/api/images/{image}/thumbnail?size=70") == 200


def test_pictures_stay_within_the_bound_on_disk(
    environ: dict[str, str], make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, image: str, tmp_path: Path
) -> None:
    environ["DSA110_PICTURE_CACHE_BYTES"] = "40000"
    client = make_app(pipeline).test_client()
    for size in range(60, 110):
        assert status(client, f"/api/images/{image}/thumbnail?size={size}") == 200
        assert sum(path.stat().st_size for path in kept(tmp_path)) <= 40000
    assert len(kept(tmp_path)) > 3


def test_pictures_are_given_where_nothing_can_be_kept(
    environ: dict[str, str], make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, image: str, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_bytes(b"")
    environ["DSA110_API_STATE_DIR"] = str(tmp_path / "taken")
    client = make_app(pipeline).test_client()
    whole = body(client, f"/api/images/{image}/thumbnail")
    with client.get(f"/api/images/{image}/thumbnail", headers={"Range": "bytes=-8"}) as part:
        assert (part.status_code, part.data) == (206, whole[-8:])


def test_range_that_is_no_single_range_of_bytes_gets_the_whole_file(
    client: FlaskClient, image: str, data: Path
) -> None:
    for asked in (
        "bytes=0-4,10-14", "bytes=10-14, -5", "items=0-4", "bytes=x", "bytes", "", "bytes=5-2", "bytes=--1",
    ):  # fmt: skip
        with client.get(f"/api/images/{image}/fits", headers={"Range": asked}) as response:
            assert (response.status_code, response.data) == (200, (data / "a.fits").read_bytes()), asked


def test_single_range_is_given(client: FlaskClient, image: str, data: Path) -> None:
    content = (data / "a.fits").read_bytes()
    for asked, start, stop in (
        ("bytes=5-", 5, None), ("bytes=-5", -5, None), ("bytes=0-0", 0, 1), ("bytes=5-999999999", 5, None),
    ):  # fmt: skip
        with client.get(f"/api/images/{image}/fits", headers={"Range": asked}) as response:
            assert (response.status_code, response.data) == (206, content[start:stop]), asked
            last = (len(content) if stop is None else stop) - 1
            assert response.headers["Content-Range"] == f"bytes {start % len(content)}-{last}/{len(content)}"


def test_download_does_not_resume_into_a_file_that_changed(client: FlaskClient, image: str, data: Path) -> None:
    with client.head(f"/api/images/{image}/fits") as head:
        etag, modified = head.headers["ETag"], head.headers["Last-Modified"]
    content = bytearray((data / "a.fits").read_bytes())
    content[-1] ^= 1
    (data / "a.fits").write_bytes(content)
    with client.get(f"/api/images/{image}/fits", headers={"Range": "bytes=100-", "If-Range": etag}) as response:
        assert (response.status_code, response.data) == (200, bytes(content))
    with client.get(f"/api/images/{image}/fits", headers={"If-Match": etag}) as response:
        assert response.status_code == 412
        assert response.get_json()["error"] == "PRECONDITION_FAILED"
    with client.get(f"/api/images/{image}/fits", headers={"If-Modified-Since": modified}) as response:
        assert response.status_code in {200, 304}, "within the same second HTTP dates cannot tell"


def test_proxy_is_told_where_the_file_lies(
    environ: dict[str, str], make_app: Callable[[Pipeline], Flask], pipeline: Pipeline, data: Path
) -> None:
    environ["DSA110_ACCEL_PREFIX"] = "/protected/"
    client = make_app(pipeline).test_client()
    number = make_image(pipeline, data / "a b%β.fits")
    with client.get(f"/api/images/{number}/fits", headers={"Range": "bytes=0-4"}) as response:
        assert (response.status_code, response.data) == (200, b"")
        assert response.headers["X-Accel-Redirect"] == quote(f"/protected{data}/a b%β.fits")
        assert response.headers["Content-Type"] == "application/fits"
        assert response.headers["Cache-Control"] == "private, no-cache"
        assert "filename*=UTF-8''a%20b%25%CE%B2.fits" in response.headers["Content-Disposition"]
    with client.get(f"/api/images/{number}/thumbnail") as response:
        assert "X-Accel-Redirect" not in response.headers
    absent = pipeline.make_image(path=str(data / "absent.fits"))
    assert problem(client, f"/api/images/{absent}/fits") == (404, "FILE_NOT_ACCESSIBLE")


def test_no_descriptor_is_left_open(client: FlaskClient, image: str) -> None:
    def ask() -> None:
        for what, headers in (
            ("fits", {}), ("fits", {"Range": "bytes=999999999-"}), ("fits", {"If-Match": '"x"'}), ("thumbnail", {}),
            ("thumbnail", {"Range": "bytes=0-3"}), ("header", {}),
        ):  # fmt: skip
            client.get(f"/api/images/{image}/{what}", headers=headers).close()
            client.head(f"/api/images/{image}/{what}", headers=headers).close()

    ask()
    before = len(os.listdir("/proc/self/fd"))
    ask()
    assert len(os.listdir("/proc/self/fd")) == before
