"""What this service says of itself: capabilities, availability and tables (VOSI 1.1, IVOA 2017)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from app.domain.columns import Column, Kind
from app.domain.vo import DATALINK, FITS, VOTABLE
from app.services.tables.model import unit
from app.services.tables.votable import escaped
from app.services.vo.documents import DATALINK_ID, DECLARATION, SODA_ID, element, text

_NAMESPACES = {
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xmlns:vs": "http://www.ivoa.net/xml/VODataService/v1.1",
}
_DATATYPES = {
    Kind.TEXT: {"arraysize": "*"},
    Kind.TIME: {"arraysize": "*"},
}
_TYPES = {
    Kind.TEXT: "unicodeChar",
    Kind.TIME: "char",
    Kind.INTEGER: "long",
    Kind.IDENTIFIER: "long",
    Kind.REAL: "double",
    Kind.MJD: "double",
    Kind.BOOLEAN: "boolean",
}


class Capability(NamedTuple):
    """A protocol: its name with the IVOA, where it is spoken, and what it answers."""

    standard: str
    version: str
    path: str
    result: str
    use: str = "base"


CAPABILITIES = (
    Capability("ivo://ivoa.net/std/VOSI#capabilities", "1.0", "/vo/capabilities", "text/xml", "full"),
    Capability("ivo://ivoa.net/std/VOSI#availability", "1.0", "/vo/availability", "text/xml", "full"),
    Capability("ivo://ivoa.net/std/VOSI#tables-1.1", "1.1", "/vo/tables", "text/xml", "full"),
    Capability("ivo://ivoa.net/std/ConeSearch", "1.03", "/vo/scs/sources", VOTABLE),
    Capability("ivo://ivoa.net/std/SIA#query-2.0", "2.0", "/vo/sia2/query", VOTABLE),
    Capability(DATALINK_ID, "1.1", "/vo/datalink", DATALINK),
    Capability(SODA_ID, "1.0", "/vo/soda/sync", FITS),
)


def capabilities(base: str) -> bytes:
    """What is spoken here; ``base`` is what URLs of this service begin with."""
    attributes = {"xmlns:vosi": "http://www.ivoa.net/xml/VOSICapabilities/v1.0", **_NAMESPACES}
    return _document("vosi:capabilities", attributes, (_capability(spoken, base) for spoken in CAPABILITIES))


def availability(reason: str | None) -> bytes:
    """Whether questions can be answered; with the reason why not."""
    children = [text("vosi:available", "false" if reason else "true")]
    if reason:
        children.append(text("vosi:note", reason))
    attributes = {"xmlns:vosi": "http://www.ivoa.net/xml/VOSIAvailability/v1.0"}
    return _document("vosi:availability", attributes, children)


def tables(described: Sequence[tuple[str, str, Sequence[Column]]]) -> bytes:
    """Tables with their columns: name, description and columns of each."""
    attributes = {"xmlns:vosi": "http://www.ivoa.net/xml/VOSITables/v1.0", **_NAMESPACES}
    schema = element("schema", {}, text("name", "contimg"), *(_table(*each) for each in described))
    return _document("vosi:tableset", attributes, [schema])


def _document(name: str, attributes: dict[str, str], children: Iterable[str]) -> bytes:
    return f"{DECLARATION}{element(name, attributes, *children)}\n".encode()


def _capability(spoken: Capability, base: str) -> str:
    interface = element(
        "interface",
        {"xsi:type": "vs:ParamHTTP", "role": "std", "version": spoken.version},
        element("accessURL", {"use": spoken.use}, escaped(f"{base}{spoken.path}")),
        text("queryType", "GET"),
        text("resultType", spoken.result),
    )
    return element("capability", {"standardID": spoken.standard}, interface)


def _table(name: str, description: str, columns: Sequence[Column]) -> str:
    return element("table", {}, text("name", name), text("description", description), *map(_column, columns))


def _column(column: Column) -> str:
    optional = (("unit", unit(column)), ("ucd", column.ucd))
    datatype = {"xsi:type": "vs:VOTableType", **_DATATYPES.get(column.kind, {})}
    return element(
        "column",
        {},
        text("name", column.name),
        text("description", column.description),
        *(text(name, content) for name, content in optional if content),
        element("dataType", datatype, _TYPES[column.kind]),
    )
