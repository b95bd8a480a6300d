"""Sources as read from tables, upgraded or not: pages that cost what they show, one truth in list and detail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db.files import PipelineFiles
from app.db.pipeline import PipelineDatabase
from app.db.upgrade import PipelineUpgrade
from app.domain.paging import PageRequest
from app.domain.sources import Source
from app.repositories.images import ImageRepository
from app.repositories.photometry import OF_SOURCE, PhotometryRepository
from app.repositories.sources import IMAGES, LISTS, SourceRepository
from app.services.sky import SkySearch
from app.services.sources import SourceService
from tests.support.pipeline import GENERATIONS, Pipeline, image_path

KEYS = {
    "limit": 101, "offset": 0, "reach": 101, "key0": "S000100", "source_id": "S000100", "start_mjd": None,
    "end_mjd": None, "min_snr": None,
}  # fmt: skip


class Survey:
    """A pipeline, and the service that reads it."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.database = PipelineDatabase(PipelineFiles(pipeline.products_path, None))
        self.repository = SourceRepository(self.database)
        sky = SkySearch(ImageRepository(self.database), self.repository)
        self.service = SourceService(self.repository, PhotometryRepository(self.database), sky)

    def plan(self, sql: str) -> list[tuple[int, str]]:
        """Steps of SQLite's plan, each with the number of the step it belongs to, 0 for the statement itself."""
        keys = {name: value for name, value in KEYS.items() if f":{name}" in sql}
        return [(parent, step) for _, parent, _, step in self.database.rows(f"EXPLAIN QUERY PLAN {sql}", keys)]

    def sources(self) -> list[Source]:
        """Every source."""
        return self.repository.page(PageRequest(limit=1000)).items


@pytest.fixture(scope="module", params=["as made", "upgraded"])
def upgraded(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "upgraded")


@pytest.fixture(scope="module", params=GENERATIONS)
def survey(
    request: pytest.FixtureRequest, upgraded: bool, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Survey]:
    """Tables of one generation, empty for whoever asks next."""
    directory: Path = tmp_path_factory.mktemp("survey")
    with Pipeline(directory, request.param) as pipeline:
        if upgraded:
            PipelineUpgrade(pipeline.products_path, "products").upgrade()
        made = Survey(pipeline)
        yield made
        made.database.close()


@pytest.mark.parametrize("sql", [LISTS[None].sql(), LISTS[None].sql(behind=True)], ids=["first", "next"])
def test_page_of_sources_is_read_in_order_and_no_further(survey: Survey, sql: str) -> None:
    steps = survey.plan(sql)
    assert not [step for parent, step in steps if parent == 0 and "TEMP B-TREE" in step], steps
    assert not [step for _, step in steps if step.startswith(("MATERIALIZE", "CO-ROUTINE"))], steps


@pytest.mark.parametrize("sql", [OF_SOURCE[None], IMAGES], ids=["measurements", "images"])
def test_measurements_of_a_source_are_found_by_index(survey: Survey, sql: str) -> None:
    scanned = [step for _, step in survey.plan(sql) if step.startswith("SCAN") and "photometry" in step]
    assert scanned == []


measurements = st.lists(
    st.fixed_dictionaries(
        {
            "source_id": st.sampled_from(["a", "b", "c"]),
            "image_path": st.sampled_from([*map(image_path, range(1, 5)), "/nowhere"]),
            "mjd": st.none() | st.sampled_from([0.0, 60000.0, 60001.0]),
            "measured_at": st.sampled_from([0.0, 1.7e9, 1.8e9]),
            "ra_deg": st.floats(0, 359),
        }
    ),
    max_size=12,
)
times = st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=4, max_size=4)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(measurements, times)
def test_list_and_detail_tell_the_same(survey: Survey, rows: list[dict[str, object]], created: list[float]) -> None:
    pipeline = survey.pipeline
    with pipeline.connection as connection:
        connection.execute("DELETE FROM photometry")
        connection.execute("DELETE FROM images")
    for number, created_at in enumerate(created, start=1):
        pipeline.make_image(path=image_path(number), created_at=created_at)
    for row in rows:
        pipeline.make_photometry(**row)
    listed = survey.sources()
    assert [source.id for source in listed] == sorted({str(row["source_id"]) for row in rows})
    for source in listed:
        detail = survey.service.get(source.id)
        assert (source.ra_deg, source.dec_deg) == (detail.ra_deg, detail.dec_deg)
        assert source.image_id == detail.latest_image_id
        assert source.num_images == len({image.path for image in detail.contributing_images})
