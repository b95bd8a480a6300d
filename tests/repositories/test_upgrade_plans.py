"""On an upgraded file a page, a look-up and a count cost the same however many rows there are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.db.files import PipelineFiles
from app.db.pipeline import PipelineDatabase
from app.db.upgrade import PipelineUpgrade
from app.domain.paging import PageRequest
from app.repositories.cal import CalRepository
from app.repositories.images import ImageRepository
from app.repositories.jobs import JobRepository
from app.repositories.ms import MsRepository
from app.repositories.qa import QaRepository
from app.repositories.sources import SourceRepository
from app.repositories.stats import StatsRepository
from tests.support.pipeline import BASE_UNIX_S, GENERATIONS, Pipeline, image_path, ms_path

FEW, MANY = 40, 400


def two_pages(repository: Any) -> None:
    """The first page and the one behind it."""
    first = repository.page(PageRequest(limit=5))
    assert len(first.items) == 5
    assert len(repository.page(PageRequest(limit=5, cursor=first.next_cursor)).items) == 5


READS: dict[str, Callable[[PipelineDatabase], object]] = {
    "images": lambda db: two_pages(ImageRepository(db)),
    "image": lambda db: ImageRepository(db).get("7"),
    "image by path": lambda db: ImageRepository(db).get(image_path(7)),
    "newest image of a measurement set": lambda db: ImageRepository(db).find_newest_id(ms_path(7)),
    "measurement sets": lambda db: two_pages(MsRepository(db)),
    "measurement set": lambda db: MsRepository(db).get(ms_path(7)),
    "jobs": lambda db: two_pages(JobRepository(db)),
    "sources": lambda db: two_pages(SourceRepository(db)),
    "images of a source": lambda db: SourceRepository(db).images("S000007"),
    "calibration tables": lambda db: two_pages(CalRepository(db)),
    "quality of a measurement set": lambda db: QaRepository(db).ms(ms_path(7)),
    "flags of a measurement set": lambda db: QaRepository(db).ms_flags(ms_path(7)),
    "flags of an image": lambda db: QaRepository(db).image_or_ms_flags(image_path(7), ms_path(7)),
    "recent images": lambda db: StatsRepository(db).recent_images(5),
    "timeline": lambda db: StatsRepository(db).daily(BASE_UNIX_S, BASE_UNIX_S + 10),
}


def make(directory: Path, generation: str, rows: int) -> Pipeline:
    """An upgraded pipeline with so many rows of every kind."""
    pipeline = Pipeline(directory, generation, qa_flags=True)
    pipeline.make_many_images(rows)
    pipeline.make_many_photometry(rows, 3)
    for n in range(rows):
        pipeline.make_ms()
        pipeline.make_job(**({"ms_path": f"/rerun/{n}.ms"} if n % 2 else {}))
        pipeline.make_caltable()
        pipeline.make_image_qa()
        pipeline.make_calibration_qa()
        pipeline.make_qa_flag(ms_path=ms_path(n))
    for path in {pipeline.products_path, pipeline.registry_path}:
        PipelineUpgrade(path, path.stem).upgrade()
    return pipeline


def work(database: PipelineDatabase, read: Callable[[PipelineDatabase], object]) -> int:
    """Instructions of SQLite's virtual machine that a read takes, in tens."""
    read(database)  # opens the connection, prepares the statements
    done = 0

    def count() -> int:
        nonlocal done
        done += 1
        return 0

    with database.connection() as connection:
        connection.set_progress_handler(count, 10)
        read(database)
        connection.set_progress_handler(None, 0)
    return done


@pytest.mark.parametrize("generation", GENERATIONS)
def test_no_read_costs_more_with_ten_times_the_rows(tmp_path: Path, generation: str) -> None:
    spent: list[dict[str, int]] = []
    for rows in (FEW, MANY):
        with make(tmp_path / str(rows), generation, rows) as pipeline:
            database = PipelineDatabase(PipelineFiles(pipeline.products_path, pipeline.registry_path))
            spent.append({name: work(database, read) for name, read in READS.items()})
            database.close()
    few, many = spent
    assert {name: (few[name], many[name]) for name in READS if many[name] > 1.5 * few[name] + 20} == {}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_counts_cost_no_more_with_ten_times_the_measurements(tmp_path: Path, generation: str) -> None:
    spent = []
    for epochs in (5, 50):
        with Pipeline(tmp_path / str(epochs), generation) as pipeline:
            pipeline.make_many_images(epochs)
            pipeline.make_many_photometry(20, epochs)
            PipelineUpgrade(pipeline.products_path, "products").upgrade()
            database = PipelineDatabase(PipelineFiles(pipeline.products_path, pipeline.registry_path))
            spent.append(work(database, lambda database: StatsRepository(database).counts()))
            database.close()
    assert spent[1] <= spent[0] + 1


def test_the_measure_notices_a_missing_index(tmp_path: Path) -> None:
    spent = []
    for rows in (FEW, MANY):
        with make(tmp_path / str(rows), "production", rows) as pipeline:
            pipeline.connection.execute("DROP INDEX contimg_api_images_created")
            database = PipelineDatabase(PipelineFiles(pipeline.products_path, pipeline.registry_path))
            spent.append(work(database, READS["images"]))
            database.close()
    assert spent[1] > 3 * spent[0]
