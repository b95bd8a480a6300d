"""The root of the site: the dashboard's links, and the dashboard itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.config import Settings
from tests.support.pipeline import Pipeline

MS = "%2Fstage%2Fms%2F2025-10-31T13%3A49%3A06.ms"
HASHED = "assets/index-Bx_Y3aZ9.js"
SECRET = "not for everybody"
START = "<!doctype html><title>Dashboard</title>"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("/logs/job-2025-10-31-134906", "/api/logs/job-2025-10-31-134906"),
        ("/logs/job-x?tail=5", "/api/logs/job-x?tail=5"),
        ("/qa/image/7", "/api/qa/image/7"),
        ("/qa/job/job-x", "/api/qa/job/job-x"),
        (f"/qa/ms/{MS}", f"/api/qa/ms/{MS}"),
        ("/qa/ms//stage/ms/a.ms", "/api/qa/ms/%2Fstage%2Fms%2Fa.ms"),
        ("/cal/%2Fstage%2Fcal%2Fbp%20%25%3F.tbl", "/api/cal/%2Fstage%2Fcal%2Fbp%20%25%3F.tbl"),
        (f"/viewer/carta?ms={MS}", f"/api/ms/{MS}/metadata"),
    ],
)
def test_links_of_the_dashboard_lead_to_the_api(client: FlaskClient, link: str, target: str) -> None:
    answer = client.get(link)
    assert (answer.status_code, answer.headers["Location"]) == (302, target)


def test_links_hold_where_the_service_lies_under_a_prefix(client: FlaskClient) -> None:
    answer = client.get("/qa/image/7", environ_overrides={"SCRIPT_NAME": "/dsa110"})
    assert answer.headers["Location"] == "/dsa110/api/qa/image/7"


def test_links_lead_nowhere_else(client: FlaskClient) -> None:
    assert client.get("/viewer/carta").status_code == 404
    for path in ("//evil.example", "/logs///evil.example"):
        assert client.get("/", environ_overrides={"PATH_INFO": path}).status_code == 404
    assert client.get("/qa/ms///evil.example").headers["Location"] == "/api/qa/ms/%2F%2Fevil.example"


def test_without_a_client_nothing_answers_at_the_root_but_the_console(client: FlaskClient) -> None:
    assert client.get("/").headers["Location"] == "/console/"
    for path in ("/images/7", "/index.html"):
        answer = client.get(path)
        assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built client, and beside it what it must not serve."""
    directory = tmp_path_factory.mktemp("site") / "dist"
    (directory.parent / "hidden.txt").write_text(SECRET)
    (directory / "assets").mkdir(parents=True)
    (directory / "images").mkdir()
    (directory / "index.html").write_text(START)
    (directory / HASHED).write_text("export const x = 1;")
    (directory / "assets" / "logo.svg").write_text("<svg/>")
    (directory / "images" / "precomposed-picture.png").write_bytes(b"PNG")
    (directory / "vite-manifest.json").write_text("{}")
    for name in (".env", "cache.sqlite3"):
        (directory / name).write_text(SECRET)
    (directory / "link.txt").symlink_to(directory.parent / "hidden.txt")
    (directory / "folder").symlink_to(directory.parent)
    return directory


def serving(directory: Path, **environ: str) -> Iterator[FlaskClient]:
    with Pipeline(directory / "state") as pipeline:
        settings = {
            "DSA110_ENV": "testing",
            "PIPELINE_PRODUCTS_DB": str(pipeline.products_path),
            "PIPELINE_CAL_REGISTRY_DB": str(pipeline.registry_path),
            "DSA110_STATE_DIR": str(directory / "state"),
            "DSA110_LOG_REQUESTS": "false",
        }
        app = create_app(Settings.from_environment({**settings, **environ}))
        yield app.test_client()
        app.extensions["contimg.services"].close()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A service without a client."""
    yield from serving(tmp_path_factory.mktemp("bare"), DSA110_UI_DIR="")


@pytest.fixture(scope="module")
def site(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A service with one."""
    yield from serving(tmp_path_factory.mktemp("served"), DSA110_UI_DIR=str(built))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/index.html",
        "/images",
        "/images/",
        "/images/7",
        "/sources/J12+37",
        f"/ms/{MS}",
        "/ms//stage/ms/2025-10-31T13:49:06.ms",
        "/jobs/job-2025-10-31-134906",
        "/apiary",
        "/metricsandmore",
        "/logs",
        "/a//b/",
    ],
)
def test_every_page_of_the_client_is_its_start_page(site: FlaskClient, path: str) -> None:
    with site.get(path) as answer:
        assert (answer.status_code, answer.mimetype, answer.text) == (200, "text/html", START)
        assert "no-cache" in answer.headers["Cache-Control"]
        etag = answer.headers["ETag"]
    with site.get(path, headers={"If-None-Match": etag}) as unchanged:
        assert unchanged.status_code == 304


def test_client_runs_scripts_that_answers_of_the_api_may_not(site: FlaskClient) -> None:
    with site.get("/") as page:
        policy = page.headers["Content-Security-Policy"]
        assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src" not in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'self'" in policy
    assert "default-src 'none'" in site.get("/api/v1/images").headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("path", "kind", "forever"),
    [
        (HASHED, "text/javascript", True),
        ("assets/logo.svg", "image/svg+xml", False),
        ("images/precomposed-picture.png", "image/png", False),
        ("vite-manifest.json", "application/json", False),
    ],
)
def test_only_what_is_named_after_its_content_is_kept(site: FlaskClient, path: str, kind: str, forever: bool) -> None:
    for again in range(2):
        with site.get(f"/{path}") as answer:
            assert (answer.status_code, answer.mimetype) == (200, kind), again
            assert ("immutable" in answer.headers["Cache-Control"]) is forever
            assert ("max-age=31536000" in answer.headers["Cache-Control"]) is forever


def test_files_of_the_client_come_in_parts_and_without_body(site: FlaskClient, built: Path) -> None:
    content = (built / HASHED).read_bytes()
    with site.get(f"/{HASHED}", headers={"Range": "bytes=7-11"}) as part:
        assert (part.status_code, part.data) == (206, content[7:12])
    with site.head(f"/{HASHED}") as head:
        assert (head.status_code, head.data, head.headers["Content-Length"]) == (200, b"", str(len(content)))
    with site.get(f"/{HASHED}", headers={"Range": "bytes=999-"}) as beyond:
        assert beyond.status_code == 416


@pytest.mark.parametrize("path", ["/assets/index-deadbeef.js", "/assets/", "/assets/none", "/app.js", "/none.css"])
def test_missing_part_of_the_client_is_not_a_page(site: FlaskClient, path: str) -> None:
    assert site.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/../hidden.txt",
        "/assets/../../hidden.txt",
        "/%2e%2e/hidden.txt",
        "/assets/..%2f..%2fhidden.txt",
        "//{root}/hidden.txt",
        "/%2F{root}%2Fhidden.txt",
        "/..%5chidden.txt",
        "/hidden%00.txt",
        "/.env",
        "/link.txt",
        "/folder/hidden.txt",
        "/cache.sqlite3",
    ],
)
def test_nothing_outside_the_client_is_served(site: FlaskClient, built: Path, path: str) -> None:
    # As a server hands it on: decoded once, whatever it begins with.
    with site.get("/", environ_overrides={"PATH_INFO": unquote(path.format(root=built.parent))}) as answer:
        assert SECRET not in answer.text
        assert answer.status_code in {200, 404}


@pytest.mark.parametrize(
    "path", ["/link.txt", "/folder/hidden.txt", "/.env", "/cache.sqlite3", "/../hidden.txt", "/assets/../../hidden.txt"]
)
def test_what_is_there_and_may_not_be_seen_is_refused(site: FlaskClient, path: str) -> None:
    assert site.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/nothing", "/api", "/metrics/nothing"])
def test_client_does_not_hide_what_the_api_does_not_know(site: FlaskClient, path: str) -> None:
    answer = site.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    assert site.post(path).status_code == 404


def test_client_does_not_hide_the_api_its_links_and_its_methods(site: FlaskClient) -> None:
    assert site.get("/api/images").get_json() == []
    assert site.get("/api/health").get_json()["status"] == "healthy"
    assert site.get("/metrics").mimetype == "text/plain"
    assert site.get("/qa/image/7").status_code == 302
    assert site.get("/api/redoc").status_code == 302
    assert site.post("/images/7").status_code == 405
    assert site.delete("/api/v1/images").status_code == 405


def test_directory_without_a_client_is_404(tmp_path: Path) -> None:
    for client in serving(tmp_path, DSA110_UI_DIR=str(tmp_path / "nowhere")):
        assert client.get("/").status_code == 404
