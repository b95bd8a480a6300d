"""Measurement sets: the list, and one with what calibrated it and what was made from it."""

from __future__ import annotations

from flask import Response

from app.console import links, lookup, render
from app.console.blueprint import blp, cacheable
from app.console.listed import listed, show
from app.console.listing import ListKind
from app.console.pages import calibration, images, jobs
from app.console.windows import windows
from app.domain.measurement_sets import KNOWN_STAGES, KNOWN_STATUSES, MS_COLUMNS
from app.schemas.ms import MsQuery
from app.web.context import services

MOST_IMAGES, MOST_RUNS, MOST_TABLES = 12, 20, 40

LIST = ListKind(
    "ms",
    MsQuery(),
    MS_COLUMNS,
    (
        "path", "qa_grade", "stage", "status", "field_name", "mid_mjd", "pointing_ra_deg", "pointing_dec_deg",
        "created_at", "run_id",
    ),
    (
        "qa_grade", "stage", "status", "field_name", "min_mid_mjd", "max_mid_mjd", "ra_deg", "dec_deg", "name",
        "radius_deg", "limit", "sort",
    ),
    lambda page: services().ms.page(page),
    radius=("radius_deg", "1"),
)  # fmt: skip

_FACTS = tuple(column.name for column in MS_COLUMNS)
_IMAGE = ("id", "field_name", "qa_grade", "observed_mjd", "created_at", "noise_jy", "type", "file_format")
_JOB = ("run_id", "status", "started_at", "finished_at")


@blp.route("/ms")
@cacheable
def list_measurement_sets() -> Response:
    """Measurement sets that meet the filters."""
    page = listed(LIST)
    return show("measurement_sets.html", page, stages=KNOWN_STAGES, statuses=KNOWN_STATUSES)


@blp.route("/ms/<filepath:path>")
@cacheable
def measurement_set(path: str) -> Response:
    """One measurement set."""
    report = services().qa.ms(path)
    known = report.path
    facts = lookup.some(LIST, _FACTS, [lookup.equal(LIST, "path", known)], 1)
    made = lookup.some(images.LIST, _IMAGE, [lookup.equal(images.LIST, "ms_path", known)], MOST_IMAGES)
    runs = lookup.some(jobs.LIST, _JOB, [lookup.equal(jobs.LIST, "ms_path", known)], MOST_RUNS)
    ms = facts.rows[0]
    valid = _valid_for(ms["mid_mjd"])
    return render.page(
        "measurement_set.html",
        ms=ms,
        report=report,
        matches=services().ms.get(known).calibrator_matches,
        valid=windows(valid.rows, mark_mjd=ms["mid_mjd"]) if valid else None,
        images=made.rows,
        runs=runs.rows,
        most_images=MOST_IMAGES,
        curl=links.curl(f"ms/{links.segment(known)}/metadata"),
        more=[
            links.curl(f"qa/ms/{links.segment(known)}"),
            facts.curl,
            made.curl,
            runs.curl,
            *([valid.curl] if valid else []),
        ],
    )


def _valid_for(mid_mjd: float | None) -> lookup.Beside | None:
    """Calibration tables that are valid at a time [MJD]; ``None`` where it is not known."""
    if mid_mjd is None:
        return None
    at_that_time = [
        lookup.at_most(calibration.LIST, "valid_start_mjd", mid_mjd),
        lookup.at_least(calibration.LIST, "valid_end_mjd", mid_mjd),
    ]
    return lookup.some(calibration.LIST, calibration.DRAWN, at_that_time, MOST_TABLES)
