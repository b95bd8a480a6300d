"""Jobs, read from the measurement sets and the jobs table."""

from __future__ import annotations

from app.db.pipeline import PipelineDatabase
from app.domain.errors import NotFound
from app.domain.jobs import JOB_COLUMNS, Job
from app.domain.paging import Page, PageRequest
from app.domain.run_id import names_of
from app.repositories.listing import Listing, SortKey

LIST = Listing(
    ("v_job_processed", "v_job_rerun"),
    Job,
    (SortKey("sort_started_at", float, descending=True), SortKey("sort_key", str)),
    JOB_COLUMNS,
)

# Run ids are compared whole; the range of names only spares most rows that comparison.
OF_MS = f"""SELECT {LIST.columns} FROM v_job
WHERE ms_name >= :first AND ms_name < :last AND run_id = :run_id
ORDER BY sort_started_at DESC, sort_key LIMIT 1"""
RECORDED = f"""SELECT {LIST.columns} FROM v_job_recorded
WHERE run_id = :run_id ORDER BY created_at DESC, id DESC LIMIT 1"""


class JobRepository:
    """Jobs by page and run id."""

    def __init__(self, database: PipelineDatabase) -> None:
        self._database = database

    def page(self, request: PageRequest) -> Page[Job]:
        """Processed measurement sets and reruns, newest start first."""
        return LIST.page(self._database, request)

    def get(self, run_id: str) -> Job:
        """The run of exactly that id: of the measurement set processed last, else as the jobs table records it.

        Raises
        ------
        NotFound
            No measurement set and no recorded job has it.
        """
        names = names_of(run_id)
        row = names and self._database.find(OF_MS, {"run_id": run_id, **names._asdict()})
        return Job(*(row or self._database.row(RECORDED, {"run_id": run_id}, missing=NotFound("Job", run_id))))
