"""Lists of the API as the console knows them: which columns it shows, and what it adds to a call.

What a list page shows is one call of the API, and its curl line is that call. The page adds defaults of its own to the
call (fewer rows, the columns worth a look, an estimate of how many rows there are) and reads nothing that it would not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import request
from webargs.multidictproxy import MultiDictProxy
from werkzeug.datastructures import MultiDict

from app.console import links
from app.console.forms import CONE, Pairs
from app.domain.columns import Column, named
from app.domain.paging import Page, PageRequest
from app.domain.selection import SEPARATION
from app.schemas.lists import ListQuery
from app.web.api import Parser

ROWS = 50


@dataclass(frozen=True)
class ListKind:
    """A list of the API as the console shows it.

    Parameters
    ----------
    path
        Of the list below the API's prefix.
    schema
        Of its parameters.
    published
        Its columns.
    shown
        Names of those that are shown unless ``fields`` says otherwise; the first one leads to a page.
    in_form
        Parameters that have a control in the form.
    read
        Reads a page.
    radius
        Parameter and value of a radius around a position, where nobody gives one.
    in_grid
        Names of columns that a grid of thumbnails needs beside those shown.
    """

    path: str
    schema: ListQuery
    published: Sequence[Column]
    shown: tuple[str, ...]
    in_form: tuple[str, ...]
    read: Callable[[PageRequest], Page[Any]]
    radius: tuple[str, str] | None = None
    in_grid: tuple[str, ...] = ()

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """Columns by name."""
        return named([*self.published, SEPARATION])

    def read_call(self, call: Pairs) -> Page[Any]:
        """What a call of the API gives; raises as the API would."""
        return self.read(_Given(call).parse(self.schema, request, location="query"))

    @property
    def columns_shown(self) -> tuple[Column, ...]:
        """Columns that are shown unless others are asked for."""
        return tuple(self.columns[name] for name in self.shown)

    def one(self, identifier: str, *options: str) -> tuple[dict[str, Any], str]:
        """Everything that the list publishes of one thing that is known to exist, and the curl line that gives it.

        Parameters
        ----------
        identifier
            Its id.
        options
            Parameters of the request that matter for it.
        """
        names = [column.name for column in self.published]
        kept = [(name, request.args[name]) for name in options if name in request.args]
        call = [("id", identifier), ("limit", "1"), ("fields", ",".join(names)), *kept]
        rows = list(self.read_call(call).items)
        return dict(zip(names, rows[0], strict=True)), links.curl(self.path, call)

    def complete(self, given: Pairs) -> Pairs:
        """The call of the API: what was given, and what the console adds."""
        names = {name for name, _ in given}
        call = list(given)
        if self.radius and _lacks_radius(dict(given)):
            call.append(self.radius)
        if "fields" not in names:
            nearest = ("separation_arcsec",) if names & set(CONE) else ()
            grid = self.in_grid if request.args.get("view") == "grid" else ()
            call.append(("fields", ",".join((*self.shown, *nearest, *grid))))
        elif self.shown[0] not in request.args["fields"].split(","):
            wanted = f"{self.shown[0]},{request.args['fields']}"
            call = [(name, wanted if name == "fields" else value) for name, value in given]
        if "limit" not in names:
            call.append(("limit", str(ROWS)))
        if "count" not in names:
            call.append(("count", "estimated"))
        return call


def _lacks_radius(given: Mapping[str, str]) -> bool:
    """Whether a position is given, and not how near to it is meant."""
    is_whole = "name" in given or {"ra_deg", "dec_deg"} <= given.keys()
    return is_whole and not given.keys() & {"radius_deg", "radius_arcsec"} and given.get("match") != "footprint"


class _Given(Parser):
    """Reads a call's parameters instead of the request's."""

    def __init__(self, call: Pairs) -> None:
        super().__init__()
        self._call = call

    def load_querystring(self, req: Any, schema: Any) -> Any:
        """The call's parameters."""
        return MultiDictProxy(MultiDict(self._call), schema)
