"""Quality reports."""

from __future__ import annotations

from app.domain.graded_days import DaysQuery, GradedDays
from app.domain.quality import ImageReport, JobReport, MsReport
from app.schemas.qa import ImageReportSchema, JobReportSchema, MsReportSchema, QaDaysQuery, QaDaysSchema
from app.web.api import Blueprint
from app.web.auth import PUBLIC
from app.web.context import services

blp = Blueprint("qa", __name__, url_prefix="/qa", description="Quality reports")


@blp.route("/image/<image_id>")
@blp.require(PUBLIC)
@blp.response(200, ImageReportSchema)
@blp.cacheable
def get_image_report(image_id: str) -> ImageReport:
    """Get the quality report of an image"""
    return services().qa.image(image_id)


@blp.route("/ms/<filepath:path>")
@blp.require(PUBLIC)
@blp.response(200, MsReportSchema)
@blp.cacheable
def get_ms_report(path: str) -> MsReport:
    """Get the quality report of a measurement set"""
    return services().qa.ms(path)


@blp.route("/job/<run_id>")
@blp.require(PUBLIC)
@blp.response(200, JobReportSchema)
@blp.cacheable
def get_job_report(run_id: str) -> JobReport:
    """Get the quality report of a job

    Flags of its measurement set come first, then those of the newest image made from it.
    """
    return services().qa.job(run_id)


@blp.route("/days")
@blp.require(PUBLIC)
@blp.arguments(QaDaysQuery, location="query")
@blp.response(200, QaDaysSchema)
@blp.cacheable
def get_days(query: DaysQuery) -> GradedDays:
    """Count the images of each day by grade"""
    return services().qa.days(query)
