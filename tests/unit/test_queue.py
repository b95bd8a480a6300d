"""States of jobs, names of reruns, and the command line: pure functions by table."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.queue import Facts, job_of, may_retry
from app.domain.reruns import command_line, progress_of, rerun_id

ORDERED = {"kind": "x", "at": 10.0, "priority": 0, "retries": 1, "params": {"run_id": "r"}, "meta": {}}
LOST, LEFT = {"counted": True}, {"counted": False}
LIVING, DEAD = {"worker": "living", "at": 20.0}, {"worker": "dead", "at": 15.0}
END = {"status": "finished", "at": 30.0, "result": {"a": 1}, "error": None}


@pytest.mark.parametrize(
    ("starts", "losses", "end", "shown"),
    [
        ({}, {}, None, ("queued", None, None, 1)),
        ({1: LIVING}, {}, None, ("started", 20.0, None, 1)),
        ({1: DEAD}, {}, None, ("queued", None, None, 1)),
        ({1: DEAD}, {1: LOST}, None, ("queued", None, None, 2)),
        ({1: DEAD, 2: LIVING}, {1: LOST}, None, ("started", 20.0, None, 2)),
        ({1: DEAD, 2: DEAD}, {1: LOST}, None, ("failed", 15.0, None, 2)),
        ({1: DEAD, 2: DEAD}, {1: LEFT}, None, ("queued", None, None, 2)),
        ({1: LIVING}, {}, END, ("finished", 20.0, 30.0, 1)),
        ({}, {}, {**END, "status": "canceled"}, ("canceled", None, 30.0, 1)),
        ({1: DEAD}, {1: LOST}, {**END, "status": "canceled"}, ("canceled", 15.0, 30.0, 2)),
    ],
)
def test_state_follows_from_the_facts(starts: Any, losses: Any, end: Any, shown: tuple[Any, ...]) -> None:
    job = job_of("job_1", Facts(ORDERED, starts, losses, end), lambda worker: worker == "living")
    assert (job.status, job.started_at, job.ended_at, job.attempt) == shown


@pytest.mark.parametrize(
    ("retries", "losses", "may"),
    [(0, [], False), (1, [], True), (1, [LOST], False), (1, [LEFT], True), (2, [LOST, LEFT], True)],
)
def test_only_losses_that_count_use_up_retries(retries: int, losses: list[Any], may: bool) -> None:
    facts = Facts({**ORDERED, "retries": retries}, {}, dict(enumerate(losses, 1)), None)
    assert may_retry(facts) is may


@pytest.mark.parametrize(
    ("original", "rerun"),
    [
        ("job-2025-10-31-134906", "job-2025-10-31-134906_rerun_20251031_130000"),
        ("job-2025-10-31-134906_cal", "job-2025-10-31-134906_cal_rerun_20251031_130000"),
        ("job-x_rerun_20250101_000000", "job-x_rerun_20251031_130000"),
        ("job-x_rerun_20250101_000000_2", "job-x_rerun_20251031_130000"),
        ("job-x_rerun", "job-x_rerun_rerun_20251031_130000"),
    ],
)
def test_rerun_is_named_after_the_original_and_the_time(original: str, rerun: str) -> None:
    assert rerun_id(original, 1761915600.9) == rerun


@pytest.mark.parametrize(
    ("template", "values", "line"),
    [
        ("run {ms_path}", {"ms_path": "/a b.ms"}, ["run", "/a b.ms"]),
        ("run --cal={cal_table} '{run_id} x'", {"cal_table": "/c", "run_id": "r"}, ["run", "--cal=/c", "r x"]),
        ("run {ms_path}", {"ms_path": "x; rm / $(boom) `boom` '\" \\ *"}, ["run", "x; rm / $(boom) `boom` '\" \\ *"]),
        ("run {cal_table} {phase_center_ra}", {"phase_center_ra": 0.0}, ["run", "", "0.0"]),
        ("awk '{print $1}' {other} {ms_path!r}", {"ms_path": "m"}, ["awk", "{print $1}", "{other}", "{ms_path!r}"]),
        ("run {ms_path}", {"ms_path": "{run_id}", "run_id": "r"}, ["run", "{run_id}"]),
    ],
)  # fmt: skip
def test_command_is_cut_into_arguments_before_values_are_put_in(
    template: str, values: dict[str, Any], line: list[str]
) -> None:
    assert command_line(template, values) == line


@pytest.mark.parametrize("template", ["run 'x", "", "   "])
def test_command_that_cannot_be_cut_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"quotation|empty"):
        command_line(template, {})


@pytest.mark.parametrize(
    ("line", "progress"),
    [
        (b"PROGRESS 40 imaging", (40.0, "imaging")),
        (b"PROGRESS 40%", (40.0, None)),
        (b"PROGRESS 12.5% clean 3 of 8", (12.5, "clean 3 of 8")),
        (b"PROGRESS 400", (100.0, None)),
        (b"PROGRESS", None),
        (b"PROGRESS -1", None),
        (b"some PROGRESS 40", None),
        (b"", None),
    ],
)
def test_progress_is_read_from_a_line_that_announces_it(line: bytes, progress: Any) -> None:
    assert progress_of(line) == progress
