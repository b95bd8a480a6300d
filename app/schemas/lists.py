"""What every list accepts: a page by number or by cursor, conditions, an order, columns, and nothing it does not know.

The parameters of a list follow from the columns that it publishes, so they cannot differ from them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from typing import Any, ClassVar

import marshmallow as ma
from flask import current_app

from app.domain.columns import Column, Kind, named
from app.domain.paging import PageRequest
from app.domain.selection import EVERYTHING, SEPARATION, Condition, Operator, Order, Selection, applicable
from app.domain.sources import spellings
from app.schemas import fields
from app.schemas.base import Schema
from app.schemas.cones import CONE_FIELDS, cone_of

LARGEST_OFFSET = 2**53
# As long as an address may be: whoever sorts by a column of texts gets one with a text in it.
LONGEST_CURSOR = 8190
MOST_VALUES = 1000

# UCDs of names of things on the sky, and of nothing with a path.
_OF_NAMES = frozenset({"meta.id;meta.main", "meta.id;src"})
_PAGE = ("limit", "offset", "cursor", "count", "format")


class ListQuery(Schema):
    """Query parameters of a list. Unknown ones are refused, naming the known."""

    class Meta:
        unknown = ma.RAISE

    CONDITIONS: ClassVar[Mapping[str, tuple[Column, Operator]]] = {}
    OPTIONS: ClassVar[Collection[str]] = ()

    limit = fields.WholeNumber(
        load_default=None,
        metadata={
            "description": "Rows of a page: 100 unless given, 1000 at most, unless the operator set others. "
            "Formats other than JSON hold every row unless it is given, and know no maximum."
        },
    )
    offset = fields.WholeNumber(
        load_default=0,
        validate=ma.validate.Range(min=0, max=LARGEST_OFFSET),
        metadata={"description": "Rows to pass over; costs more the larger it is. Prefer `cursor`."},
    )
    cursor = ma.fields.String(
        load_default=None,
        validate=ma.validate.Length(max=LONGEST_CURSOR),
        metadata={"description": "Where the next page starts, as given by the `Link` header. Opaque."},
    )
    count = fields.Word(
        "exact",
        "estimated",
        load_default=None,
        metadata={
            "description": "Adds the header `X-Total-Count`; none is counted without it. `estimated` stops counting at "
            "10000, and `X-Total-Count-Kind` says which it is: `exact` or `at-least`."
        },
    )

    def load(self, data: Any, *, many: Any = None, partial: Any = None, unknown: Any = None) -> Any:
        """As marshmallow loads, but of the dozens of parameters only those given are looked at, and the defaults."""
        schema = self
        if self.load_fields.keys() >= set(data):
            schema = copy(self)
            schema.load_fields = {
                name: field
                for name, field in self.load_fields.items()
                if name in data or field.load_default is not ma.missing
            }
        return super(ListQuery, schema).load(data, many=many, partial=partial, unknown=unknown)

    @ma.post_load
    def to_request(self, data: dict[str, Any], **_: Any) -> PageRequest:
        """The page asked for, bound to this list and its conditions."""
        page = {name: data.pop(name) for name in _PAGE if name in data}
        columns = data.pop("fields", None)
        binding = f"{type(self).__name__}:{sorted(data.items())}"
        page["limit"] = _limit(page["limit"], page.get("format", "json"))
        cone = cone_of(data) if "radius_deg" in self.fields else None
        orders = data.pop("sort", ())
        if cone is None and SEPARATION in [*(columns or ()), *(order.column for order in orders)]:
            raise ma.ValidationError({"sort": ["separation_arcsec needs a position to be separate from."]})
        options = {name: data[name] for name in self.OPTIONS if name in data}
        conditions = self._conditions(data)
        selection = (
            Selection(conditions, orders, columns, cone) if conditions or orders or columns or cone else EVERYTHING
        )
        return PageRequest(**page, binding=binding, selection=selection, options=options)

    def _conditions(self, data: dict[str, Any]) -> tuple[Condition, ...]:
        conditions = tuple(
            Condition(*self.CONDITIONS[name], _values(self.CONDITIONS[name][0], value))
            for name, value in data.items()
            if name in self.CONDITIONS
        )
        _check_bounds(conditions)
        return conditions

    def handle_error(self, error: ma.ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Say which parameters there are, where one is unknown."""
        if not isinstance(error.messages, dict):
            return
        for name, reasons in error.messages.items():
            if name not in self.fields and isinstance(reasons, list):
                meant = " or ".join(_resembling(name, self.fields))
                hint = f"did you mean {meant}? " if meant else ""
                error.messages[name] = [f"Unknown parameter; {hint}known are {', '.join(sorted(self.fields))}."]


def list_query(
    name: str,
    columns: Sequence[Column],
    *,
    on_sky: str = "",
    parameters: Mapping[str, ma.fields.Field[Any]] | None = None,
) -> type[ListQuery]:
    """The schema of a list's query parameters, made from the columns that it publishes.

    Parameters
    ----------
    name
        Of the schema.
    columns
        What rows have, and may be filtered by, sorted by and asked for.
    on_sky
        What lies in a cone, for a list that can be searched on the sky: ``source``, ``image`` …
    parameters
        Further parameters of the list's own; they are the request's options.
    """
    conditions = {
        operator.parameter(column): (column, operator) for column in columns for operator in applicable(column)
    }
    separation = [SEPARATION] if on_sky else []
    own: dict[str, Any] = {
        "sort": Sort([column for column in columns if column.is_filter] + separation),
        "fields": Columns([*columns, *separation]),
        "format": fields.TableFormat(),
        **(CONE_FIELDS[on_sky] if on_sky else {}),
        **(parameters or {}),
    }
    filters = {key: _condition(*compared) for key, compared in conditions.items()}
    taken = filters.keys() & {*own, *ListQuery._declared_fields}
    assert not taken, f"columns of {name} have the names of parameters: {taken}"
    described = {"__doc__": f"Which rows, by any of {len(columns)} columns.", "__module__": __name__}
    known = {"CONDITIONS": conditions, "OPTIONS": tuple(parameters or ())}
    return type(name, (ListQuery,), filters | own | described | known)


def _values(column: Column, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    is_name = column.kind is Kind.TEXT and column.ucd in _OF_NAMES and "meta.file" not in column.ucd
    return tuple(spelled for name in value for spelled in spellings(name)) if is_name else tuple(value)


def _check_bounds(conditions: Sequence[Condition]) -> None:
    """Refuse bounds between which nothing can lie: they are a mistake, and an empty list would not say so."""
    least = {condition.column: condition.value for condition in conditions if condition.operator is Operator.AT_LEAST}
    for column, operator, most in conditions:
        if operator is Operator.AT_MOST and least.get(column, most) > most:
            reason = f"Is more than {operator.parameter(column)}: nothing lies between."
            if column.ucd.startswith("pos.eq.ra"):
                reason += " Across right ascension 0, ask for each side by itself, or search around a position."
            raise ma.ValidationError({Operator.AT_LEAST.parameter(column): [reason]})


def _resembling(name: str, known: Collection[str]) -> list[str]:
    """Parameters that somebody may have meant: those with that word in their name, or ones spelled much alike."""
    named_so = sorted((each for each in known if name.lower() in each.split("_")), key=len)
    return named_so[:3] or difflib.get_close_matches(name.lower()[:100], known, n=2, cutoff=0.7)


def _limit(limit: int | None, wanted: str) -> int | None:
    is_page = wanted == "json"
    if limit is None:
        return current_app.config["PAGE_DEFAULT"] if is_page else None
    most = current_app.config["PAGE_MAX"] if is_page else LARGEST_OFFSET
    if not 0 <= limit <= most:
        raise ma.ValidationError({"limit": [f"Must be greater than or equal to 0 and less than or equal to {most}."]})
    return limit


class Sort(ma.fields.Field[tuple[Order, ...]]):
    """Column names with commas between, each with a minus in front for descending order."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = named(columns)
        names = ", ".join(self._columns)
        super().__init__(
            load_default=(),
            metadata={
                "type": "string",
                "description": "Columns with commas between, `-` in front of one for descending order, such as "
                f"`-{next(iter(self._columns))}`: {names}.",
            },
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[Order, ...]:
        names = [name.strip() for name in str(value).split(",")]
        orders = [Order(_known(self._columns, name.removeprefix("-")), name.startswith("-")) for name in names]
        if len({order.column.view_column for order in orders}) < len(orders):
            raise ma.ValidationError("A column is named twice.")
        return tuple(orders)


class Columns(ma.fields.Field[tuple[Column, ...]]):
    """Column names with commas between."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = named(columns)
        super().__init__(
            metadata={
                "type": "string",
                "description": f"Columns to send, with commas between; only they are read: {', '.join(self._columns)}.",
            }
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[Column, ...]:
        names = dict.fromkeys(name.strip() for name in str(value).split(","))
        return tuple(_known(self._columns, name) for name in names)


def _known(columns: Mapping[str, Column], name: str) -> Column:
    if name not in columns:
        raise ma.ValidationError(f"Unknown column {name[:60]!r}; known are {', '.join(columns)}.")
    return columns[name]


def _condition(column: Column, operator: Operator) -> ma.fields.Field[Any]:
    described = _DESCRIBED[operator].format(column=column.description)
    if column.unit and operator is not Operator.ONE_OF:
        described += f" [{column.unit}]"
    if operator is Operator.ONE_OF:
        several = ma.validate.Length(max=MOST_VALUES)
        value = fields.Word(*column.words, called=column.name) if column.words else _FIELDS[column.kind]()
        return ma.fields.List(value, validate=several, metadata={"description": described})
    if operator is Operator.BEGINS:
        return ma.fields.String(validate=ma.validate.Length(min=1), metadata={"description": described})
    return _FIELDS[column.kind](metadata={"description": described})


_DESCRIBED = {
    Operator.ONE_OF: "{column} Exactly this; given several times, any of them.",
    Operator.AT_LEAST: "{column} This or more.",
    Operator.AT_MOST: "{column} This or less.",
    Operator.BEGINS: "{column} Begins with this.",
}

_FIELDS: Mapping[Kind, Callable[..., ma.fields.Field[Any]]] = {
    Kind.TEXT: ma.fields.String,
    Kind.IDENTIFIER: fields.WholeNumber,
    Kind.INTEGER: fields.WholeNumber,
    Kind.REAL: fields.Number,
    Kind.BOOLEAN: fields.YesNo,
    Kind.TIME: fields.UnixMoment,
    Kind.MJD: fields.MjdMoment,
}
