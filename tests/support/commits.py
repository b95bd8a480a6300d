"""A pipeline that keeps committing, in a process of its own, and tells after each commit that it is done.

What it writes is a number that grows by one each time, so that whoever reads an answer can tell how old it is. The
number of the last finished commit is told through eight bytes of shared memory.

Run as ``python -m tests.support.commits KIND PATH COUNTER PERIOD_S``; ends when its standard input does.
"""

from __future__ import annotations

import mmap
import os
import select
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from struct import Struct

NUMBER = Struct("=q")

# Each kind writes the number where one endpoint shows it.
COUNT_IN_IMAGES = "UPDATE images SET noise_jy = :n WHERE id = (SELECT min(id) FROM images)"
COUNT_IN_CALTABLES = """
    UPDATE caltables SET path = '/stage/cal/' || :n || '.tbl' WHERE id = (SELECT min(id) FROM caltables)
"""


class Counter:
    """A number in a file that two processes map."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), NUMBER.size)

    @property
    def value(self) -> int:
        """The number now."""
        number: int = NUMBER.unpack(self._memory[: NUMBER.size])[0]
        return number

    @value.setter
    def value(self, number: int) -> None:
        # As one copy: pack_into() would zero the place first, and a reader might see that.
        self._memory[: NUMBER.size] = NUMBER.pack(number)

    def close(self) -> None:
        """Unmap it."""
        self._memory.close()


class Commits:
    """A process that commits at a steady rate, for as long as the context lasts.

    Parameters
    ----------
    kind
        ``images`` and ``caltables`` update the number in the database; ``swap`` puts another file with the next
        number in its place; ``swap-and-write`` does so and then updates that file as well.
    path
        The database.
    directory
        For the counter.
    period_s
        Time from one commit to the next [s].
    """

    def __init__(self, kind: str, path: Path, directory: Path, *, period_s: float = 0.05) -> None:
        counter = directory / f"commits-{kind}"
        counter.write_bytes(NUMBER.pack(0))
        self._counter = Counter(counter)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.commits", kind, str(path), str(counter), str(period_s)],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
        )

    def __enter__(self) -> Commits:
        while self.finished < 1:
            if self._process.poll() is not None:
                raise RuntimeError("the committing process failed to start")
            time.sleep(0.005)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = self._process.wait(30)
        self._counter.close()
        if code != 0:
            raise RuntimeError("the committing process failed")

    @property
    def finished(self) -> int:
        """Number of the last commit that is done."""
        return self._counter.value


def _update(path: Path, statement: str) -> Callable[[int], None]:
    connection = sqlite3.connect(path, timeout=30.0, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")  # no power cut is feared; how soon a commit is seen is the same

    def commit(number: int) -> None:
        connection.execute(statement, {"n": number})

    return commit


def _swap(path: Path, *, write: bool) -> Callable[[int], None]:
    with closing(sqlite3.connect(path)) as source:
        content = source.serialize()
    spare = path.with_suffix(".new")

    def put_in_place(number: int) -> None:
        spare.write_bytes(content)
        with closing(sqlite3.connect(spare)) as made, made:
            made.execute(COUNT_IN_IMAGES, {"n": number})
        os.replace(spare, path)
        if write:
            with closing(sqlite3.connect(path, timeout=30.0)) as there, there:
                there.execute(COUNT_IN_IMAGES, {"n": number + 1})

    def swap(number: int) -> None:
        put_in_place(2 * number)

    return swap if write else put_in_place


KINDS: dict[str, Callable[[Path], Callable[[int], None]]] = {
    "images": lambda path: _update(path, COUNT_IN_IMAGES),
    "caltables": lambda path: _update(path, COUNT_IN_CALTABLES),
    "swap": lambda path: _swap(path, write=False),
    "swap-and-write": lambda path: _swap(path, write=True),
}


def main(kind: str, path: str, counter_path: str, period_s: str) -> None:
    """Commit until standard input ends."""
    commit = KINDS[kind](Path(path))
    counter = Counter(Path(counter_path))
    number = 0
    while not select.select([sys.stdin], [], [], float(period_s))[0]:
        number += 1
        commit(number)
        counter.value = number
    counter.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
