"""The change watcher: a generation that stands still exactly while nothing is committed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db.changes import ChangeWatcher
from app.db.files import PipelineFiles
from tests.support.pipeline import Pipeline


@pytest.fixture
def watcher(pipeline: Pipeline) -> Iterator[ChangeWatcher]:
    made = ChangeWatcher(PipelineFiles(pipeline.products_path, pipeline.registry_path))
    yield made
    made.close()


def test_stands_still_while_nothing_is_committed(watcher: ChangeWatcher) -> None:
    assert len({watcher.generation() for _ in range(5)}) == 1


def test_grows_with_a_commit_to_either_file(watcher: ChangeWatcher, pipeline: Pipeline) -> None:
    before = watcher.generation()
    pipeline.make_image()
    after_products = watcher.generation()
    pipeline.make_caltable()
    assert before < after_products < watcher.generation()


def test_ignores_what_is_rolled_back(watcher: ChangeWatcher, pipeline: Pipeline) -> None:
    before = watcher.generation()
    pipeline.connection.execute("BEGIN IMMEDIATE")
    pipeline.connection.execute("DELETE FROM images")
    pipeline.connection.rollback()
    assert watcher.generation() == before


def test_sees_commits_in_rollback_journal_mode(tmp_path: Path) -> None:
    with Pipeline(tmp_path, "production") as pipeline:
        pipeline.connection.execute("PRAGMA journal_mode = DELETE")
        watcher = ChangeWatcher(PipelineFiles(pipeline.products_path, None))
        before = watcher.generation()
        assert watcher.generation() == before
        pipeline.make_image()
        assert watcher.generation() > before
        watcher.close()


def test_grows_when_a_file_is_swapped(watcher: ChangeWatcher, pipeline: Pipeline, tmp_path: Path) -> None:
    before = watcher.generation()
    with Pipeline(tmp_path / "fresh", "production") as other:
        other.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.replace(other.products_path, pipeline.products_path)
    after = watcher.generation()
    assert after > before
    assert watcher.generation() == after


def test_every_look_is_a_new_generation_while_the_file_is_away(tmp_path: Path) -> None:
    watcher = ChangeWatcher(PipelineFiles(tmp_path / "absent.sqlite3", None))
    assert watcher.generation() < watcher.generation()


def test_locked_file_counts_as_changed_without_waiting(tmp_path: Path) -> None:
    with Pipeline(tmp_path, "production") as pipeline:
        pipeline.connection.execute("PRAGMA journal_mode = DELETE")
        watcher = ChangeWatcher(PipelineFiles(pipeline.products_path, None))
        before = watcher.generation()
        pipeline.connection.execute("BEGIN EXCLUSIVE")
        assert watcher.generation() > before
        pipeline.connection.rollback()
        watcher.close()


@pytest.mark.parametrize("journal_mode", ["WAL", "DELETE"])
def test_commit_made_while_nobody_watched_is_a_change(tmp_path: Path, journal_mode: str) -> None:
    with Pipeline(tmp_path, "production") as pipeline:
        pipeline.connection.execute(f"PRAGMA journal_mode = {journal_mode}")
        watcher = ChangeWatcher(PipelineFiles(pipeline.products_path, None))
        before = watcher.generation()
        watcher.close()
        pipeline.make_image()
        assert watcher.generation() > before
        watcher.close()
