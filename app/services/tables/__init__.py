"""Tables in every format, streamed: columns and rows go in, pieces of bytes come out, in constant memory.

:mod:`model` says what a table and a format are; each format has a module of its own. :mod:`cells` is what they share:
numbers, times and text of the database as text or as clean values, a column at a time, since one call for two thousand
cells is what makes a million rows quick. Nothing here knows HTTP or SQL.

==========  ===========================================  =======================================  ====================
format      missing values                               not a number, infinite                   a broken stream
==========  ===========================================  =======================================  ====================
csv         empty cell; empty text is ``""``             ``nan``, ``inf``, ``-inf``               breaks off
ndjson      ``null``                                     ``null``                                 breaks off
votable     empty cell                                   ``NaN``, ``+Inf``, ``-Inf``              ``QUERY_STATUS=ERROR``
fits        NaN, TNULL, NUL                              NaN, infinity                            nothing was sent yet
parquet     null                                         NaN, infinity                            no footer: unreadable
==========  ===========================================  =======================================  ====================

astropy, numpy and pyarrow are imported by the formats that need them, when they are asked for.
"""

from app.services.tables import csv, fits, ndjson, parquet, votable
from app.services.tables.model import Format, Table

FORMATS: dict[str, Format] = {
    form.name: form for form in (ndjson.FORMAT, csv.FORMAT, votable.FORMAT, fits.FORMAT, parquet.FORMAT)
}


def is_available(name: str) -> bool:
    """Whether a format can be written here: one needs a library that need not be installed."""
    return name in FORMATS and (name != parquet.FORMAT.name or parquet.is_installed())


__all__ = ["FORMATS", "Format", "Table", "is_available"]
