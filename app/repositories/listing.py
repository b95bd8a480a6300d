"""Lists: rows of one view, or of several put together, in one order, read a page at a time by key.

The sort key of a list is unique (the primary key comes last) and never NULL (the views see to that), so that a page
can start exactly behind the last row of the one before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

from app.db.pipeline import Params, PipelineDatabase
from app.domain.paging import Page, PageRequest, decode_cursor, encode_cursor

R = TypeVar("R", bound=tuple[Any, ...])


class SortKey(NamedTuple):
    """A column to sort by: its name in view and record, what a cursor holds of it, and its direction."""

    column: str
    type: type
    descending: bool = False

    @property
    def direction(self) -> str:
        """SQL for the direction."""
        return "DESC" if self.descending else "ASC"

    @property
    def beyond(self) -> str:
        """Comparison that holds for rows behind a given one."""
        return "<" if self.descending else ">"


@dataclass(frozen=True)
class Listing(Generic[R]):
    """A list of records.

    Parameters
    ----------
    views
        Canonical views that hold every column of the record; a list over several is their union.
    record
        NamedTuple whose fields are read by position.
    order
        Sort keys, the unique one last.

    Notes
    -----
    Each view is read in order and only as far as the page needs, then merged, so a page costs the same however many
    rows there are, given an index that serves the order.
    """

    views: tuple[str, ...]
    record: Callable[..., R]
    order: tuple[SortKey, ...]

    @cached_property
    def columns(self) -> str:
        """Column list of the record."""
        return ", ".join(self.record._fields)  # type: ignore[attr-defined]

    @cached_property
    def first_sql(self) -> str:
        """The first page, or the page at an offset."""
        return f"{self._merged('')} LIMIT :limit OFFSET :offset"

    @cached_property
    def next_sql(self) -> str:
        """The page behind the key bound as ``:key0``, ``:key1`` …"""
        return f"{self._merged(f'WHERE {self._behind}')} LIMIT :limit"

    @cached_property
    def count_sql(self) -> str:
        """The number of rows."""
        return "SELECT " + " + ".join(f"(SELECT count(*) FROM {view})" for view in self.views)

    def page(self, database: PipelineDatabase, request: PageRequest, params: Params | None = None) -> Page[R]:
        """One page, the cursor of the next, and the total where it was asked for."""
        values = dict(params or {}, limit=request.limit + 1, reach=request.limit + 1)
        if request.cursor is None:
            values.update(offset=request.offset, reach=request.offset + request.limit + 1)
            rows = database.rows(self.first_sql, values)
        else:
            types = tuple(key.type for key in self.order)
            key = decode_cursor(request.cursor, request.binding, types)
            rows = database.rows(self.next_sql, {**values, **{f"key{n}": part for n, part in enumerate(key)}})
        total = database.value(self.count_sql, params or {}) if request.count == "exact" else None
        return self._page(rows, request, total)

    def _page(self, rows: list[tuple[Any, ...]], request: PageRequest, total: int | None) -> Page[R]:
        records = [self.record(*row) for row in rows[: request.limit]]
        more = len(rows) > request.limit and bool(records)
        last = tuple(getattr(records[-1], key.column) for key in self.order) if more else None
        return Page(records, encode_cursor(last, request.binding) if last else None, total)

    def _merged(self, where: str) -> str:
        if len(self.views) == 1:
            return f"SELECT {self.columns} FROM {self.views[0]} {where} ORDER BY {self._order_by}"
        arms = (
            f"SELECT {self.columns} FROM "
            f"(SELECT {self.columns} FROM {view} {where} ORDER BY {self._order_by} LIMIT :reach)"
            for view in self.views
        )
        return f"{' UNION ALL '.join(arms)} ORDER BY {self._order_by}"

    @cached_property
    def _order_by(self) -> str:
        return ", ".join(f"{key.column} {key.direction}" for key in self.order)

    @cached_property
    def _behind(self) -> str:
        # a <= :a AND (a < :a OR (b > :b)): the first term lets SQLite start at the right place of the index.
        head, *tail = self.order
        behind = ""
        for n, key in reversed(list(enumerate(self.order))):
            after = f"{key.column} {key.beyond} :key{n}"
            behind = f"({after} OR {key.column} = :key{n} AND {behind})" if behind else f"({after})"
        return f"{head.column} {head.beyond}= :key0 AND {behind}" if tail else behind
