"""Jobs as published."""

from __future__ import annotations

import marshmallow as ma

from app.domain.jobs import JOB_COLUMNS
from app.schemas import fields, links
from app.schemas.base import Schema
from app.schemas.lists import list_query

STATES = ["pending", "running", "completed", "failed", "cancelled"]


JobQuery = list_query("JobQuery", JOB_COLUMNS)


class JobSchema(Schema):
    """A job in a list."""

    run_id = ma.fields.String()
    status = ma.fields.String(metadata={"enum": STATES})
    started_at = fields.UnixTime(allow_none=True)
    finished_at = fields.UnixTime(allow_none=True)


class JobDetailSchema(JobSchema):
    """A job, where its log and its quality report are, and the configuration it was started with, if recorded."""

    logs_url = fields.Computed(lambda job: links.log(job.run_id))
    qa_url = fields.Computed(lambda job: links.job_qa(job.run_id))
    config = ma.fields.Dict(allow_none=True)
