"""JSON that others wrote."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.json_text import parse, parse_or_keep


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1, 2.5, null, true]", [1, 2.5, None, True]),
        ('{"a": NaN, "b": -Infinity}', {"a": None, "b": None}),
        (str(2**63 - 1), 2**63 - 1),
        (str(2**63), float(2**63)),
        (str(-(2**70)), -float(2**70)),
        ("9" * 5000, float("inf")),
    ],
)
def test_what_python_writes_is_read(text: str, value: Any) -> None:
    assert parse(text) == value


@pytest.mark.parametrize("text", ["", "{'repr': 1}", "[" * 100_000, "[" * 500 + "]" * 500, '"\\ud800"', "{", "1 2"])
def test_what_no_answer_could_carry_is_refused_or_kept_as_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expect|Extra|publishable"):
        parse(text)
    assert parse_or_keep(text) == text


def test_null_stays_null() -> None:
    assert parse_or_keep(None) is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_whatever_is_read_can_be_published(value: Any) -> None:
    orjson.dumps(parse_or_keep(json.dumps(value)))
