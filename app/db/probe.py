"""A quick look at one database file: is it there, and does it answer?"""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from app.db.errors import translate
from app.domain.errors import DatabaseUnavailable


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


def number(path: Path, name: str, sql: str, *, timeout_s: float) -> int:
    """The one number that a statement gives; raises as :func:`look` does."""
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DatabaseUnavailable(name, error.strerror or "the path cannot be looked at") from error
    if not stat.S_ISREG(kind):
        raise DatabaseUnavailable(name, "the path is not a file")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=timeout_s)) as connection:
            # A constant would be answered without opening the file.
            value: int = connection.execute(sql).fetchone()[0]
            return value
    except sqlite3.Error as error:
        raise translate(error, name) from error
