"""Files on disk: only regular files inside the data roots, and never a database."""

from __future__ import annotations

import os
import posixpath
import stat
from pathlib import Path

from app.domain.errors import FileNotAccessible

_DATABASE_ENDINGS = (".sqlite3", ".sqlite", ".db", ".db3")
_COMPANIONS = ("-wal", "-shm", "-journal")


class DataFiles:
    """Finds the files that databases name.

    Parameters
    ----------
    roots
        Directories that files may lie in.
    databases
        Database files in use, refused wherever they lie.
    """

    def __init__(self, roots: tuple[Path, ...], databases: tuple[Path, ...] = ()) -> None:
        self._roots = roots
        self._databases = databases

    def locate(self, path: str | None) -> Path:
        """The real path of a file that may be read; what the database knows no path of is not there.

        Raises
        ------
        FileNotAccessible
            It is missing, not a regular file, a database, or lies outside the roots once links are followed. The
            error names the file, never its directory.

        Notes
        -----
        A database is refused without opening it: closing a second handle of the file would silently drop the locks
        SQLite holds in this process (https://www.sqlite.org/howtocorrupt.html, section 2.2).
        """
        if not isinstance(path, str):
            raise FileNotAccessible("?")
        name = posixpath.basename(path.rstrip("/"))[:200] or "?"
        try:
            real = os.path.realpath(path, strict=True)
            status = os.stat(real)
        except (OSError, ValueError) as error:
            raise FileNotAccessible(name) from error
        if not stat.S_ISREG(status.st_mode) or not self._inside(real) or self._is_database(real, status):
            raise FileNotAccessible(name)
        return Path(real)

    def folder(self, path: str) -> Path:
        """The real path of a directory whose files may be read; raises FileNotAccessible as :meth:`locate` does."""
        name = posixpath.basename(path.rstrip("/"))[:200] or "?"
        try:
            real = os.path.realpath(path, strict=True)
            inside = os.path.isdir(real) and self._inside(real)
        except (OSError, ValueError) as error:
            raise FileNotAccessible(name) from error
        if not inside:
            raise FileNotAccessible(name)
        return Path(real)

    def _inside(self, real: str) -> bool:
        return any(real.startswith(f"{os.path.realpath(root).rstrip('/')}/") for root in self._roots)

    def _is_database(self, real: str, status: os.stat_result) -> bool:
        stem = real.lower()
        for companion in _COMPANIONS:
            stem = stem.removesuffix(companion)
        return stem.endswith(_DATABASE_ENDINGS) or any(_same_file(path, status) for path in self._databases)


def _same_file(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), status)
    except OSError:
        return False
