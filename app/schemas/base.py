"""A marshmallow Schema whose ``dump`` is compiled, because dumping a page must cost less than reading it.

Marshmallow asks every field of every row how to get, check and format its value. Our records are typed already, so
for a field that needs no formatting one ``operator.attrgetter`` fetches all values of a row at once; a field with a
``wire`` function has it applied; any other field is asked as marshmallow would. The output is the same, and a test
compares both on every schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
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


def _compile(schema: Schema) -> Dump:
    fields = [(field.data_key or name, field, name) for name, field in schema.dump_fields.items()]
    keys = [key for key, _, _ in fields]
    # A computed field is fetched as the record itself, in its place among the others.
    fetch = _fetcher([None if isinstance(field, Computed) else field.attribute or name for _, field, name in fields])
    formats = [(key, wire) for key, field, _ in fields if (wire := _wire(field)) is not None]
    omitted = [key for key, _, name in fields if name in schema.OMIT_NONE]

    if not formats and not omitted:
        return lambda record: dict(zip(keys, fetch(record), strict=False))

    def dump(record: Any) -> dict[str, Any]:
        out = dict(zip(keys, fetch(record), strict=False))
        for key, wire in formats:
            if out[key] is not None:
                out[key] = wire(out[key])
        for key in omitted:
            if out[key] is None:
                del out[key]
        return out

    return dump


def _fetcher(attributes: list[str | None]) -> Callable[[Any], Iterable[Any]]:
    named = [attribute for attribute in attributes if attribute is not None]
    if len(named) == len(attributes) > 1:
        return attrgetter(*named)
    getters = [itself if attribute is None else attrgetter(attribute) for attribute in attributes]
    return lambda record: [get(record) for get in getters]


def itself(record: Any) -> Any:
    """The record."""
    return record
