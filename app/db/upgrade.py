"""Adding our own objects to the pipeline's files, and taking them away again: ``contimg-api db``.

Each revision is one transaction, opened with BEGIN IMMEDIATE before the revision to run is even chosen. So SQLite's
own write lock is the only lock there is: two processes that upgrade at once take turns, each finding done what the
other did, also from different hosts and containers where a lock file would be two. Between revisions the pipeline
gets its turn to write.

Alembic and SQLAlchemy are imported here, inside functions, and nowhere else: the service itself runs without them.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from app.db.errors import is_missing_object, translate
from app.db.parts import Part, parts_of
from app.db.writing import connect
from app.domain.errors import DatabaseError, DatabaseUnavailable

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

VERSION_TABLE = "contimg_api_version"
OURS = "contimg\\_api\\_%"

LEFTOVERS = """
    SELECT type, name FROM sqlite_master WHERE name LIKE :ours ESCAPE '\\' AND sql IS NOT NULL
    ORDER BY type <> 'trigger', type <> 'index', name
"""
HAS_VERSION = "SELECT count(*) FROM sqlite_master WHERE name = 'contimg_api_version'"
TRIGGERED = """
    SELECT DISTINCT t.tbl_name, m.type = 'view' FROM sqlite_master AS t JOIN sqlite_master AS m ON m.name = t.tbl_name
    WHERE t.type = 'trigger' AND t.name LIKE :ours ESCAPE '\\'
"""
HAS_SOURCES = "SELECT count(*) FROM sqlite_master WHERE name = 'contimg_api_source_anew'"
UNSETTLED = """
    SELECT source_id FROM contimg_api_source WHERE unsettled AND source_id > :after ORDER BY source_id LIMIT 500
"""
SETTLE = "INSERT INTO contimg_api_source_anew (source_id, id) VALUES (:source_id, NULL)"
# How long settling keeps the pipeline from writing at a time.
LONGEST_STEP_S = 0.2
VERSION = "SELECT version_num FROM contimg_api_version"


class UpgradeStatus(NamedTuple):
    """How far a file has been upgraded.

    ``revision`` is None in a file without any of our objects; ``pending`` lists what an upgrade would run.
    """

    revision: str | None
    head: str
    pending: list[str]
    parts: list[Part]

    @property
    def fallen(self) -> list[str]:
        """Parts that the pipeline's own changes have overtaken; they are not used until the next upgrade."""
        return [part.name for part in self.parts if part.fallen]

    @property
    def current(self) -> bool:
        """Whether an upgrade would have nothing to do."""
        return not self.pending and not self.fallen


class PipelineUpgrade:
    """Upgrades one of the pipeline's files.

    Parameters
    ----------
    path
        The file; it is never created, and its journal mode never changed.
    name
        Logical name used in errors (``products``).
    busy_timeout_s
        How long each step waits for the pipeline to finish writing [s].

    Notes
    -----
    Every method raises :class:`~app.domain.errors.DatabaseUnavailable` where the file is missing or unreadable, and
    :class:`~app.domain.errors.Busy` where another process keeps it locked.
    """

    def __init__(self, path: Path, name: str, *, busy_timeout_s: float = 30.0) -> None:
        self.path = path
        self.name = name
        self._busy_timeout_s = busy_timeout_s

    def status(self) -> UpgradeStatus:
        """How far the file has been upgraded; nothing is written."""
        with self._migrations() as script, self._errors():
            uri = f"{self.path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=self._busy_timeout_s)) as connection:
                return _status(connection, script)

    def upgrade(self) -> list[str]:
        """Run what is missing and lay anew what has fallen; gives the revisions run, none where all was well."""
        ran: list[str] = []
        rebuilt = False
        with self._migrations() as script:
            while True:
                with self._transaction() as (connection, driver):
                    status = _status(driver, script)
                    if status.fallen:
                        if rebuilt:
                            raise DatabaseError(f"The tables of the {self.name} database keep changing")
                        rebuilt = _remove(connection, driver, script)
                        continue
                    if not status.pending:
                        break
                    _run(connection, script, "upgrade", status.pending[0])
                    _check(driver)
                    ran.append(status.pending[0])
        with self._errors():
            try:
                self._settle()
            except sqlite3.OperationalError as error:
                if not is_missing_object(error):  # another process has just taken everything away again
                    raise
        return ran

    def _settle(self) -> None:
        """Work out the light curves of sources that changed other than by new measurements, a few at a time."""
        with closing(connect(self.path, busy_timeout_s=self._busy_timeout_s)) as connection:
            if not connection.execute(HAS_SOURCES).fetchone()[0]:
                return
            after = ""
            while names := connection.execute(UNSETTLED, {"after": after}).fetchall():
                connection.execute("BEGIN IMMEDIATE")
                until = time.monotonic() + LONGEST_STEP_S
                for (after,) in names:
                    connection.execute(SETTLE, {"source_id": after})
                    if time.monotonic() > until:
                        break
                connection.execute("COMMIT")

    def downgrade(self) -> bool:
        """Remove every object of ours, in one transaction; whether there was any."""
        with self._migrations() as script, self._transaction() as (connection, driver):
            return _remove(connection, driver, script)

    @contextmanager
    def _migrations(self) -> Iterator[ScriptDirectory]:
        from alembic.script import ScriptDirectory

        with as_file(files("migrations") / "products") as scripts:
            yield ScriptDirectory(scripts)

    @contextmanager
    def _transaction(self) -> Iterator[tuple[Any, sqlite3.Connection]]:
        """SQLAlchemy's connection and the one beneath it, inside BEGIN IMMEDIATE; commits unless it fails."""
        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import NullPool

        def open_file() -> sqlite3.Connection:
            return connect(self.path, busy_timeout_s=self._busy_timeout_s)

        engine = create_engine("sqlite://", creator=open_file, poolclass=NullPool)
        # sqlite3's own way of opening transactions would leave DDL outside of them.
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        with self._errors(), engine.begin() as connection:
            driver: Any = connection.connection.driver_connection
            yield connection, driver

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from alembic.script.revision import RevisionError
        from alembic.util import CommandError
        from sqlalchemy.exc import DBAPIError

        if not self.path.is_file():
            raise DatabaseUnavailable(self.name, "the file does not exist")
        try:
            yield
        except sqlite3.Error as error:
            raise translate(error, self.name) from error
        except DBAPIError as error:
            if not isinstance(error.orig, sqlite3.Error):
                raise
            raise translate(error.orig, self.name) from error
        except (CommandError, RevisionError) as error:
            raise DatabaseError(f"The {self.name} database was upgraded by another version: {error}") from error


def _run(connection: Any, script: ScriptDirectory, direction: str, revision: str) -> None:
    """Run the revisions from where the file stands to the given one, ``base`` being none."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    config = Config(attributes={"connection": connection, "version_table": VERSION_TABLE})
    steps = script._upgrade_revs if direction == "upgrade" else script._downgrade_revs
    with EnvironmentContext(config, script, fn=lambda current, _context: steps(revision, current)):
        script.run_env()


def _remove(connection: Any, driver: sqlite3.Connection, script: ScriptDirectory) -> bool:
    """Downgrade to nothing, then drop Alembic's own table and whatever a half-dropped ledger no longer knew of."""
    if _revision(driver) is not None and parts_of(driver, "main"):
        _run(connection, script, "downgrade", "base")
    leftovers = driver.execute(LEFTOVERS, {"ours": OURS}).fetchall()
    for kind, name in leftovers:
        driver.execute(f"DROP {kind} IF EXISTS {name}")
    return bool(leftovers)


def _check(driver: sqlite3.Connection) -> None:
    """Compile a statement of each kind on every table with a trigger of ours: SQLite reads triggers only then.

    A trigger that does not compile would fail the pipeline's next write; here it fails the migration.
    """
    for table, is_view in driver.execute(TRIGGERED, {"ours": OURS}).fetchall():
        driver.execute(f"EXPLAIN INSERT INTO {table} DEFAULT VALUES").fetchall()
        if is_view:  # takes nothing but insertions
            continue
        for column in [row[1] for row in driver.execute(f"PRAGMA table_info({table})")]:
            driver.execute(f'EXPLAIN UPDATE {table} SET "{column}" = NULL').fetchall()
        driver.execute(f"EXPLAIN DELETE FROM {table}").fetchall()


def _status(connection: sqlite3.Connection, script: ScriptDirectory) -> UpgradeStatus:
    revision = _revision(connection)
    pending = [step.revision for step in script.iterate_revisions("head", revision or "base")]
    return UpgradeStatus(revision, script.get_current_head() or "", pending[::-1], parts_of(connection, "main"))


def _revision(connection: sqlite3.Connection) -> str | None:
    if not connection.execute(HAS_VERSION).fetchone()[0]:
        return None
    row = connection.execute(VERSION).fetchone()
    return None if row is None else row[0]
