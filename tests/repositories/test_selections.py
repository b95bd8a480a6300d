"""Every filter and every order of every list, beside what Python makes of all its rows."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.db.files import PipelineFiles
from app.db.pipeline import PipelineDatabase
from app.db.upgrade import PipelineUpgrade
from app.domain.columns import Column, Kind
from app.domain.errors import InvalidValue
from app.domain.paging import PageRequest
from app.domain.selection import Condition, Operator, Order, Selection, applicable
from app.repositories import cal, images, jobs, listing, ms, photometry, sources
from app.repositories.listing import Listing
from tests.support.pipeline import Pipeline

LISTS: dict[str, Listing[Any]] = {
    "images": images.LIST,
    "ms": ms.LIST,
    "jobs": jobs.LIST,
    "cal": cal.LIST,
    "photometry": photometry.LIST,
    "sources": sources.LISTS[None],
    "sources by peak": sources.LISTS["peak"],
}
ROWS = 30
# Few values, so that rows share some; text that SQL or a pattern could mistake; nothing; not a number; no number.
NUMBERS = (None, 0.0, -1.5, 0.002, 0.002, 45.0, 1e300, math.inf, "text")
WHOLE = (None, 0, 1, 2, 2048)
WORDS = (None, "", "a", "ab", "a_b", "a%", "AB", "ä", "o'neil", "imaged", "calibrated", "failed", "done")
POSITIONS = (None, 0.0, 12.5, 89.9)


class Survey(NamedTuple):
    """A pipeline's files with rows of every kind, and their reader."""

    database: PipelineDatabase
    rows: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module", params=["orm", "production", "head"])
def survey(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survey]:
    """One generation of the schema, upgraded where it is the production one."""
    with Pipeline(tmp_path_factory.mktemp("survey"), request.param) as pipeline:
        fill(pipeline, random.Random(20251031))
        if request.param == "production":
            PipelineUpgrade(pipeline.products_path, "products").upgrade()
        database = PipelineDatabase(PipelineFiles(pipeline.products_path, pipeline.registry_path))
        yield Survey(database, {name: everything(made, database) for name, made in LISTS.items()})
        database.close()


def fill(pipeline: Pipeline, chance: random.Random) -> None:
    """Rows whose optional columns are anything that they may be."""
    alike = ROWS if pipeline.generation == "head" else 25  # the others let images share a path
    for n in range(ROWS):
        path = pipeline.make_ms(
            f"/stage/ms/2025-10-31T13:{n:02}:00.ms",
            **{name: chance.choice(WORDS) for name in ("stage", "status", "field_name", "imagename")},
            **{name: chance.choice(NUMBERS[:-2]) for name in ("start_mjd", "mid_mjd", "end_mjd", "processed_at")},
            **{name: chance.choice(POSITIONS) for name in ("pointing_ra_deg", "pointing_dec_deg", "ra_deg", "dec_deg")},
            cal_applied=chance.choice((0, 1)),
        )
        pipeline.make_image(
            path=f"/stage/images/{n % alike:02}.fits",
            ms_path=chance.choice((path, "/nowhere.ms")),
            type=chance.choice(WORDS[1:]),
            created_at=chance.choice((0.0, 1.5, 1761915600.25)),
            **{
                name: chance.choice(NUMBERS)
                for name in ("noise_jy", "dynamic_range", "beam_major_arcsec", "freq_ghz", "cellsize_arcsec")
            },
            **{name: chance.choice(POSITIONS) for name in ("center_ra_deg", "center_dec_deg")},
            **{name: chance.choice(WHOLE) for name in ("imsize_x", "imsize_y")},
            field_name=chance.choice(WORDS),
            pbcor=chance.choice((0, 1)),
        )
        pipeline.make_photometry(
            source_id=chance.choice(("S1", "S2", "S22", "ä", "a'b")),
            image_path=f"/stage/images/{chance.randrange(30):02}.fits",
            **{name: chance.choice(NUMBERS) for name in ("flux_jy", "flux_err_jy", "peak_err_jyb")},
            **{name: chance.choice(NUMBERS[:-1]) for name in ("snr", "nvss_flux_mjy", "local_rms")},
            mjd=chance.choice((None, 60000.0, 60001.5)),
            flags=chance.choice((0, 1, 2048)),
        )
        pipeline.make_job(
            run_id=f"job-{n}", type=chance.choice(("pipeline_rerun", "other")), status=chance.choice(WORDS[1:]),
            ms_path=path, started_at=chance.choice((None, 0.0, 2.5)), finished_at=chance.choice((None, 3.5)),
        )  # fmt: skip
        pipeline.make_caltable(
            path=f"/cal/{n:02}.cal", set_name=chance.choice(WORDS[1:]), status=chance.choice(WORDS[1:]),
            cal_field=chance.choice(WORDS), created_at=chance.choice((0.0, 1.5)),
            valid_start_mjd=chance.choice((None, 60000.0)), valid_end_mjd=chance.choice((None, 60001.0)),
        )  # fmt: skip


def everything(made: Listing[Any], database: PipelineDatabase) -> list[dict[str, Any]]:
    """Every row of a list with all columns that it publishes, in its own order."""
    page = made.page(database, PageRequest(1000, selection=Selection(columns=made.published)))
    names = [column.name for column in made.published]
    return [dict(zip(names, row, strict=True)) for row in page.items]


def chosen(made: Listing[Any], survey: Survey, selection: Selection, size: int = 1000) -> list[dict[str, Any]]:
    """Rows of a selection, walked page by page."""
    names = [column.name for column in made.published]
    selection = Selection(selection.conditions, selection.orders, made.published)
    found, cursor = [], None
    while True:
        page = made.page(survey.database, PageRequest(size, cursor=cursor, selection=selection))
        found += [dict(zip(names, row, strict=True)) for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


def meets(row: dict[str, Any], condition: Condition) -> bool:
    """Whether a row meets a condition, as Python sees it."""
    value, wanted = row[condition.column.name], condition.value
    if condition.operator is Operator.ONE_OF:
        return value in wanted
    if condition.operator is Operator.BEGINS:
        return isinstance(value, str) and value.startswith(wanted)
    known = isinstance(value, int | float) and math.isfinite(value)
    return known and (value >= wanted if condition.operator is Operator.AT_LEAST else value <= wanted)


def values_for(column: Column, operator: Operator, rows: list[dict[str, Any]]) -> list[Any]:
    """What to compare a column with: what it holds, and what it does not."""
    if operator is Operator.BEGINS:
        return ["a", "a_", "a%", "ä", "/stage", "S2", "nothing"]
    held = {row[column.name] for row in rows}
    if operator is Operator.ONE_OF:
        held = {value for value in held if value is not None}
        return [(value,) for value in held] + [("none such",) if column.kind is Kind.TEXT else (-7,), tuple(held)]
    return [v for v in held if isinstance(v, int | float) and math.isfinite(v)] + [0.001, -5.0]


def key_of(row: dict[str, Any], column: Column) -> tuple[int, Any]:
    """What SQLite sorts by: numbers before text, the missing as the smallest of its kind."""
    value = row[column.name]
    if column.kind is Kind.TEXT:
        return (1, (value or "").encode())
    return (1, value.encode()) if isinstance(value, str) else (0, -math.inf if value is None else value)


@pytest.mark.parametrize("name", LISTS)
def test_every_filter_finds_what_brute_force_finds(survey: Survey, name: str) -> None:
    made, rows, tried = LISTS[name], survey.rows[name], 0
    for column in made.published:
        for operator in applicable(column):
            for value in values_for(column, operator, rows):
                condition = Condition(column, operator, value)
                expected = [row for row in rows if meets(row, condition)]
                assert chosen(made, survey, Selection((condition,))) == expected, condition
                tried += 1
    assert tried > 20
    assert rows


def sortable(made: Listing[Any]) -> list[Column]:
    """Columns whose order can be seen: a run that waits takes its place by when it was ordered, which no list shows."""
    hidden = {column for column in jobs.LIST.published if column.name == "started_at"}
    return [column for column in made.published if column.is_filter and column not in hidden]


@pytest.mark.parametrize("name", LISTS)
def test_every_order_is_that_of_its_column_and_pages_lose_nothing(survey: Survey, name: str) -> None:
    made, rows = LISTS[name], survey.rows[name]
    for column in sortable(made):
        for descending in (False, True):
            found = chosen(made, survey, Selection(orders=(Order(column, descending),)), size=7)
            keys = [key_of(row, column) for row in found]
            assert keys == sorted(keys, reverse=descending), column
            assert sorted(map(repr, found)) == sorted(map(repr, rows)), column


@pytest.mark.parametrize("name", LISTS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_filters_orders_and_cursors_combine(survey: Survey, name: str, data: st.DataObject) -> None:
    made, rows = LISTS[name], survey.rows[name]
    columns = [column for column in made.published if column.is_filter]
    conditions = []
    for column in data.draw(st.lists(st.sampled_from(columns), max_size=3, unique=True)):
        operator = data.draw(st.sampled_from(applicable(column)))
        conditions.append(Condition(column, operator, data.draw(st.sampled_from(values_for(column, operator, rows)))))
    orders = tuple(
        Order(column, data.draw(st.booleans()))
        for column in data.draw(st.lists(st.sampled_from(sortable(made)), max_size=2, unique=True))
    )
    found = chosen(made, survey, Selection(tuple(conditions), orders), size=data.draw(st.integers(1, 9)))
    expected = [row for row in rows if all(meets(row, condition) for condition in conditions)]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    for order in reversed(orders):
        expected.sort(key=lambda row, column=order.column: key_of(row, column), reverse=order.descending)
    keys = [[key_of(row, order.column) for order in orders] for row in found]
    assert keys == [[key_of(row, order.column) for order in orders] for row in expected]


@pytest.mark.parametrize("name", LISTS)
def test_streams_give_every_row_once_whatever_the_size_of_a_chunk(
    survey: Survey, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, rows = LISTS[name], survey.rows[name]
    monkeypatch.setattr(listing, "CHUNK", 4)
    for limit in (None, 1, 4, 5, 8, 1000):
        page = made.page(survey.database, PageRequest(limit, format="csv"))
        expected = rows if limit is None else rows[:limit]
        assert [dict(zip((c.name for c in made.published), row, strict=True)) for row in page.items] == expected


def test_only_the_columns_asked_for_are_read(survey: Survey) -> None:
    few = tuple(column for column in images.LIST.published if column.name in {"id", "noise_jy"})
    sql = images.LIST.sql(Selection(columns=few))
    assert "SELECT id AS r0, noise_jy AS r1, created_at AS r2 FROM" in sql
    page = images.LIST.page(survey.database, PageRequest(5, selection=Selection(columns=few)))
    assert all(len(row) == 2 for row in page.items)


def test_counts_say_how_exact_they_are(survey: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    (grade,) = (column for column in images.LIST.published if column.name == "created_at")
    selection = Selection((Condition(grade, Operator.AT_LEAST, 1.0),))
    exact = images.LIST.page(survey.database, PageRequest(1, count="exact", selection=selection)).total
    assert exact is not None
    assert 3 < exact.rows < ROWS
    assert exact.rows == len(chosen(images.LIST, survey, selection))
    assert images.LIST.page(survey.database, PageRequest(1, count="estimated", selection=selection)).total == exact
    monkeypatch.setattr(listing, "COUNTED_AT_MOST", 3)
    estimated = images.LIST.page(survey.database, PageRequest(1, count="estimated", selection=selection)).total
    assert estimated == (3, "at-least")
    both = jobs.LIST.page(survey.database, PageRequest(1, count="estimated")).total
    assert both == (3, "at-least")


def test_a_cursor_of_another_query_is_refused(survey: Survey) -> None:
    page = images.LIST.page(survey.database, PageRequest(2, binding="one"))
    with pytest.raises(InvalidValue, match="another query"):
        images.LIST.page(survey.database, PageRequest(2, cursor=page.next_cursor, binding="two"))
