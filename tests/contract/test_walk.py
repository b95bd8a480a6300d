"""Lists walked by Link while the pipeline writes: every row that was there all the time is met exactly once.

The walks run with the response cache on, so a page kept from before a change would show as well.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from app import create_app
from app.config import Settings
from tests.support.pipeline import Pipeline

# Few moments, so that many rows share one; None where the column may be NULL.
MOMENTS = [0.0, 1.5, 1761915600.25]
MISSING = [None, *MOMENTS]


class Kind(NamedTuple):
    """A list: its address, what its rows are called, how the pipeline writes and removes one, and what they sort by."""

    address: str
    name: str
    make: Callable[[Pipeline, str, Any], None]
    remove: Callable[[Pipeline, str], None]
    keys: list[Any]


def make_image(pipeline: Pipeline, name: str, key: Any) -> None:
    pipeline.make_image(path=name, created_at=key)


def make_source(pipeline: Pipeline, name: str, key: Any) -> None:
    for _ in range(key):
        pipeline.make_photometry(source_id=name)


def make_measurement(pipeline: Pipeline, name: str, key: Any) -> None:
    pipeline.make_photometry(source_id=name, measured_at=key)


def make_ms(pipeline: Pipeline, name: str, key: Any) -> None:
    pipeline.make_ms(name, processed_at=key)


def make_caltable(pipeline: Pipeline, name: str, key: Any) -> None:
    pipeline.make_caltable(path=name, created_at=key)


def make_run(pipeline: Pipeline, name: str, key: Any) -> None:
    """A processed measurement set, or a rerun; both stand in the list of jobs."""
    if name.endswith("7"):
        pipeline.make_job(run_id=name, ms_path="/stage/ms/x.ms", created_at=0.0, started_at=key)
    else:
        pipeline.make_ms(f"/stage/ms/{name.removeprefix('job-')}.ms", processed_at=key or 0.0)


def remove_run(pipeline: Pipeline, name: str) -> None:
    removed(pipeline, "jobs", "run_id", name)
    removed(pipeline, "ms_index", "path", f"/stage/ms/{name.removeprefix('job-')}.ms")


def make_batch(pipeline: Pipeline, name: str, key: Any) -> None:
    pipeline.make_batch_job(type=name, created_at=key)


def removed(pipeline: Pipeline, table: str, column: str, name: str) -> None:
    with pipeline._writer(table) as connection:
        connection.execute(f"DELETE FROM {table} WHERE {column} = :name", {"name": name})


def remover(table: str, column: str) -> Callable[[Pipeline, str], None]:
    return lambda pipeline, name: removed(pipeline, table, column, name)


KINDS = [
    Kind("/images", "path", make_image, remover("images", "path"), MOMENTS),
    Kind("/sources", "id", make_source, remover("photometry", "source_id"), [1, 2, 3]),
    Kind("/photometry", "source_id", make_measurement, remover("photometry", "source_id"), MOMENTS),
    Kind("/ms", "path", make_ms, remover("ms_index", "path"), MISSING),
    Kind("/cal", "path", make_caltable, remover("caltables", "path"), MOMENTS),
    Kind("/jobs", "run_id", make_run, remove_run, MISSING),
    Kind("/batches", "type", make_batch, remover("batch_jobs", "type"), MOMENTS),
]
EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=[kind.address for kind in KINDS])
TABLES = ("images", "photometry", "ms_index", "caltables", "jobs", "batch_jobs")

keys = st.integers(0, 59)  # an index into the keys of a kind, whatever their number
# Between two pages: rows that come, and, among those that are there, rows that go.
change = st.tuples(st.lists(keys, max_size=3), st.lists(st.integers(0, 99), max_size=2))


class Survey:
    """A pipeline that writes, and a client that reads."""

    def __init__(self, pipeline: Pipeline, client: FlaskClient) -> None:
        self.pipeline = pipeline
        self.client = client
        self._numbers = count()

    def clear(self) -> None:
        """Remove every row."""
        for table in TABLES:
            with self.pipeline._writer(table) as connection:
                connection.execute(f"DELETE FROM {table}")

    def add(self, kind: Kind, key: int) -> str:
        """Add a row that no other was called like; its name."""
        # Scattered over the order of names, so that new rows come in front of the reader as well as behind.
        number = next(self._numbers)
        name = f"job-{number * 7919 % 1000:03d}x{number}"
        kind.make(self.pipeline, name, kind.keys[key % len(kind.keys)])
        return name

    def page(self, target: str) -> tuple[list[dict[str, Any]], str | None]:
        """Rows of a page, and where the next one is."""
        answer = self.client.get(target)
        assert answer.status_code == 200, answer.text
        following = re.search(r'<([^>]*)>; rel="next"', answer.headers["Link"])
        return answer.get_json(), following[1] if following else None

    def walk(self, target: str) -> Iterator[list[dict[str, Any]]]:
        """Page after page, as long as there is a link to the next."""
        following: str | None = target
        while following is not None:
            rows, following = self.page(following)
            yield rows


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survey]:
    directory: Path = tmp_path_factory.mktemp("survey")
    with Pipeline(directory, "orm") as pipeline:
        environ = {
            "DSA110_ENV": "testing",
            "PIPELINE_PRODUCTS_DB": str(pipeline.products_path),
            "PIPELINE_CAL_REGISTRY_DB": str(pipeline.registry_path),
            "DSA110_STATE_DIR": str(directory),
            "DSA110_LOG_REQUESTS": "false",
        }
        app = create_app(Settings.from_environment(environ))
        yield Survey(pipeline, app.test_client())
        app.extensions["contimg.services"].close()


def test_every_list_of_the_databases_is_walked_here(survey: Survey) -> None:
    paths = survey.client.get("/api/openapi.json").get_json()["paths"]
    lists = {
        path.removeprefix("/api/v1")
        for path, item in paths.items()
        if "Link" in item.get("get", {}).get("responses", {}).get("200", {}).get("headers", {})
    }
    elsewhere = {
        "/queue/jobs",  # these lie in the queue
        "/images/{image_id}/sources",  # needs an image: tests/api/test_pictures.py
    }
    assert lists - elsewhere == {kind.address for kind in KINDS}


@EVERY_KIND
@settings(max_examples=25, deadline=None)
@given(limit=st.integers(1, 7), first=st.lists(keys, max_size=20), changes=st.lists(change, max_size=8))
def test_rows_that_stay_are_met_once_whatever_else_comes_and_goes(
    survey: Survey, kind: Kind, limit: int, first: list[int], changes: list[tuple[list[int], list[int]]]
) -> None:
    survey.clear()
    there = [survey.add(kind, key) for key in first]
    staying = set(there)
    met: Counter[str] = Counter()
    between = iter(changes)
    for rows in survey.walk(f"/api{kind.address}?limit={limit}"):
        assert len(rows) <= limit
        met.update(row[kind.name] for row in rows)
        come, go = next(between, ([], []))
        there += [survey.add(kind, key) for key in come]
        for choice in go[: len(there)]:
            gone = there.pop(choice % len(there))
            kind.remove(survey.pipeline, gone)
            staying.discard(gone)
    assert {name: met[name] for name in staying} == dict.fromkeys(staying, 1)
    assert max(met.values(), default=1) == 1


@EVERY_KIND
@settings(max_examples=10, deadline=None)
@given(first=st.lists(keys, max_size=15), limit=st.integers(1, 7), offset=st.integers(0, 17))
def test_pages_by_number_and_by_link_show_one_order(
    survey: Survey, kind: Kind, first: list[int], limit: int, offset: int
) -> None:
    survey.clear()
    for key in first:
        survey.add(kind, key)
    whole, _ = survey.page(f"/api{kind.address}")
    assert len(whole) == len(first)
    rows, following = survey.page(f"/api{kind.address}?limit={limit}&offset={offset}")
    assert rows == whole[offset : offset + limit]
    assert (following is not None) == (offset + limit < len(whole))
    if following is not None:
        assert survey.page(following)[0] == whole[offset + limit : offset + 2 * limit]
    answer = survey.client.get(f"/api{kind.address}?limit={limit}&offset={offset}&count=exact")
    assert answer.headers["X-Total-Count"] == str(len(first))


@EVERY_KIND
def test_rows_of_one_moment_are_told_apart(survey: Survey, kind: Kind) -> None:
    survey.clear()
    names = {survey.add(kind, 0) for _ in range(9)}
    walked = [row[kind.name] for rows in survey.walk(f"/api/v1{kind.address}?limit=2") for row in rows]
    assert len(walked) == 9
    assert set(walked) == names


@EVERY_KIND
def test_page_of_nothing_is_empty_and_leads_nowhere(survey: Survey, kind: Kind) -> None:
    survey.clear()
    survey.add(kind, 0)
    assert survey.page(f"/api{kind.address}?limit=0") == ([], None)
    assert survey.page(f"/api{kind.address}?offset=1") == ([], None)


@EVERY_KIND
def test_cursor_of_another_list_is_refused(survey: Survey, kind: Kind) -> None:
    survey.clear()
    for other in KINDS:
        if other is kind:
            continue
        for _ in range(2):
            survey.add(other, 1)
        _, following = survey.page(f"/api{other.address}?limit=1")
        assert following is not None
        refused(survey, f"/api{kind.address}?{following.partition('?')[2]}", "another query")
        survey.clear()


@EVERY_KIND
def test_damaged_cursor_is_refused(survey: Survey, kind: Kind) -> None:
    survey.clear()
    for _ in range(2):
        survey.add(kind, 1)
    _, following = survey.page(f"/api{kind.address}?limit=1")
    assert following is not None
    cursor = following.partition("cursor=")[2]
    seal, *key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    forged = [[seal], [seal, *key, 1], [seal, *[None for _ in key]], [seal, *[[part] for part in key]], key, {}, 7]
    texts = [base64.urlsafe_b64encode(json.dumps(parts).encode()).decode() for parts in forged]
    for text in ("", "x", "%00", "%FF%FE", "%C3%A9", cursor[:-3], f"{cursor}A", cursor[1:], "W" * 1999, *texts):
        refused(survey, f"/api{kind.address}?cursor={text}")


def refused(survey: Survey, target: str, reason: str = "") -> None:
    """A bad request, and an answer that says of what."""
    answer = survey.client.get(target)
    body = answer.get_json()
    assert (answer.status_code, body["error"]) == (400, "VALIDATION_ERROR"), (target, body)
    assert body["details"] == {"field": "cursor"}
    assert reason in body["detail"]


# Rows that sort anywhere among the others, written by another process until its standard input ends.
WRITER = """
import random, select, sqlite3, sys
products, registry = (sqlite3.connect(path, timeout=10, isolation_level=None) for path in sys.argv[1:])
n = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    n, t = n + 1, random.choice([0.0, 1.5, 1761915600.25, random.random() * 2e9])
    products.execute("INSERT INTO images (path, ms_path, created_at, type) VALUES (?, 'm', ?, 'image')", (f"w{n}", t))
    products.execute("INSERT INTO ms_index (path, processed_at) VALUES (?, ?)", (f"w{n}", t))
    products.execute(
        "INSERT INTO photometry (source_id, image_path, ra_deg, dec_deg, peak_jyb, measured_at)"
        " VALUES (?, 'i', 1, 2, 3, ?)", (f"{random.random()}w{n}", t))
    products.execute("INSERT INTO batch_jobs (type, created_at, status, total_items) VALUES (?, ?, 'done', 0)",
        (f"w{n}", t))
    registry.execute(
        "INSERT INTO caltables (set_name, path, table_type, order_index, created_at, status)"
        " VALUES ('s', ?, 'K', 10, ?, 'active')", (f"w{n}", t))
    if n == 20:
        print("writing", flush=True)
"""


@EVERY_KIND
def test_rows_are_met_once_while_another_process_inserts(survey: Survey, kind: Kind) -> None:
    survey.clear()
    there = {survey.add(kind, n) for n in range(30)}
    paths = [str(survey.pipeline.products_path), str(survey.pipeline.registry_path)]
    command = [sys.executable, "-c", WRITER, *paths]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        try:
            met = Counter(row[kind.name] for rows in survey.walk(f"/api{kind.address}?limit=50") for row in rows)
        finally:
            writer.kill()
    assert {name: met[name] for name in there} == dict.fromkeys(there, 1)
    assert max(met.values()) == 1
    assert len(met) > len(there), "the other process wrote meanwhile"
