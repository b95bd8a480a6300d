"""Sources: the list with the η–V plane of what is listed, and one source with its light curve."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from app.console import links, render
from app.console.blueprint import blp, cacheable
from app.console.charts import Metrics, Plane, light_curve, plane
from app.console.listed import Listed, listed, show
from app.console.listing import ListKind
from app.console.metrics import definitions
from app.domain.sources import SOURCE_COLUMNS
from app.schemas.sources import SourceQuery
from app.web.context import services

MOST_CUTOUTS, CUTOUT_ARCSEC = 12, 240
PICTURE = (("size_arcsec", str(CUTOUT_ARCSEC)), ("format", "png"), ("size", "320"))

LIST = ListKind(
    "sources",
    SourceQuery(),
    SOURCE_COLUMNS,
    (
        "id", "ra_deg", "dec_deg", "n_fluxes", "weighted_mean_flux_jy", "weighted_mean_flux_err_jy",
        "max_snr", "eta", "v", "m", "last_mjd",
    ),
    (
        "min_eta", "min_v", "min_weighted_mean_flux_jy", "max_weighted_mean_flux_jy", "min_max_snr", "min_n_fluxes",
        "flux_type", "ra_deg", "dec_deg", "name", "radius_arcsec", "prefix_id", "limit", "sort",
    ),
    lambda page: services().sources.page(page),
    radius=("radius_arcsec", "600"),
)  # fmt: skip


@blp.route("/sources")
@cacheable
def list_sources() -> Response:
    """Sources that meet the filters."""
    page = listed(LIST)
    return show("sources.html", page, plane=_plane(page) if page.items else None)


@blp.route("/sources/<source_id>")
@cacheable
def source(source_id: str) -> Response:
    """One source."""
    found = services().sources.get(source_id)
    points = services().sources.light_curve(source_id).data_points
    metrics, metrics_line = LIST.one(source_id, "flux_type")
    by_path = {image.path: image for image in reversed(found.contributing_images)}
    return render.page(
        "source.html",
        source=found,
        points=points,
        images=by_path,
        curve=light_curve(points, by_path, _mean_jy(metrics)),
        metrics=metrics,
        definitions=definitions(metrics),
        cutouts=found.contributing_images[:MOST_CUTOUTS],
        observed={point.image_path: point.mjd for point in points},
        cutout_arcsec=CUTOUT_ARCSEC,
        picture=list(PICTURE),
        curl=links.curl(f"sources/{links.segment(source_id)}/lightcurve"),
        more=[
            links.curl(f"sources/{links.segment(source_id)}"),
            metrics_line,
            *(
                links.curl(f"images/{image.image_id}/cutout", [("source", source_id), *PICTURE], "-OJ")
                for image in found.contributing_images[:1]
            ),
        ],
    )


def _mean_jy(metrics: dict[str, Any]) -> float | None:
    """Weighted mean of the flux that light curves show; ``None`` where the metrics are those of another."""
    mean_jy: float | None = metrics["weighted_mean_flux_jy"]
    return None if request.args.get("flux_type") == "peak" else mean_jy


def _plane(page: Listed) -> Plane:
    """The plane of the rows that are listed, with the filters as its thresholds."""
    rows = [Metrics(row["id"], row.get("eta"), row.get("v")) for row in page.records]
    return plane(rows, _number("min_eta"), _number("min_v"))


def _number(name: str) -> float | None:
    return float(request.args[name]) if name in request.args else None
