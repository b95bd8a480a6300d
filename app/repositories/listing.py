"""Lists: rows of one view, or of several put together, chosen, ordered, and read a page at a time by key.

The sort key of a list is unique (the primary key comes last) and never NULL, so that a page can start exactly behind
the last row of the one before it. What a request chooses is composed here, from the columns that the list publishes and
nothing else; every value is bound.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from app.db import deadline
from app.db.pipeline import Params, PipelineDatabase, Row
from app.domain.columns import Column
from app.domain.paging import Page, PageRequest, Total, decode_cursor, encode_cursor
from app.domain.selection import EVERYTHING, SEPARATION, Order, Selection
from app.domain.sky import Cone
from app.repositories.conditions import Conditions, conditions_of, values_of
from app.repositories.cones import DISTANCE, ConeSearch

R = TypeVar("R", bound=tuple[Any, ...])

# Rows that a stream reads at a time: short enough for the pipeline's log to be emptied in between.
CHUNK = 5000
# Without an index every chunk sorts everything, so there are fewer of them.
SORTED_CHUNK = 20_000
# How far an estimate counts.
COUNTED_AT_MOST = 10_000


class SortKey(NamedTuple):
    """What to sort by: a column or expression that is never NULL, what a cursor holds of it, and its direction."""

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

    def turned(self, turn: bool) -> SortKey:
        """The same the other way round, where that is wanted."""
        return self._replace(descending=not self.descending) if turn else self


class Shape(NamedTuple):
    """What the SQL of a page depends on; the rest is bound.

    ``columns`` are wanted; ``read`` are these and whatever else the sort key consists of.
    """

    columns: tuple[str, ...]
    order: tuple[SortKey, ...]
    conditions: Conditions = Conditions(())
    in_cone: str = ""

    @property
    def read(self) -> tuple[str, ...]:
        """Every column to read."""
        return (*self.columns, *(key.column for key in self.order if key.column not in self.columns))

    @property
    def key_positions(self) -> tuple[int, ...]:
        """Where the parts of the sort key stand in a row."""
        return tuple(self.read.index(key.column) for key in self.order)


@dataclass(frozen=True)
class Listing(Generic[R]):
    """A list of records.

    Parameters
    ----------
    views
        Canonical views that hold every column of the record; a list over several is their union.
    record
        NamedTuple whose fields are read by position; those with a default are not the view's.
    order
        Sort keys, the unique one last.
    published
        Columns that a request may choose, and sort by and filter by where they say so.
    cone
        How the list is searched on the sky, if it can be.

    Notes
    -----
    Each view is read in order and only as far as the page needs, then merged, so a page costs the same however many
    rows there are, given an index that serves the order.
    """

    views: tuple[str, ...]
    record: Callable[..., R]
    order: tuple[SortKey, ...]
    published: tuple[Column, ...] = ()
    cone: ConeSearch | None = None

    @cached_property
    def columns(self) -> str:
        """Column list of the record."""
        return ", ".join(self._fields)

    @cached_property
    def _fields(self) -> tuple[str, ...]:
        record: Any = self.record
        return tuple(name for name in record._fields if name not in record._field_defaults)

    def page(self, database: PipelineDatabase, request: PageRequest, params: Params | None = None) -> Page[R]:
        """One page, the cursor of the next, and the total where it was asked for.

        Parameters
        ----------
        database
            To read from.
        request
            Which page. Of a stream, the first rows are read at once and the others while they are taken.
        params
            Values that the views need.
        """
        selection = request.selection
        if request.is_stream and selection.columns is None:
            selection = replace(selection, columns=self._all(selection))
        shape = self._shape(selection)
        values = {**(params or {}), **values_of(selection.conditions)}
        if selection.cone is not None:
            values |= self.searched.values(selection.cone, self._reach_deg(database, selection.cone))
        reader = _Reader(database, self.views, shape, values)
        if request.is_stream:
            return Page(reader.stream(request), columns=selection.columns, format=request.format)  # type: ignore[arg-type]
        rows, cursor = reader.page(request)
        items: list[Any] = rows if selection.columns else list(itertools.starmap(self.record, rows))
        return Page(items, cursor, reader.total(request.count), columns=selection.columns)

    def sql(self, selection: Selection = EVERYTHING, *, behind: bool = False) -> str:
        """The statement of a selection's first page, or of one behind a key."""
        return _statement(self.views, self._shape(selection), behind)

    @property
    def searched(self) -> ConeSearch:
        """How the list is searched on the sky; asked only of one that is."""
        assert self.cone is not None  # the schema offers no position where there is none
        return self.cone

    def _reach_deg(self, database: PipelineDatabase, cone: Cone) -> float:
        if cone.match == "centre":
            return cone.radius_deg
        return min(float(database.value(self.searched.reach) or 0.0), 180.0)

    def _all(self, selection: Selection) -> tuple[Column, ...]:
        return self.published + ((SEPARATION,) if selection.cone else ())

    def _shape(self, selection: Selection) -> Shape:
        if selection is EVERYTHING:
            return self._plain
        if selection.columns is not None:
            columns = tuple(map(_expression, selection.columns))
        elif selection.cone is not None:
            columns = (*self._fields, DISTANCE)
        else:
            columns = self._fields
        in_cone = self.searched.sql(selection.cone) if selection.cone else ""
        return Shape(columns, self._ordered(selection), conditions_of(selection.conditions), in_cone)

    @cached_property
    def _plain(self) -> Shape:
        return Shape(self._fields, self.order)

    def _ordered(self, selection: Selection) -> tuple[SortKey, ...]:
        orders = selection.orders or ((Order(SEPARATION),) if selection.cone else ())
        keys = tuple(self._key(order) for order in orders)
        if keys == self.order[: len(keys)]:
            return self.order
        # The unique key follows the direction of the first, as in the list's own order, so that one index serves both.
        unique = self.order[-1].turned(keys[0].descending != self.order[0].descending)
        return keys if unique.column in {key.column for key in keys} else (*keys, unique)

    def _key(self, order: Order) -> SortKey:
        if order.column is SEPARATION:
            return SortKey(DISTANCE, float, order.descending)
        name = order.column.view_column
        for key in self.order:
            if key.column in {name, f"sort_{name}"}:
                return key._replace(descending=order.descending)
        missing, kind = ("''", str) if order.column.kind.is_text else ("-9e999", float)
        return SortKey(f"ifnull({name}, {missing})", kind, order.descending)


class _Reader(NamedTuple):
    """Reads what one request has chosen of a list."""

    database: PipelineDatabase
    views: tuple[str, ...]
    shape: Shape
    values: dict[str, Any]

    def page(self, request: PageRequest) -> tuple[list[Row], str | None]:
        """Rows of the page asked for, and the cursor of the next."""
        limit = request.limit or 0
        rows = self._read(self._start(request), limit + 1, request.offset)
        more = len(rows) > limit > 0
        cursor = encode_cursor(self._key(rows[limit - 1]), request.binding) if more else None
        return self._wanted(rows[:limit]), cursor

    def stream(self, request: PageRequest) -> Iterable[Row]:
        """Rows a chunk at a time; the first chunk is read now, so that what fails early fails before an answer."""
        chunk = CHUNK if "(" not in self.shape.order[0].column else SORTED_CHUNK
        wanted = chunk if request.limit is None else min(chunk, request.limit)
        first = self._read(self._start(request), wanted, request.offset)
        return self._wanted(first) if len(first) < chunk else self._chunks(first, chunk, request.limit)

    def total(self, wanted: str | None) -> Total | None:
        """How many rows there are, as exactly as that is wanted."""
        if wanted == "exact":
            return Total(self.database.value(_count(self.views, self.shape, False), self.values), "exact")
        if wanted == "estimated":
            sql = _count(self.views, self.shape, True)
            rows = self.database.value(sql, {**self.values, "at_most": COUNTED_AT_MOST + 1})
            return Total(rows, "exact") if rows <= COUNTED_AT_MOST else Total(COUNTED_AT_MOST, "at-least")
        return None

    def _chunks(self, rows: list[Row], chunk: int, limit: int | None) -> Iterator[Row]:
        left = limit
        while rows:
            yield from self._wanted(rows)
            left = None if left is None else left - len(rows)
            if len(rows) < chunk or left == 0:
                return
            deadline.renew()  # each chunk has a time limit of its own: a long stream is not a stuck one
            rows = self._read(self._key(rows[-1]), chunk if left is None else min(chunk, left), 0)

    def _start(self, request: PageRequest) -> Row | None:
        if request.cursor is None:
            return None
        return decode_cursor(request.cursor, request.binding, tuple(key.type for key in self.shape.order))

    def _read(self, key: Row | None, limit: int, offset: int) -> list[Row]:
        sql = _statement(self.views, self.shape, key is not None)
        keys = {f"key{n}": part for n, part in enumerate(key or ())}
        reach = limit + offset
        return self.database.rows(sql, {**self.values, **keys, "limit": limit, "offset": offset, "reach": reach})

    def _key(self, row: Row) -> Row:
        return tuple(row[position] for position in self.shape.key_positions)

    def _wanted(self, rows: list[Row]) -> list[Row]:
        width = len(self.shape.columns)
        return rows if width == len(self.shape.read) else [row[:width] for row in rows]


def _expression(column: Column) -> str:
    return DISTANCE if column is SEPARATION else column.view_column


@lru_cache(maxsize=1024)
def _statement(views: tuple[str, ...], shape: Shape, behind: bool) -> str:
    """SQL of a page: the first (or the one at ``:offset``), or the one behind the key ``:key0``, ``:key1`` …"""
    names = [f"r{n}" for n in range(len(shape.read))]
    read = ", ".join(f"{column} AS {name}" for column, name in zip(shape.read, names, strict=True))
    ordered = zip(shape.key_positions, shape.order, strict=True)
    order_by = ", ".join(f"{names[position]} {key.direction}" for position, key in ordered)
    where = _where(shape, [_behind(shape.order)] if behind else [])
    tail = f"ORDER BY {order_by} LIMIT :limit OFFSET :offset"
    if len(views) == 1:
        return f"SELECT {read} FROM {views[0]} {where} {tail}"
    chosen = ", ".join(names)
    arms = (
        f"SELECT {chosen} FROM (SELECT {read} FROM {view} {where} ORDER BY {order_by} LIMIT :reach)" for view in views
    )
    return f"{' UNION ALL '.join(arms)} {tail}"


@lru_cache(maxsize=1024)
def _count(views: tuple[str, ...], shape: Shape, at_most: bool) -> str:
    """SQL that counts what is chosen, or no further than ``:at_most``."""
    where = _where(shape)
    if at_most:
        arms = " UNION ALL ".join(f"SELECT 1 FROM {view} {where}" for view in views)
        return f"SELECT count(*) FROM ({arms} LIMIT :at_most)"
    return "SELECT " + " + ".join(f"(SELECT count(*) FROM {view} {where})" for view in views)


def _where(shape: Shape, further: Sequence[str] = ()) -> str:
    terms = [*shape.conditions.sql, *([shape.in_cone] if shape.in_cone else []), *further]
    return f"WHERE {' AND '.join(terms)}" if terms else ""


def _behind(order: tuple[SortKey, ...]) -> str:
    # a <= :a AND (a < :a OR (b > :b)): the first term lets SQLite start at the right place of the index.
    head, *tail = order
    behind = ""
    for n, key in reversed(list(enumerate(order))):
        after = f"{key.column} {key.beyond} :key{n}"
        behind = f"({after} OR {key.column} = :key{n} AND {behind})" if behind else f"({after})"
    return f"{head.column} {head.beyond}= :key0 AND {behind}" if tail else behind
