"""Every page of the first half of the console, on every generation of the schema and on the demo survey."""

from __future__ import annotations

import re
import shlex
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from flask.testing import FlaskClient

from app.console.pages.assets import FILES
from app.console.render import STATIC
from tests.console.conftest import Console
from tests.support.pipeline import BASE_MJD, Pipeline

PAGES = ["", "images", "images?view=grid", "images/7", "images/7?stretch=log&cmap=viridis&sources=true", "sources",
         "sources/S1", "sources/S1?flux_type=peak", "candidates", "candidates?n_sigma=1"]  # fmt: skip
HOSTILE = "\"><script>alert(1)</script>&'{{7*7}}"


class Elements(HTMLParser):
    """Every element of a page with its attributes, and ids and labels for whoever asks."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def of(self, *tags: str) -> list[dict[str, str]]:
        """Attributes of all elements of some kinds."""
        return [attributes for tag, attributes in self.found if tag in tags]


def observe(pipeline: Pipeline) -> None:
    """One image, numbered 7, with two measured sources, one of them twice; and what belongs to them."""
    ms = pipeline.make_ms(stage="imaged")
    pipeline.make_image(id=7, path="/stage/img/7.fits", ms_path=ms, noise_jy=0.00035)
    pipeline.make_ms(stage="calibrated")
    pipeline.make_image(path="/stage/img/8.fits")
    pipeline.make_caltable(source_ms_path=ms)
    for n, path in enumerate(("/stage/img/7.fits", "/stage/img/8.fits", "/stage/img/gone.fits")):
        pipeline.make_photometry(source_id="S1", image_path=path, mjd=BASE_MJD + n, flux_jy=0.01 + n / 100)
    pipeline.make_photometry(source_id="S2", image_path="/stage/img/7.fits", flux_jy=None)


def test_pages_render_whatever_the_schema(any_pipeline: Pipeline, console: Console) -> None:
    observe(any_pipeline)
    client = console(any_pipeline)
    for page in PAGES:
        answer = client.get(f"/console/{page}")
        assert answer.status_code == 200, (page, answer.text)
        assert answer.content_type == "text/html; charset=utf-8"
        assert "<h1" in answer.text


def test_pages_of_an_empty_survey_say_that_there_is_nothing(client: FlaskClient) -> None:
    for page in ("", "images", "images?view=grid", "sources", "candidates"):
        answer = client.get(f"/console/{page}")
        assert answer.status_code == 200
        assert re.search(r"No image yet|No images\.|No sources\.|No source exceeds", answer.text), page


STARTS = ["", "images?limit=3", "images?limit=2&view=grid&sort=noise_jy", "images/20", "images/20/header", "images/36",
          "sources?limit=3&sort=-eta", "sources/J115951.4%2B371921", "candidates?n_sigma=1"]  # fmt: skip
# Drawn anew each time; their own tests look at them.
DRAWN = re.compile(
    r"/(thumbnail|preview\.png|cutout|lightcurve\.(svg|png)|timeline\.svg|candidates\.(svg|png))\?|/fits$"
)


def test_every_link_of_every_page_leads_somewhere(demo: FlaskClient) -> None:
    seen: set[str] = set()
    for start in STARTS:
        answer = demo.get(f"/console/{start}")
        assert answer.status_code == 200, start
        elements = Elements(answer.text)
        links = {each["href"] for each in elements.of("a", "link") if "href" in each}
        links |= {each["src"] for each in elements.of("img", "script") if "src" in each}
        for link in sorted(links - seen):
            seen.add(link)
            if link.startswith("#"):
                assert f'id="{link[1:]}"' in answer.text, (start, link)
            elif not DRAWN.search(link):
                target = link if link.startswith("/") else f"/console/{start.partition('?')[0]}{link}"
                with demo.get(target) as reached:
                    assert reached.status_code < 400, (start, link, reached.text[:300])
    assert len(seen) > 100


def test_every_curl_line_of_every_page_is_answered(demo: FlaskClient) -> None:
    subjects = {"ms": "ms?limit=1", "cal": "cal?limit=1", "jobs": "jobs?limit=1"}
    found = {
        kind: re.search(rf'/console/{kind}/[^"]+', demo.get(f"/console/{at}").text) for kind, at in subjects.items()
    }
    pages = [*STARTS, "ms", "cal", "jobs", "quality"] + [
        each[0].removeprefix("/console/") for each in found.values() if each
    ]
    assert len(pages) == len(STARTS) + 7
    asked: dict[str, int] = {}
    for page in pages:
        lines = re.findall(r"<code data-curl>curl (?!-X)(.*?)</code>", demo.get(f"/console/{page}").text)
        assert lines, page
        for line in lines:
            parts = urlsplit(shlex.split(unescape(line))[-1])
            with demo.get(f"{parts.path}?{parts.query}") as answer:
                assert answer.status_code == 200, (page, line, answer.get_data()[:300])
            asked[line] = asked.get(line, 0) + 1
    assert len(asked) > 25


def test_pictures_of_pages_are_what_the_api_draws(demo: FlaskClient) -> None:
    drawn: dict[str, str] = {}
    for start in ("", "images/20?cmap=viridis&beam=false", "sources/J115951.4%2B371921"):
        elements = Elements(demo.get(f"/console/{start}").text)
        for each in [*elements.of("img"), *elements.of("source")]:
            url = each.get("src") or each["srcset"]
            drawn.setdefault(urlsplit(url).path.rpartition("/")[2] + str("theme=dark" in url), url)
    assert {name.partition(".")[0].removesuffix("True").removesuffix("False") for name in drawn} >= {
        "thumbnail", "preview", "cutout", "timeline",
    }  # fmt: skip
    for url in drawn.values():
        with demo.get(url) as picture:
            assert picture.status_code == 200, (url, picture.text[:300])
            assert picture.mimetype.startswith("image/")


@pytest.mark.parametrize("page", STARTS)
def test_nothing_of_a_page_is_inline_or_from_elsewhere(demo: FlaskClient, page: str) -> None:
    answer = demo.get(f"/console/{page}")
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self';")
    elements = Elements(answer.text)
    assert not elements.of("style")
    for tag, attributes in elements.found:
        assert "style" not in attributes, (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ("href", "src", "action", "srcset"):
            assert attributes.get(name, "/").startswith(("/", "#", "?")), (tag, attributes)
    assert all(each.get("src") for each in elements.of("script"))


@pytest.mark.parametrize("page", STARTS)
def test_page_can_be_used_without_eyes_or_mouse(demo: FlaskClient, page: str) -> None:
    text = demo.get(f"/console/{page}").text
    elements = Elements(text)
    assert [len(elements.of(tag)) for tag in ("main", "h1", "header", "footer")] == [1, 1, 1, 1]
    labelled = {each["for"] for each in elements.of("label") if "for" in each}
    for control in elements.of("input", "select"):
        if control.get("type") not in {"hidden", "checkbox"}:
            assert control["id"] in labelled, control
    for image in elements.of("img"):
        assert image["alt"]
        assert image["width"]
        assert image["height"]
    ids = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(ids) == len(set(ids)), "every id once"
    assert 'href="#main"' in text


def test_hostile_names_are_shown_and_do_nothing(client: FlaskClient, pipeline: Pipeline) -> None:
    ms = pipeline.make_ms(f"/stage/{HOSTILE}.ms", stage=HOSTILE)
    pipeline.make_image(id=7, path=f"/stage/{HOSTILE}.fits", ms_path=ms, field_name=HOSTILE, type=HOSTILE)
    pipeline.make_job(ms_path=ms, run_id=f"job-{HOSTILE.replace('/', '')}", status="failed")
    for n in range(2):
        pipeline.make_photometry(
            source_id=HOSTILE.replace("/", ""), image_path=f"/stage/{HOSTILE}.fits", mjd=BASE_MJD + n
        )
    source = next(iter(client.get("/api/v1/sources").get_json()))["id"]
    for page in ("", "images", "images?view=grid", "images/7", "sources", f"sources/{quote(source, safe='')}",
                 "candidates", f"images?field_name={quote(HOSTILE)}", f"nothing/{quote(HOSTILE)}",
                 f"images?sort={quote(HOSTILE)}", f"sources?name={quote(HOSTILE)}&radius_deg=1"):  # fmt: skip
        text = client.get(f"/console/{page}").text
        assert "<script>alert" not in text, page
        assert "49" not in re.findall(r"&#39;(\d+)", text)
        assert all(each.get("src") for each in Elements(text).of("script"))


def test_pages_are_kept_while_the_databases_stand_and_no_longer(client: FlaskClient, pipeline: Pipeline) -> None:
    observe(pipeline)
    first = client.get("/console/images")
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = client.get("/console/images", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    pipeline.make_image(field_name="NEWCOMER")
    after = client.get("/console/images", headers={"If-None-Match": first.headers["ETag"]})
    assert after.status_code == 200
    assert "NEWCOMER" in after.text


def test_cacheable_page_names_no_host(client: FlaskClient, pipeline: Pipeline) -> None:
    observe(pipeline)
    for page in PAGES:
        assert "evil.example" not in client.get(f"/console/{page}", headers={"Host": "evil.example"}).text


def test_root_of_the_site_leads_to_the_console(client: FlaskClient) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/console/")
    assert client.get("/console").status_code == 308


def test_clients_own_start_page_keeps_the_root(
    pipeline: Pipeline, console: Console, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "ui").mkdir()
    (tmp_path / "ui" / "index.html").write_text("<p>ours")
    environ["DSA110_UI_DIR"] = str(tmp_path / "ui")
    client = console(pipeline)
    with client.get("/") as root:
        assert root.text == "<p>ours"
    assert "Overview" in client.get("/console/").text
    missing = client.get("/console/nowhere")
    assert missing.status_code == 404
    assert "What to do" in missing.text


def test_links_are_right_under_a_prefix(client: FlaskClient, pipeline: Pipeline) -> None:
    observe(pipeline)
    for page in ("/console/", "/console/images", "/console/images/7", "/console/sources/S1", "/console/candidates"):
        elements = Elements(client.get(page, environ_overrides={"SCRIPT_NAME": "/dsa"}).text)
        for tag, attributes in elements.found:
            for name in ("href", "src", "action", "srcset"):
                assert attributes.get(name, "/dsa/").startswith(("/dsa/", "#", "?")), (page, tag, attributes)
    curl = client.get("/console/images", environ_overrides={"SCRIPT_NAME": "/dsa"}).text
    assert "/dsa/api/v1/images?" in curl


def test_asset_is_kept_for_ever_under_the_name_of_its_content(client: FlaskClient) -> None:
    page = client.get("/console/").text
    for name in ("console.css", "console.js"):
        link = re.search(rf'"(/console/static/{name}\?v=[0-9a-f]+)"', page)
        assert link
        with client.get(link[1]) as asset:
            assert asset.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        with client.get(f"/console/static/{name}?v=old") as asset:
            assert asset.headers["Cache-Control"] == "private, no-cache"


def test_scripts_stay_small_and_make_no_markup_of_text() -> None:
    scripts = [path.read_text() for path in STATIC.glob("*.js")]
    assert scripts
    assert sum(len(script.splitlines()) for script in scripts) <= 300
    for script in scripts:
        assert not re.search(r"\beval\(|innerHTML|document\.write|new Function", script)


def test_every_file_of_the_room_can_be_had() -> None:
    assert set(FILES) == {path.name for path in STATIC.iterdir()}


# What was asked for, the status, and what the page says.
ERRORS = [
    ("images/999", 404, "Image not found"),
    ("sources/nobody", 404, "Source not found"),
    ("nowhere", 404, "lists above"),
    ("images?max_noise_jy=loud", 422, "max_noise_jy"),
    ("images?nonsense=1", 422, "Unknown parameter"),
    ("images?cursor=broken", 400, "start again from the first page"),
    ("images/7?cmap=jet", 400, "cmap"),
    ("images?ra_deg=1", 422, "dec_deg"),
    ("candidates?n_sigma=99", 422, "n_sigma"),
]


def test_errors_are_pages_that_say_what_to_do(client: FlaskClient, pipeline: Pipeline) -> None:
    observe(pipeline)
    for page, status, says in ERRORS:
        answer = client.get(f"/console/{page}")
        assert (answer.status_code, answer.mimetype) == (status, "text/html"), page
        assert answer.headers["Cache-Control"] == "no-store"
        assert "What to do" in answer.text
        assert says in unescape(answer.text), page


def test_mistake_in_a_form_of_its_own_is_named(client: FlaskClient, pipeline: Pipeline) -> None:
    observe(pipeline)
    for page, name in [("queue?status=foo", "status"), ("images/7?stretch=foo", "stretch"),
                       ("quality?end_date=2025-13-01", "end_date"), ("candidates?n_sigma=abc", "n_sigma")]:  # fmt: skip
        text = client.get(f"/console/{page}").text
        assert f"<dt><code>{name}</code></dt>" in text, page


def test_slash_behind_an_address_leads_to_it(client: FlaskClient, pipeline: Pipeline) -> None:
    observe(pipeline)
    answer = client.get("/console/images/?limit=3")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/console/images?limit=3")
    assert client.get("/console/nowhere/", follow_redirects=True).status_code == 404


def test_one_bad_filter_can_be_dropped_and_the_others_kept(client: FlaskClient, pipeline: Pipeline) -> None:
    observe(pipeline)
    page = unescape(client.get("/console/images?max_noise_jy=loud&field_name=3C286").text)
    assert 'href="/console/images?field_name=3C286"' in page


def test_database_away_is_a_page_that_says_so(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.connection.execute("DROP TABLE images")
    for page in ("", "images", "images/7"):
        answer = client.get(f"/console/{page}")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert "contimg-api doctor" in answer.text
        assert "products database" in answer.text, "how everything is that the service leans on"


def test_queue_away_is_told_and_everything_else_is_shown(
    pipeline: Pipeline, console: Console, environ: dict[str, str]
) -> None:
    observe(pipeline)
    environ["DSA110_QUEUE_URL"] = "redis://127.0.0.1:1/0"
    answer = console(pipeline).get("/console/")
    assert answer.status_code == 200
    assert "The work queue is away" in answer.text
    assert "/console/images/7" in answer.text


def test_failed_runs_are_what_needs_attention(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_ms(stage="converted", status="failed")
    text = client.get("/console/").text
    assert "1 of the newest runs failed" in text
    assert re.search(r'class="state ill">failed<', text)


def test_image_page_shows_the_whole_chain(client: FlaskClient, pipeline: Pipeline) -> None:
    observe(pipeline)
    text = unescape(client.get("/console/images/7").text)
    chain = text[text.index('<ol class="chain">') : text.index("</ol>", text.index('<ol class="chain">'))]
    kinds = re.findall(r"<b>([^<]+)</b>", chain)
    assert kinds == ["Sources", "Image", "Measurement set", "Calibration tables", "Run", "Log"]
    assert len(re.findall(r"<a href=", chain)) == 7, "one to the tables solved from it, one to those valid then"


def test_image_of_an_unknown_measurement_set_has_a_page(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image(id=7, path="/stage/img/7.fits", ms_path="/stage/ms/nowhere.ms")
    text = client.get("/console/images/7").text
    assert "not indexed" in text
    assert "ungraded" in text


def test_mean_is_drawn_among_fluxes_of_its_own_kind(client: FlaskClient, pipeline: Pipeline) -> None:
    observe(pipeline)
    for kind, drawn in (("", True), ("?flux_type=integrated", True), ("?flux_type=peak", False)):
        assert ('class="mean"' in client.get(f"/console/sources/S1{kind}").text) == drawn, kind


def test_light_curve_has_values_for_hover_and_keyboard(client: FlaskClient, pipeline: Pipeline) -> None:
    observe(pipeline)
    text = unescape(client.get("/console/sources/S1").text)
    points = re.findall(r'<a (href="[^"]+"|tabindex="0" role="img") class="point" aria-label="([^"]+)"', text)
    assert [link.split('"')[1] for link, _ in points[:2]] == ["/console/images/7", "/console/images/8"]
    assert points[2][0].startswith("tabindex"), "its image is gone, its value is not"
    assert re.fullmatch(r"2025-\S+ \S+ UTC: 10\.00 ± \S+ mJy \(image #7, good\)", points[0][1])
    assert "bar-of-error" in text
