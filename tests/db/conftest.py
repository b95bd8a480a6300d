"""What every test of the database room starts from."""

from __future__ import annotations

import pytest

from app.db import wal_index


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process: the databases of other tests do not use up the places."""
    monkeypatch.setattr(wal_index, "_kept", {})
    monkeypatch.setattr(wal_index, "_kept_logs", {})
    monkeypatch.setattr(wal_index, "_kept_directories", {})
