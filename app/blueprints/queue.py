"""The work queue."""

from __future__ import annotations

from app.domain.paging import Page, PageRequest
from app.domain.queue import Canceled, QueueJob, QueueOverview
from app.schemas.queue import CanceledSchema, QueueJobQuery, QueueJobSchema, QueueSchema
from app.web.api import Blueprint
from app.web.auth import PUBLIC, WRITE
from app.web.context import services

blp = Blueprint("queue", __name__, url_prefix="/queue", description="The work queue and its jobs")


@blp.route("")
@blp.require(PUBLIC)
@blp.response(200, QueueSchema)
def get_queue() -> QueueOverview:
    """Get the state of the work queue

    `connected` says whether a worker is there to run things: one whose heartbeat is at most 10 seconds old.
    """
    return services().queue.overview()


@blp.route("/jobs")
@blp.require(PUBLIC)
@blp.arguments(QueueJobQuery, location="query")
@blp.response(200, QueueJobSchema(many=True))
@blp.paginated
def list_queue_jobs(query: tuple[PageRequest, str | None]) -> Page[QueueJob]:
    """List jobs of the queue, newest first

    Jobs that have ended are kept for a week, unless the operator set another time.
    """
    return services().queue.page(*query)


@blp.route("/jobs/<job_id>")
@blp.require(PUBLIC)
@blp.response(200, QueueJobSchema)
def get_queue_job(job_id: str) -> QueueJob:
    """Get a job of the queue

    `result` is what its command left behind: exit status and the end of its output.
    """
    return services().queue.get(job_id)


@blp.route("/jobs/<job_id>/cancel", methods=["POST"])
@blp.require(WRITE)
@blp.response(200, CanceledSchema)
def cancel_queue_job(job_id: str) -> Canceled:
    """Cancel a job of the queue

    One that waits never starts. The command of one that runs gets SIGTERM and, 5 seconds later unless the operator
    set another time, SIGKILL, and all its processes with it. A job that has ended stays as it is; `status` says how.
    """
    return services().queue.cancel(job_id)
