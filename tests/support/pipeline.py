"""A stand-in for the pipeline as the writer of its databases: real files of any generation, and builders of rows.

``Pipeline(tmp_path, "production")`` makes the files; ``make_image(noise_jy=...)`` and its sisters add rows and commit.
Every builder knows a full set of defaults and takes any column by keyword. A column or QA table that only other
generations have is left out without a word, so one test runs over every generation; a column that none has is a
TypeError.

Defaults follow a counter: the n-th row of a kind belongs to second n after 2025-10-31T13:00:00Z, and the n-th image,
measurement set, job, calibration table and QA row name the same measurement set.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support import pipeline_rows as rows
from tests.support.pipeline_rows import BASE_MJD, BASE_UNIX_S, Row, image_path, ms_path
from tests.support.pipeline_schema import GENERATIONS, columns_of, known_columns, products_script, registry_script

__all__ = ["BASE_MJD", "BASE_UNIX_S", "GENERATIONS", "Pipeline", "image_path", "ms_path", "worked_example"]

REGISTRY_TABLES = frozenset({"caltables"})
OPTIONAL_TABLES = {"jobs": "jobs", "qa_flags": "qa_flags", "caltables": "registry"}  # table: option that makes it


class Pipeline:
    """Databases of one generation in WAL mode, and one open connection that writes to them.

    Parameters
    ----------
    directory
        Where the files are made; created if missing.
    generation
        One of :data:`GENERATIONS`.
    jobs, qa_flags, registry
        Whether the jobs table, the qa_flags table and the calibration registry exist.
    registry_provenance
        Whether ``caltables`` has the columns that a later migration added, ``source_ms_path`` among them.

    Attributes
    ----------
    products_path, registry_path
        The files; one and the same for ``head``. Without a registry the latter does not exist, or, for ``head``, lacks
        the table.
    connection
        The writer's connection to the products; usable from any thread, foreign keys not enforced, so that rows may
        dangle as the pipeline's do.
    """

    def __init__(
        self,
        directory: Path,
        generation: str = "production",
        *,
        jobs: bool = True,
        qa_flags: bool = False,
        registry: bool = True,
        registry_provenance: bool = True,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        unified = generation == "head"
        self.generation = generation
        self.products_path = directory / ("pipeline.sqlite3" if unified else "products.sqlite3")
        self.registry_path = self.products_path if unified else directory / "cal_registry.sqlite3"
        self._made: Counter[str] = Counter()
        self._batch_id = 1
        self.connection = _create(self.products_path, products_script(generation, jobs=jobs, qa_flags=qa_flags))
        self._registry: sqlite3.Connection | None = None
        if registry:
            script = registry_script(generation, provenance=registry_provenance)
            self._registry = self.connection if unified else _create(self.registry_path, "")
            self._registry.executescript(script)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the writer's connections; more than once does no harm."""
        self.connection.close()
        if self._registry is not None:
            self._registry.close()

    def columns(self, table: str) -> tuple[str, ...]:
        """Column names of a table in the file's own order; empty if this pipeline has no such table."""
        connection = self._registry if table in REGISTRY_TABLES else self.connection
        return columns_of(connection, table) if connection is not None else ()

    def make_image(self, **columns: Any) -> int:
        """Add an image; its id."""
        return self._key(self._insert("images", rows.image(self._next("images")) | columns))

    def make_ms(self, path: str | None = None, **columns: Any) -> str:
        """Add a measurement set, by default imaged and calibrated; its path."""
        row = rows.ms(self._next("ms_index")) | columns
        if path is not None:
            row["path"] = path
        self._insert("ms_index", row)
        return str(row["path"])

    def make_photometry(self, **columns: Any) -> int:
        """Add a measurement, by default of one and the same source in the n-th image; its id."""
        return self._key(self._insert("photometry", rows.photometry(self._next("photometry")) | columns))

    def make_job(self, **columns: Any) -> int:
        """Add a job record, whose run id follows from its ms_path unless given; its id."""
        n = self._next("jobs")
        return self._key(self._insert("jobs", rows.job(n, columns.get("ms_path") or ms_path(n)) | columns))

    def make_caltable(self, **columns: Any) -> int:
        """Add a calibration table, whose order_index follows from its table_type unless given; its id."""
        row = rows.caltable(self._next("caltables"), columns.get("table_type") or "BP")
        return self._key(self._insert("caltables", row | columns))

    def make_image_qa(self, **columns: Any) -> int | None:
        """Add an image QA row; its id, or None in a generation without the table."""
        return self._insert("image_qa", rows.image_qa(self._next("image_qa")) | columns)

    def make_calibration_qa(self, **columns: Any) -> int | None:
        """Add a calibration QA row; its id, or None in a generation without the table."""
        return self._insert("calibration_qa", rows.calibration_qa(self._next("calibration_qa")) | columns)

    def make_qa_flag(self, **columns: Any) -> int:
        """Add a flag, by default on the n-th image and not on a measurement set; its rowid."""
        return self._key(self._insert("qa_flags", rows.qa_flag(self._next("qa_flags")) | columns))

    def make_batch_job(self, **columns: Any) -> int:
        """Add a batch, by default done with its one item; its id."""
        self._batch_id = self._key(self._insert("batch_jobs", rows.batch_job(self._next("batch_jobs")) | columns))
        return self._batch_id

    def make_batch_item(self, **columns: Any) -> int:
        """Add an item, by default done and of the batch made last; its id."""
        row = rows.batch_item(self._next("batch_job_items"), self._batch_id)
        return self._key(self._insert("batch_job_items", row | columns))

    def make_many_images(self, n: int) -> None:
        """Add n images in one transaction, as :meth:`make_image` would but with noise and centre differing."""
        first = self._made["images"] + 1
        self._made["images"] += n
        self._insert_many("images", rows.varied_images(first, n))

    def make_many_photometry(self, n_sources: int, n_epochs: int) -> None:
        """Add a light curve of n_epochs for each of n_sources, image after image, in one transaction.

        Epoch k, from 1, lies in the k-th image, a day after the one before. Sources are called ``S000000`` onwards and
        lie all over the sky; every tenth varies.
        """
        self._made["photometry"] += n_sources * n_epochs
        self._insert_many("photometry", rows.light_curves(n_sources, n_epochs))

    def _next(self, table: str) -> int:
        self._made[table] += 1
        return self._made[table]

    @staticmethod
    def _key(rowid: int | None) -> int:
        assert rowid is not None
        return rowid

    def _insert(self, table: str, row: Row) -> int | None:
        unknown = row.keys() - known_columns(table)
        if unknown:
            raise TypeError(f"no generation of {table} has the column {', '.join(sorted(unknown))}")
        present = set(self.columns(table))
        if not present:
            if table in OPTIONAL_TABLES:
                raise LookupError(f"this pipeline was made with {OPTIONAL_TABLES[table]}=False: it has no {table}")
            return None
        names = [name for name in row if name in present]
        with self._writer(table) as connection:
            return connection.execute(_insert_sql(table, names), {name: row[name] for name in names}).lastrowid

    def _insert_many(self, table: str, many: Iterator[Row]) -> None:
        present = set(self.columns(table))
        for first in islice(many, 1):
            names = [name for name in first if name in present]
            with self._writer(table) as connection:
                connection.execute(_insert_sql(table, names), {name: first[name] for name in names})
                connection.executemany(_insert_sql(table, names), many)

    def _writer(self, table: str) -> sqlite3.Connection:
        connection = self._registry if table in REGISTRY_TABLES else self.connection
        assert connection is not None
        return connection


def _create(path: Path, script: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30.0, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")  # tests need no protection from a power cut, only speed
    connection.executescript(script)
    return connection


def _insert_sql(table: str, names: Iterable[str]) -> str:
    names = list(names)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"


def worked_example(pipeline: Pipeline) -> None:
    """Add one image, numbered 7, with its measurement set and bandpass table: values known to the last digit.

    The explicit pointing is at right ascension 0.0 and differs from ``ra_deg``, and no calibration was applied.
    """
    ms = pipeline.make_ms(
        "/stage/ms/2025-10-31T13:49:06.ms", stage="imaged", processed_at=1761918546, cal_applied=0,
        pointing_ra_deg=0.0, pointing_dec_deg=37.2, ra_deg=12.0, dec_deg=37.2,
    )  # fmt: skip
    pipeline.make_image(
        id=7, path="/stage/img/a.fits", ms_path=ms, created_at=1761922146.5, noise_jy=0.00035, dynamic_range=1200.4,
        beam_major_arcsec=12.34, center_ra_deg=180.0, center_dec_deg=37.2,
    )  # fmt: skip
    pipeline.make_caltable(path="/stage/cal/bp.tbl", table_type="BP", source_ms_path=ms)
