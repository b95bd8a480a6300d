"""Where to look for the measurement set of a run."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.run_id import names_of, run_id

DATED = st.from_regex(r"\A\d{4}-\d\d-\d\d[T-]\d\d:?\d\d:?\d\d[._a-zA-Z0-9]{0,6}\.ms\Z", fullmatch=True)


@given(st.one_of(DATED, st.text(min_size=1).filter(lambda name: "/" not in name)))
@example("2025-10-31-134906.ms")
@example("2025-10-31T1349.06.ms")
@example(".ms")
@example("x")
@example("x.")
def test_name_of_a_measurement_set_lies_in_the_range_of_its_run(name: str) -> None:
    identifier = run_id(posixpath.join("/stage/ms", name))
    assert identifier is not None
    names = names_of(identifier)
    assert names is not None
    first, last, between = (text.encode("utf-8", "surrogatepass") for text in (*names, name))
    assert first <= between < last


@pytest.mark.parametrize("identifier", ["", "job", "2025-10-31-134906", "JOB-x", "../job-x"])
def test_what_is_no_run_id_has_no_range(identifier: str) -> None:
    assert names_of(identifier) is None
