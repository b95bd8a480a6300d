"""Conditions of a selection as SQL: names come from published columns, values are bound."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from app.domain.selection import Condition, Operator

# Text sorts behind every number in SQLite, infinity behind every finite one; neither is a value.
LARGEST = 1.7976931348623157e308
# Behind every text that begins with what stands before it.
LAST_CHARACTER = "\U0010ffff"


class Conditions(NamedTuple):
    """Conditions by column and operator; the values are bound as ``:c0``, ``:c1`` …"""

    compared: tuple[tuple[str, Operator], ...]

    @property
    def sql(self) -> list[str]:
        """One term for each."""
        return [_SQL[operator].format(column=column, n=n) for n, (column, operator) in enumerate(self.compared)]


_SQL = {
    Operator.ONE_OF: "{column} IN (SELECT value FROM json_each(:c{n}))",
    Operator.AT_LEAST: f"{{column}} BETWEEN :c{{n}} AND {LARGEST!r}",
    Operator.AT_MOST: f"{{column}} BETWEEN {-LARGEST!r} AND :c{{n}}",
    Operator.BEGINS: f"{{column}} >= :c{{n}} AND {{column}} < :c{{n}} || '{LAST_CHARACTER}'",
}


def conditions_of(conditions: tuple[Condition, ...]) -> Conditions:
    """What the SQL of some conditions depends on."""
    return Conditions(tuple((condition.column.view_column, condition.operator) for condition in conditions))


def values_of(conditions: tuple[Condition, ...]) -> dict[str, Any]:
    """What to bind for some conditions."""
    return {f"c{n}": _bound(condition) for n, condition in enumerate(conditions)}


def _bound(condition: Condition) -> Any:
    return json.dumps(condition.value) if condition.operator is Operator.ONE_OF else condition.value
