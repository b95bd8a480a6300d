"""The first page: what needs attention, what came in, what the survey holds."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.console import links, render
from app.console.blueprint import blp
from app.console.sky import sky_map
from app.console.watch import look_around
from app.domain.columns import Column, named
from app.domain.images import IMAGE_COLUMNS
from app.domain.jobs import JOB_COLUMNS
from app.domain.paging import PageRequest
from app.domain.selection import Condition, Operator, Selection
from app.domain.time import DAY_S, iso_from_unix
from app.web.context import services

NEWEST, MOST_JOBS, MOST_POINTINGS, DAYS = 14, 10, 2000, 30
OPEN = ("running", "failed", "pending")

_IMAGES = named(IMAGE_COLUMNS)
_SHOWN = tuple(
    _IMAGES[name] for name in ("id", "field_name", "qa_grade", "observed_mjd", "created_at", "noise_jy", "file_format")
)
_POINTINGS = tuple(_IMAGES[name] for name in ("ra_deg", "dec_deg", "qa_grade", "field_name"))
_STATUS = named(JOB_COLUMNS)["status"]


@blp.route("/")
def overview() -> Response:
    """The survey at a glance."""
    statistics = services().stats.statistics()
    newest = _images(NEWEST, _SHOWN)
    open_jobs = Selection((Condition(_STATUS, Operator.ONE_OF, OPEN),))
    jobs = list(services().jobs.page(PageRequest(MOST_JOBS, selection=open_jobs)).items)
    watched, timeline = look_around(jobs), _timeline(newest, statistics.meta.generated_at)
    return render.page(
        "overview.html",
        statistics=statistics,
        newest=newest,
        jobs=jobs,
        watched=watched,
        sky=sky_map(_images(MOST_POINTINGS, _POINTINGS)),
        most_pointings=MOST_POINTINGS,
        timeline=timeline,
        days=DAYS,
        curl=links.curl("stats"),
        more=[
            links.curl("images", [("fields", _names(_SHOWN)), ("limit", str(NEWEST))]),
            links.curl("images", [("fields", _names(_POINTINGS)), ("limit", str(MOST_POINTINGS)), ("format", "csv")]),
            links.curl("jobs", [*(("status", word) for word in OPEN), ("limit", str(MOST_JOBS))]),
            *(links.curl(f"images/{image['id']}/thumbnail", [("size", "256")], "-OJ") for image in newest[:1]),
            links.curl("stats/timeline", [pair for pair in timeline if pair[0] in {"days", "end_date"}]),
            links.curl("stats/timeline.svg", timeline, "-OJ"),
            links.curl("health", [("detailed", "true")]),
            links.curl("queue"),
            links.curl("services/status"),
        ],
    )


def _images(limit: int, columns: tuple[Column, ...]) -> list[dict[str, Any]]:
    """The newest images, by name of column."""
    page = services().images.page(PageRequest(limit, selection=Selection(columns=columns)))
    names = [column.name for column in columns]
    return [dict(zip(names, row, strict=True)) for row in page.items]


def _names(columns: tuple[Column, ...]) -> str:
    return ",".join(column.name for column in columns)


def _timeline(newest: list[dict[str, Any]], now: float) -> list[tuple[str, str]]:
    """Parameters of the plot of the last days; where nothing came in them, of the last days with anything."""
    last = max((image["created_at"] for image in newest if image["created_at"]), default=now)
    given = [("days", str(DAYS)), ("width", "900"), ("height", "420")]
    date = iso_from_unix(last) or ""
    return given if now - last < DAYS * DAY_S else [*given, ("end_date", date[:10])]
