"""Many measurements: statistics right after a write, a long light curve, and what the triggers cost the pipeline."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from statistics import median

from tests.benchmarks import data, servers
from tests.benchmarks.data import Survey
from tests.benchmarks.plan import Plan, median_ms, say
from tests.benchmarks.report import Figure, at_most
from tests.support.pipeline_rows import flux_jy

EPOCHS = 100
LONG_CURVE = 10_000
INSERTED_ROWS = 20_000

INSERT = """
    INSERT INTO photometry (source_id, image_path, ra_deg, dec_deg, peak_jyb, peak_err_jyb, flux_jy, flux_err_jy, mjd,
                            measured_at)
    VALUES (:source_id, :image_path, 180.0, 37.0, :flux_jy, 0.0004, :flux_jy, 0.0004, :mjd, :measured_at)
"""


def figures(plan: Plan) -> Iterator[Figure]:
    """Everything that depends on the number of measurements."""
    rows = plan.photometry_rows
    say(f"making {rows:,} measurements")
    directory = plan.directory / f"photometry-{rows}"
    survey = data.build(directory, images=EPOCHS, sources=rows // EPOCHS, epochs=EPOCHS, long_curve=LONG_CURVE)
    say("upgrading them")
    yield Figure(f"upgrade of {rows:,} measurements (0 if it was there)", data.upgrade(survey), "s")
    with servers.service(plan.directory / "logs", survey, plan.workers) as service:
        yield from _statistics(survey, service.port, rows)
    with servers.service(plan.directory / "logs", survey, plan.workers, DSA110_CACHE_ENABLED="false") as service:
        say("light curve")
        curve = median_ms(service.port, ["/api/v1/sources/long/lightcurve"] * 40)
        yield at_most(f"light curve of {LONG_CURVE:,} points, computed", curve, "ms", 30)
    yield from _triggers(plan)


def _statistics(survey: Survey, port: int, rows: int) -> Iterator[Figure]:
    say("statistics after a write")
    numbers = count()
    with survey.writer() as connection:
        after_write = median_ms(
            port, ["/api/v1/stats"] * 40, lambda: connection.execute(INSERT, _measurement(next(numbers)))
        )
    yield at_most(f"`/stats` right after a write, {rows:,} measurements", after_write, "ms", 20)


def _triggers(plan: Plan) -> Iterator[Figure]:
    """What one more measurement costs the pipeline with the upgrade, beyond what it costs without."""
    say("cost of the triggers")
    plain = data.build(plan.directory / "plain", images=1_000, sources=500, epochs=100)
    upgraded = plan.survey("triggers", images=1_000, sources=500, epochs=100)
    for how, in_one in (("in one transaction", True), ("a transaction each", False)):
        extra = median(
            _insert_us(upgraded, in_one=in_one, turn=turn) - _insert_us(plain, in_one=in_one, turn=turn)
            for turn in range(2 * plan.rounds + 1)
        )
        yield at_most(f"triggers, for each inserted measurement, {how}", extra, "µs", 20)


def _insert_us(survey: Survey, *, in_one: bool, turn: int) -> float:
    rows = INSERTED_ROWS if in_one else INSERTED_ROWS // 10
    measurements = [_measurement(turn * INSERTED_ROWS + n) for n in range(rows)]
    with survey.writer() as connection:
        started = time.perf_counter()
        if in_one:
            connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, measurements)
        if in_one:
            connection.execute("COMMIT")
        return (time.perf_counter() - started) / rows * 1e6


def _measurement(number: int) -> dict[str, str | float]:
    """What comes after the survey: its light curves go on."""
    source, epoch = number % 500, 1000 + number // 500
    return {
        "source_id": f"S{source:06d}",
        "image_path": f"/stage/img/{1 + epoch % 1000:06d}.fits",
        "flux_jy": flux_jy(source, epoch),
        "mjd": 61_000.0 + epoch,
        "measured_at": 1_764_000_000.0 + number,
    }
