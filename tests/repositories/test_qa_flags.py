"""The table of flags, whose columns nobody fixed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from app.db.files import PipelineFiles
from app.db.pipeline import PipelineDatabase
from app.repositories.qa import QaRepository
from tests.support.pipeline import Pipeline


def flags_of(pipeline: Pipeline) -> tuple[list[object], list[object]]:
    """Details of the flags on image ``i`` of measurement set ``m``, and on ``m``."""
    database = PipelineDatabase(PipelineFiles(pipeline.products_path, pipeline.registry_path))
    try:
        repository = QaRepository(database)
        image = [flag.details for flag in repository.image_or_ms_flags("i", "m")]
        return image, [flag.details for flag in repository.ms_flags("m")]
    finally:
        database.close()


def test_columns_of_any_name_and_values_of_any_type_go_through(pipeline: Pipeline) -> None:
    pipeline.connection.execute(
        """CREATE TABLE qa_flags (ms_path, image_path, timestamp, "a ""b"" 'c'", [select], whole, fraction, infinite,
        lowest, bytes, "κ ")"""
    )
    row = ("m", "i", 1.0, 'it\'s "quoted"\n', None, 7, 0.1, math.inf, -(2**63), b"\x00raw\xff", "Å")
    with pipeline.connection as connection:
        connection.execute(f"INSERT INTO qa_flags VALUES ({', '.join('?' * len(row))})", row)
    expected = {
        "a \"b\" 'c'": "it's \"quoted\"\n", "select": None, "whole": 7, "fraction": 0.1, "infinite": None,
        "lowest": -(2**63), "κ ": "Å", "bytes": "00726177FF",
    }  # fmt: skip
    (of_image,), (of_ms,) = flags_of(pipeline)
    assert {name: of_image[name] for name in expected} == expected
    assert set(of_image) == {*expected, "ms_path"}
    assert set(of_ms) == {*expected, "image_path"}


def test_a_hundred_columns_go_through(pipeline: Pipeline) -> None:
    names = [f"column_{n}" for n in range(100)]
    pipeline.connection.execute(f"CREATE TABLE qa_flags (ms_path, timestamp, {', '.join(names)})")
    with pipeline.connection as connection:
        connection.execute(f"INSERT INTO qa_flags VALUES ('m', 1.0, {', '.join(map(str, range(100)))})")
    assert flags_of(pipeline)[1] == [{name: n for n, name in enumerate(names)}]


@pytest.mark.parametrize(
    ("columns", "image", "ms"),
    [
        ("ms_path", [{}], [{}]),
        ("ms_path, note", [{"note": "x"}], [{"note": "x"}]),
        ("image_path, note", [{"note": "x"}], []),
        ("note", [], []),
    ],
)
def test_a_table_with_one_key_or_none_is_read(
    columns: str, image: list[object], ms: list[object], pipeline: Pipeline
) -> None:
    values = {"ms_path": "m", "image_path": "i", "note": "x"}
    pipeline.connection.execute(f"CREATE TABLE qa_flags ({columns})")
    with pipeline.connection as connection:
        row = [values[name] for name in columns.split(", ")]
        connection.execute(f"INSERT INTO qa_flags VALUES ({', '.join('?' * len(row))})", row)
    assert flags_of(pipeline) == (image, ms)


def test_a_table_made_while_the_service_runs_is_seen(pipeline: Pipeline, tmp_path: Path) -> None:
    database = PipelineDatabase(PipelineFiles(pipeline.products_path, pipeline.registry_path))
    repository = QaRepository(database)
    assert repository.ms_flags("m") == ()
    pipeline.connection.execute("CREATE TABLE qa_flags (ms_path, timestamp, note)")
    with pipeline.connection as connection:
        connection.execute("INSERT INTO qa_flags VALUES ('m', 1.0, 'new')")
    assert [flag.details for flag in repository.ms_flags("m")] == [{"note": "new"}]
    database.close()
