"""Fields in the units of the field: what a value is, how it is written on the wire, what is accepted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

import marshmallow as ma

from app.domain.errors import InvalidValue
from app.domain.time import iso_from_unix, mjd_from_iso, unix_from_iso, unix_from_mjd
from app.schemas.base import Computed as Computed

# The year 4596; seconds since 1970 or Julian Dates are larger.
LARGEST_MJD = 1_000_000.0

_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


class _Published(ma.fields.Field[Any]):
    """A field that formats by ``wire`` alone; ``wire`` never sees None."""

    wire: ClassVar[Callable[..., Any]]

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else type(self).wire(value)


class Identifier(_Published):
    """An integer key of the database, a string for clients."""

    wire = staticmethod(str)


class UnixTime(_Published):
    """Unix seconds in the database, ISO 8601 UTC with ``Z`` on the wire."""

    wire = staticmethod(iso_from_unix)


class RightAscension(ma.fields.Float):
    """Right ascension, ICRS [deg]."""

    PLAIN = True


class Declination(ma.fields.Float):
    """Declination, ICRS [deg]."""

    PLAIN = True


class Mjd(ma.fields.Float):
    """Modified Julian Date, UTC [d]."""

    PLAIN = True


class WholeNumber(ma.fields.Integer):
    """A whole number written in ASCII digits, nothing else: no spaces, underscores, fractions or other scripts."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, str) and _INTEGER.fullmatch(value) is None:
            raise self.make_error("invalid", input=value)
        if isinstance(value, bool | float):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class IsoDate(ma.fields.Field[float]):
    """An ISO 8601 date or date-time, UTC where it names no offset; a Modified Julian Date [d] inside.

    A text of the wrong form is a meaningless value rather than a malformed request, hence 400 and not 422.
    """

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        try:
            return mjd_from_iso(value)
        except (ValueError, TypeError) as error:
            raise InvalidValue(attr or "date", f"{error}") from error


class Number(ma.fields.Float):
    """A finite number."""

    PLAIN = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_nan=False, **kwargs)


class Flag(ma.fields.Boolean):
    """``true`` or ``false``, as somebody says it."""

    default_error_messages = {"invalid": "Say true or false."}  # noqa: RUF012


class YesNo(Flag):
    """``true`` or ``false``; 1 or 0 inside, as the databases hold it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return int(super()._deserialize(value, attr, data, **kwargs))


class MjdMoment(IsoDate):
    """A moment as an ISO 8601 date or date-time, or as a Modified Julian Date [d], which it is inside."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metadata = {"type": "string", **self.metadata}
        self.metadata["description"] += " ISO 8601 (UTC unless it says otherwise) or MJD."

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        try:
            mjd = float(value)
        except (TypeError, ValueError):
            return super()._deserialize(value, attr, data, **kwargs)
        if not 0 <= mjd < LARGEST_MJD:
            raise InvalidValue(attr or "date", "as a number it is a Modified Julian Date, such as 60979.5")
        return mjd


class UnixMoment(MjdMoment):
    """The same, Unix seconds inside."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        try:
            return unix_from_iso(value)
        except (TypeError, ValueError):
            return unix_from_mjd(super()._deserialize(value, attr, data, **kwargs))


class Word(ma.fields.String):
    """One of several words, whatever its case; any other is a meaningless value (400)."""

    def __init__(self, *words: str, called: str = "value", **kwargs: Any) -> None:
        super().__init__(metadata={"enum": list(words), **kwargs.pop("metadata", {})}, **kwargs)
        self.words = words
        # Within a list of them, marshmallow does not say which parameter it is.
        self._called = called

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        word = str(super()._deserialize(value, attr, data, **kwargs)).lower()
        if word not in self.words:
            raise InvalidValue(attr or self._called, f"expected one of {', '.join(self.words)}")
        return word


class TableFormat(Word):
    """What rows are sent as; where it is not given, the header ``Accept`` says it."""

    FORMATS = ("json", "ndjson", "csv", "votable", "fits", "parquet")

    def __init__(self) -> None:
        super().__init__(
            *self.FORMATS,
            load_default="json",
            metadata={"description": "What the rows are sent as; `Accept` says the same. All but JSON are streams."},
        )


class Grade(ma.fields.String):
    """Quality grade: good, warn or fail; null where nothing is known."""

    PLAIN = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            allow_none=True,
            validate=ma.validate.OneOf(["good", "warn", "fail"]),
            **kwargs,
        )
