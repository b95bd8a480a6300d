"""Jobs: the list of runs, one run with its log as it is written, and the work queue."""

from __future__ import annotations

from flask import Response, request

from app.console import links, lookup, render
from app.console.blueprint import blp, cacheable
from app.console.formats import spelt
from app.console.listed import listed, show
from app.console.listing import ListKind
from app.console.runs import Run, calibrators_of, chain_of_run, find_run
from app.domain.jobs import JOB_COLUMNS
from app.domain.measurement_sets import KNOWN_STAGES
from app.domain.paging import Page
from app.domain.queue import QueueJob
from app.schemas.jobs import STATES, JobQuery
from app.schemas.queue import QueueJobQuery
from app.web.context import services, settings

TAIL_LINES = 200
MOST_RUNS = 20

LIST = ListKind(
    "jobs",
    JobQuery(),
    JOB_COLUMNS,
    ("run_id", "status", "stage", "started_at", "finished_at", "ms_path"),
    ("status", "prefix_run_id", "stage", "min_started_at", "max_started_at", "limit", "sort"),
    lambda page: services().jobs.page(page),
)

_QUEUE = QueueJobQuery()
_QUEUE_STATES = [(word, spelt(word)) for word in ("queued", "started", "finished", "failed", "canceled")]


@blp.route("/jobs")
@cacheable
def list_jobs() -> Response:
    """Runs that meet the filters."""
    page = listed(LIST)
    return show("jobs.html", page, states=STATES, stages=KNOWN_STAGES)


@blp.route("/jobs/<run_id>")
def job(run_id: str) -> Response:
    """One run."""
    run = find_run(run_id)
    calibrators = calibrators_of(run)
    runs, others_line = _of_the_same(run)
    return render.page(
        "job.html",
        run=run,
        chain=chain_of_run(run, calibrators),
        calibrators=calibrators,
        report=services().qa.job(run_id) if run.job is not None else None,
        log=services().logs.tail(run_id, TAIL_LINES),
        runs=runs,
        key_header=settings().api_key_header,
        key_needed=not settings().auth_disabled,
        curl=links.curl(f"jobs/{links.segment(run_id)}"),
        more=[*_beside(run), *others_line],
    )


@blp.route("/queue")
def queue() -> Response:
    """The work queue: who works, what waits, what was done."""
    page: Page[QueueJob]
    request_page, status = lookup.asked(_QUEUE)
    overview = services().queue.overview()
    page = Page([]) if overview.error else services().queue.page(request_page, status)
    return render.page(
        "queue.html",
        queue=overview,
        jobs=list(page.items),
        next=lookup.next_page(page),
        first=lookup.first_page(),
        states=_QUEUE_STATES,
        args=request.args,
        curl=lookup.curl("queue/jobs"),
        more=[links.curl("queue")],
    )


def _beside(run: Run) -> list[str]:
    """Curl lines of what else the page of a run shows."""
    name = links.segment(run.run_id)
    lines = [links.curl(f"logs/{name}", [("tail", str(TAIL_LINES))])]
    if run.queued is not None:
        lines.append(links.curl(f"queue/jobs/{run.queued.job_id}"))
    if run.job is not None:
        lines += [links.curl(f"jobs/{name}/provenance"), links.curl(f"qa/job/{name}")]
    return lines


def _of_the_same(run: Run) -> tuple[list[dict[str, object]], list[str]]:
    """Other runs of the same measurement set, newest first, and the curl line that gives them."""
    if not run.ms_path:
        return [], []
    same = [lookup.equal(LIST, "ms_path", run.ms_path)]
    others = lookup.some(LIST, ("run_id", "status", "started_at", "finished_at"), same, MOST_RUNS)
    return [row for row in others.rows if row["run_id"] != run.run_id], [others.curl]
