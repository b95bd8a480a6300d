"""Runs ordered, followed to their end and cancelled in a browser: a real worker, a real script, a real key."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.sites import KEY
from tests.support.pipeline import Pipeline
from tests.support.pipeline_rows import run_id
from tests.support.server import Server, environment
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.live

SHORT = """echo taking $1
echo PROGRESS 40 imaging
until [ -e "$0.go" ]; do sleep 0.05; done
echo PROGRESS 90 cataloguing
echo '<b>done & dusted</b>'"""
LONG = "echo begun; exec sleep 60"


class Works(NamedTuple):
    """A server and a worker over a small pipeline."""

    server: Server
    pipeline: Pipeline
    script: Path

    def page_of(self, ms_path: str) -> str:
        """The page of a measurement set's run."""
        return f"{self.server.base}/console/jobs/{run_id(ms_path)}"


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    directory = tmp_path_factory.mktemp("works")
    script = directory / "pipeline.sh"
    settings = {
        "DSA110_API_STATE_DIR": str(directory / "api"),
        "DSA110_LOG_DIRS": str(directory / "logs"),
        "DSA110_PIPELINE_RUN_CMD": f"/bin/sh {script} {{ms_path}} {{run_id}} {{cal_table}}",
        "DSA110_HEARTBEAT": "0.25",
        "DSA110_CANCEL_GRACE": "0.3",
        "DSA110_WORKERS": "1",
        "DSA110_THREADS": "8",
        "DSA110_LOG_REQUESTS": "true",
        "DSA110_API_KEYS": KEY,
    }
    with Pipeline(directory / "state", "orm") as pipeline, Server(directory, pipeline, **settings) as server:
        worker = WorkerProcess(directory, environment(directory, pipeline, **settings))
        try:
            server.wait_until(lambda: server.get("/api/v1/queue").json()["connected"])
            yield Works(server, pipeline, script)
        finally:
            worker.kill()


def give_key(page: Page, key: str) -> None:
    """Answer the question for a key."""
    page.get_by_label("Key or token").fill(key)
    page.get_by_role("button", name="Use it").click()


def look_again(page: Page) -> None:
    """Come back to the page from another one, which does not wait for the next time that it renews itself."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_rerun_is_ordered_and_followed_to_its_end(works: Works, open_page: Open) -> None:
    works.script.write_text(SHORT)
    opened = open_page(works.page_of(works.pipeline.make_ms()))
    page = opened.page
    page.get_by_role("button", name="Run again").click()
    give_key(page, KEY)
    page.wait_for_url("**/console/jobs/*_rerun_*")
    expect(page.locator("[data-answer]")).to_contain_text("queued for re-run")
    state, log = page.locator("[data-state]"), page.get_by_role("log")
    expect(state).to_have_text("running")
    expect(page.locator("[data-stage]")).to_have_text("40 % imaging")
    assert page.locator("progress").evaluate("bar => bar.value") == 40
    Path(f"{works.script}.go").touch()
    expect(state).to_have_text("completed")
    expect(page.locator("[data-answer]")).to_be_empty()
    expect(log).to_contain_text("<b>done & dusted</b>")
    assert log.locator("b").count() == 0, "a log is text"
    expect(page.get_by_role("button", name="Run again")).to_be_enabled()
    expect(page.locator("#facts")).to_contain_text("after")
    assert opened.page.evaluate("window.seen.violations") == []
    assert opened.strangers == []
    assert opened.complaints == []


def test_line_for_the_shell_orders_what_is_chosen(works: Works, open_page: Open) -> None:
    works.script.write_text('echo "with $3"')
    ms = works.pipeline.make_ms()
    table = f"{ms}_it's another.bcal"
    works.pipeline.make_caltable(path=table, source_ms_path=ms, set_name="chosen")
    page = open_page(works.page_of(ms)).page
    page.get_by_label("Calibration table").select_option(table)
    page.get_by_label("Priority").fill("7")
    page.get_by_label("Priority").blur()
    line = page.locator("#actions [data-curl]")
    expect(line).to_contain_text('"priority":7')
    said = subprocess.run(["sh", "-c", line.text_content() or ""], env={**os.environ, "KEY": KEY}, capture_output=True)
    order = json.loads(said.stdout)
    job = f"/api/v1/queue/jobs/{order['job_id']}"
    works.server.wait_until(lambda: works.server.get(job).json()["status"] == "finished")
    assert works.server.get(job).json()["meta"]["priority"] == 7
    assert f"with {table}\n" in works.server.get(f"/api/v1/logs/{order['run_id']}").json()["logs"]


def test_run_is_cancelled_with_the_key_that_the_tab_keeps(works: Works, open_page: Open) -> None:
    works.script.write_text(LONG)
    opened = open_page(works.page_of(works.pipeline.make_ms()))
    page = opened.page
    page.get_by_role("button", name="Run again").click()
    give_key(page, KEY)
    page.wait_for_url("**/console/jobs/*_rerun_*")
    expect(page.get_by_role("log")).to_contain_text("begun")
    cancel = page.get_by_role("button", name="Cancel this run")
    cancel.click()
    expect(page.locator("[data-answer]")).to_contain_text("cancelled")
    expect(page.locator("[data-state]")).to_have_text("cancelled")
    expect(cancel).to_have_count(0)
    assert page.evaluate("document.cookie") == ""
    assert KEY not in page.url
    assert KEY not in works.server.log
    assert page.evaluate("Object.keys(localStorage).length") == 0
    page.get_by_role("button", name="Forget it").click()
    assert page.evaluate("sessionStorage.getItem('contimg.key')") is None
    assert opened.complaints == []


def test_wrong_key_is_refused_and_asked_for_again(works: Works, open_page: Open) -> None:
    opened = open_page(works.page_of(works.pipeline.make_ms()))
    page = opened.page
    page.get_by_role("button", name="Run again").click()
    give_key(page, "not a key")
    expect(page.locator("[data-reason]")).to_contain_text("That key is not known")
    page.get_by_role("button", name="Leave it").click()
    page.get_by_role("button", name="Run again").click()
    expect(page.locator("[data-reason]")).not_to_contain_text("not known")
    give_key(page, "schlüssel☃")
    expect(page.locator("[data-answer]")).to_contain_text("That is no key")
    assert page.evaluate("sessionStorage.length") == 0
    assert "_rerun_" not in page.url


def test_page_of_a_batch_keeps_up_with_it(works: Works, open_page: Open) -> None:
    works.script.write_text("sleep 0.3")
    batch = works.pipeline.make_batch_job(status="running", total_items=4, completed_items=1)
    opened = open_page(f"{works.server.base}/console/batches/{batch}")
    expect(opened.page.locator("#state")).to_contain_text("1 done")
    writer = works.pipeline.connection
    writer.execute("UPDATE batch_jobs SET completed_items = 4, status = 'done' WHERE id = ?", (batch,))
    writer.commit()
    look_again(opened.page)
    expect(opened.page.locator("#state")).to_contain_text("4 done")
    expect(opened.page.locator("#actions")).to_contain_text("It is over")


def test_overview_keeps_up_with_the_survey(works: Works, open_page: Open) -> None:
    opened = open_page(f"{works.server.base}/console/")
    images = opened.page.locator("#live-counts dd").first
    before = int(images.inner_text())
    works.pipeline.make_image()
    look_again(opened.page)
    expect(images).to_have_text(str(before + 1))
    expect(opened.page.locator("#live-newest li")).to_have_count(before + 1)
    assert opened.page.evaluate("window.seen.shift") < 0.2


def test_page_says_so_while_the_service_is_away(works: Works, open_page: Open) -> None:
    batch = works.pipeline.make_batch_job(status="running", total_items=4)
    opened = open_page(f"{works.server.base}/console/batches/{batch}")
    opened.page.context.set_offline(True)
    look_again(opened.page)
    expect(opened.page.locator("#stale")).to_contain_text("does not answer")
    opened.page.context.set_offline(False)
    look_again(opened.page)
    expect(opened.page.locator("#stale")).to_have_text("")
