"""Rows of a list that a page shows beside its subject: read as the API's lists are, by name of column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from flask import request

from app.console import links
from app.console.listing import ListKind
from app.domain.paging import Page, PageRequest
from app.domain.selection import Condition, Operator, Selection
from app.schemas.lists import ListQuery
from app.web.api import Parser

ROWS = 50


class Beside(NamedTuple):
    """Rows by name of column, and the curl line that gives them."""

    rows: list[dict[str, Any]]
    curl: str


def some(kind: ListKind, names: Sequence[str], conditions: Sequence[Condition], most: int) -> Beside:
    """The first rows of a list that meet some conditions, in the list's own order.

    Parameters
    ----------
    kind
        The list.
    names
        Of the columns to read.
    conditions
        What the rows must meet.
    most
        How many rows at most.
    """
    columns = tuple(kind.columns[name] for name in names)
    page = kind.read(PageRequest(most, selection=Selection(tuple(conditions), columns=columns)))
    params = [
        (condition.operator.parameter(condition.column), str(value))
        for condition in conditions
        for value in (condition.value if isinstance(condition.value, tuple) else (condition.value,))
    ]
    params += [("fields", ",".join(names)), ("limit", str(most))]
    return Beside([dict(zip(names, row, strict=True)) for row in page.items], links.curl(kind.path, params))


def equal(kind: ListKind, name: str, *values: Any) -> Condition:
    """That a column has one of some values."""
    return Condition(kind.columns[name], Operator.ONE_OF, values)


def at_least(kind: ListKind, name: str, value: float) -> Condition:
    """That a column has a value or more."""
    return Condition(kind.columns[name], Operator.AT_LEAST, value)


def at_most(kind: ListKind, name: str, value: float) -> Condition:
    """That a column has a value or less."""
    return Condition(kind.columns[name], Operator.AT_MOST, value)


def asked(schema: ListQuery) -> Any:
    """What the request at hand asks of a list that has no columns to choose; raises as the API would.

    The page is no longer than the console's lists are, unless the request says so.
    """
    loaded = Parser().parse(schema, request, location="query")
    if "limit" in request.args:
        return loaded
    if isinstance(loaded, PageRequest):
        return replace(loaded, limit=ROWS)
    page, *rest = loaded
    return (replace(page, limit=ROWS), *rest)


def next_page(page: Page[Any]) -> str:
    """URL of the next page of such a list, empty on the last."""
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in {"cursor", "offset"}]
    return links.here([*kept, ("cursor", page.next_cursor)]) if page.next_cursor else ""


def first_page() -> str:
    """URL of its first page, empty on it."""
    kept = [(name, value) for name, value in request.args.items(multi=True) if name not in {"cursor", "offset"}]
    return links.here(kept) if "cursor" in request.args else ""


def curl(path: str) -> str:
    """The line that gives such a page."""
    given = list(request.args.items(multi=True))
    return links.curl(path, given if "limit" in request.args else [*given, ("limit", ROWS)])
