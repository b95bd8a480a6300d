"""Cursors: opaque, bound to their query, and harmless when forged."""

from __future__ import annotations

import base64
import json
import math
from numbers import Real

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidValue
from app.domain.paging import decode_cursor, encode_cursor

TYPES = (float, int, str)
keys = st.tuples(
    st.floats(allow_nan=False), st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1), st.text(max_size=50)
)


@given(key=keys, binding=st.text(max_size=30))
def test_cursor_gives_back_its_key(key: tuple[float, int, str], binding: str) -> None:
    assert decode_cursor(encode_cursor(key, binding), binding, TYPES) == key


def test_minus_infinity_survives() -> None:
    assert decode_cursor(encode_cursor((-math.inf,), "q"), "q", (float,)) == (-math.inf,)


def test_cursor_of_another_query_is_refused() -> None:
    cursor = encode_cursor((1.0, 2, "x"), "images:[]")
    with pytest.raises(InvalidValue, match="another query"):
        decode_cursor(cursor, "images:[('stage', 'imaged')]", TYPES)


def forged(*parts: object) -> str:
    seal = json.loads(base64.urlsafe_b64decode(encode_cursor((1.0, 2, "x"), "q") + "=="))[0]
    return base64.urlsafe_b64encode(json.dumps([seal, *parts]).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "====", "AAAA", "é", "WyJ4Il0", forged(), forged(1.0, 2), forged(1.0, 2**70, "x")],
)
def test_damaged_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidValue):
        decode_cursor(cursor, "q", TYPES)


@pytest.mark.parametrize(
    "parts",
    [
        *((True, 2, "x"), (None, 2, "x"), (1.0, 2, ["x"]), (1.0, 2.5, "x"), (1.0, 2, 3)),
        *((2**63, 2, "x"), (-(2**63) - 1, 2, "x"), (10**30, 2, "x"), (1.0, 2**63, "x"), (math.nan, 2, "x")),
        *(("\ud800", 2, "x"), (1.0, 2, "a\udfff")),
    ],
)
def test_cursor_with_parts_of_another_kind_is_refused(parts: tuple[object, ...]) -> None:
    with pytest.raises(InvalidValue):
        decode_cursor(forged(*parts), "q", TYPES)


def test_text_in_a_column_of_numbers_has_its_place_and_is_no_number_elsewhere() -> None:
    assert decode_cursor(encode_cursor(("12h",), "q"), "q", (float,)) == ("12h",)
    for numbers in ((1.5,), (2,)):
        assert decode_cursor(encode_cursor(numbers, "q"), "q", (Real,)) == numbers
    with pytest.raises(InvalidValue):
        decode_cursor(encode_cursor(("12h",), "q"), "q", (Real,))


@given(st.text(max_size=200))
def test_no_text_breaks_the_decoder(text: str) -> None:
    with pytest.raises(InvalidValue):
        decode_cursor(text, "q", TYPES)
