"""A page of a list: a table with sort links, pages, active filters, downloads, and what was not understood."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

from flask import Response, request
from markupsafe import Markup
from werkzeug.exceptions import UnprocessableEntity

from app.console import cells, links, render
from app.console.forms import CONE, RADII, Pairs, Refusal, Typed, refusal_of, typed
from app.console.listing import ListKind
from app.domain.columns import Column
from app.domain.errors import InvalidValue, NotFound
from app.domain.paging import Page
from app.domain.selection import SEPARATION, Operator
from app.services.tables import is_available

FORMATS = (("csv", "CSV"), ("votable", "VOTable"), ("fits", "FITS"), ("parquet", "Parquet"), ("ndjson", "NDJSON"))

# Parameters that compare no column, as the form calls them.
_KNOWN_AS = {
    "ra_deg": "RA", "dec_deg": "Dec", "name": "source", "radius_deg": "radius [°]", "radius_arcsec": "radius [″]",
    "limit": "rows", "sort": "sorted by", "fields": "columns",
}  # fmt: skip
# Not what is shown, but which part of it and how.
_NOT_FILTERS = frozenset({"limit", "offset", "cursor", "count", "sort", "fields", "format", "view"})
_SIGNS = {Operator.ONE_OF: "=", Operator.AT_LEAST: "≥", Operator.AT_MOST: "≤", Operator.BEGINS: "begins with"}


class Header(NamedTuple):
    """The head of a column; ``sort`` is the URL of the list sorted by it, empty where that cannot be."""

    label: str
    unit: str
    description: str
    sort: str
    order: str
    numeric: bool


class Filter(NamedTuple):
    """An active filter, and the list without it."""

    text: str
    without: str


class Download(NamedTuple):
    """A format, its name for people, and where this selection is to be had in it."""

    name: str
    url: str


class Listed:
    """A page of a list.

    Parameters
    ----------
    kind
        The list.
    given
        The request's parameters, but those of the console alone.
    call
        The API's call.
    page
        What it gives.
    refusal
        Why it gives nothing, where it was not understood.
    """

    def __init__(
        self, kind: ListKind, given: Pairs, call: Pairs, page: Page[Any], refusal: Refusal | None = None
    ) -> None:
        self.kind = kind
        self.page = page
        self.refusal = refusal
        self._given = given
        self._call = call
        self.columns: tuple[Column, ...] = page.columns or ()
        self.items: list[tuple[Any, ...]] = list(page.items)

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """Rows by name of column."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.items]

    @property
    def body(self) -> Markup:
        """The rows of the table."""
        # Joined here: a template would take longer over a page of cells than the database over its rows.
        write = [(_cell(column), cells.writer(self.kind.path, column)) for column in self.columns]
        rows = [
            "".join([f"{start}{put(value)}" for (start, put), value in zip(write, row, strict=True)])
            for row in self.items
        ]
        return Markup("".join([f"<tr>{row}\n" for row in rows]))

    @property
    def form(self) -> Typed:
        """What the form is filled with."""
        made = Typed.of(request.args, self.refusal)
        return made.with_radius(self.kind.radius[0]) if self.kind.radius else made

    @property
    def faults(self) -> list[tuple[str, str]]:
        """What was not understood, in the words of the page, and why."""
        refused = self.refusal.faults if self.refusal else {}
        return [(self._words(name, ", ".join(request.args.getlist(name))), reason) for name, reason in refused.items()]

    @property
    def wants_none(self) -> bool:
        """Whether no row was asked for."""
        return request.args.get("limit") == "0"

    @property
    def sorting(self) -> Pairs:
        """Values of ``sort`` with what they mean."""
        found = [("", "usual order")]
        for column in self.columns:
            if column.is_filter:
                name = cells.label(column)
                found += [(f"-{column.name}", f"{name} ↓"), (column.name, f"{name} ↑")]
        return found

    @cached_property
    def headers(self) -> list[Header]:
        """Heads of the columns."""
        return [self._header(column) for column in self.columns]

    @property
    def curl(self) -> str:
        """The line that gives these rows."""
        return links.curl(self.kind.path, self._call)

    @property
    def total(self) -> str:
        """How many rows there are, in words."""
        total = self.page.total
        if total is None:
            return ""
        return f"{'at least ' if total.kind == 'at-least' else ''}{total.rows:,}".replace(",", "\u202f")

    @property
    def first(self) -> str:
        """URL of the first page, empty on it."""
        return self._url(self._without("cursor", "offset")) if "cursor" in request.args else ""

    @property
    def next(self) -> str:
        """URL of the next page, empty on the last."""
        cursor = self.page.next_cursor
        return "" if cursor is None else self._url([*self._without("cursor", "offset"), ("cursor", cursor)])

    @property
    def downloads(self) -> list[Download]:
        """This selection, these columns, this order, every row, in each format."""
        kept = [(name, value) for name, value in self._call if name not in {"limit", "cursor", "offset", "count"}]
        there = [(form, name) for form, name in FORMATS if is_available(form)]
        return [Download(name, links.api(self.kind.path, [*kept, ("format", form)])) for form, name in there]

    @property
    def page_downloads(self) -> list[Download]:
        """The rows of this page alone."""
        kept = [(name, value) for name, value in self._call if name != "count"]
        return [Download(name, links.api(self.kind.path, [*kept, ("format", form)])) for form, name in FORMATS[:2]]

    @property
    def hidden(self) -> Pairs:
        """What the form has no control for and must keep."""
        dropped = {*self.kind.in_form, "cursor", "offset", *(RADII if self.kind.radius else ())}
        return [(name, value) for name, value in request.args.items(multi=True) if name not in dropped]

    @property
    def filters(self) -> list[Filter]:
        """Active filters."""
        found = [
            Filter(self._words(name, value), self._url([pair for pair in self._given if pair != (name, value)]))
            for name, value in self._given
            if name not in _NOT_FILTERS and name not in CONE
        ]
        cone = _cone_words(dict(self._call))
        return [*found, Filter(cone, self._url(self._without(*CONE)))] if cone else found

    @property
    def without_filters(self) -> str:
        """The list with every filter gone."""
        return self._url([(name, value) for name, value in self._given if name in {"sort", "fields", "limit"}])

    def view(self, name: str) -> str:
        """This page in another view."""
        return links.here([*self._given, *([("view", name)] if name else [])])

    def _url(self, pairs: Pairs) -> str:
        view = [("view", request.args["view"])] if "view" in request.args else []
        return links.here([*pairs, *view])

    def _without(self, *names: str) -> Pairs:
        return [(name, value) for name, value in self._given if name not in names]

    def _words(self, name: str, value: str) -> str:
        compared = self.kind.schema.CONDITIONS.get(name)
        if compared is None:
            known_as = _KNOWN_AS.get(name, name.replace("_", " "))
            return f"{known_as} = {value}" if value else known_as
        column, operator = compared
        value = typed(value)
        return f"{cells.label(column)} {_SIGNS[operator]} {cells.in_shown_unit(column, value)}"

    def _header(self, column: Column) -> Header:
        sortable = column.is_filter or column is SEPARATION
        sorted_by = request.args.get("sort", "").partition(",")[0]
        order = {column.name: "ascending", f"-{column.name}": "descending"}.get(sorted_by, "none")
        # Largest and newest first; names from the start; then the other way round.
        down_first = not column.kind.is_text and column is not SEPARATION
        down = order == "ascending" or (order == "none" and down_first)
        wanted = f"-{column.name}" if down else column.name
        url = self._url([*self._without("sort", "cursor", "offset"), ("sort", wanted)]) if sortable else ""
        unit = cells.shown_unit(column)
        return Header(cells.label(column), unit, column.description, url, order, cells.is_numeric(column))


def listed(kind: ListKind) -> Listed:
    """The page of a list that the request at hand asks for, or an empty one with what of it is not understood.

    Anything else that the API would raise is raised.
    """
    given = [(name, value) for name, value in request.args.items(multi=True) if name not in {"view", "format"}]
    call = kind.complete(given)
    try:
        return Listed(kind, given, call, kind.read_call(call))
    except (UnprocessableEntity, InvalidValue, NotFound) as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        return Listed(kind, given, call, Page([], columns=kind.columns_shown), refusal)


def show(template: str, page: Listed, **context: Any) -> Response:
    """The page of a list."""
    status = page.refusal.status if page.refusal else 200
    curl = {} if page.refusal else {"curl": page.curl}
    return render.page(template, status, listed=page, args=page.form, **curl, **context)


def _cell(column: Column) -> str:  # HTML lets the end of a cell go without saying
    return '<td class="n">' if cells.is_numeric(column) else "<td>"


def _cone_words(given: Mapping[str, str]) -> str:
    where = given.get("name") or ", ".join(filter(None, (given.get("ra_deg"), given.get("dec_deg"))))
    if not where:
        return ""
    if given.get("match") == "footprint":
        return f"shows {where}"
    radius = given.get("radius_deg")
    return f"within {f'{radius}°' if radius else given.get('radius_arcsec', '?') + '″'} of {where}"
