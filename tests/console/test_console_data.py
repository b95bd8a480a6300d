"""Measurement sets, calibration tables and quality by day, as the console shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.console.day_bars import columns_of
from app.console.windows import windows
from app.domain.graded_days import GradedDay
from tests.console.conftest import Console
from tests.console.test_console_work import HOSTILE, curl_of, page
from tests.support.pipeline import BASE_MJD, BASE_UNIX_S, Pipeline

DAY_S = 86400.0


def at(path: str) -> str:
    """A path as one segment of an address."""
    return quote(path, safe="")


def test_data_are_shown_whatever_the_schema(any_pipeline: Pipeline, console: Console) -> None:
    ms = any_pipeline.make_ms(stage="imaged", mid_mjd=BASE_MJD)
    any_pipeline.make_image(ms_path=ms)
    any_pipeline.make_caltable(source_ms_path=ms, path="/stage/cal/a.bcal")
    any_pipeline.make_calibration_qa(ms_path=ms)
    client = console(any_pipeline)
    for path in ("ms", f"ms/{at(ms)}", "cal", f"cal/{at('/stage/cal/a.bcal')}", "quality"):
        assert "<h1" in page(client, path), path


def test_where_there_are_no_data_the_page_says_so(client: FlaskClient) -> None:
    said = [("ms", "No measurement sets."), ("cal", "No calibration tables."), ("quality", "No image yet.")]
    for path, words in said:
        assert words in re.sub(r"<[^>]+>", "", page(client, path))


def test_survey_without_a_registry_has_its_pages(console: Console, tmp_path: Path) -> None:
    with Pipeline(tmp_path / "bare", registry=False) as bare:
        ms = bare.make_ms()
        client = console(bare)
        assert "No calibration tables." in re.sub(r"<[^>]+>", "", page(client, "cal"))
        assert "No calibration table was solved from it." in page(client, f"ms/{at(ms)}")


LISTS = [
    ("ms", "limit=2"), ("ms", "stage=imaged&sort=path"), ("ms", "ra_deg=180&dec_deg=37&radius_deg=2"),
    ("cal", "limit=2"),
]  # fmt: skip


def test_curl_line_of_a_list_gives_the_rows_of_the_page(client: FlaskClient, pipeline: Pipeline) -> None:
    for n in range(4):
        pipeline.make_ms(stage="imaged" if n % 2 else "calibrated", pointing_ra_deg=180.0 + n, pointing_dec_deg=37.0)
        pipeline.make_caltable()
    for path, query in LISTS:
        text = page(client, f"{path}?{query}")
        shown = re.findall(rf'<td><a href="/console/{path}/([^"]+)"', text)
        rows = client.get(curl_of(text)).json
        assert [at(row["path"]) for row in rows] == shown, query
        assert shown, query


def test_measurement_set_shows_what_belongs_to_it(client: FlaskClient, pipeline: Pipeline) -> None:
    ms = pipeline.make_ms(f"/stage/{HOSTILE.replace('/', '')}.ms", stage="calibrated", mid_mjd=BASE_MJD)
    image = pipeline.make_image(ms_path=ms)
    other = pipeline.make_image(ms_path="/stage/other.ms")
    pipeline.make_caltable(source_ms_path=ms, path="/stage/cal/own.kcal", set_name="own")
    pipeline.make_caltable(path="/stage/cal/then.kcal", set_name="then")
    pipeline.make_caltable(path="/stage/cal/later.kcal", set_name="later", valid_start_mjd=BASE_MJD + 1)
    text = page(client, f"ms/{at(ms)}")
    assert "<script>alert" not in text
    assert f"/console/images/{image}" in text
    assert f'"/console/images/{other}"' not in text
    assert f"/api/v1/ms/{at(ms)}/download" in text
    assert "own.kcal" in text
    drawn = text[text.index("Valid when it was observed") :]
    assert "then" in drawn
    assert "later" not in drawn, "not valid at the time of the observation"
    assert client.get(curl_of(text)).json["path"] == ms


def test_calibration_table_shows_its_window_among_others(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_caltable(path="/stage/cal/a.bcal", table_type="BP", set_name="first", source_ms_path="/stage/gone.ms")
    near = {"valid_start_mjd": BASE_MJD + 3, "valid_end_mjd": BASE_MJD + 4}
    pipeline.make_caltable(path="/stage/cal/b.bcal", table_type="BP", set_name="near", **near)
    far = {"valid_start_mjd": BASE_MJD + 30, "valid_end_mjd": BASE_MJD + 31}
    pipeline.make_caltable(path="/stage/cal/c.bcal", table_type="BP", set_name="far", **far)
    pipeline.make_caltable(path="/stage/cal/a.gcal", table_type="GP", set_name="unlike")
    text = page(client, f"cal/{at('/stage/cal/a.bcal')}")
    names = re.findall(r'<text class="name"[^>]*>([^<]+)</text>', text)
    assert sorted(names) == ["first", "near"]
    assert text.count("window chosen") == 1
    assert f"min_mid_mjd={BASE_MJD - 0.5:.6f}" in text


def table(n: int, **columns: object) -> dict[str, object]:
    """A row of the list of calibration tables."""
    usual = {"path": f"/cal/{n}", "set_name": f"set {n}", "table_type": "K", "status": "active"}
    return {**usual, "valid_start_mjd": 60000.0 + n, "valid_end_mjd": 60001.0 + n, **columns}


@pytest.fixture
def requested() -> Iterator[None]:
    """A request, without which there are no links."""
    with Flask("console").test_request_context("/console/"):
        yield


drawing = pytest.mark.usefixtures("requested")


@drawing
def test_windows_are_drawn_to_scale() -> None:
    drawn = windows([table(0), table(1), table(9)])
    first, second, last = drawn.bars
    assert first.width == pytest.approx(second.width, abs=0.2)
    assert second.x == pytest.approx(first.x + first.width, abs=0.3)
    assert last.x - first.x == pytest.approx(9 * first.width, rel=0.02)
    assert drawn.left <= first.x < last.x + last.width <= drawn.right


@drawing
def test_tables_of_a_set_that_share_a_window_are_one_bar() -> None:
    same = {"set_name": "s", "valid_start_mjd": 60000.0, "valid_end_mjd": 60001.0}
    drawn = windows([table(0, **same), table(1, table_type="BP", **same), table(2, status="failed", **same)])
    assert [bar.state for bar in drawn.bars] == ["good", "fail"]
    assert "K BP" in drawn.bars[0].text


@drawing
def test_window_without_an_end_reaches_to_the_edge() -> None:
    opened, _ = windows([table(0, valid_end_mjd=None), table(3)]).bars
    assert opened.opens_right
    assert opened.x + opened.width == windows([table(0, valid_end_mjd=None), table(3)]).right


@drawing
@pytest.mark.parametrize("end", [float("nan"), float("inf"), None, "soon"])
def test_window_that_is_no_window_is_counted_and_not_drawn(end: object) -> None:
    drawn = windows([table(0), table(1, valid_start_mjd=end, valid_end_mjd=end)])
    assert (len(drawn.bars), drawn.n_missing) == (1, 1)
    assert windows([table(1, valid_start_mjd=end, valid_end_mjd=end)]).bars == []


def test_quality_counts_the_images_of_each_day_by_grade(client: FlaskClient, pipeline: Pipeline) -> None:
    today = BASE_UNIX_S // DAY_S * DAY_S
    for days_ago, stage in ((0, "imaged"), (0, "imaged"), (0, "calibrated"), (2, "converted")):
        ms = pipeline.make_ms(stage=stage)
        pipeline.make_image(ms_path=ms, created_at=today - days_ago * DAY_S + 10)
    pipeline.make_image(ms_path="/stage/unknown.ms", created_at=today - DAY_S / 2)
    days = client.get("/api/v1/qa/days?days=3").json["days"]
    counts = [tuple(day[word] for word in ("good", "warn", "fail", "ungraded", "total")) for day in days]
    assert counts == [(0, 0, 1, 0, 1), (0, 0, 0, 1, 1), (2, 1, 0, 0, 3)]
    text = page(client, "quality?days=3")
    assert client.get(curl_of(text)).json["days"] == days
    assert "5 images" in re.sub(r"<[^>]+>", "", text)


def test_number_of_a_day_leads_to_exactly_its_images(client: FlaskClient, pipeline: Pipeline) -> None:
    today = BASE_UNIX_S // DAY_S * DAY_S
    for second in (-1.0, 0.0, 1.0, DAY_S - 0.5, DAY_S):
        ms = pipeline.make_ms(stage="imaged")
        pipeline.make_image(ms_path=ms, created_at=today + second)
    text = page(client, "quality?days=3")
    (link,) = re.findall(r'<a href="(/console/images\?[^"]+)" aria-label="3 good on [\d-]+">3</a>', text)
    images = page(client, link.replace("&amp;", "&").removeprefix("/console/"))
    assert len(set(re.findall(r'<td><a href="/console/images/(\d+)"', images))) == 3


@pytest.mark.parametrize("made_at", [float("inf"), "yesterday", -5.0])
def test_image_made_at_no_time_spoils_no_day(client: FlaskClient, pipeline: Pipeline, made_at: object) -> None:
    pipeline.make_image(created_at=BASE_UNIX_S)
    pipeline.make_image(created_at=made_at)
    days = client.get("/api/v1/qa/days?days=2").json["days"]
    assert [day["total"] for day in days] == [0, 1]
    assert "<h1" in page(client, "quality")


def test_last_day_can_be_chosen(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.make_image(created_at=BASE_UNIX_S)
    for end_date, totals in (("2025-10-31", [0, 1]), ("2025-11-01T05:00:00Z", [1, 0]), ("1970-01-01", [0, 0])):
        days = client.get(f"/api/v1/qa/days?days=2&end_date={end_date}").json["days"]
        assert [day["total"] for day in days] == totals
        assert days[-1]["date"] == end_date[:10]


def test_days_that_cannot_be_are_refused(client: FlaskClient) -> None:
    for query, status in (("days=0", 422), ("days=x", 422), ("end_date=soon", 400), ("end_date=0001-01-01", 422)):
        assert client.get(f"/api/v1/qa/days?{query}").status_code == status
        assert f"<h1>{status} " in page(client, f"quality?{query}", status)


@drawing
def test_columns_of_days_stand_on_each_other() -> None:
    drawn = columns_of([GradedDay("2025-10-31", good=3, warn=1), GradedDay("2025-11-01")])
    good, warn = drawn.parts
    assert (good.x, good.width) == (warn.x, warn.width)
    assert warn.y + warn.height == pytest.approx(good.y, abs=0.2)
    assert good.height == pytest.approx(3 * warn.height, abs=0.3)
    assert good.y + good.height == pytest.approx(drawn.bottom, abs=0.2)
