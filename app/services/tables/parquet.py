"""Tables as Apache Parquet, by pyarrow, which is an optional extra of this package.

NULL, NaN and infinity stay what they are. Units and UCDs are metadata of the fields (``unit``, ``ucd``,
``description``). The index of a Parquet file stands at its end, so a file broken off on the way cannot be opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from app.domain.columns import Column, Kind
from app.domain.errors import NotInstalled
from app.services.tables.cells import CLEAN
from app.services.tables.model import Format, Row, Table, chunks, unit

# Rows that one index entry of the file covers: what is held in memory, as columns, until they are written.
_ROW_GROUP_ROWS = 32_000


class _Outbox:
    """A file that can only be appended to, and gives away what was written."""

    def __init__(self) -> None:
        self.closed = False
        self._parts: list[bytes] = []
        self._position = 0

    def write(self, data: Any) -> int:
        """Take bytes."""
        part = bytes(data)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def tell(self) -> int:
        """How many bytes were written so far."""
        return self._position

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do: the owner empties it."""

    def writable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is not."""
        return False

    def seekable(self) -> bool:
        """It is not."""
        return False

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def is_installed() -> bool:
    """Whether what writes these files is there."""
    return find_spec("pyarrow") is not None


def write(table: Table) -> Iterator[bytes]:
    """The table as a Parquet file; what its rows raise comes through and leaves the file without its index.

    Raises
    ------
    NotInstalled
        pyarrow is not installed here.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise NotInstalled(
            "Parquet needs pyarrow, which is not installed here: pip install 'dsa110-contimg-api[parquet]'"
        ) from error
    return _pieces(table)


def _pieces(table: Table) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(table)
    outbox = _Outbox()
    writer = pq.ParquetWriter(pa.PythonFile(outbox, mode="w"), schema, compression="zstd")
    for group in _row_groups(table, schema):
        writer.write_table(group, row_group_size=_ROW_GROUP_ROWS)
        yield outbox.take()
    # Not by `with`: that would also give a table that failed an index, and it would pass for a whole one.
    writer.close()
    yield outbox.take()


def _row_groups(table: Table, schema: Any) -> Iterator[Any]:
    import pyarrow as pa

    batches: list[Any] = []
    held = 0
    for rows in chunks(table.rows):
        batches.append(_batch(table.columns, rows, schema))
        held += len(rows)
        if held >= _ROW_GROUP_ROWS:
            yield pa.Table.from_batches(batches, schema)
            batches, held = [], 0
    if batches:
        yield pa.Table.from_batches(batches, schema)


def _batch(columns: Sequence[Column], rows: list[Row], schema: Any) -> Any:
    import pyarrow as pa

    by_column = zip(columns, zip(*rows, strict=True), schema.types, strict=True)
    arrays = [pa.array(CLEAN[column.kind](values), kind) for column, values, kind in by_column]
    return pa.record_batch(arrays, schema=schema)


def _schema(table: Table) -> Any:
    import pyarrow as pa

    types = {
        Kind.TEXT: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.IDENTIFIER: pa.int64(),
        Kind.REAL: pa.float64(),
        Kind.BOOLEAN: pa.bool_(),
        Kind.TIME: pa.timestamp("us", tz="UTC"),
        Kind.MJD: pa.float64(),
    }
    fields = [pa.field(column.name, types[column.kind], metadata=_about(column)) for column in table.columns]
    metadata = {"name": table.name, "description": table.description, **table.notes}
    return pa.schema(fields, metadata=metadata)


def _about(column: Column) -> dict[str, str]:
    about = {"description": column.description, "unit": unit(column), "ucd": column.ucd}
    return {name: text for name, text in about.items() if text}


FORMAT = Format(
    "parquet",
    "application/vnd.apache.parquet",
    "parquet",
    ("application/vnd.apache.parquet", "application/x-parquet"),
    write,
)
