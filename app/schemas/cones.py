"""Parameters of a search on the sky."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import marshmallow as ma

from app.domain.sky import ARCSEC_PER_DEGREE, Cone, angle_deg

LARGEST_RADIUS_DEG = 180.0
_PARAMETERS = ("ra_deg", "dec_deg", "name", "radius_deg", "radius_arcsec", "match")


class Angle(ma.fields.Field[float]):
    """An angle in degrees, or sexagesimal; right ascensions then in hours."""

    def __init__(self, low: float, high: float, *, hours: bool, description: str, **kwargs: Any) -> None:
        metadata = {"type": "string", "description": description}
        super().__init__(validate=ma.validate.Range(min=low, max=high), metadata=metadata, **kwargs)
        self._hours = hours

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        try:
            return angle_deg(str(value), hours=self._hours)
        except ValueError as error:
            raise ma.ValidationError(f"Expected an angle: {error}.") from error


def _radius(most: float, description: str) -> ma.fields.Float:
    return ma.fields.Float(validate=ma.validate.Range(min=0, max=most), metadata={"description": description})


def _fields(thing: str) -> dict[str, ma.fields.Field[Any]]:
    found: dict[str, ma.fields.Field[Any]] = {
        "ra_deg": Angle(
            0,
            360,
            hours=True,
            description="Right ascension (ICRS) to search around: degrees, or `05:34:31.9`, `5h34m31.9s`.",
        ),
        "dec_deg": Angle(-90, 90, hours=False, description="Declination (ICRS): degrees, or `+22:00:52`, `22d00m52s`."),
        "name": ma.fields.String(
            validate=ma.validate.Length(min=1, max=500),
            metadata={"description": "A source of ours to search around, in place of a position."},
        ),
        "radius_deg": _radius(LARGEST_RADIUS_DEG, f"How far from there the centre of the {thing} may be [deg]."),
        "radius_arcsec": _radius(LARGEST_RADIUS_DEG * ARCSEC_PER_DEGREE, "The same in arcsec."),
    }
    if thing == "image":
        found["match"] = ma.fields.String(
            validate=ma.validate.OneOf(["centre", "footprint"]),
            load_default="centre",
            metadata={
                "description": "`centre`: the centre lies within the radius. `footprint`: the image shows the "
                "position; no radius is needed."
            },
        )
    return found


CONE_FIELDS: Mapping[str, Mapping[str, ma.fields.Field[Any]]] = {
    thing: _fields(thing) for thing in ("source", "image", "pointing")
}


def cone_of(data: dict[str, Any]) -> Cone | None:
    """Take the parameters of a cone out of loaded data; ``None`` where there are none.

    Raises
    ------
    marshmallow.ValidationError
        Half of them are missing, or they contradict each other.
    """
    match = data.pop("match", "centre")
    ra_deg, dec_deg, name, radius_deg, radius_arcsec = (data.pop(key, None) for key in _PARAMETERS[:5])
    if (ra_deg, dec_deg, name, radius_deg, radius_arcsec) == (None,) * 5 and match == "centre":
        return None
    if name is None and (ra_deg is None or dec_deg is None):
        missing = "dec_deg" if dec_deg is None and ra_deg is not None else "ra_deg"
        raise ma.ValidationError({missing: ["A search on the sky needs ra_deg and dec_deg, or name."]})
    if name is not None and (ra_deg is not None or dec_deg is not None):
        raise ma.ValidationError({"name": ["Give either a name or a position."]})
    if radius_deg is not None and radius_arcsec is not None:
        raise ma.ValidationError({"radius_arcsec": ["Give the radius once."]})
    if match == "footprint":
        return Cone(ra_deg, dec_deg, 0.0, name, "footprint")
    if radius_arcsec is not None:
        radius_deg = radius_arcsec / ARCSEC_PER_DEGREE
    if radius_deg is None:
        raise ma.ValidationError({"radius_deg": ["A search on the sky needs radius_deg or radius_arcsec."]})
    return Cone(ra_deg, dec_deg, radius_deg, name)
