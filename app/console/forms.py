"""Forms: what people type, what the API understands by it, and what it refused.

A form asks for fluxes in mJy and lets a day stand for all of it; the API knows Jy and moments. What a form sends is put
into the API's words before anything is read (:func:`meant`), so a page's URL is the API's call, and put back into the
form as it was typed (:func:`typed`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from flask import request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import UnprocessableEntity

from app.console.advice import NAMES, Step, corrections
from app.domain.errors import ContimgError, InvalidValue, NotFound
from app.web import errors

Pairs = list[tuple[str, str]]

# Parameters that together say around which position.
CONE = ("ra_deg", "dec_deg", "name", "radius_deg", "radius_arcsec", "match")
# Powers of ten of a flux that are written out.
_MOST_DIGITS = 30
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2})?", re.ASCII)
# A number or an angle as these pages write it: with a true minus, and its unit behind it.
_NUMERIC = re.compile(r"[+\u2212-]?[\d.:hmsd ]+[°″]?")
_END_OF_DAY = "T23:59:59.999Z"
# The two ways to give a radius: each is the other's times so many.
RADII = {"radius_arcsec": ("radius_deg", 3600.0), "radius_deg": ("radius_arcsec", 1 / 3600)}


class Refusal(NamedTuple):
    """What the API says of a request that it does not understand.

    ``faults`` are its reasons by parameter, ``steps`` what can be done.
    """

    status: int
    faults: Mapping[str, str]
    steps: list[Step]


class Typed(MultiDict[str, str]):
    """What a form is filled with again, and the parameters that were refused."""

    faults: Mapping[str, str] = {}

    @classmethod
    def of(cls, args: MultiDict[str, str], refusal: Refusal | None) -> Typed:
        """The request's parameters, and what of them was refused."""
        made = cls(args)
        made.faults = refusal.faults if refusal else {}
        return made

    def with_radius(self, name: str) -> Typed:
        """The same, where the form asks for the radius as ``name`` and it may be given in the other unit."""
        other, times = RADII[name]
        if name not in self and other in self:
            self[name] = _in_unit(self[other], times)
            self.faults = {name if fault == other else fault: reason for fault, reason in self.faults.items()}
        return self


def meant(name: str, value: str) -> tuple[str, str]:
    """A parameter as a form sends it, in the words of the API: also as these pages themselves write it."""
    plain = value.strip()
    if _NUMERIC.fullmatch(plain):
        plain = plain.replace("\u2212", "-").rstrip("°″ ")
    if _MOMENT.fullmatch(plain):
        plain = plain.replace(" ", "T") + (":00" if plain.count(":") == 1 else "")
    elif name.startswith("max_") and _DAY.fullmatch(plain):
        plain += _END_OF_DAY
    return in_jansky(name, plain)


def typed(value: str) -> str:
    """A moment as somebody typed it: without the time where it is the end of a day."""
    return value.removesuffix(_END_OF_DAY)


def in_jansky(name: str, value: str) -> tuple[str, str]:
    """A parameter that a form asks for in mJy, as the API knows it in Jy; any other as it is."""
    if not name.endswith("_mjy"):
        return name, value
    number = value.removesuffix("/beam").removesuffix("mJy").rstrip()
    return name.removesuffix("_mjy") + "_jy", _times(number, -3)


def in_milli(value: str) -> str:
    """A flux in Jy as someone wrote it, in mJy; as it is where it is no flux of any source."""
    return _times(value, 3)


def _times(value: str, power: int) -> str:
    """A number times a power of ten, digit by digit; as it is where it is none, or none that anybody writes out."""
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        return value
    return f"{number.scaleb(power).normalize():f}"


def _in_unit(value: str, times: float) -> str:
    """A number in another unit, rounded to what a float is good for; as it is where it is none."""
    try:
        number = float(value) * times
    except ValueError:
        return value
    return f"{number:.10g}"


def refusal_of(error: UnprocessableEntity | InvalidValue | NotFound) -> Refusal | None:
    """What of a list's request was not understood; ``None`` where something else is the matter."""
    if isinstance(error, NotFound):
        # Of a list itself nothing can be missing but the source that it is to be around.
        faults, steps = {"name": error.message} if "name" in request.args else {}, [NAMES]
    else:
        faults, steps = faults_of(error), []
    return Refusal(_status(error), faults, [*steps, *corrections(faults)]) if faults else None


def faults_of(error: UnprocessableEntity | InvalidValue) -> dict[str, str]:
    """Parameters that were not understood, and why not."""
    if isinstance(error, InvalidValue):
        return {error.details["field"]: error.reason}
    return {fault["field"]: fault["message"] for fault in errors.answer_http_error(error).get_json()["errors"]}


def _status(error: UnprocessableEntity | ContimgError) -> int:
    answer = errors.answer_http_error if isinstance(error, UnprocessableEntity) else errors.answer_domain_error
    return answer(error).status_code  # type: ignore[arg-type]
