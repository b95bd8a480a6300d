"""Headers of a FITS file, every HDU of it, as they stand."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from app.services.fits import open_hdus, walk

MOST_HDUS = 1000

Value = bool | int | float | str | None


class Card(NamedTuple):
    """One card: keyword, value, comment. Long strings are put together; a value that JSON does not know is text."""

    keyword: str
    value: Value
    comment: str


class HduHeader(NamedTuple):
    """The header of one HDU; ``number`` counts from 0, ``shape`` is numpy's, without data empty."""

    number: int
    name: str
    kind: str
    shape: tuple[int, ...]
    cards: list[Card]


def read_headers(path: Path) -> list[HduHeader]:
    """Headers of all HDUs, at most a thousand; raises FileNotAccessible or FitsUnreadable."""
    with open_hdus(path) as hdus:
        return [
            HduHeader(index, hdu.name, _kind(hdu), tuple(map(int, getattr(hdu, "shape", ()))), _cards(hdu.header))
            for index, hdu in enumerate(islice(walk(hdus), MOST_HDUS))
        ]


def read_headers_as_text(path: Path) -> str:
    """Cards of 80 characters, a line each, with an empty line between HDUs; raises as :func:`read_headers`."""
    with open_hdus(path) as hdus:
        texts = [hdu.header.tostring(sep="\n", endcard=True, padding=False) for hdu in islice(walk(hdus), MOST_HDUS)]
    return "\n\n".join(texts) + "\n"


def _kind(hdu: Any) -> str:
    return "image" if hdu.is_image else "table" if hasattr(hdu, "columns") else "other"


def _cards(header: Any) -> list[Card]:
    return [_card(card) for card in header.cards if card.keyword or str(card).strip()]


def _card(card: Any) -> Card:
    from astropy.io.fits import VerifyError

    try:
        return Card(str(card.keyword), _plain(card.value), str(card.comment))
    except (VerifyError, ValueError):
        # Not as the standard wants it: the text of the card says what there is.
        return Card(str(card.image)[:8].strip(), str(card.image)[8:].strip(), "")


def _plain(value: Any) -> Value:
    from astropy.io.fits.card import Undefined

    if isinstance(value, Undefined):
        return None
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value)
