"""A quick look at one database file: is it there, and does it answer?"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

from app.db.errors import primary_code, translate
from app.domain.errors import DatabaseUnavailable

_INSTRUCTIONS_BETWEEN_LOOKS = 10_000


def beside(path: Path, ending: str) -> Path:
    """What SQLite keeps beside a database, such as ``-wal``: named after the file that a link leads to."""
    return Path(f"{os.path.realpath(path)}{ending}")


def look(path: Path, name: str, *, timeout_s: float) -> None:
    """Read a database's header over a connection of its own, which never creates or changes anything.

    Parameters
    ----------
    path
        The file.
    name
        Logical name for errors.
    timeout_s
        How long to wait for a lock [s].

    Raises
    ------
    FileNotFoundError
        There is no file.
    DatabaseUnavailable, Busy
        There is one, and it does not answer.
    """
    number(path, name, "SELECT count(*) FROM sqlite_master", timeout_s=timeout_s)


def version(path: Path, name: str, *, timeout_s: float) -> int:
    """A database's ``user_version``; raises as :func:`look` does."""
    return number(path, name, "PRAGMA user_version", timeout_s=timeout_s)


def look_through(path: Path, name: str, *, timeout_s: float, within_s: float) -> bool:
    """Look for damage in every page of a database; whether it was looked at in full.

    Parameters
    ----------
    within_s
        How long to go on [s]; a large file takes longer. Older releases of SQLite look at the clock between tables
        only.

    Raises
    ------
    FileNotFoundError, DatabaseUnavailable, Busy
        As :func:`look` does, and where damage was found.

    References
    ----------
    https://www.sqlite.org/pragma.html#pragma_quick_check
    """
    _refuse_what_is_no_file(path, name)
    until = time.monotonic() + within_s
    try:
        with closing(_open(path, timeout_s)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > until, _INSTRUCTIONS_BETWEEN_LOOKS)
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        if primary_code(error) == "SQLITE_INTERRUPT":
            return False
        raise translate(error, name) from error
    if found != "ok":
        raise DatabaseUnavailable(name, "the file is damaged")
    return True


def number(path: Path, name: str, sql: str, *, timeout_s: float) -> int:
    """The one number that a statement gives; raises as :func:`look` does."""
    _refuse_what_is_no_file(path, name)
    try:
        with closing(_open(path, timeout_s)) as connection:
            # A constant would be answered without opening the file.
            value: int = connection.execute(sql).fetchone()[0]
            return value
    except sqlite3.Error as error:
        raise translate(error, name) from error


def _open(path: Path, timeout_s: float) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=timeout_s)


def _refuse_what_is_no_file(path: Path, name: str) -> None:
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DatabaseUnavailable(name, error.strerror or "the path cannot be looked at") from error
    if not stat.S_ISREG(kind):
        raise DatabaseUnavailable(name, "the path is not a file")
