"""XML of the Virtual Observatory other than tables: errors, and descriptions of services that go with a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.domain.regions import Circle, Footprint
from app.services.tables.votable import escaped

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
DATALINK_ID = "ivo://ivoa.net/std/DataLink#links-1.1"
SODA_ID = "ivo://ivoa.net/std/SODA#sync-1.0"

_NOTHING: Mapping[str, str] = {}


def element(name: str, attributes: Mapping[str, str] = _NOTHING, *children: str) -> str:
    """An XML element; its children are XML already, see :func:`text`."""
    written = "".join(f' {key}="{escaped(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(children)}</{name}>" if children else f"<{name}{written}/>"


def text(name: str, content: str) -> str:
    """An XML element that holds text."""
    return element(name, _NOTHING, escaped(content))


def error_document(message: str, *, cone_search: bool = False) -> bytes:
    """A VOTable that says what is wrong.

    Parameters
    ----------
    message
        For people; begins with the kind of fault.
    cone_search
        Whether it is also to be told as Simple Cone Search 1.03 does, which knows no ``QUERY_STATUS``.
    """
    told = [element("INFO", {"ID": "Error", "name": "Error", "value": message})] if cone_search else []
    status = element("INFO", {"name": "QUERY_STATUS", "value": "ERROR"}, escaped(message))
    namespace = {"version": "1.4", "xmlns": "http://www.ivoa.net/xml/VOTable/v1.3"}
    document = element("VOTABLE", namespace, *told, element("RESOURCE", {"type": "results"}, status))
    return f"{DECLARATION}{document}\n".encode()


def datalink_descriptor(url: str, *, ref: str) -> str:
    """How to ask for links.

    Parameters
    ----------
    url
        Of the service.
    ref
        ID of the FIELD that holds identifiers.
    """
    inputs = [_param("ID", {"ref": ref, "ucd": "meta.id;meta.main"}, "Identifier of the dataset.")]
    return _descriptor("links", "What there is of an image.", url, DATALINK_ID, inputs)


def soda_descriptor(url: str, *, ref: str, circle: Circle | None = None, footprint: Footprint | None = None) -> str:
    """How to ask for a cut-out.

    Parameters
    ----------
    url
        Of the service.
    ref
        ID of the FIELD that holds identifiers.
    circle, footprint
        What the dataset shows, where the description is for one.
    """
    corners = footprint.corners if circle is not None and footprint is not None else ()
    region = {"ucd": "pos.outline;obs"}
    numbers = {**region, "datatype": "double", "unit": "deg"}
    inputs = [
        _param("ID", {"ref": ref, "ucd": "meta.ref.url;meta.curation"}, "Identifier of the dataset."),
        _param("POS", region, "CIRCLE, RANGE or POLYGON with its coordinates [deg]."),
        _param(
            "CIRCLE",
            {**numbers, "arraysize": "3", "xtype": "circle"},
            "Right ascension, declination and radius; the square around it is cut out.",
            circle or (),
        ),
        _param(
            "POLYGON",
            {**numbers, "xtype": "polygon"},
            "Right ascensions and declinations in turn; a square around it is cut out.",
            [number for corner in corners for number in corner],
        ),
    ]
    return _descriptor("soda", "Cuts FITS out of an image.", url, SODA_ID, inputs)


def _descriptor(name: str, description: str, url: str, standard: str, inputs: Iterable[str]) -> str:
    return element(
        "RESOURCE",
        {"type": "meta", "utype": "adhoc:service", "ID": name, "name": name},
        text("DESCRIPTION", description),
        _param("accessURL", {"value": url, "ucd": "meta.ref.url"}),
        _param("standardID", {"value": standard}),
        element("GROUP", {"name": "inputParams"}, *inputs),
    )


def _param(name: str, attributes: Mapping[str, str], description: str = "", largest: Iterable[float] = ()) -> str:
    bound = " ".join(f"{number:.9g}" for number in largest)
    children = [text("DESCRIPTION", description)] if description else []
    if bound:
        children.append(element("VALUES", _NOTHING, element("MAX", {"value": bound})))
    usual = {"name": name, "datatype": "char", "arraysize": "*", "value": ""}
    return element("PARAM", {**usual, **attributes}, *children)
