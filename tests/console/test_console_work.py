"""Runs, batches and the queue, as the console shows them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.conftest import WRITE_KEY
from tests.console.conftest import Console
from tests.support.pipeline import BASE_UNIX_S, Pipeline
from tests.support.pipeline_rows import run_id

KEY = {"X-API-Key": WRITE_KEY}
HOSTILE = "\"><script>alert(1)</script>&'"


def page(client: FlaskClient, path: str, status: int = 200) -> str:
    """Text of a page below the console."""
    answer = client.get(f"/console/{path}")
    assert answer.status_code == status, (path, answer.text[:500])
    return answer.text


def curl_of(text: str) -> str:
    """Path and query of a page's curl line that gives its subject; more may follow, and orders stand further up."""
    section = text[text.index('<section class="curl"') :]
    line = re.findall(r"curl &#39;http://localhost:\d+(/api[^&]*(?:&amp;[^&]*)*)&#39;", section)[0]
    return str(line).replace("&amp;", "&")


def test_work_is_shown_whatever_the_schema(any_pipeline: Pipeline, console: Console) -> None:
    ms = any_pipeline.make_ms(stage="imaged")
    any_pipeline.make_job(ms_path=ms, status="failed")
    batch = any_pipeline.make_batch_job(status="running", total_items=3)
    any_pipeline.make_batch_item(ms_path=ms, status="running")
    client = console(any_pipeline)
    for path in ("jobs", f"jobs/{run_id(ms)}", "batches", f"batches/{batch}", "queue"):
        assert "<h1" in page(client, path), path


def test_where_there_is_no_work_the_page_says_so(client: FlaskClient) -> None:
    said = [("jobs", "No runs."), ("batches", "No batch yet."), ("queue", "No worker is there"), ("queue", "No job.")]
    for path, words in said:
        assert words in re.sub(r"<[^>]+>", "", page(client, path))


def test_curl_line_of_the_runs_gives_the_rows_of_the_page(client: FlaskClient, pipeline: Pipeline) -> None:
    for status in ("done", "failed", "done", "failed"):
        pipeline.make_ms(stage="converted", status=status)
    for query in ("limit=2", "limit=3&sort=run_id", "status=failed", "prefix_run_id=job-2025&limit=1"):
        text = page(client, f"jobs?{query}")
        shown = re.findall(r'<td><a href="/console/jobs/([^"]+)"', text)
        rows = client.get(curl_of(text)).json
        assert [row["run_id"] for row in rows] == shown, query
        assert shown, query


def test_run_shows_its_facts_its_log_and_its_chain(client: FlaskClient, pipeline: Pipeline, tmp_path: Path) -> None:
    ms = pipeline.make_ms(stage="imaged", processed_at=BASE_UNIX_S)
    image = pipeline.make_image(ms_path=ms)
    table = str(pipeline.make_caltable(source_ms_path=ms, path="/stage/cal/x.bcal", table_type="BP"))
    pipeline.make_job(ms_path=ms, type="imaging", params='{"niter": 777}', finished_at=BASE_UNIX_S + 95)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / f"{run_id(ms)}.log").write_text(f"first\n{HOSTILE}\nlast\n")
    text = page(client, f"jobs/{run_id(ms)}")
    for expected in ("completed", "1 min 35 s", "niter", "777", f"/console/images/{image}", "BP: x.bcal"):
        assert expected in text, expected
    assert f'href="/console/ms/{quote(ms, safe="")}"' in text
    assert table
    log = re.search(r"<pre class=\"log\"[^>]*>(.*?)</pre>", text, re.DOTALL)
    assert log is not None
    assert log[1].splitlines()[0] == "first"
    assert "<script>" not in log[1]
    assert "data-follow" not in text, "what is over is not followed"
    assert client.get(curl_of(text)).json["run_id"] == run_id(ms)


def test_run_under_way_is_followed_and_renewed(client: FlaskClient, pipeline: Pipeline) -> None:
    ms = pipeline.make_ms(stage="converted", status="converted")
    text = page(client, f"jobs/{run_id(ms)}")
    assert f'data-follow="/api/v1/jobs/{run_id(ms)}/events"' in text
    assert 'id="facts" data-live="15"' in text


def test_ordered_run_has_a_page_before_any_worker_knows_of_it(client: FlaskClient, pipeline: Pipeline) -> None:
    ms = pipeline.make_ms()
    made: dict[str, Any] = client.post(f"/api/v1/jobs/{run_id(ms)}/rerun", headers=KEY).json
    text = page(client, f"jobs/{made['run_id']}")
    assert '<span class="state idle">pending</span>' in text
    assert f"/api/v1/queue/jobs/{made['job_id']}/cancel" in text
    assert WRITE_KEY not in text
    original = page(client, f"jobs/{run_id(ms)}")
    assert "Being run again:" in original
    assert made["run_id"] in original
    waiting = page(client, "queue?status=queued")
    assert made["job_id"] in waiting
    assert made["job_id"] not in page(client, "queue?status=failed")


def test_cancelled_order_can_be_cancelled_no_more(client: FlaskClient, pipeline: Pipeline) -> None:
    ms = pipeline.make_ms()
    made: dict[str, Any] = client.post(f"/api/v1/jobs/{run_id(ms)}/rerun", headers=KEY).json
    client.post(f"/api/v1/queue/jobs/{made['job_id']}/cancel", headers=KEY)
    text = page(client, f"jobs/{made['run_id']}")
    assert '<span class="state idle">cancelled</span>' in text
    assert "data-order" not in text
    assert "data-follow" not in text


def test_controls_wait_for_the_script(client: FlaskClient, pipeline: Pipeline) -> None:
    """Without it, a form would send the key to nowhere, or into an address."""
    text = page(client, f"jobs/{run_id(pipeline.make_ms())}")
    form = re.search(r"<form[^>]*data-order=.*?</form>", text, re.DOTALL)
    assert form is not None
    controls = re.findall(r"<(?:input|select|button)\b[^>]*>", form[0])
    assert len(controls) == 3
    assert all(" disabled" in control for control in controls)
    assert "<noscript>" in text
    assert 'id="key-text" type="password"' in text
    assert 'name="key' not in text


def test_key_is_asked_for_in_the_header_that_the_operator_chose(
    pipeline: Pipeline, environ: dict[str, str], console: Console
) -> None:
    environ["DSA110_API_KEY_HEADER"] = "X-Survey-Key"
    text = page(console(pipeline), f"jobs/{run_id(pipeline.make_ms())}")
    assert 'data-header="X-Survey-Key"' in text
    assert "X-Survey-Key: $KEY" in text


def test_batch_shows_how_far_it_has_come(client: FlaskClient, pipeline: Pipeline) -> None:
    batch = pipeline.make_batch_job(status="running", total_items=4, completed_items=2, failed_items=1)
    for status, error in (("done", None), ("done", None), ("failed", HOSTILE), ("pending", None)):
        pipeline.make_batch_item(status=status, error=error)
    text = page(client, f"batches/{batch}")
    assert "2 done, 1 failed" in text
    assert "<script>alert" not in text
    assert f"/api/v1/batches/{batch}/cancel" in text
    assert 'data-live="3"' in text
    assert "2 done and 1 failed of 4" in page(client, "batches")


def test_batch_that_is_over_neither_renews_nor_offers_to_cancel(client: FlaskClient, pipeline: Pipeline) -> None:
    text = page(client, f"batches/{pipeline.make_batch_job(status='done')}")
    assert "data-order" not in text
    assert 'data-live="3"' not in text


@pytest.mark.parametrize("path", ["batches?limit=2", "queue?limit=2"])
def test_plain_lists_are_walked_to_the_end(client: FlaskClient, pipeline: Pipeline, path: str) -> None:
    ms = pipeline.make_ms()
    for _ in range(5):
        pipeline.make_batch_job()
        client.post(f"/api/v1/jobs/{run_id(ms)}/rerun", headers=KEY)
    seen: list[str] = []
    while path:
        text = page(client, path)
        seen += re.findall(r'<td class="n"><a href="/console/batches/(\d+)"|<td><code>(job_\w+)', text)
        rows = client.get(curl_of(text)).json
        assert len(rows) <= 2
        following = re.search(r'href="/console/([^"]+)" rel="next"', text)
        path = following[1].replace("&amp;", "&") if following else ""
    assert (len(seen), len(set(seen))) == (5, 5)


MISTAKES = [
    ("jobs/nobody", 404), ("batches/99", 404), ("batches/first", 404), ("batches/9999999999999999999", 404),
    ("queue?status=lost", 400), ("batches?limit=-1", 422),
]  # fmt: skip


def test_mistakes_get_pages_with_the_status_of_the_api(client: FlaskClient) -> None:
    for path, status in MISTAKES:
        assert f"<h1>{status} " in page(client, path, status), path


def test_queue_away_leaves_runs_to_be_seen(pipeline: Pipeline, environ: dict[str, str], console: Console) -> None:
    environ["DSA110_QUEUE_URL"] = "redis://127.0.0.1:1/0"
    client, ms = console(pipeline), pipeline.make_ms()
    assert "The work queue is away" in page(client, f"jobs/{run_id(ms)}")
    assert "The work queue is away: nothing can be ordered" in page(client, f"jobs/{run_id(ms)}")
    assert "The queue is away" in page(client, "queue")
    assert "No job" not in page(client, "queue"), "which nobody knows"
    assert "QUEUE_UNAVAILABLE" in page(client, "jobs/job-2025-01-01-000000_rerun_20250101_000000", 503)
