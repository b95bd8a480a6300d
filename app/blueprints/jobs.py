"""Jobs: processing runs, their state, provenance and logs."""

from __future__ import annotations

from app.domain.jobs import Job
from app.domain.logs import LogTail
from app.domain.paging import Page, PageRequest
from app.domain.provenance import Provenance
from app.schemas.jobs import JobDetailSchema, JobQuery, JobSchema
from app.schemas.logs import LogQuery, LogSchema
from app.schemas.provenance import JobProvenanceSchema
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services

blp = Blueprint("jobs", __name__, url_prefix="/jobs", description="Processing runs")


@blp.route("")
@blp.require(PUBLIC)
@blp.arguments(JobQuery, location="query")
@blp.response(200, JobSchema(many=True))
@blp.paginated
@blp.cacheable
def list_jobs(query: PageRequest) -> Page[Job]:
    """List jobs, newest start first

    These are the processed measurement sets, and the reruns that the pipeline has recorded.
    """
    return services().jobs.page(query)


@blp.route("/<run_id>")
@blp.require(PUBLIC)
@blp.response(200, JobDetailSchema)
@blp.cacheable
def get_job(run_id: str) -> Job:
    """Get a job

    The run of a measurement set that waits to be processed is found as well, as pending. Several measurement sets
    can share a run id; the one processed last answers.
    """
    return services().jobs.get(run_id)


@blp.route("/<run_id>/provenance")
@blp.require(PUBLIC)
@blp.response(200, JobProvenanceSchema)
@blp.cacheable
def get_job_provenance(run_id: str) -> Provenance:
    """Trace a job to its measurement set, calibration, newest image and log"""
    return services().jobs.provenance(run_id)


@blp.route("/<run_id>/logs")
@blp.require(PUBLIC)
@blp.arguments(LogQuery, location="query")
@blp.response(200, LogSchema)
def get_job_logs(query: dict[str, int], run_id: str) -> LogTail:
    """Read the end of a job's log

    Same as `/logs/{run_id}`.
    """
    return services().logs.tail(run_id, query["tail"])
