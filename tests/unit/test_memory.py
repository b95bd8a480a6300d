"""A worker that is too large, and stays so, is told apart from one that needs much for a moment."""

from __future__ import annotations

import timeit

import pytest

from app.web.memory import BETWEEN_LOOKS_S, MemoryLimit, resident_mib


@pytest.mark.parametrize(
    ("most_mib", "sizes_mib", "passed_at_look"),
    [
        (100, [100] * 30, None),
        (100, [101] * 30, 10),
        (100, [*[120] * 9, 90, *[120] * 9, 90], None),
        (100, [50, 90, 101, 110, 126, 140, 160], 5),
        (100, [500, 90] * 15, None),
        (100, [90, 500, 500], 2),
        (0, [500] * 30, None),
    ],
    ids=["as allowed", "a little over", "drawings", "leaks fast", "drawings that take much", "at once", "no limit"],
)
def test_limit_is_passed_where_it_stays_so_for_a_second_or_far_over_for_two_looks(
    most_mib: int, sizes_mib: list[float], passed_at_look: int | None
) -> None:
    sizes = iter(sizes_mib)
    limit = MemoryLimit(most_mib, lambda: next(sizes))
    said = [limit.is_passed(n * (BETWEEN_LOOKS_S + 1e-6)) for n in range(len(sizes_mib))]
    assert (said.index(True) if True in said else None) == passed_at_look


def test_who_asks_more_often_is_told_nothing_new() -> None:
    looked: list[None] = []
    limit = MemoryLimit(1, lambda: looked.append(None) or 2.0)  # type: ignore[func-returns-value]
    assert [limit.is_passed(BETWEEN_LOOKS_S / 10 * n) for n in range(10)] == [False] * 10
    assert len(looked) == 1


def test_looking_costs_next_to_nothing() -> None:
    assert min(timeit.repeat(resident_mib, number=100, repeat=5)) / 100 < 100e-6


def test_memory_of_this_process_is_told() -> None:
    before = resident_mib()
    ballast = bytearray(b"x") * (64 * 2**20)
    assert 50 < resident_mib() - before < 80
    del ballast
