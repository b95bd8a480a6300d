"""No worker takes in more connections than it has descriptors for, beside what it must open itself."""

from __future__ import annotations

import resource

import pytest

from app.web import descriptors

ANY = resource.RLIM_INFINITY


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Limits of this process, as it is told and as it sets them."""
    made = [(1024, 1024)]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: made[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: made.append(limits))
    return made


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "threads", "taken", "raised_to"),
    [
        (65_536, 65_536, 1000, 4, 1000, None),
        (1024, 524_288, 1000, 4, 1000, 1128),
        (1024, ANY, 1000, 4, 1000, 1128),
        (1024, 1024, 1000, 4, 896, 1024),
        (256, 256, 1000, 4, 128, 256),
        (256, 512, 1000, 4, 384, 512),
        (64, 64, 1000, 4, 4, 64),
        (1024, 1024, 1000, 32, 448, 1024),
        (ANY, ANY, 100_000, 4, 100_000, None),
    ],
)
def test_connections_leave_room_for_files(
    limits: list[tuple[int, int]], soft: int, hard: int, wanted: int, threads: int, taken: int, raised_to: int | None
) -> None:
    limits[:] = [(soft, hard)]
    assert descriptors.connections(wanted, threads) == taken
    assert limits[1:] == ([] if raised_to is None else [(raised_to, hard)])
