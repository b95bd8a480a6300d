"""Reading a catalogue file row by row: CSV, VOTable or Parquet, with the units of its columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.domain.errors import ContimgError, InvalidValue

PARQUET_ROWS = 10_000
# Cells may hold long notes; the module's own limit is 128 kB and its error would end the file.
LONGEST_CELL = 10_000_000


class UnreadableTable(ContimgError):
    """The file is none of the formats it could be, or is broken."""


@dataclass(frozen=True)
class Table:
    """A catalogue: its columns and, one after the other, its rows.

    ``rows`` gives the place of each (``line 7``) and its cells in the order of ``names``; a cell may be text or a
    number, and ``None`` where it is empty or masked. A row whose cells do not fit gives an error in their place.
    """

    names: Sequence[str]
    units: Sequence[str | None]
    rows: Iterator[tuple[str, Sequence[Any] | InvalidValue]]


def read_table(path: Path) -> Table:
    """Open a catalogue by its suffix: ``.parquet`` or ``.pq``, ``.vot``, ``.votable`` or ``.xml``, else CSV or TSV.

    Raises
    ------
    UnreadableTable
        The file cannot be read as what its name says, or a package that reads it is not installed.
    """
    suffix = path.suffix.lower()
    if suffix in {".parquet", ".pq"}:
        return _parquet(path)
    if suffix in {".vot", ".votable", ".xml"}:
        return _votable(path)
    return _delimited(path, "\t" if suffix in {".tsv", ".tab"} else ",")


def _delimited(path: Path, delimiter: str) -> Table:
    """CSV is streamed: only one row is held at a time."""
    rows = _csv_rows(path, delimiter)
    names = next(rows)[1]
    if isinstance(names, InvalidValue):
        raise UnreadableTable(names.message)
    return Table(list(names), [None] * len(names), rows)


def _csv_rows(path: Path, delimiter: str) -> Iterator[tuple[str, Sequence[Any] | InvalidValue]]:
    """The header, then the rows that are not blank."""
    csv.field_size_limit(LONGEST_CELL)
    width = None
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for cells in reader:
                if not any(cells):
                    continue
                width = width or len(cells)
                fault = InvalidValue("row", f"{len(cells)} cells where the header names {width}")
                yield f"line {reader.line_num}", cells if len(cells) == width else fault
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnreadableTable(f"{path.name} is not readable as UTF-8 CSV: {error}") from error
    if width is None:
        raise UnreadableTable(f"{path.name} is empty: a header line with the names of the columns was expected")


def _votable(path: Path) -> Table:
    from astropy.io.votable import parse_single_table

    try:
        table = parse_single_table(path)
        columns = [_unmasked(table.array[field.ID]) for field in table.fields]
    except Exception as error:  # the parser raises what expat, its own checks and numpy raise
        raise UnreadableTable(f"{path.name} is not a readable VOTable: {error}") from error
    rows = ((f"row {number}", cells) for number, cells in enumerate(zip(*columns, strict=True), start=1))
    units = [None if field.unit is None else str(field.unit) for field in table.fields]
    return Table([field.name for field in table.fields], units, rows)


def _unmasked(column: Any) -> list[Any]:
    """Cells of a masked array as Python's own values, ``None`` where masked."""
    cells: list[Any] = column.tolist()
    return cells


def _parquet(path: Path) -> Table:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UnreadableTable("Parquet needs the pyarrow package: pip install 'dsa110-contimg-api[parquet]'") from error
    try:
        names = parquet.read_schema(path).names
    except (OSError, pyarrow.ArrowException) as error:
        raise UnreadableTable(f"{path.name} is not a readable Parquet file: {error}") from error
    return Table(names, [None] * len(names), _parquet_rows(path))


def _parquet_rows(path: Path) -> Iterator[tuple[str, Sequence[Any]]]:
    """The rows; a damaged page is only met when they are read."""
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                columns = [column.to_pylist() for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    number += 1
                    yield f"row {number}", cells
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise UnreadableTable(f"{path.name} is damaged behind row {number}: {error}") from error
