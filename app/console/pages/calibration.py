"""Calibration tables: the list and one, with the time for which they are valid."""

from __future__ import annotations

from typing import Any

from flask import Response

from app.console import links, lookup, render
from app.console.blueprint import blp, cacheable
from app.console.listed import listed, show
from app.console.listing import ListKind
from app.console.windows import windows
from app.domain.calibration import CAL_COLUMNS
from app.domain.time import mjd_from_unix
from app.schemas.cal import CalQuery
from app.web.context import services

MOST_NEIGHBOURS, AROUND_D = 60, 7.0

LIST = ListKind(
    "cal",
    CalQuery(),
    CAL_COLUMNS,
    (
        "path", "table_type", "status", "set_name", "cal_field", "refant", "valid_start_mjd", "valid_end_mjd",
        "created_at", "source_ms_path",
    ),
    (
        "table_type", "status", "set_name", "cal_field", "refant", "max_valid_start_mjd", "min_valid_end_mjd", "limit",
        "sort",
    ),
    lambda page: services().cal.page(page),
)  # fmt: skip

DRAWN = ("path", "set_name", "table_type", "status", "valid_start_mjd", "valid_end_mjd")
_FACTS = tuple(column.name for column in CAL_COLUMNS)


@blp.route("/cal")
@cacheable
def list_tables() -> Response:
    """Calibration tables that meet the filters, and when they are valid."""
    page = listed(LIST)
    drawn = windows({name: row.get(name) for name in DRAWN} for row in page.records)
    return show("calibration.html", page, drawn=drawn)


@blp.route("/cal/<filepath:path>")
@cacheable
def table(path: str) -> Response:
    """One calibration table."""
    known = services().cal.get(path).path
    found = lookup.some(LIST, _FACTS, [lookup.equal(LIST, "path", known)], 1)
    facts = found.rows[0]
    near = _neighbours(facts)
    return render.page(
        "calibration_table.html",
        table=facts,
        drawn=windows(near.rows, chosen=known),
        around_d=AROUND_D,
        observed=_observed(facts["valid_start_mjd"], facts["valid_end_mjd"]),
        curl=links.curl(f"cal/{links.segment(known)}"),
        more=[found.curl, near.curl],
    )


def _neighbours(table: dict[str, Any]) -> lookup.Beside:
    """Tables of the same type that are valid within some days of a table, itself included, the newest first."""
    start, end = table["valid_start_mjd"], table["valid_end_mjd"]
    if start is None or end is None:
        middle = mjd_from_unix(table["created_at"]) if start is None and end is None else start or end
        start, end = start or middle, end or middle
    near = [
        lookup.equal(LIST, "table_type", table["table_type"]),
        lookup.at_most(LIST, "valid_start_mjd", end + AROUND_D),
        lookup.at_least(LIST, "valid_end_mjd", start - AROUND_D),
    ]
    found = lookup.some(LIST, DRAWN, near, MOST_NEIGHBOURS)
    is_among = any(row["path"] == table["path"] for row in found.rows)
    return found if is_among else found._replace(rows=[table, *found.rows])


def _observed(start_mjd: float | None, end_mjd: float | None) -> str:
    """The list of the measurement sets that were observed in a window [MJD]; empty where that has no ends."""
    if start_mjd is None or end_mjd is None:
        return ""
    return links.console("ms", [("min_mid_mjd", f"{start_mjd:.6f}"), ("max_mid_mjd", f"{end_mjd:.6f}")])
