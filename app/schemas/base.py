"""A marshmallow Schema whose ``dump`` is compiled, because dumping a page must cost less than reading it.

Marshmallow asks every field of every row how to get, check and format its value. Our records are typed already, so a
function is made for each schema, as :mod:`dataclasses` makes them, that fetches every value by name: as it is where a
field needs no formatting, through the field's ``wire`` function where it has one, else as marshmallow would format it.
The output is the same, and a test compares both on every schema; but what is no number in a column of numbers, where
marshmallow would raise, is not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import marshmallow as ma

Dump = Callable[[Any], dict[str, Any]]

# Fields whose value goes out as it is. A subclass may format, so it says PLAIN = True itself where it does not.
_PLAIN = {ma.fields.String, ma.fields.Float, ma.fields.Integer, ma.fields.Raw, ma.fields.Dict}


class Computed(ma.fields.Field[Any]):
    """A value derived from the whole record by a function; text unless ``metadata`` says otherwise."""

    def __init__(self, derive: Callable[[Any], Any], **kwargs: Any) -> None:
        super().__init__(dump_only=True, allow_none=True, **kwargs)
        self.derive = derive

    def serialize(self, attr: str, obj: Any, accessor: Any = None, **kwargs: Any) -> Any:
        """Derive; the accessor would look for an attribute that does not exist."""
        return self.derive(obj)


class Schema(ma.Schema):
    """Root of every schema here. ``OMIT_NONE`` names fields that are left out rather than sent as null."""

    class Meta:
        # What a client sends beyond what is known is ignored; lists refuse it.
        unknown = ma.EXCLUDE

    OMIT_NONE: ClassVar[frozenset[str]] = frozenset()

    _compiled: Dump | None = None

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """Serialize a record, or with ``many`` an iterable of them."""
        if self._compiled is None:
            self._compiled = _compile(self)
        if self.many if many is None else many:
            return list(map(self._compiled, obj))
        return self._compiled(obj)


def number(value: Any) -> int | float | None:
    """A number as it is; ``None`` for the text that SQLite lets into a column of numbers."""
    return value if isinstance(value, int | float) else None


def finite(value: Any) -> int | float | None:
    """A finite number as it is, ``None`` for all else."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _wire(field: ma.fields.Field[Any]) -> Callable[[Any], Any] | None:
    """How a field formats a value that is not None; ``None`` where it does not."""
    if isinstance(field, Computed):
        return field.derive
    if type(field) in _PLAIN or getattr(field, "PLAIN", False):
        return None
    if type(field) is ma.fields.Boolean:
        return bool
    if isinstance(field, ma.fields.Nested):
        nested = field.schema
        if isinstance(nested, Schema) and not nested.many:
            return _compile(nested)
        return nested.dump
    if isinstance(field, ma.fields.List):
        inner = _wire(field.inner)
        return list if inner is None else lambda values: [inner(value) for value in values]
    wire: Callable[[Any], Any] = getattr(field, "wire", None) or (lambda value: field._serialize(value, "", None))
    return wire


def _checked(value: str, field: ma.fields.Field[Any]) -> str:
    """Source of a number's value; the usual type is told apart without a call. JSON has null for what is infinite."""
    usual = "int" if isinstance(field, ma.fields.Integer) else "float"
    return f"value if (value := {value}) is None or value.__class__ is {usual} else number(value)"


def _compile(schema: Schema) -> Dump:
    """The function that a programmer would write for this schema: one dictionary, its values fetched by name."""
    known: dict[str, Any] = {"number": number, "finite": finite}
    items, omitted = [], []
    for at, (name, field) in enumerate(schema.dump_fields.items()):
        key, wire = field.data_key or name, _wire(field)
        attribute = field.attribute or name
        assert all(map(str.isidentifier, attribute.split("."))), attribute
        value = f"record.{attribute}"
        if wire is not None:
            known[f"wire_{at}"] = wire
            formatted = f"None if (value := {value}) is None else wire_{at}(value)"
            value = f"wire_{at}(record)" if isinstance(field, Computed) else formatted
        elif isinstance(field, ma.fields.Number):
            value = f"finite({value})" if name in schema.OMIT_NONE else _checked(value, field)
        items.append(f"{key!r}: {value}")
        if name in schema.OMIT_NONE:
            omitted.append(f"    if out[{key!r}] is None: del out[{key!r}]")
    lines = ["def dump(record):", f"    out = {{{', '.join(items)}}}", *omitted, "    return out"]
    exec("\n".join(lines), known)
    dump: Dump = known["dump"]
    return dump
