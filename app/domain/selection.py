"""Which rows of a list are asked for, in which order, and which of their columns."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.domain.columns import Column, Kind
from app.domain.sky import Cone

SEPARATION = Column(
    "separation_arcsec",
    Kind.REAL,
    "Angular distance from the position searched around.",
    unit="arcsec",
    ucd="pos.angDistance",
)


class Operator(enum.Enum):
    """How a column is compared with the value that a client gave; a value that is missing meets no condition."""

    ONE_OF = ""  # a tuple of values
    AT_LEAST = "min_"
    AT_MOST = "max_"
    BEGINS = "prefix_"

    def parameter(self, column: Column) -> str:
        """Name of the query parameter that asks for it."""
        return f"{self.value}{column.name}"


class Condition(NamedTuple):
    """A column, how it is compared, and what with."""

    column: Column
    operator: Operator
    value: Any


class Order(NamedTuple):
    """A column to sort by."""

    column: Column
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """Part of a list.

    Parameters
    ----------
    conditions
        All of which a row must meet.
    orders
        What to sort by, most important first; empty for the list's own order, or nearest first within a cone.
    columns
        What to read of each row; ``None`` for what the list shows unless asked.
    cone
        Where on the sky, if it matters.
    """

    conditions: tuple[Condition, ...] = ()
    orders: tuple[Order, ...] = ()
    columns: tuple[Column, ...] | None = None
    cone: Cone | None = None


EVERYTHING = Selection()


def applicable(column: Column) -> tuple[Operator, ...]:
    """Comparisons that make sense for a column."""
    if not column.is_filter:
        return ()
    kind = column.kind
    equal = () if kind.is_continuous else (Operator.ONE_OF,)
    bounds = (Operator.AT_LEAST, Operator.AT_MOST) if kind.is_number else ()
    begins = (Operator.BEGINS,) if kind.is_text else ()
    return equal + bounds + begins
