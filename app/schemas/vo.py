"""Parameters of the Virtual Observatory's protocols, by the rules of DALI 1.1: names in any case, some repeatable."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import marshmallow as ma
from werkzeug.datastructures import MultiDict

from app.domain.regions import Region, circle_of, polygon_of, region_of
from app.domain.vo import (
    DATALINK,
    FITS,
    INTERVALS,
    VOTABLE,
    WORDS,
    ConeRequest,
    CutRequest,
    Form,
    ImageRequest,
    Interval,
    LinksRequest,
    image_of,
)
from app.schemas import fields
from app.schemas.base import Schema

# What is wrong with a parameter that is given more than once.
ONE_VALUE = "takes one value"

# Nobody's: an image that does not exist.
_NO_IMAGE = -1

_VOTABLES = {
    "votable": VOTABLE,
    VOTABLE: VOTABLE,
    f"{VOTABLE};serialization=tabledata": VOTABLE,
    "text/xml": "text/xml",
    "text/xml;content=x-votable": "text/xml;content=x-votable",
}
_OTHERS = {"csv": "text/csv", "fits": FITS, "parquet": "application/vnd.apache.parquet"}
_TABLES = (
    {name: Form("votable", content_type) for name, content_type in _VOTABLES.items()}
    | {name: Form(name, content_type) for name, content_type in _OTHERS.items()}
    | {content_type: Form(name, content_type) for name, content_type in _OTHERS.items()}
)
_LINKS = {name: Form("votable", content_type) for name, content_type in _VOTABLES.items()} | {
    "votable": Form("votable", DATALINK),
    VOTABLE: Form("votable", DATALINK),
    DATALINK: Form("votable", DATALINK),
}
_FITS = {name: Form("fits", FITS) for name in ("fits", FITS, "image/fits")}


class Read(ma.fields.Field[Any]):
    """A value read by a function that raises ValueError; with ``many``, a tuple of them."""

    def __init__(self, read: Callable[[str], Any], *, many: bool = False, **kwargs: Any) -> None:
        super().__init__(load_only=True, **kwargs)
        self._read = read
        self.many = many

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            return tuple(map(self._read, value)) if self.many else self._read(value)
        except ValueError as error:
            raise ma.ValidationError(f"{error}") from error


class ResponseFormat(Read):
    """The media type that is asked for, or its short name."""

    def __init__(self, known: dict[str, Form]) -> None:
        super().__init__(self._look_up, data_key="RESPONSEFORMAT", load_default=known.get("votable", Form()))
        self._known = known

    def _look_up(self, value: str) -> Form:
        # A plus sign that was not encoded has become a blank.
        name = value.strip().lower().replace("votable xml", "votable+xml").replace(" ", "")
        if name not in self._known:
            raise ValueError(f"{value[:80]!r} is not given here; known are {', '.join(self._known)}")
        return self._known[name]


class DaliQuery(Schema):
    """Parameters by name, whatever its case; those without a value count as not given, unknown ones are ignored.

    ``NOT_SUPPORTED`` names standard parameters that are refused, since to ignore them would give other data than asked
    for.
    """

    NOT_SUPPORTED: ClassVar[tuple[str, ...]] = ()

    @ma.pre_load
    def gather(self, data: MultiDict[str, str], **_: Any) -> dict[str, Any]:
        """Values by the parameter's proper name."""
        found: dict[str, list[str]] = {}
        for name, value in data.items(multi=True):
            if value.strip():
                found.setdefault(name.upper(), []).append(value)
        for name in self.NOT_SUPPORTED:
            if name in found:
                raise ma.ValidationError("This parameter is not supported here.", name)
        return dict(self._values(found))

    def _values(self, found: dict[str, list[str]]) -> Iterable[tuple[str, Any]]:
        for field in self.load_fields.values():
            name = field.data_key or ""
            if name not in found:
                continue
            if getattr(field, "many", False):
                yield name, found[name]
            elif len(found[name]) > 1:
                raise ma.ValidationError(f"It is given {len(found[name])} times and {ONE_VALUE}.", name)
            else:
                yield name, found[name][0]


def _most() -> fields.WholeNumber:
    return fields.WholeNumber(data_key="MAXREC", load_default=None, validate=ma.validate.Range(min=0))


def _angle(name: str, low: float, high: float) -> fields.Number:
    return fields.Number(data_key=name, required=True, validate=ma.validate.Range(min=low, max=high))


class ConeSearchQuery(DaliQuery):
    """Simple Cone Search 1.03."""

    ra_deg = _angle("RA", 0, 360)
    dec_deg = _angle("DEC", -90, 90)
    radius_deg = _angle("SR", 0, 180)
    verbosity = fields.WholeNumber(data_key="VERB", load_default=2, validate=ma.validate.Range(min=1, max=3))
    most = _most()
    form = ResponseFormat(_TABLES)

    @ma.post_load
    def to_request(self, data: dict[str, Any], **_: Any) -> ConeRequest:
        """The search asked for."""
        cone = circle_of((data["ra_deg"], data["dec_deg"], data["radius_deg"]))
        return ConeRequest(cone, data["verbosity"], data["most"], data["form"])


def interval_of(text: str) -> Interval:
    """One number or two with a blank between, ``-Inf`` and ``+Inf`` for no bound; raises ValueError."""
    try:
        bounds = [float(word) for word in text.split()]
    except ValueError:
        raise ValueError("an interval is one number, or two with a blank between") from None
    if len(bounds) not in (1, 2) or any(map(math.isnan, bounds)):
        raise ValueError("an interval is one number, or two with a blank between")
    if bounds[0] > bounds[-1]:
        raise ValueError("the first bound of an interval is the smaller one")
    return Interval(bounds[0], bounds[-1])


class ImageQuery(DaliQuery):
    """Simple Image Access 2.0."""

    NOT_SUPPORTED = ("UPLOAD",)

    regions = Read(region_of, many=True, data_key="POS", load_default=())
    ids = Read(str, many=True, data_key="ID", load_default=None)
    most = _most()
    form = ResponseFormat(_TABLES)

    @ma.post_load
    def to_request(self, data: dict[str, Any], **_: Any) -> ImageRequest:
        """The search asked for."""
        ids = None
        if data["ids"] is not None:
            keys = map(image_of, data["ids"])
            ids = tuple(_NO_IMAGE if key is None else key for key in keys)
        intervals = {name: data[name] for name in INTERVALS if name in data}
        words = {name: data[name] for name in WORDS if name in data}
        return ImageRequest(data["regions"], intervals, words, ids, data["most"], data["form"])


ImageSearchQuery = ImageQuery.from_dict(
    {
        **{name: Read(interval_of, many=True, data_key=name) for name in INTERVALS},
        **{name: Read(lambda value: value.strip().casefold(), many=True, data_key=name) for name in WORDS},
    },
    name="ImageSearchQuery",
)


class LinksQuery(DaliQuery):
    """DataLink 1.1."""

    identifiers = Read(str, many=True, data_key="ID", required=True)
    most = _most()
    form = ResponseFormat(_LINKS)

    @ma.post_load
    def to_request(self, data: dict[str, Any], **_: Any) -> LinksRequest:
        """The links asked for."""
        return LinksRequest(data["identifiers"], data["most"], data["form"])


def _shape(make: Callable[[list[float]], Region]) -> Callable[[str], Region]:
    def read(text: str) -> Region:
        try:
            numbers = [float(word) for word in text.split()]
        except ValueError:
            raise ValueError("coordinates are decimal degrees") from None
        return make(numbers)

    return read


class CutoutQuery(DaliQuery):
    """SODA 1.0, synchronous."""

    NOT_SUPPORTED = ("BAND", "TIME", "POL", "MOC")
    SHAPES: ClassVar[tuple[str, ...]] = ("pos", "circle", "polygon")

    identifier = ma.fields.String(data_key="ID", required=True)
    pos = Read(region_of, data_key="POS")
    circle = Read(_shape(circle_of), data_key="CIRCLE")
    polygon = Read(_shape(polygon_of), data_key="POLYGON")
    form = ResponseFormat(_FITS)

    @ma.post_load
    def to_request(self, data: dict[str, Any], **_: Any) -> CutRequest:
        """The cut-out asked for."""
        regions = [data[name] for name in self.SHAPES if name in data]
        if len(regions) > 1:
            raise ma.ValidationError("One of POS, CIRCLE and POLYGON, not several.", "POS")
        return CutRequest(data["identifier"], regions[0] if regions else None)
