r"""Tables as FITS binary tables (FITS Standard 4.0, section 7.3).

A FITS table begins with its number of rows and the width of its text, which nobody knows before the last row. So the
rows first go to a temporary file without a name, then the header is written, and then they come back: constant memory,
and nothing is sent before the last row is there, so an error on the way is an honest answer instead of half a file.

Missing whole numbers are TNULL (the lowest of 64 bits), missing real numbers NaN, missing truth values and text NUL
(empty text is a blank). FITS text is ASCII: backslashes, control characters and all beyond ASCII are written as Python
escapes them (``\\``, ``\n``, ``\xe9``, ``\u2026``), so that nothing is lost. Times are ISO 8601 without a zone, for
which the standard has no room (section 9.1.1); ``TIMESYS`` says UTC.
"""

from __future__ import annotations

import marshal
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from app.domain.columns import Column, Kind
from app.services.tables.cells import integers, iso_times, reals, texts, truths
from app.services.tables.model import Format, Table, chunks, unit

if TYPE_CHECKING:
    from astropy.io.fits import Header

_BLOCK_BYTES = 2880
_PIECE_BYTES = 1 << 20

_TNULL = -(2**63)
_FORMATS = {Kind.INTEGER: "K", Kind.IDENTIFIER: "K", Kind.BOOLEAN: "L", Kind.REAL: "D", Kind.MJD: "D"}
_DTYPES = {
    Kind.INTEGER: ">i8",
    Kind.IDENTIFIER: ">i8",
    Kind.BOOLEAN: "u1",
    Kind.REAL: ">f8",
    Kind.MJD: ">f8",
}
_TRUTH = {None: 0, True: ord("T"), False: ord("F")}


def write(table: Table) -> Iterator[bytes]:
    """The table as a FITS file; what its rows raise comes through before anything was given out."""
    with tempfile.TemporaryFile() as spool:
        lengths, widths = _spool(spool, table)
        header = _header(table, sum(lengths), widths)
        yield _primary() + header.tostring().encode("ascii")
        spool.seek(0)
        sent = 0
        for piece in _rows(spool, table.columns, len(lengths), widths):
            sent += len(piece)
            yield piece
    yield bytes(-sent % _BLOCK_BYTES)


def _spool(spool: IO[bytes], table: Table) -> tuple[list[int], list[int]]:
    """Put the columns of every chunk into a file; its rows by chunk, and the widest cell [bytes] by column."""
    lengths: list[int] = []
    widths = [1] * len(table.columns)
    for rows in chunks(table.rows):
        by_column = zip(table.columns, zip(*rows, strict=True), strict=True)
        packed = [_pack(column.kind, values) for column, values in by_column]
        for index, cells in enumerate(packed):
            if isinstance(cells, list):
                widths[index] = max(widths[index], *map(len, cells))
        marshal.dump(packed, spool)
        lengths.append(len(rows))
    return lengths, widths


def _rows(spool: IO[bytes], columns: Sequence[Column], count: int, widths: list[int]) -> Iterator[bytes]:
    """The rows of so many chunks as FITS has them, in pieces of about a megabyte however wide they are."""
    import numpy as np

    dtype = np.dtype([(f"c{n}", _dtype(column.kind, widths[n])) for n, column in enumerate(columns)])
    step = max(1, _PIECE_BYTES // dtype.itemsize)
    for _ in range(count):
        packed = marshal.load(spool)  # written above, to a file that nobody else can open
        cells = [
            part if isinstance(part, list) else np.frombuffer(part, _DTYPES[column.kind])
            for column, part in zip(columns, packed, strict=True)
        ]
        for start in range(0, len(cells[0]), step):
            block = np.empty(min(step, len(cells[0]) - start), dtype)
            for n, values in enumerate(cells):
                block[f"c{n}"] = values[start : start + step]
            yield block.tobytes()


def _dtype(kind: Kind, width: int) -> str:
    return _DTYPES.get(kind, f"S{width}")


def _pack(kind: Kind, values: tuple[Any, ...]) -> list[bytes] | bytes:
    """Text as a list of cells, anything else as the bytes of an array."""
    import numpy as np

    if kind is Kind.TEXT:
        return [b"" if text is None else _ascii(text) for text in texts(values)]
    if kind is Kind.TIME:
        return [text.encode() for text in iso_times(values, zone=False)]
    if kind.is_whole:
        cells: list[Any] = [_TNULL if value is None else value for value in integers(values)]
    elif kind is Kind.BOOLEAN:
        cells = [_TRUTH[value] for value in truths(values)]
    else:
        cells = reals(values)  # None becomes NaN
    return np.array(cells, _DTYPES[kind]).tobytes()


def _ascii(text: str) -> bytes:
    return text.encode("unicode_escape") or b" "


def _primary() -> bytes:
    from astropy.io import fits

    header: str = fits.PrimaryHDU().header.tostring()
    return header.encode("ascii")


def _header(table: Table, nrows: int, widths: list[int]) -> Header:
    from astropy.io import fits

    columns = [
        fits.Column(
            name=column.name,
            format=_FORMATS.get(column.kind, f"{width}A"),
            unit=unit(column) or None,
            null=_TNULL if column.kind.is_whole else None,
        )
        for column, width in zip(table.columns, widths, strict=True)
    ]
    header = fits.BinTableHDU.from_columns(columns, nrows=0, name=table.name).header
    header["NAXIS2"] = nrows
    header["TIMESYS"] = ("UTC", "time scale of every date and MJD")
    for number, column in enumerate(table.columns, start=1):
        # Not in the standard, but what TOPCAT and STILTS read and write.
        for keyword, text in (("TCOMM", column.description), ("TUCD", column.ucd)):
            if text:
                header[f"{keyword}{number}"] = _printable(text)
    for line in (table.description, *(f"{name}: {value}" for name, value in table.notes.items())):
        if line:
            header.add_comment(_printable(line))
    return header


def _printable(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")


FORMAT = Format("fits", "application/fits", "fits", ("application/fits", "image/fits"), write)
