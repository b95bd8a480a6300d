"""Images: the list as a table or a grid, one image with its provenance, its header."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import Response, request
from werkzeug.exceptions import UnprocessableEntity

from app.console import links, render
from app.console.blueprint import blp, cacheable
from app.console.forms import Refusal, Typed, faults_of
from app.console.listed import listed, show
from app.console.listing import ListKind
from app.console.provenance import chain_of
from app.domain.errors import CutoutTooLarge, InvalidValue, NoCoordinates, OutsideImage
from app.domain.images import IMAGE_COLUMNS
from app.domain.paging import PageRequest
from app.domain.pictures import COLOUR_MAPS, STRETCHES
from app.schemas.images import ImageQuery
from app.schemas.pictures import CutoutQuery, PreviewQuery
from app.web.api import Parser
from app.web.context import services

MOST_SOURCES = 25
# What file names are known to say; there may be others.
TYPES = ("image", "pbcor", "mosaic", "residual", "psf", "model", "dirty")

LIST = ListKind(
    "images",
    ImageQuery(),
    IMAGE_COLUMNS,
    (
        "id", "field_name", "qa_grade", "observed_mjd", "type", "ra_deg", "dec_deg", "noise_jy", "dynamic_range",
        "beam_major_arcsec", "created_at",
    ),
    (
        "field_name", "type", "qa_grade", "min_observed_mjd", "max_observed_mjd", "max_noise_jy", "ra_deg", "dec_deg",
        "name", "radius_deg", "match", "limit", "sort", "view",
    ),
    lambda page: services().images.page(page),
    radius=("radius_deg", "1"),
    in_grid=("file_format",),
)  # fmt: skip

_PREVIEW, _CUTOUT = PreviewQuery(), CutoutQuery()
_PIECE = {"ra_deg": "Position", "dec_deg": "Dec", "size_arcsec": "Side"}
_LOOK = ("size", "stretch", "cmap", "beam", "sources", "grid")


class Choice(NamedTuple):
    """A control of the preview: its parameter, what it is called, its values and their names; the first is usual."""

    name: str
    label: str
    values: tuple[tuple[str, str], ...]


CHOICES = (
    Choice("stretch", "Stretch", tuple(("" if each == "asinh" else each, each) for each in STRETCHES)),
    Choice("cmap", "Colour map", tuple(("" if each == "gray" else each, each) for each in COLOUR_MAPS)),
    Choice("sources", "Sources", (("", "hidden"), ("true", "circled"))),
    Choice("beam", "Beam", (("", "shown"), ("false", "hidden"))),
    Choice("grid", "Grid", (("", "hidden"), ("true", "shown"))),
    Choice("size", "Size", (("", "900 px"), ("600", "600 px"), ("1400", "1400 px"), ("2048", "2048 px"))),
)


@blp.route("/images")
@cacheable
def list_images() -> Response:
    """Images that meet the filters."""
    view = "grid" if request.args.get("view") == "grid" else "table"
    page = listed(LIST)
    return show("images.html", page, view=view, types=TYPES)


@blp.route("/images/<image_id>")
@cacheable
def image(image_id: str) -> Response:
    """One image."""
    Parser().parse(_PREVIEW, request, location="query")  # a value that the preview would refuse is refused here
    report = services().qa.image(image_id)
    number = str(report.image.id)
    measured = services().pictures.sources(number, PageRequest(MOST_SOURCES, count="exact"))
    facts, facts_line = LIST.one(number)
    look = [(name, request.args[name]) for name in _LOOK if name in request.args]
    return render.page(
        "image.html",
        image=report.image,
        report=report,
        facts=facts,
        chain=chain_of(report.image, measured.total.rows if measured.total else 0, facts["observed_mjd"]),
        measured=measured,
        look=look,
        choices=CHOICES,
        args=request.args,
        curl=links.curl(f"images/{number}"),
        more=[
            links.curl(f"images/{number}/preview.png", look, "-OJ"),
            links.curl(f"images/{number}/provenance"),
            links.curl(f"qa/image/{number}"),
            facts_line,
            links.curl(f"images/{number}/sources", [("limit", str(MOST_SOURCES)), ("count", "exact")]),
        ],
    )


@blp.route("/images/<image_id>/piece")
def piece(image_id: str) -> Response:
    """A square cut out of an image."""
    found = services().images.get(image_id)
    extent, refusal = None, None
    try:
        extent = services().pictures.extent(image_id, Parser().parse(_CUTOUT, request, location="query"))
    except (UnprocessableEntity, InvalidValue) as error:
        refusal = Refusal(422, faults_of(error), [])
    except (OutsideImage, NoCoordinates, CutoutTooLarge) as error:
        refusal = Refusal(404 if isinstance(error, OutsideImage) else 422, {"ra_deg": error.message}, [])
    asked = [(name, request.args[name]) for name in _PIECE if name in request.args]
    return render.page(
        "piece.html",
        refusal.status if refusal else 200,
        image=found,
        extent=extent,
        refusal=refusal,
        faults=[(_PIECE.get(name, name), reason) for name, reason in refusal.faults.items()] if refusal else [],
        asked=asked,
        args=Typed.of(request.args, refusal),
        **({} if refusal else _curl_lines(f"images/{found.id}/cutout", asked)),
    )


def _curl_lines(path: str, asked: list[tuple[str, str]]) -> dict[str, Any]:
    """The lines that give a piece, and its picture."""
    return {"curl": links.curl(path, asked, "-OJ"), "more": [links.curl(path, [*asked, ("format", "png")], "-OJ")]}


@blp.route("/images/<image_id>/header")
def header(image_id: str) -> Response:
    """The header of an image's file."""
    found = services().images.get(image_id)
    units = services().pictures.headers(image_id)
    curl = links.curl(f"images/{found.id}/header", [("format", "text")])
    return render.page("header.html", image=found, units=units, curl=curl)
