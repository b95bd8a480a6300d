"""Reading the end of a log."""

from __future__ import annotations

import io
import os
import sqlite3
import tracemalloc
from pathlib import Path

import pytest

from app.domain.logs import log_name
from app.services import logs
from app.services.files import DataFiles
from app.services.logs import LogService, count_lines, last_lines


@pytest.fixture
def service(tmp_path: Path) -> LogService:
    for name in ("first", "second", "elsewhere"):
        (tmp_path / name).mkdir()
    directories = (tmp_path / "first", tmp_path / "second")
    return LogService(directories, DataFiles(directories, databases=(tmp_path / "first" / "products",)))


@pytest.mark.parametrize(
    "content",
    [b"", b"one", b"one\n", b"one\ntwo", b"one\ntwo\n", b"\n", b"\n\n\n", b"\n\nend", b"a\r\nb\n", b"x" * 50 + b"\ny\n",
     b"0123\n" * 30, b"0123456\n" * 30, "κόσμε\n".encode() * 10],
)  # fmt: skip
@pytest.mark.parametrize("block", [1, 3, 8, 1000])
@pytest.mark.parametrize("lines", [1, 2, 3, 100])
def test_tail_is_the_end_of_all_lines_wherever_blocks_divide(
    content: bytes, block: int, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "BLOCK_BYTES", block)
    whole = [line.decode() for line in io.BytesIO(content)]
    file = io.BytesIO(content)
    assert last_lines(file, len(content), lines) == whole[-lines:]
    assert count_lines(file, len(content)) == len(whole)


def test_tail_reads_to_the_size_at_the_start_though_the_file_grows() -> None:
    file = io.BytesIO(b"one\ntwo\nthree\n")
    assert last_lines(file, 8, 5) == ["one\n", "two\n"]
    assert count_lines(file, 8) == 2


def test_bytes_that_are_no_text_do_not_fail() -> None:
    assert last_lines(io.BytesIO(b"good\n\xff\xfe\x00bad\n"), 14, 5)[1] == "\ufffd\ufffd\x00bad\n"


def test_a_log_without_line_ends_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "BLOCK_BYTES", 10)
    monkeypatch.setattr(logs, "LARGEST_TAIL_BYTES", 40)
    content = b"x" * 1000 + b"\nlast\n"
    (cut, last) = last_lines(io.BytesIO(content), len(content), 5)
    assert cut.startswith(logs.CUT)
    assert cut.endswith("xxx\n")
    assert len(cut) < 100
    assert last == "last\n"
    assert last_lines(io.BytesIO(content), len(content), 1) == ["last\n"]


def test_a_large_log_is_read_in_blocks(service: LogService, tmp_path: Path) -> None:
    path = tmp_path / "first" / "job-large.log"
    with path.open("wb") as file:
        file.truncate(100 * 2**20)  # sparse: quick to make, as long to read
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + b"line\n" * 500)
    tracemalloc.start()
    tail = service.tail("job-large", 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tail.logs, tail.total_lines) == (["line\n"] * 100, 501)
    assert peak < 4 * 2**20


def test_directories_are_searched_in_order(service: LogService, tmp_path: Path) -> None:
    (tmp_path / "second" / "job-a.log").write_text("second\n")
    assert service.tail("job-a", 5).logs == ["second\n"]
    (tmp_path / "first" / "job-a.log").write_text("first\n")
    assert service.tail("job-a", 5).logs == ["first\n"]


@pytest.mark.parametrize("lines", [0, -1, -(10**17)])
def test_a_tail_of_none_or_less_is_the_last_ten_thousand(service: LogService, tmp_path: Path, lines: int) -> None:
    (tmp_path / "first" / "job-a.log").write_text("".join(f"{n}\n" for n in range(10_001)))
    tail = service.tail("job-a", lines)
    assert (len(tail.logs), tail.logs[0], tail.total_lines) == (10_000, "1\n", 10_001)


@pytest.mark.parametrize(
    "run_id",
    ["../elsewhere/secret", "..", ".", "", "a/b", "a\\b", "a\x00", "a\n", "job..", "é", "job a", "x" * 201, "~root",
     "%2e%2e", "$HOME", "*"],
)  # fmt: skip
def test_run_ids_that_could_lead_elsewhere_name_no_file(run_id: str) -> None:
    assert log_name(run_id) in {None, "..log"}


@pytest.mark.parametrize("run_id", ["job-2025-10-31-134906", "job-a.b_c:d+e", "x" * 200])
def test_ordinary_run_ids_name_their_log(run_id: str) -> None:
    assert log_name(run_id) == f"{run_id}.log"


def test_what_may_not_be_read_is_told_like_what_is_missing(service: LogService, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere" / "secret.log"
    secret.write_text("secret\n")
    first = tmp_path / "first"
    (first / "job-link.log").symlink_to(secret)
    (first / "job-folder.log").mkdir()
    os.mkfifo(first / "job-pipe.log")
    sqlite3.connect(first / "products").close()
    (first / "products").write_bytes(b"SQLite format 3\x00")
    os.link(first / "products", first / "job-database.log")
    for run_id in ("job-link", "job-folder", "job-pipe", "job-database", "../elsewhere/secret", "job-none"):
        tail = service.tail(run_id, 5)
        assert tail == (run_id, [], None, f"Log file not found for run_id: {run_id}")


def test_a_link_within_the_log_directories_is_followed(service: LogService, tmp_path: Path) -> None:
    (tmp_path / "second" / "real.log").write_text("here\n")
    (tmp_path / "first" / "job-a.log").symlink_to(tmp_path / "second" / "real.log")
    assert service.tail("job-a", 5).logs == ["here\n"]


def test_a_log_that_cannot_be_read_is_told_without_its_path(
    service: LogService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    (tmp_path / "first" / "job-a.log").write_text("here\n")
    monkeypatch.setattr("builtins.open", refuse)
    tail = service.tail("job-a", 5)
    monkeypatch.undo()
    assert tail.error == "Failed to read log file: Permission denied"
    assert tail.logs == []
