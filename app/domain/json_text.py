"""JSON that others wrote into text columns: read if it can be published again, refused otherwise."""

from __future__ import annotations

import json
from typing import Any

import orjson


def parse(text: str) -> Any:
    """The value that a text column holds as JSON.

    Notes
    -----
    Python's own writer leaves ``NaN`` and ``Infinity`` in JSON, which read as None; integers of twenty characters
    and more become floating-point numbers, since an answer carries 64 bits.

    Raises
    ------
    ValueError
        It is not JSON, or nests too deeply or holds characters that no answer could carry.
    """
    try:
        value = json.loads(text, parse_constant=lambda _: None, parse_int=_number)
        orjson.dumps(value)
    except (RecursionError, TypeError) as error:  # orjson's own error is a TypeError
        raise ValueError("not publishable as JSON") from error
    return value


def parse_or_keep(text: Any) -> Any:
    """The value of a JSON text, or the text itself where it is something else."""
    try:
        return parse(text)
    except ValueError:
        return text


def _number(digits: str) -> int | float:
    # Nineteen characters fit into 64 bits in any case; and int() refuses thousands of digits, float() does not.
    return int(digits) if len(digits) < 20 else float(digits)
