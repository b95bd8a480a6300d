"""A worker that is too large, and stays so, is told apart from one that needs much for a moment."""

from __future__ import annotations

import pytest

from app.web import memory
from app.web.memory import MemoryLimit, resident_mib


@pytest.fixture(autouse=True)
def looks_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "BETWEEN_LOOKS_S", 0.0)


@pytest.mark.parametrize(
    ("most_mib", "sizes_mib", "passed"),
    [
        (100, [90, 100, 90, 100], [False, False, False, False]),
        (100, [101, 101, 101], [False, True, True]),
        (100, [500, 90, 500, 90], [False, False, False, False]),
        (0, [500, 500], [False, False]),
    ],
)
def test_limit_is_passed_where_two_looks_in_a_row_say_so(
    most_mib: int, sizes_mib: list[float], passed: list[bool]
) -> None:
    sizes = iter(sizes_mib)
    limit = MemoryLimit(most_mib, lambda: next(sizes))
    assert [limit.is_passed() for _ in sizes_mib] == passed


def test_looks_are_a_second_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "BETWEEN_LOOKS_S", 60.0)
    looked: list[None] = []
    limit = MemoryLimit(1, lambda: looked.append(None) or 2.0)  # type: ignore[func-returns-value]
    assert [limit.is_passed() for _ in range(5)] == [False] * 5
    assert len(looked) == 1


def test_memory_of_this_process_is_told() -> None:
    before = resident_mib()
    ballast = bytearray(b"x") * (64 * 2**20)
    assert 50 < resident_mib() - before < 80
    del ballast
