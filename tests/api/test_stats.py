"""Statistics over HTTP, in every generation of the pipeline's schema."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.db.pipeline import PipelineDatabase
from app.repositories.stats import StatsRepository
from app.services.stats import StatsService
from tests.support.pipeline import BASE_UNIX_S, Pipeline

DAY_S = 86400.0
NOON_S = 1761998400.0  # 2025-11-01T12:00:00Z


def test_empty_databases_count_zero_of_everything(any_client: FlaskClient) -> None:
    body = any_client.get("/api/v1/stats").get_json()
    meta = body.pop("_meta")
    assert meta["cache_hint_seconds"] == 30
    assert meta["generated_at"].endswith("Z")
    assert body == {
        "ms": {"total": 0, "by_stage": {"imaged": 0, "calibrated": 0, "ingested": 0, "pending": 0}},
        "images": {"total": 0},
        "photometry": {"total": 0},
        "sources": {"total": 0},
        "jobs": {"total": 0, "by_status": {"completed": 0, "running": 0, "pending": 0, "failed": 0}},
        "recent_images": [],
        "cal_tables": {"total": 0},
    }


def test_stages_beyond_the_well_known_are_counted_too(any_client: FlaskClient, any_pipeline: Pipeline) -> None:
    stages = ["imaged", "imaged", "mosaicked", "cataloged", "calibrated", "oddity", None, "", "pending"]
    for number, stage in enumerate(stages):
        any_pipeline.make_ms(f"/stage/ms/{number}.ms", stage=stage)
    assert any_client.get("/api/stats").get_json()["ms"] == {
        "total": 9,
        "by_stage": {
            "imaged": 2, "calibrated": 1, "ingested": 0, "pending": 3, "mosaicked": 1, "cataloged": 1, "oddity": 1,
        },
    }  # fmt: skip


def test_done_counts_as_completed_so_completed_is_not_always_zero(
    any_client: FlaskClient, any_pipeline: Pipeline
) -> None:
    for status in ("done", "completed", "queued", "pending", "running", "error", "failed", "failed", "cancelled"):
        any_pipeline.make_batch_job(status=status)
    assert any_client.get("/api/stats").get_json()["jobs"] == {
        "total": 9,
        "by_status": {"completed": 2, "running": 1, "pending": 2, "failed": 3},
    }


def test_sources_are_distinct_and_measurements_without_a_source_are_no_source(
    any_client: FlaskClient, any_pipeline: Pipeline
) -> None:
    for source in ("a", "a", "b"):
        any_pipeline.make_photometry(source_id=source)
    if any_pipeline.generation != "alembic":  # the one generation where a source is always named
        any_pipeline.make_photometry(source_id=None)
    body = any_client.get("/api/stats").get_json()
    assert body["sources"] == {"total": 2}
    assert body["photometry"]["total"] >= 3


def test_ten_newest_images_are_listed_with_the_larger_id_first_where_times_agree(
    any_client: FlaskClient, any_pipeline: Pipeline
) -> None:
    for number in range(12):
        any_pipeline.make_image(path=f"/stage/img/{number}.fits", created_at=BASE_UNIX_S, type="pbcor")
    recent = any_client.get("/api/stats").get_json()["recent_images"]
    assert [image["path"] for image in recent] == [f"/stage/img/{number}.fits" for number in range(11, 1, -1)]
    assert recent[0] == {"path": "/stage/img/11.fits", "created_at": "2025-10-31T13:00:00Z", "type": "pbcor"}


def test_calibration_tables_are_counted_and_a_missing_registry_has_none(
    any_client: FlaskClient, any_pipeline: Pipeline, tmp_path: Any, make_app: Any
) -> None:
    any_pipeline.make_caltable()
    any_pipeline.make_caltable(table_type="K")
    assert any_client.get("/api/stats").get_json()["cal_tables"] == {"total": 2}
    with Pipeline(tmp_path / "other", any_pipeline.generation, registry=False) as without:
        assert make_app(without).test_client().get("/api/stats").get_json()["cal_tables"] == {"total": 0}


def test_statistics_follow_a_commit_at_once(client: FlaskClient, pipeline: Pipeline) -> None:
    for n in range(3):
        assert client.get("/api/stats").get_json()["images"] == {"total": n}
        pipeline.make_image()


def test_missing_core_table_is_unavailable_and_not_zero(client: FlaskClient, pipeline: Pipeline) -> None:
    pipeline.connection.execute("DROP TABLE images")
    answer = client.get("/api/stats")
    assert (answer.status_code, answer.get_json()["error"]) == (503, "DATABASE_CONNECTION_ERROR")


def test_statistics_take_two_statements(database: PipelineDatabase, pipeline: Pipeline) -> None:
    database.forget_spent()
    StatsService(StatsRepository(database)).statistics()
    assert database.spent().statements == 2


# -- timeline


@pytest.fixture
def timeline(database: PipelineDatabase) -> Any:
    """Asks for days that end with 2025-11-01, UTC."""
    service = StatsService(StatsRepository(database), now=lambda: NOON_S)
    return lambda days: [day._asdict() for day in service.timeline(days).days]


def test_every_day_is_there_oldest_first_and_today_last(timeline: Any) -> None:
    assert [day["date"] for day in timeline(3)] == ["2025-10-30", "2025-10-31", "2025-11-01"]


def test_rows_fall_on_their_utc_day_to_the_second(timeline: Any, pipeline: Pipeline) -> None:
    midnight = NOON_S - DAY_S / 2
    for created_at in (midnight - DAY_S - 0.001, midnight - 0.001, midnight, midnight + DAY_S - 0.001):
        pipeline.make_image(created_at=created_at)
    pipeline.make_image(created_at=midnight + DAY_S)  # tomorrow
    assert [day["images"] for day in timeline(2)] == [1, 2]


def test_each_kind_counts_by_its_own_time(timeline: Any, pipeline: Pipeline) -> None:
    pipeline.make_ms("/stage/ms/a.ms", processed_at=NOON_S)
    pipeline.make_ms("/stage/ms/b.ms", processed_at=None)
    pipeline.make_photometry(measured_at=NOON_S)
    for status in ("done", "completed", "failed", "error", "running"):
        pipeline.make_job(status=status, finished_at=NOON_S)
    pipeline.make_job(status="completed", finished_at=None)
    (today,) = timeline(1)
    assert today == {
        "date": "2025-11-01", "ms": 1, "images": 0, "photometry": 1, "jobs": {"completed": 2, "failed": 2},
    }  # fmt: skip


def test_timeline_is_one_statement(timeline: Any, database: PipelineDatabase, pipeline: Pipeline) -> None:
    database.forget_spent()
    timeline(365)
    assert database.spent().statements == 1


def test_timeline_answers_in_every_generation(any_client: FlaskClient) -> None:
    days = any_client.get("/api/v1/stats/timeline").get_json()["days"]
    assert len(days) == 30
    assert set(days[0]) == {"date", "ms", "images", "photometry", "jobs"}
    assert days[0]["jobs"] == {"completed": 0, "failed": 0}


def test_timeline_answers_without_a_jobs_table(make_app: Any, tmp_path: Any) -> None:
    with Pipeline(tmp_path / "nojobs", "production", jobs=False) as pipeline:
        assert make_app(pipeline).test_client().get("/api/stats/timeline?days=1").status_code == 200


@pytest.mark.parametrize("days", ["0", "366", "-1", "x", "1.5", "1_0", ""])
def test_days_out_of_range_are_refused(client: FlaskClient, days: str) -> None:
    assert client.get(f"/api/stats/timeline?days={days}").status_code == 422


def test_timeline_depends_on_the_clock_and_is_not_kept(client: FlaskClient) -> None:
    assert client.get("/api/stats/timeline").headers["Cache-Control"] == "no-store"
    assert "ETag" in client.get("/api/stats").headers
