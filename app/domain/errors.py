"""What can go wrong, in the words of the domain.

Each class carries the code that clients read as ``error`` and the facts they read as ``details``. Which HTTP status
and which client code a class becomes is decided once, in :mod:`app.web.errors`; nothing here knows HTTP.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ContimgError(Exception):
    """Root of every error this service raises on purpose.

    Parameters
    ----------
    message
        One sentence for the person who reads it. Never a path of this machine.
    details
        Facts a program can act on.
    """

    code: ClassVar[str] = "API_ERROR"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class NotFound(ContimgError):
    """No record of that kind bears that name."""

    code = "RECORD_NOT_FOUND"

    def __init__(self, entity_type: str, identifier: object) -> None:
        name = str(identifier)
        shown = name if len(name) <= 200 else f"{name[:200]}…"
        super().__init__(f"{entity_type} not found: {shown}", entity_type=entity_type, identifier=shown)


class AlreadyExists(ContimgError):
    """A record of that kind already bears that name."""

    code = "RECORD_ALREADY_EXISTS"

    def __init__(self, entity_type: str, identifier: object) -> None:
        super().__init__(
            f"{entity_type} already exists: {identifier}", entity_type=entity_type, identifier=str(identifier)
        )


class InvalidValue(ContimgError):
    """A value has the right form and still means nothing: an impossible date, an unknown word, a foreign cursor."""

    code = "VALIDATION_ERROR"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"Validation failed for '{field}': {reason}", field=field)


class FileNotAccessible(ContimgError):
    """The database names a file that cannot be served: missing, not a regular file, or outside the data roots."""

    code = "FILE_NOT_ACCESSIBLE"

    def __init__(self, name: str, operation: str = "read") -> None:
        super().__init__(f"File not accessible: {name}", path=name, operation=operation)


class FitsUnreadable(ContimgError):
    """The file is there, but it is not FITS, or it is broken."""

    code = "FITS_PARSING_ERROR"


class DatabaseError(ContimgError):
    """A database did not answer, and none of the more exact reasons below fits."""

    code = "DATABASE_ERROR"


class DatabaseUnavailable(DatabaseError):
    """A database file is missing, unreadable, not SQLite, or lacks a table that the pipeline always makes."""

    code = "DATABASE_CONNECTION_ERROR"

    def __init__(self, database: str, reason: str) -> None:
        super().__init__(f"The {database} database is unavailable: {reason}", database=database)


class QueryFailed(DatabaseError):
    """SQLite refused a statement of ours: a defect of this service, not of the request."""

    code = "DATABASE_QUERY_ERROR"


class Busy(DatabaseError):
    """Another process held the lock for longer than the busy timeout; trying again will do."""

    code = "DATABASE_BUSY"


class QueryTimeout(DatabaseError):
    """The request's deadline passed while SQLite was still working; the statement was stopped."""

    code = "QUERY_TIMEOUT"
