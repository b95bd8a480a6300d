"""The pipeline's database files: opened read-only, and looked at for being the ones that are open.

Nothing here is slow: a look takes some microseconds, and is taken before every query and every answer from the cache.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

from app.db.swaps import Identity, Swaps
from app.db.views import columns_of
from app.db.wal_index import WHY_ADRIFT, WalIndexes, handles
from app.domain.errors import DatabaseUnavailable

NAME = "products"
MISSING = "the file does not exist"
Identities = tuple[Identity | None, Identity | None]
# Files, and what SQLite notes in memory of the last commit to each.
State = tuple[Identities, bytes, bytes]

# How often files are opened that are replaced while that is done.
_ATTEMPTS = 5
_NOTHING = "file::memory:"


class OpenFiles(NamedTuple):
    """A connection, the schema in it that holds the calibration tables, and the files that it reads."""

    connection: sqlite3.Connection
    registry: str | None
    identities: Identities


class PipelineFiles:
    """Where the pipeline's databases lie.

    Parameters
    ----------
    products
        The products database.
    registry
        The calibration registry: the products file itself, another, or absent.
    notes
        Directory in which processes tell each other which logs are no longer those of these files.
    """

    def __init__(self, products: Path, registry: Path | None, notes: Path | None = None) -> None:
        self.products = products
        self.registry = registry
        self.unified = registry == products
        self._swaps = Swaps(notes)
        self._wal_indexes = WalIndexes()
        # Whether this process goes on with deleted files, and whether it has missed commits by that; only another
        # process can help.
        self.is_adrift = self.is_blind = False

    def identities(self) -> Identities:
        """What stands at both paths now."""
        products = self._swaps.identity(self.products)
        return products, products if self.unified else self._swaps.identity(self.registry)

    def state(self, identities: Identities) -> State | None:
        """What stands still while nothing is committed to those files; ``None`` where only a statement can tell.

        Meaningful to whoever holds them open.
        """
        products, registry = identities
        if self._wal_indexes.is_any_lost(identities):
            self.is_adrift = True
            self.is_blind = self.is_blind or any(
                path is not None and self._wal_indexes.is_superseded(path, database)
                for path, database in ((self.products, products), (self.registry, registry))
            )
        if self.is_blind:
            return None
        note = self._wal_indexes.header(products)
        if note is None or self.unified or registry is None:
            return None if note is None else (identities, note, b"")
        other = self._wal_indexes.header(registry)
        return None if other is None else (identities, note, other)

    def check_sight(self) -> None:
        """Raise DatabaseUnavailable where commits cannot be seen any more."""
        if self.is_blind:
            raise DatabaseUnavailable(NAME, WHY_ADRIFT)

    def learn(self) -> None:
        """Take over what other processes noted of files that were replaced."""
        self._swaps.learn()

    def settle(self) -> None:
        """Take note of files that were swapped or are gone; to be called before connections to them are closed."""
        looking = handles()
        self._swaps.settle(self.products, looking)
        if not self.unified:
            self._swaps.settle(self.registry, looking)

    def open(self, *, busy_timeout_s: float, shared: bool = False) -> OpenFiles:
        """Open read-only, with the registry attached, what stands at both paths.

        ``shared`` lets a connection pass between threads; the caller then keeps them apart.

        Raises
        ------
        DatabaseUnavailable
            There is no file, or other files come faster than they can be opened.
        sqlite3.Error
            It cannot be opened, or not read.
        """
        for _ in range(_ATTEMPTS):
            self.settle()
            identities = self.identities()
            if identities[0] is None and (self.unified or identities[1] is None):
                raise DatabaseUnavailable(NAME, MISSING)
            try:
                opened = self._open(identities, busy_timeout_s, shared)
            except sqlite3.Error:
                if self.identities() == identities:
                    raise
                self._wal_indexes.forget(identities)
                continue
            if self.identities() == identities:
                self._swaps.opened(self.products, identities[0])
                if not self.unified:
                    self._swaps.opened(self.registry, identities[1])
                return opened
            # Another file came in that moment: what was opened may be the one with the log of the other.
            self._wal_indexes.forget(identities)
            opened.connection.close()
        raise DatabaseUnavailable(NAME, "the file is replaced again and again")

    def _open(self, identities: Identities, busy_timeout_s: float, shared: bool) -> OpenFiles:
        products, registry = identities
        # Where there are no products, the registry is attached to nothing: its tables need nothing else.
        connection = sqlite3.connect(
            _uri(self.products, products) if products is not None else _NOTHING,
            uri=True,
            timeout=busy_timeout_s,
            isolation_level=None,
            check_same_thread=not shared,
            cached_statements=512,
        )
        try:
            # A database is looked at, and its log with it, when it is first read from.
            connection.execute("PRAGMA main.schema_version").fetchone()
            self._wal_indexes.find(self.products, products)
            schema = "main" if self.unified or columns_of(connection, "main", "caltables") else None
            if not self.unified and self.registry is not None and registry is not None:
                connection.execute("ATTACH :uri AS registry", {"uri": _uri(self.registry, registry)})
                connection.execute("PRAGMA registry.schema_version").fetchone()
                self._wal_indexes.find(self.registry, registry)
                schema = "registry"
        except BaseException:
            connection.close()
            raise
        return OpenFiles(connection, schema, identities)


def _uri(path: Path, identity: Identity | None) -> str:
    alone = identity is not None and identity.orphaned_log
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
