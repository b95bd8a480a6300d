"""Lists of the console: each page is one call of the API, filters survive, pages follow each other."""

from __future__ import annotations

import csv
import io
import re
import shlex
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient

from app.console.forms import in_jansky, in_milli, meant
from tests.console.test_console_pages import Elements
from tests.support.pipeline import BASE_MJD, Pipeline

QUERIES = [
    "images",
    "images?sort=-noise_jy&limit=7",
    "images?qa_grade=good&qa_grade=warn&max_noise_jy=0.0006&view=grid",
    "images?field_name=RA180%2B37&min_observed_mjd=2025-10-28",
    "images?ra_deg=12:00:00&dec_deg=%2B37:12:00&radius_deg=1",
    "images?ra_deg=180&dec_deg=37.2&match=footprint&fields=path,noise_jy",
    "sources?min_eta=1.5&sort=-eta,id",
    "sources?prefix_id=J12&flux_type=peak&min_max_snr=8",
    "sources?name=J120015.0%2B371603&radius_arcsec=600",
]


def curl_of(page: str) -> str:
    """Path and query of the page's curl line."""
    line = re.search(r"<code data-curl>(.*?)</code>", page, re.DOTALL)
    assert line
    command, url = shlex.split(unescape(line[1]))
    assert command == "curl"
    parts = urlsplit(url)
    assert parts.netloc.startswith("localhost:")
    return f"{parts.path}?{parts.query}"


def ids_in(page: str, kind: str) -> list[str]:
    """Ids of the rows that a page shows, in their order."""
    start = page.index("<tbody>") if "<tbody>" in page else page.index('<ul class="cards">')
    body = page[start : page.index("</tbody>" if "<tbody>" in page else "</ul>", start)]
    first = re.findall(rf'<(?:tr><td|li)><a href="/console/{kind}/([^"]+)"', body.replace("\n", ""))
    return [dict(parse_qsl(f"id={name}"))["id"] for name in first]


@pytest.mark.parametrize("query", QUERIES)
def test_curl_line_gives_the_rows_of_the_page(demo: FlaskClient, query: str) -> None:
    page = demo.get(f"/console/{query}")
    assert page.status_code == 200, page.text
    answer = demo.get(curl_of(page.text))
    assert answer.status_code == 200, answer.text
    rows = [row["id"] for row in answer.get_json()]
    assert rows
    assert ids_in(page.text, query.partition("?")[0]) == rows


@pytest.mark.parametrize("query", ["images?limit=5&qa_grade=good", "images?limit=5&sort=noise_jy&view=grid",
                                   "sources?limit=7&sort=-eta"])  # fmt: skip
def test_pages_follow_each_other_to_the_end(demo: FlaskClient, query: str) -> None:
    kind = query.partition("?")[0]
    url, met, pages = f"/console/{query}", [], 0
    while url:
        page = demo.get(url).text
        met += ids_in(page, kind)
        links = [each["href"] for each in Elements(page).of("a") if each.get("rel") == "next"]
        url, pages = (links[0] if links else ""), pages + 1
        assert all(pair in parse_qsl(urlsplit(url).query) for pair in parse_qsl(query.partition("?")[2])) or not url
    wanted = query.replace("&view=grid", "").replace("limit=5", "limit=1000").replace("limit=7", "limit=1000")
    assert met == [row["id"] for row in demo.get(f"/api/v1/{wanted}").get_json()]
    assert pages > 3
    assert "First page" in page


def test_form_shows_and_keeps_what_is_filtered(demo: FlaskClient) -> None:
    query = (
        "qa_grade=good&qa_grade=warn&max_noise_jy=0.00065&field_name=3C286&sort=-noise_jy&limit=100&match=footprint"
        "&min_freq_ghz=1&prefix_path=%2F&fields=noise_jy&view=grid&radius_deg=2&ra_deg=202&dec_deg=30"
    )
    page = demo.get(f"/console/images?{query}").text
    form = page[page.index('<form class="filters"') : page.index("</form>")]
    elements = Elements(form)
    sent = [
        (each["name"], each.get("value", "on"))
        for each in elements.of("input")
        if each.get("value") and (each.get("type") != "checkbox" or "checked" in each)
    ]
    for select in re.findall(r"<select.*?</select>", form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', select)
        name = re.search(r'name="([^"]+)"', select)
        assert name
        sent += [(name[1], chosen[1])] if chosen and chosen[1] else []
    meant = [in_jansky(name, unescape(value)) for name, value in sent]
    assert sorted(meant) == sorted(parse_qsl(query))


def test_filter_can_be_removed_alone(demo: FlaskClient) -> None:
    page = unescape(demo.get("/console/images?qa_grade=good&max_noise_jy=0.0006&sort=id").text)
    assert "noise ≤ 0.6 mJy/beam" in page
    assert 'href="/console/images?qa_grade=good&sort=id" aria-label="Remove the filter noise' in page
    assert 'href="/console/images?sort=id">Remove all' in page


def test_what_a_form_leaves_empty_is_dropped_from_the_url(demo: FlaskClient) -> None:
    answer = demo.get("/console/images?field_name=&max_noise_mjy=0.35&qa_grade=good&ra_deg=+&qa_grade=warn")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/console/images?max_noise_jy=0.00035&qa_grade=good&qa_grade=warn"
    assert demo.get("/console/images?field_name=").headers["Location"] == "/console/images"


@pytest.mark.parametrize(
    ("milli", "jansky"), [("0.35", "0.00035"), ("1", "0.001"), ("1e3", "1"), ("-2", "-0.002"), ("120", "0.12")]
)
def test_fluxes_are_asked_for_in_millijansky_without_rounding(milli: str, jansky: str) -> None:
    assert in_jansky("max_noise_mjy", milli) == ("max_noise_jy", jansky)
    assert float(in_milli(jansky)) == float(milli)


@pytest.mark.parametrize("flux", ["1e999999", "1e-999999", "1e99999999", "1e400", "-1e900000", "nan", "1e31"])
def test_flux_that_nobody_writes_out_is_refused_as_it_was_typed(demo: FlaskClient, flux: str) -> None:
    """Its digits would fill the page, or the memory."""
    landed = demo.get(f"/console/images?max_noise_mjy={flux}", follow_redirects=True)
    assert len(landed.text) < 100_000
    assert landed.status_code in {200, 422}
    (field,) = [each for each in Elements(landed.text).of("input") if each.get("name") == "max_noise_mjy"]
    assert field["value"] == flux


@pytest.mark.parametrize(
    ("name", "typed", "asked"),
    [
        ("dec_deg", "\u221212:00:00", "-12:00:00"), ("ra_deg", "180.0605°", "180.0605"), ("radius_deg", "1°", "1"),
        ("radius_arcsec", " 600″ ", "600"), ("min_started_at", "2025-10-28 12:00", "2025-10-28T12:00:00"),
        ("max_started_at", "2025-10-28 12:00:05", "2025-10-28T12:00:05"), ("max_mid_mjd", "60976.5", "60976.5"),
        ("field_name", "RA\u221210", "RA\u221210"), ("name", "J1200+37", "J1200+37"),
    ],
)  # fmt: skip
def test_what_pages_show_may_be_asked_for_as_it_is_shown(name: str, typed: str, asked: str) -> None:
    assert meant(name, typed) == (name, asked)


def test_flux_may_be_asked_for_with_its_unit() -> None:
    assert [meant("max_noise_mjy", f"0.6 {unit}")[1] for unit in ("mJy", "mJy/beam")] == ["0.0006"] * 2


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("images?ra_deg=180&dec_deg=37.2", "radius_deg=1"), ("ms?ra_deg=180&dec_deg=37.2", "radius_deg=1"),
        ("sources?name=J115951.4%2B371921", "radius_arcsec=600"),
    ],
)  # fmt: skip
def test_position_without_a_radius_means_what_the_form_suggests(demo: FlaskClient, query: str, asked: str) -> None:
    page = demo.get(f"/console/{query}")
    assert page.status_code == 200
    assert asked in curl_of(page.text)
    suggested = {each["name"]: each.get("placeholder") for each in Elements(page.text).of("input") if "name" in each}
    name, value = asked.split("=")
    assert suggested[name] == value
    assert f"within {value}{'°' if name == 'radius_deg' else '″'} of" in page.text
    assert "radius" not in curl_of(demo.get(f"/console/images?{query.partition('?')[2]}&match=footprint").text)


@pytest.mark.parametrize(
    ("query", "control", "value"),
    [
        ("sources?ra_deg=180&dec_deg=37.2&radius_deg=0.2", "radius_arcsec", "720"),
        ("images?ra_deg=180&dec_deg=37.2&radius_arcsec=600", "radius_deg", "0.1666666667"),
        ("images?ra_deg=180&dec_deg=37.2&radius_deg=0.2", "radius_deg", "0.2"),
        ("sources?ra_deg=180&dec_deg=37.2&radius_deg=near", "radius_arcsec", "near"),
    ],
)
def test_form_shows_a_radius_that_was_given_in_the_other_unit_and_sends_it_once(
    demo: FlaskClient, query: str, control: str, value: str
) -> None:
    fields = [each for each in Elements(demo.get(f"/console/{query}").text).of("input") if "name" in each]
    radii = [(each["name"], each["value"]) for each in fields if each["name"] in {"radius_deg", "radius_arcsec"}]
    assert radii == [(control, value)]
    if value == "720":
        sent = [(each["name"], each["value"]) for each in fields if each.get("value") and each.get("type") != "radio"]
        again = demo.get("/console/sources", query_string=sent, follow_redirects=True)
        assert again.status_code == 200
        assert "radius_arcsec=720" in curl_of(again.text)


def test_page_says_which_moment_of_the_observation_it_shows(demo: FlaskClient) -> None:
    page = demo.get("/console/images/1").text
    assert "middle of the observation <time" in page
    assert "in the picture's title is the start of the observation" in page


def test_image_that_has_no_picture_says_so_in_the_grid(demo: FlaskClient) -> None:
    page = demo.get("/console/images?view=grid&file_format=casa").text
    assert "CASA image, no picture" in page
    assert "<img" not in page
    assert "file_format" in curl_of(page)
    assert "<img" in demo.get("/console/images?view=grid&limit=3").text


def test_nonsense_stays_as_it_is_for_the_api_to_refuse() -> None:
    for value in ("loud", "nan", "inf", "1,5", "1e100000", "1e5000000", "-1e-900"):
        assert in_jansky("max_noise_mjy", value) == ("max_noise_jy", value)
    assert in_jansky("name", "x_mjy") == ("name", "x_mjy")


def test_day_until_which_is_asked_is_in_it(demo: FlaskClient) -> None:
    answer = demo.get("/console/images?min_observed_mjd=2025-11-02&max_observed_mjd=2025-11-02&limit=100")
    assert answer.headers["Location"] == (
        "/console/images?min_observed_mjd=2025-11-02&max_observed_mjd=2025-11-02T23:59:59.999Z&limit=100"
    )
    page = unescape(demo.get(answer.headers["Location"]).text)
    day = [row for row in demo.get("/api/v1/images?limit=1000&fields=id,observed_mjd").get_json()
           if 60981 <= row["observed_mjd"] < 60982]  # fmt: skip
    assert len(day) > 1
    assert sorted(ids_in(page, "images")) == sorted(row["id"] for row in day)
    assert re.search(r'name="max_observed_mjd" value="2025-11-02"', page)
    assert "observed ≤ 2025-11-02 " in page
    assert meant("max_observed_mjd", "60981") == ("max_observed_mjd", "60981")
    assert meant("min_observed_mjd", "2025-11-02") == ("min_observed_mjd", "2025-11-02")


# What was asked, the status, what was not understood and why, the control that is marked, and what can be kept.
REFUSED = [
    ("images?max_noise_jy=loud&field_name=3C286", 422, "noise ≤ loud mJy/beam", "valid number", "max_noise_mjy",
     "images?field_name=3C286"),
    ("images?max_observed_mjd=soon&view=grid", 400, "observed ≤ soon", "ISO 8601", "max_observed_mjd",
     "images?view=grid"),
    ("images?ra_deg=180&radius_deg=1", 422, "Dec</b>", "needs ra_deg and dec_deg", "dec_deg", None),
    ("sources?name=3C286&radius_arcsec=60&min_eta=high", 422, "η ≥ high", "valid number", "min_eta",
     "sources?name=3C286&radius_arcsec=60"),
    ("sources?name=3C286&radius_arcsec=60", 404, "source = 3C286", "not found", "name", "sources?radius_arcsec=60"),
    ("ms?min_mid_mjd=x&stage=imaged", 400, "observed ≥ x", "ISO 8601", "min_mid_mjd", "ms?stage=imaged"),
    ("jobs?nonsense=2", 422, "nonsense = 2", "Unknown parameter", None, None),
    ("cal?cursor=broken&status=active", 400, "cursor = broken", "first page", None, "cal?status=active"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "status", "words", "reason", "marked", "kept"), REFUSED)
def test_filter_that_is_refused_stays_in_the_form(
    demo: FlaskClient, query: str, status: int, words: str, reason: str, marked: str | None, kept: str | None
) -> None:
    answer = demo.get(f"/console/{query}")
    page = unescape(answer.text)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (status, "no-store")
    said = page[page.index('id="refused"') : page.index("</section>")]
    assert words in said
    assert reason in said
    assert (f'href="/console/{kept}">Keep the rest' in said) == (kept is not None)
    fields = {each["name"]: each for each in Elements(answer.text).of("input") if "name" in each}
    assert [name for name, field in fields.items() if "aria-invalid" in field] == ([marked] if marked else [])
    for name, value in parse_qsl(urlsplit(query).query):
        control = fields.get(name) or fields.get(name.replace("_jy", "_mjy"), {"value": value})
        assert control["value"] == value, name
    assert "The same with curl" not in page
    assert "Every page:" not in page


def test_counts_are_told_in_the_right_number(demo: FlaskClient) -> None:
    assert "<span>1 image shown" in demo.get("/console/images?id=7").text
    assert "<span>2 images shown" in demo.get("/console/images?id=7&id=8").text
    assert "the number of rows is zero" in demo.get("/console/images?limit=0").text


def test_heads_sort_and_then_turn_round(demo: FlaskClient) -> None:
    page = unescape(demo.get("/console/images?qa_grade=good").text)
    assert 'href="/console/images?qa_grade=good&sort=-noise_jy"' in page
    assert 'href="/console/images?qa_grade=good&sort=field_name"' in page
    turned = unescape(demo.get("/console/images?qa_grade=good&sort=-noise_jy").text)
    assert 'href="/console/images?qa_grade=good&sort=noise_jy"' in turned
    assert turned.count('aria-sort="descending"') == 1


def test_downloads_hold_exactly_what_is_shown(demo: FlaskClient) -> None:
    page = demo.get("/console/sources?limit=5&sort=-eta&min_eta=1").text
    links = [each["href"] for each in Elements(page).of("a") if "format=csv" in each.get("href", "")]
    here, everything = (list(csv.DictReader(io.StringIO(demo.get(link).text))) for link in links)
    assert [row["id"] for row in here] == ids_in(page, "sources")
    assert [row["id"] for row in everything[:5]] == ids_in(page, "sources")
    assert len(everything) == len(demo.get("/api/v1/sources?limit=1000&min_eta=1").get_json())
    heads = [each["title"] for each in Elements(page).of("th")]
    assert len(here[0]) == len(heads)


def test_format_that_cannot_be_written_here_is_not_offered(demo: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "format=parquet" in demo.get("/console/sources").text
    monkeypatch.setattr("app.services.tables.parquet.find_spec", lambda _name: None)
    page = demo.get("/console/sources?limit=3").text
    assert "format=votable" in page
    assert "format=parquet" not in page


def test_page_of_downloads_starts_where_the_page_starts(demo: FlaskClient) -> None:
    first = demo.get("/console/images?limit=4").text
    following = next(each["href"] for each in Elements(first).of("a") if each.get("rel") == "next")
    page = demo.get(following).text
    link = next(each["href"] for each in Elements(page).of("a") if "format=csv" in each.get("href", ""))
    rows = list(csv.DictReader(io.StringIO(demo.get(link).text)))
    assert [row["id"] for row in rows] == ids_in(page, "images")


def test_empty_cone_tells_whether_it_was_ever_observed(demo: FlaskClient) -> None:
    page = demo.get("/console/sources?ra_deg=10&dec_deg=-80&radius_arcsec=60").text
    assert "never observed" in page
    seen = demo.get("/console/sources?ra_deg=180.0001&dec_deg=37.2001&radius_arcsec=0.1").text
    assert "The position was observed" in seen


def test_plane_draws_the_filters_as_its_thresholds(demo: FlaskClient) -> None:
    page = demo.get("/console/sources?min_eta=1&min_v=0.1").text
    assert page.count('class="threshold"') == 2
    assert page.count('class="star"') == len(ids_in(page, "sources"))
    assert 'class="threshold"' not in demo.get("/console/sources").text


def test_candidates_are_those_of_the_api(demo: FlaskClient) -> None:
    page = demo.get("/console/candidates?n_sigma=1.2").text
    answer = demo.get(curl_of(page)).get_json()
    assert ids_in(page, "sources") == [each["id"] for each in answer["candidates"]] != []
    assert page.count('class="point out"') == len(answer["candidates"])


def test_where_no_source_exceeds_the_thresholds_lower_ones_are_offered(demo: FlaskClient) -> None:
    page = unescape(demo.get("/console/candidates?min_n=3").text)
    assert "No source exceeds both thresholds" in page
    for sigma in ("2", "1"):
        assert f'href="/console/candidates?n_sigma={sigma}&min_n=3"' in page
    assert "n_sigma=2&" not in demo.get("/console/candidates?n_sigma=1.5").text


def test_piece_is_shown_before_it_is_taken(demo: FlaskClient) -> None:
    asked = "ra_deg=12:00:10&dec_deg=%2B37:12:00&size_arcsec=300"
    page = demo.get(f"/console/images/1/piece?{asked}")
    assert page.status_code == 200
    assert "75 × 75 pixels" in page.text
    links = [each for each in Elements(page.text).of("a") if "/cutout?" in each.get("href", "")]
    for link, kind in zip(links, ("application/fits", "image/png"), strict=True):
        with demo.get(link["href"]) as picture:
            assert (picture.status_code, picture.mimetype) == (200, kind)
    assert curl_of(page.text.replace("curl -OJ", "curl")) == links[0]["href"]


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ("ra_deg=noon&dec_deg=37&size_arcsec=300", 422, "Position</b>: Expected an angle"),
        ("ra_deg=180&dec_deg=37.2&size_arcsec=wide", 422, "Side</b>: Not a valid number"),
        ("ra_deg=0&dec_deg=-80&size_arcsec=300", 404, "Position</b>: "),
        ("", 422, "Position</b>: Give ra_deg and dec_deg"),
    ],
)
def test_piece_that_cannot_be_cut_says_why_beside_the_form(
    demo: FlaskClient, asked: str, status: int, says: str
) -> None:
    page = demo.get(f"/console/images/1/piece?{asked}")
    assert page.status_code == status
    assert says in page.text
    assert "<img" not in page.text
    fields = {each["name"]: each["value"] for each in Elements(page.text).of("input")}
    assert fields == {"ra_deg": "", "dec_deg": "", "size_arcsec": "", **dict(parse_qsl(asked))}


def test_missing_and_infinite_values_are_shown_as_unknown(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image(id=1, noise_jy=None, center_ra_deg=float("inf"), dynamic_range=None, field_name=None)
    for n, flux in enumerate((0.0, float("inf"), 1e-9)):
        pipeline.make_photometry(source_id="S", flux_jy=flux, peak_jyb=0.0, mjd=BASE_MJD + n, dec_deg=-0.0001)
    for page in ("images", "sources", "sources/S", "", "images/1"):
        text = client.get(f"/console/{page}").text
        assert not re.search(r">(nan|inf|None)\b", text), page
        assert 'class="none"' in text or not page.startswith("images"), page
