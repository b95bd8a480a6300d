"""Pictures kept on disk: complete, bounded, made once, and no rubbish left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from app.domain.errors import FitsUnreadable, Overloaded
from app.services.pictures.disk_cache import DiskCache
from app.services.pictures.turnstile import Turnstile

CAPACITY = 100_000


def key(number: int) -> str:
    return f"{number:040x}"[::-1]


def writes(content: bytes) -> Callable[[IO[bytes]], None]:
    def make(file: IO[bytes]) -> None:
        file.write(content)

    return make


def never(file: IO[bytes]) -> None:
    raise AssertionError("it was made already")


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def kept_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in files(directory))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "pictures"


@pytest.fixture
def cache(directory: Path) -> DiskCache:
    return DiskCache(directory, CAPACITY)


def read(cache: DiskCache, number: int, make: Callable[[IO[bytes]], None] = never) -> bytes:
    with cache.fetch(key(number), make) as file:
        return file.read()


def test_file_is_made_once_and_read_from_its_start(cache: DiskCache) -> None:
    assert read(cache, 1, writes(b"picture")) == b"picture"
    assert read(cache, 1) == b"picture"
    with pytest.raises(AssertionError):
        read(cache, 2)


def test_another_process_finds_what_one_made(cache: DiskCache, directory: Path) -> None:
    read(cache, 1, writes(b"picture"))
    assert read(DiskCache(directory, CAPACITY), 1) == b"picture"


def test_cache_never_holds_more_than_its_capacity(cache: DiskCache, directory: Path) -> None:
    for number in range(300):
        read(cache, number, writes(bytes(1500)))
        assert kept_bytes(directory) <= CAPACITY
    assert kept_bytes(directory) > CAPACITY / 2


def test_several_processes_stay_within_the_bound_together(directory: Path) -> None:
    caches = [DiskCache(directory, CAPACITY) for _ in range(4)]
    for number in range(300):
        read(caches[number % 4], number, writes(bytes(1000)))
        assert kept_bytes(directory) <= CAPACITY


def test_what_was_asked_for_last_stays_longest(cache: DiskCache, directory: Path) -> None:
    for number in range(60):
        read(cache, number, writes(bytes(1500)))
        read(cache, 0)
        os.utime(directory / key(0)[:2] / key(0)[2:], ns=(10**18 * (number + 2), 0))
    assert read(cache, 0) == bytes(1500)


def test_reading_counts_as_asking_even_where_the_mount_does_not_note_it(cache: DiskCache, directory: Path) -> None:
    read(cache, 1, writes(b"picture"))
    path = directory / key(1)[:2] / key(1)[2:]
    os.utime(path, (0, 0))
    read(cache, 1)
    assert path.stat().st_atime > 0
    assert path.stat().st_mtime == 0


def test_file_larger_than_the_cache_is_given_but_not_kept(cache: DiskCache, directory: Path) -> None:
    assert read(cache, 1, writes(bytes(CAPACITY + 1))) == bytes(CAPACITY + 1)
    assert files(directory) == []


def test_failure_leaves_nothing_behind(cache: DiskCache, directory: Path) -> None:
    def fail(file: IO[bytes]) -> None:
        file.write(b"half of it")
        raise FitsUnreadable("broken")

    with pytest.raises(FitsUnreadable):
        cache.fetch(key(1), fail)
    assert files(directory) == []
    assert read(cache, 1, writes(b"whole")) == b"whole"


def test_no_reader_sees_half_a_file(cache: DiskCache, directory: Path) -> None:
    def make(file: IO[bytes]) -> None:
        file.write(b"half")
        file.flush()
        assert DiskCache(directory, CAPACITY).find(key(1)) is None
        file.write(b" and half")

    assert read(cache, 1, make) == b"half and half"


KILLED = """
import sys
from pathlib import Path
from app.services.pictures.disk_cache import DiskCache

def make(file):
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()

DiskCache(Path(sys.argv[1]), 100_000).fetch("ab" * 20, make)
"""


def test_what_a_killed_process_left_is_removed_by_the_next_one(directory: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        (unfinished,) = files(directory)
        read(DiskCache(directory, CAPACITY), 1, writes(b"x"))
        assert unfinished in files(directory), "it is still being written"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert unfinished in files(directory)
    read(DiskCache(directory, CAPACITY), 2, writes(b"y"))
    assert len(files(directory)) == 2
    assert unfinished not in files(directory)


@pytest.mark.parametrize("obstacle", ["a file in its place", "no place left"])
def test_directory_that_cannot_be_written_to_costs_only_time(
    tmp_path: Path, obstacle: str, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"")
    cache = DiskCache(blocked if obstacle == "a file in its place" else Path("/dev/full/x"), CAPACITY)
    assert read(cache, 1, writes(b"picture")) == b"picture"
    assert read(cache, 1, writes(b"made anew")) == b"made anew"


def test_evicted_file_is_still_read_to_its_end(cache: DiskCache, directory: Path) -> None:
    file = cache.fetch(key(1), writes(b"picture"))
    for path in files(directory):
        path.unlink()
    with file:
        assert file.read() == b"picture"


def test_threads_that_want_the_same_make_it_once(cache: DiskCache) -> None:
    made = []
    start = threading.Barrier(8)
    got = []

    def make(file: IO[bytes]) -> None:
        made.append(threading.get_ident())
        file.write(b"picture")

    def ask() -> None:
        start.wait()
        got.append(read(cache, 1, make))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [b"picture"] * 8
    assert len(made) == 1


def test_turnstile_lets_in_as_many_as_it_has_places_and_turns_the_rest_away() -> None:
    turnstile = Turnstile(2, patience_s=30.0)
    inside = threading.Semaphore(0)
    leave = threading.Event()

    def work() -> None:
        with turnstile.passage():
            inside.release()
            leave.wait(30)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert inside.acquire(timeout=10)
    assert inside.acquire(timeout=10)
    while turnstile._queue._value:  # the third stands in the queue
        pass
    with pytest.raises(Overloaded), turnstile.passage():
        pass
    assert not inside.acquire(blocking=False), "the third waits"
    leave.set()
    assert inside.acquire(timeout=10), "the third has its turn"
    for thread in threads:
        thread.join()
    with turnstile.passage():
        pass


def test_turnstile_waits_no_longer_than_its_patience_and_frees_its_place_on_failure() -> None:
    turnstile = Turnstile(1, patience_s=0.01)
    with turnstile.passage(), pytest.raises(Overloaded), turnstile.passage():
        pass
    with pytest.raises(FitsUnreadable), turnstile.passage():
        raise FitsUnreadable("broken")
    with turnstile.passage():
        pass
